//! Instants and dates as callers write and read them: RFC 3339, strictly read, cheaply written.

use std::ops::Range;

use agentcal_engine::time::{DAY_US, MINUTE_US, Timestamp};
use chrono::{DateTime, Datelike, NaiveDate, Offset, TimeZone, Utc};
use chrono_tz::Tz;

/// Days from 0001-01-01 (day 1) to 1970-01-01.
const EPOCH_DAY: i64 = 719_163;

/// Why a text is not an acceptable instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstantError {
    /// Not RFC 3339 with an offset.
    Format,
    /// Understood, but outside `Timestamp::EARLIEST..=Timestamp::LATEST`.
    OutOfRange,
}

/// Reads `2026-11-21T09:00:00+01:00`. The offset must be there; fractions of a second may be; digits beyond the
/// microsecond are dropped.
pub(crate) fn parse_instant(text: &str) -> Result<Timestamp, InstantError> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || bytes.len() > 40 || !matches!(bytes[10], b'T' | b't') {
        return Err(InstantError::Format);
    }
    let date = parse_date_bytes(&bytes[..10]).ok_or(InstantError::Format)?;
    let seconds = parse_time_of_day(&bytes[11..19]).ok_or(InstantError::Format)?;
    let (fraction_us, rest) = parse_fraction(&bytes[19..]).ok_or(InstantError::Format)?;
    let offset_minutes = parse_offset(rest).ok_or(InstantError::Format)?;
    let days = i64::from(date.num_days_from_ce()) - EPOCH_DAY;
    let micros = days * DAY_US + seconds * 1_000_000 + fraction_us - offset_minutes * MINUTE_US;
    let instant = Timestamp::from_micros(micros);
    if instant == instant.clamped() { Ok(instant) } else { Err(InstantError::OutOfRange) }
}

/// Reads `2026-11-21`.
pub(crate) fn parse_date(text: &str) -> Option<NaiveDate> {
    parse_date_bytes(text.as_bytes())
}

/// Reads `09:00`, up to `24:00`, as minutes after midnight.
pub(crate) fn parse_civil_minutes(text: &str) -> Option<u16> {
    match text.as_bytes() {
        &[h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[h1, h2])?, digits(&[m1, m2])?);
            let total = hours * 60 + minutes;
            (minutes < 60 && total <= 1_440).then(|| u16::try_from(total).ok()).flatten()
        }
        _ => None,
    }
}

fn parse_date_bytes(bytes: &[u8]) -> Option<NaiveDate> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = bytes else { return None };
    let year = i32::try_from(digits(&[y1, y2, y3, y4])?).ok()?;
    NaiveDate::from_ymd_opt(year, digits(&[m1, m2])?, digits(&[d1, d2])?)
}

fn parse_time_of_day(bytes: &[u8]) -> Option<i64> {
    let &[h1, h2, b':', m1, m2, b':', s1, s2] = bytes else { return None };
    let (hours, minutes, seconds) = (digits(&[h1, h2])?, digits(&[m1, m2])?, digits(&[s1, s2])?);
    (hours < 24 && minutes < 60 && seconds < 60).then(|| i64::from(hours * 3_600 + minutes * 60 + seconds))
}

fn parse_fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let Some(fraction) = bytes.strip_prefix(b".") else { return Some((0, bytes)) };
    let len = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if len == 0 {
        return None;
    }
    let (number, rest) = fraction.split_at(len);
    let micros =
        (0..6).fold(0i64, |value, place| value * 10 + number.get(place).map_or(0, |digit| i64::from(digit - b'0')));
    Some((micros, rest))
}

fn parse_offset(bytes: &[u8]) -> Option<i64> {
    match *bytes {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[h1, h2])?, digits(&[m1, m2])?);
            let total = i64::from(hours * 60 + minutes);
            (hours < 24 && minutes < 60).then_some(if sign == b'-' { -total } else { total })
        }
        _ => None,
    }
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0u32, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0')))
}

/// An instant with the offset a zone has then.
pub(crate) fn rfc3339(instant: Timestamp, zone: Tz) -> String {
    let mut out = Vec::with_capacity(32);
    InstantWriter::new(zone).write(instant, &mut out);
    String::from_utf8(out).expect("only ASCII was written")
}

/// Length of an instant without a fraction of a second.
pub(crate) const TEXT_LEN: usize = 25;
/// Where its time of day begins and ends.
const TIME_OF_DAY: Range<usize> = 11..19;

/// Writes many instants of one zone. Those that share a date and an offset differ in their time of day only, so the rest
/// is written out once for all of them: what is left per instant is a division or two and one copy.
pub(crate) struct InstantWriter {
    zone: Tz,
    /// Microseconds of the instants that `text` stands for.
    alike: Range<i64>,
    /// When their date began by the wall clock.
    midnight: i64,
    text: [u8; TEXT_LEN],
    /// The last end of a UTC day that was looked at, and the offset then.
    day_end: (i64, i64),
}

impl InstantWriter {
    pub(crate) fn new(zone: Tz) -> Self {
        Self { zone, alike: 0..0, midnight: 0, text: *b"0000-00-00T00:00:00+00:00", day_end: (i64::MIN, 0) }
    }

    /// Appends `2026-11-21T09:00:00+01:00`; a fraction only where there is one.
    pub(crate) fn write(&mut self, instant: Timestamp, out: &mut Vec<u8>) {
        let micros = instant.as_micros();
        if !self.alike.contains(&micros) {
            self.move_to(instant);
        }
        // At most a day, so everything from here on is small and not negative: 32 bits divide quicker.
        let micros_of_day = (micros - self.midnight).unsigned_abs();
        let (seconds, fraction_us) = ((micros_of_day / 1_000_000) as u32, micros_of_day % 1_000_000);
        let (minutes, hours) = (seconds / 60, seconds / 3_600);
        let ([h1, h2], [m1, m2], [s1, s2]) = (two(hours), two(minutes - hours * 60), two(seconds - minutes * 60));
        self.text[TIME_OF_DAY].copy_from_slice(&[h1, h2, b':', m1, m2, b':', s1, s2]);
        if fraction_us == 0 {
            return out.extend_from_slice(&self.text);
        }
        let (date_and_time, offset) = self.text.split_at(TIME_OF_DAY.end);
        out.extend_from_slice(date_and_time);
        push_fraction(fraction_us, out);
        out.extend_from_slice(offset);
    }

    /// The text of an instant at a whole minute.
    pub(crate) fn minute(&mut self, instant: Timestamp) -> &[u8; TEXT_LEN] {
        let micros = instant.as_micros();
        debug_assert_eq!(micros % MINUTE_US, 0, "{micros}");
        if !self.alike.contains(&micros) {
            self.move_to(instant);
        }
        let minutes = ((micros - self.midnight).unsigned_abs() / MINUTE_US.unsigned_abs()) as u32;
        let hours = minutes / 60;
        let ([h1, h2], [m1, m2]) = (two(hours), two(minutes - hours * 60));
        self.text[TIME_OF_DAY].copy_from_slice(&[h1, h2, b':', m1, m2, b':', b'0', b'0']);
        &self.text
    }

    /// Looks up the date and the offset of an instant, and for how long they stay the same.
    fn move_to(&mut self, instant: Timestamp) {
        let micros = instant.as_micros();
        let (offset, utc_day) = self.offset_around(instant);
        let local_day = (micros + offset * MINUTE_US).div_euclid(DAY_US);
        self.midnight = local_day * DAY_US - offset * MINUTE_US;
        self.alike = utc_day.start.max(self.midnight)..utc_day.end.min(self.midnight + DAY_US);
        self.text[..10].copy_from_slice(&date_text(local_day));
        self.text[TIME_OF_DAY.end..].copy_from_slice(&offset_text(offset));
    }

    /// The offset at an instant, and the part of its UTC day that is known to have it: all of it, or on days on which the
    /// offset changes no more than the instant.
    fn offset_around(&mut self, instant: Timestamp) -> (i64, Range<i64>) {
        let micros = instant.as_micros();
        let start = micros.div_euclid(DAY_US) * DAY_US;
        let first = if self.day_end.0 == start { self.day_end.1 } else { self.offset_at(start) };
        self.day_end = (start + DAY_US, self.offset_at(start + DAY_US));
        if self.day_end.1 == first {
            (first, start..start + DAY_US)
        } else {
            (self.offset_at(micros), micros..micros + 1)
        }
    }

    fn offset_at(&self, micros: i64) -> i64 {
        lookup_offset(self.zone, Timestamp::from_micros(micros))
    }
}

fn date_text(day: i64) -> [u8; 10] {
    let date = i32::try_from(day + EPOCH_DAY).ok().and_then(NaiveDate::from_num_days_from_ce_opt).unwrap_or_default();
    let year = date.year().unsigned_abs();
    let ([y1, y2], [y3, y4]) = (two(year / 100), two(year % 100));
    let ([m1, m2], [d1, d2]) = (two(date.month()), two(date.day()));
    [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2]
}

fn offset_text(minutes: i64) -> [u8; 6] {
    let sign = if minutes < 0 { b'-' } else { b'+' };
    let minutes = minutes.unsigned_abs() as u32;
    let ([h1, h2], [m1, m2]) = (two(minutes / 60), two(minutes % 60));
    [sign, h1, h2, b':', m1, m2]
}

/// Minutes east of UTC. Offsets that were not whole minutes (Monrovia until 1972) are rounded down, as RFC 3339 cannot
/// write them; the instant stays the same, because local time is computed from the rounded offset.
fn lookup_offset(zone: Tz, instant: Timestamp) -> i64 {
    let utc = DateTime::<Utc>::from_timestamp_micros(instant.as_micros()).unwrap_or_default();
    i64::from(zone.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc()).div_euclid(60)
}

/// A number below a hundred as two digits.
fn two(value: u32) -> [u8; 2] {
    let tens = value / 10;
    [b'0' + tens as u8, b'0' + (value - tens * 10) as u8]
}

fn push_fraction(micros: u64, out: &mut Vec<u8>) {
    out.push(b'.');
    let (number, width) = if micros.is_multiple_of(1_000) { (micros / 1_000, 3) } else { (micros, 6) };
    out.extend((0..width).rev().map(|place| b'0' + (number / 10u64.pow(place) % 10) as u8));
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;

    use super::*;

    #[test]
    fn only_whole_rfc3339_instants_are_read() {
        let check = |text: &str, expected: Result<i64, InstantError>| {
            assert_eq!(parse_instant(text).map(Timestamp::as_micros), expected, "{text}");
        };
        check("1970-01-01T00:00:00Z", Ok(0));
        check("2026-11-21T09:00:00+01:00", Ok(1_795_248_000_000_000));
        check("2026-11-21T08:00:00Z", Ok(1_795_248_000_000_000));
        check("2026-11-21t08:00:00z", Ok(1_795_248_000_000_000));
        check("2026-11-21T08:00:00.5-00:00", Ok(1_795_248_000_500_000));
        check("2026-11-21T08:00:00.1234567Z", Ok(1_795_248_000_123_456));
        check("2026-11-21T13:45:00+05:45", Ok(1_795_248_000_000_000));
        check("2024-02-29T00:00:00Z", Ok(1_709_164_800_000_000));
        check("1969-12-31T23:59:59Z", Err(InstantError::OutOfRange));
        check("9999-12-31T23:59:59Z", Err(InstantError::OutOfRange));
        check("0000-01-01T00:00:00Z", Err(InstantError::OutOfRange));
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T08:00:00",
            "2026-11-21 08:00:00Z",
            "2026-11-21T08:00Z",
            "2026-11-21T08:00:00+1",
            "2026-11-21T08:00:00+0100",
            "2026-11-21T24:00:00Z",
            "2026-11-21T08:60:00Z",
            "2026-11-21T08:00:60Z",
            "2026-02-30T08:00:00Z",
            "2026-13-01T08:00:00Z",
            "2026-11-21T08:00:00.Z",
            "2026-11-21T08:00:00+24:00",
            "2026-11-21T08:00:00Zx",
            "+026-11-21T08:00:00Z",
            "2026-11-21T08:00:00\u{2212}01:00",
            "1795248000",
        ] {
            check(text, Err(InstantError::Format));
        }
    }

    #[test]
    fn dates_and_times_of_day_are_read_strictly() {
        assert_eq!(parse_date("2024-02-29"), NaiveDate::from_ymd_opt(2024, 2, 29));
        for text in ["2023-02-29", "2024-2-29", "20240229", "2024-02-29 ", "", "２024-02-29"] {
            assert_eq!(parse_date(text), None, "{text}");
        }
        for (text, minutes) in [("00:00", Some(0)), ("09:30", Some(570)), ("24:00", Some(1_440)), ("24:01", None)] {
            assert_eq!(parse_civil_minutes(text), minutes, "{text}");
        }
        for text in ["9:00", "09:60", "25:00", "0900", "09:00:00", "ab:cd", ""] {
            assert_eq!(parse_civil_minutes(text), None, "{text}");
        }
    }

    #[test]
    fn writing_agrees_with_chrono_through_every_kind_of_change() {
        let zones = [
            chrono_tz::UTC,
            chrono_tz::Europe::Berlin,
            chrono_tz::America::New_York,
            chrono_tz::Asia::Kolkata,
            chrono_tz::Asia::Kathmandu,
            chrono_tz::America::Santiago,
            chrono_tz::Australia::Lord_Howe,
            chrono_tz::Africa::Casablanca,
            chrono_tz::Pacific::Apia,
            chrono_tz::Africa::Cairo,
        ];
        for zone in zones {
            let mut writer = InstantWriter::new(zone);
            let mut instant = Timestamp::from_seconds(1_299_999_960);
            while instant < Timestamp::from_seconds(2_000_000_000) {
                let mut out = Vec::new();
                writer.write(instant, &mut out);
                let expected = instant.to_utc().with_timezone(&zone).to_rfc3339_opts(SecondsFormat::AutoSi, false);
                assert_eq!(String::from_utf8_lossy(&out), expected, "{zone}");
                assert_eq!(writer.minute(instant)[..], out, "{zone}");
                instant = instant.plus_micros(7 * 3_600_000_000 + 13 * MINUTE_US);
            }
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same_instant() {
        for zone in [chrono_tz::Africa::Monrovia, chrono_tz::Asia::Kolkata, chrono_tz::America::St_Johns] {
            for micros in [0, 1, 1_000, 999_999, 86_399_999_999, 1_795_248_000_000_000, 7_258_118_400_000_000] {
                let instant = Timestamp::from_micros(micros);
                assert_eq!(parse_instant(&rfc3339(instant, zone)), Ok(instant), "{zone} {micros}");
            }
        }
    }
}
