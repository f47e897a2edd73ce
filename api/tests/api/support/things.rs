//! One of everything an account can have, by the names that stand for ids in paths, bodies and queries.

use std::collections::BTreeMap;

use agentcal_engine::ids::{
    AccountId, BookingId, CalendarId, ConnectionId, DecisionId, DeliveryId, EventTypeId, HoldId, JobId, UserId,
    WebhookId,
};
use agentcal_engine::ports::{JobNext, JobResult, JobStore};
use http::Method;
use serde_json::{Value, json};

use super::{Reply, START, TestApp, caldav, eventually};

/// Ids of an account's things.
#[derive(Clone, Debug)]
pub(crate) struct Things {
    ids: BTreeMap<&'static str, String>,
}

impl Things {
    /// Makes an account with one of everything, with this key.
    pub(crate) async fn made(app: &TestApp, key: &str) -> Self {
        let mut furnisher = Furnisher { app, key, things: Self { ids: BTreeMap::new() } };
        furnisher.furnish().await;
        furnisher.things
    }

    /// Ids as they could be, of things that are nowhere. The slot id is one of `own`, changed to be about something else.
    pub(crate) fn nowhere(app: &TestApp, own: &Self) -> Self {
        let entropy = app.entropy.as_ref();
        let mut slot_id = own.id("slot_id").to_owned();
        let at = "slot_".len() + 2;
        let other = if slot_id[at..].starts_with('A') { "B" } else { "A" };
        slot_id.replace_range(at..=at, other);
        let ids = BTreeMap::from([
            ("account_id", AccountId::mint(START, entropy).to_string()),
            ("booking_id", BookingId::mint(START, entropy).to_string()),
            ("calendar_id", CalendarId::mint(START, entropy).to_string()),
            ("connection_id", ConnectionId::mint(START, entropy).to_string()),
            ("decision_id", DecisionId::mint(START, entropy).to_string()),
            ("delivery_id", DeliveryId::mint(START, entropy).to_string()),
            ("event_type_id", EventTypeId::mint(START, entropy).to_string()),
            ("hold_id", HoldId::mint(START, entropy).to_string()),
            ("job_id", JobId::mint(START, entropy).to_string()),
            ("kind", "invitation".to_owned()),
            ("slot_id", slot_id),
            ("user_id", UserId::mint(START, entropy).to_string()),
            ("webhook_id", WebhookId::mint(START, entropy).to_string()),
        ]);
        Self { ids }
    }

    /// The id that goes by this name.
    pub(crate) fn id(&self, name: &str) -> &str {
        self.ids.get(name).unwrap_or_else(|| panic!("no test has a thing for `{name}`"))
    }

    /// The name of the thing a field is about: `busy_calendar_ids` and `calendar_id` name calendars. `None` where a field
    /// names nothing of ours.
    pub(crate) fn name_of(field: &str) -> Option<&'static str> {
        const NAMES: [&str; 12] = [
            "account_id",
            "booking_id",
            "calendar_id",
            "connection_id",
            "decision_id",
            "delivery_id",
            "event_type_id",
            "hold_id",
            "job_id",
            "slot_id",
            "user_id",
            "webhook_id",
        ];
        let one = field.strip_suffix("_ids").map_or_else(|| field.to_owned(), |stem| format!("{stem}_id"));
        let one = one.strip_prefix("busy_").unwrap_or(&one);
        let name = NAMES.into_iter().find(|&name| name == one);
        let is_other = ["session_id", "require_slot_id"].contains(&one);
        assert!(name.is_some() || !one.ends_with("_id") || is_other, "what does `{field}` name?");
        name
    }

    /// A path of the account.
    pub(crate) fn path(&self, tail: &str) -> String {
        format!("/v1/accounts/{}{tail}", self.id("account_id"))
    }

    /// Everything the account lists, and its things one by one.
    pub(crate) async fn picture(&self, app: &TestApp, key: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mail = ["/mail/branding", "/mail/templates/confirmation"];
        let lists = ["", "/users", "/event-types", "/connections", "/bookings", "/decisions"];
        for tail in lists.into_iter().chain(mail) {
            all.push(app.ask_as(key, Method::GET, &self.path(tail), None).await.expect(200).json());
        }
        let hold = self.path(&format!("/holds/{}", self.id("hold_id")));
        all.push(app.ask_as(key, Method::GET, &hold, None).await.expect(200).json());
        all
    }
}

struct Furnisher<'a> {
    app: &'a TestApp,
    key: &'a str,
    things: Things,
}

impl Furnisher<'_> {
    async fn furnish(&mut self) {
        self.keep("kind", "confirmation".to_owned());
        let account = self.post("/v1/accounts", json!({"name": "Dental", "timezone": "Europe/Berlin"})).await;
        self.keep("account_id", account.id());
        let user = json!({"name": "Sarah", "email": "sarah@example.com", "timezone": "Europe/Berlin"});
        let user = self.post(&self.things.path("/users"), user).await;
        self.keep("user_id", user.id());
        let second = json!({"name": "Tom", "email": "tom@example.com", "timezone": "Europe/Berlin"});
        let second = self.post(&self.things.path("/users"), second).await;
        let event_type = json!({"name": "Check-up", "slug": "checkup", "duration_minutes": 30, "public": true,
            "user_ids": [user.id(), second.id()]});
        let event_type = self.post(&self.things.path("/event-types"), event_type).await;
        self.keep("event_type_id", event_type.id());
        let day = |day: u32| json!({"day_of_week": day, "start_time": "09:00", "end_time": "17:00"});
        let rules = json!({"timezone": "Europe/Berlin", "rules": (1..6).map(day).collect::<Vec<_>>()});
        let path = self.things.path(&format!("/event-types/{}/availability-rules", event_type.id()));
        self.app.ask_as(self.key, Method::PUT, &path, Some(rules)).await.expect(200);
        self.connect().await;
        let webhook = json!({"url": "https://example.com/hook", "events": ["booking.created"]});
        let webhook = self.post("/v1/webhooks", webhook).await;
        self.keep("webhook_id", webhook.id());
        let start = |hour: u32| format!("2026-11-25T{hour:02}:00:00+01:00");
        let hold = json!({"event_type_id": event_type.id(), "start_time": start(15), "ttl_seconds": 900,
            "session_id": "call-1"});
        let hold = self.post(&self.things.path("/holds"), hold).await;
        self.keep("hold_id", hold.id());
        let booking = json!({"event_type_id": event_type.id(), "start_time": start(16), "attendee": {"name": "Tom"}});
        let booking = self.post(&self.things.path("/bookings"), booking).await;
        self.keep("booking_id", booking.id());
        self.deliver(&webhook.id()).await;
        self.give_up_a_job().await;
        let decisions = self.get(&self.things.path("/decisions")).await;
        self.keep("decision_id", decisions.text_at("/data/0/id"));
        let query = format!("event_type_id={}&start_date=2026-11-26&end_date=2026-11-26", event_type.id());
        let slots = self.get(&self.things.path(&format!("/availability?{query}"))).await;
        self.keep("slot_id", slots.text_at("/slots/0/slot_id"));
    }

    async fn connect(&mut self) {
        let connection = self.post(&self.things.path("/connections"), caldav("https://dav.example")).await;
        self.keep("connection_id", connection.id());
        self.keep("calendar_id", connection.text_at("/calendars/0/id"));
        let path = self.things.path(&format!("/connections/{}", connection.id()));
        eventually("first syncs", async || self.get(&path).await.text_at("/status") == "active").await;
    }

    async fn deliver(&mut self, webhook_id: &str) {
        let path = format!("/v1/webhooks/{webhook_id}/deliveries?status=delivered");
        eventually("a delivery", async || !self.get(&path).await.at("/data/0/id").is_null()).await;
        let deliveries = self.get(&path).await;
        self.keep("delivery_id", deliveries.text_at("/data/0/id"));
    }

    /// Waits for the job that the end of the booking is, and has it given up.
    async fn give_up_a_job(&mut self) {
        let account = self.things.id("account_id").to_owned();
        let found = async || {
            let jobs = self.get("/v1/jobs?kind=completed&limit=100").await.at("/data");
            let own = jobs.as_array().into_iter().flatten().find(|job| job["account_id"] == account.as_str());
            own.and_then(|job| job["id"].as_str().map(str::to_owned))
        };
        eventually("a job", async || found().await.is_some()).await;
        let id = found().await.expect("it was there");
        let result = JobResult {
            account_id: account.parse().expect("an id"),
            id: id.parse().expect("an id"),
            attempts: 0,
            ended_at: START,
            outcome: "given up for a test".to_owned(),
            next: JobNext::GiveUp,
        };
        self.app.store.record_jobs(&[result]).await.expect("the store answers");
        self.keep("job_id", id);
    }

    fn keep(&mut self, name: &'static str, id: String) {
        self.things.ids.insert(name, id);
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.app.ask_as(self.key, Method::POST, path, Some(body)).await.expect(201)
    }

    async fn get(&self, path: &str) -> Reply {
        self.app.ask_as(self.key, Method::GET, path, None).await.expect(200)
    }
}
