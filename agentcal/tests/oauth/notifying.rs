//! Notifications that nobody sent, that come again and again, and that are none. Each is answered and counted; what they can
//! cause is bounded by what a provider puts up with, and neither stops what is true from being seen.

use std::time::Instant;

use agentcal_engine::model::ProviderKind;
use reqwest::StatusCode;
use serde_json::json;

use crate::stage::{SARAH, Stage};
use crate::watching::watched;
use crate::{is_of_use, is_offered, noon, own_calendar, person};

const NOTIFICATIONS: &str = "agentcal_notifications_total";
/// Requests about one mailbox that may be made at once, and each second after that.
const AT_ONCE: u64 = 60;
const PER_SECOND: u64 = 8;
const REPLAYS: u64 = 300;
/// How often in a row nothing is asked of a provider, until it is at rest.
const LOOKS: u32 = 50;

fn counted(stage: &Stage, provider: &str, outcome: &str) -> u64 {
    stage.counted(NOTIFICATIONS, &[("provider", provider), ("outcome", outcome)])
}

/// Requests about Sarah's own calendar, once no more come.
fn asked_at_rest(stage: &Stage) -> (u64, u64) {
    let asked = || {
        let of_google = stage.google.calls().of(SARAH, "events.list");
        let of_graph = stage.graph.calls().of_operation("GET /me/calendars/{id}/calendarView/delta");
        (of_google, of_graph)
    };
    let (mut last, mut same) = (asked(), 0);
    stage.until("providers to be left alone", || {
        let now = asked();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        (same >= LOOKS).then_some(now)
    })
}

#[test]
fn forged_replayed_and_malformed_notifications_do_no_harm() {
    let stage = Stage::new();
    let google = watched(&stage, &stage.connect("google"));
    let graph = watched(&stage, &stage.connect("microsoft"));
    let [(to_google, google_token)] = &stage.google.doorbells(SARAH)[..] else { panic!("one channel") };
    let [(to_graph, graph_token)] = &stage.graph.doorbells(SARAH)[..] else { panic!("one subscription") };
    let token =
        |token: &str| [("x-goog-channel-token", token.to_owned()), ("x-goog-resource-state", "exists".to_owned())];
    let ring_google = |said: &str| {
        let headers = token(said);
        stage.post(to_google, &headers.each_ref().map(|(name, value)| (*name, value.as_str())), "")
    };
    let send_graph = |body: &str| stage.post(to_graph, &[("content-type", "application/json")], body);
    let ring_graph = |said: &str| {
        send_graph(
            &json!({"value": [{"clientState": said, "changeType": "updated", "resource": "me/events/1"}]}).to_string(),
        )
    };
    let rested = asked_at_rest(&stage);

    // Forged: another calendar's name under this one's signature, a part of it, and what was never signed.
    let before = [counted(&stage, "google", "forged"), counted(&stage, "microsoft", "forged")];
    for token in [google_token, graph_token] {
        let other = if token.as_bytes()[30] == b'A' { "B" } else { "A" };
        for said in [format!("{}{other}{}", &token[..30], &token[31..]), token[1..].to_owned(), "x".to_owned()] {
            assert_eq!(ring_google(&said), StatusCode::UNAUTHORIZED, "{said}");
            assert_eq!(ring_graph(&said), StatusCode::UNAUTHORIZED, "{said}");
        }
    }
    let after = [counted(&stage, "google", "forged"), counted(&stage, "microsoft", "forged")];
    assert_eq!(after, before.map(|count| count + 6));

    // Malformed.
    let before = counted(&stage, "microsoft", "malformed");
    let long = json!({"value": ["x".repeat(70_000)]}).to_string();
    let malformed =
        [("{", 400), ("[]", 400), (r#"{"value":{}}"#, 400), (r#"{"value":[]}"#, 422), (&long, 413), ("", 422)];
    for (body, expected) in malformed {
        assert_eq!(send_graph(body).as_u16(), expected, "{body:.40}");
    }
    assert_eq!(counted(&stage, "microsoft", "malformed"), before + 6);
    assert_eq!(asked_at_rest(&stage), rested, "neither made anybody ask a provider");

    // Replayed: each is a doorbell, and rings for what is looked at already.
    let (begun, before) = (Instant::now(), [counted(&stage, "google", "rang"), counted(&stage, "microsoft", "rang")]);
    for _ in 0..REPLAYS {
        assert_eq!(ring_google(google_token), StatusCode::NO_CONTENT);
        assert_eq!(ring_graph(graph_token), StatusCode::ACCEPTED);
    }
    let after = [counted(&stage, "google", "rang"), counted(&stage, "microsoft", "rang")];
    assert_eq!(after, before.map(|count| count + REPLAYS));
    let asked = asked_at_rest(&stage);
    let most = AT_ONCE + PER_SECOND * (begun.elapsed().as_secs() + 1);
    assert!(asked.0 - rested.0 <= most, "{} requests, {most} at most", asked.0 - rested.0);
    assert!(asked.1 - rested.1 <= REPLAYS, "{} requests", asked.1 - rested.1);
    assert_eq!((stage.google.user_quota().refused(), stage.graph.under_way().1), (0, 0), "nobody was asked too often");

    for (connection, kind) in [(google, ProviderKind::Google), (graph, ProviderKind::Microsoft)] {
        let at = noon(&stage);
        let user = person(&stage, own_calendar(&connection));
        {
            let _rung_from = stage.runtime.enter();
            stage.someone_is_busy(kind, at);
        }
        stage.until("a change to be seen", || (!is_offered(&stage, &user, at)).then_some(()));
        is_of_use(&stage, &connection, kind, at);
    }
}
