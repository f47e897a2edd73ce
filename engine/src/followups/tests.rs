use chrono_tz::Tz;
use uuid::Uuid;

use super::*;
use crate::calendar::fixtures::booking;
use crate::ids::EventId;
use crate::model::JobKind;
use crate::time::DAY_US;

const MONDAY: Timestamp = Timestamp::from_seconds(1_795_420_800);

fn range(start: Timestamp) -> TimeRange {
    TimeRange { start, end: start.plus_micros(30 * MINUTE_US) }
}

fn made(start: Timestamp) -> Booking {
    let mut booking = booking(1, range(start));
    booking.attendee.email = Some("ada@example.com".into());
    booking
}

fn event(kind: EventKind, booking: &Booking) -> Event {
    let previous_range = (kind == EventKind::BookingRescheduled).then(|| range(MONDAY));
    let minutes_before = (kind == EventKind::BookingReminder).then_some(60);
    let subject = EventSubject::Booking { booking: Box::new(booking.clone()), previous_range, minutes_before };
    Event { id: EventId::from_uuid(Uuid::from_u128(7)), kind, subject }
}

fn terms(reminders: &[u32], attendee: bool, hosts: bool) -> FollowUp {
    FollowUp { reminders: reminders.to_vec(), mail: MailPolicy { attendee, hosts } }
}

/// Kinds and due times, in minutes from Monday.
fn follow(kind: EventKind, booking: &Booking, terms: &FollowUp, mails: bool) -> Vec<(JobKind, i64)> {
    let event = event(kind, booking);
    let jobs = followers(Happened { event: &event, at: MONDAY, terms, mails });
    jobs.iter().map(|job| (job.work.kind(), job.due_at.micros_since(MONDAY) / MINUTE_US)).collect()
}

#[test]
fn each_event_has_its_followers() {
    use EventKind::{BookingCancelled, BookingCompleted, BookingConflict, BookingCreated, BookingReminder};
    use JobKind::{Completed, Mail, Reminder};
    let tomorrow = made(MONDAY.plus_micros(DAY_US));
    let check = |kind, terms: FollowUp, mails, expected: &[(JobKind, i64)]| {
        assert_eq!(follow(kind, &tomorrow, &terms, mails), expected, "{kind:?} {terms:?}");
        assert!(has_followers(kind) || expected.is_empty(), "{kind:?}");
    };
    let end = (Completed, 1_470);
    check(BookingCreated, terms(&[], true, false), true, &[(Mail, 0), end]);
    check(BookingCreated, terms(&[], true, true), true, &[(Mail, 0), (Mail, 0), end]);
    check(BookingCreated, terms(&[], false, false), true, &[end]);
    check(BookingCreated, terms(&[60, 1_439], true, true), false, &[(Reminder, 1_380), (Reminder, 1), end]);
    check(BookingCreated, terms(&[1_440, 10_080], false, false), true, &[end]);
    check(EventKind::BookingRescheduled, terms(&[60], true, false), true, &[(Mail, 0), (Reminder, 1_380), end]);
    check(BookingCancelled, terms(&[60], true, false), true, &[(Mail, 0)]);
    check(BookingReminder, terms(&[60], true, true), true, &[(Mail, 0), (Mail, 0)]);
    check(BookingCompleted, terms(&[60], true, true), true, &[]);
    check(BookingConflict, terms(&[60], true, true), true, &[]);
    let mut by_telephone = tomorrow.clone();
    by_telephone.attendee.email = None;
    assert_eq!(follow(BookingCreated, &by_telephone, &terms(&[], true, false), true), [end]);
}

#[test]
fn jobs_of_one_booking_have_names_of_their_own() {
    let booking = made(MONDAY.plus_micros(DAY_US));
    let moved = Booking { sequence: 1, ..booking.clone() };
    let terms = terms(&[60, 30], true, true);
    let mut names = Vec::new();
    for (kind, booking) in [
        (EventKind::BookingCreated, &booking),
        (EventKind::BookingRescheduled, &moved),
        (EventKind::BookingReminder, &moved),
        (EventKind::BookingCancelled, &Booking { sequence: 2, ..booking.clone() }),
    ] {
        let event = event(kind, booking);
        names.extend(
            followers(Happened { event: &event, at: MONDAY, terms: &terms, mails: true })
                .into_iter()
                .map(|job| job.name),
        );
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!((count, names.len()), (14, 14));
}

#[test]
fn what_has_changed_is_not_told_any_more() {
    let booking = made(MONDAY);
    let timer = |minutes_before| TimerWork { booking_id: booking.id, sequence: booking.sequence, minutes_before };
    let cancelled = Booking { status: BookingStatus::Cancelled, ..booking.clone() };
    let moved = Booking { sequence: booking.sequence + 1, ..booking.clone() };
    let before = MONDAY.plus_micros(-1);
    let said =
        |minutes, booking: Option<&Booking>, now| ring(&timer(minutes), booking.cloned(), now).map(|(kind, _)| kind);
    assert_eq!(said(Some(60), Some(&booking), before), Ok(EventKind::BookingReminder));
    assert_eq!(said(Some(60), Some(&booking), MONDAY), Err(BEGUN));
    assert_eq!(said(None, Some(&booking), booking.range.end), Ok(EventKind::BookingCompleted));
    for (changed, why) in [(Some(&cancelled), "cancelled"), (Some(&moved), "moved"), (None, "gone")] {
        for minutes in [Some(60), None] {
            let reason = said(minutes, changed, before).expect_err("of no use");
            assert!(reason.ends_with(why), "{reason}");
        }
    }
    let mail = |event| MailWork { event, reader: MailReader::Attendee, booking: booking.clone(), at: before };
    let reminder = mail(MailEvent::Reminder { minutes_before: 60 });
    assert_eq!(is_of_use(&reminder, Some(booking.clone()), before), Ok(()));
    assert_eq!(is_of_use(&reminder, Some(booking.clone()), MONDAY), Err(BEGUN));
    assert!(is_of_use(&reminder, Some(cancelled.clone()), before).is_err());
    assert_eq!(is_of_use(&mail(MailEvent::Confirmation), Some(cancelled), MONDAY), Ok(()));
}

/// Whatever the wall clock does in between, an hour before is sixty minutes before; and the wall clock it then shows is
/// told apart from the ones beside it.
#[test]
fn reminders_keep_their_distance_over_clock_changes() {
    let check = |zone: Tz, start: &str, minutes: u32, expected: &str| {
        let start: chrono::DateTime<chrono::FixedOffset> = start.parse().expect("an instant");
        let start = Timestamp::from(start.with_timezone(&chrono::Utc));
        let at = reminder_at(range(start), minutes);
        assert_eq!(start.micros_since(at), i64::from(minutes) * MINUTE_US);
        assert_eq!(at.to_utc().with_timezone(&zone).to_rfc3339(), expected);
    };
    check(Tz::Europe__Berlin, "2027-03-28T09:00:00+02:00", 1_440, "2027-03-27T08:00:00+01:00");
    check(Tz::Europe__Berlin, "2027-03-28T03:30:00+02:00", 60, "2027-03-28T01:30:00+01:00");
    check(Tz::Europe__Berlin, "2027-10-31T02:30:00+01:00", 60, "2027-10-31T02:30:00+02:00");
    check(Tz::America__New_York, "2027-11-07T09:00:00-05:00", 1_440, "2027-11-06T10:00:00-04:00");
    check(Tz::Australia__Lord_Howe, "2027-10-03T03:00:00+11:00", 60, "2027-10-03T01:30:00+10:30");
}
