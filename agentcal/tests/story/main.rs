//! The story this program is for, on real servers nobody here wrote: a connected calendar is kept current, availability
//! is answered from it, a booking is committed once, written back, and seen there by another client.

mod agenda;
mod api;
mod audit;
mod crash;
mod days;
mod other;
mod proxy;
mod walk;

use std::path::Path;

use agentcal_testkit::{Dev, Server, radicale, xandikos};

/// The program, as cargo built it for this test.
const BINARY: &str = env!("CARGO_BIN_EXE_agentcal");

fn dev() -> Dev {
    Dev::start(Path::new(BINARY))
}

fn on(server: Option<Server>, story: fn(&Server)) {
    if let Some(server) = server {
        story(&server);
    }
}

#[test]
fn from_a_connected_calendar_to_a_booked_slot_on_radicale() {
    on(radicale(), walk::story);
}

#[test]
fn from_a_connected_calendar_to_a_booked_slot_on_xandikos() {
    on(xandikos(), walk::story);
}

/// Lesson: a booking is confirmed, the program dies, and nobody ever writes the event.
#[test]
fn a_crash_before_the_writeback_loses_no_event_on_radicale() {
    on(radicale(), crash::before_the_writeback);
}

#[test]
fn a_crash_before_the_writeback_loses_no_event_on_xandikos() {
    on(xandikos(), crash::before_the_writeback);
}

/// Lesson: the event was written, the answer got lost, and the retry writes a second one.
#[test]
fn a_crash_after_an_unanswered_write_makes_no_second_event_on_radicale() {
    on(radicale(), crash::after_an_unanswered_write);
}

#[test]
fn a_crash_after_an_unanswered_write_makes_no_second_event_on_xandikos() {
    on(xandikos(), crash::after_an_unanswered_write);
}
