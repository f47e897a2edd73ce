//! A mail server nobody here wrote, which keeps what it is sent.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use agentcal_testkit::{python, skip_or_fail, venv};
use serde_json::Value;
use tempfile::TempDir;

/// More mails than are ever sent here, and longer than any test may take, in seconds.
const MAILS_MAX: &str = "100000";
const SECONDS_MAX: &str = "300";
/// How long it takes to say that it has a mail, in seconds: time enough to be killed in.
const PAUSE: &str = "0.2";

/// The server; gone on drop.
pub(crate) struct Receiver {
    process: Child,
    folder: TempDir,
    port: u16,
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../delivery/mail/tests/readers").join(name)
}

impl Receiver {
    /// Starts it on a spare port; `None` where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let Some(venv) = venv() else {
            skip_or_fail("there is no Python environment with a mail server");
            return None;
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(venv.join("bin/python"));
        command.arg("-B").arg(script("receive.py")).arg(folder.path()).args([MAILS_MAX, SECONDS_MAX, PAUSE]);
        let mut process = command.stdout(Stdio::piped()).spawn().expect("Python starts");
        let mut line = String::new();
        let out = process.stdout.take().expect("it has an output");
        BufReader::new(out).read_line(&mut line).expect("it says its port");
        Some(Self { process, folder, port: line.trim().parse().expect("a port") })
    }

    pub(crate) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// Mails by their Message-ID, each as often as it came.
    pub(crate) fn mails(&self) -> BTreeMap<String, Vec<Vec<u8>>> {
        let mut mails: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        for entry in fs::read_dir(self.folder.path()).expect("a folder") {
            let path = entry.expect("a file").path();
            if path.extension().is_some_and(|end| end == "eml") {
                let bytes = fs::read(path).expect("a mail");
                mails.entry(message_id(&bytes)).or_default().push(bytes);
            }
        }
        mails
    }

    /// What readers nobody here wrote find in them.
    pub(crate) fn read(&self) -> Vec<Value> {
        let folder = self.folder.path().to_str().expect("a name in UTF-8");
        let read = python(&script("read.py"), &[folder]).expect("the server needed it, too");
        serde_json::from_str(&read).expect("a list")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // An error means that it has ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Empty while the file is being written.
fn message_id(mail: &[u8]) -> String {
    let text = String::from_utf8_lossy(mail);
    let line = text.lines().find_map(|line| line.strip_prefix("Message-ID: "));
    line.unwrap_or_default().trim().to_owned()
}
