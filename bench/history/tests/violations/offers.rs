//! Offers: only time that was known to be free, and honest about what is not known.

use agentcal_engine::model::HoldState;
use agentcal_history::{Event, Final, FreshnessState, Operation, Truth};

use crate::sketch::*;

use FreshnessState::{Complete, Partial, Stale, Unavailable};

#[test]
fn a_sold_slot_is_not_offered_any_more() {
    let finale = nothing().booking(1, 1, 9);
    let offer = |from: i64| ask(from, 5, slots(&[], &[(1, 9)], Complete, 0));
    is_wrong("asked after", &[book(0, 1, 1, 1, 9), offer(2)], &finale, &["offered_taken"]);
    is_sound("asked meanwhile", &[book(0, 3, 1, 1, 9), offer(2)], &finale);
    let other = ask(2, 5, slots(&[], &[(1, 10)], Complete, 0));
    is_sound("another hour", &[book(0, 1, 1, 1, 9), other], &finale);
    let other = ask(2, 5, slots(&[], &[(2, 9)], Complete, 0));
    is_sound("another person", &[book(0, 1, 1, 1, 9), other], &finale);
    let cancelled = [book(0, 1, 1, 1, 9), cancel(4, 6, 1, 1, 9), offer(2)];
    is_sound("cancelled meanwhile", &cancelled, &nothing().cancelled(1, 1, 9));
}

#[test]
fn a_moved_booking_gives_one_slot_back_and_takes_another() {
    let finale = nothing().booking(1, 1, 10);
    let moved =
        |slot: i64| [book(0, 1, 1, 1, 9), shift(2, 3, 1, 1, 10), ask(4, 5, slots(&[], &[(1, slot)], Complete, 0))];
    is_wrong("the new place", &moved(10), &finale, &["offered_taken"]);
    is_sound("the old place", &moved(9), &finale);
}

#[test]
fn a_held_slot_is_not_offered() {
    let finale = nothing().hold(1, 1, 9, 100, HoldState::Active);
    let offer = |from: i64, to: i64| ask(from, to, slots(&[], &[(1, 9)], Complete, from));
    is_wrong("held", &[hold(0, 1, 1, 1, 9, 100), offer(2, 3)], &finale, &["offered_taken"]);
    is_sound("expired meanwhile", &[hold(0, 1, 1, 1, 9, 100), offer(99, 101)], &finale);
}

#[test]
fn complete_means_fresh_and_whole() {
    let check = |name: &str, event: Event, expected: &[&str]| is_wrong(name, &[event], &nothing(), expected);
    check("old", ask(100, 101, slots(&[], &[], Complete, 39)), &["not_complete"]);
    check("fresh", ask(100, 101, slots(&[], &[], Complete, 40)), &[]);
    check("old and stale", ask(100, 101, slots(&[], &[], Stale, 39)), &[]);
    check("somebody left out", ask(100, 101, slots(&[2], &[], Complete, 100)), &["not_complete"]);
}

#[test]
fn unknown_is_never_free() {
    let both = |seen| {
        let mut event = ask(100, 101, seen);
        event.operation = Operation::Ask { user_ids: vec![user(1), user(2)], max_staleness_us: None };
        event
    };
    let check = |name: &str, event: Event, expected: &[&str]| is_wrong(name, &[event], &nothing(), expected);
    check("offered", both(slots(&[2], &[(1, 9), (2, 9), (2, 10)], Partial, 100)), &["offered_unknown"]);
    check("left out", both(slots(&[2], &[(1, 9)], Partial, 100)), &[]);
    check("nobody known", both(slots(&[1, 2], &[], Partial, 100)), &["empty_for_unknown"]);
    check("unavailable", ask(100, 101, slots(&[], &[], Unavailable, 100)), &["empty_for_unknown"]);
    check("nothing free", both(slots(&[], &[], Complete, 100)), &[]);
}

fn busy(since: i64, until: Option<i64>) -> Final {
    let truth = Truth { user_id: user(1), range: hour(9), since: at(since), until: until.map(at) };
    Final { truth: vec![truth], ..nothing() }
}

#[test]
fn facts_hold_what_the_provider_told_before() {
    let offer = [ask(100, 101, slots(&[], &[(1, 9)], Complete, 50))];
    is_wrong("known", &offer, &busy(49, None), &["facts_missed"]);
    is_sound("told later", &offer, &busy(51, None));
    is_sound("taken away meanwhile", &offer, &busy(49, Some(100)));
    let stale = [ask(200, 201, slots(&[], &[(1, 9)], Stale, 50))];
    is_wrong("stale, and older than it says", &stale, &busy(49, None), &["facts_missed"]);
}

#[test]
fn nothing_is_booked_over_busy_time_known_for_long() {
    let booked = [book(100, 101, 1, 1, 9)];
    let with = |finale: Final| Final { truth: finale.truth, ..nothing().booking(1, 1, 9) };
    is_wrong("long known", &booked, &with(busy(39, None)), &["booked_over_busy"]);
    is_sound("just told", &booked, &with(busy(41, None)));
    is_sound("gone since", &booked, &with(busy(39, Some(100))));
}
