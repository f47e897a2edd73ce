//! Words that may not be written, or not everywhere.

use crate::Finding;
use crate::files::SourceFile;
use crate::syntax::{Token, lines_with, tokens, words_of};

/// Ways to a clock or to chance. Both are parameters below the api (law 12).
const CLOCK_AND_CHANCE: [&str; 10] = [
    "Utc : : now",
    "Local : : now",
    "SystemTime : : now",
    "std : : time : : Instant",
    "thread_rng",
    "rand : : rng",
    "rand : : random",
    "OsRng",
    "Uuid : : now_v7",
    "Uuid : : new_v4",
];

/// One provider's words, as words of an identifier, and where they are at home.
const FOREIGN_WORDS: [(&[&str], &[&str]); 8] = [
    (
        &["sync", "token"],
        &["providers/google/", "providers/caldav/", "xtask/fakes/google/", "bench/soak/src/cloud/google.rs"],
    ),
    (&["watch", "channel"], &["providers/google/", "xtask/fakes/google/"]),
    (&["push", "channel"], &["providers/google/", "xtask/fakes/google/"]),
    (&["channel", "id"], &["providers/google/", "xtask/fakes/google/"]),
    (&["subscription"], &["providers/microsoft/", "xtask/fakes/microsoft/"]),
    (&["delta", "link"], &["providers/microsoft/", "xtask/fakes/microsoft/"]),
    (&["href"], &["providers/caldav/"]),
    (&["ctag"], &["providers/caldav/"]),
];

/// Where a file may lie on somebody's machine and on nobody else's.
const MACHINE_PATHS: [&str; 5] = ["/home/", "/root/", "/Users/", concat!("/wo", "rk/"), "C:\\"];

/// Marks of what is not finished. Spelled in two halves, or this file would find itself.
const UNFINISHED: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!(")];

/// Reads of a clock and draws of chance.
pub fn clock_and_chance(file: &SourceFile) -> Vec<Finding> {
    matches(file, &CLOCK_AND_CHANCE, "reads a clock or draws chance; take it as a parameter")
}

/// Maps and sets whose order changes from run to run.
pub fn unordered_maps(file: &SourceFile) -> Vec<Finding> {
    matches(file, &["HashMap", "HashSet"], "has no stable order; use the BTree one, so that a seed replays a run")
}

/// Lints switched off where they should be expected.
pub fn allowed_lints(file: &SourceFile) -> Vec<Finding> {
    matches(file, &["# [ allow", "# ! [ allow"], "write expect(lint, reason = \"..\") instead")
}

fn matches(file: &SourceFile, patterns: &[&str], why: &str) -> Vec<Finding> {
    let tokens = tokens(&file.path, &file.text);
    let found = |pattern: &&str| {
        let shown = pattern.replace(' ', "");
        lines_with(&tokens, pattern).into_iter().map(move |line| (line, shown.clone())).collect::<Vec<_>>()
    };
    let findings = patterns.iter().flat_map(found);
    findings.map(|(line, shown)| Finding::at(&file.path, line, format!("`{shown}`: {why}"))).collect()
}

/// One provider's words outside its folder.
pub fn foreign_words(file: &SourceFile) -> Vec<Finding> {
    let tokens = tokens(&file.path, &file.text);
    let idents = tokens.iter().filter(|token| token.is_ident);
    idents.filter_map(|token| foreign_word(file, token)).collect()
}

fn foreign_word(file: &SourceFile, token: &Token) -> Option<Finding> {
    let words = words_of(&token.text);
    let (_, homes) = FOREIGN_WORDS.iter().find(|(foreign, homes)| {
        !file.is_in(homes) && words.windows(foreign.len()).any(|window| window.iter().eq(foreign.iter()))
    })?;
    Some(Finding::at(&file.path, token.line, format!("`{}` belongs to {}", token.text, homes.join(" and "))))
}

/// Paths that exist on one machine only.
pub fn machine_paths(file: &SourceFile) -> Vec<Finding> {
    lines_of(
        file,
        &MACHINE_PATHS,
        |before| !before.is_alphanumeric() && !"._}~-".contains(before),
        "is a path of one machine",
    )
}

/// Marks of unfinished work.
pub fn unfinished(file: &SourceFile) -> Vec<Finding> {
    lines_of(file, &UNFINISHED, |before| !before.is_alphanumeric() && before != '_', "marks what is not finished")
}

/// Lines on which a text stands and is not the tail of something longer.
fn lines_of(file: &SourceFile, wanted: &[&str], may_precede: impl Fn(char) -> bool, why: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for text in wanted {
            let stands =
                line.match_indices(text).any(|(at, _)| line[..at].chars().next_back().is_none_or(&may_precede));
            if stands {
                found.push(Finding::at(&file.path, index + 1, format!("`{text}` {why}")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rule: fn(&SourceFile) -> Vec<Finding>, path: &str, text: &str) -> Vec<usize> {
        let file = SourceFile { path: path.to_owned(), text: text.to_owned() };
        rule(&file).into_iter().filter_map(|finding| finding.line).collect()
    }

    #[test]
    fn each_rule_finds_what_it_forbids_and_nothing_else() {
        let check = |rule: fn(&SourceFile) -> Vec<Finding>, text: &str, expected: &[usize]| {
            assert_eq!(lines(rule, "engine/src/sample.rs", text), expected, "{text}");
        };
        check(clock_and_chance, "fn f() { chrono::Utc::now(); }", &[1]);
        check(clock_and_chance, "use std::time::Instant;", &[1]);
        check(clock_and_chance, "fn f(clock: &dyn Clock) { clock.now(); } // Utc::now", &[]);
        check(unordered_maps, "use std::collections::HashMap;", &[1]);
        check(unordered_maps, "use std::collections::BTreeMap;", &[]);
        check(allowed_lints, "\n#[allow(dead_code)] fn f() {}", &[2]);
        check(allowed_lints, "#[expect(dead_code, reason = \"shown\")] fn f() {}", &[]);
        check(machine_paths, "let a = \"/home/me\";", &[1]);
        check(machine_paths, "let a = \"https://example.com/home/me\";", &[]);
        check(unfinished, concat!("// TO", "DO: later"), &[1]);
        check(unfinished, "const MASTODONS: u8 = 1;", &[]);
    }

    #[test]
    fn a_providers_words_stay_in_its_folder() {
        let check = |path: &str, text: &str, expected: &[usize]| {
            assert_eq!(lines(foreign_words, path, text), expected, "{path}: {text}");
        };
        check("engine/src/sample.rs", "struct A { sync_token: String }", &[1]);
        check("providers/caldav/src/sample.rs", "struct A { sync_token: String, href: String }", &[]);
        check("providers/google/src/sample.rs", "struct A { sync_token: String, href: String }", &[1]);
        check("actors/src/sample.rs", "fn f() { tokio::sync::mpsc::channel(1); tracing_subscriber::fmt(); }", &[]);
        check("actors/src/sample.rs", "fn renew_subscription() {}", &[1]);
        check("providers/microsoft/src/sample.rs", "fn renew_subscription(delta_link: &str) {}", &[]);
    }
}
