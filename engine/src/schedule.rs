//! Somebody's availability rules, with the windows they come to.
//!
//! Rules change rarely and are asked about all the time, and working them out costs a search of the zone's history for
//! each end of each window. So the windows of the dates that questions ask about are kept beside the rules, for as long
//! as the rules themselves are. They follow from the rules and the grid epoch alone: whoever keeps them keeps no answer.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use chrono::{NaiveDate, NaiveTime};

use crate::busy::BusySet;
use crate::model::AvailabilityRules;
use crate::time::{DAY_US, TimeRange, Timestamp};
use crate::windows;

/// Dates are worked out in blocks of so many days, so that questions about neighbouring weeks find them done.
const BLOCK_DAYS: i64 = 64;
/// Most days after the grid epoch that are kept. Questions beyond, of which there are few, are worked out each time.
const KEPT_DAYS_MAX: i64 = 832;

/// Availability rules that remember their windows.
#[derive(Debug)]
pub struct Schedule {
    rules: AvailabilityRules,
    /// Whether anybody asked before: what is asked about once is not worth keeping.
    asked: AtomicBool,
    kept: ArcSwapOption<Kept>,
}

/// Windows from the grid epoch on.
#[derive(Debug)]
struct Kept {
    epoch: NaiveDate,
    /// Questions that end by then are answered from here.
    until: Timestamp,
    windows: BusySet,
}

impl Schedule {
    /// The rules.
    pub fn rules(&self) -> &AvailabilityRules {
        &self.rules
    }

    /// The merged windows that share an instant with `range`, each from its true start; ends beyond the range may be cut.
    pub fn windows(&self, range: TimeRange, now: Timestamp) -> BusySet {
        let epoch = windows::grid_epoch(now);
        match self.kept.load().as_deref() {
            Some(kept) if kept.epoch == epoch && range.end <= kept.until => return kept.windows.part(&range),
            _ => {}
        }
        let until = end_of_block(epoch, range.end).filter(|_| self.asked.swap(true, Ordering::Relaxed));
        let Some(until) = until else {
            return windows::windows(&self.rules, range, now);
        };
        let kept = Kept { epoch, until, windows: windows::since_epoch(&self.rules, until, now) };
        let part = kept.windows.part(&range);
        // Two questions at once may both work them out; they come to the same.
        self.kept.store(Some(Arc::new(kept)));
        part
    }
}

/// The end of the block of dates that `end` lies in; `None` where nothing is kept so late.
fn end_of_block(epoch: NaiveDate, end: Timestamp) -> Option<Timestamp> {
    let begin = Timestamp::from_micros(epoch.and_time(NaiveTime::MIN).and_utc().timestamp_micros());
    let days = end.micros_since(begin).max(0) / DAY_US;
    let kept_days = (days / BLOCK_DAYS + 1) * BLOCK_DAYS;
    (kept_days <= KEPT_DAYS_MAX).then(|| begin.plus_micros(kept_days * DAY_US))
}

impl From<AvailabilityRules> for Schedule {
    fn from(rules: AvailabilityRules) -> Self {
        Self { rules, asked: AtomicBool::new(false), kept: ArcSwapOption::empty() }
    }
}

impl Deref for Schedule {
    type Target = AvailabilityRules;

    fn deref(&self) -> &AvailabilityRules {
        &self.rules
    }
}

/// What is kept follows from the rules.
impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules
    }
}

impl Eq for Schedule {}
