//! What is kept of calendars' watches.

use std::time::Duration;

use agentcal_engine::ids::CalendarId;
use agentcal_engine::model::{Calendar, Watch, WatchState};
use agentcal_engine::ports::{
    Credentials, OutdatedWatch, SaveSync, SaveWatch, SyncState, WatchHandle, WatchRecord, Write,
};
use agentcal_engine::shard::Epoch;

use crate::World;
use crate::world::busy;

async fn record(world: &World, calendar_id: CalendarId) -> (WatchRecord, Calendar) {
    let record = world.store.load_calendar(world.tenant.account_id, calendar_id).await.expect("readable");
    let record = record.expect("the calendar is there");
    (record.watch, record.calendar)
}

async fn save(world: &World, calendar_id: CalendarId, epoch: Epoch, record: &WatchRecord) -> bool {
    let save = SaveWatch { account_id: world.tenant.account_id, calendar_id, epoch, record: record.clone() };
    world.store.save_watch(&save).await.expect("the store answers")
}

fn watched(world: &World) -> WatchRecord {
    let until = world.now() + Duration::from_secs(600);
    WatchRecord {
        watch: Watch { state: WatchState::Push, expires_at: Some(until) },
        url: Some("https://cal.example.com/v1/notifications/google".into()),
        handle: Some(WatchHandle("{\"channel\": \"é\"}".into())),
        outdated: vec![OutdatedWatch { handle: WatchHandle("old".into()), until }],
        due_at: world.now() + Duration::from_secs(360),
        failures: 3,
    }
}

/// What is kept comes back whole, and no revision is raised for it: facts are what they were.
pub async fn a_watch_comes_back_as_it_was_kept(world: World) {
    let (_, calendars) = world.connect(2).await;
    let (id, other) = (calendars[0].id, calendars[1].id);
    let revision = world.sync_full(id, 1, vec![busy("a", &[world.minutes(0, 30)])]).await;
    let kept = watched(&world);
    assert!(save(&world, id, world.epoch, &kept).await);
    let (record, calendar) = record(&world, id).await;
    assert_eq!((&record, calendar.watch), (&kept, kept.watch));
    assert_eq!(world.facts(id).await.revision, revision);
    let (untouched, _) = self::record(&world, other).await;
    assert_eq!((untouched.handle, untouched.outdated, untouched.failures), (None, Vec::new(), 0));
    let ended = WatchRecord { watch: Watch::POLLING, ..WatchRecord::default() };
    assert!(save(&world, id, world.epoch, &ended).await);
    assert_eq!(self::record(&world, id).await.0, ended);
}

/// A writer under another epoch is fenced, and nobody keeps a watch of a calendar that is gone.
pub async fn a_watch_is_kept_under_the_epoch_that_counts(world: World) {
    let (_, calendars) = world.connect(1).await;
    let id = calendars[0].id;
    let before = record(&world, id).await.0;
    let newer = world.store.raise_epoch().await.expect("raised");
    for epoch in [world.epoch, Epoch(newer.0 + 1)] {
        assert!(!save(&world, id, epoch, &watched(&world)).await);
        assert_eq!(record(&world, id).await.0, before);
    }
    assert!(!save(&world, CalendarId::from_uuid(world.uuid()), newer, &watched(&world)).await);
    let stranger = world.another_account().await;
    let save = SaveWatch { account_id: stranger.account_id, calendar_id: id, epoch: newer, record: watched(&world) };
    assert!(!world.store.save_watch(&save).await.expect("the store answers"), "another tenant's");
    assert_eq!(record(&world, id).await.0, before);
}

/// A sync says until when somebody rings for what comes after it. That is no news about the facts.
pub async fn a_sync_keeps_until_when_it_is_watched(world: World) {
    let (_, calendars) = world.connect(1).await;
    let id = calendars[0].id;
    let first = world.sync_full(id, 1, vec![]).await;
    for watched_until in [Some(world.now() + Duration::from_secs(60)), None] {
        let state = SyncState { watched_until, ..world.synced(1, "second") };
        let page = SaveSync { finish: Some(state.clone()), ..world.page(id, 1, vec![]) };
        assert_eq!(world.store.save_sync(&page).await.expect("saved"), Some(first));
        let record = world.store.load_calendar(world.tenant.account_id, id).await.expect("readable").expect("there");
        assert_eq!(record.sync, state);
        assert_eq!(record.facts.knowledge, state.knowledge(record.calendar.provider, record.connection.as_ref()));
    }
}

/// What has synced is asked at intervals until it is watched; a sync takes no watch away.
pub async fn what_has_synced_is_polled_unless_it_is_watched(world: World) {
    let none = Watch { state: WatchState::None, expires_at: None };
    let (connection, mut calendars) = world.new_connection(&world.tenant, 1);
    calendars[0].watch = none;
    let (id, credentials) = (calendars[0].id, Credentials::Sandbox { seed: 7 });
    let write = world.store.create_connection(&world.tenant, &connection, &credentials, &calendars, None).await;
    assert_eq!(write.expect("a connection"), Write::Done);
    assert_eq!(record(&world, id).await.1.watch, none);
    let page = SaveSync { begins_shadow: true, ..world.page(id, 1, vec![]) };
    assert!(world.store.save_sync(&page).await.expect("saved").is_some());
    assert_eq!(record(&world, id).await.1.watch, none, "not before the last page");
    world.sync_full(id, 1, vec![]).await;
    let (kept, calendar) = record(&world, id).await;
    assert_eq!((kept.watch, calendar.watch), (Watch::POLLING, Watch::POLLING));
    assert!(save(&world, id, world.epoch, &watched(&world)).await);
    world.sync_full(id, 2, vec![]).await;
    assert_eq!(record(&world, id).await.0, watched(&world));
}
