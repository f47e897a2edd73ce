//! Facts, and how sync changes them.

use std::time::Duration;

use agentcal_engine::calendar::FAILURES_UNTIL_ERROR;
use agentcal_engine::facts::{ExternalInstance, Knowledge, UnknownReason};
use agentcal_engine::ids::{BookingId, CalendarId};
use agentcal_engine::ports::{FACTS_PAST, ResourceChange, SaveSync, SyncFailure, SyncState};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::TimeRange;

use crate::World;
use crate::world::busy;

async fn ranges(world: &World, calendar_id: CalendarId) -> Vec<TimeRange> {
    let mut ranges: Vec<_> = world.facts(calendar_id).await.instances.iter().map(|instance| instance.range).collect();
    ranges.sort();
    ranges
}

async fn state(world: &World, calendar_id: CalendarId) -> SyncState {
    let record = world.store.load_calendar(world.tenant.account_id, calendar_id).await.expect("readable");
    record.expect("the calendar is there").sync
}

async fn save(world: &World, page: &SaveSync) -> Option<u64> {
    world.store.save_sync(page).await.expect("the store answers")
}

async fn fail(world: &World, calendar_id: CalendarId, epoch: Epoch, state: SyncState) -> Option<u64> {
    let failure = SyncFailure { account_id: world.tenant.account_id, calendar_id, epoch, state };
    world.store.save_sync_failure(&failure).await.expect("the store answers")
}

/// A calendar that was connected and not synced yet is unknown, never free.
pub async fn facts_begin_unknown(world: World) {
    let (_, calendars) = world.connect(1).await;
    let facts = world.facts(calendars[0].id).await;
    assert_eq!(facts.knowledge, Knowledge::Unknown(UnknownReason::NotSynced));
    assert_eq!((facts.epoch, facts.instances), (world.epoch, Vec::new()));
    let nobody = CalendarId::from_uuid(world.uuid());
    assert!(world.store.load_facts(world.tenant.account_id, nobody).await.expect("readable").is_none());
}

/// Lesson: a delta replaced the whole cache, and busy users looked free. A page replaces the resources it names, and
/// leaves every other as it is.
pub async fn a_delta_merges_and_never_replaces(world: World) {
    let (_, calendars) = world.connect(1).await;
    let id = calendars[0].id;
    let [one, two, three] = [world.minutes(0, 30), world.minutes(60, 90), world.minutes(120, 150)];
    world.sync_full(id, 1, vec![busy("a", &[one]), busy("b", &[two]), busy("series", &[one, three])]).await;

    let moved = world.minutes(200, 230);
    let changes = vec![busy("b", &[]), busy("series", &[moved])];
    let page = SaveSync { finish: Some(world.synced(1, "second")), ..world.page(id, 1, changes) };
    assert!(save(&world, &page).await.is_some());
    assert_eq!(ranges(&world, id).await, [one, moved]);

    let empty = SaveSync { finish: Some(world.synced(1, "third")), ..world.page(id, 1, Vec::new()) };
    assert!(save(&world, &empty).await.is_some());
    assert_eq!(ranges(&world, id).await, [one, moved], "an empty delta changes nothing");
    assert_eq!(state(&world, id).await, world.synced(1, "third"), "yet its cursor counts");
}

/// The cursor is saved with the last page and never before the facts it stands for.
pub async fn the_cursor_comes_only_with_the_last_page(world: World) {
    let (_, calendars) = world.connect(1).await;
    let id = calendars[0].id;
    world.sync_full(id, 1, vec![]).await;
    let before = state(&world, id).await;
    let page = world.page(id, 1, vec![busy("a", &[world.minutes(0, 30)])]);
    assert!(save(&world, &page).await.is_some());
    assert_eq!(state(&world, id).await, before);
    let last = SaveSync {
        finish: Some(world.synced(1, "second")),
        ..world.page(id, 1, vec![busy("b", &[world.minutes(60, 90)])])
    };
    assert!(save(&world, &last).await.is_some());
    assert_eq!(state(&world, id).await, world.synced(1, "second"));
    let record = world.store.load_calendar(world.tenant.account_id, id).await.expect("readable").expect("there");
    assert_eq!(record.calendar.last_synced_at, Some(world.now()));
    assert_eq!(ranges(&world, id).await.len(), 2);
}

/// A full sync collects in the shadow; what counts stays as it was until the last page, and is then replaced whole.
pub async fn a_full_sync_replaces_at_the_end(world: World) {
    let (_, calendars) = world.connect(1).await;
    let id = calendars[0].id;
    let [old, one, two] = [world.minutes(0, 30), world.minutes(60, 90), world.minutes(120, 150)];
    let first = world.sync_full(id, 1, vec![busy("gone", &[old])]).await;

    let page = SaveSync { begins_shadow: true, ..world.page(id, 2, vec![busy("a", &[one]), busy("b", &[one])]) };
    assert_eq!(save(&world, &page).await, Some(first));
    assert_eq!(ranges(&world, id).await, [old]);
    let last = vec![busy("b", &[two])];
    let page = SaveSync { finish: Some(world.synced(2, "full")), ..world.page(id, 2, last) };
    assert!(save(&world, &page).await.expect("saved") > first);
    assert_eq!(ranges(&world, id).await, [one, two], "a later page outranks an earlier one");
}

/// What an attempt at a full sync left behind goes when the next attempt at that generation begins.
pub async fn left_overs_of_a_broken_full_sync_go(world: World) {
    let (_, calendars) = world.connect(1).await;
    let id = calendars[0].id;
    let [stale, fresh] = [world.minutes(0, 30), world.minutes(60, 90)];
    let broken = SaveSync { begins_shadow: true, ..world.page(id, 1, vec![busy("stale", &[stale])]) };
    assert!(save(&world, &broken).await.is_some());
    assert_eq!(ranges(&world, id).await, []);
    world.sync_full(id, 1, vec![busy("fresh", &[fresh])]).await;
    assert_eq!(ranges(&world, id).await, [fresh]);
}

/// A writer under an older epoch, or one that never was, is fenced: nothing is written.
pub async fn a_superseded_epoch_is_fenced(world: World) {
    let (_, calendars) = world.connect(1).await;
    let id = calendars[0].id;
    let newer = world.store.raise_epoch().await.expect("raised");
    let page = SaveSync {
        begins_shadow: true,
        finish: Some(world.synced(1, "late")),
        ..world.page(id, 1, vec![busy("a", &[world.minutes(0, 30)])])
    };
    assert_eq!(save(&world, &page).await, None);
    assert_eq!(save(&world, &SaveSync { epoch: Epoch(newer.0 + 1), ..page.clone() }).await, None);
    assert_eq!(state(&world, id).await.cursor, None);
    assert!(save(&world, &SaveSync { epoch: newer, ..page }).await.is_some());
    assert_eq!(world.facts(id).await.epoch, newer);
}

/// Every boot raises the epoch, whatever the clock says.
pub async fn epochs_only_grow(world: World) {
    let mut last = world.epoch;
    for _ in 0..3 {
        let next = world.store.raise_epoch().await.expect("raised");
        assert!(next > last);
        last = next;
    }
}

/// The revision rises when a finished sync changed rows, window or knowledge; asking again and hearing the same raises
/// nothing, so that no commit is refused for it.
pub async fn the_revision_rises_only_when_facts_change(world: World) {
    let (_, calendars) = world.connect(1).await;
    let id = calendars[0].id;
    let range = world.minutes(0, 30);
    let before = world.facts(id).await.revision;
    let first = world.sync_full(id, 1, vec![busy("a", &[range])]).await;
    assert!(first > before, "unknown became known");
    world.clock.advance(Duration::from_secs(5));
    let finish = |generation, cursor: &str| {
        Some(SyncState { window: Some(world.minutes(-60, 60 * 24 * 30)), ..world.synced(generation, cursor) })
    };
    let same = SaveSync { finish: finish(1, "2"), ..world.page(id, 1, vec![busy("a", &[range])]) };
    assert_eq!(save(&world, &same).await, Some(first));
    assert_eq!(world.sync_full(id, 2, vec![busy("a", &[range])]).await, first, "a full sync that found the same");
    let changed = SaveSync { finish: finish(2, "3"), ..world.page(id, 2, vec![busy("b", &[range])]) };
    assert_eq!(save(&world, &changed).await, Some(first + 1));
    let window = Some(world.minutes(0, 60 * 24 * 31));
    let state = SyncState { window, ..world.synced(2, "4") };
    let wider = SaveSync { finish: Some(state), ..world.page(id, 2, vec![]) };
    assert_eq!(save(&world, &wider).await, Some(first + 2));
}

/// Rows that one page changed are told by the revision when the sync ends, even when the sync was broken off in between
/// and finds nothing new the second time.
pub async fn a_change_before_a_crash_is_told_after_it(world: World) {
    let (_, calendars) = world.connect(1).await;
    let id = calendars[0].id;
    let first = world.sync_full(id, 1, vec![]).await;
    let page = world.page(id, 1, vec![busy("a", &[world.minutes(0, 30)])]);
    assert_eq!(save(&world, &page).await, Some(first));
    let epoch = world.store.raise_epoch().await.expect("raised");
    let again = SaveSync { finish: Some(world.synced(1, "second")), epoch, ..page };
    assert_eq!(save(&world, &again).await, Some(first + 1));
}

/// Failures in a row make a calendar unknown, which raises its revision once; fewer leave it as it is known.
pub async fn failures_make_a_calendar_unknown(world: World) {
    let (_, calendars) = world.connect(1).await;
    let id = calendars[0].id;
    let first = world.sync_full(id, 1, vec![busy("a", &[world.minutes(0, 30)])]).await;
    let fails = async |failures| {
        let state = SyncState { failures, last_error: Some("time-out".into()), ..world.synced(1, "first") };
        let revision = fail(&world, id, world.epoch, state.clone()).await;
        assert_eq!(self::state(&world, id).await, state);
        revision
    };
    assert_eq!(fails(FAILURES_UNTIL_ERROR - 1).await, Some(first));
    assert_eq!(fails(FAILURES_UNTIL_ERROR).await, Some(first + 1));
    assert_eq!(world.facts(id).await.knowledge, Knowledge::Unknown(UnknownReason::ProviderError));
    assert_eq!(fails(FAILURES_UNTIL_ERROR + 1).await, Some(first + 1));
    let page = SaveSync { finish: Some(world.synced(1, "well")), ..world.page(id, 1, vec![]) };
    assert_eq!(save(&world, &page).await, Some(first + 2));
}

/// Lesson: a node that hung over a takeover noted a failure with all it remembered, and so put back the cursor and the rows
/// of before, which were gone. A failure is fenced, and says nothing of what was read.
pub async fn a_failure_changes_nothing_that_was_read(world: World) {
    let (_, calendars) = world.connect(1).await;
    let id = calendars[0].id;
    world.sync_full(id, 1, vec![busy("a", &[world.minutes(0, 30)])]).await;
    let remembered = state(&world, id).await;
    world.clock.advance(Duration::from_secs(5));
    world.sync_full(id, 2, vec![busy("b", &[world.minutes(60, 90)])]).await;
    let read = state(&world, id).await;
    let failed = SyncState { failures: 1, last_error: Some("time-out".into()), ..remembered };
    assert!(fail(&world, id, world.epoch, failed.clone()).await.is_some());
    let (failures, last_error, due_at) = (failed.failures, failed.last_error.clone(), failed.due_at);
    let kept = SyncState { failures, last_error, due_at, ..read.clone() };
    assert_eq!(state(&world, id).await, kept);
    assert_eq!(ranges(&world, id).await, [world.minutes(60, 90)]);
    assert!(fail(&world, id, world.epoch, SyncState { cursor: None, ..failed.clone() }).await.is_some());
    let kept = SyncState { cursor: None, ..kept };
    assert_eq!(state(&world, id).await, kept, "a cursor that is gone is dropped");
    world.store.raise_epoch().await.expect("raised");
    assert_eq!(fail(&world, id, world.epoch, SyncState { failures: 9, ..failed }).await, None);
    assert_eq!(state(&world, id).await, kept, "fenced");
}

/// Calendars whose time has come, most overdue first, no more than asked.
pub async fn due_calendars_come_most_overdue_first(world: World) {
    let (_, calendars) = world.connect(3).await;
    for (calendar, seconds) in calendars.iter().zip([30, 10, 20]) {
        let due_at = world.now() + Duration::from_secs(seconds);
        let finish = SyncState { due_at, ..world.synced(1, "first") };
        let page = SaveSync { begins_shadow: true, finish: Some(finish), ..world.page(calendar.id, 1, vec![]) };
        assert!(save(&world, &page).await.is_some());
    }
    let due = async |seconds, limit| {
        let now = world.now() + Duration::from_secs(seconds);
        let due = world.store.due_calendars(None, now, limit).await.expect("readable");
        due.into_iter().map(|due| due.calendar_id).collect::<Vec<_>>()
    };
    assert_eq!(due(9, 10).await, []);
    assert_eq!(due(20, 10).await, [calendars[1].id, calendars[2].id]);
    assert_eq!(due(60, 2).await, [calendars[1].id, calendars[2].id]);
}

/// Lesson: cost grows with the calendar's history. Facts leave out what ended too long ago to matter.
pub async fn facts_leave_history_out(world: World) {
    let (_, calendars) = world.connect(1).await;
    let id = calendars[0].id;
    let user = world.user_on(id).await;
    let [early, late] = [world.minutes(0, 30), world.minutes(60, 90)];
    world.sync_full(id, 1, vec![busy("early", &[early]), busy("late", &[late])]).await;
    world.book(&[&user], early).await;
    world.book(&[&user], late).await;
    world.clock.advance(FACTS_PAST + Duration::from_secs(30 * 60));
    assert_eq!(ranges(&world, id).await, [late]);
    let claims = world.facts(id).await.claims;
    assert_eq!(claims.iter().map(|claim| claim.range).collect::<Vec<_>>(), [late]);
}

/// Instances of events of ours, by booking; those that do not block included.
pub async fn own_instances_are_those_of_bookings(world: World) {
    let (_, calendars) = world.connect(1).await;
    let id = calendars[0].id;
    let booking_id = BookingId::from_uuid(world.uuid());
    let ours = ExternalInstance { range: world.minutes(0, 30), booking_id: Some(booking_id), blocks: false };
    let change = ResourceChange { provider_event_id: "ours".into(), instances: vec![ours.clone()] };
    world.sync_full(id, 1, vec![change, busy("theirs", &[world.minutes(0, 30)])]).await;
    let own = world.store.own_instances(world.tenant.account_id, id).await.expect("readable");
    assert_eq!(own, [ours]);
}
