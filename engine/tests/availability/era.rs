//! Zones and times worth asking about.

use agentcal_engine::reference::WallClock;
use agentcal_engine::time::{DAY_US, TimeRange, Timestamp};
use chrono::NaiveDate;
use chrono_tz::Tz;

/// Some zones over some years, and the instants around which questions are asked.
pub(crate) struct Era {
    pub(crate) wall_clock: WallClock,
    pub(crate) zones: Vec<Tz>,
    pub(crate) moments: Vec<Timestamp>,
}

/// Whole-hour and odd offsets, changes at night, at midnight, by half an hour, backwards ones; and the day Apia left out.
pub(crate) fn eras() -> Vec<Era> {
    use chrono_tz::*;
    let nowadays = vec![
        Europe::Berlin,
        America::New_York,
        America::Santiago,
        Africa::Cairo,
        Asia::Beirut,
        Australia::Lord_Howe,
        Asia::Kolkata,
        Asia::Kathmandu,
        Pacific::Chatham,
        Africa::Casablanca,
        America::Havana,
        Europe::Dublin,
        Pacific::Apia,
        UTC,
    ];
    let of_day = |year, month, day| {
        let date = NaiveDate::from_ymd_opt(year, month, day).expect("a date");
        Timestamp::from_seconds(date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp())
    };
    let range = |start, end| TimeRange { start, end };
    vec![
        era(nowadays, range(of_day(2025, 10, 1), of_day(2028, 3, 1))),
        era(vec![Pacific::Apia, Pacific::Fakaofo, UTC], range(of_day(2011, 7, 1), of_day(2012, 4, 1))),
    ]
}

fn era(zones: Vec<Tz>, period: TimeRange) -> Era {
    let wall_clock = WallClock::watch(&zones, period);
    let spared = TimeRange { start: period.start.plus_micros(90 * DAY_US), end: period.end.plus_micros(-90 * DAY_US) };
    let changes = zones.iter().flat_map(|&tz| wall_clock.changes(tz)).map(|change| change.at);
    let moments = changes.filter(|&at| spared.contains(at)).collect();
    Era { wall_clock, zones, moments }
}
