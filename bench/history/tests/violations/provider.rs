//! Calendars at the providers show each booking once, where it is.

use agentcal_engine::time::TimeRange;
use agentcal_history::{EventAtProvider, Final, ProviderFinal};

use crate::sketch::*;

fn shown(finale: Final, hours: &[TimeRange]) -> Final {
    let events =
        hours.iter().map(|&range| EventAtProvider { calendar_id: calendar_id(1), booking_id: booking_id(1), range });
    Final { provider: Some(ProviderFinal { events: events.collect(), touched: Vec::new() }), ..finale }
}

#[test]
fn each_booking_is_shown_once() {
    let booked = [book(0, 1, 1, 1, 9)];
    let finale = || nothing().booking(1, 1, 9);
    is_sound("once", &booked, &shown(finale(), &[hour(9)]));
    is_wrong("never", &booked, &shown(finale(), &[]), &["shown_wrongly"]);
    is_wrong("twice", &booked, &shown(finale(), &[hour(9), hour(9)]), &["shown_wrongly"]);
    is_wrong("elsewhere", &booked, &shown(finale(), &[hour(10)]), &["shown_wrongly"]);
    is_wrong("unknown", &[], &shown(nothing(), &[hour(9)]), &["shown_wrongly"]);
}

#[test]
fn a_cancelled_booking_is_shown_nowhere() {
    let cancelled = [book(0, 1, 1, 1, 9), cancel(2, 3, 1, 1, 9)];
    is_wrong("still", &cancelled, &shown(nothing().cancelled(1, 1, 9), &[hour(9)]), &["shown_wrongly"]);
    is_sound("gone", &cancelled, &shown(nothing().cancelled(1, 1, 9), &[]));
}

#[test]
fn what_people_touched_may_stand_anywhere() {
    let mut finale = shown(nothing().booking(1, 1, 9), &[hour(10)]);
    finale.provider.as_mut().unwrap().touched.push(booking_id(1));
    is_sound("moved by its owner", &[book(0, 1, 1, 1, 9)], &finale);
}
