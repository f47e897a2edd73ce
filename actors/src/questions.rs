//! Facts for those who ask: at once where they are known and fresh, else after waking, ringing and waiting.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::ask::{calendar_in, user_in};
use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::decision::Host;
use agentcal_engine::facts::{CalendarFacts, Knowledge, MaxAge, UnknownReason};
use agentcal_engine::ids::{AccountId, CalendarId, UserId};
use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::AccountConfig;
use agentcal_engine::shard::Shard;
use agentcal_engine::time::Timestamp;
use futures::future::join_all;
use tokio::time::{Instant, timeout_at};

use crate::context::Context;
use crate::directory::Cause;
use crate::parts::Freshness;
use crate::slot::Slot;

/// One calendar asked about, and how old its facts may be.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) calendar_id: CalendarId,
    /// Older ones are renewed first.
    pub(crate) max_age: Option<MaxAge>,
    /// Older ones answer, and are looked at again, which nobody waits for.
    pub(crate) look_after: Option<MaxAge>,
}

impl Wanted {
    /// A calendar that is not looked at for the sake of this question, unless its facts do not answer it.
    pub(crate) fn up_to(calendar_id: CalendarId, max_age: Option<MaxAge>) -> Self {
        Self { calendar_id, max_age, look_after: None }
    }
}

/// How long people wait for facts, and how old these may be.
#[derive(Clone, Copy)]
pub(crate) enum Patience {
    /// One age for all. What is younger may be looked at again all the same, and nobody waits for that.
    Same(Freshness),
    /// Whatever is worth another look is looked at first.
    Looks { deadline: Duration },
}

impl Context {
    pub(crate) async fn facts(
        self: &Arc<Self>,
        account_id: AccountId,
        wanted: &[Wanted],
        deadline: Duration,
    ) -> Vec<Arc<CalendarFacts>> {
        if self.ownership.serves(Shard::of(account_id)).is_some() {
            return self.facts_here(account_id, wanted, deadline).await;
        }
        self.facts_elsewhere(account_id, wanted, Instant::now() + deadline).await
    }

    /// Facts of calendars of this node.
    pub(crate) async fn facts_here(
        self: &Arc<Self>,
        account_id: AccountId,
        wanted: &[Wanted],
        deadline: Duration,
    ) -> Vec<Arc<CalendarFacts>> {
        let now = self.store_now();
        let warm: Vec<Option<Arc<CalendarFacts>>> =
            wanted.iter().map(|wanted| self.warm(account_id, *wanted, now)).collect();
        if warm.iter().all(Option::is_some) {
            return warm.into_iter().flatten().collect();
        }
        let until = Instant::now() + deadline;
        join_all(warm.into_iter().zip(wanted).map(|(warm, wanted)| async move {
            match warm {
                Some(facts) => facts,
                None => self.cold(account_id, *wanted, until).await,
            }
        }))
        .await
    }

    /// Users with their rules and facts, in the order asked.
    pub(crate) async fn hosts(
        self: &Arc<Self>,
        config: &AccountConfig,
        user_ids: &[UserId],
        patience: Patience,
    ) -> Vec<Host> {
        let users: Vec<_> = user_ids.iter().filter_map(|&id| user_in(config, id)).collect();
        let mut calendars: BTreeMap<CalendarId, Option<Arc<CalendarFacts>>> = BTreeMap::new();
        for (user, _) in &users {
            calendars.extend(user.calendars_read().into_iter().map(|id| (id, None)));
        }
        let wanted: Vec<Wanted> = calendars.keys().map(|&id| self.wanted(config, id, patience)).collect();
        let deadline = match patience {
            Patience::Same(need) => need.deadline,
            Patience::Looks { deadline } => deadline,
        };
        let facts = self.facts(config.account.id, &wanted, deadline).await;
        for (slot, facts) in calendars.values_mut().zip(facts) {
            *slot = Some(facts);
        }
        users
            .into_iter()
            .map(|(user, rules)| Host {
                facts: user.calendars_read().iter().filter_map(|id| calendars.get(id)?.clone()).collect(),
                user: Arc::clone(user),
                rules: Arc::clone(rules),
            })
            .collect()
    }

    /// Age beyond which facts of a calendar count as stale; `None` where nothing ages.
    pub(crate) fn stale_after_of(&self, config: &AccountConfig, calendar_id: CalendarId) -> Option<MaxAge> {
        self.stale_after(kind_of(config, calendar_id))
    }

    fn wanted(&self, config: &AccountConfig, calendar_id: CalendarId, patience: Patience) -> Wanted {
        let look_after = self.look_after(kind_of(config, calendar_id));
        match patience {
            Patience::Same(need) => Wanted { calendar_id, max_age: need.max_age, look_after },
            Patience::Looks { .. } => Wanted::up_to(calendar_id, look_after),
        }
    }

    fn warm(&self, account_id: AccountId, wanted: Wanted, now: Timestamp) -> Option<Arc<CalendarFacts>> {
        let slot = self.directory.peek(wanted.calendar_id)?;
        let facts = slot.facts().filter(|_| slot.account_id == account_id && self.is_current(&slot))?;
        slot.touch(now);
        let is_answer = is_answer(&facts, wanted.max_age, now);
        if is_answer {
            look_again(&slot, &facts, wanted, now);
        }
        is_answer.then_some(facts)
    }

    async fn cold(self: &Arc<Self>, account_id: AccountId, wanted: Wanted, until: Instant) -> Arc<CalendarFacts> {
        let mut is_rung = false;
        let asked_at = self.store_now();
        // What was renewed for this question is as fresh as can be, however short an age was asked for.
        let is_answer = |facts: &CalendarFacts| {
            facts.as_of().is_some_and(|as_of| asked_at <= as_of) || is_answer(facts, wanted.max_age, self.store_now())
        };
        loop {
            let Some(slot) = self.wake(account_id, wanted.calendar_id, Cause::Question) else {
                // The shard was lost meanwhile.
                return self.facts_of_store(account_id, wanted.calendar_id).await;
            };
            let mut changes = slot.watch();
            let before = changes.read();
            let facts = slot.facts();
            if slot.account_id != account_id {
                return self.unknown_of(account_id, wanted.calendar_id, UnknownReason::CalendarGone);
            }
            match facts {
                Some(facts) if is_answer(&facts) => {
                    look_again(&slot, &facts, wanted, asked_at);
                    return facts;
                }
                Some(_) if !is_rung => is_rung = slot.ring(),
                _ => {}
            }
            let changed = timeout_at(until, changes.changed()).await;
            let failed = changes.read().syncs_failed > before.syncs_failed;
            match (changed, slot.facts()) {
                // The provider was asked in vain: what is known will not get younger by waiting.
                (Ok(()), Some(facts)) if failed => return facts,
                (Ok(()), Some(facts)) if is_answer(&facts) => {
                    look_again(&slot, &facts, wanted, asked_at);
                    return facts;
                }
                (Ok(()), _) => {}
                (Err(_late), Some(facts)) if facts.knowledge == Knowledge::Unknown(UnknownReason::NotSynced) => {
                    return self.unknown_of(account_id, wanted.calendar_id, UnknownReason::DeadlineExceeded);
                }
                (_, Some(facts)) => return facts,
                (_, None) => return self.unknown_of(account_id, wanted.calendar_id, UnknownReason::DeadlineExceeded),
            }
        }
    }

    /// Waits until a calendar has synced once, or failed at it.
    pub(crate) async fn first_sync(
        self: &Arc<Self>,
        account_id: AccountId,
        calendar_id: CalendarId,
        until: Instant,
    ) -> bool {
        let Some(slot) = self.wake(account_id, calendar_id, Cause::Question) else {
            return self.first_sync_elsewhere(account_id, calendar_id, until).await;
        };
        let mut changes = slot.watch();
        let is_settled = |slot: &Slot| {
            slot.facts().is_some_and(|facts| facts.knowledge != Knowledge::Unknown(UnknownReason::NotSynced))
        };
        if !is_settled(&slot) {
            self.ring(account_id, calendar_id, Ring::Changed);
        }
        loop {
            let seen = changes.read();
            if is_settled(&slot) || seen.syncs_failed > 0 {
                return true;
            }
            if timeout_at(until, changes.changed()).await.is_err() {
                return is_settled(&slot);
            }
        }
    }

    pub(crate) fn unknown_of(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        reason: UnknownReason,
    ) -> Arc<CalendarFacts> {
        Arc::new(CalendarFacts {
            calendar_id,
            account_id,
            epoch: self.ownership.row_epoch(Shard::of(account_id)),
            revision: 0,
            knowledge: Knowledge::Unknown(reason),
            external: Vec::new(),
            displaced: Vec::new(),
            claims: Vec::new(),
        })
    }
}

fn kind_of(config: &AccountConfig, calendar_id: CalendarId) -> ProviderKind {
    calendar_in(config, calendar_id).map_or(ProviderKind::Internal, |calendar| calendar.provider)
}

/// Facts that answer may be worth another look. One that is under way sees whatever this one would.
fn look_again(slot: &Slot, facts: &CalendarFacts, wanted: Wanted, now: Timestamp) {
    if is_stale(facts, wanted.look_after, now) && !slot.is_syncing() {
        slot.ring();
    }
}

/// Whether these facts answer the question, or waiting may bring better ones.
pub(crate) fn is_answer(facts: &CalendarFacts, max_age: Option<MaxAge>, now: Timestamp) -> bool {
    match facts.knowledge {
        Knowledge::Internal => true,
        Knowledge::Synced { .. } => max_age.is_none_or(|max_age| !facts.is_older_than(max_age, now)),
        Knowledge::Unknown(UnknownReason::NotSynced) => false,
        Knowledge::Unknown(_) => true,
    }
}

/// Whether facts are older than allowed.
pub(crate) fn is_stale(facts: &CalendarFacts, max_age: Option<MaxAge>, now: Timestamp) -> bool {
    max_age.is_some_and(|max_age| facts.is_older_than(max_age, now))
}
