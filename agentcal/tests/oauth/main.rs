//! Calendars of Google and Microsoft 365 are connected as people do it: a page, a consent, and back. The program is a process,
//! and both providers with their identity servers are fakes beside it.
//!
//! Lesson: refresh token revoked, bookings stop being written, nobody is told; reconnecting makes duplicates.

mod hearing;
mod hostile;
mod notifying;
mod private;
mod stage;
mod tokens;
mod watching;
mod wrong;

use agentcal_engine::model::ProviderKind;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use stage::{Stage, text};

/// A person who can be booked at all hours, with this calendar.
fn person(stage: &Stage, calendar_id: &str) -> String {
    let body = json!({"name": "Sarah", "email": "sarah@example.com", "timezone": "UTC", "calendar_id": calendar_id});
    let user = stage.done(&Method::POST, &stage.of_account("users"), Some(&body));
    let id = text(&user, "id").to_owned();
    let day = |day: u8| json!({"day_of_week": day, "start_time": "00:00", "end_time": "24:00"});
    let rules = json!({"timezone": "UTC", "rules": (0..7).map(day).collect::<Vec<_>>()});
    stage.done(&Method::PUT, &stage.of_account(&format!("users/{id}/availability-rules")), Some(&rules));
    id
}

/// The calendar Sarah's bookings are written to.
fn own_calendar(connection: &Value) -> &str {
    let calendars = connection["calendars"].as_array().expect("a list");
    let own = calendars.iter().find(|calendar| calendar["name"] == stage::SARAH || calendar["name"] == "Calendar");
    text(own.expect("it is in the list"), "id")
}

/// Noon in a week.
fn noon(stage: &Stage) -> DateTime<Utc> {
    let day = (stage.began_at() + TimeDelta::days(7)).date_naive();
    day.and_hms_opt(12, 0, 0).expect("noon is on every day").and_utc()
}

/// When somebody is free for half an hour, on the day of an instant.
fn free(stage: &Stage, user_id: &str, at: DateTime<Utc>) -> Vec<String> {
    let date = at.date_naive();
    let query =
        format!("availability?user_id={user_id}&duration_minutes=30&start_date={date}&end_date={date}&timezone=UTC");
    // On a busy machine the first answer may come before everything was read.
    let answer = stage.until("a complete answer", || {
        let answer = stage.done(&Method::GET, &stage.of_account(&query), None);
        (answer["freshness"]["state"] == "complete").then_some(answer)
    });
    let slots = answer["slots"].as_array().expect("a list");
    slots.iter().map(|slot| text(slot, "start_time").to_owned()).collect()
}

/// Whether somebody is offered half an hour from an instant on.
fn is_offered(stage: &Stage, user_id: &str, at: DateTime<Utc>) -> bool {
    free(stage, user_id, at).iter().any(|start| start.parse() == Ok(at))
}

/// What was busy is not offered, and what is booked is written.
fn is_of_use(stage: &Stage, connection: &Value, provider: ProviderKind, busy_at: DateTime<Utc>) {
    let user = person(stage, own_calendar(connection));
    let starts = free(stage, &user, busy_at);
    let as_text = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let is_offered = |at| starts.iter().any(|start| start.parse() == Ok::<DateTime<Utc>, _>(at));
    assert!(!is_offered(busy_at), "{starts:?} has {busy_at}");
    assert!(is_offered(busy_at + TimeDelta::hours(2)), "{starts:?}");
    let start = busy_at + TimeDelta::hours(3);
    let body = json!({
        "user_id": user, "start_time": as_text(start), "duration_minutes": 30, "attendee": {"name": "Max"},
    });
    let booking = stage.done(&Method::POST, &stage.of_account("bookings"), Some(&body));
    let path = stage.of_account(&format!("bookings/{}", text(&booking, "id")));
    stage.until("the booking to be written", || {
        let booking = stage.done(&Method::GET, &path, None);
        (booking["writeback"]["state"] == "written").then_some(())
    });
    let end = start + TimeDelta::minutes(30);
    let busy = stage.busy_at(provider, (start, end));
    assert_eq!(busy, [(start, end)], "the provider shows it");
}

#[test]
fn a_google_calendar_is_connected_by_consent() {
    let stage = Stage::new();
    let at = noon(&stage);
    stage.someone_is_busy(ProviderKind::Google, at);
    let id = stage.connect("google");
    let connection = stage.active(&id);
    assert_eq!(text(&connection, "provider"), "google");
    assert_eq!(text(&connection, "display_name"), "sarah@example.com");
    assert_eq!(connection["calendars"].as_array().map(Vec::len), Some(3), "{connection}");
    is_of_use(&stage, &connection, ProviderKind::Google, at);
}

#[test]
fn a_microsoft_calendar_is_connected_by_consent() {
    let stage = Stage::new();
    let at = noon(&stage);
    stage.someone_is_busy(ProviderKind::Microsoft, at);
    let id = stage.connect("microsoft");
    let connection = stage.active(&id);
    assert_eq!(text(&connection, "provider"), "microsoft");
    is_of_use(&stage, &connection, ProviderKind::Microsoft, at);
}

/// An organization brings its own client, and everybody who connects meets that.
#[test]
fn an_organization_may_be_its_own_client() {
    let stage = Stage::new();
    stage.google.add_client("own-client", "own-secret");
    let organization = stage.organization().to_owned();
    let own = ["org", "oauth-client", "set", "--organization", &organization, "--provider", "google"];
    stage.command_with(&[&own[..], &["--client-id", "own-client"]].concat(), "own-secret\n");
    let listed = stage.command(&["org", "oauth-client", "list", "--organization", &organization]);
    assert_eq!(listed, "google  own-client");
    let url = stage.consent_url("google");
    assert!(url.query_pairs().any(|(name, value)| name == "client_id" && value == "own-client"), "{url}");
    let id = stage.connect("google");
    stage.active(&id);
    stage.command(&["org", "oauth-client", "remove", "--organization", &organization, "--provider", "google"]);
    let url = stage.consent_url("google");
    assert!(url.query_pairs().any(|(name, value)| name == "client_id" && value == stage::CLIENT_ID), "{url}");
}

/// What a mailbox was connected by is given back when it is disconnected: once, and not while another account lives by it.
#[test]
fn disconnecting_gives_the_grant_back() {
    let stage = Stage::new();
    let first = stage.connect("google");
    let other = stage.another_account();
    let second = stage.connect_for(&other, "google");
    stage.active(&first);
    let delete = |account: &str, connection: &str| {
        let path = format!("/accounts/{account}/connections/{connection}");
        let (status, body) = stage.ask(&Method::DELETE, &path, None);
        assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    };
    let revoked = || stage.google.calls().of_operation("oauth.revoke");
    delete(stage.account(), &first);
    stage.until("the first to be looked at", || (stage.revocations() == 0).then_some(()));
    assert_eq!(revoked(), 0, "another account lives by it");
    delete(&other, &second);
    stage.until("the grant to be given back", || (revoked() == 1).then_some(()));
}
