//! What a commit is decided on, and by whom: facts gathered, judged, and looked at once more where too little is known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::ask::{DecideAsk, user_in};
use agentcal_engine::calendar::attempt::Attempts;
use agentcal_engine::calendar::judge::{Evidence, Verdict, judge};
use agentcal_engine::calendar::plan::{Grounds, Planned};
use agentcal_engine::calendar::request::{CommitAnswer, CommitRequest};
use agentcal_engine::calendar::spot_check::SpotChecks;
use agentcal_engine::decision::Host;
use agentcal_engine::facts::{CalendarFacts, FactSource};
use agentcal_engine::ids::{CalendarId, UserId};
use agentcal_engine::model::{DecisionRecord, OnStale, SchedulingMode, User};
use agentcal_engine::ports::{AccountConfig, StoreError};
use agentcal_engine::schedule::Schedule;

use crate::calendar::Msg;
use crate::commit::Footing;
use crate::context::Context;
use crate::questions::{Patience, is_stale};
use crate::spot_check;
use crate::together::Foresight;

/// Part of the caller's patience kept back for the commit itself while facts are waited for.
const KEPT_FOR_COMMIT: Duration = Duration::from_millis(200);

/// No plan: the answer instead, and the record of a refusal.
pub(crate) struct No {
    pub(crate) answer: Box<CommitAnswer>,
    pub(crate) record: Option<Box<DecisionRecord>>,
}

impl No {
    pub(crate) fn plain(answer: Box<CommitAnswer>) -> Self {
        Self { answer, record: None }
    }
}

/// What decisions before this one found, and what this one may do.
pub(crate) struct Basis<'a> {
    pub(crate) attempts: &'a Attempts,
    pub(crate) foresight: &'a Foresight,
    /// The spot checks of the commit; `None` where there can be none: others wait in line behind it, or it reaches no owner.
    pub(crate) last_resort: Option<&'a mut SpotChecks>,
    pub(crate) reads_store: bool,
    pub(crate) footing: Footing,
}

/// What a decision or a plan rests on besides facts, as of now.
pub(crate) fn grounds<'a>(
    context: &'a Context,
    request: &'a CommitRequest,
    config: &'a AccountConfig,
    footing: Footing,
) -> Grounds<'a> {
    Grounds {
        request,
        config,
        epoch: footing.epoch(),
        is_shared: footing.is_shared(),
        now: context.store_now(),
        entropy: &*context.parts.entropy,
        hold_limits: context.parts.settings.hold_limits,
    }
}

/// Decides a question.
pub(crate) async fn decide(
    context: &Arc<Context>,
    request: &CommitRequest,
    config: &AccountConfig,
    ask: &DecideAsk,
    basis: Basis<'_>,
) -> Result<Result<Planned, No>, StoreError> {
    let Basis { attempts, foresight, last_resort, reads_store, footing } = basis;
    let mut hosts = gather(context, request, config, ask, reads_store).await?;
    foresight.apply(&mut hosts);
    let counts = counts_for(context, config, ask).await?;
    let judged = |hosts: &[Host], checks: &SpotChecks| {
        let stale = stale_hosts(context, config, ask, hosts, checks);
        let evidence = Evidence { hosts, stale: &stale, lost: &attempts.lost(), counts: &counts, checks };
        judge(&grounds(context, request, config, footing), ask, &evidence)
    };
    let verdict = match last_resort.filter(|_| ask.on_stale == OnStale::Verify) {
        None => judged(&hosts, &SpotChecks::default()),
        Some(checks) => {
            spot_check::apply(context, config, checks, &mut hosts).await?;
            let verdict = judged(&hosts, checks);
            match spot_check::wanted(context, config, ask, &hosts, &verdict).filter(|_| !checks.were_asked()) {
                None => verdict,
                Some(wanted) => {
                    let patience = context.left_until(request.deadline).saturating_sub(KEPT_FOR_COMMIT);
                    *checks = spot_check::ask(context, config.account.id, &wanted, patience).await;
                    spot_check::apply(context, config, checks, &mut hosts).await?;
                    judged(&hosts, checks)
                }
            }
        }
    };
    Ok(match verdict {
        Verdict::Plan(planned) => Ok(*planned),
        Verdict::Refused { answer, record } => Err(No { answer, record }),
        Verdict::Answer(answer) => Err(No::plain(answer)),
    })
}

/// The hosts with their facts: published ones for the first decision, the store's own after one was misled.
async fn gather(
    context: &Arc<Context>,
    request: &CommitRequest,
    config: &AccountConfig,
    ask: &DecideAsk,
    reads_store: bool,
) -> Result<Vec<Host>, StoreError> {
    if reads_store {
        return gather_from_store(context, config, ask).await;
    }
    let deadline = context.left_until(request.deadline).saturating_sub(KEPT_FOR_COMMIT);
    let patience = match ask.on_stale {
        OnStale::Verify => {
            let kept = spot_check::kept_for_it(context, config, &ask.user_ids, deadline);
            Patience::Looks { deadline: deadline.saturating_sub(kept) }
        }
        OnStale::Accept | OnStale::Refuse => Patience::Same(crate::Freshness { max_age: None, deadline }),
    };
    Ok(context.hosts(config, &ask.user_ids, patience).await)
}

async fn gather_from_store(
    context: &Arc<Context>,
    config: &AccountConfig,
    ask: &DecideAsk,
) -> Result<Vec<Host>, StoreError> {
    let people: Vec<_> = ask.user_ids.iter().filter_map(|&id| user_in(config, id)).collect();
    let calendar_ids: BTreeSet<CalendarId> = people.iter().flat_map(|(user, _)| user.calendars_read()).collect();
    let mut facts: BTreeMap<CalendarId, Arc<CalendarFacts>> = BTreeMap::new();
    for calendar_id in calendar_ids {
        let Some(source) = context.parts.store.load_facts(config.account.id, calendar_id).await? else {
            // The configuration read a moment ago named it: the next attempt reads a newer one.
            context.configs.forget(config.account.id);
            continue;
        };
        catch_up(context, &source);
        facts.insert(calendar_id, Arc::new(CalendarFacts::assemble(source)));
    }
    let host = |(user, rules): &(Arc<User>, Arc<Schedule>)| {
        // A person with one calendar missing is left out whole.
        let read: Option<Vec<_>> = user.calendars_read().iter().map(|id| facts.get(id).cloned()).collect();
        read.map(|facts| Host { user: Arc::clone(user), rules: Arc::clone(rules), facts })
    };
    Ok(people.into_iter().filter_map(host).collect())
}

/// The store is ahead of what a calendar publishes: it shall load again.
fn catch_up(context: &Arc<Context>, source: &FactSource) {
    let Some(slot) = context.directory.peek(source.calendar_id) else { return };
    if slot.facts().is_some_and(|facts| facts.revision < source.revision) {
        slot.send(Msg::Reload { done: None });
    }
}

/// Whose facts are too old to book on, and nobody has checked them.
fn stale_hosts(
    context: &Context,
    config: &AccountConfig,
    ask: &DecideAsk,
    hosts: &[Host],
    checks: &SpotChecks,
) -> BTreeSet<UserId> {
    if ask.on_stale == OnStale::Accept {
        return BTreeSet::new();
    }
    let now = context.store_now();
    let is_old = |facts: &Arc<CalendarFacts>| {
        let is_stale = is_stale(facts, context.stale_after_of(config, facts.calendar_id), now);
        is_stale && checks.of(facts.calendar_id).is_none()
    };
    hosts.iter().filter(|host| host.facts.iter().any(is_old)).map(|host| host.user.id).collect()
}

async fn counts_for(
    context: &Context,
    config: &AccountConfig,
    ask: &DecideAsk,
) -> Result<BTreeMap<UserId, u64>, StoreError> {
    if ask.terms.scheduling_mode != SchedulingMode::RoundRobin || ask.user_ids.len() < 2 {
        return Ok(BTreeMap::new());
    }
    let now = context.store_now();
    Ok(context.parts.store.future_booking_counts(config.account.id, &ask.user_ids, now).await?.into_iter().collect())
}
