//! What a request asks for, and what it may not.

use super::*;
use crate::calendar::fixtures::{at, booking, calendar, config, event_type_id, hours, user, user_id};
use crate::ids::BookingId;
use crate::model::{Attendee, Booking};
use uuid::Uuid;

fn book(meeting: Meeting, named: Option<u128>, start: Timestamp) -> CommitKind {
    CommitKind::Book(BookRequest {
        booking_id: BookingId::from_uuid(Uuid::from_u128(1)),
        meeting,
        choice: named.map_or(Choice::Any, |number| Choice::Named(user_id(number))),
        start,
        attendee: Attendee { name: "Ada".into(), email: None, phone: None, timezone: None },
        metadata: serde_json::Map::new(),
    })
}

fn stored(booking: Booking) -> Stored {
    Some(BookingStoreItem { booking, claim_count: 1 }).into()
}

fn committed(booking: &Booking) -> CommitAnswer {
    CommitAnswer::Committed(Made::Booking(Box::new(booking.clone())))
}

fn rejection(ask: &Ask) -> Option<Rejection> {
    match ask {
        Ask::Answered(answer) => match **answer {
            CommitAnswer::Rejected(rejection) => Some(rejection),
            _ => None,
        },
        _ => None,
    }
}

#[test]
fn a_new_booking_asks_for_those_who_may_take_it() {
    let users = [user(1, &[]), user(2, &[]), user(3, &[])];
    let other = EventTypeId::from_uuid(Uuid::from_u128(4));
    let of_type = Meeting::EventType(event_type_id());
    let ad_hoc = |number| Meeting::AdHoc(AdHocMeeting { user_id: user_id(number), duration_minutes: 30 });
    let check = |mode, meeting, named, start, expected: Result<&[u128], Rejection>| {
        let mut config = config(mode, &users);
        config.event_types[0].0.user_ids.truncate(2);
        let ask = ask_of(&book(meeting, named, start), &config, Stored::default(), at(0));
        let found = match &ask {
            Ask::Decide(ask) => Ok(ask.user_ids.clone()),
            other => Err(rejection(other).expect("a rejection")),
        };
        let expected = expected.map(|numbers| numbers.iter().map(|&number| user_id(number)).collect::<Vec<_>>());
        assert_eq!(found, expected, "{mode:?} {meeting:?} {named:?}");
    };
    use SchedulingMode::{Collective, Individual, RoundRobin};
    check(Individual, of_type, None, at(0), Ok(&[1, 2]));
    check(RoundRobin, of_type, Some(2), at(0), Ok(&[2]));
    check(Individual, of_type, Some(3), at(0), Err(Rejection::UserNotHost));
    check(Individual, of_type, Some(9), at(0), Err(Rejection::UserMissing));
    check(Collective, of_type, Some(1), at(0), Err(Rejection::UserNotAllowedForCollective));
    check(Collective, Meeting::EventType(other), None, at(0), Err(Rejection::EventTypeMissing));
    check(Individual, ad_hoc(3), None, at(0), Ok(&[3]));
    check(Individual, ad_hoc(9), None, at(0), Err(Rejection::UserMissing));
    check(Individual, of_type, None, Timestamp::LATEST, Err(Rejection::StartOutOfRange));
    check(Individual, of_type, None, Timestamp::from_micros(i64::MAX), Err(Rejection::StartOutOfRange));
    check(Individual, of_type, None, Timestamp::from_micros(-1), Err(Rejection::StartOutOfRange));
}

#[test]
fn a_booking_is_moved_while_it_stands() {
    let config = config(SchedulingMode::Individual, &[user(1, &[])]);
    let kind = |start| CommitKind::Reschedule {
        booking_id: BookingId::from_uuid(Uuid::from_u128(1)),
        start,
        offered: false,
        by: ChangedBy::Key,
    };
    let ask = |booking: Booking, start, now| ask_of(&kind(start), &config, stored(booking), now);
    let standing = booking(1, hours(5, 7));
    let Ask::Decide(moving) = ask(standing.clone(), at(0), at(0)) else { panic!("it can be moved") };
    assert_eq!(moving.range.len_micros(), 120 * MINUTE_US, "without an event type it keeps its length");
    assert_eq!((moving.user_ids, moving.terms.buffer_after_minutes), (vec![user_id(1)], 0));
    let of_type = Booking { event_type_id: Some(event_type_id()), ..standing.clone() };
    let Ask::Decide(moving) = ask(of_type, at(0), at(0)) else { panic!("it can be moved") };
    assert_eq!(moving.range.len_micros(), 60 * MINUTE_US, "else the present terms count");
    let unmoved = ask(standing.clone(), hours(5, 6).start, at(0));
    assert!(matches!(unmoved, Ask::Answered(answer) if *answer == committed(&standing)));
    let cancelled = Booking { status: BookingStatus::Cancelled, ..standing.clone() };
    assert_eq!(rejection(&ask(cancelled, at(0), at(0))), Some(Rejection::BookingCancelled));
    assert_eq!(rejection(&ask(standing, at(0), hours(7, 8).start)), Some(Rejection::BookingCompleted));
    assert_eq!(rejection(&ask_of(&kind(at(0)), &config, Stored::default(), at(0))), Some(Rejection::BookingMissing));
}

#[test]
fn a_booking_is_cancelled_once_and_answered_twice() {
    let config = config(SchedulingMode::Individual, &[user(1, &[])]);
    let kind =
        CommitKind::Cancel { booking_id: BookingId::from_uuid(Uuid::from_u128(1)), reason: None, by: ChangedBy::Key };
    let standing = booking(1, hours(5, 6));
    assert!(matches!(ask_of(&kind, &config, stored(standing.clone()), at(0)), Ask::Cancel(_)));
    let cancelled = Booking { status: BookingStatus::Cancelled, ..standing.clone() };
    let again = ask_of(&kind, &config, stored(cancelled.clone()), at(0));
    assert!(matches!(again, Ask::Answered(answer) if *answer == committed(&cancelled)));
    let over = ask_of(&kind, &config, stored(standing), hours(6, 7).start);
    assert_eq!(rejection(&over), Some(Rejection::BookingCompleted));
}

#[test]
fn the_lowest_home_leads() {
    let config = config(SchedulingMode::Collective, &[user(2, &[1]), user(5, &[])]);
    let ask = ask_of(&book(Meeting::EventType(event_type_id()), None, at(0)), &config, Stored::default(), at(0));
    assert_eq!(leader_of(&ask, &config), Some(calendar(2)), "of homes, not of all calendars read");
}
