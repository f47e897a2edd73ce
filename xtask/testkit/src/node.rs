//! A node of several, as a process: killed, paused, drained, started again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::http::status_of;
use crate::process::Process;
use crate::servers::spare_address;
use crate::wait::wait_for;

const START_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(60);
const STARTS_MAX: u32 = 10;
/// What begins like this configures the program, and is not handed down from whoever runs the test.
const PREFIX: &str = "AGENTCAL_";

/// A running `agentcal serve`; killed on drop, and when this process ends, however it ends.
pub struct Node {
    binary: PathBuf,
    variables: Vec<(String, String)>,
    folder: TempDir,
    process: Option<Process>,
    address: SocketAddr,
    internal_address: SocketAddr,
}

impl Node {
    /// Starts a node on spare ports and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready; the message carries what it said.
    pub fn start(binary: impl AsRef<Path>, variables: &[(String, String)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (address, internal_address) = (spare_address(), spare_address());
        let (binary, variables) = (binary.as_ref().to_path_buf(), variables.to_vec());
        let mut node = Self { binary, variables, folder, process: None, address, internal_address };
        node.start_again();
        node
    }

    /// Starts it again, on other ports; kills it first where it still runs.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start_again(&mut self) {
        self.kill9();
        // Somebody else may take a spare port before the node does, or its servers have too much to do.
        let started = (0..STARTS_MAX).any(|_| self.try_start());
        assert!(started, "a node does not start:\n{}", self.said());
    }

    /// Where it answers requests, without a slash at the end. Changes with every start.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it answers other nodes, without a slash at the end. Changes with every start.
    pub fn internal_url(&self) -> String {
        format!("http://{}", self.internal_address)
    }

    /// Where [`Node::internal_url`] leads to.
    pub fn internal_address(&self) -> SocketAddr {
        self.internal_address
    }

    /// Whether it says that it is ready. One that is paused, or gone, is not.
    pub fn is_ready(&self) -> bool {
        status_of(self.address, "/readyz") == Some(200)
    }

    /// The status it answers a GET with; `None` when it does not answer.
    pub fn status_of(&self, path: &str) -> Option<u16> {
        status_of(self.address, path)
    }

    /// Whether its process is there, paused or not.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.ended().is_none())
    }

    /// What it has printed and logged, over all its starts.
    pub fn said(&self) -> String {
        let bytes = std::fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Ends it at once, as a power cut would.
    pub fn kill9(&mut self) {
        self.process = None;
    }

    /// Keeps it from doing anything, as a machine that hangs does.
    pub fn suspend(&self) {
        self.signal("STOP");
    }

    /// Ends [`Node::suspend`].
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Panics
    /// When it does not end, or ends with an error.
    pub fn drain(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        process.signal("TERM");
        let status = wait_for("the node's end after SIGTERM", STOP_WITHIN, || process.ended());
        assert!(status.success(), "the node ended with {status}:\n{}", process.said());
    }

    /// Asks it to end (SIGTERM), and does not wait: see [`Node::drain`].
    pub fn ask_to_end(&self) {
        self.signal("TERM");
    }

    fn signal(&self, name: &str) {
        self.process.as_ref().expect("it runs").signal(name);
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("node.log")
    }

    /// Whether it became ready; `false` when it ended.
    fn try_start(&mut self) -> bool {
        (self.address, self.internal_address) = (spare_address(), spare_address());
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.binary).arg("serve").current_dir(self.folder.path());
        let inherited = std::env::vars_os().map(|(name, _)| name);
        for name in inherited.filter(|name| name.to_str().is_some_and(|name| name.starts_with(PREFIX))) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.env("AGENTCAL_LISTEN", self.address.to_string());
        command.env("AGENTCAL_INTERNAL_LISTEN", self.internal_address.to_string());
        let mut process = Process::start_for_life(command, &self.log());
        let is_ready = wait_for("a ready node", START_WITHIN, || match process.ended() {
            Some(_) => Some(false),
            None => self.is_ready().then_some(true),
        });
        self.process = Some(process);
        is_ready
    }
}
