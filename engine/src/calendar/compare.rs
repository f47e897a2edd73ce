//! How our events stand at the provider, after a sync.
//!
//! Rests on this: no write to the calendar ran while the sync did, so every event written is one the sync could have seen,
//! and one that is not there was deleted by somebody.

use std::collections::BTreeMap;

use crate::facts::{CalendarFacts, ExternalInstance, Knowledge};
use crate::ids::BookingId;
use crate::model::{BookingStatus, ExternalState, WritebackState};
use crate::ports::{ExternalObservation, WritebackJob};
use crate::time::TimeRange;

/// How each written booking's event compares, where that differs from what was observed before. `own` are the instances of
/// our events in this calendar, `facts` the calendar's facts, both as of the sync that just ended.
pub fn observations(
    written: &[WritebackJob],
    own: &[ExternalInstance],
    facts: &CalendarFacts,
) -> Vec<ExternalObservation> {
    let mut seen: BTreeMap<BookingId, Vec<TimeRange>> = BTreeMap::new();
    for instance in own {
        if let Some(booking_id) = instance.booking_id {
            seen.entry(booking_id).or_default().push(instance.range);
        }
    }
    written
        .iter()
        .filter_map(|job| {
            let ranges = seen.get(&job.booking.id).map_or(&[][..], Vec::as_slice);
            let state = compare(job, ranges, facts)?;
            let changed = known_state(job) != Some(state);
            changed.then_some(ExternalObservation { booking_id: job.booking.id, state })
        })
        .collect()
}

fn known_state(job: &WritebackJob) -> Option<ExternalState> {
    job.booking.hosts.iter().find(|host| host.calendar_id == Some(job.calendar_id)).and_then(|host| host.external_state)
}

/// `None` where nothing can be said: not written, cancelled, or outside what was synced.
fn compare(job: &WritebackJob, seen: &[TimeRange], facts: &CalendarFacts) -> Option<ExternalState> {
    let Knowledge::Synced { window, .. } = facts.knowledge else { return None };
    let range = job.booking.range;
    let is_shown = job.written.is_some() && is_written(job) && job.booking.status == BookingStatus::Confirmed;
    if !is_shown || !window.covers(&range) {
        return None;
    }
    Some(match seen {
        [] => ExternalState::Deleted,
        ranges if !ranges.contains(&range) => ExternalState::Moved,
        _ if is_overlapped(&facts.external, range) => ExternalState::Conflict,
        _ => ExternalState::InSync,
    })
}

fn is_written(job: &WritebackJob) -> bool {
    let host = job.booking.hosts.iter().find(|host| host.calendar_id == Some(job.calendar_id));
    let writeback = host.and_then(|host| host.writeback.as_ref());
    writeback.is_none_or(|writeback| writeback.state == WritebackState::Written)
}

/// Whether any of the disjoint, ascending ranges overlaps the given one.
fn is_overlapped(external: &[TimeRange], range: TimeRange) -> bool {
    let first = external.partition_point(|busy| busy.end <= range.start);
    external.get(first).is_some_and(|busy| busy.overlaps(&range))
}

#[cfg(test)]
mod tests;
