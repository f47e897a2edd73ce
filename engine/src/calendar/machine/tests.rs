//! Who goes first.

use super::*;
use crate::calendar::sync::{Pace, SyncEffect};
use crate::ids::{AccountId, CalendarId};
use crate::model::{Watch, WatchState};
use crate::ports::{Oddities, SyncCursor, SyncNext, SyncState, WatchHandle, WatchRecord};
use crate::shard::Epoch;
use std::time::Duration;
use uuid::Uuid;

mod days;

struct Zero;

impl Entropy for Zero {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

fn machine(queue_len_max: usize) -> CalendarMachine<u32> {
    let pace = Pace {
        fast: Duration::from_secs(10),
        slow: Duration::from_secs(60),
        swept: Duration::from_secs(900),
        asked: Duration::MAX,
    };
    let account_id = AccountId::from_uuid(Uuid::from_u128(1));
    let calendar_id = CalendarId::from_uuid(Uuid::from_u128(2));
    let state = SyncState { due_at: at(100), ..SyncState::default() };
    let sync = SyncMachine::new(account_id, calendar_id, Epoch(1), pace, state);
    let watch = WatchMachine::new(Some("https://cal.example.com".into()), never_due());
    CalendarMachine::new(Some(sync), watch, queue_len_max, at(0))
}

/// A watch that nothing is due of.
fn never_due() -> WatchRecord {
    WatchRecord { url: Some("https://cal.example.com".into()), due_at: Timestamp::LATEST, ..WatchRecord::default() }
}

fn names(machine: &mut CalendarMachine<u32>) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(effect) = machine.poll_effect() {
        names.push(match effect {
            MachineEffect::BeginCommits(line) => {
                line.iter().fold("commit".into(), |name, item| format!("{name} {item}"))
            }
            MachineEffect::Expired(number) => format!("expired {number}"),
            MachineEffect::WriteBack => "write".into(),
            MachineEffect::Watch(effect) => match *effect {
                WatchEffect::Ask { .. } => "ask for a watch".into(),
                WatchEffect::Save(_) => "save the watch".into(),
                WatchEffect::End(_) | WatchEffect::Abandon(_) => "end a watch".into(),
            },
            MachineEffect::Sync(effect) => match *effect {
                SyncEffect::Fetch(_) => "fetch".into(),
                SyncEffect::Save(_) => "save".into(),
                SyncEffect::Compare => "compare".into(),
                SyncEffect::Ended(_) => "ended".into(),
                other => format!("{other:?}"),
            },
        });
    }
    names
}

fn done() -> Result<SyncPage, ProviderError> {
    Ok(SyncPage {
        changes: Vec::new(),
        next: SyncNext::Done { cursor: SyncCursor("c".into()) },
        oddities: Oddities::default(),
    })
}

fn finish_sync(machine: &mut CalendarMachine<u32>, now: Timestamp) {
    machine.handle_page(done(), now, &Zero);
    machine.handle_saved(Saved::Done, now);
    if machine.sync.as_ref().is_some_and(SyncMachine::is_running) {
        machine.handle_compared(true, now);
    }
}

#[test]
fn commits_go_one_at_a_time_and_in_order() {
    let mut machine = machine(8);
    for number in 1..=3 {
        machine.handle_commit(number, false, at(50), at(0)).expect("the queue has room");
    }
    assert_eq!(names(&mut machine), ["commit 1"]);
    machine.handle_commits_ended(at(1));
    assert_eq!(names(&mut machine), ["commit 2"]);
    machine.handle_commits_ended(at(60));
    assert_eq!(names(&mut machine), ["expired 3"], "its caller is gone");
    assert!(machine.is_at_rest());
}

#[test]
fn commits_that_join_go_together_in_order() {
    let check = |joins: &[bool], late: &[u32], expected: &[&str]| {
        let mut machine = machine(64);
        machine.handle_commit(0, true, at(500), at(0)).expect("the queue has room");
        assert_eq!(names(&mut machine), ["commit 0"], "nobody waits for others to come");
        for (number, &joins) in (1..).zip(joins) {
            let deadline = if late.contains(&number) { at(5) } else { at(500) };
            machine.handle_commit(number, joins, deadline, at(0)).expect("the queue has room");
        }
        let mut begun = Vec::new();
        while machine.committing {
            machine.handle_commits_ended(at(10));
            begun.append(&mut names(&mut machine));
        }
        assert_eq!(begun, expected, "{joins:?} {late:?}");
        assert!(machine.is_at_rest());
    };
    check(&[true, true, true], &[], &["commit 1 2 3"]);
    check(&[true, false, true, true], &[], &["commit 1", "commit 2", "commit 3 4"]);
    check(&[false, true], &[], &["commit 1", "commit 2"]);
    check(&[true, true, true], &[2], &["expired 2", "commit 1 3"]);
    check(&[true, true], &[1, 2], &["expired 1", "expired 2"]);
    check(&[true; 18], &[], &["commit 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "commit 17 18"]);
}

#[test]
fn a_full_queue_and_a_closed_machine_refuse() {
    let mut machine = machine(2);
    let taken = (1..=4).map(|number| machine.handle_commit(number, false, at(50), at(0)).is_ok()).collect::<Vec<_>>();
    assert_eq!(taken, [true, true, true, false], "one is being made, two wait");
    machine.close();
    machine.handle_commits_ended(at(0));
    assert_eq!(machine.handle_commit(9, false, at(50), at(0)), Err(9));
    assert_eq!(names(&mut machine), ["commit 1", "commit 2"], "what was accepted is made");
}

#[test]
fn due_work_steps_aside_for_commits_but_not_for_ever() {
    let mut machine = machine(8);
    machine.handle_commit(1, false, at(500), at(0)).expect("the queue has room");
    assert_eq!(names(&mut machine), ["commit 1"]);
    let after = |waited: Duration| at(200).plus_micros(i64::try_from(waited.as_micros()).expect("short"));
    for waited in [Duration::ZERO, YIELD_MAX - Duration::from_micros(1)] {
        machine.handle_due(after(waited));
        assert_eq!(names(&mut machine), Vec::<String>::new(), "{waited:?}");
    }
    machine.handle_due(after(YIELD_MAX));
    assert_eq!(names(&mut machine), ["fetch"]);
}

#[test]
fn due_work_begins_with_the_first_pause_between_commits() {
    let mut machine = machine(8);
    machine.handle_commit(1, true, at(500), at(0)).expect("the queue has room");
    machine.handle_commit(2, true, at(500), at(0)).expect("the queue has room");
    machine.handle_write_wanted(at(0));
    assert_eq!(names(&mut machine), ["commit 1"]);
    machine.handle_commits_ended(at(0));
    assert_eq!(names(&mut machine), ["commit 2"], "somebody waits");
    machine.handle_commits_ended(at(0));
    assert_eq!(names(&mut machine), ["write"]);
}

#[test]
fn what_stepped_aside_for_long_enough_is_done_to_its_end() {
    let mut machine = machine(8);
    machine.handle_commit(1, false, at(500), at(0)).expect("the queue has room");
    machine.handle_write_wanted(at(0));
    assert_eq!(names(&mut machine), ["commit 1"]);
    machine.handle_due(at(1));
    assert_eq!(names(&mut machine), ["write"]);
    machine.handle_writebacks_ended(true, at(1));
    assert_eq!(names(&mut machine), ["write"], "more to write, and commits go on");
}

#[test]
fn a_rung_sync_steps_aside_for_nobody() {
    let mut machine = machine(8);
    machine.handle_commit(1, false, at(500), at(0)).expect("the queue has room");
    machine.handle_bell(at(0));
    assert_eq!(names(&mut machine), ["commit 1", "fetch"]);
}

#[test]
fn a_bell_counts_as_one_even_when_the_poll_is_due_anyway() {
    let mut machine = machine(8);
    machine.handle_commit(1, false, at(500), at(200)).expect("the queue has room");
    machine.handle_bell(at(200));
    assert_eq!(names(&mut machine), ["commit 1", "fetch"]);
}

#[test]
fn a_write_and_a_sync_never_share_the_lane() {
    let mut machine = machine(8);
    machine.handle_bell(at(0));
    machine.handle_write_wanted(at(0));
    assert_eq!(names(&mut machine), ["fetch"]);
    finish_sync(&mut machine, at(1));
    assert_eq!(names(&mut machine), ["save", "compare", "ended", "write"]);
    machine.handle_bell(at(2));
    assert_eq!(names(&mut machine), Vec::<String>::new());
    machine.handle_writebacks_ended(true, at(3));
    assert_eq!(names(&mut machine), ["fetch"], "turn about, even with more to write");
    finish_sync(&mut machine, at(4));
    assert_eq!(names(&mut machine), ["save", "ended", "write"], "nothing changed, so nothing to compare");
}

#[test]
fn a_calendar_without_provider_only_commits() {
    let mut machine: CalendarMachine<u32> =
        CalendarMachine::new(None, WatchMachine::new(None, WatchRecord::default()), 4, at(0));
    machine.handle_bell(at(0));
    machine.handle_due(at(1_000_000));
    assert_eq!(machine.poll_timeout(), None);
    machine.handle_commit(1, false, at(2_000_000), at(1_000_001)).expect("the queue has room");
    assert_eq!(names(&mut machine), ["commit 1"]);
}

fn pushed(until: i64) -> Result<Watched, ProviderError> {
    let watch = Watch { state: WatchState::Push, expires_at: Some(at(until)) };
    Ok(Watched { watch, handle: Some(WatchHandle("one".into())), renewed: false })
}

/// The first sync comes first, then the watch, and then one more sync, for what changed in between. None waits for the watch,
/// and a failure of it is none of theirs.
#[test]
fn a_watch_follows_a_sync_and_is_followed_by_one() {
    let mut machine = machine(4);
    machine.watch = WatchMachine::new(Some("https://cal.example.com".into()), WatchRecord::default());
    machine.handle_due(at(100));
    assert_eq!(names(&mut machine), ["fetch"]);
    finish_sync(&mut machine, at(101));
    assert_eq!(names(&mut machine), ["save", "compare", "ended", "ask for a watch"]);
    assert!(!machine.is_at_rest(), "it does not sleep over it");
    machine.handle_bell(at(102));
    assert_eq!(names(&mut machine), ["fetch"], "a sync does not wait for the watch");
    finish_sync(&mut machine, at(102));
    assert_eq!(names(&mut machine), ["save", "ended"]);
    machine.handle_watched(pushed(10_000), at(103), &Zero);
    assert_eq!(names(&mut machine), ["save the watch", "fetch"]);
    machine.handle_watch_saved(Saved::Done, at(103));
    finish_sync(&mut machine, at(104));
    assert_eq!(names(&mut machine), ["save", "ended"]);
    assert!(machine.is_at_rest());
    assert_eq!(machine.poll_timeout(), Some((at(1_004), Why::Poll)));
    assert_eq!(machine.picture().watched_until_us, Some(at(10_000).as_micros()));
}

/// Lesson: a watch that was lost, and nobody noticed.
#[test]
fn a_lost_watch_is_followed_by_a_sync_at_once_and_by_another_watch() {
    let mut machine = machine(4);
    let watch = Watch { state: WatchState::Push, expires_at: Some(at(10_000)) };
    machine.watch = WatchMachine::new(never_due().url, WatchRecord { watch, ..never_due() });
    machine.handle_ring(Ring::WatchEnded, at(50));
    assert_eq!(names(&mut machine), ["fetch"]);
    machine.handle_page(Err(ProviderError::Unavailable("away".into())), at(51), &Zero);
    machine.handle_failure_saved(Saved::Done, at(51));
    assert!(!names(&mut machine).contains(&"ask for a watch".to_owned()), "who does not answer is not asked for more");
    machine.handle_due(at(60));
    finish_sync(&mut machine, at(60));
    assert_eq!(names(&mut machine), ["fetch", "save", "compare", "ended", "ask for a watch"]);
    machine.handle_watched(Err(ProviderError::Unavailable("away".into())), at(61), &Zero);
    assert_eq!(names(&mut machine), ["save the watch"]);
    machine.handle_watch_saved(Saved::Done, at(61));
    assert_eq!(machine.poll_timeout(), Some((at(70), Why::Poll)), "polled meanwhile");
}
