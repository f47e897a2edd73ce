//! The api against the world: schemathesis, which nobody here wrote, reads the OpenAPI document of a running node and asks
//! whatever it allows and whatever it forbids. Any answer the document does not describe is a failure, and so is any 5xx
//! without a reason.

mod config;
mod depth;
mod stage;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use agentcal_testkit::{Dev, schemathesis, skip_or_fail, wait_for};

use crate::depth::Depth;
use crate::stage::Stage;

const BINARY: &str = env!("CARGO_BIN_EXE_agentcal");
/// The same requests in every run.
const SEED: &str = "1";
/// Every request and its answer, in the folder of the run.
const REPORT: &str = "report.ndjson";
/// Longest run, many times what one takes.
const RUN_MAX: Duration = Duration::from_secs(420);
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,negative_data_rejection,unsupported_method,allow_header_conformance";

/// How much is asked.
#[derive(Clone, Copy)]
struct Effort {
    /// Of the folder with the reports.
    name: &'static str,
    /// Drawn requests for each operation, beside those that go through the document field by field.
    examples: u32,
    /// Requests there must be at least: a run that asked little proves little.
    requests_min: usize,
}

/// Room for what is asked, and OAuth clients that somebody could be sent to consent by: nobody goes.
const SETTINGS: [(&str, &str); 7] = [
    ("AGENTCAL_HOLDS_PER_USER_MAX", "1000"),
    ("AGENTCAL_HOLDS_PER_SESSION_MAX", "1000"),
    ("AGENTCAL_GOOGLE_CLIENT_ID", "world"),
    ("AGENTCAL_GOOGLE_CLIENT_SECRET", "nobody's"),
    ("AGENTCAL_MICROSOFT_CLIENT_ID", "world"),
    ("AGENTCAL_MICROSOFT_CLIENT_SECRET", "nobody's"),
    ("AGENTCAL_OAUTH_REDIRECT_URLS", config::REDIRECT_URL),
];

/// What is there is deleted last.
const PASSES: [(&str, &[&str]); 2] =
    [("everything-else", &["--exclude-method", "DELETE"]), ("deletions", &["--include-method", "DELETE"])];

#[test]
fn with_a_secret_key_every_answer_is_as_described() {
    let Some((dev, stage)) = begin() else { return };
    let depth = run(&dev, &stage, &dev.info().secret_key, Effort { name: "secret", examples: 25, requests_min: 2_500 });
    // Within minutes nothing is given up, so that there is nothing to retry; the tests of the API have it.
    assert_eq!(
        depth::never_done(&depth),
        ["POST /v1/jobs/{job_id}/retry"],
        "requests that all fail prove little; the stage must have more"
    );
}

#[test]
fn with_a_publishable_key_every_answer_is_as_described() {
    let Some((dev, stage)) = begin() else { return };
    run(&dev, &stage, &dev.info().publishable_key, Effort { name: "publishable", examples: 4, requests_min: 1_500 });
}

fn begin() -> Option<(Dev, Stage)> {
    if schemathesis().is_none() {
        skip_or_fail("schemathesis is not installed");
        return None;
    }
    let dev = Dev::start_with(BINARY, &SETTINGS);
    let stage = Stage::set(&dev);
    Some((dev, stage))
}

fn run(dev: &Dev, stage: &Stage, key: &str, effort: Effort) -> Depth {
    let mut depth = Depth::new();
    for (pass, operations) in PASSES {
        // Stays after the test, for whoever wants to know what was asked.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("world").join(effort.name).join(pass);
        std::fs::create_dir_all(&folder).expect("a folder");
        let write = |name: &str, content: String| std::fs::write(folder.join(name), content).expect("a file");
        write("schemathesis.toml", config::to_toml(stage, key));
        write("real_ids.json", config::real_ids(stage).to_string());
        write("real_ids.py", include_str!("../python/real_ids.py").to_owned());
        let said = ask(dev, &folder, operations, effort.examples);
        assert!(said.success, "schemathesis found fault:\n{}\nthe program said:\n{}", said.text, tail(&dev.said()));
        depth.extend(depth::read(&folder.join(REPORT)));
    }
    for (operation, statuses) in &depth {
        println!("{operation}: {statuses:?}");
    }
    let asked: usize = depth.values().flat_map(BTreeMap::values).sum();
    println!("{asked} requests with a {} key", effort.name);
    assert!(asked >= effort.requests_min, "only {asked} requests were made");
    depth
}

struct Said {
    success: bool,
    text: String,
}

fn ask(dev: &Dev, folder: &Path, operations: &[&str], examples: u32) -> Said {
    let program = schemathesis().expect("it was there before");
    let log = folder.join("said.txt");
    let (out, err) = (File::create(&log).expect("a file"), File::options().append(true).open(&log).expect("the file"));
    let mut command = Command::new(program);
    command.current_dir(folder).env("PYTHONPATH", folder).args([
        "--config-file",
        "schemathesis.toml",
        "--no-color",
        "run",
    ]);
    command.arg(format!("{}/v1/openapi.json", dev.base_url())).args(operations);
    command.args(["--phases", "examples,coverage,fuzzing", "--checks", CHECKS, "--seed", SEED]);
    command.args(["--generation-database", "none", "--request-timeout", "20", "--continue-on-failure"]);
    command.args(["--max-examples", &examples.to_string(), "--report-ndjson-path", REPORT]);
    let mut child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().expect("schemathesis starts");
    let status = wait_for("the end of schemathesis", RUN_MAX, || child.try_wait().expect("a child can be waited for"));
    Said { success: status.success(), text: std::fs::read_to_string(log).expect("what it said") }
}

/// The last of a long text.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
