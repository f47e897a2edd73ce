//! What to offer instead of a time that cannot be had.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::examiner::{StartSpan, bookable};
use super::slots::known_slots;
use super::{Question, Slot};
use crate::civil;
use crate::time::{DAY_US, TimeRange, Timestamp};

/// How far around the wanted time to look, in days; further only while too little was found.
const REACH_DAYS: [i64; 4] = [4, 21, 62, 400];
/// Looked at beyond the reach, so that whatever lies within has all of its day in sight.
const MARGIN_DAYS: i64 = 2;
/// Alternatives on one day while other days have some.
const PER_DAY: usize = 2;
/// Minutes after midnight at which afternoon and evening begin.
const AFTERNOON_MINUTE: i64 = 12 * 60;
const EVENING_MINUTE: i64 = 17 * 60;

/// Morning, afternoon or evening of a day on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DayPart {
    /// The day.
    pub date: NaiveDate,
    /// 0: before noon, 1: up to 17:00, 2: later.
    pub part: u8,
}

impl DayPart {
    /// The part of the day an instant lies in.
    pub fn of(instant: Timestamp, tz: Tz) -> Self {
        let part = match civil::minute_of_day(instant, tz) {
            minute if minute < AFTERNOON_MINUTE => 0,
            minute if minute < EVENING_MINUTE => 1,
            _ => 2,
        };
        Self { date: civil::date_of(instant, tz), part }
    }
}

/// Up to `max` slots instead of `near`, nearest first, spread over days and parts of days on the wall of the first host:
/// at most two on one day while other days have some, and these not in the same part of it while its other parts have
/// some.
pub fn alternatives(question: &Question<'_>, near: TimeRange, max: usize) -> Vec<Slot> {
    let bookable = bookable(question);
    if bookable.first > bookable.last || max == 0 {
        return Vec::new();
    }
    let wanted = near.start.clamp(bookable.first, bookable.last);
    let distance_us = |slot: &Slot| slot.start.micros_since(wanted).unsigned_abs();
    let mut chosen = Vec::new();
    for days in REACH_DAYS {
        let margin_us = (days + MARGIN_DAYS) * DAY_US;
        let around = StartSpan { first: wanted.plus_micros(-margin_us), last: wanted.plus_micros(margin_us) };
        let Some(span) = around.intersection(&bookable) else { break };
        let mut found: Vec<Slot> = known_slots(question, span).filter(|slot| slot.start != near.start).collect();
        found.sort_by_key(|slot| (distance_us(slot), slot.start));
        let mut spread = Spread::over(question, found);
        chosen = spread.take(max);
        let settled =
            chosen.len() == max && chosen.iter().all(|slot| distance_us(slot) <= (days * DAY_US).unsigned_abs());
        if settled || span == bookable {
            chosen.extend(spread.fill_up(max - chosen.len()));
            break;
        }
    }
    chosen.sort_by_key(|slot| (distance_us(slot), slot.start));
    chosen
}

/// Slots to choose from, nearest first, and how many were chosen of each day and part.
struct Spread {
    left: Vec<(Slot, DayPart)>,
    taken: BTreeMap<DayPart, usize>,
}

impl Spread {
    fn over(question: &Question<'_>, slots: Vec<Slot>) -> Self {
        let tz = question.hosts.first().map_or(chrono_tz::UTC, |host| host.user.timezone);
        let left = slots.into_iter().map(|slot| (slot, DayPart::of(slot.start, tz))).collect();
        Self { left, taken: BTreeMap::new() }
    }

    /// The nearest that keep to the rule for each day.
    fn take(&mut self, max: usize) -> Vec<Slot> {
        let mut parts: BTreeMap<NaiveDate, u8> = BTreeMap::new();
        for (_, at) in &self.left {
            *parts.entry(at.date).or_default() |= 1 << at.part;
        }
        let mut chosen = Vec::new();
        let mut left = Vec::new();
        for (slot, at) in std::mem::take(&mut self.left) {
            let of_part = self.taken.get(&at).copied().unwrap_or(0);
            let only_part = parts.get(&at.date) == Some(&(1 << at.part));
            if chosen.len() < max && self.of_day(at.date) < PER_DAY && (of_part == 0 || only_part) {
                *self.taken.entry(at).or_default() += 1;
                chosen.push(slot);
            } else {
                left.push((slot, at));
            }
        }
        self.left = left;
        chosen
    }

    /// When nothing more keeps to the rule: what crowds its day least, then its part of the day, then the nearest.
    fn fill_up(&mut self, count: usize) -> Vec<Slot> {
        let mut chosen = Vec::new();
        while chosen.len() < count {
            let crowd = |at: &DayPart| (self.of_day(at.date), self.taken.get(at).copied().unwrap_or(0));
            let least = self.left.iter().enumerate().min_by_key(|(index, (_, at))| (crowd(at), *index));
            let Some(index) = least.map(|(index, _)| index) else { break };
            let (slot, at) = self.left.remove(index);
            *self.taken.entry(at).or_default() += 1;
            chosen.push(slot);
        }
        chosen
    }

    fn of_day(&self, date: NaiveDate) -> usize {
        let all = DayPart { date, part: 0 }..=DayPart { date, part: u8::MAX };
        self.taken.range(all).map(|(_, count)| count).sum()
    }
}
