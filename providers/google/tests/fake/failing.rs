//! What goes wrong, and what that comes to.

use std::time::Duration;

use agentcal_engine::limits::LimitKind;
use agentcal_engine::ports::{Provider, ProviderError, SyncMode, SyncRequest};
use agentcal_fake_kit::{Fault, Rule, When};
use serde_json::json;

use crate::support::{SARAH, Stage, event, range, window, write};

fn refusal(status: u16, reason: &str) -> Fault {
    let message = "sarah@example.com may not";
    let detail = json!({"domain": "global", "reason": reason, "message": message});
    Fault::json(status, &json!({"error": {"errors": [detail], "code": status, "message": message}}))
}

/// The kind of an error, without its text.
pub(crate) fn kind(error: &ProviderError) -> String {
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
