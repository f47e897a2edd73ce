//! Whether calendars show each booking once, where it is.

use std::collections::BTreeMap;

use agentcal_engine::ids::{BookingId, CalendarId};
use agentcal_engine::model::BookingStatus;
use agentcal_engine::time::TimeRange;

use crate::report::Report;
use crate::{Final, Violation};

pub(crate) fn check(finale: &Final, report: &mut Report) {
    let Some(provider) = &finale.provider else { return };
    let mut shown: BTreeMap<(BookingId, CalendarId), Vec<TimeRange>> = BTreeMap::new();
    for event in &provider.events {
        shown.entry((event.booking_id, event.calendar_id)).or_default().push(event.range);
    }
    let wanted = wanted(finale);
    report.counts.shown += wanted.len();
    let none: Vec<TimeRange> = Vec::new();
    let places = wanted.keys().chain(shown.keys().filter(|place| !wanted.contains_key(place)));
    for place in places.filter(|(booking_id, _)| !provider.touched.contains(booking_id)) {
        let (shown, wanted) = (shown.get(place).unwrap_or(&none), wanted.get(place).copied());
        if *shown != wanted.into_iter().collect::<Vec<_>>() {
            let (booking_id, calendar_id) = *place;
            report.violations.push(Violation::ShownWrongly { calendar_id, booking_id, shown: shown.clone(), wanted });
        }
    }
}

fn wanted(finale: &Final) -> BTreeMap<(BookingId, CalendarId), TimeRange> {
    let standing = finale.bookings.iter().filter(|booking| booking.status != BookingStatus::Cancelled);
    standing
        .flat_map(|booking| {
            let calendars = booking.hosts.iter().filter_map(|host| host.calendar_id);
            calendars.map(|calendar_id| ((booking.id, calendar_id), booking.range))
        })
        .collect()
}
