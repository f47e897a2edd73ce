//! What providers ring with. The clock stands still, so that nothing but a bell makes a calendar be looked at.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::signed::CalendarBell;
use agentcal_engine::time::TimeRange;
use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{Behaviour, Reply, START, World, eventually};

const GOOGLE: &str = "/v1/notifications/google";
const MICROSOFT: &str = "/v1/notifications/microsoft";
const DAY: &str = "2026-11-23";

/// A user with a calendar that is about to change, the calendar's token, and what was offered before.
struct Watched {
    world: World,
    token: String,
    before: usize,
}

impl Watched {
    async fn start() -> Self {
        let mut world = World::start().await;
        let calendar = world.connect().await.text_at("/calendars/0/id");
        let user = world.new_user("Ada", json!({"calendar_id": calendar})).await;
        world.event_type = world.new_event_type("rung", &[&user], json!({})).await;
        let bell = CalendarBell {
            account_id: world.account.parse::<AccountId>().expect("an id"),
            calendar_id: calendar.parse::<CalendarId>().expect("an id"),
        };
        let token = bell.token(&world.app.signing);
        let before = world.starts_on(DAY).await.len();
        let noon = START + Duration::from_secs(4 * 3_600);
        let busy = TimeRange::new(noon, noon + Duration::from_secs(3_600)).expect("an hour");
        world.app.provider.behave(Behaviour::Busy(vec![busy]));
        Self { world, token, before }
    }

    async fn google(&self, headers: &[(&str, &str)]) -> Reply {
        self.world.app.ask_with(headers, Method::POST, GOOGLE, None).await
    }

    async fn microsoft(&self, query: &str, body: Option<Value>) -> Reply {
        self.world.app.ask_with(&[], Method::POST, &format!("{MICROSOFT}{query}"), body).await
    }

    async fn is_seen(&self) {
        eventually("the change is seen", async || self.world.starts_on(DAY).await.len() == self.before - 2).await;
    }
}

#[tokio::test]
async fn google_rings_a_calendar() {
    let watched = Watched::start().await;
    assert_eq!(watched.world.starts_on(DAY).await.len(), watched.before, "nobody has rung yet");
    let headers = [("x-goog-channel-token", watched.token.as_str()), ("x-goog-resource-state", "exists")];
    for _ in 0..3 {
        let reply = watched.google(&headers).await;
        assert_eq!((reply.status, reply.text.as_str()), (204, ""));
    }
    watched.is_seen().await;
}

#[tokio::test]
async fn microsoft_rings_calendars_and_strangers_among_them_do_no_harm() {
    let watched = Watched::start().await;
    let of = |token: &str| json!({"clientState": token, "changeType": "updated", "resource": "me/events/1"});
    let value = json!({"value": [of("stranger"), 7, {"clientState": null}, of(&watched.token)]});
    let reply = watched.microsoft("", Some(value)).await;
    assert_eq!((reply.status, reply.text.as_str()), (202, ""));
    watched.is_seen().await;
}

/// The status of what is answered in one go; `None` where the answer waits for somebody.
fn status_at_once(watched: &Watched, request: Request<Body>) -> Option<u16> {
    let answer = pin!(watched.world.app.router.clone().oneshot(request));
    match answer.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer.expect("the router never fails").status().as_u16()),
        Poll::Pending => None,
    }
}

/// A notification is answered in one go: the route waits for nobody, so it can have asked neither the database nor a
/// provider, which answer on other threads. On this runtime nothing else moves meanwhile.
#[tokio::test]
async fn notifications_are_answered_without_asking_anybody() {
    let watched = Watched::start().await;
    let microsoft = json!({"value": [{"clientState": watched.token, "changeType": "updated"}]}).to_string();
    let to_google = |token: &str| Request::post(GOOGLE).header("x-goog-channel-token", token).body(Body::empty());
    let to_microsoft = |query: &str, body: &str| {
        let request = Request::post(format!("{MICROSOFT}{query}")).header("content-type", "application/json");
        request.body(Body::from(body.to_owned()))
    };
    let cases = [
        ("a forged one", to_google("forged"), 401),
        ("Google's", to_google(&watched.token), 204),
        ("Google's, again", to_google(&watched.token), 204),
        ("a malformed one", to_microsoft("", "{"), 400),
        ("Microsoft's", to_microsoft("", &microsoft), 202),
        ("a handshake", to_microsoft("?validationToken=abc", ""), 200),
    ];
    for (what, request, expected) in cases {
        let status = status_at_once(&watched, request.expect("a request"));
        assert_eq!(status, Some(expected), "{what}; `None`: it waits for somebody");
    }
    watched.is_seen().await;
    // That this finds a route that asks somebody. The store's own thread may have answered before anybody looks, and
    // then nothing was waited for; it is not always that fast.
    let path = format!("/v1/accounts/{}/bookings", watched.world.account);
    let key = format!("Bearer {}", watched.world.app.key);
    let waited_for = (0..1_000).any(|_| {
        let request = Request::get(&path).header("authorization", &key).body(Body::empty());
        status_at_once(&watched, request.expect("a request")).is_none()
    });
    assert!(waited_for, "bookings are read from the database");
}

#[tokio::test]
async fn microsofts_handshake_is_repeated_as_text() {
    let watched = Watched::start().await;
    let reply = watched.microsoft("?validationToken=Validation%3A%20%3Cb%3Ehi%3C%2Fb%3E", None).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, "Validation: <b>hi</b>"));
    assert_eq!(reply.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(reply.headers["x-content-type-options"], "nosniff");
    let long = format!("?validationToken={}", "a".repeat(2_049));
    assert_eq!(watched.microsoft(&long, None).await.status, 422);
}

#[tokio::test]
async fn what_nobody_asked_for_is_refused() {
    let watched = Watched::start().await;
    let token = &watched.token;
    let spoiled = format!("{}A{}", &token[..20], &token[21..]);
    let refusals = [
        watched.google(&[]).await,
        watched.google(&[("x-goog-channel-token", "")]).await,
        watched.google(&[("x-goog-channel-token", &spoiled)]).await,
        watched.google(&[("x-goog-channel-token", &token[..63])]).await,
        watched.google(&[("authorization", &format!("Bearer {token}"))]).await,
        watched.microsoft("", Some(json!({"value": [{"clientState": spoiled}]}))).await,
    ];
    for reply in refusals {
        assert_eq!((reply.status, reply.text_at("/code").as_str()), (401, "notification_not_verified"));
    }
    let unreadable = [
        (None, 422),
        (Some(json!({})), 422),
        (Some(json!({"value": []})), 422),
        (Some(json!({"value": {}})), 400),
        (Some(json!([])), 400),
        (Some(json!({"value": ["x".repeat(70_000)]})), 413),
    ];
    for (body, status) in unreadable {
        assert_eq!(watched.microsoft("", body.clone()).await.status, status, "{body:?}");
    }
    assert_eq!(watched.world.starts_on(DAY).await.len(), watched.before, "nobody has rung");
}
