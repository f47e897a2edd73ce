//! The life of a token: renewed ahead of its end and when it is refused, rotated, and taken back.

use reqwest::Method;
use serde_json::Value;

use crate::hearing::Hearing;
use crate::own_calendar;
use crate::stage::{Stage, text};

const SHORT: i64 = 200;

/// Has the calendars of an account looked at: somebody asks for what is new.
fn look(stage: &Stage, user: &str) {
    let date = (stage.began_at() + chrono::TimeDelta::days(3)).date_naive();
    let query = format!(
        "availability?user_id={user}&duration_minutes=30&start_date={date}&end_date={date}&max_staleness_ms=1&deadline_ms=1"
    );
    stage.ask(&Method::GET, &stage.of_account(&query), None);
}

fn google_tokens(stage: &Stage) -> u64 {
    stage.google.calls().of_operation("oauth.token")
}

/// Three calendars begin to sync with a token that is about to end: one of them has it renewed, once.
#[test]
fn a_token_is_renewed_once_for_all_calendars() {
    let stage = Stage::new();
    stage.google.set_lifetimes([SHORT]);
    let id = stage.connect("google");
    let connection = stage.active(&id);
    assert_eq!(google_tokens(&stage), 2, "for the code, and ahead of its end");

    // Google has enough of the tokens, long before they end.
    stage.google.expire_access_tokens();
    let user = crate::person(&stage, own_calendar(&connection));
    stage.until("a token to be asked for", || {
        look(&stage, &user);
        (google_tokens(&stage) > 2).then_some(())
    });
    let synced_at = |connection: &Value| {
        let own = own_calendar(connection).to_owned();
        let calendars = connection["calendars"].as_array().expect("a list");
        let own = calendars.iter().find(|calendar| calendar["id"] == own.as_str());
        text(own.expect("it is in the list"), "last_synced_at").to_owned()
    };
    stage.until("the calendar to be current again", || {
        look(&stage, &user);
        (synced_at(&stage.connection(&id)) != synced_at(&connection)).then_some(())
    });
    assert_eq!(google_tokens(&stage), 3, "one more, for the one that was refused");
    assert_eq!(stage.connection(&id)["status"], "active");
}

/// Microsoft gives another refresh token each time, and here the old one counts no more.
#[test]
fn refresh_tokens_that_rotate_are_kept() {
    let stage = Stage::new();
    stage.graph.set_refresh_once(true);
    stage.graph.set_lifetimes([SHORT, SHORT, SHORT]);
    let id = stage.connect("microsoft");
    let connection = stage.active(&id);
    let user = crate::person(&stage, own_calendar(&connection));
    let tokens = || stage.graph.calls().of_operation("POST /token");
    stage.until("tokens to be renewed again and again", || {
        look(&stage, &user);
        (tokens() >= 4).then_some(())
    });
    assert_eq!(stage.connection(&id)["status"], "active");
}

/// Sarah takes back what she granted. Her calendars are unknown and her platform is told, once; the identity server is not
/// asked again and again. She connects the same mailbox, and everything is as it was.
#[test]
fn a_grant_that_is_taken_back_is_told_and_healed() {
    let stage = Stage::new();
    let hearing = Hearing::begin(&stage);
    let id = stage.connect("google");
    let connection = stage.active(&id);
    let user = crate::person(&stage, own_calendar(&connection));
    let before = google_tokens(&stage);
    stage.google.revoke_user(crate::stage::SARAH);
    let refused = stage.until("the connection to be refused", || {
        look(&stage, &user);
        let connection = stage.connection(&id);
        (connection["status"] == "reauthorization_required").then_some(connection)
    });
    assert!(text(&refused, "status_reason").contains("invalid_grant"), "{refused}");
    let told = stage.until("the platform to be told", || hearing.heard().first().cloned());
    assert_eq!(told["type"], "connection.reauthorization_required");
    assert_eq!(told["data"]["connection"]["id"], id.as_str(), "{told}");
    for _ in 0..20 {
        look(&stage, &user);
    }
    assert_eq!(google_tokens(&stage), before + 1, "one question, however many calendars and callers");

    assert_eq!(stage.connect("google"), id, "no second connection");
    let healed = stage.active(&id);
    let ids = |connection: &Value| -> Vec<String> {
        let calendars = connection["calendars"].as_array().expect("a list");
        calendars.iter().map(|calendar| text(calendar, "id").to_owned()).collect()
    };
    assert_eq!(ids(&healed), ids(&connection), "the same calendars");
    let listed = stage.done(&Method::GET, &stage.of_account("connections"), None);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
    stage.until("the calendar to be known again", || {
        let date = (stage.began_at() + chrono::TimeDelta::days(3)).date_naive();
        let query = format!("availability?user_id={user}&duration_minutes=30&start_date={date}&end_date={date}");
        let (status, answer) = stage.ask(&Method::GET, &stage.of_account(&query), None);
        (status.is_success() && answer["freshness"]["state"] == "complete").then_some(())
    });
    assert_eq!(hearing.heard().len(), 1, "told once");
}
