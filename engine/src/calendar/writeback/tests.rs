use super::*;
use crate::calendar::fixtures::{Zero, at, booking, calendar, hours, job};
use crate::limits::LimitKind;
use crate::model::ConferenceKind;

fn event() -> WrittenEvent {
    WrittenEvent { provider_event_id: "event".into(), etag: Some("2".into()) }
}

#[test]
fn a_try_decides_about_the_next() {
    let check = |attempts: u32, tried: Tried, state: WritebackState, wait_seconds: i64| {
        let label = format!("{attempts} {tried:?}");
        let mut job = job(booking(1, hours(1, 2)));
        job.attempts = attempts;
        let result = result_of(&job, tried, at(0), &Zero);
        assert_eq!((result.state, result.due_at), (state, at(wait_seconds)), "{label}");
        assert_eq!((result.attempts, result.version), (attempts + 1, 3), "{label}");
    };
    let down = || Tried::Wrote(Err(ProviderError::Unavailable("time-out".into())));
    check(0, Tried::Wrote(Ok(WriteOutcome::Written(event()))), WritebackState::Written, 0);
    check(0, Tried::Deleted(Ok(())), WritebackState::Written, 0);
    check(0, Tried::Wrote(Ok(WriteOutcome::DeletedByHuman)), WritebackState::Failed, 0);
    check(0, down(), WritebackState::Pending, 2);
    check(1, down(), WritebackState::Pending, 4);
    check(15, down(), WritebackState::Pending, 7_200);
    check(18, down(), WritebackState::Pending, 7_200);
    check(19, down(), WritebackState::Failed, 0);
    check(0, Tried::Deleted(Err(ProviderError::Unauthorized("401".into()))), WritebackState::Pending, 600);
    let limited = ProviderError::RateLimited { retry_after: Some(Duration::from_secs(90)), of: LimitKind::Mailbox };
    check(0, Tried::Wrote(Err(limited)), WritebackState::Pending, 90);
    check(1, Tried::Wrote(Err(ProviderError::Refused("403".into()))), WritebackState::Pending, 4);
    check(2, Tried::Wrote(Err(ProviderError::Refused("403".into()))), WritebackState::Failed, 0);
    check(0, Tried::Wrote(Err(ProviderError::CalendarGone)), WritebackState::Failed, 0);
}

#[test]
fn what_was_not_tried_since_it_changed_is_due_whatever_the_clock_says() {
    for (attempts, now, is_due) in [(0, -1, true), (0, 0, true), (1, -1, false), (1, 0, true)] {
        let job = WritebackJob { attempts, ..job(booking(1, hours(1, 2))) };
        assert_eq!(job.is_due(at(now)), is_due, "{attempts} tries, looked at {now} s after it is due");
    }
}

#[test]
fn all_tries_together_take_most_of_a_day() {
    let waits = (1..WRITEBACK_ATTEMPTS_MAX)
        .map(|attempts| retry_wait(&ProviderError::Unavailable(String::new()), attempts, &Zero))
        .map(|wait| wait.expect("not given up yet").as_secs());
    let hours = waits.sum::<u64>() / 3_600;
    assert!((12..=24).contains(&hours), "{hours} hours");
}

#[test]
fn a_failed_try_keeps_where_the_event_stands() {
    let job = job(booking(1, hours(1, 2)));
    let result = result_of(&job, Tried::Wrote(Err(ProviderError::CalendarGone)), at(0), &Zero);
    assert_eq!(result.written, job.written.clone().zip(job.written_range));
    assert_eq!(result.external_state, None);
    let deleted = result_of(&job, Tried::Wrote(Ok(WriteOutcome::DeletedByHuman)), at(0), &Zero);
    assert_eq!((deleted.written, deleted.external_state), (None, Some(ExternalState::Deleted)));
}

#[test]
fn a_cancelled_booking_is_taken_out_and_any_other_shown() {
    let mut job = job(booking(1, hours(1, 2)));
    let Writing::Write(write) = writing_of(&job, Tz::Europe__Berlin) else { panic!("a confirmed booking is written") };
    assert_eq!((write.summary.as_str(), write.timezone), ("Intro call: Ada", Tz::Europe__Berlin));
    assert_eq!(write.description.as_deref(), Some("ada@example.com"));
    job.booking.status = BookingStatus::Cancelled;
    assert!(matches!(writing_of(&job, Tz::UTC), Writing::Delete(delete) if delete.known == job.written));
}

/// A job of a booking whose conference hangs on its event.
fn with_wish(state: ConferenceState) -> WritebackJob {
    let mut job = job(booking(1, hours(1, 2)));
    let (kind, calendar_id) = (ConferenceKind::GoogleMeet, Some(job.calendar_id));
    job.booking.conference = Some(Conference { kind, calendar_id, state, join_url: None });
    job
}

fn asked_for(job: &WritebackJob) -> Option<ConferenceKind> {
    match writing_of(job, Tz::UTC) {
        Writing::Write(write) => write.conference,
        Writing::Delete(_) => None,
    }
}

#[test]
fn a_conference_is_asked_for_in_the_calendar_it_hangs_on() {
    let meet = Some(ConferenceKind::GoogleMeet);
    assert_eq!(asked_for(&with_wish(ConferenceState::Pending)), meet);
    assert_eq!(asked_for(&with_wish(ConferenceState::Ready)), meet, "an event that is made anew needs one as well");
    assert_eq!(asked_for(&with_wish(ConferenceState::Failed)), None);
    assert_eq!(asked_for(&job(booking(1, hours(1, 2)))), None);
    let elsewhere = WritebackJob { calendar_id: calendar(3), ..with_wish(ConferenceState::Pending) };
    assert_eq!(asked_for(&elsewhere), None, "one host's calendar makes it for all");
}

#[test]
fn a_conference_is_looked_at_until_it_is_known_and_when_the_event_is_another() {
    let another = WrittenEvent { provider_event_id: "another".into(), etag: None };
    let check = |state, event: &WrittenEvent, expected| {
        assert_eq!(wants_conference(&with_wish(state), event), expected, "{state:?} {event:?}");
    };
    check(ConferenceState::Pending, &event(), true);
    check(ConferenceState::Ready, &event(), false);
    check(ConferenceState::Ready, &another, true);
    check(ConferenceState::Failed, &another, false);
    assert!(!wants_conference(&job(booking(1, hours(1, 2))), &event()));
}

#[test]
fn what_is_seen_of_a_conference_settles_it_or_keeps_the_job_open() {
    let join_url = || "https://meet.google.com/abc".to_owned();
    let check = |attempts, seen: Result<ConferenceSeen, ProviderError>, state, wait_seconds, settled| {
        let label = format!("{attempts} {seen:?}");
        let job = WritebackJob { attempts, ..with_wish(ConferenceState::Pending) };
        let written = result_of(&job, Tried::Wrote(Ok(WriteOutcome::Written(event()))), at(0), &Zero);
        let result = with_conference(written.clone(), seen, at(0), &Zero);
        assert_eq!((result.state, result.due_at, &result.conference), (state, at(wait_seconds), &settled), "{label}");
        assert_eq!((&result.written, result.attempts), (&written.written, written.attempts), "{label}");
        assert_eq!(result.last_error.is_some(), state == WritebackState::Pending, "{label}");
    };
    let ready = || Ok(ConferenceSeen::Ready { join_url: join_url() });
    let (open, over) = (WritebackState::Pending, WritebackState::Written);
    let down = || Err(ProviderError::Unavailable("503".into()));
    check(0, ready(), over, 0, Some(ConferenceSettled::Ready(join_url())));
    check(0, Ok(ConferenceSeen::Failed("no".into())), over, 0, Some(ConferenceSettled::Failed));
    check(0, Ok(ConferenceSeen::Pending), open, 2, None);
    check(3, Ok(ConferenceSeen::Pending), open, 16, None);
    check(0, down(), open, 2, None);
    check(CONFERENCE_LOOKS_MAX - 1, Ok(ConferenceSeen::Pending), over, 0, Some(ConferenceSettled::Failed));
    check(CONFERENCE_LOOKS_MAX - 1, down(), over, 0, Some(ConferenceSettled::Failed));
}
