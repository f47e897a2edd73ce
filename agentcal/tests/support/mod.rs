//! A caller of the running program.

#![expect(dead_code, reason = "x")]

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use agentcal_testkit::{Dev, DevInfo, WAIT_MAX, wait_for};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_agentcal");

/// Longest wait for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Somebody with a key.
pub struct Caller {
    client: Client,
    base_url: String,
    key: String,
}

impl Caller {
    pub fn new(base_url: &str, key: &str) -> Self {
        // Another test of this process may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().timeout(ANSWER_MAX).build().expect("a client");
        Self { client, base_url: base_url.to_owned(), key: key.to_owned() }
    }

    pub fn of(dev: &Dev) -> Self {
        Self::new(dev.base_url(), &dev.info().secret_key)
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
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

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.send(Method::GET, path, None).await
    }

    pub async fn get_ok(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.send(Method::POST, path, Some(body)).await
    }

    /// The open slots of the question.
    pub async fn slots(&self, info: &DevInfo, days: u64, query: &str) -> Vec<Value> {
        let today = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()).date_naive();
        let last = today + chrono::Days::new(days - 1);
        let path = format!("/v1/accounts/{}/availability?start_date={today}&end_date={last}&{query}", info.account_id);
        let answer = self.get_ok(&path).await;
        assert_eq!(answer["freshness"]["state"], "complete", "{answer}");
        answer["slots"].as_array().expect("slots").clone()
    }

    /// Open slots of the demo event type.
    pub async fn demo_slots(&self, info: &DevInfo) -> Vec<Value> {
        self.slots(info, 14, &format!("event_type_id={}", info.event_type_id)).await
    }

    pub async fn book(&self, info: &DevInfo, start_time: &Value) -> (StatusCode, Value) {
        self.post(&bookings_path(info), booking(info, start_time)).await
    }
}

pub fn bookings_path(info: &DevInfo) -> String {
    format!("/v1/accounts/{}/bookings", info.account_id)
}

/// The body of a booking request.
pub fn booking(info: &DevInfo, start_time: &Value) -> Value {
    json!({
        "event_type_id": info.event_type_id,
        "start_time": start_time,
        "attendee": { "name": "Ada Lovelace", "email": "ada@example.com" },
    })
}

/// The program with these arguments, and nothing of ours in its environment.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AGENTCAL_") {
            command.env_remove(name);
        }
    }
    command
}

/// What the program said before it ended by itself.
pub struct Said {
    pub success: bool,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
        Self { success: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs a command to its end.
pub fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Said {
    program(arguments).envs(variables.iter().copied()).output().expect("the program starts").into()
}

/// A command on the data folder of `agentcal dev`.
pub fn run_beside(arguments: &[&str], data_dir: &Path) -> Said {
    let data_dir = data_dir.to_str().expect("temporary folders have plain names");
    run(&[arguments, &["--data-dir", data_dir]].concat(), &[])
}

/// A program that is killed when the test ends, however it ends.
pub struct Running(pub Child);

impl Running {
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.0.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "signal {name} cannot be sent");
    }

    pub fn wait_for_end(&mut self) -> ExitStatus {
        wait_for("the program's end", WAIT_MAX, || self.0.try_wait().expect("a child can be waited for"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
