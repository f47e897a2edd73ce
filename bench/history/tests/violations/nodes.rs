//! Several nodes: what may be seen late and how late, who may write, and what a retry heals.

use agentcal_engine::model::ClaimOwner;
use agentcal_engine::time::SECOND_US;
use agentcal_history::{Allowances, Event, Final, FreshnessState, Late, LateCause, LateOffer, Superseded, check};

use crate::sketch::*;

use FreshnessState::{Complete, Partial, Stale};

fn late(finale: Final, owner: ClaimOwner, slot: i64) -> Final {
    Final { late: vec![Late { owner, range: hour(slot), cause: LateCause::Ownerless }], ..finale }
}

#[test]
fn without_its_owner_a_sale_may_be_seen_late_and_not_too_late() {
    let booked = |from: i64, state| [book(0, 1, 1, 1, 9), ask(from, from + 1, slots(&[], &[(1, 9)], state, from))];
    let finale = || late(nothing().booking(1, 1, 9), ClaimOwner::Booking(booking_id(1)), 9);
    is_sound("at once, stale", &booked(2, Stale), &finale());
    is_sound("after five seconds, stale", &booked(6, Stale), &finale());
    is_wrong("after more", &booked(7, Stale), &finale(), &["offered_taken"]);
    is_wrong("at once, by its owner", &booked(2, Stale), &nothing().booking(1, 1, 9), &["offered_taken"]);
    let moved = late(nothing().booking(1, 1, 9), ClaimOwner::Booking(booking_id(1)), 10);
    is_wrong("another place of it was late", &booked(2, Stale), &moved, &["offered_taken"]);
    let other = late(nothing().booking(1, 1, 9), ClaimOwner::Booking(booking_id(2)), 9);
    is_wrong("another booking was late", &booked(2, Stale), &other, &["offered_taken"]);
}

#[test]
fn what_may_be_seen_late_is_not_complete() {
    let booked = |state| [book(0, 1, 1, 1, 9), ask(2, 3, slots(&[], &[(1, 9)], state, 2))];
    let finale = || late(nothing().booking(1, 1, 9), ClaimOwner::Booking(booking_id(1)), 9);
    is_wrong("complete", &booked(Complete), &finale(), &["offered_as_complete"]);
    is_sound("stale", &booked(Stale), &finale());
    is_sound("partial", &booked(Partial), &finale());
    let meanwhile = [book(0, 3, 1, 1, 9), ask(2, 4, slots(&[], &[(1, 9)], Complete, 2))];
    is_sound("asked before it was answered", &meanwhile, &finale());
    let lenient = Allowances { late_is_stale: false, ..ALLOWED };
    let counted = check(&booked(Complete), &finale(), &lenient);
    assert!(counted.is_sound(), "{counted:?}");
    assert_eq!((counted.counts.offered_late, counted.counts.offered_late_as_complete), (1, 1));
    let owner = ClaimOwner::Booking(booking_id(1));
    let (since, late_us, cause) = (at(1), SECOND_US, LateCause::Ownerless);
    let offer = LateOffer { event: 1, owner, since, late_us, cause, is_complete: true };
    assert_eq!(counted.late_offers, [offer]);
    let counted = check(&booked(Stale), &finale(), &lenient);
    assert_eq!(counted.late_offers, [LateOffer { is_complete: false, ..offer }]);
}

#[test]
fn nobody_writes_what_is_anothers() {
    let superseded = || Superseded { what: "claim written".into(), writer: "n1".into(), epoch: 2, at: at(5) };
    let finale = Final { superseded: vec![superseded(), superseded()], ..nothing() };
    is_wrong("twice", &[], &finale, &["written_by_superseded", "written_by_superseded"]);
}

#[test]
fn a_retry_heals_what_failed() {
    let tried = |from: i64| in_doubt(keyed(book(from, from + 1, 1, 1, 9), "k"));
    let done = |from: i64| keyed(book(from, from + 1, 1, 1, 9), "k");
    let through = Allowances { retries_are_through: true, ..ALLOWED };
    let check = |name: &str, events: &[Event], healed: usize, expected: &[&str]| {
        let report = check(events, &nothing().booking(1, 1, 9), &through);
        assert_eq!(names(&report), expected, "{name}");
        assert_eq!(report.counts.healed, healed, "{name}");
    };
    check("never answered", &[tried(0), tried(2)], 0, &["not_healed"]);
    check("answered in the end", &[tried(0), done(2)], 1, &[]);
    check("answered at once", &[done(0)], 0, &[]);
    check("in doubt after an answer", &[done(0), tried(2)], 0, &["not_healed"]);
    check("told in another order", &[done(2), tried(0)], 1, &[]);
    let refusal = refused(keyed(book(2, 3, 2, 1, 9), "l"));
    let other = [done(0), in_doubt(keyed(book(1, 2, 2, 1, 9), "l")), refusal];
    check("refused in the end", &other, 1, &[]);
    let without = [done(0), in_doubt(cancel(1, 2, 1, 1, 9))];
    check("without a key", &without, 0, &[]);
}
