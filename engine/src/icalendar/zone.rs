//! What a wall-clock time in an iCalendar object means as an instant.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use calcard::common::timezone::Tz as CalcardTz;
use calcard::icalendar::{
    ICalendar, ICalendarComponent, ICalendarComponentType, ICalendarFrequency, ICalendarProperty, ICalendarValue,
};
use chrono::{NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;

use super::event::parse;
use super::rrule::{Rule, Span};
use crate::time::{DAY_US, HOUR_US, Timestamp};

/// Most zones one object may define, and most observances one zone may have.
const ZONES_MAX: usize = 32;
const OBSERVANCES_MAX: usize = 500;
/// Most changes of offset one VTIMEZONE may bring.
const TRANSITIONS_MAX: usize = 2_000;
/// Years between which a VTIMEZONE is evaluated; bookings lie well inside.
const YEARS: std::ops::Range<i32> = 1970..2120;
/// The widest offsets in use on Earth; a zone nobody knows lies between them.
const OFFSET_EAST_MAX_US: i64 = 14 * HOUR_US;
const OFFSET_WEST_MAX_US: i64 = 12 * HOUR_US;

/// A zone as an iCalendar object means it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Zone {
    /// A zone of the IANA database.
    Iana(Tz),
    /// A fixed offset in seconds east of UTC.
    Fixed(i32),
    /// A zone by its own rules.
    Custom(Arc<Transitions>),
    /// A name nobody explains: any zone it might be.
    Unknown,
}

/// Changes of offset, ascending: from an instant (seconds since 1970) on, seconds east of UTC.
#[derive(Debug, PartialEq)]
pub(super) struct Transitions {
    before: i32,
    changes: Vec<(i64, i32)>,
}

impl Zone {
    /// The instants between which the wall-clock time may lie: one and the same where the zone is known. A time that
    /// the zone skips is read with the offset before the gap, one that occurs twice means the first (RFC 5545, 3.3.5).
    pub(super) fn instants(&self, wall: NaiveDateTime) -> (Timestamp, Timestamp) {
        let as_utc = Timestamp::from(wall.and_utc());
        if *self == Self::Unknown {
            return (as_utc.plus_micros(-OFFSET_EAST_MAX_US), as_utc.plus_micros(OFFSET_WEST_MAX_US));
        }
        let seconds = |offset: i32| -i64::from(offset) * 1_000_000;
        let (before, after) = (self.offset_at(as_utc.plus_micros(-DAY_US)), self.offset_at(as_utc.plus_micros(DAY_US)));
        let early = as_utc.plus_micros(seconds(before));
        let late = as_utc.plus_micros(seconds(after));
        let instant = if self.offset_at(early) != before && self.offset_at(late) == after { late } else { early };
        (instant, instant)
    }

    /// The wall-clock time at an instant.
    pub(super) fn wall(&self, instant: Timestamp) -> NaiveDateTime {
        let shifted = instant.clamped().plus_micros(i64::from(self.offset_at(instant)) * 1_000_000);
        shifted.to_utc().naive_utc()
    }

    fn offset_at(&self, instant: Timestamp) -> i32 {
        match self {
            Self::Iana(tz) => {
                tz.offset_from_utc_datetime(&instant.clamped().to_utc().naive_utc()).fix().local_minus_utc()
            }
            Self::Fixed(offset) => *offset,
            Self::Custom(transitions) => transitions.offset_at(instant.as_micros().div_euclid(1_000_000)),
            Self::Unknown => 0,
        }
    }
}

impl Transitions {
    fn offset_at(&self, seconds: i64) -> i32 {
        let passed = self.changes.partition_point(|&(from, _)| from <= seconds);
        if passed == 0 { self.before } else { self.changes[passed - 1].1 }
    }
}

/// The zones an iCalendar object defines, by TZID.
#[derive(Debug, Default)]
pub(super) struct Zones {
    defined: BTreeMap<String, Zone>,
}

impl Zones {
    pub(super) fn of(calendar: &ICalendar) -> Self {
        let mut defined = BTreeMap::new();
        for component in calendar.timezones().take(ZONES_MAX) {
            let Some(tzid) = text_of(component, &ICalendarProperty::Tzid) else { continue };
            if let Some(zone) = defined_zone(calendar, component, tzid) {
                defined.insert(tzid.to_owned(), zone);
            }
        }
        Self { defined }
    }

    /// The zone a TZID names: the IANA database first, then what the object defines, then other spellings.
    pub(super) fn resolve(&self, tzid: &str) -> Zone {
        iana(tzid)
            .map(Zone::Iana)
            .or_else(|| self.defined.get(tzid).cloned())
            .or_else(|| known_spelling(tzid))
            .unwrap_or(Zone::Unknown)
    }
}

/// The IANA zone a calendar's own VTIMEZONE stands for, where it stands for one.
pub fn timezone_of(vtimezone: &str) -> Option<Tz> {
    let calendar = parse(vtimezone).into_iter().next()?;
    let component = calendar.timezones().next()?;
    let tzid = text_of(component, &ICalendarProperty::Tzid)?;
    let spelled = || match known_spelling(tzid).or_else(|| aliased(component)) {
        Some(Zone::Iana(tz)) => Some(tz),
        _ => None,
    };
    iana(tzid).or_else(spelled)
}

/// The zone a name stands for: one of the IANA database, or the one Windows calls by that name.
pub fn timezone_named(name: &str) -> Option<Tz> {
    let spelled = || match known_spelling(name.trim()) {
        Some(Zone::Iana(tz)) => Some(tz),
        _ => None,
    };
    iana(name).or_else(spelled)
}

fn iana(tzid: &str) -> Option<Tz> {
    Tz::from_str(tzid.trim()).ok()
}

/// Windows names, and paths that end in an IANA name, such as `/mozilla.org/20050126_1/Europe/Berlin`.
fn known_spelling(tzid: &str) -> Option<Zone> {
    let tail = tzid.match_indices('/').find_map(|(at, _)| iana(&tzid[at + 1..]));
    tail.map(Zone::Iana).or_else(|| from_calcard(CalcardTz::from_str(tzid).ok()?))
}

fn aliased(component: &ICalendarComponent) -> Option<Zone> {
    component.timezone().and_then(|(_, tz)| from_calcard(tz))
}

fn from_calcard(tz: CalcardTz) -> Option<Zone> {
    match tz {
        CalcardTz::Tz(tz) => Some(Zone::Iana(tz)),
        CalcardTz::Fixed(offset) => Some(Zone::Fixed(offset.local_minus_utc())),
        CalcardTz::Floating => None,
    }
}

fn defined_zone(calendar: &ICalendar, component: &ICalendarComponent, tzid: &str) -> Option<Zone> {
    if let Some(tz) = iana(tzid) {
        return Some(Zone::Iana(tz));
    }
    let own_rules = transitions(calendar, component).map(|transitions| Zone::Custom(Arc::new(transitions)));
    own_rules.or_else(|| aliased(component))
}

/// Evaluates the observances of a VTIMEZONE (RFC 5545, 3.6.5). `None` where one of them cannot be understood.
fn transitions(calendar: &ICalendar, component: &ICalendarComponent) -> Option<Transitions> {
    let mut changes = Vec::new();
    if component.component_ids.len() > OBSERVANCES_MAX {
        return None;
    }
    for id in &component.component_ids {
        let observance = calendar.component_by_id(*id)?;
        if matches!(observance.component_type, ICalendarComponentType::Standard | ICalendarComponentType::Daylight) {
            changes.extend(onsets(observance)?);
        }
    }
    changes.sort_unstable();
    let before = changes.first()?.1;
    let changes = changes.into_iter().map(|(from, _, to)| (from, to)).collect::<Vec<_>>();
    (changes.len() <= TRANSITIONS_MAX).then_some(Transitions { before, changes })
}

/// When an observance begins each time: instant, offset before, offset from then on.
fn onsets(observance: &ICalendarComponent) -> Option<Vec<(i64, i32, i32)>> {
    let from = offset_of(observance, &ICalendarProperty::Tzoffsetfrom)?;
    let to = offset_of(observance, &ICalendarProperty::Tzoffsetto)?;
    let start = date_times(observance, &ICalendarProperty::Dtstart).next()?;
    let mut walls = vec![start];
    walls.extend(date_times(observance, &ICalendarProperty::Rdate));
    let rule = observance.property(&ICalendarProperty::Rrule).and_then(|entry| entry.values.first());
    if let Some(value) = rule {
        let ICalendarValue::RecurrenceRule(rule) = value else { return None };
        if rule.freq != ICalendarFrequency::Yearly {
            return None;
        }
        // UNTIL is in UTC here; the offset before the change makes it comparable to the wall clock.
        let rule = Rule::parse(rule, |utc| utc.checked_add_signed(TimeDelta::seconds(from.into())))?;
        let span = Span { from: start.max(first_of(YEARS.start)?), to: first_of(YEARS.end)? };
        walls.extend(rule.occurrences(start, span).ok()?);
    }
    let onset = |wall: NaiveDateTime| (wall.and_utc().timestamp() - i64::from(from), from, to);
    (walls.len() <= TRANSITIONS_MAX).then(|| walls.into_iter().map(onset).collect())
}

fn first_of(year: i32) -> Option<NaiveDateTime> {
    NaiveDate::from_ymd_opt(year, 1, 1)?.and_hms_opt(0, 0, 0)
}

fn date_times<'c>(
    component: &'c ICalendarComponent,
    name: &'c ICalendarProperty,
) -> impl Iterator<Item = NaiveDateTime> + 'c {
    let values = component.properties(name).flat_map(|entry| &entry.values);
    values.filter_map(|value| value.as_partial_date_time()?.to_date_time().map(|result| result.date_time))
}

fn offset_of(component: &ICalendarComponent, name: &ICalendarProperty) -> Option<i32> {
    let value = component.property(name)?.values.first()?.as_partial_date_time()?;
    let seconds = i32::from(value.tz_hour?) * 3_600 + i32::from(value.tz_minute.unwrap_or(0)) * 60;
    (seconds < 86_400).then_some(if value.tz_minus { -seconds } else { seconds })
}

fn text_of<'c>(component: &'c ICalendarComponent, name: &ICalendarProperty) -> Option<&'c str> {
    component.property(name)?.values.first()?.as_text()
}
