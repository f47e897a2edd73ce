//! One VEVENT: when it is, how it recurs, and whether it blocks.

use calcard::common::PartialDateTime;
use calcard::icalendar::{
    ICalendar, ICalendarComponent, ICalendarDuration, ICalendarEntry, ICalendarParameterName, ICalendarParameterValue,
    ICalendarParticipationStatus, ICalendarPeriod, ICalendarProperty, ICalendarRecurrenceRule, ICalendarStatus,
    ICalendarTransparency, ICalendarValue,
};
use calcard::{Entry, Parser};
use chrono::{Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

use super::read::ReadContext;
use super::zone::{Zone, Zones};
use crate::time::Timestamp;

/// Most iCalendar objects in one text; a calendar resource holds one.
const OBJECTS_MAX: usize = 16;
/// Most RRULEs of one event; RFC 5545 wants one at most.
const RULES_MAX: usize = 8;
/// Most days an event lasts: ten thousand years, which is from one end of iCalendar's calendar to the other.
const DAYS_MAX: u64 = 3_660_000;
/// The same in seconds.
const DURATION_SECONDS_MAX: i64 = DAYS_MAX as i64 * 86_400;

/// The iCalendar objects in a text.
pub(super) fn parse(text: &str) -> Vec<ICalendar> {
    let mut parser = Parser::new(text);
    let mut objects = Vec::new();
    // Each entry consumes at least a byte, so the number of steps is bounded by the text.
    for _ in 0..text.len().saturating_add(1) {
        match parser.entry() {
            Entry::ICalendar(object) if objects.len() < OBJECTS_MAX => objects.push(object),
            Entry::ICalendar(_) | Entry::Eof => break,
            _ => {}
        }
    }
    objects
}

/// A point in an event's time: a day, or a wall-clock time in a zone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moment {
    pub(super) wall: NaiveDateTime,
    pub(super) zone: Zone,
    /// A DATE: the day, not its midnight.
    pub(super) is_date: bool,
    /// Neither UTC nor a TZID: the calendar's zone by default.
    pub(super) is_floating: bool,
}

impl Moment {
    pub(super) fn instants(&self) -> (Timestamp, Timestamp) {
        self.zone.instants(self.wall)
    }
}

/// How long an instance lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// Calendar days, then seconds, on the wall clock (DURATION, and days of all-day events).
    Nominal { days: u64, seconds: i64 },
    /// Microseconds between instants: what DTEND means for every instance (RFC 5545, 3.8.5.3).
    Exact { micros: i64 },
}

/// One VEVENT as far as busy time is concerned.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) uid: Option<String>,
    pub(super) start: Moment,
    pub(super) length: Length,
    pub(super) rule: Option<Recurrence>,
    pub(super) rdates: Vec<(Moment, Option<Length>)>,
    pub(super) exdates: Vec<Moment>,
    pub(super) recurrence_id: Option<Moment>,
    pub(super) this_and_future: bool,
    pub(super) blocks: bool,
    /// Whether it is known when it is; otherwise it is taken for the most it may be.
    pub(super) is_certain: bool,
}

/// An event's RRULEs.
#[derive(Clone, Debug)]
pub(super) enum Recurrence {
    Rules(Vec<ICalendarRecurrenceRule>),
    /// There is one, and it cannot be read.
    NotUnderstood,
}

/// Why a VEVENT has no place in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoEvent {
    /// No DTSTART and no RECURRENCE-ID: it occupies no time.
    Timeless,
    /// A time that cannot be read.
    NotUnderstood,
}

/// Reads one VEVENT.
pub(super) fn read_event(
    component: &ICalendarComponent,
    zones: &Zones,
    context: &ReadContext<'_>,
) -> Result<Event, NoEvent> {
    let reader = Reader { component, zones, context };
    let recurrence_id = reader.moment(&ICalendarProperty::RecurrenceId)?;
    let start = reader.moment(&ICalendarProperty::Dtstart)?;
    let start = start.or_else(|| recurrence_id.clone()).ok_or(NoEvent::Timeless)?;
    let known_length = reader.length(&start);
    // An end that cannot be read, or lies before the start, is taken for the most it may be: the day.
    let length = known_length.unwrap_or(Length::Nominal { days: 1, seconds: 0 });
    Ok(Event {
        uid: component.uid().map(str::to_owned),
        length,
        rule: reader.recurrence(),
        rdates: reader.rdates(&start),
        exdates: reader.exdates(&start),
        recurrence_id: recurrence_id.map(|id| in_zone_of(id, &start)),
        this_and_future: reader.is_this_and_future(),
        blocks: reader.blocks(),
        is_certain: known_length.is_some() && start.zone != Zone::Unknown,
        start,
    })
}

struct Reader<'a> {
    component: &'a ICalendarComponent,
    zones: &'a Zones,
    context: &'a ReadContext<'a>,
}

impl Reader<'_> {
    fn moment(&self, name: &ICalendarProperty) -> Result<Option<Moment>, NoEvent> {
        let Some(entry) = self.component.property(name) else { return Ok(None) };
        let value = entry.values.first().and_then(ICalendarValue::as_partial_date_time);
        let moment = value.and_then(|value| self.moment_of(entry, value)).ok_or(NoEvent::NotUnderstood)?;
        Ok(Some(moment))
    }

    fn moment_of(&self, entry: &ICalendarEntry, value: &PartialDateTime) -> Option<Moment> {
        let calendar_zone = Zone::Iana(self.context.timezone);
        if !value.has_time() {
            let date = date_of(value)?;
            return Some(Moment {
                wall: date.and_time(NaiveTime::MIN),
                zone: calendar_zone,
                is_date: true,
                is_floating: true,
            });
        }
        let wall = wall_of(value)?;
        let tzid = entry.tz_id();
        let zone = match (value.tz_hour, tzid) {
            (Some(hour), _) => {
                let seconds = i32::from(hour) * 3_600 + i32::from(value.tz_minute.unwrap_or(0)) * 60;
                Zone::Fixed(if value.tz_minus { -seconds } else { seconds })
            }
            (None, Some(tzid)) => self.zones.resolve(tzid),
            (None, None) => calendar_zone,
        };
        Some(Moment { wall, zone, is_date: false, is_floating: value.tz_hour.is_none() && tzid.is_none() })
    }

    /// DTEND, else DURATION, else a day for a DATE and nothing for a DATE-TIME. `None` where that cannot be told.
    fn length(&self, start: &Moment) -> Option<Length> {
        match self.moment(&ICalendarProperty::Dtend) {
            Ok(Some(end)) => length_between(start, &end),
            Err(_) => None,
            Ok(None) => match self.component.property(&ICalendarProperty::Duration) {
                Some(entry) => match entry.values.first() {
                    Some(ICalendarValue::Duration(duration)) => Some(nominal(duration, start.is_date)),
                    _ => None,
                },
                None if start.is_date => Some(Length::Nominal { days: 1, seconds: 0 }),
                None => Some(Length::Exact { micros: 0 }),
            },
        }
    }

    fn recurrence(&self) -> Option<Recurrence> {
        let mut rules = Vec::new();
        for value in self.component.properties(&ICalendarProperty::Rrule).flat_map(|entry| &entry.values) {
            match value {
                ICalendarValue::RecurrenceRule(rule) if rules.len() < RULES_MAX => rules.push((**rule).clone()),
                _ => return Some(Recurrence::NotUnderstood),
            }
        }
        (!rules.is_empty()).then_some(Recurrence::Rules(rules))
    }

    fn rdates(&self, start: &Moment) -> Vec<(Moment, Option<Length>)> {
        let mut found = Vec::new();
        for entry in self.component.properties(&ICalendarProperty::Rdate) {
            found.extend(entry.values.iter().filter_map(|value| self.rdate(entry, value, start)));
        }
        found
    }

    fn rdate(
        &self,
        entry: &ICalendarEntry,
        value: &ICalendarValue,
        start: &Moment,
    ) -> Option<(Moment, Option<Length>)> {
        let moment = |value| self.moment_of(entry, value).map(|moment| in_zone_of(moment, start));
        match value {
            ICalendarValue::PartialDateTime(value) => Some((moment(value)?, None)),
            ICalendarValue::Period(ICalendarPeriod::Range { start, end }) => {
                let (start, end) = (moment(start)?, moment(end)?);
                let length = length_between(&start, &end);
                Some((start, length))
            }
            ICalendarValue::Period(ICalendarPeriod::Duration { start, duration }) => {
                Some((moment(start)?, Some(nominal(duration, false))))
            }
            _ => None,
        }
    }

    fn exdates(&self, start: &Moment) -> Vec<Moment> {
        let mut found = Vec::new();
        for entry in self.component.properties(&ICalendarProperty::Exdate) {
            let values = entry.values.iter().filter_map(ICalendarValue::as_partial_date_time);
            found.extend(values.filter_map(|value| Some(in_zone_of(self.moment_of(entry, value)?, start))));
        }
        found
    }

    fn is_this_and_future(&self) -> bool {
        let id = self.component.property(&ICalendarProperty::RecurrenceId);
        id.is_some_and(|entry| entry.has_parameter(&ICalendarParameterName::Range))
    }

    /// Opaque, not cancelled, not declined by the calendar's owner. Whatever is not clearly free blocks.
    fn blocks(&self) -> bool {
        let transparency = self.component.transparency();
        let cancelled = self.component.status() == Some(&ICalendarStatus::Cancelled);
        let busy_status = self.text("X-MICROSOFT-CDO-BUSYSTATUS").unwrap_or_default();
        let free = match transparency {
            Some(ICalendarTransparency::Transparent) => true,
            Some(ICalendarTransparency::Opaque) => busy_status.eq_ignore_ascii_case("WORKINGELSEWHERE"),
            None => ["FREE", "WORKINGELSEWHERE"].iter().any(|status| busy_status.eq_ignore_ascii_case(status)),
        };
        !cancelled && !free && !self.is_declined()
    }

    /// Whether the owner is invited and has declined under every address the invitation names.
    fn is_declined(&self) -> bool {
        let mut owner_entries = self
            .component
            .properties(&ICalendarProperty::Attendee)
            .filter(|entry| self.is_owner(entry))
            .map(|entry| {
                let partstat = entry.parameter(&ICalendarParameterName::Partstat);
                let declined = ICalendarParameterValue::Partstat(ICalendarParticipationStatus::Declined);
                partstat == Some(&declined)
            })
            .peekable();
        owner_entries.peek().is_some() && owner_entries.all(|declined| declined)
    }

    fn is_owner(&self, entry: &ICalendarEntry) -> bool {
        let email = entry.parameter(&ICalendarParameterName::Email).and_then(ICalendarParameterValue::as_text);
        let named = [entry.calendar_address(), email];
        named.into_iter().flatten().any(|address| {
            let address = bare_address(address);
            self.context.owner_addresses.iter().any(|owner| owner.eq_ignore_ascii_case(address))
        })
    }

    fn text(&self, name: &str) -> Option<&str> {
        let entry = self.component.entries.iter().find(|entry| match &entry.name {
            ICalendarProperty::Other(other) => other.eq_ignore_ascii_case(name),
            _ => false,
        });
        entry?.values.first()?.as_text()
    }
}

fn bare_address(address: &str) -> &str {
    let address = address.trim();
    match address.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("mailto:") => address[7..].trim(),
        _ => address,
    }
}

/// A floating RECURRENCE-ID, EXDATE or RDATE beside a zoned DTSTART means that zone.
fn in_zone_of(moment: Moment, start: &Moment) -> Moment {
    match moment.is_floating && !start.is_floating && !moment.is_date {
        true => Moment { zone: start.zone.clone(), is_floating: false, ..moment },
        false => moment,
    }
}

fn length_between(start: &Moment, end: &Moment) -> Option<Length> {
    if start.is_date {
        let days = (end.wall.date() - start.wall.date()).num_days() + i64::from(!end.is_date);
        // An end on the very day is how some programs write a single day.
        return Some(Length::Nominal { days: u64::try_from(days).ok()?.clamp(1, DAYS_MAX), seconds: 0 });
    }
    if start.zone == Zone::Unknown || end.zone == Zone::Unknown {
        let seconds = (end.wall - start.wall).num_seconds();
        return (0..=DURATION_SECONDS_MAX).contains(&seconds).then_some(Length::Nominal { days: 0, seconds });
    }
    let micros = end.instants().0.micros_since(start.instants().0);
    (0..=DURATION_SECONDS_MAX * 1_000_000).contains(&micros).then_some(Length::Exact { micros })
}

fn nominal(duration: &ICalendarDuration, of_date: bool) -> Length {
    let days = u64::from(duration.weeks) * 7 + u64::from(duration.days);
    let seconds = i64::from(duration.hours) * 3_600 + i64::from(duration.minutes) * 60 + i64::from(duration.seconds);
    let days = days.clamp(u64::from(of_date), DAYS_MAX);
    Length::Nominal { days, seconds: seconds.min(DURATION_SECONDS_MAX) }
}

/// From the start's wall clock to the instants the instance covers, widest where the zone is unknown.
pub(super) fn instants_of(start: &Moment, length: Length) -> (Timestamp, Timestamp) {
    let (early, late) = start.instants();
    match length {
        Length::Exact { micros } => (early, late.plus_micros(micros)),
        Length::Nominal { days, seconds } => {
            let day = start.wall.checked_add_days(Days::new(days)).unwrap_or(start.wall);
            // Days follow the wall clock, hours the instants (RFC 5545, 3.3.6).
            (early, start.zone.instants(day).1.plus_micros(seconds.saturating_mul(1_000_000)))
        }
    }
}

fn date_of(value: &PartialDateTime) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(value.year?.into(), value.month?.into(), value.day?.into())
}

/// A leap second is read as the second before it.
fn wall_of(value: &PartialDateTime) -> Option<NaiveDateTime> {
    let second = value.second.unwrap_or(0);
    let time = NaiveTime::from_hms_opt(value.hour?.into(), value.minute.unwrap_or(0).into(), second.min(59).into())?;
    (second <= 60).then(|| date_of(value).map(|date| date.and_time(time)))?
}

/// Wall-clock times far outside every window, used as open ends.
pub(super) fn shifted(wall: NaiveDateTime, days: i64) -> NaiveDateTime {
    TimeDelta::try_days(days).and_then(|delta| wall.checked_add_signed(delta)).unwrap_or(wall)
}
