//! What is said to Svix and by it, as far as it matters here: of version 1 of its API.

use std::collections::BTreeSet;
use std::time::Duration;

use agentcal_engine::ports::RelayTest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::sender::ANSWER_LEN_MAX;

#[derive(Serialize)]
pub(super) struct ApplicationIn<'a> {
    pub(super) name: &'a str,
    pub(super) uid: &'a str,
}

#[derive(Serialize)]
pub(super) struct EventTypeIn<'a> {
    pub(super) name: &'a str,
    pub(super) description: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointIn<'a> {
    pub(super) uid: &'a str,
    pub(super) url: &'a str,
    /// Its newer name is `eventTypes`, which servers from before July 2026 overlook; this one is read by all.
    pub(super) filter_types: BTreeSet<&'a str>,
    pub(super) channels: BTreeSet<String>,
    pub(super) disabled: bool,
    /// Of one that is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<&'a str>,
}

#[derive(Deserialize)]
pub(super) struct Secret {
    key: String,
}

impl Secret {
    /// The bytes it stands for; `None`: it is of a kind that we do not use.
    pub(super) fn bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        let text = self.key.strip_prefix("whsec_").unwrap_or(&self.key);
        STANDARD.decode(text).ok().map(Zeroizing::new)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecretRotation {
    pub(super) key: String,
    pub(super) grace_period_seconds: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageIn<'a> {
    pub(super) event_id: String,
    pub(super) event_type: &'a str,
    /// Sent on byte by byte.
    pub(super) payload: Box<RawValue>,
    pub(super) channels: Vec<&'a str>,
    pub(super) payload_retention_period: u32,
}

#[derive(Deserialize)]
pub(super) struct MessageOut {
    pub(super) id: String,
}

#[derive(Deserialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    pub(super) iterator: Option<String>,
    pub(super) done: bool,
}

/// A message that was tried at an endpoint.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttemptedMessage {
    pub(super) id: String,
    #[serde(default)]
    pub(super) event_id: Option<String>,
    pub(super) event_type: String,
    #[serde(default)]
    pub(super) payload: Value,
    #[serde(default)]
    pub(super) channels: Option<Vec<String>>,
    pub(super) timestamp: DateTime<Utc>,
    pub(super) status: u8,
    #[serde(default)]
    pub(super) next_attempt: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attempt {
    pub(super) response: String,
    pub(super) response_status_code: i32,
    #[serde(default)]
    pub(super) response_duration_ms: i64,
    pub(super) timestamp: DateTime<Utc>,
}

impl Attempt {
    /// The status of the answer, if one came.
    pub(super) fn status(&self) -> Option<u16> {
        u16::try_from(self.response_status_code).ok().filter(|&status| status >= 100)
    }

    pub(super) fn duration(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.response_duration_ms).unwrap_or_default())
    }

    /// How the answer began; what is said in its place where none came is the error.
    pub(super) fn said(self) -> (String, Option<String>) {
        let (status, mut text) = (self.status(), self.response);
        text.retain(|c| c != '\0');
        text.truncate(text.floor_char_boundary(ANSWER_LEN_MAX));
        if status.is_some() { (text, None) } else { (String::new(), Some(text)) }
    }
}

pub(super) fn shown_attempt(attempt: Attempt) -> RelayTest {
    let (status, duration) = (attempt.status(), attempt.duration());
    let (answer, error) = attempt.said();
    RelayTest { status, error, answer, duration }
}

/// An error: of one field after the other, or of the whole.
#[derive(Deserialize)]
pub(super) struct ErrorOut {
    pub(super) detail: Detail,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Detail {
    Text(String),
    Items(Vec<DetailItem>),
}

#[derive(Deserialize)]
pub(super) struct DetailItem {
    pub(super) msg: String,
}
