//! The api, called as a customer would.

use std::time::Duration;

use agentcal_testkit::{Dev, PASSWORD, USERNAME, WAIT_MAX, wait_for};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A customer's program with its key.
pub(crate) struct Api {
    runtime: Runtime,
    http: Client,
    base_url: String,
    secret_key: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    /// The body, if the status is the expected one.
    pub(crate) fn with(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
}

impl Api {
    /// A customer of this installation.
    pub(crate) fn of(dev: &Dev) -> Self {
        // A second installation of the provider is refused, and the first one is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        // No connection is kept: between two calls nobody would notice that the other side has closed it.
        let http =
            Client::builder().timeout(ANSWER_WITHIN).pool_max_idle_per_host(0).build().expect("a client can be made");
        let (base_url, secret_key) = (dev.base_url().to_owned(), dev.info().secret_key.clone());
        Self { runtime, http, base_url, secret_key }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None)
    }

    pub(crate) fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body))
    }

    pub(crate) fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, Some(body))
    }

    pub(crate) fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, Some(body))
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None)
    }

    fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.http.request(method, format!("{}/v1{path}", self.base_url)).bearer_auth(&self.secret_key);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        self.runtime.block_on(async {
            let response = request.send().await.expect("the api answers");
            let status = response.status().as_u16();
            let text = response.text().await.expect("an answer has a body");
            let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
            Answer { status, body }
        })
    }
}

/// One account, with what the story makes in it.
pub(crate) struct Account<'a> {
    pub(crate) api: &'a Api,
    path: String,
}

impl<'a> Account<'a> {
    pub(crate) fn create(api: &'a Api) -> Self {
        let account = api.post("/accounts", json!({ "name": "Story" })).with(201);
        Self { api, path: format!("/accounts/{}", text(&account, "id")) }
    }

    /// An account that was there before, named by its path.
    pub(crate) fn again(api: &'a Api, path: &str) -> Self {
        Self { api, path: path.to_owned() }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn at(&self, rest: &str) -> String {
        format!("{}{rest}", self.path)
    }

    /// Connects a CalDAV server and waits until every calendar of it is known.
    pub(crate) fn connect(&self, server_url: &str) -> Value {
        let body =
            json!({ "provider": "caldav", "server_url": server_url, "username": USERNAME, "password": PASSWORD });
        let connection = self.api.post(&self.at("/connections"), body).with(201);
        let path = self.at(&format!("/connections/{}", text(&connection, "id")));
        wait_for("the first sync of every calendar", WAIT_MAX, || {
            let connection = self.api.get(&path).with(200);
            let calendars = connection["calendars"].as_array().expect("a connection lists its calendars");
            let synced = calendars.iter().all(|calendar| !calendar["last_synced_at"].is_null());
            (connection["status"] == "active" && synced && !calendars.is_empty()).then_some(connection)
        })
    }

    /// Creates a user and returns its id.
    pub(crate) fn user(&self, body: Value) -> String {
        text(&self.api.post(&self.at("/users"), body).with(201), "id").to_owned()
    }

    /// Creates an event type and returns its id.
    pub(crate) fn event_type(&self, body: Value) -> String {
        text(&self.api.post(&self.at("/event-types"), body).with(201), "id").to_owned()
    }

    pub(crate) fn book(&self, event_type_id: &str, user_id: &str, start_time: &str) -> Value {
        let attendee = json!({ "name": "Kim Lee", "email": "kim@example.com", "timezone": "Europe/Berlin" });
        let body = json!({
            "event_type_id": event_type_id, "user_id": user_id, "start_time": start_time, "attendee": attendee,
        });
        self.api.post(&self.at("/bookings"), body).with(201)
    }

    pub(crate) fn booking_path(&self, booking: &Value) -> String {
        self.at(&format!("/bookings/{}", text(booking, "id")))
    }

    /// Waits until the booking looks as expected, and returns it.
    pub(crate) fn booking_when(&self, booking: &Value, what: &str, mut is_so: impl FnMut(&Value) -> bool) -> Value {
        let path = self.booking_path(booking);
        wait_for(what, WAIT_MAX, || Some(self.api.get(&path).with(200)).filter(|booking| is_so(booking)))
    }

    pub(crate) fn booking_when_written(&self, booking: &Value) -> Value {
        self.booking_when(booking, "the writeback", |booking| booking["writeback"]["state"] == "written")
    }
}

/// A text of an object.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("`{name}` is missing in {value}"))
}

/// The id of the calendar with this name.
pub(crate) fn calendar_id<'a>(connection: &'a Value, name: &str) -> &'a str {
    let calendars = connection["calendars"].as_array().expect("a connection lists its calendars");
    let calendar = calendars.iter().find(|calendar| calendar["name"] == name);
    text(calendar.unwrap_or_else(|| panic!("no calendar {name} in {connection}")), "id")
}
