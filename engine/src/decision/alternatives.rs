//! What to offer instead of a time that cannot be had.

use chrono::NaiveDate;

use super::examiner::{StartSpan, bookable};
use super::slots::known_slots;
use super::{Question, Slot};
use crate::civil;
use crate::time::{DAY_US, TimeRange};

/// How far around the wanted time to look, in days; further only while too little was found.
const REACH_DAYS: [i64; 3] = [4, 21, 62];
/// Alternatives on one day while other days have some.
const PER_DAY: usize = 2;

/// Up to `max` slots instead of `near`: nearest first, at most two on one day (of the first host's zone) while other days
/// have some.
pub fn alternatives(question: &Question<'_>, near: TimeRange, max: usize) -> Vec<Slot> {
    let bookable = bookable(question);
    if bookable.first > bookable.last || max == 0 {
        return Vec::new();
    }
    let wanted = near.start.clamp(bookable.first, bookable.last);
    let mut chosen = Vec::new();
    for days in REACH_DAYS {
        let around = StartSpan { first: wanted.plus_micros(-days * DAY_US), last: wanted.plus_micros(days * DAY_US) };
        let Some(span) = around.intersection(&bookable) else { break };
        let mut found: Vec<Slot> = known_slots(question, span).filter(|slot| slot.start != near.start).collect();
        found.sort_by_key(|slot| (slot.start.micros_since(near.start).unsigned_abs(), slot.start));
        let (spread, crowded) = spread_over_days(question, found);
        let enough = spread.len() >= max || span == bookable;
        chosen = spread.into_iter().chain(crowded).take(max).collect();
        if enough {
            break;
        }
    }
    chosen.sort_by_key(|slot| (slot.start.micros_since(near.start).unsigned_abs(), slot.start));
    chosen
}

/// Splits slots into those that come first and those that only fill up, because their day has enough already.
fn spread_over_days(question: &Question<'_>, slots: Vec<Slot>) -> (Vec<Slot>, Vec<Slot>) {
    let tz = question.hosts.first().map_or(chrono_tz::UTC, |host| host.user.timezone);
    let mut per_day: std::collections::BTreeMap<NaiveDate, usize> = std::collections::BTreeMap::new();
    slots.into_iter().partition(|slot| {
        let count = per_day.entry(civil::date_of(slot.start, tz)).or_default();
        *count += 1;
        *count <= PER_DAY
    })
}
