//! The work that is counted.

use std::hint::black_box;

use clap::ValueEnum;
use tokio::runtime::Builder;

use crate::question;
use crate::stage::Stage;

/// Requests of the workload that differs in slots.
const REQUESTS_FOR_SLOTS: u64 = 20;

/// Something there can be more or less of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Workload {
    /// One start looked at, in the decision.
    #[value(name = "slot_examined")]
    SlotExamined,
    /// One busy interval of a calendar.
    #[value(name = "busy_interval")]
    BusyInterval,
    /// One window of somebody's rules.
    #[value(name = "rule_window")]
    RuleWindow,
    /// One more slot in an answer, found and written.
    #[value(name = "slot_rendered")]
    SlotRendered,
    /// A request about a week, from the router to the answer's bytes.
    #[value(name = "warm_request")]
    WarmRequest,
}

impl Workload {
    /// All of them.
    pub(crate) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// What it is called in the file of counts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SlotExamined => "slot_examined",
            Self::BusyInterval => "busy_interval",
            Self::RuleWindow => "rule_window",
            Self::SlotRendered => "slot_rendered",
            Self::WarmRequest => "warm_request",
        }
    }

    /// So many units are counted against twice as many.
    pub(crate) fn units(self) -> u64 {
        match self {
            Self::SlotExamined => 10_080,
            Self::BusyInterval => 2_800,
            Self::RuleWindow => 560,
            Self::SlotRendered => 150,
            Self::WarmRequest => 200,
        }
    }

    /// How many times a unit is done for each one that is asked for.
    pub(crate) fn repeats(self) -> u64 {
        if self == Self::SlotRendered { REQUESTS_FOR_SLOTS } else { 1 }
    }

    /// Does so many units.
    pub(crate) fn perform(self, units: u64) {
        match self {
            Self::SlotExamined => drop(black_box(question::examine_slots(black_box(units)))),
            Self::BusyInterval => drop(black_box(question::weigh_busy_intervals(black_box(units)))),
            Self::RuleWindow => drop(black_box(question::expand_windows(black_box(units)))),
            Self::SlotRendered => on_stage(async |stage| stage.ask_for_slots(REQUESTS_FOR_SLOTS, units).await),
            Self::WarmRequest => on_stage(async |stage| stage.ask_about_weeks(units).await),
        }
    }
}

fn on_stage(work: impl AsyncFnOnce(&Stage)) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { work(&Stage::build().await).await });
}
