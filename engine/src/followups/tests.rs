use chrono_tz::Tz;
use uuid::Uuid;

use super::*;
use crate::calendar::fixtures::booking;
use crate::ids::EventId;
use crate::model::{Conference, ConferenceKind, JobKind};
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
    let goes = MailTurn::Goes(Box::new(booking.clone()));
    assert_eq!(mail_turn(&reminder, Some(booking.clone()), before), goes);
    assert_eq!(mail_turn(&reminder, Some(booking.clone()), MONDAY), MailTurn::Ends(BEGUN));
    assert!(matches!(mail_turn(&reminder, Some(cancelled.clone()), before), MailTurn::Ends(_)));
    assert_eq!(mail_turn(&mail(MailEvent::Confirmation), Some(cancelled), MONDAY), goes);
}

#[test]
fn a_mail_waits_a_while_for_its_link() {
    use ConferenceState::{Failed, Pending, Ready};
    let with = |state: ConferenceState| {
        let join_url = (state == Ready).then(|| "https://meet.example.com/1".to_owned());
        let conference = Conference { kind: ConferenceKind::GoogleMeet, calendar_id: None, state, join_url };
        Booking { conference: Some(conference), ..made(MONDAY.plus_micros(DAY_US)) }
    };
    let mail = |event, state| MailWork { event, reader: MailReader::Attendee, booking: with(state), at: MONDAY };
    let confirmation = mail(MailEvent::Confirmation, Pending);
    let waits = |seconds| MailTurn::Waits(Duration::from_secs(seconds));
    let goes = |state| MailTurn::Goes(Box::new(with(state)));
    for (after, state, expected) in [
        (0, Pending, waits(1)),
        (1, Pending, waits(1)),
        (5, Pending, waits(5)),
        (40, Pending, waits(20)),
        (60, Pending, goes(Pending)),
        (1, Ready, goes(Ready)),
        (1, Failed, goes(Failed)),
    ] {
        let now = MONDAY + Duration::from_secs(after);
        assert_eq!(mail_turn(&confirmation, Some(with(state)), now), expected, "{state:?} after {after} s");
    }
    for (event, state) in [(MailEvent::Cancellation, Pending), (MailEvent::Confirmation, Ready)] {
        assert_eq!(mail_turn(&mail(event, state), Some(with(Pending)), MONDAY), goes(state), "{event:?}");
    }
    // What came after was told before the link was there.
    let cancelled = Booking { status: BookingStatus::Cancelled, ..with(Ready) };
    let moved = Booking { sequence: 1, ..with(Ready) };
    for changed in [Some(cancelled), Some(moved), None] {
        assert!(matches!(mail_turn(&confirmation, changed, MONDAY), MailTurn::Ends(_)));
    }
    let event = event(EventKind::BookingCreated, &with(Pending));
    let terms = terms(&[], true, true);
    let jobs = followers(Happened { event: &event, at: MONDAY, terms: &terms, mails: true });
    let mails = jobs.iter().filter(|job| job.work.kind() == JobKind::Mail);
    let due: Vec<_> = mails.map(|job| job.due_at.saturating_since(MONDAY)).collect();
    assert_eq!(due, [LINK_LOOK_MIN; 2], "nobody looks before it can be there");
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
