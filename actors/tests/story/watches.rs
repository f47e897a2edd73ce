//! Watches: asked for, renewed, lost, and ended with what they watched.

use std::time::Duration;

use agentcal_actors::Freshness;
use agentcal_engine::calendar::request::CommitAnswer;
use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::facts::Knowledge;
use agentcal_engine::ids::CalendarId;
use agentcal_engine::model::{Watch, WatchState};
use agentcal_engine::ports::{
    CalendarRecord, Clock, ConnectionStore, FactStore, ProviderError, SyncState, WatchRecord,
};
use agentcal_engine::time::{TimeRange, Timestamp};

use super::{Stage, hours, wait_for, wait_long_for};

const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);
/// On a machine that stands still for long, asking for a watch or keeping it may run out of time. Then it is tried again after
/// a minute and more.
const WATCHED_WITHIN: Duration = Duration::from_secs(240);

fn away() -> ProviderError {
    ProviderError::Unavailable("away".into())
}

impl Stage {
    async fn record(&self, calendar_id: CalendarId) -> CalendarRecord {
        self.store.load_calendar(self.account_id(), calendar_id).await.unwrap().unwrap()
    }

    async fn kept(&self, calendar_id: CalendarId) -> WatchRecord {
        self.record(calendar_id).await.watch
    }

    async fn state(&self, calendar_id: CalendarId) -> SyncState {
        self.record(calendar_id).await.sync
    }

    /// Until when the published facts are watched.
    async fn watched_until(&self, calendar_id: CalendarId) -> Option<Timestamp> {
        match self.facts(calendar_id).await.knowledge {
            Knowledge::Synced { watched_until, .. } => watched_until,
            other => panic!("not synced: {other:?}"),
        }
    }

    /// Waits until facts rest on a watch, and says until when.
    async fn until_watched(&self, calendar_id: CalendarId) -> Timestamp {
        let is_watched = || async { self.watched_until(calendar_id).await.is_some() };
        wait_long_for("its facts rest on a watch", WATCHED_WITHIN, is_watched).await;
        self.watched_until(calendar_id).await.unwrap()
    }

    /// What somebody hears who asks as callers do.
    async fn asked(&self) -> Vec<TimeRange> {
        let config = self.scheduler.config(self.account_id()).await.unwrap().unwrap();
        let max_age = self.scheduler.stale_after(&config, &self.calendars());
        let need = Freshness { max_age, deadline: Duration::from_secs(20) };
        let hosts = self.scheduler.hosts(&config, &[self.users[0].id], need).await;
        hosts[0].facts[0].external.clone()
    }

    async fn is_syncing(&self, calendar_id: CalendarId) -> bool {
        self.scheduler.picture(calendar_id).await.unwrap().machine.syncing
    }

    async fn until_logged(&self, expected: &[&str]) {
        wait_for(&format!("{expected:?} was asked"), || async { self.provider.watch_log() == expected }).await;
    }
}

/// A calendar that its provider rings for is looked at when it rings, and otherwise seldom.
#[tokio::test(flavor = "multi_thread")]
async fn a_watched_calendar_is_rung_and_swept() {
    let stage = Stage::set_watched(1, WEEK).await;
    let calendar_id = stage.calendars()[0];
    let until = stage.until_watched(calendar_id).await;
    stage.until_logged(&["watch w1"]).await;
    let kept = stage.kept(calendar_id).await;
    assert_eq!(kept.watch, Watch { state: WatchState::Push, expires_at: Some(until) });
    assert_eq!(kept.url.as_deref(), Some("https://cal.example.com/v1/notifications/google"));
    let (_, calendars) =
        stage.store.connection(stage.account_id(), stage.connection().await.id).await.unwrap().unwrap();
    assert_eq!(calendars[0].watch, kept.watch, "callers see it");

    let state = stage.state(calendar_id).await;
    let wait = state.due_at.saturating_since(state.synced_at.unwrap());
    let sweep = Duration::from_secs(6 * 3_600);
    assert!(wait >= sweep * 4 / 5 - Duration::from_secs(1) && wait <= sweep + Duration::from_secs(60), "{wait:?}");
    stage.provider.put(calendar_id, "dentist", Some(hours(24, 25)));
    stage.scheduler.ring(stage.account_id(), calendar_id, Ring::Changed);
    wait_for("the bell is answered", || async { stage.facts(calendar_id).await.external == [hours(24, 25)] }).await;
    assert_eq!(stage.watched_until(calendar_id).await, Some(until));
    // Law 8: the bell is lost, and the sweep sees what it was about.
    stage.provider.put(calendar_id, "barber", Some(hours(30, 31)));
    stage.clock.jump(sweep + Duration::from_secs(60));
    wait_for("the sweep saw it", || async { stage.facts(calendar_id).await.external.len() == 2 }).await;
    assert_eq!(stage.provider.watch_log(), ["watch w1"]);
}

/// Freshness is for whoever asks: facts of some age answer at once, and are looked at again; a booking waits for that.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_has_a_watched_calendar_looked_at() {
    let stage = Stage::set_watched(1, WEEK).await;
    let calendar_id = stage.calendars()[0];
    stage.until_watched(calendar_id).await;
    stage.ring_and_sync(calendar_id).await;
    // Nothing becomes due by itself from here on, and every bell is lost.
    stage.clock.stop();
    let seen_at = stage.facts(calendar_id).await.as_of();
    assert_eq!((stage.asked().await, stage.is_syncing(calendar_id).await), (Vec::new(), false), "these are young");
    assert_eq!(stage.facts(calendar_id).await.as_of(), seen_at);

    stage.provider.put(calendar_id, "dentist", Some(hours(24, 25)));
    stage.clock.jump(Duration::from_secs(151 * 60));
    assert_eq!(stage.asked().await, [], "what is known answers");
    wait_for("it was looked at", || async { stage.asked().await == [hours(24, 25)] }).await;

    stage.provider.put(calendar_id, "barber", Some(hours(30, 31)));
    stage.clock.jump(Duration::from_secs(151 * 60));
    let answer = stage.book(hours(30, 31).start, None).await;
    assert!(matches!(answer, CommitAnswer::Refused(_)), "it was looked at first: {answer:?}");
    // A provider that is away spoils nothing that is not yet stale.
    stage.clock.jump(Duration::from_secs(151 * 60));
    stage.provider.always_fail(Some(away()));
    let answer = stage.book(hours(40, 41).start, None).await;
    assert!(matches!(answer, CommitAnswer::Committed(_)), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_is_renewed_in_time_and_the_old_one_ended_after_that() {
    let mut stage = Stage::set_watched(1, WEEK).await;
    let calendar_id = stage.calendars()[0];
    let first = stage.until_watched(calendar_id).await;
    stage.provider.fail_unwatches([away()]);
    stage.clock.jump(WEEK * 6 / 10);
    stage.until_logged(&["watch w1", "watch w2 beside w1", "w1 is not ended"]).await;
    let kept = stage.kept(calendar_id).await;
    assert_eq!(kept.outdated.len(), 1, "it is known what is still to be ended");
    assert!(kept.watch.expires_at > Some(first));
    // Whoever comes after a crash ends it.
    stage.restart().await;
    stage.scheduler.bell(stage.account_id(), calendar_id);
    stage.until_logged(&["watch w1", "watch w2 beside w1", "w1 is not ended", "end w1"]).await;
    wait_for("it is forgotten", || async { stage.kept(calendar_id).await.outdated.is_empty() }).await;
}

/// Lesson: a provider that gives no watch, and syncs that fail for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_watch_fails_no_sync_and_is_tried_again() {
    let stage = Stage::set_watched(1, WEEK).await;
    let calendar_id = stage.calendars()[0];
    stage.until_watched(calendar_id).await;
    stage.provider.fail_watches([away(), away()]);
    stage.scheduler.ring(stage.account_id(), calendar_id, Ring::WatchEnded);
    stage.until_logged(&["watch w1", "failed"]).await;
    wait_for("it is kept", || async { stage.kept(calendar_id).await.failures == 1 }).await;
    assert_eq!((stage.kept(calendar_id).await.watch, stage.watched_until(calendar_id).await), (Watch::POLLING, None));
    assert_eq!(stage.state(calendar_id).await.failures, 0);
    stage.clock.jump(Duration::from_secs(61));
    stage.until_logged(&["watch w1", "failed", "failed"]).await;
    wait_for("it is kept", || async { stage.kept(calendar_id).await.failures == 2 }).await;
    stage.clock.jump(Duration::from_secs(121));
    stage.until_logged(&["watch w1", "failed", "failed", "watch w2 beside w1", "end w1"]).await;
    stage.until_watched(calendar_id).await;
    assert_eq!(stage.kept(calendar_id).await.failures, 0);
}

/// Lesson: a watch expired, and nobody noticed.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_ran_out_is_polled_at_once_and_shows_it() {
    let stage = Stage::set_watched(1, Duration::from_secs(1_000)).await;
    let calendar_id = stage.calendars()[0];
    stage.until_watched(calendar_id).await;
    stage.provider.fail_watches(std::iter::repeat_n(away(), 3));
    let before = stage.provider.asked().incremental;
    stage.clock.jump(Duration::from_secs(1_001));
    wait_for("it is looked at", || async { stage.provider.asked().incremental > before }).await;
    wait_for("it shows", || async { stage.kept(calendar_id).await.watch == Watch::POLLING }).await;
    assert_eq!(stage.watched_until(calendar_id).await, None);
    let state = stage.state(calendar_id).await;
    assert!(state.due_at.saturating_since(state.synced_at.unwrap()) <= Duration::from_secs(61), "{state:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_ended_a_watch_is_asked_for_another() {
    let stage = Stage::set_watched(1, WEEK).await;
    let calendar_id = stage.calendars()[0];
    stage.until_watched(calendar_id).await;
    stage.provider.put(calendar_id, "missed", Some(hours(24, 25)));
    stage.scheduler.ring(stage.account_id(), calendar_id, Ring::WatchEnded);
    stage.until_logged(&["watch w1", "watch w2 beside w1", "end w1"]).await;
    let missed = [hours(24, 25)];
    wait_for("what was missed is seen", || async { stage.facts(calendar_id).await.external == missed }).await;
    stage.until_watched(calendar_id).await;
    stage.scheduler.ring(stage.account_id(), calendar_id, Ring::WatchToRenew);
    stage.until_logged(&["watch w1", "watch w2 beside w1", "end w1", "watch w3 beside w2", "end w2"]).await;
}

/// Asleep, a watched calendar hears its bell, and what the provider says of the watch.
#[tokio::test(flavor = "multi_thread")]
async fn a_bell_wakes_a_calendar() {
    let stage = Stage::set_watched(1, WEEK).await;
    let calendar_id = stage.calendars()[0];
    stage.until_watched(calendar_id).await;
    stage.clock.jump(Duration::from_secs(601));
    wait_for("it sleeps", || async { stage.scheduler.awake_calendars() == 0 }).await;
    stage.scheduler.ring(stage.account_id(), calendar_id, Ring::WatchEnded);
    stage.until_logged(&["watch w1", "watch w2 beside w1", "end w1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_end_with_their_connection() {
    let stage = Stage::set_watched(2, WEEK).await;
    for calendar_id in stage.calendars() {
        stage.until_watched(calendar_id).await;
    }
    let connection_id = stage.connection().await.id;
    let (_, calendars) = stage.store.connection(stage.account_id(), connection_id).await.unwrap().unwrap();
    let farewell = stage.scheduler.farewell(calendars.iter()).await.unwrap();
    let homes: Vec<_> = stage.users.iter().map(|user| (user.id, stage.fresh_calendar_id())).collect();
    let now = stage.clock.now();
    stage.store.delete_connection(&stage.tenant, connection_id, &homes, now, None).await.unwrap();
    stage.scheduler.forget(&stage.calendars()).await;
    farewell.say().await;
    let mut log = stage.provider.watch_log();
    log.sort();
    assert_eq!(log, ["end w1", "end w2", "watch w1", "watch w2"]);
}

/// A calendar goes while its watch is being granted: nobody is left to keep it, so it is given back.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_comes_too_late_is_given_back() {
    let stage = Stage::set_watched(1, WEEK).await;
    let calendar_id = stage.calendars()[0];
    stage.until_watched(calendar_id).await;
    let connection_id = stage.connection().await.id;
    let homes = [(stage.users[0].id, stage.fresh_calendar_id())];
    stage.provider.shut_watch_gate();
    stage.scheduler.ring(stage.account_id(), calendar_id, Ring::WatchToRenew);
    stage.until_logged(&["watch w1", "watch w2 beside w1"]).await;
    let now = stage.clock.now();
    stage.store.delete_connection(&stage.tenant, connection_id, &homes, now, None).await.unwrap();
    stage.provider.open_watch_gate();
    stage.until_logged(&["watch w1", "watch w2 beside w1", "end w2"]).await;
}
