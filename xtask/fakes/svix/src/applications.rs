//! Applications: whose endpoints and messages are whose.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::FakeSvix;
use crate::lists::{Page, page};
use crate::refusal::{Refusal, check_uid};
use crate::world::Application;

#[derive(Deserialize)]
pub(crate) struct ApplicationIn {
    name: String,
    uid: Option<String>,
    #[serde(default)]
    metadata: Option<Value>,
}

#[derive(Deserialize)]
pub(crate) struct Options {
    #[serde(default)]
    get_if_exists: bool,
}

pub(crate) async fn create(
    State(svix): State<FakeSvix>,
    Query(options): Query<Options>,
    Json(body): Json<ApplicationIn>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    if body.name.is_empty() {
        return Err(Refusal::Invalid("name", "Application names must be at least one character".to_owned()));
    }
    check_uid("uid", body.uid.as_deref(), "app_")?;
    let now = svix.clock().now();
    let mut world = svix.world();
    if let Some(there) = body.uid.as_deref().and_then(|uid| world.application(uid)) {
        if options.get_if_exists {
            return Ok((StatusCode::OK, Json(shown(there))));
        }
        return Err(Refusal::Conflict("An application with that id or uid already exists"));
    }
    let application = Application {
        id: world.id("app"),
        uid: body.uid,
        name: body.name,
        metadata: body.metadata.unwrap_or_else(|| json!({})),
        created_at: now,
        endpoints: BTreeMap::new(),
        messages: BTreeMap::new(),
        attempts: Vec::new(),
    };
    let answer = shown(&application);
    world.applications.insert(application.id.clone(), application);
    Ok((StatusCode::CREATED, Json(answer)))
}

pub(crate) async fn list(State(svix): State<FakeSvix>, Query(query): Query<Page>) -> Json<Value> {
    let world = svix.world();
    let all = world.applications.values().map(|one| (one.id.clone(), shown(one))).collect();
    Json(page(all, &query))
}

pub(crate) async fn get(State(svix): State<FakeSvix>, Path(app): Path<String>) -> Result<Json<Value>, Refusal> {
    svix.world().application(&app).map(|one| Json(shown(one))).ok_or(Refusal::NotFound)
}

pub(crate) async fn delete(State(svix): State<FakeSvix>, Path(app): Path<String>) -> Result<StatusCode, Refusal> {
    let mut world = svix.world();
    let id = world.application(&app).map(|one| one.id.clone()).ok_or(Refusal::NotFound)?;
    world.applications.remove(&id);
    Ok(StatusCode::NO_CONTENT)
}

fn shown(one: &Application) -> Value {
    let mut shown = json!({
        "id": one.id, "name": one.name, "throttleRate": null, "metadata": one.metadata,
        "createdAt": one.created_at, "updatedAt": one.created_at,
    });
    if let Some(uid) = &one.uid {
        shown["uid"] = json!(uid);
    }
    shown
}
