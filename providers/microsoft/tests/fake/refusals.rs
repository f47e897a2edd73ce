//! What Graph's refusals come to, through the whole provider.

use std::time::Duration;

use agentcal_engine::limits::LimitKind;
use agentcal_engine::ports::{ProviderError, SyncMode};
use agentcal_fake_kit::{Fault, Rule, When};
use serde_json::{Value, json};

use crate::support::{ADDRESS, Mirror, World, hour};

fn refusal(status: u16, code: &str) -> Fault {
    Fault::json(status, &json!({ "error": { "code": code, "message": "about sarah@example.com" } }))
}

#[tokio::test]
async fn each_refusal_of_a_round_means_something() {
    let world = World::new().await;
    let html = Fault::Status {
        status: 200,
        headers: vec![("content-type".to_owned(), "text/html".to_owned())],
        body: "<html>maintenance</html>".to_owned(),
    };
    let unavailable = |text: &str| Err(ProviderError::Unavailable(text.to_owned()));
    let unauthorized = |text: &str| Err(ProviderError::Unauthorized(format!("Microsoft Graph answers {text}")));
    let limited = |seconds: Option<u64>, of| {
        Err(ProviderError::RateLimited { retry_after: seconds.map(Duration::from_secs), of })
    };
    let no_sense = unavailable("Microsoft Graph answers something that is not what was asked for");
    let cases: [(Fault, Result<(), ProviderError>); 11] = [
        (refusal(401, "InvalidAuthenticationToken"), unauthorized("401 (InvalidAuthenticationToken)")),
        (refusal(403, "ErrorAccessDenied"), unauthorized("403 (ErrorAccessDenied)")),
        (refusal(404, "ErrorItemNotFound"), Err(ProviderError::CalendarGone)),
        (refusal(410, "SyncStateNotFound"), Err(ProviderError::CursorGone)),
        (refusal(400, "resyncRequired"), Err(ProviderError::CursorGone)),
        (refusal(429, "ApplicationThrottled").with_header("retry-after", "17"), limited(Some(17), LimitKind::Mailbox)),
        (refusal(429, "TooManyRequests"), limited(None, LimitKind::Client)),
        (refusal(503, "ServerBusy").with_header("retry-after", "3"), limited(Some(3), LimitKind::Mailbox)),
        (
            refusal(500, "ErrorInternalServerError"),
            unavailable("Microsoft Graph answers 500 (ErrorInternalServerError)"),
        ),
        (html, no_sense.clone()),
        (Fault::json(200, &json!({ "value": "none" })), no_sense),
    ];
    for (fault, expected) in cases {
        world.fake.faults().clear();
        world.fake.faults().add(Rule::new("GET", "calendarView", When::Always, fault.clone()));
        let answer = world.page(SyncMode::Full, None).await.map(|_| ());
        assert_eq!(answer, expected, "{fault:?}");
    }
}

#[tokio::test]
async fn what_breaks_off_is_unavailable_and_works_the_next_time() {
    let world = World::new().await;
    world.put(hour("2026-11-24T09:00:00", "2026-11-24T10:00:00", json!({})));
    for fault in [Fault::Drop, Fault::LoseAnswer, Fault::Cut { bytes: 40 }] {
        world.fake.faults().clear();
        world.fake.faults().add(Rule::new("GET", "calendarView", When::Nth(1), fault.clone()));
        let mut mirror = Mirror::default();
        let broken = mirror.sync(&world).await.unwrap_err();
        assert!(matches!(broken, ProviderError::Unavailable(_)), "{fault:?}: {broken:?}");
        mirror.sync(&world).await.unwrap();
        assert_eq!(mirror.busy(), world.truth(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_link_that_leads_elsewhere_is_not_followed() {
    let world = World::new().await;
    let elsewhere =
        json!({ "value": [], "@odata.nextLink": "http://127.0.0.1:9/v1.0/me/calendarView/delta?$skiptoken=a" });
    world.fake.faults().add(Rule::new("GET", "calendarView", When::Always, Fault::json(200, &elsewhere)));
    let refused = Mirror::default().sync(&world).await.unwrap_err();
    assert_eq!(refused, ProviderError::Refused("a link to the next page leads elsewhere".to_owned()));
    world.fake.faults().clear();
    let endless = json!({ "value": [] });
    world.fake.faults().add(Rule::new("GET", "calendarView", When::Always, Fault::json(200, &endless)));
    let refused = Mirror::default().sync(&world).await.unwrap_err();
    assert!(matches!(refused, ProviderError::Refused(_)), "{refused:?}");
}

#[tokio::test]
async fn a_page_that_is_too_large_is_asked_for_in_smaller_ones() {
    let world = World::new().await;
    let long = "x".repeat(400_000);
    for day in 1..=60 {
        let (month, day) = if day > 30 { ("2027-01", day - 30) } else { ("2026-12", day) };
        let (start, end) = (format!("{month}-{day:02}T09:00:00"), format!("{month}-{day:02}T10:00:00"));
        world.put(hour(&start, &end, json!({ "body": { "contentType": "text", "content": long } })));
    }
    let mut mirror = Mirror::default();
    mirror.sync(&world).await.unwrap();
    assert_eq!(mirror.busy(), world.truth());
    assert_eq!(mirror.busy().len(), 60);
    assert!(mirror.pages > 1);
    assert!(mirror.oddities.oversized >= 1, "{:?}", mirror.oddities);
}

#[tokio::test]
async fn the_fake_counts_limits_as_graph_does() {
    let world = World::new().await;
    world.fake.set_quota(3);
    for _ in 0..3 {
        world.page(SyncMode::Full, None).await.unwrap();
    }
    let ProviderError::RateLimited { retry_after, of } = world.page(SyncMode::Full, None).await.unwrap_err() else {
        panic!("the quota was used up");
    };
    assert_eq!((retry_after.map(|wait| wait.as_secs() > 590), of), (Some(true), LimitKind::Mailbox));
    world.fake.clock().advance(Duration::from_secs(601));
    world.page(SyncMode::Full, None).await.unwrap();
    let (most, refused) = world.fake.under_way();
    assert_eq!((most, refused), (1, 0));
    assert_eq!(world.fake.act(ADDRESS, "GET", "/me", Value::Null).0, 200);
}
