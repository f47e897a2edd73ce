//! Messages: what is said, to whoever hears of it.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::FakeSvix;
use crate::dispatch::dispatch;
use crate::lists::{Page, page};
use crate::refusal::{Refusal, check_text, check_uid};
use crate::world::Message;

/// Most channels of a message.
const CHANNELS_MAX: usize = 5;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageIn {
    event_id: Option<String>,
    event_type: String,
    /// Sent on as it came.
    payload: Box<RawValue>,
    channels: Option<BTreeSet<String>>,
}

#[derive(Default, Deserialize)]
pub(crate) struct Content {
    pub(crate) with_content: Option<bool>,
}

impl Content {
    pub(crate) fn is_wanted(&self) -> bool {
        self.with_content.unwrap_or(true)
    }
}

pub(crate) async fn create(
    State(svix): State<FakeSvix>,
    Path(app): Path<String>,
    Query(content): Query<Content>,
    Json(body): Json<MessageIn>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    check_uid("eventId", body.event_id.as_deref(), "msg_")?;
    check_text("eventType", &body.event_type, 256)?;
    if !body.payload.get().starts_with('{') {
        return Err(Refusal::Invalid("payload", "Payload must be an object.".to_owned()));
    }
    if let Some(channels) = &body.channels {
        if !(1..=CHANNELS_MAX).contains(&channels.len()) {
            let said = "Channels must have at least 1 and at most 5 items, or be set to null.";
            return Err(Refusal::Invalid("channels", said.to_owned()));
        }
        channels.iter().try_for_each(|channel| check_text("channels", channel, 128))?;
    }
    let now = svix.clock().now();
    let mut world = svix.world();
    let application_id = world.application(&app).map(|one| one.id.clone()).ok_or(Refusal::NotFound)?;
    if body.event_id.as_deref().is_some_and(|event_id| world.has_event_id(event_id)) {
        svix.calls().count(&app, "message.conflict");
        return Err(Refusal::Conflict("An entity with that id or uid already exists"));
    }
    let message = Message {
        id: world.id("msg"),
        event_id: body.event_id,
        event_type: body.event_type,
        payload: serde_json::from_str(body.payload.get()).unwrap_or(Value::Null),
        body: body.payload.get().to_owned(),
        channels: body.channels,
        timestamp: now,
    };
    svix.calls().count(&app, "message.create");
    let application = world.application_mut(&application_id).ok_or(Refusal::NotFound)?;
    let heard = application.endpoints.values().filter(|one| !one.disabled && one.hears(&message));
    for endpoint in heard {
        dispatch(&svix, &application_id, &message, &endpoint.id, false);
    }
    let answer = shown(&message, content.is_wanted());
    application.messages.insert(message.id.clone(), message);
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

pub(crate) async fn list(
    State(svix): State<FakeSvix>,
    Path(app): Path<String>,
    Query(query): Query<Page>,
    Query(content): Query<Content>,
) -> Result<Json<Value>, Refusal> {
    let world = svix.world();
    let application = world.application(&app).ok_or(Refusal::NotFound)?;
    let newest_first = application.messages.values().rev();
    Ok(Json(page(newest_first.map(|one| (one.id.clone(), shown(one, content.is_wanted()))).collect(), &query)))
}

pub(crate) async fn get(
    State(svix): State<FakeSvix>,
    Path((app, message)): Path<(String, String)>,
    Query(content): Query<Content>,
) -> Result<Json<Value>, Refusal> {
    let world = svix.world();
    let application = world.application(&app).ok_or(Refusal::NotFound)?;
    application.message(&message).map(|one| Json(shown(one, content.is_wanted()))).ok_or(Refusal::NotFound)
}

pub(crate) fn shown(one: &Message, with_content: bool) -> Value {
    let payload = if with_content { one.payload.clone() } else { json!({}) };
    json!({
        "id": one.id, "eventId": one.event_id, "eventType": one.event_type, "payload": payload,
        "channels": one.channels, "timestamp": one.timestamp,
    })
}
