//! Providers ring. The program would look by itself only after hours.

use agentcal_engine::model::ProviderKind;
use chrono::{DateTime, Utc};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::stage::{Stage, text};
use crate::{is_offered, noon, own_calendar, person};

/// The connection, when each of its calendars is watched.
pub(crate) fn watched(stage: &Stage, id: &str) -> Value {
    stage.until("every calendar to be watched", || {
        let connection = stage.connection(id);
        let calendars = connection["calendars"].as_array().expect("a list");
        let is_watched = |calendar: &Value| calendar["watch"]["state"] == "push";
        (!calendars.is_empty() && calendars.iter().all(is_watched)).then_some(connection)
    })
}

fn rings(provider: &str, kind: ProviderKind, ended: impl Fn(&Stage) -> u64) {
    let stage = Stage::new();
    let id = stage.connect(provider);
    let connection = watched(&stage, &id);
    for calendar in connection["calendars"].as_array().expect("a list") {
        let until: DateTime<Utc> = text(&calendar["watch"], "expires_at").parse().expect("an instant");
        assert!((until - stage.began_at()).num_days() >= 2, "{calendar}");
    }
    let user = person(&stage, own_calendar(&connection));
    let at = noon(&stage);
    assert!(is_offered(&stage, &user, at));
    {
        // The fakes ring from where they serve.
        let _served = stage.runtime.enter();
        stage.someone_is_busy(kind, at);
    }
    stage.until("the change to be rung for and seen", || (!is_offered(&stage, &user, at)).then_some(()));

    let (status, body) = stage.ask(&Method::DELETE, &stage.of_account(&format!("connections/{id}")), None);
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    let all = connection["calendars"].as_array().map_or(0, Vec::len) as u64;
    stage.until("its watches to be ended", || (ended(&stage) >= all).then_some(()));
}

#[test]
fn google_rings_for_what_changed() {
    rings("google", ProviderKind::Google, |stage| stage.google.calls().of_operation("channels.stop"));
}

#[test]
fn microsoft_rings_for_what_changed() {
    let operation = "DELETE /subscriptions/{id}";
    rings("microsoft", ProviderKind::Microsoft, |stage| stage.graph.calls().of_operation(operation));
}
