//! A calendar resource to instances.

use std::collections::{BTreeMap, BTreeSet};

use calcard::icalendar::{ICalendar, ICalendarComponent, ICalendarComponentType};
use calcard::icalendar::{ICalendarFreeBusyType, ICalendarParameterName, ICalendarParameterValue, ICalendarPeriod};
use calcard::icalendar::{ICalendarProperty, ICalendarRecurrenceRule, ICalendarValue};
use chrono_tz::Tz;

use super::event::{Event, Length, Moment, NoEvent, Recurrence, instants_of, parse, read_event, shifted};
use super::rrule::{Rule, Span};
use super::write::booking_of_uid;
use super::zone::{Zone, Zones};
use crate::calendar::INSTANCES_PER_RESOURCE_MAX;
use crate::facts::ExternalInstance;
use crate::ids::BookingId;
use crate::time::{DAY_US, TimeRange, Timestamp};

/// Longest text of one resource that is read.
pub const TEXT_LEN_MAX: usize = 4 * 1024 * 1024;
/// Most series in one resource that are followed; a resource holds one (RFC 4791, 4.1).
const SERIES_MAX: usize = 8;
/// Days by which the wall-clock span that is expanded exceeds the window: no offset is as large.
const SPAN_MARGIN_DAYS: i64 = 2;
/// Room given to an event of ours that somebody shortened to nothing, so that it still shows where it is.
const SHOWN_MICROS: i64 = 1_000_000;

/// What reading needs to know beside the text.
#[derive(Clone, Copy, Debug)]
pub struct ReadContext<'a> {
    /// The calendar's zone, for all-day and floating events.
    pub timezone: Tz,
    /// The addresses of the calendar's owner, whose PARTSTAT counts.
    pub owner_addresses: &'a [String],
    /// Only instances that overlap it are returned.
    pub window: TimeRange,
}

/// A resource as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Instances inside the window that block or are ours, ascending.
    pub instances: Vec<ExternalInstance>,
    /// A component still carries RRULE or RDATE: nobody expanded it before.
    pub recurring: bool,
    /// Parts that could not be understood and block more than they perhaps should.
    pub blocked_whole: usize,
}

/// Why a resource as a whole says nothing. Unknown is never free: the caller blocks what it may cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Longer than is read.
    #[error("the resource is longer than {TEXT_LEN_MAX} bytes")]
    TooLong,
    /// Not iCalendar.
    #[error("the resource is not iCalendar")]
    NotICalendar,
    /// An event in it has a time that cannot be read.
    #[error("the time of an event cannot be read")]
    TimeNotUnderstood,
}

/// Reads a calendar resource: an event, or a series with its exceptions, or a series somebody expanded.
pub fn read_resource(text: &str, context: &ReadContext<'_>) -> Result<Resource, ReadError> {
    if text.len() > TEXT_LEN_MAX {
        return Err(ReadError::TooLong);
    }
    let objects = parse(text);
    if objects.iter().all(|object| object.components.is_empty()) {
        return Err(ReadError::NotICalendar);
    }
    let mut sink = Sink {
        window: context.window,
        instances: Vec::new(),
        recurring: false,
        blocked_whole: 0,
        series_left: SERIES_MAX,
    };
    for object in &objects {
        read_object(object, context, &mut sink)?;
    }
    Ok(sink.finish())
}

fn read_object(object: &ICalendar, context: &ReadContext<'_>, sink: &mut Sink) -> Result<(), ReadError> {
    let zones = Zones::of(object);
    let mut events = Vec::new();
    for component in &object.components {
        match component.component_type {
            ICalendarComponentType::VEvent => match read_event(component, &zones, context) {
                Ok(event) => {
                    sink.blocked_whole += usize::from(event.blocks && !event.is_certain);
                    events.push(event);
                }
                Err(NoEvent::Timeless) => {}
                Err(NoEvent::NotUnderstood) => return Err(ReadError::TimeNotUnderstood),
            },
            ICalendarComponentType::VFreebusy => read_free_busy(component, sink),
            _ => {}
        }
    }
    let (exceptions, masters): (Vec<Event>, Vec<Event>) =
        events.into_iter().partition(|event| event.recurrence_id.is_some());
    let replaced = Replaced::by(&exceptions);
    for master in &masters {
        expand(master, &replaced, context, sink);
    }
    for exception in &exceptions {
        sink.add_event(exception, &exception.start, exception.length);
    }
    Ok(())
}

/// Starts of instances that exceptions stand for, by UID. An exception for this and all future ones replaces nothing: both
/// it and what it was meant to replace block, rather than too little.
struct Replaced<'e>(BTreeMap<Option<&'e str>, BTreeSet<(Timestamp, bool)>>);

impl<'e> Replaced<'e> {
    fn by(exceptions: &'e [Event]) -> Self {
        let mut replaced: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for exception in exceptions.iter().filter(|exception| !exception.this_and_future) {
            if let Some(start) = exception.recurrence_id.as_ref().and_then(start_of) {
                replaced.entry(exception.uid.as_deref()).or_default().insert(start);
            }
        }
        Self(replaced)
    }

    fn contains(&self, uid: Option<&str>, start: (Timestamp, bool)) -> bool {
        self.0.get(&uid).is_some_and(|starts| starts.contains(&start))
    }
}

/// What makes an instance's start the same as another's; nothing where its zone is unknown.
fn start_of(moment: &Moment) -> Option<(Timestamp, bool)> {
    (moment.zone != Zone::Unknown).then(|| (moment.instants().0, moment.is_date))
}

/// Busy periods of a VFREEBUSY count like events (RFC 4791, 7.10).
fn read_free_busy(component: &ICalendarComponent, sink: &mut Sink) {
    let free = ICalendarParameterValue::Fbtype(ICalendarFreeBusyType::Free);
    for entry in component.properties(&ICalendarProperty::Freebusy) {
        if entry.parameter(&ICalendarParameterName::Fbtype) == Some(&free) {
            continue;
        }
        for value in &entry.values {
            let ICalendarValue::Period(period) = value else { continue };
            let instant = |value: &calcard::common::PartialDateTime| {
                value.to_date_time().map(|result| Timestamp::from(result.date_time.and_utc()))
            };
            let (start, end) = match period {
                ICalendarPeriod::Range { start, end } => (instant(start), instant(end)),
                ICalendarPeriod::Duration { start, duration } => {
                    let begin = instant(start);
                    let length = duration.as_seconds().saturating_mul(1_000_000);
                    (begin, begin.map(|begin| begin.plus_micros(length)))
                }
            };
            if let (Some(start), Some(end)) = (start, end) {
                sink.add(start, end, None, true);
            }
        }
    }
}

/// A master's instances, but for those an exception stands for and those EXDATE takes out.
fn expand(master: &Event, replaced: &Replaced<'_>, context: &ReadContext<'_>, sink: &mut Sink) {
    let Some(recurrence) = &master.rule else {
        return expand_dates(master, replaced, vec![master.start.clone()], sink);
    };
    sink.recurring = true;
    let followed = sink.series_left.checked_sub(1);
    sink.series_left = followed.unwrap_or(0);
    let moments = match recurrence {
        Recurrence::Rules(rules) => followed.and_then(|_| occurrences(master, rules, context)),
        Recurrence::NotUnderstood => None,
    };
    match moments {
        Some(mut moments) => {
            moments.push(master.start.clone());
            expand_dates(master, replaced, moments, sink);
        }
        None => sink.block_from(master),
    }
}

fn expand_dates(master: &Event, replaced: &Replaced<'_>, starts: Vec<Moment>, sink: &mut Sink) {
    let excluded: BTreeSet<_> = master.exdates.iter().filter_map(start_of).collect();
    let own = starts.into_iter().map(|start| (start, master.length));
    let further = master.rdates.iter().map(|(start, length)| (start.clone(), length.unwrap_or(master.length)));
    sink.recurring |= !master.rdates.is_empty();
    for (start, length) in own.chain(further) {
        let key = (start.instants().0, start.is_date);
        if !excluded.contains(&key) && !replaced.contains(master.uid.as_deref(), key) {
            sink.add_event(master, &start, length);
        }
    }
}

/// The occurrences of a master's rules that may reach into the window; `None` where that cannot be told.
fn occurrences(master: &Event, rules: &[ICalendarRecurrenceRule], context: &ReadContext<'_>) -> Option<Vec<Moment>> {
    let (start, zone) = (&master.start, &master.start.zone);
    let (first, last) = instants_of(start, master.length);
    let reach_days = last.micros_since(first).div_euclid(DAY_US) + SPAN_MARGIN_DAYS;
    let span = Span {
        from: shifted(zone.wall(context.window.start), -reach_days),
        to: shifted(zone.wall(context.window.end), SPAN_MARGIN_DAYS),
    };
    let mut moments = Vec::new();
    for rule in rules {
        // An UNTIL in UTC for whole days keeps its day; for times it is brought to DTSTART's clock.
        let to_wall = |utc: chrono::NaiveDateTime| {
            Some(if start.is_date { utc } else { zone.wall(Timestamp::from(utc.and_utc())) })
        };
        let found = Rule::parse(rule, to_wall)?.occurrences(start.wall, span).ok()?;
        moments.extend(found.into_iter().map(|wall| Moment { wall, ..start.clone() }));
        if moments.len() > 2 * INSTANCES_PER_RESOURCE_MAX {
            return None;
        }
    }
    Some(moments)
}

struct Sink {
    window: TimeRange,
    instances: Vec<ExternalInstance>,
    recurring: bool,
    blocked_whole: usize,
    series_left: usize,
}

impl Sink {
    fn add_event(&mut self, event: &Event, start: &Moment, length: Length) {
        let (begin, mut end) = instants_of(start, length);
        let booking_id = event.uid.as_deref().and_then(booking_of_uid);
        if booking_id.is_some() && begin >= end {
            end = begin.plus_micros(SHOWN_MICROS);
            return self.add(begin, end, booking_id, false);
        }
        self.add(begin, end, booking_id, event.blocks);
    }

    /// Nothing that lasts no time blocks any (RFC 4791, 7.10), so such a range is dropped.
    fn add(&mut self, start: Timestamp, end: Timestamp, booking_id: Option<BookingId>, blocks: bool) {
        let Some(range) = TimeRange::new(start.clamped(), end.clamped()) else { return };
        if range.overlaps(&self.window) && (blocks || booking_id.is_some()) {
            self.instances.push(ExternalInstance { range, booking_id, blocks });
        }
    }

    /// A series that cannot be followed blocks from its beginning to the end of the window.
    fn block_from(&mut self, master: &Event) {
        if master.blocks {
            self.blocked_whole += 1;
            self.add(master.start.instants().0, self.window.end, None, true);
        }
    }

    fn finish(mut self) -> Resource {
        self.instances.sort_unstable();
        self.instances.dedup();
        if self.instances.len() > INSTANCES_PER_RESOURCE_MAX {
            self.blocked_whole += 1;
            self.instances = coalesced(self.instances);
        }
        Resource { instances: self.instances, recurring: self.recurring, blocked_whole: self.blocked_whole }
    }
}

/// One instance from the first to the last of too many. Ours are never that many.
fn coalesced(instances: Vec<ExternalInstance>) -> Vec<ExternalInstance> {
    let start = instances.iter().map(|instance| instance.range.start).min();
    let end = instances.iter().map(|instance| instance.range.end).max();
    let range = start.zip(end).and_then(|(start, end)| TimeRange::new(start, end));
    range.map(|range| ExternalInstance { range, booking_id: None, blocks: true }).into_iter().collect()
}
