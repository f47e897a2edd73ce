//! Endpoints that hear of events, and what was tried to tell them.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ids::{AccountId, DeliveryId, OrganizationId, WebhookId};
use crate::time::Timestamp;

use super::{EventKind, Mode};

/// Most attempts of one delivery that are kept.
pub const DELIVERY_ATTEMPTS_MAX: u32 = 50;

/// Whether an endpoint is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookStanding {
    /// It is.
    Enabled,
    /// Its organization switched it off.
    SwitchedOff,
    /// It answered 410 Gone.
    Gone,
    /// Nothing reached it for days.
    Failing,
}

/// How an endpoint has been of late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WebhookHealth {
    /// Attempts that failed since the last that did not.
    pub failures: u32,
    /// When the first of them did.
    pub failing_since: Option<Timestamp>,
}

/// Where an organization hears of what happens in its accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookEndpoint {
    /// Its id.
    pub id: WebhookId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Of which accounts it hears.
    pub mode: Mode,
    /// Where it is.
    pub url: String,
    /// Of what it hears.
    pub events: BTreeSet<EventKind>,
    /// Of which accounts it hears; `None`: of all.
    pub account_ids: Option<BTreeSet<AccountId>>,
    /// Whether it is spoken to.
    pub standing: WebhookStanding,
    /// How it has been of late.
    pub health: WebhookHealth,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What messages to an endpoint are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecrets {
    /// The bytes of the present one.
    pub present: Zeroizing<Vec<u8>>,
    /// The bytes of the one before, and until when it is used as well.
    pub previous: Option<(Zeroizing<Vec<u8>>, Timestamp)>,
}

impl WebhookSecrets {
    /// Those to sign with at an instant, the present one first.
    pub fn at(&self, now: Timestamp) -> impl Iterator<Item = &[u8]> {
        let previous = self.previous.iter().filter(move |(_, until)| now < *until).map(|(bytes, _)| bytes.as_slice());
        std::iter::once(self.present.as_slice()).chain(previous)
    }
}

impl fmt::Debug for WebhookSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecrets(..)")
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Will be tried, or is being tried.
    Pending,
    /// The endpoint said that it has it.
    Delivered,
    /// Given up.
    Failed,
}

/// One try to tell an endpoint of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryAttempt {
    /// The how manieth of its delivery, from 1.
    pub number: u32,
    /// When it ended, by the store's clock.
    pub ended_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// The answer's status, if one came.
    pub status: Option<u16>,
    /// Why none came, in words that name nobody.
    pub error: Option<String>,
    /// How the answer began.
    pub answer: String,
}

/// An event on its way to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookDelivery {
    /// Its id, the same in every try.
    pub id: DeliveryId,
    /// Where to.
    pub endpoint_id: WebhookId,
    /// In which account it happened.
    pub account_id: AccountId,
    /// What kind of thing happened.
    pub kind: EventKind,
    /// When it happened, by the store's clock.
    pub happened_at: Timestamp,
    /// Where it stands.
    pub state: DeliveryState,
    /// When the next try is due, while pending.
    pub due_at: Timestamp,
    /// When it began to be one.
    pub created_at: Timestamp,
    /// What was tried, first to last.
    pub attempts: Vec<DeliveryAttempt>,
}
