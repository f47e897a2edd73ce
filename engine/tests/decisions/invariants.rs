//! Invariants hold where they should, and are seen to be broken where they are.

use agentcal_engine::decision::{HostSet, Slot, SlotSearch};
use agentcal_engine::facts::Knowledge;
use agentcal_engine::invariants::{Violation, claim_in_bounds, facts_are_sound, no_double_booking, slots_are_sound};
use agentcal_engine::model::Claim;
use agentcal_engine::time::MINUTE_US;

use crate::people::{at, booking, facts, hold, span, user_id};

#[test]
fn law_1_no_two_live_claims_of_one_user_overlap() {
    let first = || booking(1, 0, "2026-06-02 12:00", 60).claim();
    let later = |number, user, start| booking(number, user, start, 60).claim();
    let held = |expires| hold(3, 0, "2026-06-02 12:30", 60, expires).claim();
    let now = at("2026-06-01 00:00");
    let overlap =
        |second: &Claim| Err(Violation::DoubleBooking { user_id: user_id(0), first: first().id, second: second.id });
    let cases = [
        (vec![], Ok(())),
        (vec![first(), first()], Ok(())),
        (vec![later(2, 0, "2026-06-02 13:00"), first()], Ok(())),
        (vec![first(), later(2, 1, "2026-06-02 12:30")], Ok(())),
        (vec![later(2, 0, "2026-06-02 12:59"), first()], overlap(&later(2, 0, "2026-06-02 12:59"))),
        (vec![first(), held("2026-05-31 00:00")], Ok(())),
        (vec![first(), held("2026-06-01 00:01")], overlap(&held("2026-06-01 00:01"))),
    ];
    for (claims, expected) in cases {
        assert_eq!(no_double_booking(&claims, now), expected, "{claims:?}");
    }
}

#[test]
fn claims_have_bounds() {
    let of = |minutes, buffer| booking(1, 0, "2026-06-02 12:00", minutes).buffers(0, buffer).claim();
    let cases =
        [(1, 0, true), (1_440, 1_440, true), (0, 0, false), (-5, 0, false), (1_441, 0, false), (30, 1_441, false)];
    for (minutes, buffer, expected) in cases {
        assert_eq!(claim_in_bounds(&of(minutes, buffer)).is_ok(), expected, "{minutes} {buffer}");
    }
}

#[test]
fn facts_ascend_and_stay_at_home() {
    let sound = || {
        let claims = vec![booking(1, 0, "2026-06-02 12:00", 60).claim(), booking(2, 0, "2026-06-02 14:00", 60).claim()];
        let mut facts = facts(0, Knowledge::Internal, claims);
        facts.external =
            vec![span("2026-06-02 09:00", "2026-06-02 10:00"), span("2026-06-02 11:00", "2026-06-02 12:00")];
        facts
    };
    assert_eq!(facts_are_sound(&sound()), Ok(()));
    let mut touching = sound();
    touching.external[1].start = touching.external[0].end;
    let mut unordered = sound();
    unordered.claims.reverse();
    let mut empty = sound();
    empty.external[0].end = empty.external[0].start;
    let mut astray = sound();
    astray.claims.push(booking(3, 1, "2026-06-02 16:00", 60).claim());
    for facts in [touching, unordered, empty, astray] {
        assert!(facts_are_sound(&facts).is_err(), "{facts:?}");
    }
}

#[test]
fn slots_ascend_and_somebody_is_free() {
    let slot = |minute: i64, length: i64, hosts: usize| {
        let start = at("2026-06-02 12:00").plus_micros(minute * MINUTE_US);
        Slot { start, end: start.plus_micros(length * MINUTE_US), hosts: HostSet::first(hosts) }
    };
    let cases = [
        (vec![], true),
        (vec![slot(0, 30, 1), slot(15, 30, 100)], true),
        (vec![slot(0, 0, 1)], false),
        (vec![slot(0, 30, 0)], false),
        (vec![slot(0, 30, 1), slot(0, 30, 2)], false),
        (vec![slot(5, 30, 1), slot(0, 30, 2)], false),
    ];
    for (slots, expected) in cases {
        let search = SlotSearch { slots, unknown: Vec::new() };
        assert_eq!(slots_are_sound(&search).is_ok(), expected, "{search:?}");
    }
}

#[test]
fn a_set_of_hosts_holds_a_hundred() {
    let all = HostSet::first(100);
    assert_eq!(all.iter().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    let some: HostSet = [99, 3, 3, 127, 128, 4_000].into_iter().collect();
    assert_eq!(some.iter().collect::<Vec<_>>(), [3, 99, 127]);
    assert_eq!((some.len(), some.contains(99), some.contains(98), some.contains(128)), (3, true, false, false));
    assert!(HostSet::EMPTY.is_empty() && !some.is_empty());
}
