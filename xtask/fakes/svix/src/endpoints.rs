//! Endpoints: where messages go, which ones, and whether.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::FakeSvix;
use crate::lists::{Page, page};
use crate::refusal::{Refusal, check_text, check_uid};
use crate::secrets::{generated, read};
use crate::world::{Endpoint, World};

/// Most channels of an endpoint.
const CHANNELS_MAX: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndpointIn {
    #[serde(default)]
    description: String,
    uid: Option<String>,
    url: String,
    #[serde(default)]
    disabled: bool,
    #[serde(alias = "filterTypes")]
    event_types: Option<BTreeSet<String>>,
    channels: Option<BTreeSet<String>>,
    /// Only one that is made has it here.
    secret: Option<String>,
    metadata: Option<Value>,
}

impl EndpointIn {
    fn check(&self, world: &World) -> Result<(), Refusal> {
        check_uid("uid", self.uid.as_deref(), "ep_")?;
        if !(self.url.starts_with("http://") || self.url.starts_with("https://")) {
            return Err(Refusal::Invalid("url", "Endpoint URL schemes must be http or https".to_owned()));
        }
        if let Some(channels) = &self.channels {
            if !(1..=CHANNELS_MAX).contains(&channels.len()) {
                let said = "Channels must have at least 1 and at most 10 items, or be set to null.";
                return Err(Refusal::Invalid("channels", said.to_owned()));
            }
            channels.iter().try_for_each(|channel| check_text("channels", channel, 128))?;
        }
        let Some(types) = &self.event_types else { return Ok(()) };
        if types.is_empty() {
            let said = "eventTypes can't be empty, it must have at least one item.";
            return Err(Refusal::Invalid("eventTypes", said.to_owned()));
        }
        let missing: Vec<&str> =
            types.iter().map(String::as_str).filter(|&name| !world.event_types.contains_key(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let said = format!("The following event types don't exist: {}", missing.join(", "));
        Err(Refusal::Invalid("eventTypes", said))
    }

    fn write_to(self, endpoint: &mut Endpoint) {
        endpoint.description = self.description;
        endpoint.uid = self.uid;
        endpoint.url = self.url;
        endpoint.disabled = self.disabled;
        endpoint.event_types = self.event_types;
        endpoint.channels = self.channels;
        endpoint.metadata = self.metadata.unwrap_or_else(|| json!({}));
    }
}

pub(crate) async fn create(
    State(svix): State<FakeSvix>,
    Path(app): Path<String>,
    Json(body): Json<EndpointIn>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let mut world = svix.world();
    let application = world.application(&app).ok_or(Refusal::NotFound)?;
    if body.uid.as_deref().is_some_and(|uid| application.endpoint(uid).is_some()) {
        return Err(Refusal::Conflict("An entity with that id or uid already exists"));
    }
    svix.calls().count(&app, "endpoint.create");
    made(&svix, &mut world, &app, body)
}

/// Replaces an endpoint, or makes it where there is none; its secret is none of what is replaced.
pub(crate) async fn put(
    State(svix): State<FakeSvix>,
    Path((app, endpoint)): Path<(String, String)>,
    Json(body): Json<EndpointIn>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let now = svix.clock().now();
    let mut world = svix.world();
    body.check(&world)?;
    svix.calls().count(&app, "endpoint.put");
    let application = world.application_mut(&app).ok_or(Refusal::NotFound)?;
    if let Some(there) = application.endpoint_mut(&endpoint) {
        body.write_to(there);
        there.updated_at = now;
        return Ok((StatusCode::OK, Json(shown(there))));
    }
    made(&svix, &mut world, &app, EndpointIn { secret: None, ..body })
}

/// What to change of an endpoint; what is not named stays.
#[derive(Deserialize)]
pub(crate) struct EndpointPatch {
    url: Option<String>,
    disabled: Option<bool>,
}

pub(crate) async fn patch(
    State(svix): State<FakeSvix>,
    Path((app, endpoint)): Path<(String, String)>,
    Json(body): Json<EndpointPatch>,
) -> Result<Json<Value>, Refusal> {
    let now = svix.clock().now();
    let mut world = svix.world();
    let application = world.application_mut(&app).ok_or(Refusal::NotFound)?;
    let found = application.endpoint_mut(&endpoint).ok_or(Refusal::NotFound)?;
    found.url = body.url.unwrap_or_else(|| found.url.clone());
    found.disabled = body.disabled.unwrap_or(found.disabled);
    found.updated_at = now;
    Ok(Json(shown(found)))
}

fn made(svix: &FakeSvix, world: &mut World, app: &str, body: EndpointIn) -> Result<(StatusCode, Json<Value>), Refusal> {
    body.check(world)?;
    let (id, now) = (world.id("ep"), svix.clock().now());
    let secret = match body.secret.as_deref() {
        Some(secret) => read("secret", secret)?,
        None => generated(&id),
    };
    let mut endpoint = Endpoint {
        id: id.clone(),
        uid: None,
        url: String::new(),
        description: String::new(),
        disabled: false,
        event_types: None,
        channels: None,
        metadata: json!({}),
        secret,
        old_secrets: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    body.write_to(&mut endpoint);
    let answer = shown(&endpoint);
    world.application_mut(app).ok_or(Refusal::NotFound)?.endpoints.insert(id, endpoint);
    Ok((StatusCode::CREATED, Json(answer)))
}

pub(crate) async fn list(
    State(svix): State<FakeSvix>,
    Path(app): Path<String>,
    Query(query): Query<Page>,
) -> Result<Json<Value>, Refusal> {
    let world = svix.world();
    let application = world.application(&app).ok_or(Refusal::NotFound)?;
    let rows = application.endpoints.values().rev().map(|one| (one.id.clone(), shown(one))).collect();
    Ok(Json(page(rows, &query)))
}

pub(crate) async fn get(
    State(svix): State<FakeSvix>,
    Path((app, endpoint)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let world = svix.world();
    let application = world.application(&app).ok_or(Refusal::NotFound)?;
    application.endpoint(&endpoint).map(|one| Json(shown(one))).ok_or(Refusal::NotFound)
}

pub(crate) async fn delete(
    State(svix): State<FakeSvix>,
    Path((app, endpoint)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let mut world = svix.world();
    let application = world.application_mut(&app).ok_or(Refusal::NotFound)?;
    let id = application.endpoint(&endpoint).map(|one| one.id.clone()).ok_or(Refusal::NotFound)?;
    application.endpoints.remove(&id);
    svix.calls().count(&app, "endpoint.delete");
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) fn shown(one: &Endpoint) -> Value {
    json!({
        "id": one.id, "uid": one.uid, "url": one.url, "description": one.description, "version": 1,
        "disabled": one.disabled, "eventTypes": one.event_types, "filterTypes": one.event_types,
        "channels": one.channels, "throttleRate": null, "rateLimit": null, "metadata": one.metadata,
        "createdAt": one.created_at, "updatedAt": one.updated_at,
    })
}
