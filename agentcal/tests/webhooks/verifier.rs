//! Signatures, as the libraries of others read them: two of Python and two of JavaScript. They refuse what is older than five
//! minutes, so messages are shown to them while they are fresh.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use agentcal_testkit::{javascript, python};
use serde_json::{Value, json};

use crate::caller::Account;
use crate::receiver::Receiver;

/// Time between two batches of messages.
const EVERY: Duration = Duration::from_secs(60);

pub(crate) struct Verifier {
    secrets: Vec<String>,
    file: PathBuf,
    /// Messages that were verified, by each library.
    pub(crate) verified: usize,
    looked: Instant,
}

impl Verifier {
    /// One for endpoints with these secrets, which writes what it asks to a folder.
    pub(crate) fn new(accounts: &[Account], folder: &Path) -> Self {
        let secrets = accounts.iter().map(|account| account.secret.clone()).collect();
        Self { secrets, file: folder.join("messages.json"), verified: 0, looked: Instant::now() }
    }

    /// Verifies what came in since, when it is time for that.
    pub(crate) fn look(&mut self, receiver: &Receiver) {
        if self.looked.elapsed() >= EVERY {
            self.verify(receiver);
        }
    }

    /// Verifies what came in since.
    ///
    /// # Panics
    /// When a library refuses a message, or takes one that was changed.
    pub(crate) fn verify(&mut self, receiver: &Receiver) {
        self.looked = Instant::now();
        let messages = receiver.messages_from(self.verified);
        let shown: Vec<Value> =
            messages.iter().map(|message| message.to_json(&self.secrets[message.endpoint])).collect();
        fs::write(&self.file, json!(shown).to_string()).expect("a file can be written");
        let file = self.file.to_str().expect("a name in UTF-8");
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let by_python = python(&tests.join("python/verify_webhooks.py"), &[file]);
        let by_javascript = javascript(&tests.join("javascript/verify_webhooks.js"), &[file]);
        for said in [by_python, by_javascript].into_iter().flatten() {
            assert_eq!(said.trim(), shown.len().to_string());
        }
        self.verified += shown.len();
    }
}
