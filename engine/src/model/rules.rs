//! When somebody can be booked, in wall-clock time.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// Most weekly rules one set may have.
pub const WEEKLY_RULES_MAX: usize = 100;
/// Most dated overrides one set may have.
pub const OVERRIDES_MAX: usize = 400;

/// A wall-clock time of day in whole minutes, `00:00` to `24:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CivilTime {
    minute_of_day: u16,
}

impl CivilTime {
    /// The time `minute_of_day` minutes after midnight by the clock, at most 1,440 (`24:00`).
    pub const fn from_minutes(minute_of_day: u16) -> Option<Self> {
        if minute_of_day <= 1_440 { Some(Self { minute_of_day }) } else { None }
    }

    /// Minutes after midnight by the clock.
    pub const fn minutes(self) -> u16 {
        self.minute_of_day
    }
}

/// A window of wall-clock time on one day. An end at or before its start runs past midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CivilWindow {
    /// First minute inside.
    pub civil_start: CivilTime,
    /// First minute after the window; on the next day when at or before `civil_start`.
    pub civil_end: CivilTime,
}

/// A window that comes back every week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WeeklyRule {
    /// Day of the week the window begins on: 0 is Sunday, 6 is Saturday.
    pub day_of_week: u8,
    /// The window.
    pub window: CivilWindow,
}

/// The windows of one date, in place of that weekday's rules. No windows: the date is off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DateOverride {
    /// The windows, which begin on the date.
    pub windows: Vec<CivilWindow>,
}

/// Weekly rules and dated overrides, both in the wall clock of one zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvailabilityRules {
    /// The zone of every wall-clock value below.
    pub timezone: Tz,
    /// Windows of every week.
    pub weekly: Vec<WeeklyRule>,
    /// Windows of single dates.
    pub overrides: BTreeMap<NaiveDate, DateOverride>,
}

impl AvailabilityRules {
    /// What a new user has: Monday to Friday, 09:00 to 17:00.
    pub fn office_hours(timezone: Tz) -> Self {
        let window = CivilWindow {
            civil_start: CivilTime { minute_of_day: 9 * 60 },
            civil_end: CivilTime { minute_of_day: 17 * 60 },
        };
        let weekly = (1..=5).map(|day_of_week| WeeklyRule { day_of_week, window }).collect();
        Self { timezone, weekly, overrides: BTreeMap::new() }
    }
}
