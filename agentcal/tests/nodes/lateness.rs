//! Offers of what was sold, while they may still be made: how many, why, and how late the last of them was.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use agentcal_engine::model::ClaimOwner;
use agentcal_history::{LateCause, LateOffer, Report};

use crate::nemesis::Act;

/// All of them, for the last line.
pub(crate) struct Lateness<'r>(&'r [LateOffer]);

impl<'r> Lateness<'r> {
    pub(crate) fn of(report: &'r Report) -> Self {
        Self(&report.late_offers)
    }

    fn count(&self, is_counted: impl Fn(&LateOffer) -> bool) -> usize {
        self.0.iter().filter(|offer| is_counted(offer)).count()
    }
}

impl fmt::Display for Lateness<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "offered_late={} late_ownerless={} late_uncached={} late_longest_ms={} as_complete={}",
            self.0.len(),
            self.count(|offer| offer.cause == LateCause::Ownerless),
            self.count(|offer| offer.cause == LateCause::Uncached),
            self.0.iter().map(|offer| offer.late_us).max().unwrap_or_default() / 1000,
            self.count(|offer| offer.is_complete),
        )
    }
}

/// Prints of which misfortune they come: the last that had begun when the time was sold.
pub(crate) fn print(acts: &[Act], report: &Report) {
    let mut found: BTreeMap<(String, LateCause), (usize, BTreeSet<ClaimOwner>)> = BTreeMap::new();
    for offer in &report.late_offers {
        let act = acts.iter().rev().find(|act| act.at <= offer.since);
        let after = act.map_or_else(|| "nothing".to_owned(), |act| format!("{:?}", act.what));
        let (offers, sales) = found.entry((after, offer.cause)).or_default();
        *offers += 1;
        sales.insert(offer.owner);
    }
    for ((after, cause), (offers, sales)) in found {
        println!("offered late after {after}, {cause:?}: {offers} times, of {} sales", sales.len());
    }
}
