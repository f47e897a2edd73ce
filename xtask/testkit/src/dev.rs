//! The program itself, as a process: started, killed, started again.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::http::status_of;
use crate::process::Process;
use crate::wait::wait_for;

const START_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// What `agentcal dev` writes to its `dev.json`.
#[derive(Clone, Debug)]
pub struct DevInfo {
    /// Where it listens, without a slash at the end.
    pub base_url: String,
    /// A test mode key.
    pub secret_key: String,
    /// A publishable key.
    pub publishable_key: String,
    /// The demo account.
    pub account_id: String,
    /// The demo users.
    pub user_ids: Vec<String>,
    /// The demo event type.
    pub event_type_id: String,
}

/// A running `agentcal dev` on a data folder of its own; both are gone on drop.
pub struct Dev {
    binary: PathBuf,
    variables: Vec<(String, String)>,
    folder: TempDir,
    process: Option<Process>,
    info: DevInfo,
}

impl Dev {
    /// Starts the program on an empty data folder and a spare port, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready; the message carries what it said.
    pub fn start(binary: impl AsRef<Path>) -> Self {
        Self::start_with(binary, &[])
    }

    /// The same with variables of its environment set, at every start.
    ///
    /// # Panics
    /// When it does not become ready; the message carries what it said.
    pub fn start_with(binary: impl AsRef<Path>, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let variables: Vec<_> = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let (process, info) = run(binary.as_ref(), &variables, folder.path());
        Self { binary: binary.as_ref().to_path_buf(), variables, folder, process: Some(process), info }
    }

    /// What it wrote to its `dev.json` when it last started.
    pub fn info(&self) -> &DevInfo {
        &self.info
    }

    /// Where it listens now, without a slash at the end. Changes with every start.
    pub fn base_url(&self) -> &str {
        &self.info.base_url
    }

    /// Its data folder.
    pub fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// What it has printed and logged, over all its starts.
    pub fn said(&self) -> String {
        fs::read_to_string(log(self.folder.path())).unwrap_or_default()
    }

    /// Ends it at once, as a power cut would.
    pub fn kill9(&mut self) {
        self.process = None;
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Panics
    /// When it does not end, or ends with an error.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        process.signal("TERM");
        let status = wait_for("the program's end after SIGTERM", STOP_WITHIN, || process.ended());
        assert!(status.success(), "the program ended with {status}:\n{}", process.said());
    }

    /// Starts it again on the data it had; kills it first where it still runs.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn restart(&mut self) {
        self.kill9();
        let (process, info) = run(&self.binary, &self.variables, self.folder.path());
        self.process = Some(process);
        self.info = info;
    }
}

fn log(folder: &Path) -> PathBuf {
    folder.join("program.log")
}

fn run(binary: &Path, variables: &[(String, String)], folder: &Path) -> (Process, DevInfo) {
    let file = folder.join("dev.json");
    let before = identity(&file);
    let mut command = Command::new(binary);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command.args(["dev", "--port", "0", "--data-dir"]).arg(folder);
    let mut process = Process::start(command, &log(folder));
    let info = wait_for("a ready `agentcal dev`", START_WITHIN, || {
        let ended = process.ended();
        assert!(ended.is_none(), "the program ended with {ended:?} instead of starting:\n{}", process.said());
        // The file of an earlier start names keys that still hold and an address that does not.
        identity(&file).filter(|now| Some(*now) != before)?;
        let info = read(&file)?;
        (status_of(address(&info)?, "/readyz")? == 200).then_some(info)
    });
    (process, info)
}

/// Tells one writing of a file from the next.
fn identity(file: &Path) -> Option<(u64, i64, i64)> {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec()))
}

fn read(file: &Path) -> Option<DevInfo> {
    let value: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    Some(DevInfo {
        base_url: text("base_url")?,
        secret_key: text("secret_key")?,
        publishable_key: text("publishable_key")?,
        account_id: text("account_id")?,
        user_ids: value["user_ids"].as_array()?.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect(),
        event_type_id: text("event_type_id")?,
    })
}

/// The address in `http://127.0.0.1:8080`, or in the same with a host name of the loopback.
fn address(info: &DevInfo) -> Option<SocketAddr> {
    let host = info.base_url.strip_prefix("http://")?;
    host.replace("localhost", "127.0.0.1").parse().ok()
}
