//! What messages to an endpoint are signed with.

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::FakeSvix;
use crate::refusal::Refusal;

/// Most secrets from before the present one.
const OLD_SECRETS_MAX: usize = 10;
/// For how long a secret from before is used as well, unless somebody says otherwise; and the longest.
const GRACE_SECONDS: u32 = 86_400;
const GRACE_MAX_SECONDS: u32 = 604_800;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RotateIn {
    key: Option<String>,
    grace_period_seconds: Option<u32>,
}

pub(crate) async fn get(
    State(svix): State<FakeSvix>,
    Path((app, endpoint)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let world = svix.world();
    let found = world.application(&app).and_then(|application| application.endpoint(&endpoint));
    let key = found.map(|one| format!("whsec_{}", STANDARD.encode(&one.secret))).ok_or(Refusal::NotFound)?;
    Ok(Json(json!({"key": key})))
}

pub(crate) async fn rotate(
    State(svix): State<FakeSvix>,
    Path((app, endpoint)): Path<(String, String)>,
    Json(body): Json<RotateIn>,
) -> Result<Json<Value>, Refusal> {
    let now = svix.clock().now();
    let grace = body.grace_period_seconds.unwrap_or(GRACE_SECONDS);
    if grace > GRACE_MAX_SECONDS {
        let said = "Duration must be between 0 and 7 days".to_owned();
        return Err(Refusal::Invalid("gracePeriodSeconds", said));
    }
    let mut world = svix.world();
    let fresh = world.id("key");
    let application = world.application_mut(&app).ok_or(Refusal::NotFound)?;
    let found = application.endpoint_mut(&endpoint).ok_or(Refusal::NotFound)?;
    let secret = match body.key.as_deref() {
        Some(key) => read("key", key)?,
        None => generated(&fresh),
    };
    let old = std::mem::replace(&mut found.secret, secret);
    found.old_secrets.retain(|(_, until)| now < *until);
    if grace > 0 {
        found.old_secrets.push((old, now + TimeDelta::seconds(i64::from(grace))));
    }
    if found.old_secrets.len() > OLD_SECRETS_MAX {
        return Err(Refusal::BadRequest("limit_reached", "You can only rotate a key 10 times".to_owned()));
    }
    svix.calls().count(&app, "endpoint.rotate");
    Ok(Json(json!({"key": format!("whsec_{}", STANDARD.encode(&found.secret))})))
}

/// The bytes of a secret as it is written.
pub(crate) fn read(field: &'static str, text: &str) -> Result<Vec<u8>, Refusal> {
    let bytes = STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok();
    let bytes = bytes.filter(|bytes| (24..=75).contains(&bytes.len()));
    bytes.ok_or_else(|| Refusal::Invalid(field, "Secret must be the base 64 of 24 to 75 bytes".to_owned()))
}

/// A secret nobody gave, of an id.
pub(crate) fn generated(id: &str) -> Vec<u8> {
    Sha256::digest(id.as_bytes()).to_vec()
}
