use agentcal_engine::model::EventSubject;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{TestApp, Things, eventually};

/// An account with a delivery of its booking to a webhook at an address.
async fn delivered(app: &TestApp, url: &str) -> (Things, String) {
    let things = Things::made(app, &app.key).await;
    let body = json!({"url": url, "events": ["booking.created", "booking.cancelled"]});
    let webhook = app.post("/v1/webhooks", body).await.expect(201).id();
    app.delete(&things.path(&format!("/bookings/{}", things.id("booking_id")))).await.expect(200);
    (things, format!("/v1/webhooks/{webhook}"))
}

async fn deliveries(app: &TestApp, path: &str, status: &str) -> Vec<Value> {
    let listed = app.get(&format!("{path}/deliveries?status={status}")).await.expect(200);
    listed.at("/data").as_array().expect("rows").clone()
}

async fn when_tried(app: &TestApp, path: &str, status: &str, attempts: usize) -> Value {
    let tried =
        |rows: &[Value]| rows.first().is_some_and(|row| row["attempts"].as_array().map(Vec::len) == Some(attempts));
    eventually("an attempt", async || tried(&deliveries(app, path, status).await)).await;
    deliveries(app, path, status).await.remove(0)
}

#[tokio::test]
async fn a_webhook_is_made_changed_and_deleted() {
    let app = TestApp::start().await;
    let body = json!({"url": "https://example.com/hook", "events": ["booking.created"]});
    let made = app.post("/v1/webhooks", body).await.expect(201);
    let secret = made.text_at("/secret");
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    let path = format!("/v1/webhooks/{}", made.id());
    let read = app.get(&path).await;
    assert_snapshot!(read.shown(), @r#"
    200
    {
      "account_ids": null,
      "created_at": "2026-11-23T07:00:00+00:00",
      "disabled_reason": null,
      "enabled": true,
      "events": [
        "booking.created"
      ],
      "failing_since": null,
      "id": "hook_1",
      "url": "https://example.com/hook"
    }
    "#);
    let change = json!({"enabled": false, "events": ["booking.cancelled", "booking.conflict"]});
    let changed = app.patch(&path, change).await.expect(200);
    assert_eq!(
        (changed.at("/enabled"), changed.text_at("/disabled_reason")),
        (json!(false), "switched_off".to_owned())
    );
    assert_eq!(app.patch(&path, json!({"enabled": true})).await.at("/disabled_reason"), Value::Null);
    assert_eq!(app.get("/v1/webhooks").await.at("/data/0/id"), json!(made.id()));
    let rotated = app.ask(http::Method::POST, &format!("{path}/rotate-secret"), None).await.expect(200);
    assert_ne!(rotated.text_at("/secret"), secret);
    assert_eq!(app.delete(&path).await.expect(204).text, "");
    assert_eq!(app.get(&path).await.problem(), "404 not_found");
}

#[tokio::test]
async fn a_webhook_that_cannot_be_is_refused() {
    let app = TestApp::start().await;
    let check = async |body: Value, expected: &str| {
        assert_eq!(app.post("/v1/webhooks", body).await.problem(), expected);
    };
    let url = "https://example.com/hook";
    check(json!({}), "422 validation_failed url:required events:required").await;
    check(
        json!({"url": "http://example.com", "events": ["booking.created"]}),
        "422 validation_failed url:address_not_allowed",
    )
    .await;
    check(json!({"url": url, "events": []}), "422 validation_failed events:too_short").await;
    check(
        json!({"url": url, "events": ["booking.created", "booking.created"]}),
        "422 validation_failed events[1]:not_unique",
    )
    .await;
    let accounts =
        json!({"url": url, "events": ["booking.created"], "account_ids": ["acct_00000000000000000000000000", "x"]});
    check(accounts, "422 validation_failed account_ids[0]:not_found account_ids[1]:invalid_format").await;
}

#[tokio::test]
async fn what_happens_is_told_and_signed() {
    let app = TestApp::start().await;
    let (things, path) = delivered(&app, "https://example.com/other").await;
    let delivery = when_tried(&app, &path, "delivered", 1).await;
    assert_eq!((&delivery["event"], &delivery["attempts"][0]["status"]), (&json!("booking.cancelled"), &json!(204)));
    let sent = app.sender.sent();
    let message = sent.iter().find(|message| message.url == "https://example.com/other").expect("it was sent");
    assert_eq!(json!(message.id.to_string()), delivery["id"]);
    assert_eq!(message.told.account_id.to_string(), things.id("account_id"));
    assert_eq!(message.told.event.as_ref().and_then(|event| event.sequence()), Some(1));
    assert_eq!(message.secrets.len(), 1);
    app.ask(http::Method::POST, &format!("{path}/rotate-secret"), None).await.expect(200);
    let resend = format!("{path}/deliveries/{}/resend", message.id);
    assert_eq!(app.ask(http::Method::POST, &resend, None).await.status, 202);
    when_tried(&app, &path, "delivered", 2).await;
    let again = app.sender.sent().pop().expect("it was sent again");
    assert_eq!((again.id, again.secrets.len()), (message.id, 2));
}

#[tokio::test]
async fn a_move_is_told_with_where_it_was() {
    let app = TestApp::start().await;
    let things = Things::made(&app, &app.key).await;
    let body = json!({"url": "https://example.com/moves", "events": ["booking.rescheduled"]});
    let webhook = app.post("/v1/webhooks", body).await.expect(201).id();
    let booking = things.path(&format!("/bookings/{}", things.id("booking_id")));
    let before = app.get(&booking).await.text_at("/start_time");
    app.patch(&booking, json!({"start_time": "2026-11-25T11:00:00+01:00"})).await.expect(200);
    when_tried(&app, &format!("/v1/webhooks/{webhook}"), "delivered", 1).await;
    let sent = app.sender.sent().pop().expect("it was sent");
    let told = sent.told.event.as_ref().map(|event| event.subject.clone());
    let Some(EventSubject::Booking { booking, previous_range: Some(previous), .. }) = told else { panic!("{told:?}") };
    assert_eq!(booking.range.start.to_utc().to_rfc3339(), "2026-11-25T10:00:00+00:00");
    assert_eq!(
        (before.as_str(), previous.start.to_utc().to_rfc3339().as_str()),
        ("2026-11-25T16:00:00+01:00", "2026-11-25T15:00:00+00:00")
    );
}

#[tokio::test]
async fn what_fails_is_retried_and_can_be_sent_at_once() {
    let app = TestApp::start().await;
    let (_, path) = delivered(&app, "https://failing.example/").await;
    let pending = when_tried(&app, &path, "pending", 1).await;
    assert_eq!(
        (&pending["attempts"][0]["status"], &pending["attempts"][0]["answer"]),
        (&json!(503), &json!("as told"))
    );
    let webhook = app.get(&path).await;
    assert_eq!(webhook.text_at("/failing_since"), "2026-11-23T07:00:00+00:00");
    let resend = format!("{path}/deliveries/{}/resend", pending["id"].as_str().expect("an id"));
    assert_eq!(app.ask(http::Method::POST, &resend, None).await.status, 202);
    when_tried(&app, &path, "pending", 2).await;
    app.patch(&path, json!({"enabled": false})).await.expect(200);
    assert_eq!(deliveries(&app, &path, "failed").await.len(), 1);
    assert_eq!(app.ask(http::Method::POST, &resend, None).await.problem(), "409 webhook_disabled");
    app.patch(&path, json!({"enabled": true, "url": "https://example.com/mended"})).await.expect(200);
    let replayed = app.post(&format!("{path}/replay"), json!({"since": "2026-11-23T00:00:00Z"})).await.expect(200);
    assert_eq!(replayed.at("/replayed"), json!(1));
    when_tried(&app, &path, "delivered", 3).await;
}

#[tokio::test]
async fn a_test_message_tells_what_came_of_it() {
    let app = TestApp::start().await;
    for (url, delivered, status) in [("https://example.com/hook", true, 204), ("https://failing.example/", false, 503)]
    {
        let body = json!({"url": url, "events": ["booking.created"]});
        let webhook = app.post("/v1/webhooks", body).await.expect(201).id();
        let told = app.ask(http::Method::POST, &format!("/v1/webhooks/{webhook}/test"), None).await.expect(200);
        assert_eq!((told.at("/delivered"), told.at("/status")), (json!(delivered), json!(status)));
        assert!(app.sender.sent().pop().expect("it was sent").told.event.is_none());
        assert_eq!(app.get(&format!("/v1/webhooks/{webhook}/deliveries")).await.at("/data"), json!([]));
    }
}
