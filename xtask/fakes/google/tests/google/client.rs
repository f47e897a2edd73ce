//! A client that says no more than it is told.

use std::sync::Once;

use agentcal_fake_google::FakeGoogle;
use agentcal_fake_kit::{Clock, Served, serve};
use chrono::DateTime;
use chrono_tz::Tz;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

/// Google's discovery document.
pub(crate) const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/google/calendar.v3.json");
pub(crate) const SARAH: &str = "sarah@example.com";

static CRYPTO: Once = Once::new();

pub(crate) struct Client {
    pub(crate) google: FakeGoogle,
    http: reqwest::Client,
    pub(crate) token: String,
    served: Served,
}

impl Client {
    /// Of a server with Sarah's calendar, on Sunday, 2026-11-22, at noon in UTC.
    pub(crate) async fn new() -> Self {
        CRYPTO.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let google = FakeGoogle::new(Clock::at(DateTime::from_timestamp(1_795_348_800, 0).unwrap()));
        google.add_user(SARAH, Tz::Europe__Berlin);
        let served = serve(google.router(), 0).await;
        let token = google.token_for(SARAH);
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { google, http, token, served }
    }

    /// A request below the API.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/calendar/v3/{path}", self.served.base_url());
        self.http.request(method, url).bearer_auth(&self.token)
    }

    /// Where the server is.
    pub(crate) fn base_url(&self) -> String {
        self.served.base_url()
    }

    /// A request anywhere, without a token, with a form for a body.
    pub(crate) async fn raw(&self, method: Method, url: &str, form: &str) -> reqwest::Response {
        let request = self.http.request(method, url).header("content-type", "application/x-www-form-urlencoded");
        request.body(form.to_owned()).send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        read(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        read(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> (u16, Value) {
        read(self.request(Method::PATCH, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        read(self.request(Method::DELETE, path)).await
    }
}

/// A status and what was said; null where nothing was.
pub(crate) async fn read(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_default())
}
