use super::*;
use crate::calendar::fixtures::{Zero, at, booking, hours, job};
use crate::limits::LimitKind;

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
