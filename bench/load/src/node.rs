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
    internal_address: SocketAddr,
}

impl Node {
    /// Starts it and waits until it listens.
    pub(crate) fn start(binary: &Path, data: &Data) -> Result<Self, String> {
        Self::start_with(binary, data, LOG_FILE, &[])
    }

    /// Starts it with more settings, and a log of its own.
    pub(crate) fn start_with(binary: &Path, data: &Data, log: &str, settings: &[(&str, &str)]) -> Result<Self, String> {
        let log = data.file(log);
        let log_file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let mut command = Command::new(binary);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AGENTCAL_")) {
            command.env_remove(name);
        }
        command.arg("serve").env("AGENTCAL_DATABASE_URL", &data.database_url);
        command.env("AGENTCAL_ENCRYPTION_KEYS", &data.keyring).env("AGENTCAL_LOG_FORMAT", "json");
        command.env("AGENTCAL_LISTEN", "127.0.0.1:0").env("AGENTCAL_INTERNAL_LISTEN", "127.0.0.1:0");
        command.envs(settings.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log_file);
        let child = command.spawn().map_err(|error| format!("{}: {error}", binary.display()))?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut node = Self { child, log, address: nowhere, internal_address: nowhere };
        (node.address, node.internal_address) = node.wait_until_ready()?;
        Ok(node)
    }

    /// Where it listens, and its process.
    pub(crate) fn target(&self) -> Target {
        Target { address: self.address, pid: self.child.id() }
    }

    /// Where other nodes ask it.
    pub(crate) fn internal_address(&self) -> SocketAddr {
        self.internal_address
    }

    /// The end of its log, for whoever has to find out what went wrong.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn wait_until_ready(&mut self) -> Result<(SocketAddr, SocketAddr), String> {
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            if let Some(addresses) = text.lines().find_map(addresses_in) {
                return Ok(addresses);
            }
            if !matches!(self.child.try_wait(), Ok(None)) || begun.elapsed() > START_WITHIN {
                return Err(format!("the program did not start; it said:\n{}", self.last_words()));
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// The addresses in the line that says the program is ready: for everybody, and for other nodes.
fn addresses_in(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let address = |name: &str| line[name].as_str()?.parse().ok();
    (line["message"] == "ready").then(|| Some((address("address")?, address("internal_address")?)))?
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
    let check = |line: &str, expected: Option<(&str, &str)>| {
        let expected = expected.map(|(one, other)| (one.parse().expect("one"), other.parse().expect("one")));
        assert_eq!(addresses_in(line), expected, "{line}");
    };
    check(
        r#"{"level":"INFO","message":"ready","address":"127.0.0.1:4711","internal_address":"127.0.0.1:4712"}"#,
        Some(("127.0.0.1:4711", "127.0.0.1:4712")),
    );
    check(r#"{"level":"INFO","message":"steady","address":"127.0.0.1:4711"}"#, None);
    check("agentcal: no", None);
}
