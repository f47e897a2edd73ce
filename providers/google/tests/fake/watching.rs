//! Channels: who is told of changes, and until when.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentcal_engine::model::WatchState;
use agentcal_engine::ports::{Doorbell, Provider, ProviderError, WatchHandle, Watched};
use agentcal_engine::time::Timestamp;
use agentcal_fake_kit::{Fault, Rule, Served, When, serve};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;

use crate::support::{SARAH, Stage, calendar_ref, event, noon};

/// The secrets and states of the notifications that came.
type Heard = Arc<Mutex<Vec<(String, String)>>>;

struct Bell {
    heard: Heard,
    doorbell: Doorbell,
    _served: Served,
}

async fn bell() -> Bell {
    let heard = Heard::default();
    let router = Router::new().route("/bell", post(hear)).with_state(Arc::clone(&heard));
    let served = serve(router, 0).await;
    let doorbell = Doorbell { url: format!("{}/bell", served.base_url()), secret: "secret.of-calendar_3".to_owned() };
    Bell { heard, doorbell, _served: served }
}

async fn hear(State(heard): State<Heard>, headers: HeaderMap) {
    let header = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
    assert!(!header("x-goog-channel-id").is_empty() && !header("x-goog-resource-id").is_empty());
    assert!(header("x-goog-message-number").parse::<u64>().unwrap() > 0);
    heard.lock().unwrap().push((header("x-goog-channel-token"), header("x-goog-resource-state")));
}

impl Bell {
    /// Waits until it rang so often, and says how.
    async fn rang(&self, times: usize) -> Vec<String> {
        for _ in 0..3_000 {
            let heard = self.heard.lock().unwrap().clone();
            if heard.len() >= times {
                assert!(heard.iter().all(|(secret, _)| *secret == self.doorbell.secret));
                return heard.into_iter().map(|(_, state)| state).collect();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it rang {} times, not {times}", self.heard.lock().unwrap().len());
    }
}

impl Stage {
    async fn watch(&self, bell: &Bell, previous: Option<&WatchHandle>) -> Watched {
        self.provider.watch(&self.calendar, Some(&bell.doorbell), previous).await.unwrap()
    }
}

#[tokio::test]
async fn a_watch_rings_until_it_is_ended() {
    let (stage, bell) = (Stage::new().await, bell().await);
    let first = stage.watch(&bell, None).await;
    assert_eq!(first.watch.state, WatchState::Push);
    let week = Timestamp::from(noon()) + Duration::from_secs(7 * 86_400);
    assert_eq!(first.watch.expires_at, Some(week));
    assert_eq!(bell.rang(1).await, ["sync"]);
    stage.google.insert(SARAH, event(60, 30));
    assert_eq!(bell.rang(2).await, ["sync", "exists"]);

    let second = stage.watch(&bell, first.handle.as_ref()).await;
    assert_ne!(first.handle, second.handle);
    assert_eq!(stage.google.channel_count(), 2, "the old watch goes on beside the new one");
    bell.rang(3).await;
    stage.google.insert(SARAH, event(160, 30));
    bell.rang(5).await;

    stage.provider.unwatch(&stage.calendar, first.handle.as_ref().unwrap()).await.unwrap();
    assert_eq!(stage.google.channel_count(), 1);
    stage.google.insert(SARAH, event(260, 30));
    bell.rang(6).await;
    for _ in 0..2 {
        stage.provider.unwatch(&stage.calendar, second.handle.as_ref().unwrap()).await.unwrap();
        assert_eq!(stage.google.channel_count(), 0, "what is not there is ended");
    }
}

#[tokio::test]
async fn a_watch_ends_by_itself() {
    let (stage, bell) = (Stage::new().await, bell().await);
    stage.watch(&bell, None).await;
    stage.google.clock().advance(Duration::from_secs(7 * 86_400));
    assert_eq!(stage.google.channel_count(), 0);
}

#[tokio::test]
async fn bells_get_lost_and_ring_twice() {
    let (stage, bell) = (Stage::new().await, bell().await);
    stage.google.bells().add(Rule::new("POST", "/bell", When::Nth(2), Fault::Drop));
    stage.google.bells().add(Rule::new("POST", "/bell", When::Nth(3), Fault::LoseAnswer));
    stage.watch(&bell, None).await;
    bell.rang(1).await;
    stage.google.insert(SARAH, event(60, 30));
    stage.google.insert(SARAH, event(160, 30));
    assert_eq!(bell.rang(3).await, ["sync", "exists", "exists"]);
}

#[tokio::test]
async fn what_cannot_be_watched_is_polled() {
    let (stage, bell) = (Stage::new().await, bell().await);
    let polling = stage.provider.watch(&stage.calendar, None, None).await.unwrap();
    assert_eq!(polling, Watched::POLLING, "nobody said where to ring");

    let holidays = "en.german#holiday@group.v.calendar.google.com";
    stage.google.add_calendar(SARAH, holidays, chrono_tz::Tz::UTC, "reader");
    stage.google.refuse_watches(holidays);
    let calendar = calendar_ref(&stage.google, SARAH, holidays);
    let watched = stage.provider.watch(&calendar, Some(&bell.doorbell), None).await.unwrap();
    assert_eq!(watched, Watched::POLLING);

    let plain = Doorbell { url: "http://example.com/bell".to_owned(), secret: "s".to_owned() };
    let watched = stage.provider.watch(&stage.calendar, Some(&plain), None).await.unwrap();
    assert_eq!(watched, Watched::POLLING, "Google posts to https alone");
    assert_eq!(stage.google.channel_count(), 0);
}

#[tokio::test]
async fn what_refuses_a_watch_is_told() {
    let (stage, bell) = (Stage::new().await, bell().await);
    let dead = stage.with_token("dead");
    let error = stage.provider.watch(&dead, Some(&bell.doorbell), None).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unauthorized(_)), "{error}");
    let handle = WatchHandle("not one of ours".to_owned());
    assert_eq!(stage.provider.unwatch(&stage.calendar, &handle).await, Ok(()), "nothing is known that could be ended");
    let watched = stage.watch(&bell, None).await;
    let error = stage.provider.unwatch(&dead, watched.handle.as_ref().unwrap()).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unauthorized(_)), "{error}");
}
