//! Event types: names there must be before endpoints filter by them.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::FakeSvix;
use crate::lists::{Page, page};
use crate::refusal::{Refusal, check_text};
use crate::world::EventType;

#[derive(Deserialize)]
pub(crate) struct EventTypeIn {
    name: String,
    description: String,
}

pub(crate) async fn create(
    State(svix): State<FakeSvix>,
    Json(body): Json<EventTypeIn>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    check_text("name", &body.name, 256)?;
    let created_at = svix.clock().now();
    let mut world = svix.world();
    if world.event_types.contains_key(&body.name) {
        return Err(Refusal::Conflict("An event type with that name already exists"));
    }
    let made = EventType { description: body.description, created_at };
    let answer = shown(&body.name, &made);
    world.event_types.insert(body.name, made);
    Ok((StatusCode::CREATED, Json(answer)))
}

pub(crate) async fn list(State(svix): State<FakeSvix>, Query(query): Query<Page>) -> Json<Value> {
    let world = svix.world();
    Json(page(world.event_types.iter().map(|(name, one)| (name.clone(), shown(name, one))).collect(), &query))
}

fn shown(name: &str, one: &EventType) -> Value {
    json!({
        "name": name, "description": one.description, "archived": false, "deprecated": false, "schemas": null,
        "createdAt": one.created_at, "updatedAt": one.created_at,
    })
}
