//! Subscriptions: Graph rings the doorbell, and goes on doing so.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentcal_engine::model::WatchState;
use agentcal_engine::ports::{Doorbell, Provider, WatchHandle, Watched};
use agentcal_engine::time::Timestamp;
use agentcal_fake_kit::{Fault, Rule, Served, When, serve};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::support::{ADDRESS, World, credentials, hour};

type Heard = Arc<Mutex<Vec<Value>>>;

/// A doorbell on this machine that writes down what it hears.
struct Door {
    served: Served,
    heard: Heard,
}

async fn hear(
    State(heard): State<Heard>,
    Query(query): Query<Vec<(String, String)>>,
    body: Bytes,
) -> impl IntoResponse {
    if let Some((_, token)) = query.into_iter().find(|(name, _)| name == "validationToken") {
        return (axum::http::StatusCode::OK, token);
    }
    heard.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    (axum::http::StatusCode::ACCEPTED, String::new())
}

impl Door {
    async fn new() -> Self {
        let heard = Heard::default();
        let served = serve(Router::new().fallback(hear).with_state(Arc::clone(&heard)), 0).await;
        Self { served, heard }
    }

    fn bell(&self, secret: &str) -> Doorbell {
        Doorbell { url: format!("{}/v1/notifications/microsoft", self.served.base_url()), secret: secret.to_owned() }
    }

    fn heard(&self) -> Vec<Value> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

async fn watch(world: &World, bell: &Doorbell, previous: Option<&WatchHandle>) -> Watched {
    world.provider.watch(&world.calendar, Some(bell), previous).await.unwrap()
}

fn minutes_left(world: &World, watched: &Watched) -> i64 {
    let now = Timestamp::from(world.fake.clock().now());
    watched.watch.expires_at.map_or(0, |end| end.micros_since(now) / 60_000_000)
}

#[tokio::test]
async fn a_change_rings_with_the_secret_and_says_nothing_else_that_counts() {
    let (world, door) = (World::new().await, Door::new().await);
    let watched = watch(&world, &door.bell("secret.a"), None).await;
    assert_eq!((watched.watch.state, minutes_left(&world, &watched)), (WatchState::Push, 10_075));
    let id = world.put(hour("2026-11-24T09:00:00", "2026-11-24T10:00:00", json!({})));
    world.act("PATCH", &format!("/events/{id}"), json!({ "showAs": "free" }));
    world.act("DELETE", &format!("/events/{id}"), Value::Null);
    world.fake.settled().await;
    let mut heard: Vec<(String, String)> = Vec::new();
    for told in door.heard() {
        let told = &told["value"][0];
        heard.push((told["changeType"].as_str().unwrap().to_owned(), told["clientState"].as_str().unwrap().to_owned()));
    }
    heard.sort();
    let expected = ["created", "deleted", "updated"].map(|what| (what.to_owned(), "secret.a".to_owned()));
    assert_eq!(heard, expected);
    world.provider.unwatch(&world.calendar, watched.handle.as_ref().unwrap()).await.unwrap();
    world.provider.unwatch(&world.calendar, watched.handle.as_ref().unwrap()).await.unwrap();
    world.put(hour("2026-11-24T09:00:00", "2026-11-24T10:00:00", json!({})));
    world.fake.settled().await;
    assert_eq!(door.heard(), [Value::Null; 0]);
}

#[tokio::test]
async fn a_watch_that_stands_is_renewed_in_place() {
    let (mut world, door) = (World::new().await, Door::new().await);
    let bell = door.bell("secret.a");
    let watched = watch(&world, &bell, None).await;
    world.fake.clock().advance(Duration::from_secs(4 * 24 * 3_600));
    world.calendar.credentials = Arc::new(credentials(world.fake.token(ADDRESS, "app")));
    let renewed = watch(&world, &bell, watched.handle.as_ref()).await;
    assert_eq!((world.fake.subscriptions(), minutes_left(&world, &renewed)), (1, 10_075));
    assert_eq!(world.fake.calls().of_operation("POST /subscriptions"), 1);
    // Another doorbell takes another subscription; the old one goes on until it is ended.
    let other = watch(&world, &door.bell("secret.b"), renewed.handle.as_ref()).await;
    assert_eq!(world.fake.subscriptions(), 2);
    // One that ran out, or that Graph dropped, is made anew.
    world.fake.lifecycle(ADDRESS, "subscriptionRemoved");
    world.fake.settled().await;
    let told: Vec<Value> = door.heard().iter().map(|told| told["value"][0]["lifecycleEvent"].clone()).collect();
    assert_eq!(told, ["subscriptionRemoved", "subscriptionRemoved"]);
    watch(&world, &door.bell("secret.b"), other.handle.as_ref()).await;
    assert_eq!(world.fake.subscriptions(), 1);
    let garbled = WatchHandle("nonsense".to_owned());
    watch(&world, &bell, Some(&garbled)).await;
    assert_eq!(world.fake.subscriptions(), 2);
}

#[tokio::test]
async fn a_shorter_life_is_taken_where_a_long_one_is_refused() {
    let (world, door) = (World::new().await, Door::new().await);
    world.fake.behave(|behaviour| behaviour.subscription_minutes_max = 4_230);
    let watched = watch(&world, &door.bell("secret.a"), None).await;
    assert_eq!((watched.watch.state, minutes_left(&world, &watched)), (WatchState::Push, 4_225));
    let renewed = watch(&world, &door.bell("secret.a"), watched.handle.as_ref()).await;
    assert_eq!((world.fake.subscriptions(), minutes_left(&world, &renewed)), (1, 4_225));
}

#[tokio::test]
async fn what_cannot_be_watched_is_polled() {
    let (world, door) = (World::new().await, Door::new().await);
    assert_eq!(world.provider.watch(&world.calendar, None, None).await, Ok(Watched::POLLING));
    let nobody = Doorbell { url: "http://127.0.0.1:9/".to_owned(), secret: "secret".to_owned() };
    assert_eq!(watch(&world, &nobody, None).await, Watched::POLLING, "nobody answers at the door");
    let denied = Fault::json(403, &json!({ "error": { "code": "ExtensionError" } }));
    world.fake.faults().add(Rule::new("POST", "/subscriptions", When::Always, denied));
    assert_eq!(watch(&world, &door.bell("secret.a"), None).await, Watched::POLLING);
    assert_eq!(world.fake.subscriptions(), 0);
}

#[tokio::test]
async fn lost_and_repeated_notifications_are_the_fakes_to_script() {
    let (world, door) = (World::new().await, Door::new().await);
    watch(&world, &door.bell("secret.a"), None).await;
    let any = |when, fault| Rule { method: None, path_contains: String::new(), when, fault };
    for (fault, heard) in [(Fault::Drop, 0), (Fault::LoseAnswer, 2)] {
        world.fake.bells().clear();
        world.fake.bells().add(any(When::Always, fault));
        world.put(hour("2026-11-24T09:00:00", "2026-11-24T10:00:00", json!({})));
        world.fake.settled().await;
        assert_eq!(door.heard().len(), heard);
    }
}
