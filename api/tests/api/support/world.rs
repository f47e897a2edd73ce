//! An account with what most tests need.

use serde_json::{Value, json};

use super::{Reply, TestApp, eventually};

/// An account, a user without calendars, and a public event type of half an hour.
pub(crate) struct World {
    pub(crate) app: TestApp,
    pub(crate) account: String,
    pub(crate) user: String,
    pub(crate) event_type: String,
}

impl World {
    pub(crate) async fn start() -> Self {
        let app = TestApp::start().await;
        let made = app.post("/v1/accounts", json!({"name": "Dental", "timezone": "Europe/Berlin"})).await.expect(201);
        let account = made.id();
        let mut world = Self { app, account, user: String::new(), event_type: String::new() };
        world.user = world.new_user("Sarah", json!({})).await;
        world.event_type = world.new_event_type("checkup", &[&world.user], json!({"public": true})).await;
        world
    }

    /// A path of this world's account.
    pub(crate) fn path(&self, tail: &str) -> String {
        format!("/v1/accounts/{}{tail}", self.account)
    }

    pub(crate) async fn new_user(&self, name: &str, more: Value) -> String {
        let email = format!("{}@example.com", name.to_lowercase());
        let body = merged(json!({"name": name, "email": email, "timezone": "Europe/Berlin"}), more);
        self.app.post(&self.path("/users"), body).await.expect(201).id()
    }

    pub(crate) async fn new_event_type(&self, slug: &str, user_ids: &[&str], more: Value) -> String {
        let body = json!({"name": "Check-up", "slug": slug, "duration_minutes": 30, "user_ids": user_ids});
        self.app.post(&self.path("/event-types"), merged(body, more)).await.expect(201).id()
    }

    /// Connects scripted calendars and waits for their first syncs; answers with the connection.
    pub(crate) async fn connect(&self) -> Reply {
        let made = self.app.post(&self.path("/connections"), caldav("https://dav.example")).await.expect(201);
        let path = self.path(&format!("/connections/{}", made.id()));
        eventually("first syncs", async || self.app.get(&path).await.text_at("/status") == "active").await;
        made
    }

    pub(crate) fn booking(&self, start_time: &str) -> Value {
        json!({"event_type_id": self.event_type, "start_time": start_time, "attendee": {"name": "Tom"}})
    }

    pub(crate) async fn book(&self, start_time: &str) -> Reply {
        self.app.post(&self.path("/bookings"), self.booking(start_time)).await
    }

    pub(crate) async fn availability(&self, query: &str) -> Reply {
        self.app.get(&self.path(&format!("/availability?{query}"))).await
    }

    /// Starts offered on one day by the event type.
    pub(crate) async fn starts_on(&self, date: &str) -> Vec<String> {
        let query = format!("event_type_id={}&start_date={date}&end_date={date}", self.event_type);
        starts(&self.availability(&query).await.expect(200))
    }
}

/// The starts of an availability answer.
pub(crate) fn starts(reply: &Reply) -> Vec<String> {
    let slots = reply.at("/slots");
    let start = |slot: &Value| slot["start_time"].as_str().map(str::to_owned);
    slots.as_array().into_iter().flatten().filter_map(start).collect()
}

pub(crate) fn caldav(server_url: &str) -> Value {
    json!({"provider": "caldav", "server_url": server_url, "username": "sarah", "password": "secret"})
}

/// One object over another.
pub(crate) fn merged(mut below: Value, above: Value) -> Value {
    if let (Some(below), Value::Object(above)) = (below.as_object_mut(), above) {
        below.extend(above);
    }
    below
}
