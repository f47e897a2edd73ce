//! Google's own client for Python, and one that is built on it.

use std::path::Path;

use agentcal_testkit::python;
use serde_json::{Value, json};

use crate::client::{Client, DOCUMENT, SARAH};

async fn run(script: &str) -> Option<(Client, Value)> {
    let client = Client::new().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/google").join(script);
    let (base_url, token) = (client.base_url(), client.token.clone());
    let said = tokio::task::spawn_blocking(move || python(&script, &[&base_url, &token, DOCUMENT])).await.unwrap()?;
    Some((client, serde_json::from_str(&said).unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn googles_own_client_finds_what_it_knows() {
    let Some((client, said)) = run("api_client.py").await else { return };
    let expected = json!({
        "calendars": [SARAH],
        "pages": 4,
        "listed": 12,
        "changed": ["cancelled", "confirmed", "confirmed"],
        "nothing_changed": 0,
        "instances": 5,
        "busy": 2,
        "duplicate": 409,
        "conflict": 412,
        "dead_token": 410,
        "watched": "api#channel",
    });
    assert_eq!(said, expected);
    assert_eq!(client.google.channel_count(), 0, "it was stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gcsa_finds_what_it_knows() {
    let Some((client, said)) = run("gcsa_client.py").await else { return };
    let expected = json!({
        "calendars": [SARAH],
        "added": "Breakfast",
        "updated": "Brunch",
        "listed": ["Brunch", "Daily", "Daily", "Daily"],
        "instances": 3,
        "busy": 2,
        "left": ["Daily", "Daily", "Daily"],
    });
    assert_eq!(said, expected);
    assert_eq!(client.google.events(SARAH).len(), 1, "the series is left");
}
