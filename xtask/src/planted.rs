//! Bugs planted on purpose, and the check that must find each: a suite that finds nothing proves nothing.

use std::collections::BTreeSet;
use std::process::Command;

use crate::run::Failure;
use crate::servers;
use crate::workspace::Workspace;

/// Most characters that are shown of what a test said.
const WORDS_LEN_MAX: usize = 120;

/// A program of tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Program {
    package: &'static str,
    test: &'static str,
}

/// Several nodes on a simulated store, on virtual time.
const NODES: Program = Program { package: "agentcal-sim-store", test: "nodes" };
/// The store on PostgreSQL.
const POSTGRES: Program = Program { package: "agentcal-store-postgres", test: "postgres" };

/// A bug, and the test that must fail with it and with nothing else.
struct Row {
    bug: &'static str,
    program: Program,
    case: &'static str,
}

const fn row(bug: &'static str, program: Program, case: &'static str) -> Row {
    Row { bug, program, case }
}

const ROWS: [Row; 15] = [
    row("no-fence", POSTGRES, "conformance::ownership::a_takeover_fences_its_shard_alone"),
    row("plain-select-fence", POSTGRES, "fences::a_takeover_waits_for_a_commit_in_flight"),
    row("cache-before-commit", NODES, "stories::nobody_reads_of_what_is_not_yet_committed"),
    row("effects-outside", POSTGRES, "conformance::commits::what_follows_stands_or_falls_with_its_booking"),
    row("no-revision-check", POSTGRES, "conformance::commits::stale_revisions_refuse"),
    row("expired-hold-kept", POSTGRES, "conformance::holds::an_expired_hold_neither_blocks_nor_survives"),
    row("old-epoch-accepted", NODES, "heirs::a_cache_that_lost_everything_is_not_filled_with_what_a_former_owner_knew"),
    row("eternal-beat", NODES, "heirs::no_word_of_an_owner_counts_for_longer_than_it_was_given_for"),
    row("id-not-used-up", POSTGRES, "conformance::used_commits::a_shared_commit_is_performed_once"),
    row("refusal-uses-nothing", NODES, "stories::what_was_refused_past_the_owner_is_never_performed_by_it"),
    row("any-epoch-replaces", NODES, "heirs::what_a_former_owner_says_late_replaces_nothing_of_its_heir"),
    row("heir-not-told", NODES, "heirs::the_heir_of_a_dead_owner_hears_at_once_of_what_was_sold_past_it"),
    row("touched-unheard", NODES, "stories::past_an_owner_that_is_cut_off_bookings_go_on_and_it_hears_of_them"),
    row("lease-forever", NODES, "stories::an_owner_without_its_store_serves_no_memories"),
    row("beat-while-owing", NODES, "stories::no_beat_is_said_while_facts_are_owed_to_the_cache"),
];

/// Plants each bug in turn, and prints what found it.
///
/// # Errors
/// When a check fails without a bug, or does not with it.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    servers::ensure()?;
    let programs: BTreeSet<Program> = ROWS.iter().map(|row| row.program).collect();
    for program in programs {
        let cases: Vec<&str> = ROWS.iter().filter(|row| row.program == program).map(|row| row.case).collect();
        let seen = look(workspace, program, &cases, None)?;
        if seen.passed != cases.len() || seen.failed > 0 {
            return Err(Failure(format!("without a bug, of {cases:?}: {seen:?}")));
        }
    }
    let mut unnoticed = Vec::new();
    println!("| bug | found by | which says |\n|---|---|---|");
    for Row { bug, program, case } in &ROWS {
        let seen = look(workspace, *program, &[case], Some(bug))?;
        let words = if seen.failed == 1 { seen.words } else { "NOTHING".to_owned() };
        println!("| {bug} | `{case}` ({}) | {words} |", program.package);
        if seen.failed != 1 {
            unnoticed.push(*bug);
        }
    }
    match unnoticed.as_slice() {
        [] => {
            println!("\nverdict=pass: each of {} planted bugs was found by the check that is named", ROWS.len());
            Ok(())
        }
        bugs => Err(Failure(format!("nothing noticed {bugs:?}"))),
    }
}

/// What came of some tests.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    passed: usize,
    failed: usize,
    /// What the first one that failed said.
    words: String,
}

/// Runs tests by their whole names, with a bug or without.
fn look(workspace: &Workspace, program: Program, cases: &[&str], bug: Option<&str>) -> Result<Seen, Failure> {
    let mut command: Command = workspace.cargo();
    command.args(["test", "--locked", "--features", "planted", "--package", program.package, "--test", program.test]);
    command.args(["--", "--exact"]).args(cases).env("AGENTCAL_TEST_REQUIRE_SERVERS", "1").env("RUST_BACKTRACE", "0");
    command.env_remove("AGENTCAL_PLANTED").envs(bug.map(|bug| ("AGENTCAL_PLANTED", bug)));
    let output = command.output().map_err(|error| Failure(format!("cargo does not start: {error}")))?;
    let seen = read(&String::from_utf8_lossy(&output.stdout));
    if seen.passed + seen.failed == 0 {
        return Err(Failure(format!("no test ran: {}", String::from_utf8_lossy(&output.stderr))));
    }
    Ok(seen)
}

/// Reads what a program of tests prints.
fn read(text: &str) -> Seen {
    let count = |end: &str| text.lines().filter(|line| line.starts_with("test ") && line.ends_with(end)).count();
    let said = text.lines().skip_while(|line| !line.contains(" panicked at ")).skip(1);
    let said = said.take_while(|line| !line.is_empty() && !line.starts_with("note: ")).map(str::trim);
    let words: String = said.collect::<Vec<_>>().join("; ").chars().take(WORDS_LEN_MAX).collect();
    Seen { passed: count(" ... ok"), failed: count(" ... FAILED"), words: words.replace('|', "\\|") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_test_is_read_with_its_words() {
        let text = "running 2 tests\ntest a::b ... ok\ntest a::c ... FAILED\n\nfailures:\n\n---- a::c stdout ----\n\n\
                    thread 'a::c' (7) panicked at x.rs:1:2:\nassertion failed: a | b\nnote: run with\n\n\
                    test result: FAILED. 1 passed; 1 failed";
        let expected = Seen { passed: 1, failed: 1, words: "assertion failed: a \\| b".to_owned() };
        assert_eq!(read(text), expected);
        assert_eq!(read("error: could not compile"), Seen::default());
    }

    #[test]
    fn the_page_names_every_bug_and_what_finds_it() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/proof.md")).expect("there");
        let named = |row: &&Row| page.contains(&format!("| {} | `{}`", row.bug, row.case));
        let missing: Vec<&str> = ROWS.iter().filter(|row| !named(row)).map(|row| row.bug).collect();
        assert!(missing.is_empty(), "docs/proof.md does not say what finds {missing:?}");
    }
}
