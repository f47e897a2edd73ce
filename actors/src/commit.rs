//! One commit, led: gather, decide, commit, publish, answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::ask::{Ask, DecideAsk, ask_of, leader_of, user_in};
use agentcal_engine::calendar::attempt::{After, Attempts, replayed};
use agentcal_engine::calendar::judge::{Evidence, Grounds, Planned, Verdict, cancel, judge};
use agentcal_engine::calendar::request::{CommitAnswer, CommitKind, CommitRequest, Rejection, UnavailableReason};
use agentcal_engine::commit::{Effect, Outcome, RevisionKey};
use agentcal_engine::decision::Host;
use agentcal_engine::facts::{CalendarFacts, FactSource};
use agentcal_engine::ids::{BookingId, CalendarId, UserId};
use agentcal_engine::model::{AvailabilityRules, Claim, OnStale, SchedulingMode, User};
use agentcal_engine::ports::{AccountConfig, BookingStoreItem, StoreError, Write};
use futures::future::join_all;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::calendar::{Change, Msg};
use crate::config::reload;
use crate::context::Context;
use crate::metrics;
use crate::questions::{Patience, is_stale};

/// Part of the caller's patience kept back for the commit itself while facts are waited for.
const KEPT_FOR_COMMIT: Duration = Duration::from_millis(200);
/// Longest wait for a calendar to publish a commit; then its facts are withdrawn, so that nobody reads the old ones.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(2);

const STORE_UNAVAILABLE: CommitAnswer = CommitAnswer::Unavailable(UnavailableReason::StoreUnavailable);

/// Who leads a commit; or its answer, where nothing need be decided.
pub(crate) async fn leader(
    context: &Arc<Context>,
    request: &CommitRequest,
) -> Result<Option<CalendarId>, Box<CommitAnswer>> {
    let found = try_leader(context, request).await;
    match found {
        Ok(Ok(leader)) => Ok(leader),
        Ok(Err(answer)) => Err(Box::new(after_refusal(context, request, *answer).await)),
        Err(error) => Err(Box::new(store_failed(&error))),
    }
}

async fn try_leader(
    context: &Arc<Context>,
    request: &CommitRequest,
) -> Result<Result<Option<CalendarId>, Box<CommitAnswer>>, StoreError> {
    let Some(config) = context.config(request.tenant.account_id).await? else {
        return Ok(Err(Box::new(CommitAnswer::Rejected(Rejection::AccountMissing))));
    };
    let stored = match booking_to_change(&request.kind) {
        Some(booking_id) => context.parts.store.booking(request.tenant.account_id, booking_id).await?,
        None => None,
    };
    Ok(match ask_of(&request.kind, &config, stored, context.store_now()) {
        Ask::Answered(answer) => Err(answer),
        ask => Ok(leader_of(&ask, &config)),
    })
}

/// Makes a commit. `again`: an actor that was handed this commit died, so it may have been made already.
pub(crate) async fn lead(context: &Arc<Context>, request: &CommitRequest, again: bool) -> CommitAnswer {
    match kept_answer(context, request).await {
        Ok(None) => {}
        Ok(Some(answer)) => return answer,
        Err(error) => return store_failed(&error),
    }
    match decide_until_settled(context, request, again).await {
        Ok(answer) => answer,
        Err(error) => store_failed(&error),
    }
}

async fn decide_until_settled(
    context: &Arc<Context>,
    request: &CommitRequest,
    again: bool,
) -> Result<CommitAnswer, StoreError> {
    let mut attempts = Attempts::default();
    loop {
        if context.left_until(request.deadline).is_zero() {
            return Ok(CommitAnswer::Unavailable(UnavailableReason::Deadline));
        }
        let planned = match plan(context, request, &attempts, again).await? {
            Ok(planned) => planned,
            Err(answer) => return Ok(after_refusal(context, request, *answer).await),
        };
        let outcome = match context.parts.store.commit(&planned.plan).await {
            Ok(outcome) => outcome,
            Err(error) => return Ok(after_unknown_outcome(context, request, &planned, &error).await),
        };
        count_retry(&outcome);
        match attempts.handle_outcome(outcome) {
            After::Committed(revisions) => {
                publish(context, &planned, &revisions).await;
                return Ok(CommitAnswer::Committed(planned.booking));
            }
            After::Answer(answer) => return Ok(*answer),
            After::Again => {}
            After::Fenced => {
                context.fence();
                return Ok(CommitAnswer::Unavailable(UnavailableReason::ShuttingDown));
            }
        }
    }
}

/// A plan for the request as things now stand; or the answer, where there is none.
async fn plan(
    context: &Arc<Context>,
    request: &CommitRequest,
    attempts: &Attempts,
    again: bool,
) -> Result<Result<Planned, Box<CommitAnswer>>, StoreError> {
    let account_id = request.tenant.account_id;
    let reads_store = attempts.reads_store();
    let config = if reads_store { context.fresh_config(account_id).await? } else { context.config(account_id).await? };
    let Some(config) = config else {
        return Ok(Err(Box::new(CommitAnswer::Rejected(Rejection::AccountMissing))));
    };
    let stored = stored_booking(context, request, again || reads_store).await?;
    let ask = match ask_of(&request.kind, &config, stored, context.store_now()) {
        Ask::Answered(answer) => return Ok(Err(answer)),
        ask => ask,
    };
    let hosts = match &ask {
        Ask::Decide(ask) => gather(context, request, &config, ask, reads_store).await?,
        _ => Vec::new(),
    };
    let counts = match &ask {
        Ask::Decide(ask) => counts_for(context, &config, ask).await?,
        _ => BTreeMap::new(),
    };
    let now = context.store_now();
    let entropy = &*context.parts.entropy;
    let grounds = Grounds { request, config: &config, epoch: context.epoch, now, entropy };
    Ok(match &ask {
        Ask::Cancel(item) => Ok(cancel(&grounds, item)),
        Ask::Decide(ask) => {
            let stale = stale_hosts(context, &config, ask, &hosts);
            let evidence = Evidence { hosts: &hosts, stale: &stale, lost: &attempts.lost(), counts: &counts };
            match judge(&grounds, ask, &evidence) {
                Verdict::Plan(planned) => Ok(*planned),
                Verdict::Answer(answer) => Err(answer),
            }
        }
        Ask::Answered(answer) => Err(answer.clone()),
    })
}

/// The booking a request changes; for a new one, whether it is there already, where that may be.
async fn stored_booking(
    context: &Context,
    request: &CommitRequest,
    may_be_there: bool,
) -> Result<Option<BookingStoreItem>, StoreError> {
    let booking_id = match (&request.kind, booking_to_change(&request.kind)) {
        (_, Some(booking_id)) => booking_id,
        (CommitKind::Book(book), None) if may_be_there => book.booking_id,
        _ => return Ok(None),
    };
    context.parts.store.booking(request.tenant.account_id, booking_id).await
}

fn booking_to_change(kind: &CommitKind) -> Option<BookingId> {
    match kind {
        CommitKind::Book(_) => None,
        CommitKind::Reschedule { booking_id, .. } | CommitKind::Cancel { booking_id, .. } => Some(*booking_id),
    }
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
        OnStale::Verify => Patience::TwoIntervals { deadline },
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
        let source = FactSource { epoch: context.epoch, ..source };
        facts.insert(calendar_id, Arc::new(CalendarFacts::assemble(source)));
    }
    let host = |(user, rules): &(User, AvailabilityRules)| {
        // A person with one calendar missing is left out whole.
        let read: Option<Vec<_>> = user.calendars_read().iter().map(|id| facts.get(id).cloned()).collect();
        read.map(|facts| Host { user: Arc::new(user.clone()), rules: Arc::new(rules.clone()), facts })
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

fn stale_hosts(context: &Context, config: &AccountConfig, ask: &DecideAsk, hosts: &[Host]) -> BTreeSet<UserId> {
    if ask.on_stale == OnStale::Accept {
        return BTreeSet::new();
    }
    let now = context.store_now();
    let is_old = |facts: &Arc<CalendarFacts>| is_stale(facts, context.stale_after_of(config, facts.calendar_id), now);
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

/// Publishes a commit in every awake calendar it changed, before anybody hears of it.
async fn publish(context: &Arc<Context>, planned: &Planned, revisions: &[(RevisionKey, u64)]) {
    let changed = planned.changed_calendars();
    let raised = revisions.iter().filter_map(|&(key, revision)| match key {
        RevisionKey::Calendar(calendar_id) => Some((calendar_id, revision)),
        RevisionKey::Config | RevisionKey::User(_) => None,
    });
    let publications = raised.filter_map(|(calendar_id, revision)| {
        changed.get(&calendar_id).map(|claims| publish_in(context, planned, calendar_id, revision, claims.clone()))
    });
    join_all(publications).await;
}

async fn publish_in(
    context: &Arc<Context>,
    planned: &Planned,
    calendar_id: CalendarId,
    revision: u64,
    claims: Option<Vec<Claim>>,
) {
    // A calendar that sleeps reads the commit from the store when it wakes.
    let Some(slot) = context.directory.peek(calendar_id) else { return };
    let effect = Effect::Writeback { booking_id: planned.booking.id, calendar_id };
    let write_wanted = planned.plan.effects.contains(&effect);
    let (done, published) = oneshot::channel();
    let is_sent = slot.send(Msg::Changed(Change { revision, claims, write_wanted, done }));
    if !is_sent || !matches!(timeout(PUBLISH_DEADLINE, published).await, Ok(Ok(()))) {
        slot.withdraw();
        slot.ring();
    }
}

/// The store did not say whether it committed. If the booking reads as planned, it did.
async fn after_unknown_outcome(
    context: &Arc<Context>,
    request: &CommitRequest,
    planned: &Planned,
    error: &StoreError,
) -> CommitAnswer {
    tracing::warn!(commit_id = %request.commit_id, %error, "the store did not answer a commit");
    let stored = context.parts.store.booking(request.tenant.account_id, planned.booking.id).await;
    // Whatever happened, what was published may be behind the store now.
    for calendar_id in planned.changed_calendars().into_keys() {
        if let Some(slot) = context.directory.peek(calendar_id) {
            reload(&slot).await;
        }
    }
    match stored {
        Ok(Some(item)) if item.booking.sequence == planned.booking.sequence => CommitAnswer::Committed(item.booking),
        _ => STORE_UNAVAILABLE,
    }
}

/// Before a caller hears no, it is asked once more whether the same request was not answered with yes: the slot may be
/// taken by this very booking.
async fn after_refusal(context: &Context, request: &CommitRequest, answer: CommitAnswer) -> CommitAnswer {
    let is_refusal =
        matches!(answer, CommitAnswer::Refused(_) | CommitAnswer::Rejected(_) | CommitAnswer::Unavailable(_));
    let is_success = matches!(answer, CommitAnswer::Committed(_));
    if !is_refusal && !is_success {
        return answer;
    }
    match kept_answer(context, request).await {
        Ok(None) => {}
        Ok(Some(kept)) => return kept,
        Err(error) => return store_failed(&error),
    }
    match (&request.kind, is_refusal) {
        (CommitKind::Book(_), true) => match stored_booking(context, request, true).await {
            Ok(Some(item)) => CommitAnswer::Committed(item.booking),
            Ok(None) => answer,
            Err(error) => store_failed(&error),
        },
        _ => answer,
    }
}

async fn kept_answer(context: &Context, request: &CommitRequest) -> Result<Option<CommitAnswer>, StoreError> {
    let Some(key) = &request.idempotency else { return Ok(None) };
    let tenant = &request.tenant;
    let store = &context.parts.store;
    Ok(match store.kept_answer(tenant.organization_id, Some(tenant.account_id), key).await? {
        Write::Replayed(answer) => Some(replayed(&answer)),
        Write::IdempotencyMismatch => Some(CommitAnswer::IdempotencyMismatch),
        Write::Done | Write::Stale | Write::Missing | Write::Refused(_) => None,
    })
}

fn store_failed(error: &StoreError) -> CommitAnswer {
    tracing::error!(%error, "a commit failed on the store");
    STORE_UNAVAILABLE
}

fn count_retry(outcome: &Outcome) {
    let cause = match outcome {
        Outcome::Stale => "stale",
        Outcome::Overlap { .. } => "overlap",
        _ => return,
    };
    ::metrics::counter!(metrics::COMMIT_RETRIES, "cause" => cause).increment(1);
}
