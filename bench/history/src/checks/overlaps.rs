//! Whether anybody's time was sold twice: in the store, and in what clients were told.

use std::collections::BTreeMap;

use agentcal_engine::ids::{BookingId, UserId};
use agentcal_engine::invariants::{self, no_double_booking};
use agentcal_engine::model::BookingStatus;
use agentcal_engine::time::TimeRange;

use crate::certain::{Certain, Taken};
use crate::report::Report;
use crate::{Final, Violation};

pub(crate) fn check(certain: &Certain, finale: &Final, report: &mut Report) {
    if let Err(invariants::Violation::DoubleBooking { user_id, first, second }) =
        no_double_booking(&finale.claims, finale.at)
    {
        report.violations.push(Violation::ClaimsOverlap { user_id, first, second });
    }
    stored_bookings(finale, report);
    for (user_id, taken) in certain.0.all() {
        told_to_two(user_id, taken, report);
    }
}

fn stored_bookings(finale: &Final, report: &mut Report) {
    let mut by_host: BTreeMap<UserId, Vec<(TimeRange, BookingId)>> = BTreeMap::new();
    for booking in finale.bookings.iter().filter(|booking| booking.status != BookingStatus::Cancelled) {
        for host in &booking.hosts {
            by_host.entry(host.user_id).or_default().push((booking.range, booking.id));
        }
    }
    for (user_id, mut bookings) in by_host {
        bookings.sort_unstable();
        for pair in bookings.windows(2).filter(|pair| pair[0].0.overlaps(&pair[1].0)) {
            report.violations.push(Violation::BookingsOverlap { user_id, first: pair[0].1, second: pair[1].1 });
        }
    }
}

/// Ascending by start, so that those that can overlap one stand behind it until one begins after its end.
fn told_to_two(user_id: UserId, taken: &[(TimeRange, Taken)], report: &mut Report) {
    for (index, (range, first)) in taken.iter().enumerate() {
        let near = taken[index + 1..].iter().take_while(|(other, _)| other.start < range.end);
        for (other, second) in near.filter(|(_, second)| second.owner != first.owner && first.coexists(second)) {
            if let Some(range) = range.intersection(other) {
                let (first, second) = (first.owner, second.owner);
                report.violations.push(Violation::SoldTwice { user_id, first, second, range });
            }
        }
    }
}
