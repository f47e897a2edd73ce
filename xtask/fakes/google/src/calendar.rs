//! One calendar: its events, their versions, and what a client that was here before has not seen.

use std::collections::{BTreeMap, BTreeSet};

use agentcal_fake_kit::recurrence::{RecurrenceRule, dates_of, wall_of};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};

use crate::times::{Body, Times};

/// How far from now a series is followed, to tell which of its instances vanish with a change.
const HORIZON_DAYS: i64 = 800;
/// Most instances of one series.
const INSTANCES_MAX: usize = 100_000;

/// A calendar.
#[derive(Clone, Debug)]
pub(crate) struct Calendar {
    pub(crate) id: String,
    pub(crate) summary: String,
    pub(crate) zone: Tz,
    /// Events, series, and exceptions to series, by id. What was deleted stays, cancelled.
    pub(crate) events: BTreeMap<String, Stored>,
    /// Instances that a change of their series took away, and singles that became series.
    pub(crate) ghosts: BTreeMap<String, Stored>,
    /// Number of the last change.
    pub(crate) change: u64,
    /// Changes before this one are forgotten.
    pub(crate) remembers_since: u64,
    /// Whether it can be watched.
    pub(crate) can_be_watched: bool,
}

/// Something with a version.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) body: Body,
    pub(crate) change: u64,
    /// When it is, worked out once; `None` for what vanished.
    span: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// Something a list may show, not yet written down.
pub(crate) struct Shown<'a> {
    pub(crate) id: String,
    pub(crate) change: u64,
    /// When it is; `None` for what is gone.
    pub(crate) span: Option<(DateTime<Utc>, DateTime<Utc>)>,
    pub(crate) cancelled: bool,
    source: Source<'a>,
}

enum Source<'a> {
    Stored(&'a Body),
    Instance { master: &'a Body, times: Times },
}

impl Shown<'_> {
    /// Whether it is kept as such, and not worked out from a series.
    pub(crate) fn is_stored(&self) -> bool {
        matches!(self.source, Source::Stored(_))
    }

    /// When an instance that vanished with a change of its series would have begun.
    pub(crate) fn vanished_from(&self) -> Option<DateTime<Utc>> {
        match &self.source {
            Source::Stored(body) if self.cancelled && !body.contains_key("start") => {
                let start = body.get("originalStartTime")?.get("dateTime")?.as_str()?;
                Some(DateTime::parse_from_rfc3339(start).ok()?.to_utc())
            }
            _ => None,
        }
    }

    /// Its JSON.
    pub(crate) fn body(&self) -> Body {
        match &self.source {
            Source::Stored(body) => (*body).clone(),
            Source::Instance { master, times } => instance_body(master, &self.id, times),
        }
    }
}

pub(crate) fn text<'a>(body: &'a Body, key: &str) -> Option<&'a str> {
    body.get(key).and_then(Value::as_str)
}

pub(crate) fn is_cancelled(body: &Body) -> bool {
    text(body, "status") == Some("cancelled")
}

pub(crate) fn is_series(body: &Body) -> bool {
    body.get("recurrence").and_then(Value::as_array).is_some_and(|lines| !lines.is_empty())
}

fn instance_body(master: &Body, id: &str, times: &Times) -> Body {
    let mut body = master.clone();
    body.remove("recurrence");
    body.insert("id".into(), id.into());
    body.insert("recurringEventId".into(), master.get("id").cloned().unwrap_or_default());
    body.insert("originalStartTime".into(), times.start_json());
    body.insert("start".into(), times.start_json());
    body.insert("end".into(), times.end_json());
    body
}

impl Calendar {
    pub(crate) fn new(id: &str, summary: &str, zone: Tz) -> Self {
        Self {
            id: id.to_owned(),
            summary: summary.to_owned(),
            zone,
            events: BTreeMap::new(),
            ghosts: BTreeMap::new(),
            change: 0,
            remembers_since: 0,
            can_be_watched: true,
        }
    }

    /// The instances of a series that begin before an instant, by id; exceptions are not looked at.
    pub(crate) fn occurrences(&self, master: &Body, before: DateTime<Utc>) -> BTreeMap<String, Times> {
        let Ok(times) = Times::of(master, self.zone) else { return BTreeMap::new() };
        let id = text(master, "id").unwrap_or_default();
        let lines = master.get("recurrence").and_then(Value::as_array);
        let lines = lines.into_iter().flatten().filter_map(Value::as_str);
        let mut walls: BTreeSet<NaiveDateTime> = BTreeSet::new();
        let mut excluded: BTreeSet<NaiveDateTime> = BTreeSet::new();
        for line in lines {
            if line.starts_with("RRULE") {
                if let Some(rule) = RecurrenceRule::parse(line, times.zone) {
                    walls.extend(rule.occurrences(times.start, wall_of(before, times.zone), INSTANCES_MAX));
                }
            } else if line.starts_with("EXDATE") {
                excluded.extend(dates_of(line, times.zone));
            } else if line.starts_with("RDATE") {
                walls.extend(dates_of(line, times.zone));
            }
        }
        let kept = walls.difference(&excluded).map(|&wall| times.at(wall));
        kept.map(|times| (format!("{id}_{}", times.suffix()), times)).collect()
    }

    /// Everything a list may show that begins before an instant: single events, and series as they are or as instances.
    pub(crate) fn shown(&self, expanded: bool, before: DateTime<Utc>) -> Vec<Shown<'_>> {
        let mut shown = Vec::new();
        for (id, stored) in &self.events {
            if expanded && is_series(&stored.body) {
                if !is_cancelled(&stored.body) {
                    shown.extend(self.instances(stored, before));
                }
            } else {
                shown.push(Self::shown_as_is(id, stored));
            }
        }
        if expanded {
            shown.extend(self.ghosts.iter().map(|(id, ghost)| Self::shown_as_is(id, ghost)));
        }
        shown
    }

    fn shown_as_is<'a>(id: &str, stored: &'a Stored) -> Shown<'a> {
        let (change, span, cancelled) = (stored.change, stored.span, is_cancelled(&stored.body));
        Shown { id: id.to_owned(), change, span, cancelled, source: Source::Stored(&stored.body) }
    }

    /// The instances of a series that no exception stands for.
    pub(crate) fn instances<'a>(&'a self, master: &'a Stored, before: DateTime<Utc>) -> Vec<Shown<'a>> {
        let plain = self.occurrences(&master.body, before).into_iter();
        let plain = plain.filter(|(id, _)| !self.events.contains_key(id));
        let shown = plain.map(|(id, times)| Shown {
            id,
            change: master.change,
            span: Some(times.span()),
            cancelled: false,
            source: Source::Instance { master: &master.body, times },
        });
        shown.collect()
    }

    /// The exceptions of a series.
    pub(crate) fn exceptions<'a>(&'a self, master_id: &'a str) -> impl Iterator<Item = Shown<'a>> {
        let of_master = |stored: &Stored| text(&stored.body, "recurringEventId") == Some(master_id);
        let exceptions = self.events.iter().filter(move |(_, stored)| of_master(stored));
        exceptions.map(|(id, stored)| Self::shown_as_is(id, stored))
    }

    /// An event, a series, or an instance of one; deleted ones too.
    pub(crate) fn find(&self, id: &str, now: DateTime<Utc>) -> Option<Body> {
        if let Some(stored) = self.events.get(id) {
            return Some(stored.body.clone());
        }
        let (master_id, _) = id.rsplit_once('_')?;
        let master = self.events.get(master_id).filter(|master| is_series(&master.body))?;
        let times = self.occurrences(&master.body, now + TimeDelta::days(HORIZON_DAYS)).remove(id)?;
        let mut body = instance_body(&master.body, id, &times);
        if is_cancelled(&master.body) {
            body.insert("status".into(), "cancelled".into());
        }
        Some(body)
    }

    /// Stores an event as it now is, numbered and dated.
    pub(crate) fn put(&mut self, id: &str, mut body: Body, now: DateTime<Utc>) -> Body {
        self.change += 1;
        let horizon = now + TimeDelta::days(HORIZON_DAYS);
        let before = self.instance_ids(id, horizon);
        body.insert("etag".into(), format!("\"{}\"", now.timestamp_millis() * 1_000 + self.change as i64).into());
        body.insert("updated".into(), now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true).into());
        let span = Times::of(&body, self.zone).ok().map(|times| times.span());
        self.events.insert(id.to_owned(), Stored { body: body.clone(), change: self.change, span });
        let after = self.instance_ids(id, horizon);
        for gone in before.difference(&after) {
            self.vanish(id, gone);
        }
        for back in &after {
            self.ghosts.remove(back);
        }
        body
    }

    /// What a client that asks for single events sees of one id.
    fn instance_ids(&self, id: &str, before: DateTime<Utc>) -> BTreeSet<String> {
        match self.events.get(id) {
            Some(stored) if is_series(&stored.body) && is_cancelled(&stored.body) => BTreeSet::new(),
            Some(stored) if is_series(&stored.body) => self.occurrences(&stored.body, before).into_keys().collect(),
            Some(_) => BTreeSet::from([id.to_owned()]),
            None => BTreeSet::new(),
        }
    }

    fn vanish(&mut self, master_id: &str, instance_id: &str) {
        // A single event that became a series is still stored under its id.
        if instance_id != master_id {
            self.events.remove(instance_id);
        }
        let mut body = Body::new();
        body.insert("kind".into(), "calendar#event".into());
        body.insert("id".into(), instance_id.into());
        body.insert("status".into(), "cancelled".into());
        body.insert("etag".into(), format!("\"{}\"", self.change).into());
        if let Some((_, suffix)) = instance_id.rsplit_once('_').filter(|_| instance_id != master_id) {
            body.insert("recurringEventId".into(), master_id.into());
            body.insert("originalStartTime".into(), original_start(suffix));
        }
        self.ghosts.insert(instance_id.to_owned(), Stored { body, change: self.change, span: None });
    }
}

/// Where an instance began, from what its id ends with.
fn original_start(suffix: &str) -> Value {
    match NaiveDateTime::parse_from_str(suffix, "%Y%m%dT%H%M%SZ") {
        Ok(utc) => json!({"dateTime": utc.and_utc().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)}),
        Err(_) => match chrono::NaiveDate::parse_from_str(suffix, "%Y%m%d") {
            Ok(date) => json!({"date": date.to_string()}),
            Err(_) => json!({}),
        },
    }
}
