//! A running `agentcal serve` on a data set, as a process of its own.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::data::Data;
use crate::drive::Target;

const START_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);
const LOG_FILE: &str = "node.log";

/// The program; killed on drop.
pub(crate) struct Node {
    child: Child,
    log: PathBuf,
    address: SocketAddr,
}

impl Node {
    /// Starts it and waits until it listens.
    pub(crate) fn start(binary: &Path, data: &Data) -> Result<Self, String> {
        let log = data.file(LOG_FILE);
        let log_file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let mut command = Command::new(binary);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AGENTCAL_")) {
            command.env_remove(name);
        }
        command.arg("serve").env("AGENTCAL_DATABASE_URL", data.database_url());
        command.env("AGENTCAL_ENCRYPTION_KEYS", &data.keyring).env("AGENTCAL_LOG_FORMAT", "json");
        command.env("AGENTCAL_LISTEN", "127.0.0.1:0").env("AGENTCAL_INTERNAL_LISTEN", "127.0.0.1:0");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log_file);
        let child = command.spawn().map_err(|error| format!("{}: {error}", binary.display()))?;
        let mut node = Self { child, log, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        node.address = node.wait_until_ready()?;
        Ok(node)
    }

    /// Where it listens, and its process.
    pub(crate) fn target(&self) -> Target {
        Target { address: self.address, pid: self.child.id() }
    }

    /// The end of its log, for whoever has to find out what went wrong.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }

    fn wait_until_ready(&mut self) -> Result<SocketAddr, String> {
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            if let Some(address) = text.lines().find_map(address_in) {
                return Ok(address);
            }
            if !matches!(self.child.try_wait(), Ok(None)) || begun.elapsed() > START_WITHIN {
                return Err(format!("the program did not start; it said:\n{}", self.last_words()));
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// The address in the line that says the program is ready.
fn address_in(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == "ready").then(|| line["address"].as_str()?.parse().ok())?
}

impl Drop for Node {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_ready_line_says_where() {
    let check = |line: &str, expected: Option<&str>| {
        assert_eq!(address_in(line), expected.map(|address| address.parse().expect("an address")), "{line}");
    };
    check(r#"{"level":"INFO","message":"ready","address":"127.0.0.1:4711"}"#, Some("127.0.0.1:4711"));
    check(r#"{"level":"INFO","message":"steady","address":"127.0.0.1:4711"}"#, None);
    check("agentcal: no", None);
}
