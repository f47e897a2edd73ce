//! The api against the world: schemathesis, which nobody here wrote, reads the OpenAPI document of a running node and asks
//! whatever it allows and whatever it forbids. Any answer the document does not describe is a failure, and so is any 5xx
//! without a reason.

mod config;
mod stage;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use agentcal_testkit::{Dev, schemathesis, skip_or_fail, wait_for};

use crate::config::Config;
use crate::stage::Stage;

const BINARY: &str = env!("CARGO_BIN_EXE_agentcal");
/// The same requests in every run.
const SEED: &str = "1";
/// Longest run, many times what one takes.
const RUN_MAX: Duration = Duration::from_secs(420);
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,negative_data_rejection,unsupported_method,allow_header_conformance";

/// How much is asked.
#[derive(Clone, Copy)]
struct Effort {
    /// Drawn requests for each operation, beside those that go through the document field by field.
    examples: u32,
    /// Requests there must be at least: a run that asked little proves little.
    requests_min: u64,
}

#[test]
fn with_a_secret_key_every_answer_is_as_described() {
    let Some((dev, stage)) = begin() else { return };
    let config = Config::of(&stage, &dev.info().secret_key);
    run(&dev, &config, Effort { examples: 30, requests_min: 2_000 });
}

#[test]
fn with_a_publishable_key_every_answer_is_as_described() {
    let Some((dev, stage)) = begin() else { return };
    let config = Config::of(&stage, &dev.info().publishable_key);
    run(&dev, &config, Effort { examples: 5, requests_min: 1_000 });
}

fn begin() -> Option<(Dev, Stage)> {
    if schemathesis().is_none() {
        skip_or_fail("schemathesis is not installed");
        return None;
    }
    let dev = Dev::start(BINARY);
    let stage = Stage::set(&dev);
    Some((dev, stage))
}

fn run(dev: &Dev, config: &Config, effort: Effort) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("schemathesis.toml"), config.to_toml()).expect("a file");
    let said = ask(dev, folder.path(), effort);
    assert!(said.success, "schemathesis found fault:\n{}\nthe program said:\n{}", said.text, tail(&dev.said()));
    let line = said.text.lines().find(|line| line.contains(" generated,"));
    let line = line.unwrap_or_else(|| panic!("no summary in:\n{}", said.text)).trim();
    println!("{line}");
    let asked = line.split(' ').next().and_then(|number| number.parse::<u64>().ok()).expect("a number of test cases");
    assert!(asked >= effort.requests_min, "too little was asked: {line}");
}

struct Said {
    success: bool,
    text: String,
}

fn ask(dev: &Dev, folder: &Path, effort: Effort) -> Said {
    let program = schemathesis().expect("it was there before");
    let log = folder.join("said.txt");
    let (out, err) = (File::create(&log).expect("a file"), File::options().append(true).open(&log).expect("the file"));
    let mut command = Command::new(program);
    command.current_dir(folder).args(["--config-file", "schemathesis.toml", "--no-color", "run"]);
    command.arg(format!("{}/v1/openapi.json", dev.base_url()));
    command.args(["--phases", "examples,coverage,fuzzing", "--checks", CHECKS, "--seed", SEED]);
    command.args(["--generation-database", "none", "--request-timeout", "20", "--continue-on-failure"]);
    command.args(["--max-examples", &effort.examples.to_string()]);
    let mut child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().expect("schemathesis starts");
    let status = wait_for("the end of schemathesis", RUN_MAX, || child.try_wait().expect("a child can be waited for"));
    Said { success: status.success(), text: std::fs::read_to_string(log).expect("what it said") }
}

/// The last of a long text.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
