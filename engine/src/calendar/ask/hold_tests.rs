//! What holds, offers and attendees may ask for.

use super::*;
use crate::calendar::fixtures::{at, booking, booking_id, calendar, config, event_type_id, hold, hours, user, user_id};
use crate::ids::HoldId;
use crate::model::{Attendee, Booking, Hold};
use uuid::Uuid;

const HOUR: i64 = 3_600;

fn attendee() -> Attendee {
    Attendee { name: "Ada".into(), email: None, phone: None, timezone: None }
}

fn hold_id(number: u128) -> HoldId {
    HoldId::from_uuid(Uuid::from_u128(number))
}

fn of_type() -> Meeting {
    Meeting::EventType(event_type_id())
}

fn to_book(meeting: Meeting, choice: Choice) -> CommitKind {
    let (start, metadata) = (at(0), serde_json::Map::new());
    CommitKind::Book(BookRequest { booking_id: booking_id(1), meeting, choice, start, attendee: attendee(), metadata })
}

fn to_hold(meeting: Meeting, choice: Choice) -> CommitKind {
    let session_id = None;
    CommitKind::Hold(HoldRequest { hold_id: hold_id(1), meeting, choice, start: at(0), ttl_seconds: 120, session_id })
}

fn confirm() -> CommitKind {
    let (booking_id, metadata) = (booking_id(1), serde_json::Map::new());
    CommitKind::Confirm(ConfirmRequest { booking_id, hold_id: hold_id(8), attendee: attendee(), metadata })
}

fn extend() -> CommitKind {
    CommitKind::Extend { hold_id: hold_id(8), ttl_seconds: 120 }
}

fn release() -> CommitKind {
    CommitKind::Release(HoldSelection::One(hold_id(8)))
}

fn with_holds(holds: Vec<HoldStoreItem>) -> Stored {
    Stored { booking: None, holds }
}

fn answer(ask: Ask) -> CommitAnswer {
    match ask {
        Ask::Answered(answer) => *answer,
        other => panic!("something is to be done: {other:?}"),
    }
}

/// Lesson: signed slot ids that the booking does not insist on. A strict event type takes offered times only, to book, to
/// hold and to move; an ad hoc meeting is nobody's event type.
#[test]
fn a_strict_event_type_takes_offered_times_only() {
    let users = [user(1, &[]), user(2, &[])];
    let check = |strict: bool, meeting: Meeting, choice: Choice, is_taken: bool| {
        let mut config = config(SchedulingMode::Individual, &users);
        config.event_types[0].0.require_slot_id = strict;
        for kind in [to_book(meeting, choice.clone()), to_hold(meeting, choice.clone())] {
            match ask_of(&kind, &config, Stored::default(), at(0)) {
                Ask::Decide(_) => assert!(is_taken, "{kind:?}"),
                other => {
                    assert!(!is_taken, "{kind:?}: {other:?}");
                    assert_eq!(answer(other), CommitAnswer::Rejected(Rejection::SlotIdRequired));
                }
            }
        }
    };
    let ad_hoc = Meeting::AdHoc(AdHocMeeting { user_id: user_id(1), duration_minutes: 30 });
    for choice in [Choice::Any, Choice::Named(user_id(1))] {
        check(true, of_type(), choice.clone(), false);
        check(false, of_type(), choice.clone(), true);
        check(true, ad_hoc, choice, true);
    }
    check(true, of_type(), Choice::Offered(vec![user_id(1)]), true);
    check(false, of_type(), Choice::Offered(vec![user_id(1)]), true);
}

/// Offered people are asked in the order of the offer, those who are hosts still; of a collective all must have been
/// offered.
#[test]
fn those_who_were_offered_are_asked() {
    let users = [user(1, &[]), user(2, &[]), user(3, &[])];
    let check = |mode, offered: &[u128], expected: Result<&[u128], Rejection>| {
        let mut config = config(mode, &users);
        config.event_types[0].0.user_ids = vec![user_id(2), user_id(1)];
        let choice = Choice::Offered(offered.iter().map(|&number| user_id(number)).collect());
        let found = match ask_of(&to_hold(of_type(), choice), &config, Stored::default(), at(0)) {
            Ask::Decide(ask) => Ok(ask.user_ids),
            other => Err(answer(other)),
        };
        let expected = expected.map(|numbers| numbers.iter().map(|&number| user_id(number)).collect::<Vec<_>>());
        assert_eq!(found, expected.map_err(CommitAnswer::Rejected), "{mode:?} {offered:?}");
    };
    use SchedulingMode::{Collective, Individual, RoundRobin};
    check(Individual, &[1, 2], Ok(&[1, 2]));
    check(RoundRobin, &[2, 1], Ok(&[2, 1]));
    check(Individual, &[3, 1, 9], Ok(&[1]));
    check(Individual, &[3], Err(Rejection::OfferOutdated));
    check(Individual, &[], Err(Rejection::OfferOutdated));
    check(Collective, &[1, 2], Ok(&[2, 1]));
    check(Collective, &[1, 2, 3], Ok(&[2, 1]));
    check(Collective, &[1], Err(Rejection::OfferOutdated));
}

/// What may be done to a hold follows from its state, and the store's clock says whether it has expired: a hold whose claims
/// count no more is over, whatever this node's clock says.
#[test]
fn what_may_be_done_to_a_hold() {
    let users = [user(2, &[]), user(4, &[])];
    let config = config(SchedulingMode::Collective, &users);
    let live = || hold(8, &[2, 4], hours(1, 2));
    let in_state = |state| HoldStoreItem { hold: Hold { state, ..live().hold }, claim_count: 0 };
    let late = at(10_000);
    for (kind, now) in [(confirm(), at(0)), (confirm(), late)] {
        let Ask::Decide(ask) = ask_of(&kind, &config, with_holds(vec![live()]), now) else { panic!("it is live") };
        assert_eq!((ask.user_ids, ask.range), (vec![user_id(2), user_id(4)], hours(1, 2)));
    }
    assert!(matches!(ask_of(&extend(), &config, with_holds(vec![live()]), late), Ask::Extend(item) if *item == live()));
    let freed = ask_of(&release(), &config, with_holds(vec![live()]), late);
    assert!(matches!(freed, Ask::Release(items) if items == [live()]));

    let check = |kind: CommitKind, item: Option<HoldStoreItem>, expected: CommitAnswer| {
        let asked = ask_of(&kind, &config, with_holds(item.into_iter().collect()), at(0));
        assert_eq!(answer(asked), expected, "{kind:?}");
    };
    let rejected = CommitAnswer::Rejected;
    let nothing = || CommitAnswer::Committed(Made::Released(Vec::new()));
    let (expired, released) = (HoldStoreItem { claim_count: 0, ..live() }, in_state(HoldState::Released));
    for over in [expired, HoldStoreItem { claim_count: 1, ..live() }, released] {
        check(confirm(), Some(over.clone()), rejected(Rejection::HoldExpired));
        check(extend(), Some(over.clone()), rejected(Rejection::HoldExpired));
        check(release(), Some(over), nothing());
    }
    for kind in [confirm(), extend(), release()] {
        let confirmed = in_state(HoldState::Confirmed(booking_id(3)));
        check(kind.clone(), Some(confirmed), rejected(Rejection::HoldConfirmed(booking_id(3))));
        check(kind, None, rejected(Rejection::HoldMissing));
    }
    let of_session = CommitKind::Release(HoldSelection::Session("call".into()));
    check(of_session, None, nothing());
}

/// Whoever repeats a request finds what it made.
#[test]
fn what_was_made_before_is_found() {
    let config = config(SchedulingMode::Individual, &[user(2, &[])]);
    let made = booking(1, hours(1, 2));
    let item = Some(BookingStoreItem { booking: made.clone(), claim_count: 1 });
    for kind in [confirm(), to_book(of_type(), Choice::Any)] {
        let stored = Stored { booking: item.clone(), holds: vec![hold(8, &[2], hours(1, 2))] };
        let committed = CommitAnswer::Committed(Made::Booking(Box::new(made.clone())));
        assert_eq!(answer(ask_of(&kind, &config, stored, at(0))), committed);
    }
    let held = hold(1, &[2], hours(1, 2));
    let again = ask_of(&to_hold(of_type(), Choice::Any), &config, with_holds(vec![held.clone()]), at(0));
    assert_eq!(answer(again), CommitAnswer::Committed(Made::Hold(Box::new(held.hold))));
}

/// A confirmation needs everybody who is held, and the event type by which it is called.
#[test]
fn a_hold_whose_ground_is_gone_is_not_confirmed() {
    let held = || with_holds(vec![hold(8, &[2, 4], hours(1, 2))]);
    let without_user = config(SchedulingMode::Collective, &[user(2, &[])]);
    assert_eq!(
        answer(ask_of(&confirm(), &without_user, held(), at(0))),
        CommitAnswer::Rejected(Rejection::UserMissing)
    );
    let mut without_type = config(SchedulingMode::Collective, &[user(2, &[]), user(4, &[])]);
    without_type.event_types.clear();
    let asked = ask_of(&confirm(), &without_type, held(), at(0));
    assert_eq!(answer(asked), CommitAnswer::Rejected(Rejection::EventTypeMissing));
    let asked = ask_of(&release(), &without_type, held(), at(0));
    assert!(matches!(asked, Ask::Release(_)), "giving back needs neither");
}

#[test]
fn the_lowest_home_of_all_hosts_leads() {
    let config = config(SchedulingMode::Collective, &[user(2, &[1]), user(4, &[]), user(5, &[])]);
    let check = |kind: CommitKind, holds: Vec<HoldStoreItem>, expected: u128| {
        let ask = ask_of(&kind, &config, with_holds(holds), at(0));
        assert_eq!(leader_of(&ask, &config), Some(calendar(expected)), "{kind:?}");
    };
    check(confirm(), vec![hold(8, &[5, 4], hours(1, 2))], 4);
    check(extend(), vec![hold(8, &[5], hours(1, 2))], 5);
    let of_session = CommitKind::Release(HoldSelection::Session("call".into()));
    check(of_session, vec![hold(8, &[5], hours(1, 2)), hold(9, &[4, 2], hours(3, 4))], 2);
}

/// An attendee is bound by the event type's policy, until when and how often; a key is not.
#[test]
fn an_attendee_may_do_what_the_policy_says() {
    use ChangedBy::{Attendee as ByAttendee, Key};
    let starts_in = |hours_left: i64| hours(10, 11).start.plus_micros(-hours_left * HOUR * 1_000_000);
    let check = |policy: AttendeePolicy, by: ChangedBy, moved: u32, now: Timestamp, to_move, to_cancel| {
        let mut config = config(SchedulingMode::Individual, &[user(1, &[])]);
        config.event_types[0].0.attendee_policy = policy;
        let event_type_id = Some(event_type_id());
        let booking = Booking { event_type_id, attendee_reschedules: moved, ..booking(1, hours(10, 11)) };
        let stored = || Stored::from(Some(BookingStoreItem { booking: booking.clone(), claim_count: 1 }));
        let said = |kind: CommitKind| match ask_of(&kind, &config, stored(), now) {
            Ask::Answered(answer) => match *answer {
                CommitAnswer::Rejected(rejection) => Some(rejection),
                other => panic!("{other:?}"),
            },
            _ => None,
        };
        let start = hours(20, 21).start;
        let moving = CommitKind::Reschedule { booking_id: booking_id(1), start, offered: false, by };
        let cancelling = CommitKind::Cancel { booking_id: booking_id(1), reason: None, by };
        assert_eq!((said(moving), said(cancelling)), (to_move, to_cancel), "{policy:?} {by:?} {moved} {now:?}");
    };
    let late = Some(Rejection::TooLateForAttendee);
    let often = Some(Rejection::TooManyReschedules);
    let policy = |cancel: Option<u32>, reschedule: Option<u32>, max: Option<u32>| AttendeePolicy {
        cancel_notice_hours: cancel,
        reschedule_notice_hours: reschedule,
        reschedules_max: max,
    };
    let until_start = policy(Some(0), Some(0), None);
    check(until_start, ByAttendee, 99, starts_in(0), None, None);
    check(until_start, ByAttendee, 0, starts_in(0).plus_micros(1), late, late);
    check(until_start, Key, 0, starts_in(0).plus_micros(1), None, None);
    let days = policy(Some(24), Some(5), Some(2));
    check(days, ByAttendee, 1, starts_in(24), None, None);
    check(days, ByAttendee, 1, starts_in(24).plus_micros(1), None, late);
    check(days, ByAttendee, 1, starts_in(5), None, late);
    check(days, ByAttendee, 1, starts_in(5).plus_micros(1), late, late);
    check(days, ByAttendee, 2, starts_in(30), often, None);
    check(days, Key, 2, starts_in(1), None, None);
    check(policy(None, None, None), ByAttendee, 0, at(0), late, late);
    check(policy(None, None, Some(0)), Key, 0, at(0), None, None);
    check(policy(Some(0), Some(0), Some(0)), ByAttendee, 0, at(0), often, None);
}

/// A strict event type binds a key that moves a booking to offered times; the attendee's page offers by itself.
#[test]
fn a_strict_move_needs_an_offer() {
    let mut config = config(SchedulingMode::Individual, &[user(1, &[])]);
    config.event_types[0].0.require_slot_id = true;
    let booking = Booking { event_type_id: Some(event_type_id()), ..booking(1, hours(10, 11)) };
    let check = |offered: bool, by: ChangedBy, is_taken: bool| {
        let kind = CommitKind::Reschedule { booking_id: booking_id(1), start: hours(20, 21).start, offered, by };
        let stored = Stored::from(Some(BookingStoreItem { booking: booking.clone(), claim_count: 1 }));
        let ask = ask_of(&kind, &config, stored, at(0));
        assert_eq!(matches!(ask, Ask::Decide(_)), is_taken, "{offered} {by:?}: {ask:?}");
    };
    check(false, ChangedBy::Key, false);
    check(true, ChangedBy::Key, true);
    check(false, ChangedBy::Attendee, true);
    check(true, ChangedBy::Attendee, true);
}
