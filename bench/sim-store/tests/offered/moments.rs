//! Zones and times worth asking about.

use agentcal_engine::time::{DAY_US, MINUTE_US, Timestamp};
use chrono::{NaiveDate, Offset, TimeZone};
use chrono_tz::Tz;

/// Whole-hour and odd offsets, changes at night, at midnight, by half an hour, backwards ones.
pub(crate) const ZONES: [Tz; 14] = [
    Tz::Europe__Berlin,
    Tz::America__New_York,
    Tz::America__Santiago,
    Tz::Africa__Cairo,
    Tz::Asia__Beirut,
    Tz::Australia__Lord_Howe,
    Tz::Asia__Kolkata,
    Tz::Asia__Kathmandu,
    Tz::Pacific__Chatham,
    Tz::Africa__Casablanca,
    Tz::America__Havana,
    Tz::Europe__Dublin,
    Tz::Pacific__Apia,
    Tz::UTC,
];

/// Instants at which a clock of one of the zones is changed; among them the one at which Apia left out a day.
pub(crate) fn moments() -> Vec<Timestamp> {
    let of_day = |year, month, day| {
        let date = NaiveDate::from_ymd_opt(year, month, day).unwrap();
        Timestamp::from_seconds(date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp())
    };
    let nowadays = ZONES.iter().flat_map(|&tz| changes(tz, of_day(2026, 1, 1), of_day(2028, 1, 1)));
    let moments: Vec<_> =
        nowadays.chain(changes(Tz::Pacific__Apia, of_day(2011, 12, 1), of_day(2012, 1, 10))).collect();
    assert!(moments.len() > 40, "clocks are changed twice a year in most of these zones");
    moments
}

fn changes(tz: Tz, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let days = (to.as_micros() - from.as_micros()) / DAY_US;
    let day = |number: i64| from.plus_micros(number * DAY_US);
    let changed = (0..days).filter(|&number| offset(tz, day(number)) != offset(tz, day(number + 1)));
    changed.map(|number| change_within(tz, day(number), day(number + 1))).collect()
}

/// The first minute of the later offset.
fn change_within(tz: Tz, mut before: Timestamp, mut after: Timestamp) -> Timestamp {
    let first = offset(tz, before);
    while after.micros_since(before) > MINUTE_US {
        let middle = before.plus_micros(after.micros_since(before) / MINUTE_US / 2 * MINUTE_US);
        if offset(tz, middle) == first { before = middle } else { after = middle }
    }
    after
}

fn offset(tz: Tz, instant: Timestamp) -> i32 {
    tz.offset_from_utc_datetime(&instant.to_utc().naive_utc()).fix().local_minus_utc()
}
