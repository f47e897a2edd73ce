//! What goes wrong, and what that comes to.

use std::time::Duration;

use agentcal_engine::limits::LimitKind;
use agentcal_engine::ports::{Provider, ProviderError, SyncMode, SyncRequest};
use agentcal_fake_kit::{Fault, Rule, When};
use serde_json::json;

use crate::support::{SARAH, Stage, busy, event, range, series, window, write};

fn refusal(status: u16, reason: &str) -> Fault {
    let message = "sarah@example.com may not";
    let detail = json!({"domain": "global", "reason": reason, "message": message});
    Fault::json(status, &json!({"error": {"errors": [detail], "code": status, "message": message}}))
}

/// The kind of an error, without its text.
fn kind(error: &ProviderError) -> String {
    match error {
        ProviderError::RateLimited { retry_after, of } => format!("limited {retry_after:?} {of:?}"),
        ProviderError::Unavailable(_) => "unavailable".to_owned(),
        ProviderError::Unauthorized(_) => "unauthorized".to_owned(),
        ProviderError::Refused(_) => "refused".to_owned(),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn each_failure_is_told_and_the_next_sync_is_whole() {
    let stage = Stage::new().await;
    for nth in 0..20 {
        stage.google.insert(SARAH, event(nth * 100, 30));
    }
    let (_, cursor) = stage.full().await;
    let limited = |wait: Option<u64>| format!("limited {:?} {:?}", wait.map(Duration::from_secs), LimitKind::Mailbox);
    let html = Fault::Status {
        status: 200,
        headers: vec![("content-type".to_owned(), "text/html".to_owned())],
        body: "<html>Sign in to the hotel's network</html>".to_owned(),
    };
    let cases = [
        (Fault::Drop, "unavailable".to_owned()),
        (Fault::LoseAnswer, "unavailable".to_owned()),
        (Fault::Cut { bytes: 200 }, "unavailable".to_owned()),
        (html, "refused".to_owned()),
        (refusal(500, "backendError"), "unavailable".to_owned()),
        (refusal(503, "backendError"), "unavailable".to_owned()),
        (refusal(401, "authError"), "unauthorized".to_owned()),
        (refusal(403, "userRateLimitExceeded"), limited(None)),
        (refusal(403, "forbidden"), "refused".to_owned()),
        (refusal(429, "rateLimitExceeded").with_header("retry-after", "9"), limited(Some(9))),
        (refusal(410, "fullSyncRequired"), "CursorGone".to_owned()),
        (refusal(404, "notFound"), "CalendarGone".to_owned()),
    ];
    for (fault, expected) in cases {
        for mode in [SyncMode::Full, SyncMode::Incremental { cursor: cursor.clone() }] {
            stage.google.faults().add(Rule::new("GET", "/events", When::Always, fault.clone()));
            let error = stage.page(mode.clone(), None).await.unwrap_err();
            assert_eq!(kind(&error), expected, "{fault:?}");
            assert!(!error.to_string().contains("sarah"), "{error}");
            stage.google.faults().clear();
            stage.run(mode).await.unwrap();
        }
    }
}

#[tokio::test]
async fn one_badly_typed_event_does_not_fail_its_page() {
    let stage = Stage::new().await;
    stage.google.insert(SARAH, event(100, 30));
    let mut odd = event(200, 30);
    odd["transparency"] = "oddly".into();
    let odd = stage.google.insert(SARAH, odd);
    let id = odd["id"].as_str().unwrap();
    for (from, to) in [(r#""oddly""#, "7"), ("2026-11-22T16:20:00", "soon"), ("2026-11-22T16:50:00", "1")] {
        stage.google.faults().clear();
        stage.google.faults().add(Rule::new("GET", "/events", When::Always, Fault::Replace(from.into(), to.into())));
        let (facts, _) = stage.full().await;
        assert_eq!(facts.len(), 2, "{from}");
        assert_eq!(facts[id].len(), 1, "{from}");
        assert_eq!(facts[id][0].range, window(), "{from}: what cannot be read blocks");
    }
    stage.google.faults().clear();
    let (facts, _) = stage.full().await;
    assert_eq!(busy(&facts), stage.truth());
}

/// A page longer than is read is asked for in smaller ones.
#[tokio::test]
async fn an_oversized_page_is_read_in_parts() {
    let stage = Stage::new().await;
    // Each transparency is a text that is asked for, so that thirty of them are more than four megabytes.
    for nth in 0..30 {
        let mut long = event(nth * 100, 30);
        long["transparency"] = "x".repeat(150_000).into();
        stage.google.insert(SARAH, long);
    }
    let (facts, pages, _) = stage.run(SyncMode::Full).await.unwrap();
    assert_eq!(pages, 2);
    assert_eq!(busy(&facts), stage.truth());
    let stage = Stage::new().await;
    let mut endless = event(100, 30);
    endless["transparency"] = "x".repeat(5_000_000).into();
    stage.google.insert(SARAH, endless);
    let error = stage.run(SyncMode::Full).await.unwrap_err();
    assert_eq!(kind(&error), "refused");
}

/// Zones that do not exist and times nobody lives in are bounded, and stop nobody.
#[tokio::test]
async fn absurd_answers_are_bounded() {
    let stage = Stage::new().await;
    stage.google.insert(SARAH, series(100, 30, "RRULE:FREQ=DAILY;COUNT=3"));
    let cases = [
        ("Europe/Berlin", "Mars/Olympus", 3),
        // Over for two thousand years.
        ("2026-11-22", "0001-01-01", 2),
        ("+01:00", "+99:00", 3),
        ("confirmed", "maybe", 3),
    ];
    for (from, to, blocking) in cases {
        stage.google.faults().clear();
        stage.google.faults().add(Rule::new("GET", "/events", When::Always, Fault::Replace(from.into(), to.into())));
        let (facts, _) = stage.full().await;
        assert_eq!(facts.values().filter(|instances| instances.len() == 1).count(), blocking, "{from}");
    }
}

#[tokio::test]
async fn every_call_says_what_refuses_it() {
    let stage = Stage::new().await;
    let written = write(1, range(60, 30));
    let request = SyncRequest { mode: SyncMode::Full, window: window(), page: None };
    let good = stage.google.token_for(SARAH);
    let narrow = stage.google.token_with(SARAH, "client", &["https://www.googleapis.com/auth/userinfo.email"]);
    for (token, expected) in [("nobody's", "unauthorized"), (narrow.as_str(), "unauthorized"), ("a\nb", "unauthorized")]
    {
        let calendar = stage.with_token(token);
        let errors = [
            stage.provider.discover(&calendar.credentials).await.unwrap_err(),
            stage.provider.sync(&calendar, &request).await.unwrap_err(),
            stage.provider.write_event(&calendar, &written).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(kind(&error), expected, "{token}");
            assert!(!error.to_string().contains(token), "{error}");
        }
    }
    stage.provider.sync(&stage.with_token(&good), &request).await.unwrap();
}

/// The server's own quotas, in both of its ways to refuse.
#[tokio::test]
async fn quotas_are_told_from_each_other() {
    let stage = Stage::new().await;
    for with_429 in [false, true] {
        stage.google.refuse_with_429(with_429);
        stage.google.user_quota().set_max(0);
        let user = stage.page(SyncMode::Full, None).await.unwrap_err();
        stage.google.user_quota().set_max(600);
        stage.google.project_quota().set_max(0);
        let project = stage.page(SyncMode::Full, None).await.unwrap_err();
        stage.google.project_quota().set_max(10_000);
        let wait = with_429.then_some(Duration::from_secs(61));
        let limited = |of| ProviderError::RateLimited { retry_after: wait, of };
        assert_eq!([user, project], [limited(LimitKind::Mailbox), limited(LimitKind::Client)]);
    }
}
