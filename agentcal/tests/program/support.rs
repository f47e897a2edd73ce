//! A caller of the running program.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use agentcal_testkit::{Dev, DevInfo, WAIT_MAX, skip_or_fail, wait_for};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_agentcal");

/// Longest wait for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Somebody with a key.
pub(crate) struct Caller {
    client: Client,
    base_url: String,
    key: String,
}

impl Caller {
    pub(crate) fn new(base_url: &str, key: &str) -> Self {
        // Another test of this process may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().timeout(ANSWER_MAX).build().expect("a client");
        Self { client, base_url: base_url.to_owned(), key: key.to_owned() }
    }

    pub(crate) fn of(dev: &Dev) -> Self {
        Self::new(dev.base_url(), &dev.info().secret_key)
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = self.client.request(method, format!("{}{path}", self.base_url)).bearer_auth(&self.key);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let response = request.send().await.expect("an answer");
        let status = response.status();
        let text = response.text().await.expect("a whole answer");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn get_ok(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.send(Method::POST, path, Some(body)).await
    }

    /// The open slots of the question.
    pub(crate) async fn slots(&self, info: &DevInfo, days: u64, query: &str) -> Vec<Value> {
        let today = today();
        let last = today + chrono::Days::new(days - 1);
        let path = format!("/v1/accounts/{}/availability?start_date={today}&end_date={last}&{query}", info.account_id);
        // On a busy machine the first answer may come before everything was read.
        let began = Instant::now();
        loop {
            let answer = self.get_ok(&path).await;
            if answer["freshness"]["state"] == "complete" {
                return answer["slots"].as_array().expect("slots").clone();
            }
            assert!(began.elapsed() < WAIT_MAX, "{answer}");
        }
    }

    /// Open slots of the demo event type.
    pub(crate) async fn demo_slots(&self, info: &DevInfo) -> Vec<Value> {
        self.slots(info, 14, &format!("event_type_id={}", info.event_type_id)).await
    }

    pub(crate) async fn book(&self, info: &DevInfo, start_time: &Value) -> (StatusCode, Value) {
        self.post(&bookings_path(info), booking(info, start_time)).await
    }
}

/// The present day in UTC.
pub(crate) fn today() -> chrono::NaiveDate {
    #[expect(clippy::disallowed_methods, reason = "a caller outside the program has a clock of its own")]
    let now = std::time::SystemTime::now();
    chrono::DateTime::<chrono::Utc>::from(now).date_naive()
}

pub(crate) fn bookings_path(info: &DevInfo) -> String {
    format!("/v1/accounts/{}/bookings", info.account_id)
}

/// The body of a booking request.
pub(crate) fn booking(info: &DevInfo, start_time: &Value) -> Value {
    json!({
        "event_type_id": info.event_type_id,
        "start_time": start_time,
        "attendee": { "name": "Ada Lovelace", "email": "ada@example.com" },
    })
}

/// The program with these arguments, and nothing of ours in its environment.
pub(crate) fn program(arguments: &[&str]) -> Command {
    command(PROGRAM, arguments)
}

/// The program where no file may become longer than a few kilobytes: to whoever needs a longer one, the disk is full.
pub(crate) fn cramped_program(arguments: &[&str]) -> Command {
    const SCRIPT: &str = r#"trap '' XFSZ; ulimit -f 16; exec "$0" "$@""#;
    command("sh", &[&["-c", SCRIPT, PROGRAM], arguments].concat())
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AGENTCAL_") {
            command.env_remove(name);
        }
    }
    command
}

/// What the program said before it ended by itself.
pub(crate) struct Said {
    pub(crate) success: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command to its end, which must come by itself.
pub(crate) fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Said {
    run_to_end(program(arguments), variables)
}

/// The same for a command that was made already. What it says goes to files: a pipe that nobody empties would stop it.
pub(crate) fn run_to_end(mut command: Command, variables: &[(&str, &str)]) -> Said {
    let [mut out, mut err] = [(); 2].map(|()| tempfile::tempfile().expect("a temporary file"));
    let for_program = |file: &File| file.try_clone().expect("a file handle can be cloned");
    command.envs(variables.iter().copied()).stdout(for_program(&out)).stderr(for_program(&err));
    let success = Running::start(command).wait_for_end().success();
    Said { success, out: content(&mut out), err: content(&mut err) }
}

fn content(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().expect("a file can be rewound");
    file.read_to_end(&mut bytes).expect("a file can be read");
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

/// A command on the data folder of `agentcal dev`.
pub(crate) fn run_beside(arguments: &[&str], data_dir: &Path) -> Said {
    let data_dir = data_dir.to_str().expect("temporary folders have plain names");
    run(&[arguments, &["--data-dir", data_dir]].concat(), &[])
}

/// What lines print when they are pasted into a shell in this folder; `None` where the tools of the lines are missing.
pub(crate) fn shell(lines: &str, folder: &Path) -> Option<String> {
    let has = |tool: &str| Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    if let Some(tool) = ["bash", "curl"].into_iter().find(|tool| !has(tool)) {
        skip_or_fail(&format!("{tool} is not installed"));
        return None;
    }
    let output = Command::new("bash").args(["-c", lines]).current_dir(folder).output().expect("bash starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{lines}\nended with {}:\n{said}\n{complaint}", output.status);
    Some(said)
}

/// A program that is killed when the test ends, however it ends.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        Self(command.spawn().expect("the program starts"))
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("a child can be waited for")
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        let sent = Command::new("kill").arg(format!("-{name}")).arg(pid).status();
        assert!(sent.is_ok_and(|status| status.success()), "signal {name} cannot be sent");
    }

    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        wait_for("the program's end", WAIT_MAX, || self.ended())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
