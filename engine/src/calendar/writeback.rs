//! Writing bookings to calendars: what to write, and what a try means for the next one.
//!
//! Writing twice writes one event, since the provider derives its name from the booking. So a try whose outcome nobody
//! saw is simply made again.

use std::time::Duration;

use chrono_tz::Tz;

use crate::model::{BookingStatus, Conference, ConferenceState, ExternalState, WritebackState};
use crate::ports::{
    ConferenceSeen, ConferenceSettled, Entropy, EventDelete, EventWrite, ProviderError, WriteOutcome, WritebackJob,
    WritebackResult, WrittenEvent,
};
use crate::time::{TimeRange, Timestamp};

use super::backoff::{backoff, shorten};

/// Tries until a writeback is given up; with the waits between them, most of a day.
pub const WRITEBACK_ATTEMPTS_MAX: u32 = 20;
/// Tries until a writeback the provider refuses for what it is, is given up.
pub const REFUSALS_MAX: u32 = 3;
/// Looks at a conference until it is given up; with the waits between them, about half an hour.
pub const CONFERENCE_LOOKS_MAX: u32 = 10;
/// Most writebacks of one calendar in one turn of its lane. Each turn reads what is due, and a sync may follow it, so the more
/// the better where the provider is quick.
pub const WRITEBACKS_PER_TURN_MAX: u32 = 32;
/// How long a turn goes on to begin writebacks: a sync may wait for its end, and facts grow old meanwhile.
pub const WRITEBACK_TURN_MAX: Duration = Duration::from_secs(1);

const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_LONGEST: Duration = Duration::from_secs(2 * 60 * 60);
const RETRY_REAUTHORIZATION: Duration = Duration::from_secs(10 * 60);
const DESCRIPTION_CHARS_MAX: usize = 1_000;

/// What a job asks of the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writing {
    /// Show the booking.
    Write(Box<EventWrite>),
    /// Take it out.
    Delete(EventDelete),
}

/// What a try came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// The provider answered a write.
    Wrote(Result<WriteOutcome, ProviderError>),
    /// The provider answered a delete.
    Deleted(Result<(), ProviderError>),
}

/// What to ask of the provider for a job, in a calendar of this zone.
pub fn writing_of(job: &WritebackJob, calendar_timezone: Tz) -> Writing {
    let booking = &job.booking;
    if booking.status == BookingStatus::Cancelled {
        return Writing::Delete(EventDelete { booking_id: booking.id, known: job.written.clone() });
    }
    Writing::Write(Box::new(EventWrite {
        booking_id: booking.id,
        sequence: booking.sequence,
        range: booking.range,
        timezone: calendar_timezone,
        summary: format!("{}: {}", booking.title, booking.attendee.name),
        description: description_of(job),
        location: booking.location.clone(),
        conference: conference_of(job).map(|conference| conference.kind),
        created_at: booking.created_at,
        known: job.written.clone(),
    }))
}

/// The conference that hangs on the event of this job.
fn conference_of(job: &WritebackJob) -> Option<&Conference> {
    let conference = job.booking.conference.as_ref();
    conference.filter(|conference| {
        conference.calendar_id == Some(job.calendar_id) && conference.state != ConferenceState::Failed
    })
}

/// Whether it must be looked how the conference stands, once a job is written: it is not known yet, or the event is another
/// one than before.
pub fn wants_conference(job: &WritebackJob, written: &WrittenEvent) -> bool {
    let is_same = job.written.as_ref().is_some_and(|known| known.provider_event_id == written.provider_event_id);
    conference_of(job).is_some_and(|conference| conference.state == ConferenceState::Pending || !is_same)
}

/// A result of a write, with how the conference stands. One that is not made yet keeps the job open, since writing again
/// changes nothing and the next look finds it; but not for ever.
pub fn with_conference(
    result: WritebackResult,
    seen: Result<ConferenceSeen, ProviderError>,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> WritebackResult {
    let settled = |conference| WritebackResult { conference: Some(conference), ..result.clone() };
    let open = match seen {
        Ok(ConferenceSeen::Ready { join_url }) => return settled(ConferenceSettled::Ready(join_url)),
        Ok(ConferenceSeen::Failed(_)) => return settled(ConferenceSettled::Failed),
        Ok(ConferenceSeen::Pending) => "the conference is not made yet".to_owned(),
        Err(error) => format!("the conference could not be looked at: {error}"),
    };
    if result.attempts >= CONFERENCE_LOOKS_MAX {
        return settled(ConferenceSettled::Failed);
    }
    let due_at = now + backoff(RETRY_FIRST, RETRY_LONGEST, result.attempts, entropy);
    WritebackResult { state: WritebackState::Pending, due_at, last_error: Some(open), ..result }
}

fn description_of(job: &WritebackJob) -> Option<String> {
    let attendee = &job.booking.attendee;
    let lines: Vec<&str> = [attendee.email.as_deref(), attendee.phone.as_deref()].into_iter().flatten().collect();
    (!lines.is_empty()).then(|| lines.join("\n").chars().take(DESCRIPTION_CHARS_MAX).collect())
}

/// What to keep of a try.
pub fn result_of(job: &WritebackJob, tried: Tried, now: Timestamp, entropy: &dyn Entropy) -> WritebackResult {
    let attempts = job.attempts.saturating_add(1);
    let kept = job.written.clone().zip(job.written_range);
    match tried {
        Tried::Wrote(Ok(WriteOutcome::Written(event))) => Ending {
            written: Some((event, job.booking.range)),
            external_state: Some(ExternalState::InSync),
            ..Ending::of(WritebackState::Written)
        }
        .result(job, attempts, now),
        Tried::Wrote(Ok(WriteOutcome::DeletedByHuman)) => Ending {
            last_error: Some("somebody deleted the event at the provider".into()),
            external_state: Some(ExternalState::Deleted),
            ..Ending::of(WritebackState::Failed)
        }
        .result(job, attempts, now),
        Tried::Deleted(Ok(())) => Ending::of(WritebackState::Written).result(job, attempts, now),
        Tried::Wrote(Err(error)) | Tried::Deleted(Err(error)) => {
            let retry = retry_wait(&error, attempts, entropy);
            let state = if retry.is_some() { WritebackState::Pending } else { WritebackState::Failed };
            Ending { last_error: Some(error.to_string()), written: kept, ..Ending::of(state) }.result(
                job,
                attempts,
                now + retry.unwrap_or_default(),
            )
        }
    }
}

struct Ending {
    state: WritebackState,
    last_error: Option<String>,
    written: Option<(WrittenEvent, TimeRange)>,
    external_state: Option<ExternalState>,
}

impl Ending {
    fn of(state: WritebackState) -> Self {
        Self { state, last_error: None, written: None, external_state: None }
    }

    fn result(self, job: &WritebackJob, attempts: u32, due_at: Timestamp) -> WritebackResult {
        WritebackResult {
            account_id: job.booking.account_id,
            booking_id: job.booking.id,
            calendar_id: job.calendar_id,
            version: job.version,
            state: self.state,
            attempts,
            due_at,
            last_error: self.last_error,
            written: self.written,
            external_state: self.external_state,
            conference: None,
        }
    }
}

/// How long to wait for the next try; `None` to give up.
fn retry_wait(error: &ProviderError, attempts: u32, entropy: &dyn Entropy) -> Option<Duration> {
    let attempts_max = match error {
        ProviderError::CalendarGone | ProviderError::AddressNotAllowed(_) => return None,
        ProviderError::Refused(_) => REFUSALS_MAX,
        _ => WRITEBACK_ATTEMPTS_MAX,
    };
    if attempts >= attempts_max {
        return None;
    }
    let wait = backoff(RETRY_FIRST, RETRY_LONGEST, attempts, entropy);
    Some(match error {
        ProviderError::RateLimited { retry_after: Some(asked), .. } => wait.max((*asked).min(RETRY_LONGEST)),
        ProviderError::Unauthorized(_) => wait.max(shorten(RETRY_REAUTHORIZATION, entropy)),
        _ => wait,
    })
}

#[cfg(test)]
mod tests;
