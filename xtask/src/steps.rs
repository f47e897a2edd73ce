//! The steps of `cargo xtask test`, in order, cheap ones first.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::run::{Failure, followed, shown};
use crate::workspace::Workspace;
use crate::{counts, node, python, servers, tools};

/// What a step is called on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StepName {
    /// Formatting.
    Fmt,
    /// The rules of the house.
    House,
    /// Licences, sources and banned packages.
    Deny,
    /// Clippy, every warning an error.
    Clippy,
    /// All other tests.
    Test,
}

/// What was checked: tests one by one; a step without tests counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Count {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Count {
    const PASSED: Self = Self { passed: 1, failed: 0, ignored: 0 };
    const FAILED: Self = Self { passed: 0, failed: 1, ignored: 0 };

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

struct Done {
    name: StepName,
    count: Count,
    took: Duration,
}

/// Runs one step, or all of them. A failed step does not keep the next from telling what it finds.
pub(crate) fn run(workspace: &Workspace, only: Option<StepName>) -> ExitCode {
    let mut done = Vec::new();
    for &name in StepName::value_variants() {
        if only.is_none_or(|only| only == name) {
            println!("\n== {} ==", name.title());
            let started = Instant::now();
            let count = name.perform(workspace).unwrap_or_else(|failure| {
                eprintln!("error: {failure}");
                Count::FAILED
            });
            done.push(Done { name, count, took: started.elapsed() });
        }
    }
    summarise(&done)
}

fn summarise(done: &[Done]) -> ExitCode {
    println!();
    let mut sum = Count::default();
    for step in done {
        let verdict = if step.count.failed == 0 { "ok" } else { "FAILED" };
        println!("{:<38} {verdict:<7} {:>7.1} s", step.name.title(), step.took.as_secs_f64());
        sum.add(step.count);
    }
    println!("\n{}", closing_line(sum));
    if sum.failed == 0 && sum.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn closing_line(sum: Count) -> String {
    let skipped = if sum.ignored > 0 { format!(", {} skipped", sum.ignored) } else { String::new() };
    format!("{} passed, {} failed{skipped}", sum.passed, sum.failed)
}

impl StepName {
    fn title(self) -> &'static str {
        match self {
            Self::Fmt => "fmt: formatting",
            Self::House => "house: floors, sizes, words, links",
            Self::Deny => "deny: licences, sources, bans",
            Self::Clippy => "clippy: warnings are errors",
            Self::Test => "test: everything else",
        }
    }

    fn perform(self, workspace: &Workspace) -> Result<Count, Failure> {
        match self {
            Self::Fmt => checked(workspace.cargo().args(["fmt", "--all", "--check"])),
            Self::House => tested(workspace.cargo().args(["test", "--package", "agentcal-house"])),
            Self::Deny => {
                let mut command = Command::new(tools::cargo_deny(workspace)?);
                command.current_dir(&workspace.root).args(["--workspace", "--locked"]);
                checked(command.args(["check", "bans", "licenses", "sources"]))
            }
            Self::Clippy => {
                let mut command = workspace.cargo();
                checked(command.args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
            }
            Self::Test => {
                servers::ensure()?;
                let mut command = workspace.cargo();
                command.args(["test", "--workspace", "--exclude", "agentcal-house", "--locked", "--no-fail-fast"]);
                command.env("AGENTCAL_TEST_REQUIRE_SERVERS", "1");
                let venv = python::ensure(workspace, &python::CALDAV)?;
                command.env("AGENTCAL_TEST_NODE_MODULES", node::ensure(workspace, &venv)?);
                command.env("AGENTCAL_TEST_VENV", venv);
                command.env(counts::PROGRAM_VARIABLE, counts::program(workspace)?);
                let schemathesis = python::ensure(workspace, &python::SCHEMATHESIS)?;
                tested(command.env("AGENTCAL_TEST_SCHEMATHESIS_VENV", schemathesis))
            }
        }
    }
}

/// A step without tests.
fn checked(command: &mut Command) -> Result<Count, Failure> {
    shown(command).map(|()| Count::PASSED)
}

/// A step whose tests are counted. One that fails without a failed test, because it does not compile say, failed once.
fn tested(command: &mut Command) -> Result<Count, Failure> {
    let mut count = Count::default();
    let ended_well = followed(command, |line| count.add(counted(line).unwrap_or_default()))?;
    if !ended_well && count.failed == 0 {
        count.failed = 1;
    }
    Ok(count)
}

/// Reads `test result: ok. 12 passed; 0 failed; 1 ignored; ..`.
fn counted(line: &str) -> Option<Count> {
    let (_, numbers) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
    let number = |unit: &str| {
        let part = numbers.split("; ").find_map(|part| part.strip_suffix(unit))?;
        part.trim().parse::<u64>().ok()
    };
    Some(Count { passed: number("passed")?, failed: number("failed")?, ignored: number("ignored")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_tests_are_read() {
        let check = |line: &str, expected: Option<(u64, u64, u64)>| {
            let expected = expected.map(|(passed, failed, ignored)| Count { passed, failed, ignored });
            assert_eq!(counted(line), expected, "{line}");
        };
        let tail = "0 measured; 0 filtered out; finished in 0.00s";
        check(&format!("test result: ok. 12 passed; 0 failed; 1 ignored; {tail}"), Some((12, 0, 1)));
        check(&format!("test result: FAILED. 3 passed; 2 failed; 0 ignored; {tail}"), Some((3, 2, 0)));
        check("running 3 tests", None);
        check("test result: unheard of", None);
    }

    #[test]
    fn the_closing_line_says_what_happened() {
        assert_eq!(closing_line(Count { passed: 3, failed: 0, ignored: 0 }), "3 passed, 0 failed");
        assert_eq!(closing_line(Count { passed: 3, failed: 1, ignored: 2 }), "3 passed, 1 failed, 2 skipped");
    }
}
