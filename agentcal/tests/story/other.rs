//! The other client: a Python program that knows nothing of AgentCal.

use std::collections::BTreeMap;
use std::path::Path;

use agentcal_testkit::{PASSWORD, Server, USERNAME, python};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::days::{Weeks, rfc3339};

/// A range of seconds, half-open.
pub(crate) type Seconds = (i64, i64);

/// An event, as it is stored at the server.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Event {
    pub(crate) uid: String,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) sequence: u32,
    pub(crate) summary: String,
}

/// Another client, connected to the server itself.
pub(crate) struct OtherClient {
    url: String,
}

impl OtherClient {
    pub(crate) fn of(server: &Server) -> Self {
        Self { url: server.url() }
    }

    /// Fills the server with calendars; answers which time each of them takes.
    pub(crate) fn fill(&self, weeks: Weeks) -> BTreeMap<String, Vec<Seconds>> {
        self.run(&["fill", &weeks.monday.to_string(), &weeks.change_monday.to_string()])
    }

    /// Makes an empty calendar.
    pub(crate) fn make(&self, calendar: &str, timezone: &str) {
        self.done(&["make", calendar, timezone]);
    }

    /// The server's own answer to which time is taken.
    pub(crate) fn free_busy(&self, calendar: &str, (start, end): Seconds) -> Vec<Seconds> {
        self.run(&["free-busy", calendar, &rfc3339(start), &rfc3339(end)])
    }

    pub(crate) fn events(&self, calendar: &str, (start, end): Seconds) -> Vec<Event> {
        self.run(&["events", calendar, &rfc3339(start), &rfc3339(end)])
    }

    pub(crate) fn move_event(&self, calendar: &str, uid: &str, minutes: i64) {
        self.done(&["move", calendar, uid, &minutes.to_string()]);
    }

    pub(crate) fn delete(&self, calendar: &str, uid: &str) {
        self.done(&["delete", calendar, uid]);
    }

    pub(crate) fn add(&self, calendar: &str, (start, end): Seconds) {
        self.done(&["add", calendar, &rfc3339(start), &rfc3339(end)]);
    }

    fn done(&self, command: &[&str]) {
        let _: serde_json::Value = self.run(command);
    }

    fn run<T: DeserializeOwned>(&self, command: &[&str]) -> T {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/other_client.py");
        let arguments: Vec<&str> = [self.url.as_str(), USERNAME, PASSWORD].iter().chain(command).copied().collect();
        let printed = python(&script, &arguments).expect("where the server is, Python is");
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{command:?} printed {printed}: {error}"))
    }
}
