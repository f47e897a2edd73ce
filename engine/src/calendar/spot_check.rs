//! The check of last resort: what a provider says of one range, asked when nothing fresh enough can be had of its calendar and
//! a commit would fail for it.
//!
//! Invariant: a spot check is never facts. It speaks for the range that was asked about, to the one commit that asked, and is
//! neither saved nor published.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::decision::Host;
use crate::facts::{CalendarFacts, ExternalInstance, FactSource, Knowledge, UnknownReason};
use crate::ids::{CalendarId, UserId};
use crate::model::SchedulingMode;
use crate::ports::{Entropy, ProviderError};
use crate::time::{TimeRange, Timestamp};

use super::ask::DecideAsk;
use super::judge::promised_terms;
use super::request::{CommitAnswer, UnavailableReason};
use super::schedule::spot_check_wait;

/// Most calendars that are checked for one commit.
pub const SPOT_CHECKS_MAX: usize = 16;

/// Part of a caller's patience that is kept for spot checks while a sync is waited for; half of it, where that is less.
pub const SPOT_CHECK_PATIENCE: Duration = Duration::from_millis(2_500);

/// What a provider said of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpotCheck {
    /// The instants it was asked about. It says nothing of others.
    pub range: TimeRange,
    /// When it was asked, before the answer came.
    pub asked_at: Timestamp,
    /// Everything that blocks in the range, or is ours; what reaches beyond it is whole.
    pub instances: Vec<ExternalInstance>,
}

/// What is to be checked for a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpotChecksWanted {
    /// The calendars.
    pub calendar_ids: BTreeSet<CalendarId>,
    /// The time asked for, with its buffers.
    pub range: TimeRange,
}

/// The spot checks of one commit. They are asked for at most once, and count for each of its attempts.
#[derive(Clone, Debug, Default)]
pub struct SpotChecks {
    answered: Option<BTreeMap<CalendarId, SpotCheck>>,
}

impl SpotChecks {
    /// What was answered. Whatever was not is as unknown as before.
    pub fn answered(answers: impl IntoIterator<Item = (CalendarId, SpotCheck)>) -> Self {
        Self { answered: Some(answers.into_iter().collect()) }
    }

    /// Whether they were asked for.
    pub fn were_asked(&self) -> bool {
        self.answered.is_some()
    }

    /// What was said of a calendar.
    pub fn of(&self, calendar_id: CalendarId) -> Option<&SpotCheck> {
        self.answered.as_ref()?.get(&calendar_id)
    }

    /// The calendars that were answered for.
    pub fn calendar_ids(&self) -> impl Iterator<Item = CalendarId> + '_ {
        self.answered.iter().flat_map(BTreeMap::keys).copied()
    }
}

impl SpotCheck {
    /// A calendar's facts with what was said of the range in the place of what was known of it. Claims stay, and with them
    /// what is an event of ours and what is somebody's: those rules are the facts' own.
    ///
    /// Outside the range everything is as it was. Where nothing was known, nothing but the range is known now; where the
    /// calendar is gone or its owner has taken the grant back, nothing is.
    pub fn over(&self, source: FactSource) -> CalendarFacts {
        let knowledge = match source.knowledge {
            Knowledge::Unknown(reason) if !is_helped(reason) => return CalendarFacts::assemble(source),
            Knowledge::Unknown(_) => {
                Knowledge::Synced { as_of: self.asked_at, window: self.range, watched_until: None }
            }
            known => known,
        };
        let before = source.instances.into_iter().flat_map(|instance| outside(instance, self.range));
        let within = self.instances.iter().filter(|instance| instance.range.overlaps(&self.range)).cloned();
        let instances = before.chain(within).collect();
        CalendarFacts::assemble(FactSource { knowledge, instances, ..source })
    }
}

/// What to check so that a commit which this answer refuses for want of knowledge may be decided after all; `None` where no
/// check can help. `is_old`: whether facts are too old to book on. `can_check`: whether a calendar's provider answers checks.
pub fn wanted(
    ask: &DecideAsk,
    hosts: &[Host],
    answer: &CommitAnswer,
    is_old: impl Fn(&CalendarFacts) -> bool,
    can_check: impl Fn(CalendarId) -> bool,
) -> Option<SpotChecksWanted> {
    let CommitAnswer::Unavailable(
        UnavailableReason::FactsStale { user_ids } | UnavailableReason::FactsUnknown { user_ids },
    ) = answer
    else {
        return None;
    };
    let calendars_of = |user_id: &UserId| {
        let open = in_the_dark(hosts.iter().find(|host| host.user.id == *user_id)?, &is_old)?;
        open.iter().all(|&calendar_id| can_check(calendar_id)).then_some(open)
    };
    let mut calendar_ids = BTreeSet::new();
    for of_host in user_ids.iter().map(calendars_of) {
        let fits = |all: &BTreeSet<CalendarId>| all.len() <= SPOT_CHECKS_MAX;
        let with_host = of_host.map(|of_host| &calendar_ids | &of_host).filter(fits);
        match (with_host, ask.terms.scheduling_mode) {
            (Some(with_host), _) => calendar_ids = with_host,
            // Everybody must be known, or asking for the others is in vain.
            (None, SchedulingMode::Collective) => return None,
            // One of them is enough.
            (None, SchedulingMode::Individual | SchedulingMode::RoundRobin) => {}
        }
    }
    let range = range_of(ask, hosts);
    (!calendar_ids.is_empty()).then_some(SpotChecksWanted { calendar_ids, range })
}

/// The calendars of a host that must be checked before it can be booked; `None` where checking is of no use.
fn in_the_dark(host: &Host, is_old: impl Fn(&CalendarFacts) -> bool) -> Option<BTreeSet<CalendarId>> {
    let mut calendar_ids = BTreeSet::new();
    for calendar_id in host.user.calendars_read() {
        let facts = host.facts.iter().find(|facts| facts.calendar_id == calendar_id)?;
        match facts.knowledge {
            Knowledge::Unknown(reason) if !is_helped(reason) => return None,
            Knowledge::Synced { .. } if !is_old(facts) => {}
            Knowledge::Internal => {}
            Knowledge::Unknown(_) | Knowledge::Synced { .. } => {
                calendar_ids.insert(calendar_id);
            }
        }
    }
    Some(calendar_ids)
}

/// Whether asking the provider once more may tell what is not known. It has said already that the calendar is gone, or that
/// it will not speak to us; and beyond the synced window nobody may book at all.
fn is_helped(reason: UnknownReason) -> bool {
    match reason {
        UnknownReason::NotSynced | UnknownReason::ProviderError | UnknownReason::DeadlineExceeded => true,
        UnknownReason::CalendarGone | UnknownReason::ReauthorizationRequired | UnknownReason::OutsideSyncedWindow => {
            false
        }
    }
}

/// The instants in which somebody else's event would stand in the way: the meeting's, and its buffers'.
fn range_of(ask: &DecideAsk, hosts: &[Host]) -> TimeRange {
    let terms = promised_terms(ask, hosts);
    TimeRange {
        start: ask.range.start.plus_micros(-terms.buffer_before_us()),
        end: ask.range.end.plus_micros(terms.buffer_after_us()),
    }
}

/// What of an instance is left outside a range. One of ours stands where it stands or not at all, since only whole does it
/// coincide with its claim.
fn outside(instance: ExternalInstance, range: TimeRange) -> Vec<ExternalInstance> {
    if !instance.range.overlaps(&range) {
        return vec![instance];
    }
    if instance.booking_id.is_some() {
        return Vec::new();
    }
    let sides = [
        TimeRange::new(instance.range.start, range.start.min(instance.range.end)),
        TimeRange::new(range.end.max(instance.range.start), instance.range.end),
    ];
    sides.into_iter().flatten().map(|range| ExternalInstance { range, ..instance.clone() }).collect()
}

/// When a calendar's provider may be asked again after it did not answer a spot check, so that an outage costs those who
/// want to book an answer at once, and the provider one request now and then.
#[derive(Clone, Copy, Debug)]
pub struct SpotCheckPace {
    failures: u32,
    not_before: Timestamp,
}

impl Default for SpotCheckPace {
    fn default() -> Self {
        Self { failures: 0, not_before: Timestamp::EARLIEST }
    }
}

impl SpotCheckPace {
    /// Whether it may be asked now.
    pub fn may_ask(&self, now: Timestamp) -> bool {
        self.not_before <= now
    }

    /// It answered, or did not.
    pub fn handle_answer(&mut self, answer: Result<(), ProviderError>, now: Timestamp, entropy: &dyn Entropy) {
        match answer {
            Ok(()) => *self = Self::default(),
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.not_before = now + spot_check_wait(&error, self.failures, entropy);
            }
        }
    }
}

#[cfg(test)]
mod tests;
