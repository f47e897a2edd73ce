//! The server as Svix's own client for Python meets it.

use std::path::Path;
use std::time::Duration;

use agentcal_fake_kit::{Clock, Fault, Rule, When, serve};
use agentcal_fake_svix::FakeSvix;
use agentcal_testkit::python;
use serde_json::{Value, json};

const TOKEN: &str = "testsk_agentcal";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn svixs_own_client_finds_what_it_knows() {
    let svix = FakeSvix::new(Clock::system(), TOKEN);
    svix.set_retry_waits(vec![Duration::from_millis(50)]);
    // Its client asks again by itself what fails with 5xx.
    svix.faults().add(Rule::new("POST", "/msg", When::First(1), Fault::json(503, &json!({}))));
    let served = serve(svix.router(), 0).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client.py");
    let base_url = served.base_url();
    let said = tokio::task::spawn_blocking(move || python(&script, &[&base_url, TOKEN])).await.expect("it ends");
    let Some(said) = said else { return };
    let said: Value = serde_json::from_str(&said).expect("JSON");
    let expected = json!({
        "application": "org_1_live",
        "made_once": true,
        "unknown_event_type": 422,
        "too_many_channels": 422,
        "uid_like_an_id": 422,
        "wrong_token": 401,
        "same_endpoint": 409,
        "same_message": 409,
        "heard": {"/all": ["booking.cancelled", "booking.created"], "/one": ["booking.created"]},
        "verified": 3,
        "failed_then": [0, 2],
        "statuses": [0, 0],
        "both_signatures": 2,
        "resent": true,
        "recovered": "running",
        "disabled": true,
        "left": ["hook_2"],
        "gone": 404,
    });
    assert_eq!(said, expected);
    assert_eq!(svix.event_ids("org_1_live").len(), 4);
    assert_eq!(svix.faults().struck(), 1);
}
