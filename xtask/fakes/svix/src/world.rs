//! Everything that changes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

pub(crate) struct World {
    pub(crate) applications: BTreeMap<String, Application>,
    pub(crate) event_types: BTreeMap<String, EventType>,
    pub(crate) retry_waits: Vec<Duration>,
    serial: u64,
}

pub(crate) struct EventType {
    pub(crate) description: String,
    pub(crate) created_at: DateTime<Utc>,
}

pub(crate) struct Application {
    pub(crate) id: String,
    pub(crate) uid: Option<String>,
    pub(crate) name: String,
    pub(crate) metadata: Value,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) endpoints: BTreeMap<String, Endpoint>,
    pub(crate) messages: BTreeMap<String, Message>,
    /// In the order in which they were made.
    pub(crate) attempts: Vec<Attempt>,
}

#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    pub(crate) uid: Option<String>,
    pub(crate) url: String,
    pub(crate) description: String,
    pub(crate) disabled: bool,
    pub(crate) event_types: Option<BTreeSet<String>>,
    pub(crate) channels: Option<BTreeSet<String>>,
    pub(crate) metadata: Value,
    /// The bytes that messages are signed with.
    pub(crate) secret: Vec<u8>,
    /// Those from before, and until when they are used as well.
    pub(crate) old_secrets: Vec<(Vec<u8>, DateTime<Utc>)>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) event_id: Option<String>,
    pub(crate) event_type: String,
    pub(crate) payload: Value,
    /// As it came.
    pub(crate) body: String,
    pub(crate) channels: Option<BTreeSet<String>>,
    pub(crate) timestamp: DateTime<Utc>,
}

#[derive(Clone)]
pub(crate) struct Attempt {
    pub(crate) id: String,
    pub(crate) message_id: String,
    pub(crate) endpoint_id: String,
    pub(crate) url: String,
    pub(crate) response: String,
    pub(crate) status_code: u16,
    pub(crate) duration_ms: u64,
    pub(crate) is_success: bool,
    /// Whether somebody asked for it.
    pub(crate) is_manual: bool,
    pub(crate) next_attempt: Option<DateTime<Utc>>,
    pub(crate) timestamp: DateTime<Utc>,
}

impl World {
    pub(crate) fn new(retry_waits: Vec<Duration>) -> Self {
        Self { applications: BTreeMap::new(), event_types: BTreeMap::new(), retry_waits, serial: 0 }
    }

    /// A new id. Later ones sort after earlier ones.
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        self.serial += 1;
        format!("{prefix}_{:027}", self.serial)
    }

    /// An application by id or uid.
    pub(crate) fn application(&self, named: &str) -> Option<&Application> {
        self.applications.values().find(|one| one.id == named || one.uid.as_deref() == Some(named))
    }

    pub(crate) fn application_mut(&mut self, named: &str) -> Option<&mut Application> {
        self.applications.values_mut().find(|one| one.id == named || one.uid.as_deref() == Some(named))
    }

    /// Whether any application has a message under an event id.
    pub(crate) fn has_event_id(&self, event_id: &str) -> bool {
        let mut messages = self.applications.values().flat_map(|application| application.messages.values());
        messages.any(|message| message.event_id.as_deref() == Some(event_id))
    }
}

impl Application {
    /// An endpoint by id or uid.
    pub(crate) fn endpoint(&self, named: &str) -> Option<&Endpoint> {
        self.endpoints.values().find(|one| one.id == named || one.uid.as_deref() == Some(named))
    }

    pub(crate) fn endpoint_mut(&mut self, named: &str) -> Option<&mut Endpoint> {
        self.endpoints.values_mut().find(|one| one.id == named || one.uid.as_deref() == Some(named))
    }

    /// A message by id or event id.
    pub(crate) fn message(&self, named: &str) -> Option<&Message> {
        self.messages.values().find(|one| one.id == named || one.event_id.as_deref() == Some(named))
    }
}

impl Endpoint {
    /// Whether it hears of a message that nobody asked for by name.
    pub(crate) fn hears(&self, message: &Message) -> bool {
        let of_type = self.event_types.as_ref().is_none_or(|types| types.contains(&message.event_type));
        let none = BTreeSet::new();
        let said = message.channels.as_ref().unwrap_or(&none);
        of_type && self.channels.as_ref().is_none_or(|channels| !channels.is_disjoint(said))
    }

    /// What a message is signed with now, the present secret first.
    pub(crate) fn secrets(&self, now: DateTime<Utc>) -> Vec<Vec<u8>> {
        let old = self.old_secrets.iter().filter(|(_, until)| now < *until).map(|(secret, _)| secret);
        std::iter::once(&self.secret).chain(old).cloned().collect()
    }
}
