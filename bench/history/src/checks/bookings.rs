//! Whether acknowledged bookings are there, where some order of the answers puts them.

use std::collections::BTreeMap;

use agentcal_engine::ids::{BookingId, UserId};
use agentcal_engine::model::{Booking, BookingStatus};
use agentcal_engine::time::TimeRange;

use crate::ledger::{BookingLife, Ledger, Span};
use crate::report::Report;
use crate::{Event, Final, Operation, Outcome, Violation};

pub(crate) fn check(events: &[Event], ledger: &Ledger, finale: &Final, report: &mut Report) {
    count(events, finale, report);
    let stored: BTreeMap<BookingId, &Booking> = finale.bookings.iter().map(|booking| (booking.id, booking)).collect();
    for (&booking_id, life) in &ledger.bookings {
        moves_after_cancel(events, booking_id, life, report);
        reads_are_of_their_time(events, booking_id, life, report);
        match stored.get(&booking_id) {
            Some(booking) if !explains(life, booking) => report.violations.push(altered(booking)),
            Some(_) => {}
            None if finale.is_whole => lost(booking_id, life, report),
            None => {}
        }
    }
}

fn count(events: &[Event], finale: &Final, report: &mut Report) {
    let counts = &mut report.counts;
    counts.bookings = finale.bookings.len();
    for event in events {
        let is_acknowledged = event.acknowledged_at().is_some();
        match &event.operation {
            Operation::Ask { .. } | Operation::Read { .. } | Operation::Rehearse { .. } => {}
            _ if event.is_in_doubt() => counts.in_doubt += 1,
            Operation::Book { hold_id, .. } if is_acknowledged => {
                counts.bookings_acknowledged += 1;
                counts.holds_confirmed += usize::from(hold_id.is_some());
            }
            Operation::Move { .. } if is_acknowledged => counts.moves_acknowledged += 1,
            Operation::Cancel { .. } if is_acknowledged => counts.cancels_acknowledged += 1,
            Operation::Hold { .. } if is_acknowledged => counts.holds_acknowledged += 1,
            _ => {}
        }
    }
}

fn lost(booking_id: BookingId, life: &BookingLife, report: &mut Report) {
    let acknowledged = life.places.iter().map(|(span, _)| span).chain(&life.cancels);
    if let Some(span) = acknowledged.filter(|span| span.acknowledged_at.is_some()).min_by_key(|span| span.event) {
        report.violations.push(Violation::BookingLost { event: span.event, booking_id });
    }
}

fn altered(booking: &Booking) -> Violation {
    let user_ids = hosts(booking);
    Violation::BookingAltered { booking_id: booking.id, range: booking.range, user_ids, status: booking.status }
}

fn hosts(booking: &Booking) -> Vec<UserId> {
    booking.hosts.iter().map(|host| host.user_id).collect()
}

fn explains(life: &BookingLife, booking: &Booking) -> bool {
    let hosts_fit = life.user_ids.is_empty() || life.user_ids == hosts(booking);
    let place_fits = life.user_ids.is_empty() || final_places(life).contains(&booking.range);
    let is_cancelled = booking.status == BookingStatus::Cancelled;
    let must_be_cancelled = life.cancels.iter().any(|cancel| cancel.acknowledged_at.is_some());
    let may_be_cancelled = !life.cancels.is_empty();
    hosts_fit && place_fits && (is_cancelled || !must_be_cancelled) && (!is_cancelled || may_be_cancelled)
}

/// Places that can be the last: no acknowledged move began after them.
fn final_places(life: &BookingLife) -> Vec<TimeRange> {
    let is_over =
        |span: &Span| life.places.iter().any(|(other, _)| other.acknowledged_at.is_some() && span.is_before(other));
    life.places.iter().filter(|(span, _)| !is_over(span)).map(|&(_, range)| range).collect()
}

fn moves_after_cancel(events: &[Event], booking_id: BookingId, life: &BookingLife, report: &mut Report) {
    let is_done = |span: &Span| span.acknowledged_at.is_some() && !events[span.event].is_replay();
    let is_move = |span: &Span| matches!(events[span.event].operation, Operation::Move { .. });
    for (span, _) in life.places.iter().filter(|(span, _)| is_done(span) && is_move(span)) {
        if life.cancels.iter().any(|cancel| cancel.is_before(span)) {
            report.violations.push(Violation::MovedAfterCancel { event: span.event, booking_id });
        }
    }
}

fn reads_are_of_their_time(events: &[Event], booking_id: BookingId, life: &BookingLife, report: &mut Report) {
    for &index in &life.reads {
        report.counts.reads += 1;
        let Some((at, Outcome::Booking(seen))) = events[index].said() else { continue };
        let read = Span { event: index, invoked_at: events[index].invoked_at, acknowledged_at: Some(at) };
        let began = |span: &Span| span.invoked_at <= at;
        let is_over =
            |span: &Span| life.places.iter().any(|(other, _)| span.is_before(other) && other.is_before(&read));
        let place_fits = life.user_ids.is_empty()
            || life.places.iter().any(|(span, range)| *range == seen.range && began(span) && !is_over(span));
        let is_cancelled = seen.status == BookingStatus::Cancelled;
        let status_fits = if is_cancelled {
            life.cancels.iter().any(began)
        } else {
            !life.cancels.iter().any(|cancel| cancel.is_before(&read))
        };
        if !place_fits || !status_fits {
            report.violations.push(Violation::ReadOutdated { event: index, booking_id });
        }
    }
}
