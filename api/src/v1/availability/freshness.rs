//! How old an answer's facts are, and who had to be left out.

use std::time::Duration;

use agentcal_actors::{Freshness, Scheduler};
use agentcal_engine::calendar::ask::user_in;
use agentcal_engine::decision::Host;
use agentcal_engine::facts::{MaxAge, UnknownReason};
use agentcal_engine::ids::{CalendarId, UserId};
use agentcal_engine::ports::AccountConfig;
use agentcal_engine::time::Timestamp;

use super::FreshnessState;

/// What an answer rests on.
pub(super) struct Basis {
    pub(super) state: FreshnessState,
    pub(super) as_of: Timestamp,
}

/// Ages beyond which facts are stale: as asked for, or two poll intervals of each calendar's provider, or a sweep and its tries
/// where it rings.
pub(super) struct Staleness<'a> {
    pub(super) scheduler: &'a Scheduler,
    pub(super) config: &'a AccountConfig,
    pub(super) asked: Option<Duration>,
}

impl Staleness<'_> {
    /// The age up to which facts of these calendars need not be renewed first.
    fn renew_after(&self, calendar_ids: &[CalendarId]) -> Option<MaxAge> {
        self.asked.map(MaxAge::from).or_else(|| self.scheduler.stale_after(self.config, calendar_ids))
    }

    /// These users with their facts, renewed first where they are older than that, as far as the deadline allows.
    pub(super) async fn hosts(&self, user_ids: &[UserId], deadline: Duration) -> Vec<Host> {
        let max_age = self.renew_after(&self.calendars_of(user_ids));
        let need = Freshness { max_age, deadline };
        self.scheduler.hosts(self.config, user_ids, need).await
    }

    fn calendars_of(&self, user_ids: &[UserId]) -> Vec<CalendarId> {
        let users = user_ids.iter().filter_map(|&user_id| user_in(self.config, user_id));
        users.flat_map(|(user, _)| user.calendars_read()).collect()
    }

    /// Judges the facts of everybody who was not left out. `asked_at` is when the question came: facts renewed for it
    /// are younger than that, however short an age was asked for.
    pub(super) fn judge(&self, hosts: &[Host], unknown: &[(UserId, UnknownReason)], asked_at: Timestamp) -> Basis {
        let known = hosts.iter().filter(|host| unknown.iter().all(|(user_id, _)| *user_id != host.user.id));
        let (mut as_of, mut stale) = (None::<Timestamp>, false);
        for facts in known.flat_map(|host| &host.facts) {
            let Some(own) = facts.as_of() else { continue };
            as_of = Some(as_of.map_or(own, |oldest| oldest.min(own)));
            let max_age = self.renew_after(&[facts.calendar_id]);
            stale |= max_age.is_some_and(|max_age| facts.is_older_than(max_age, asked_at));
        }
        let state = match (unknown.is_empty(), stale) {
            (false, _) => FreshnessState::Partial,
            (true, true) => FreshnessState::Stale,
            (true, false) => FreshnessState::Complete,
        };
        Basis { state, as_of: as_of.unwrap_or(asked_at) }
    }
}

/// The stable name callers see.
pub(super) fn reason_name(reason: UnknownReason) -> &'static str {
    match reason {
        UnknownReason::NotSynced => "not_synced",
        UnknownReason::CalendarGone => "calendar_gone",
        UnknownReason::ReauthorizationRequired => "reauthorization_required",
        UnknownReason::ProviderError => "provider_error",
        UnknownReason::OutsideSyncedWindow => "outside_synced_window",
        UnknownReason::DeadlineExceeded => "deadline_exceeded",
    }
}

impl FreshnessState {
    /// How it is written.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Stale => "stale",
            Self::Partial => "partial",
            Self::Unavailable => "unavailable",
        }
    }
}
