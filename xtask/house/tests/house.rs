//! The rules of the house, held to this repository.

use std::collections::BTreeSet;

use agentcal_house::{
    DenyRules, Finding, Metadata, SourceFile, allowed_lints, banned, broken_links, clock_and_chance, commands_in,
    duplicated, forbidden_edges, foreign_words, impurities, long_file, long_functions, machine_paths,
    missing_from_table, root, source_files, unfinished, unlicensed, unordered_maps,
};

/// Floors on which time and chance are parameters, and where nothing may depend on the order of a hash.
const REPLAYED: [&str; 2] = ["engine/src/", "actors/src/"];

fn assert_none(rule: &str, findings: Vec<Finding>) {
    let list: Vec<String> = findings.iter().map(|finding| format!("  {finding}")).collect();
    assert!(findings.is_empty(), "{rule}:\n{}", list.join("\n"));
}

fn rust_files() -> Vec<SourceFile> {
    let files: Vec<SourceFile> = source_files().into_iter().filter(SourceFile::is_rust).collect();
    assert!(files.len() > 30, "the repository's Rust files were not found");
    files
}

fn deny_rules() -> DenyRules {
    DenyRules::parse(&std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml is at the root"))
}

#[test]
fn imports_run_downwards_only() {
    let metadata = Metadata::read();
    assert_none("every package has its floor", missing_from_table(&metadata));
    assert_none("imports run downwards only", forbidden_edges(&metadata));
}

#[test]
fn the_engine_is_pure() {
    assert_none("the engine waits for nothing and knows no driver", impurities(&Metadata::read()));
}

#[test]
fn no_bug_is_planted_in_what_is_shipped() {
    let metadata = Metadata::read();
    assert_eq!(metadata.members_with("planted"), [""; 0], "nobody may have it unasked");
    assert_eq!(metadata.members_with("reference").len(), 1, "and this would find it");
}

#[test]
fn packages_are_licensed_allowed_and_single() {
    let (metadata, rules) = (Metadata::read(), deny_rules());
    assert_none("licences and sources", unlicensed(&rules, &metadata));
    assert_none("banned packages", banned(&rules, &metadata));
    assert_none("one version of each package", duplicated(&rules, &metadata));
}

#[test]
fn files_have_one_job() {
    assert_none("file sizes", rust_files().iter().filter_map(|file| long_file(&file.path, &file.text)).collect());
}

#[test]
fn functions_fit_a_screen() {
    let found = rust_files().iter().flat_map(|file| long_functions(&file.path, &file.text)).collect();
    assert_none("function sizes", found);
}

#[test]
fn time_and_chance_are_parameters() {
    let files = rust_files();
    let replayed = files.iter().filter(|file| file.is_in(&REPLAYED));
    assert_none("time and chance", replayed.clone().flat_map(clock_and_chance).collect());
    assert_none("ordered maps", replayed.flat_map(unordered_maps).collect());
}

#[test]
fn lints_are_expected_and_never_allowed() {
    assert_none("lints", rust_files().iter().flat_map(allowed_lints).collect());
}

#[test]
fn a_providers_words_stay_with_it() {
    assert_none("neutral words", rust_files().iter().flat_map(foreign_words).collect());
}

#[test]
fn nothing_is_left_unfinished() {
    assert_none("unfinished", source_files().iter().flat_map(unfinished).collect());
}

#[test]
fn no_path_of_one_machine() {
    let files = source_files();
    // The rule's own words stand in its own file.
    let others = files.iter().filter(|file| file.path != "xtask/house/src/words.rs");
    assert_none("paths", others.flat_map(machine_paths).collect());
}

#[test]
fn links_in_documents_lead_somewhere() {
    let root = root();
    let documents = source_files().into_iter().filter(|file| file.path.ends_with(".md"));
    assert_none("links", documents.flat_map(|file| broken_links(&root, &file)).collect());
}

#[test]
fn the_readme_names_two_commands_and_no_third() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md is at the root");
    let expected: BTreeSet<String> = ["cargo run --release -- dev", "cargo xtask test"].map(str::to_owned).into();
    assert_eq!(commands_in(&readme), expected);
    assert_eq!(Metadata::read().run_by_default(), ["agentcal"], "the first of them starts one program, and this one");
}

#[test]
fn every_setting_is_documented() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("the file is there");
    let (settings, documented) = (read("agentcal/src/config/settings.rs"), read("docs/configuration.md"));
    let quoted = settings.split('"').filter(|text| text.starts_with("AGENTCAL_") && !text.ends_with('_'));
    let known: BTreeSet<&str> = quoted.collect();
    assert!(known.len() > 10, "the settings were not found");
    let missing: Vec<&str> = known.into_iter().filter(|name| !documented.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/configuration.md does not mention {missing:?}");
}

/// An image is built of what is in the repository: no build output, no data, no secrets of whoever builds it.
#[test]
fn images_are_built_of_the_repository_alone() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("the file is there");
    let (kept_out, unversioned) = (read(".dockerignore"), read(".gitignore"));
    let kept_out: BTreeSet<&str> = kept_out.lines().collect();
    let unversioned = unversioned.lines().map(|line| format!("**/{}", line.trim_end_matches('/')));
    let expected = unversioned.chain([".git", "**/node_modules", "**/.env"].map(str::to_owned));
    let missing: Vec<String> = expected.filter(|line| !kept_out.contains(line.as_str())).collect();
    assert!(missing.is_empty(), ".dockerignore lacks {missing:?}");
}
