//! What an explanation rests on, in small worlds.

use agentcal_engine::decision::{Evidence, Host, Met, ObstacleKind, Question, Terms, explain};
use agentcal_engine::model::SchedulingMode;
use agentcal_engine::time::TimeRange;

use crate::people::{Person, at, booking, hold, on, span, terms};

fn evidence(terms: &Terms, hosts: &[Host], start: &str) -> Vec<Evidence> {
    let question = Question { terms, hosts, now: at("2026-06-01 00:00"), ignoring: None };
    let findings = explain(&question, at(start)).hosts.remove(0).findings;
    findings.into_iter().map(|finding| finding.evidence).collect()
}

fn met(terms: &Terms, host: Host, start: &str) -> Vec<Met> {
    let of_obstacles = |evidence| match evidence {
        Evidence::Obstacles(met) => Some(met),
        _ => None,
    };
    evidence(terms, &[host], start).into_iter().find_map(of_obstacles).expect("obstacles are always looked at")
}

#[test]
fn obstacles_are_named_by_kind_time_and_the_buffer_missed() {
    let mut terms = terms(30);
    (terms.buffer_before_minutes, terms.buffer_after_minutes) = (15, 20);
    let host = || {
        Person::new(0)
            .busy("2026-06-02 09:00", 60)
            .displaced(7, "2026-06-02 10:10", 10)
            .claim(booking(1, 0, "2026-06-02 10:30", 30).buffers(25, 0))
            .claim(hold(2, 0, "2026-06-02 11:00", 30, "2026-06-01 00:05"))
            .claim(hold(3, 0, "2026-06-02 11:30", 30, "2026-06-01 00:00"))
            .host()
    };
    let one = |kind, start, end, missed_buffer_minutes| Met { range: span(start, end), kind, missed_buffer_minutes };
    let event = one(ObstacleKind::External, "2026-06-02 09:00", "2026-06-02 10:00", Some(15));
    let displaced = one(ObstacleKind::Displaced, "2026-06-02 10:10", "2026-06-02 10:20", None);
    let booked = one(ObstacleKind::Booking, "2026-06-02 10:30", "2026-06-02 11:00", Some(25));
    assert_eq!(met(&terms, host(), "2026-06-02 10:00"), [event, displaced, booked]);
    let booked = Met { missed_buffer_minutes: None, ..booked };
    let held = one(ObstacleKind::Hold, "2026-06-02 11:00", "2026-06-02 11:30", None);
    assert_eq!(met(&terms, host(), "2026-06-02 10:45"), [booked, held]);
    let held = Met { missed_buffer_minutes: Some(15), ..held };
    assert_eq!(met(&terms, host(), "2026-06-02 11:30"), [held]);
    assert_eq!(met(&terms, host(), "2026-06-02 11:45"), []);
}

#[test]
fn windows_and_slots_beside_the_start_are_named() {
    let check = |start: &str, windows: [Option<(&str, &str)>; 3], slots: Option<(&str, Option<&str>)>| {
        let found = evidence(&terms(60), &[Person::new(0).open("09:00", "12:30").host()], start);
        let Evidence::Windows { holding, before, after } = found[0].clone() else { panic!("{found:?}") };
        let shown = |range: TimeRange| (on(range.start), on(range.end));
        let expected = windows.map(|window| window.map(|(from, to)| (from.to_owned(), to.to_owned())));
        assert_eq!([holding, before, after].map(|range| range.map(shown)), expected, "{start}");
        let grid = found.iter().find_map(|evidence| match evidence {
            Evidence::SlotGrid { before, after, .. } => Some((on(*before), after.map(on))),
            _ => None,
        });
        assert_eq!(grid, slots.map(|(before, after)| (before.to_owned(), after.map(str::to_owned))), "{start}");
    };
    let (second, third) = (Some(("06-02 09:00", "06-02 12:30")), Some(("06-03 09:00", "06-03 12:30")));
    check("2026-06-02 09:00", [second, second, third], Some(("06-02 09:00", Some("06-02 10:00"))));
    check("2026-06-02 10:20", [second, second, third], Some(("06-02 10:00", Some("06-02 11:00"))));
    check("2026-06-02 11:30", [second, second, third], Some(("06-02 11:00", None)));
    check("2026-06-02 12:00", [None, second, third], None);
    check("2026-06-02 20:00", [None, second, third], None);
}

#[test]
fn a_collective_counts_slots_from_the_common_window() {
    let hosts = [Person::new(0).open("09:00", "17:00").host(), Person::new(1).open("10:20", "17:00").host()];
    let terms = Terms { scheduling_mode: SchedulingMode::Collective, ..terms(30) };
    let found = evidence(&terms, &hosts, "2026-06-02 11:00");
    let expected = Evidence::SlotGrid {
        counted_from: at("2026-06-02 10:20"),
        before: at("2026-06-02 10:50"),
        after: Some(at("2026-06-02 11:20")),
    };
    assert!(found.contains(&expected), "{found:?}");
}

#[test]
fn limits_are_told_with_their_numbers() {
    let mut terms = terms(30);
    (terms.max_bookings_per_day, terms.min_notice_hours, terms.booking_window_days) = (Some(2), 3, 10);
    let day = || {
        let booked = Person::new(0).claim(booking(1, 0, "2026-06-02 09:00", 30));
        booked.claim(hold(2, 0, "2026-06-02 10:00", 30, "2026-06-01 00:05")).host()
    };
    let check = |start: &str, used: u32| {
        let found = evidence(&terms, &[day()], start);
        for expected in [
            Evidence::DailyLimit { used, limit: 2 },
            Evidence::Notice { earliest: at("2026-06-01 03:00") },
            Evidence::BookingWindow { latest: at("2026-06-11 00:00") },
        ] {
            assert!(found.contains(&expected), "{start}: {found:?}");
        }
    };
    check("2026-06-02 15:00", 2);
    check("2026-06-03 15:00", 0);
}
