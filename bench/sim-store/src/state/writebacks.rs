//! The outbox of writebacks.

use std::collections::BTreeMap;

use agentcal_engine::commit::Effect;
use agentcal_engine::ids::{BookingId, CalendarId};
use agentcal_engine::model::{ConferenceState, ExternalState, WritebackState};
use agentcal_engine::ports::{ConferenceSettled, DueCalendar, ExternalObservation, WritebackJob, WritebackResult};
use agentcal_engine::shard::{Epoch, NodeId};
use agentcal_engine::time::Timestamp;

use super::{AccountRows, Done, State, Work, WritebackRow, bookings};

fn job(
    rows: &AccountRows,
    (booking_id, calendar_id): (BookingId, CalendarId),
    row: &WritebackRow,
) -> Option<WritebackJob> {
    Some(WritebackJob {
        booking: bookings::load(rows, booking_id)?,
        calendar_id,
        version: row.version,
        attempts: row.attempts,
        due_at: row.due_at,
        written: row.written.as_ref().map(|(event, _)| event.clone()),
        written_range: row.written.as_ref().map(|(_, range)| *range),
    })
}

fn jobs_in(rows: &AccountRows, calendar_id: CalendarId, state: WritebackState) -> Vec<WritebackJob> {
    let own = rows.writebacks.iter().filter(|((_, calendar), row)| *calendar == calendar_id && row.state == state);
    own.filter_map(|(&key, row)| job(rows, key, row)).collect()
}

/// Pending jobs of a calendar, oldest due first.
pub(crate) fn pending(rows: &AccountRows, calendar_id: CalendarId, limit: u32) -> Vec<WritebackJob> {
    let mut jobs = jobs_in(rows, calendar_id, WritebackState::Pending);
    jobs.sort_by_key(|job| (job.due_at, job.booking.id));
    jobs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    jobs
}

/// Written jobs of a calendar whose booking has not ended before an instant.
pub(crate) fn written(rows: &AccountRows, calendar_id: CalendarId, ended_before: Timestamp) -> Vec<WritebackJob> {
    let mut jobs = jobs_in(rows, calendar_id, WritebackState::Written);
    jobs.retain(|job| job.booking.range.end >= ended_before);
    jobs.sort_by_key(|job| (job.booking.range.end, job.booking.id));
    jobs
}

/// Calendars with a pending job that is due, most overdue first.
pub(crate) fn due_calendars(state: &State, owner: Option<NodeId>, now: Timestamp, limit: u32) -> Vec<DueCalendar> {
    let mut first_due: BTreeMap<DueCalendar, Timestamp> = BTreeMap::new();
    for (account_id, rows) in state.rows_of(owner) {
        for (&(_, calendar_id), row) in rows.writebacks.iter() {
            if row.state == WritebackState::Pending && row.due_at <= now {
                let first = first_due.entry(DueCalendar { account_id, calendar_id }).or_insert(row.due_at);
                *first = row.due_at.min(*first);
            }
        }
    }
    most_overdue(first_due.into_iter().map(|(calendar, due_at)| (due_at, calendar)).collect(), limit)
}

/// The calendars that have been due the longest.
pub(crate) fn most_overdue(mut due: Vec<(Timestamp, DueCalendar)>, limit: u32) -> Vec<DueCalendar> {
    due.sort_unstable();
    due.into_iter().map(|(_, calendar)| calendar).take(usize::try_from(limit).unwrap_or(usize::MAX)).collect()
}

/// Performs an effect inside a commit: the booking's row for this calendar becomes pending, now, with a raised version.
/// A calendar that is gone can be written no more, which must not keep anybody from cancelling: its row says so.
pub(crate) fn apply(rows: &mut AccountRows, effect: &Effect, now: Timestamp) -> bool {
    let &Effect::Writeback { booking_id, calendar_id } = effect;
    if !rows.bookings.contains(&booking_id) {
        return false;
    }
    let (state, last_error) = if rows.calendars.contains(&calendar_id) {
        (WritebackState::Pending, None)
    } else {
        (WritebackState::Failed, Some("the calendar is no longer connected".to_owned()))
    };
    let key = (booking_id, calendar_id);
    let (version, written, external_state) = match rows.writebacks.get(&key) {
        Some(row) => (row.version + 1, row.written.clone(), row.external_state),
        None => (1, None, ExternalState::InSync),
    };
    let row = WritebackRow { version, state, attempts: 0, due_at: now, last_error, written, external_state };
    rows.writebacks.insert(key, row);
    true
}

/// Keeps a result. One of an older version never ends the job: the booking changed while it was tried, so all that is kept
/// is where the event now stands.
pub(crate) fn record(work: &mut Work<'_>, result: &WritebackResult, epoch: Epoch) -> Done<Option<u64>> {
    if work.state().globals.epoch_of(result.account_id) != epoch {
        return Done::Undo(None);
    }
    let Some(rows) = work.account_mut(result.account_id) else { return Done::Undo(None) };
    let Some(row) = rows.writebacks.get_mut(&(result.booking_id, result.calendar_id)) else {
        return Done::Undo(None);
    };
    let echo = |row: &WritebackRow| match (row.state, &row.written) {
        (WritebackState::Pending, Some((_, range))) => Some(*range),
        _ => None,
    };
    let (before, is_current) = (echo(row), row.version == result.version);
    let is_late_success = result.state == WritebackState::Written && row.state == WritebackState::Pending;
    let counts = is_current && (row.state == WritebackState::Pending || result.state == WritebackState::Written);
    if counts {
        (row.state, row.attempts, row.due_at) = (result.state, result.attempts, result.due_at);
        row.last_error.clone_from(&result.last_error);
        row.external_state = result.external_state.unwrap_or(row.external_state);
    }
    if counts || is_late_success {
        row.written.clone_from(&result.written);
    }
    let changes_facts = echo(row) != before;
    if let Some(settled) = &result.conference {
        settle_conference(rows, result.booking_id, settled);
    }
    Done::Keep(if changes_facts { rows.raise_calendar(result.calendar_id) } else { None })
}

/// Keeps how a booking's conference came out.
fn settle_conference(rows: &mut AccountRows, booking_id: BookingId, settled: &ConferenceSettled) {
    let conference = rows.bookings.get_mut(&booking_id).and_then(|booking| booking.conference.as_mut());
    if let Some(conference) = conference {
        (conference.state, conference.join_url) = match settled {
            ConferenceSettled::Ready(join_url) => (ConferenceState::Ready, Some(join_url.clone())),
            ConferenceSettled::Failed => (ConferenceState::Failed, None),
        };
    }
}

/// Keeps what sync saw of bookings' events, but of those that wait to be written.
pub(crate) fn observe(rows: &mut AccountRows, calendar_id: CalendarId, observations: &[ExternalObservation]) {
    for observation in observations {
        let row = rows.writebacks.get_mut(&(observation.booking_id, calendar_id));
        if let Some(row) = row.filter(|row| row.state != WritebackState::Pending) {
            row.external_state = observation.state;
        }
    }
}
