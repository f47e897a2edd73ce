//! A running `agentcal dev`, asked over HTTP.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::process;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The program; killed on drop.
pub(crate) struct Program {
    child: Child,
}

impl Program {
    /// Starts it on a data folder and a spare port.
    pub(crate) fn start(binary: &Path, data_dir: &Path) -> io::Result<Self> {
        let mut command = Command::new(binary);
        command.args(["dev", "--port", "0", "--data-dir"]).arg(data_dir);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { child: command.spawn()? })
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory in MiB, as the system counts it; `None` where it does not say.
    pub(crate) fn resident_mib(&self) -> Option<f64> {
        process::resident_mib(self.child.id())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A question about availability, ready to be asked.
pub(crate) struct Question {
    address: SocketAddr,
    request: String,
}

impl Question {
    /// When is the demo's event type free in the next two weeks? `None` while the program has not said where it listens.
    pub(crate) fn about(data_dir: &Path, first_day: &str, last_day: &str) -> Option<Self> {
        let value: Value = serde_json::from_slice(&fs::read(data_dir.join("dev.json")).ok()?).ok()?;
        let text = |name: &str| value[name].as_str();
        let address = text("base_url")?.strip_prefix("http://")?.parse().ok()?;
        let path = format!(
            "/v1/accounts/{}/availability?event_type_id={}&start_date={first_day}&end_date={last_day}",
            text("account_id")?,
            text("event_type_id")?
        );
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
            text("secret_key")?
        );
        Some(Self { address, request })
    }

    /// Whether it was answered, with slots.
    pub(crate) fn is_answered(&self) -> bool {
        self.ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200") && answer.contains("\"start_time\""))
    }

    fn ask(&self) -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.address, ANSWER_WITHIN)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.write_all(self.request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}
