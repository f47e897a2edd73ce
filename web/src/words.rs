//! Dates, times and zones in words.

use agentcal_engine::civil::date_of;
use agentcal_engine::time::{TimeRange, Timestamp};
use chrono::{DateTime, NaiveDate, Offset, SecondsFormat};
use chrono_tz::Tz;

/// `Tuesday, 24 November 2026`.
pub(crate) fn day(date: NaiveDate) -> String {
    date.format("%A, %-d %B %Y").to_string()
}

/// `09:00`.
pub(crate) fn clock(instant: Timestamp, zone: Tz) -> String {
    local(instant, zone).format("%H:%M").to_string()
}

/// `Tuesday, 24 November 2026, 09:00`.
pub(crate) fn instant(at: Timestamp, zone: Tz) -> String {
    format!("{}, {}", day(date_of(at, zone)), clock(at, zone))
}

/// `Tuesday, 24 November 2026, 09:00 to 09:30`, with the second day where it is another.
pub(crate) fn range(range: TimeRange, zone: Tz) -> String {
    let end = if date_of(range.start, zone) == date_of(range.end, zone) {
        clock(range.end, zone)
    } else {
        instant(range.end, zone)
    };
    format!("{} to {end}", instant(range.start, zone))
}

/// `Europe/Berlin (UTC+01:00)`: the zone, and how far it is from UTC at an instant.
pub(crate) fn zone(zone: Tz, at: Timestamp) -> String {
    match zone {
        Tz::UTC => "UTC".to_owned(),
        _ => format!("{} ({})", zone_name(zone), offset(zone, at)),
    }
}

/// `America/New York`.
pub(crate) fn zone_name(zone: Tz) -> String {
    zone.name().replace('_', " ")
}

/// `UTC+01:00`.
pub(crate) fn offset(zone: Tz, at: Timestamp) -> String {
    let seconds = local(at, zone).offset().fix().local_minus_utc();
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs() / 60);
    format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// `2026-11-24T08:00:00Z`, for forms and machines.
pub(crate) fn machine(instant: Timestamp) -> String {
    instant.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Reads what [`machine`] writes, and any other RFC 3339 instant the product knows.
pub(crate) fn read_machine(text: &str) -> Option<Timestamp> {
    let instant = Timestamp::from(DateTime::parse_from_rfc3339(text).ok()?.to_utc());
    (instant == instant.clamped()).then_some(instant)
}

fn local(instant: Timestamp, zone: Tz) -> DateTime<Tz> {
    instant.to_utc().with_timezone(&zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        read_machine(text).expect("an instant")
    }

    #[track_caller]
    fn check(start: &str, end: &str, tz: Tz, expected: &str) {
        let (start, end) = (at(start), at(end));
        let text = format!("{} | {}", range(TimeRange { start, end }, tz), zone(tz, start));
        assert_eq!(text, expected);
    }

    #[test]
    fn ranges_are_told_in_the_zone_that_is_named() {
        let berlin = "Tuesday, 24 November 2026, 09:00 to 09:30 | Europe/Berlin (UTC+01:00)";
        check("2026-11-24T08:00:00Z", "2026-11-24T08:30:00Z", chrono_tz::Europe::Berlin, berlin);
        let new_york =
            "Monday, 23 November 2026, 23:30 to Tuesday, 24 November 2026, 00:30 | America/New York (UTC-05:00)";
        check("2026-11-24T04:30:00Z", "2026-11-24T05:30:00Z", chrono_tz::America::New_York, new_york);
        let kathmandu = "Tuesday, 24 November 2026, 05:45 to 06:45 | Asia/Kathmandu (UTC+05:45)";
        check("2026-11-24T00:00:00Z", "2026-11-24T01:00:00Z", chrono_tz::Asia::Kathmandu, kathmandu);
        check(
            "2026-11-24T00:00:00Z",
            "2026-11-24T01:00:00Z",
            Tz::UTC,
            "Tuesday, 24 November 2026, 00:00 to 01:00 | UTC",
        );
    }

    #[test]
    fn forms_send_instants_or_nothing() {
        for text in
            ["", "2026-11-24", "2026-11-24T08:00:00", "tomorrow", "1969-12-31T23:59:59Z", "9999-01-01T00:00:00Z"]
        {
            assert_eq!(read_machine(text), None, "{text}");
        }
        assert_eq!(machine(at("2026-11-24T09:00:00+01:00")), "2026-11-24T08:00:00Z");
    }
}
