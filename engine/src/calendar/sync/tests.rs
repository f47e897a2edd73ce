//! The sync machine against tables, and against a provider that does whatever chance wants.

use uuid::Uuid;

use super::*;
use crate::facts::ExternalInstance;
use crate::limits::LimitKind;
use crate::ports::Oddities;
use crate::time::MINUTE_US;

mod chance;

struct Zero;

impl Entropy for Zero {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

const PACE: Pace = Pace {
    fast: Duration::from_secs(10),
    slow: Duration::from_secs(80),
    swept: Duration::from_secs(900),
    asked: Duration::MAX,
};

const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

fn machine(state: SyncState) -> SyncMachine {
    let account_id = AccountId::from_uuid(Uuid::from_u128(1));
    SyncMachine::new(account_id, CalendarId::from_uuid(Uuid::from_u128(2)), Epoch(3), PACE, state)
}

fn synced(seconds: i64) -> SyncState {
    SyncState {
        cursor: Some(SyncCursor("here".into())),
        window: Some(window_at(at(seconds))),
        synced_at: Some(at(seconds)),
        generation: 4,
        due_at: at(seconds + 10),
        ..SyncState::default()
    }
}

fn change(name: &str, hours: &[i64]) -> ResourceChange {
    let instance = |&hour: &i64| ExternalInstance {
        range: TimeRange { start: at(hour * 3_600), end: at(hour * 3_600).plus_micros(30 * MINUTE_US) },
        booking_id: None,
        blocks: true,
    };
    ResourceChange { provider_event_id: name.into(), instances: hours.iter().map(instance).collect() }
}

fn page(changes: &[ResourceChange], next: &str) -> Result<SyncPage, ProviderError> {
    Ok(SyncPage { changes: changes.to_vec(), next: SyncNext::Page(next.into()), oddities: Oddities::default() })
}

fn last_page(changes: &[ResourceChange], cursor: &str) -> Result<SyncPage, ProviderError> {
    Ok(SyncPage {
        changes: changes.to_vec(),
        next: SyncNext::Done { cursor: SyncCursor(cursor.into()) },
        oddities: Oddities::default(),
    })
}

fn fetched(machine: &mut SyncMachine) -> SyncRequest {
    match machine.poll_effect() {
        Some(SyncEffect::Fetch(request)) => request,
        other => panic!("expected a fetch, got {other:?}"),
    }
}

fn saved(machine: &mut SyncMachine) -> SaveSync {
    match machine.poll_effect() {
        Some(SyncEffect::Save(save)) => save,
        other => panic!("expected a save, got {other:?}"),
    }
}

fn failed(machine: &mut SyncMachine) -> SyncState {
    loop {
        match machine.poll_effect() {
            Some(SyncEffect::SaveFailure(failure)) => return failure.state,
            Some(SyncEffect::Mark { .. }) => {}
            other => panic!("expected a failure, got {other:?}"),
        }
    }
}

fn ended(machine: &mut SyncMachine) -> SyncEnd {
    loop {
        match machine.poll_effect() {
            Some(SyncEffect::Ended(end)) => return end,
            Some(SyncEffect::Compare) => machine.handle_compared(true),
            other => panic!("expected an end, got {other:?}"),
        }
    }
}

#[test]
fn a_full_sync_collects_pages_in_the_shadow_and_saves_the_cursor_with_the_last() {
    let mut machine = machine(SyncState::default());
    assert_eq!(machine.wants_run(at(0)), Some(Why::Poll));
    machine.start(at(0));
    let first = fetched(&mut machine);
    assert_eq!((first.mode, first.window, first.page), (SyncMode::Full, window_at(at(0)), None));
    machine.handle_page(page(&[change("a", &[1])], "2"), at(1), &Zero);
    let save = saved(&mut machine);
    assert_eq!((save.generation, save.begins_shadow, save.finish, save.changes.len()), (1, true, None, 1));
    machine.handle_saved(Saved::Done, at(2));
    assert_eq!(fetched(&mut machine).page.as_deref(), Some("2"));
    machine.handle_page(last_page(&[change("b", &[2])], "end"), at(3), &Zero);
    let save = saved(&mut machine);
    assert_eq!((save.generation, save.begins_shadow, save.changes[0].provider_event_id.as_str()), (1, false, "b"));
    let state = save.finish.expect("the last page keeps the state");
    assert_eq!((state.generation, state.synced_at), (1, Some(at(0))), "true as of when the sync began");
    assert_eq!(state.cursor, Some(SyncCursor("end".into())));
    machine.handle_saved(Saved::Done, at(3));
    let end = ended(&mut machine);
    assert_eq!((end.kind, end.outcome, end.recovered), (SyncKind::Full, SyncOutcome::Changed, true));
}

/// Lesson: paging links not followed, so page two was free; and deltas merge, never replace.
#[test]
fn an_incremental_sync_of_many_pages_is_saved_whole_and_the_later_change_wins() {
    let mut machine = machine(synced(0));
    machine.start(at(10));
    assert_eq!(fetched(&mut machine).mode, SyncMode::Incremental { cursor: SyncCursor("here".into()) });
    machine.handle_page(page(&[change("a", &[1]), change("b", &[2])], "2"), at(11), &Zero);
    assert_eq!(fetched(&mut machine).page.as_deref(), Some("2"), "nothing is saved before the last page");
    machine.handle_page(last_page(&[change("a", &[])], "there"), at(12), &Zero);
    let save = saved(&mut machine);
    assert_eq!(save.changes, [change("a", &[]), change("b", &[2])]);
    assert_eq!((save.generation, save.begins_shadow), (4, false));
    assert_eq!(save.finish.and_then(|state| state.cursor), Some(SyncCursor("there".into())));
}

/// A provider whose pages never end is failing, in either kind of sync; the facts there were stay, and age.
#[test]
fn pages_without_end_are_given_up() {
    for (state, kind) in [(SyncState::default(), SyncKind::Full), (synced(0), SyncKind::Incremental)] {
        let (mut machine, before) = (machine(state.clone()), state);
        machine.start(at(10));
        for number in 1..PAGES_PER_SYNC_MAX {
            fetched(&mut machine);
            machine.handle_page(page(&[change("a", &[1])], "again"), at(11), &Zero);
            if kind == SyncKind::Full {
                assert_eq!(saved(&mut machine).changes.len(), 1, "page {number} is saved, and not kept");
                machine.handle_saved(Saved::Done, at(11));
            }
        }
        fetched(&mut machine);
        machine.handle_page(page(&[change("a", &[1])], "again"), at(11), &Zero);
        let after = failed(&mut machine);
        assert_eq!((after.failures, after.synced_at, after.cursor), (1, before.synced_at, before.cursor), "{kind:?}");
        machine.handle_failure_saved(Saved::Done, at(11));
        assert_eq!(ended(&mut machine).outcome, SyncOutcome::Failed);
    }
}

/// So many changes cost more to merge than to read everything anew.
#[test]
fn a_flood_of_changes_becomes_a_full_sync() {
    let mut machine = machine(synced(0));
    machine.start(at(10));
    fetched(&mut machine);
    let flood: Vec<ResourceChange> =
        (0..=CHANGES_PER_INCREMENTAL_MAX).map(|number| change(&number.to_string(), &[1])).collect();
    machine.handle_page(page(&flood, "2"), at(11), &Zero);
    assert_eq!((failed(&mut machine).cursor, machine.state().synced_at), (None, Some(at(0))));
    machine.handle_failure_saved(Saved::Done, at(11));
    assert_eq!(fetched(&mut machine).mode, SyncMode::Full);
}

/// Lesson: 410 on a sync token, and the source is silent for ever.
#[test]
fn a_gone_cursor_leads_to_a_full_sync_in_the_same_run() {
    let mut machine = machine(synced(0));
    machine.start(at(10));
    fetched(&mut machine);
    machine.handle_page(Err(ProviderError::CursorGone), at(11), &Zero);
    let state = failed(&mut machine);
    assert_eq!((state.cursor, state.failures, state.synced_at), (None, 0, Some(at(0))), "old facts stay and age");
    machine.handle_failure_saved(Saved::Done, at(11));
    assert_eq!(fetched(&mut machine).mode, SyncMode::Full);
    machine.handle_page(last_page(&[], "new"), at(12), &Zero);
    let save = saved(&mut machine);
    assert_eq!((save.generation, save.begins_shadow), (5, true));
}

/// Whose answers to invitations count is decided while reading, so a new owner means reading everything again; a sync that
/// began before may have read with the old one's eyes.
#[test]
fn a_new_owner_leads_to_a_full_sync_after_the_one_under_way() {
    let mut machine = machine(synced(0));
    machine.start(at(10));
    fetched(&mut machine);
    machine.handle_owner_changed(at(11));
    machine.handle_page(last_page(&[], "x"), at(12), &Zero);
    let finish = saved(&mut machine).finish.expect("the last page");
    assert_eq!(finish.cursor, None, "whoever reads next, also after a restart, reads all");
    machine.handle_saved(Saved::Done, at(12));
    ended(&mut machine);
    assert_eq!(machine.wants_run(at(12)), Some(Why::Bell));
    machine.start(at(12));
    assert_eq!(fetched(&mut machine).mode, SyncMode::Full);
    machine.handle_page(last_page(&[], "y"), at(13), &Zero);
    assert_eq!(saved(&mut machine).generation, 5);
    machine.handle_saved(Saved::Done, at(13));
    ended(&mut machine);
    machine.start(at(20));
    assert!(matches!(fetched(&mut machine).mode, SyncMode::Incremental { .. }));
}

/// Lesson: a last notification dropped because a sync was running (twenty 25482).
#[test]
fn bells_during_a_sync_cause_exactly_one_more() {
    let mut machine = machine(synced(0));
    machine.handle_bell(at(1));
    assert_eq!(machine.wants_run(at(1)), Some(Why::Bell));
    machine.start(at(1));
    fetched(&mut machine);
    machine.handle_bell(at(2));
    machine.handle_bell(at(3));
    machine.handle_page(last_page(&[], "x"), at(4), &Zero);
    saved(&mut machine);
    machine.handle_saved(Saved::Done, at(4));
    assert_eq!(ended(&mut machine).noticed_at, at(1));
    assert_eq!(machine.wants_run(at(4)), Some(Why::Bell));
    machine.start(at(4));
    fetched(&mut machine);
    machine.handle_page(last_page(&[], "y"), at(5), &Zero);
    saved(&mut machine);
    machine.handle_saved(Saved::Done, at(5));
    assert_eq!(ended(&mut machine).noticed_at, at(2));
    assert_eq!(machine.wants_run(at(5)), None);
}

#[test]
fn failures_wait_longer_each_time_and_bells_wait_with_them() {
    let check = |error: &ProviderError, failures: u32, wait_seconds: i64, kept: u32, mark: Option<ConnectionStatus>| {
        let mut machine = machine(SyncState { failures, due_at: at(0), ..synced(-10) });
        machine.start(at(0));
        fetched(&mut machine);
        machine.handle_page(Err(error.clone()), at(0), &Zero);
        let marked = match machine.effects.front() {
            Some(SyncEffect::Mark { status, .. }) => Some(*status),
            _ => None,
        };
        let state = failed(&mut machine);
        assert_eq!((marked, state.failures, state.due_at), (mark, kept, at(wait_seconds)), "{error:?} {failures}");
        machine.handle_failure_saved(Saved::Done, at(0));
        assert_eq!(ended(&mut machine).outcome, SyncOutcome::Failed);
        machine.handle_bell(at(1));
        assert_eq!(machine.wants_run(at(wait_seconds - 1)), None, "{error:?}: a bell is no way round a backoff");
        assert!(machine.wants_run(at(wait_seconds)).is_some());
    };
    let down = ProviderError::Unavailable("502".into());
    check(&down, 0, 3, 1, None);
    check(&down, 1, 6, 2, None);
    check(&down, 3, 24, 4, None);
    check(&down, 4, 48, 5, Some(ConnectionStatus::Error));
    check(&down, 40, 900, 41, Some(ConnectionStatus::Error));
    check(&ProviderError::RateLimited { retry_after: None, of: LimitKind::Client }, 0, 3, 1, None);
    check(
        &ProviderError::RateLimited { retry_after: Some(Duration::from_secs(70)), of: LimitKind::Mailbox },
        0,
        70,
        1,
        None,
    );
    check(&ProviderError::Unauthorized("401".into()), 0, 3_600, 1, Some(ConnectionStatus::ReauthorizationRequired));
    check(&ProviderError::CalendarGone, 0, 3_600, 5, Some(ConnectionStatus::Error));
    check(&ProviderError::AddressNotAllowed("10.0.0.1".into()), 0, 3_600, 5, Some(ConnectionStatus::Error));
}

#[test]
fn refused_credentials_are_tried_at_once_when_another_calendar_found_them_good() {
    let mut machine = machine(synced(0));
    machine.start(at(10));
    fetched(&mut machine);
    machine.handle_page(Err(ProviderError::Unauthorized("401".into())), at(11), &Zero);
    while machine.poll_effect().is_some() {}
    machine.handle_failure_saved(Saved::Done, at(12));
    machine.handle_bell(at(20));
    assert_eq!(machine.wants_run(at(1_000)), None, "hopeless: a bell waits, too");
    machine.handle_mended(at(1_000));
    assert_eq!(machine.wants_run(at(1_000)), Some(Why::Bell));
    assert!(!machine.is_backing_off(at(1_000)));
}

#[test]
fn success_after_failures_recovers() {
    let mut machine = machine(SyncState { failures: 7, due_at: at(0), last_error: Some("502".into()), ..synced(-900) });
    machine.start(at(0));
    fetched(&mut machine);
    machine.handle_page(last_page(&[], "z"), at(1), &Zero);
    let state = saved(&mut machine).finish.expect("a last page");
    assert_eq!((state.failures, state.last_error), (0, None));
    machine.handle_saved(Saved::Done, at(1));
    assert!(ended(&mut machine).recovered);
}

#[test]
fn polls_slow_down_while_quiet_and_speed_up_on_change() {
    let check = |quiet_syncs: u32, changes: &[ResourceChange], interval_seconds: i64, quiet_after: u32| {
        let mut machine = machine(SyncState { quiet_syncs, ..synced(0) });
        machine.start(at(10));
        fetched(&mut machine);
        machine.handle_page(last_page(changes, "z"), at(10), &Zero);
        let state = saved(&mut machine).finish.expect("a last page");
        assert_eq!((state.due_at, state.quiet_syncs), (at(10 + interval_seconds), quiet_after));
    };
    check(0, &[], 10, 1);
    check(4, &[], 10, 5);
    check(5, &[], 20, 6);
    check(11, &[], 40, 12);
    check(17, &[], 80, 18);
    check(500, &[], 80, 501);
    check(500, &[change("a", &[])], 10, 0);
}

#[test]
fn a_window_that_runs_out_is_renewed_by_a_full_sync() {
    let check = |days_old: i64, expected: SyncKind| {
        let mut machine = machine(synced(-days_old * 86_400));
        machine.start(at(0));
        let kind = if fetched(&mut machine).mode == SyncMode::Full { SyncKind::Full } else { SyncKind::Incremental };
        assert_eq!(kind, expected, "{days_old} days");
    };
    check(0, SyncKind::Incremental);
    check(SYNC_DAYS_AHEAD - SYNC_DAYS_AHEAD_MIN, SyncKind::Incremental);
    check(SYNC_DAYS_AHEAD - SYNC_DAYS_AHEAD_MIN + 1, SyncKind::Full);
}

#[test]
fn a_superseded_machine_stops_asking() {
    let mut machine = machine(synced(0));
    machine.start(at(10));
    fetched(&mut machine);
    machine.handle_page(last_page(&[], "z"), at(11), &Zero);
    saved(&mut machine);
    machine.handle_saved(Saved::Lost, at(11));
    machine.handle_bell(at(12));
    assert!(machine.is_lost() && !machine.is_running());
    assert_eq!(machine.poll_timeout(), None);
}

#[test]
fn a_failing_store_is_not_the_providers_fault() {
    let mut machine = machine(synced(0));
    machine.start(at(10));
    fetched(&mut machine);
    machine.handle_page(last_page(&[], "z"), at(11), &Zero);
    saved(&mut machine);
    machine.handle_saved(Saved::Failed, at(11));
    assert_eq!(ended(&mut machine).outcome, SyncOutcome::Failed);
    assert_eq!((machine.state().failures, machine.wants_run(at(12))), (0, None));
    assert_eq!(machine.wants_run(at(13)), Some(Why::Bell));
}

fn due_after(machine: &mut SyncMachine, began: Timestamp, ends: Timestamp) -> (SyncState, Timestamp) {
    machine.start(began);
    fetched(machine);
    machine.handle_page(last_page(&[], "there"), ends, &Zero);
    let state = saved(machine).finish.expect("one page");
    machine.handle_saved(Saved::Done, ends);
    ended(machine);
    (state.clone(), state.due_at)
}

/// Calendars whose provider rings are looked at seldom, yet not after the watch's own time, and as ever once it is over.
#[test]
fn a_watched_calendar_is_swept_and_not_polled() {
    let check = |standing: Option<(i64, i64)>, expected_due: i64, expected_until: Option<i64>| {
        let mut machine = machine(synced(0));
        machine.handle_watch(standing.map(|(until, renew_at)| Standing { until: at(until), renew_at: at(renew_at) }));
        let (state, due_at) = due_after(&mut machine, at(100), at(101));
        assert_eq!((due_at, state.watched_until), (at(expected_due), expected_until.map(at)), "{standing:?}");
    };
    check(None, 111, None);
    check(Some((10_000, 5_000)), 1_001, Some(10_000));
    check(Some((10_000, 500)), 500, Some(10_000));
    check(Some((10_000, 90)), 1_001, Some(10_000));
    check(Some((600, 90)), 600, Some(600));
    check(Some((100, 90)), 111, None);
}

/// Lesson: a watch rings for what happens after it began. A sync that began before saw less than what it rings for.
#[test]
fn a_sync_rests_on_the_watch_that_stood_when_it_began() {
    let mut machine = machine(synced(0));
    machine.start(at(100));
    fetched(&mut machine);
    machine.handle_watch(Some(Standing { until: at(10_000), renew_at: at(5_000) }));
    machine.handle_page(last_page(&[], "there"), at(101), &Zero);
    let state = saved(&mut machine).finish.expect("one page");
    assert_eq!((state.watched_until, state.due_at), (None, at(111)));
    machine.handle_saved(Saved::Done, at(101));
    ended(&mut machine);
    let (state, due_at) = due_after(&mut machine, at(111), at(112));
    assert_eq!((state.watched_until, due_at), (Some(at(10_000)), at(1_012)));
    machine.handle_watch(None);
    let (state, _) = due_after(&mut machine, at(300), at(301));
    assert_eq!(state.watched_until, None, "it was lost");
}
