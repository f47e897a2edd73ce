//! One commit, led: gather, decide, commit, publish, answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::ask::{Ask, DecideAsk, Stored, ask_of, leader_of, user_in};
use agentcal_engine::calendar::attempt::{After, Attempts, replayed};
use agentcal_engine::calendar::judge::{Evidence, Verdict, judge};
use agentcal_engine::calendar::plan::{Grounds, Planned, cancel, extend, release};
use agentcal_engine::calendar::request::{
    CommitAnswer, CommitKind, CommitRequest, HoldSelection, Intent, Made, Rejection, UnavailableReason,
};
use agentcal_engine::commit::{ClaimChange, Effect, Outcome, RevisionKey};
use agentcal_engine::decision::Host;
use agentcal_engine::facts::{CalendarFacts, FactSource};
use agentcal_engine::ids::{CalendarId, UserId};
use agentcal_engine::model::{AvailabilityRules, DecisionRecord, HoldState, OnStale, SchedulingMode, User};
use agentcal_engine::ports::{AccountConfig, StoreError, Write};
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

/// Who leads a commit, and what the store had of what it names.
pub(crate) struct Led {
    /// The calendar whose actor leads; `None` where nobody has one.
    pub(crate) calendar_id: Option<CalendarId>,
    /// As read before the commit's turn came.
    pub(crate) stored: Stored,
}

/// What is known of a commit when its turn comes.
pub(crate) enum Before {
    /// Nobody led it yet, and this is what the store had of what it names. What it plans holds only while that stands.
    Read(Box<Stored>),
    /// An actor that was handed it died, so it may have been made already.
    HandedOver,
}

/// Who leads a commit; or its answer, where nothing need be decided.
pub(crate) async fn leader(context: &Arc<Context>, request: &CommitRequest) -> Result<Led, Box<CommitAnswer>> {
    let found = try_leader(context, request).await;
    match found {
        Ok(Ok(led)) => Ok(led),
        Ok(Err(answer)) => Err(Box::new(settled(context, request, No::plain(answer)).await)),
        Err(error) => Err(Box::new(store_failed(&error))),
    }
}

async fn try_leader(
    context: &Arc<Context>,
    request: &CommitRequest,
) -> Result<Result<Led, Box<CommitAnswer>>, StoreError> {
    let Some(config) = context.config(request.tenant.account_id).await? else {
        return Ok(Err(Box::new(CommitAnswer::Rejected(Rejection::AccountMissing))));
    };
    let stored = stored(context, request, false).await?;
    Ok(match ask_of(&request.kind, &config, stored.clone(), context.store_now()) {
        Ask::Answered(answer) => Err(answer),
        ask => Ok(Led { calendar_id: leader_of(&ask, &config), stored }),
    })
}

/// Makes a commit.
pub(crate) async fn lead(context: &Arc<Context>, request: &CommitRequest, before: Before) -> CommitAnswer {
    match kept_answer(context, request).await {
        Ok(None) => {}
        Ok(Some(answer)) => return answer,
        Err(error) => return store_failed(&error),
    }
    match decide_until_settled(context, request, before).await {
        Ok(answer) => answer,
        Err(error) => store_failed(&error),
    }
}

async fn decide_until_settled(
    context: &Arc<Context>,
    request: &CommitRequest,
    before: Before,
) -> Result<CommitAnswer, StoreError> {
    let mut attempts = Attempts::default();
    let (mut earlier, handed_over) = match before {
        Before::Read(stored) => (Some(*stored), false),
        Before::HandedOver => (None, true),
    };
    loop {
        if context.left_until(request.deadline).is_zero() {
            return Ok(CommitAnswer::Unavailable(UnavailableReason::Deadline));
        }
        let is_earlier = earlier.is_some() && !names_nothing(&request.kind);
        let stored = match earlier.take() {
            Some(stored) => stored,
            None => stored(context, request, handed_over || attempts.reads_store()).await?,
        };
        let planned = match plan(context, request, &attempts, stored).await? {
            Ok(planned) => planned,
            Err(_) if is_earlier => {
                attempts.handle_refusal_on_earlier_read();
                continue;
            }
            Err(no) => return Ok(settled(context, request, no).await),
        };
        if request.intent == Intent::DryRun {
            return Ok(CommitAnswer::WouldCommit(planned.made));
        }
        let outcome = match context.parts.store.commit(&planned.plan).await {
            Ok(outcome) => outcome,
            Err(error) => return Ok(after_unknown_outcome(context, request, &planned, &error).await),
        };
        count_retry(&outcome);
        match attempts.handle_outcome(&request.kind, outcome) {
            After::Committed(revisions) => {
                publish(context, &planned, &revisions).await;
                return Ok(CommitAnswer::Committed(planned.made));
            }
            After::Answer(answer) => return Ok(*answer),
            After::Again => {}
            After::UsedUp { is_performed } => return Ok(settled_before(context, request, is_performed).await),
            After::Fenced => {
                context.fence();
                return Ok(CommitAnswer::Unavailable(UnavailableReason::ShuttingDown));
            }
        }
    }
}

/// Somebody else settled this very commit. Performed, its answer is what there now is; refused, whoever waits has heard so.
async fn settled_before(context: &Context, request: &CommitRequest, is_performed: bool) -> CommitAnswer {
    if !is_performed {
        return CommitAnswer::Unavailable(UnavailableReason::Deadline);
    }
    match what_is_there(context, request).await {
        Ok(Some(made)) => CommitAnswer::Committed(made),
        Ok(None) => STORE_UNAVAILABLE,
        Err(error) => store_failed(&error),
    }
}

/// What a request that was performed has made, as it now is.
async fn what_is_there(context: &Context, request: &CommitRequest) -> Result<Option<Made>, StoreError> {
    let (store, account_id) = (&context.parts.store, request.tenant.account_id);
    Ok(match &request.kind {
        CommitKind::Reschedule { booking_id, .. } | CommitKind::Cancel { booking_id, .. } => {
            store.booking(account_id, *booking_id).await?.map(|item| Made::Booking(Box::new(item.booking)))
        }
        CommitKind::Extend { hold_id, .. } => {
            store.hold(account_id, *hold_id).await?.map(|item| Made::Hold(Box::new(item.hold)))
        }
        CommitKind::Release(HoldSelection::One(hold_id)) => Some(Made::Released(vec![*hold_id])),
        // Which of them this very request gave back is not known any more; none is left, and that is what was asked.
        CommitKind::Release(HoldSelection::Session(_)) => Some(Made::Released(Vec::new())),
        CommitKind::Book(_) | CommitKind::Confirm(_) | CommitKind::Hold(_) => made_before(context, request).await?,
    })
}

/// Whether a request makes something of nothing, so that nothing read of it can be outdated.
fn names_nothing(kind: &CommitKind) -> bool {
    matches!(kind, CommitKind::Book(_) | CommitKind::Hold(_))
}

/// No plan: the answer instead, and the record of a refusal.
struct No {
    answer: Box<CommitAnswer>,
    record: Option<Box<DecisionRecord>>,
}

impl No {
    fn plain(answer: Box<CommitAnswer>) -> Self {
        Self { answer, record: None }
    }
}

/// A plan for the request as things now stand; or the answer, where there is none.
async fn plan(
    context: &Arc<Context>,
    request: &CommitRequest,
    attempts: &Attempts,
    stored: Stored,
) -> Result<Result<Planned, No>, StoreError> {
    let account_id = request.tenant.account_id;
    let reads_store = attempts.reads_store();
    let config = if reads_store { context.fresh_config(account_id).await? } else { context.config(account_id).await? };
    let Some(config) = config else {
        return Ok(Err(No::plain(Box::new(CommitAnswer::Rejected(Rejection::AccountMissing)))));
    };
    let ask = match ask_of(&request.kind, &config, stored, context.store_now()) {
        Ask::Answered(answer) => return Ok(Err(No::plain(answer))),
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
    let hold_limits = context.parts.settings.hold_limits;
    let epoch = Some(context.epoch);
    let grounds = Grounds { request, config: &config, epoch, is_shared: false, now, entropy, hold_limits };
    Ok(match &ask {
        Ask::Cancel(item) => Ok(cancel(&grounds, item)),
        Ask::Extend(item) => Ok(extend(&grounds, item)),
        Ask::Release(items) => Ok(release(&grounds, items)),
        Ask::Decide(ask) => {
            let stale = stale_hosts(context, &config, ask, &hosts);
            let evidence = Evidence { hosts: &hosts, stale: &stale, lost: &attempts.lost(), counts: &counts };
            match judge(&grounds, ask, &evidence) {
                Verdict::Plan(planned) => Ok(*planned),
                Verdict::Refused { answer, record } => Err(No { answer, record }),
                Verdict::Answer(answer) => Err(No::plain(answer)),
            }
        }
        Ask::Answered(answer) => Err(No::plain(answer.clone())),
    })
}

/// What the store has of what a request names; for something new, whether it is there already, where that may be.
async fn stored(context: &Context, request: &CommitRequest, may_be_there: bool) -> Result<Stored, StoreError> {
    let (store, account_id) = (&context.parts.store, request.tenant.account_id);
    let mut stored = Stored::default();
    match &request.kind {
        CommitKind::Reschedule { booking_id, .. } | CommitKind::Cancel { booking_id, .. } => {
            stored.booking = store.booking(account_id, *booking_id).await?;
        }
        CommitKind::Book(book) if may_be_there => stored.booking = store.booking(account_id, book.booking_id).await?,
        CommitKind::Book(_) => {}
        CommitKind::Confirm(confirm) => {
            stored.holds.extend(store.hold(account_id, confirm.hold_id).await?);
            if may_be_there {
                stored.booking = store.booking(account_id, confirm.booking_id).await?;
            }
        }
        CommitKind::Hold(hold) if may_be_there => stored.holds.extend(store.hold(account_id, hold.hold_id).await?),
        CommitKind::Hold(_) => {}
        CommitKind::Extend { hold_id, .. } | CommitKind::Release(HoldSelection::One(hold_id)) => {
            stored.holds.extend(store.hold(account_id, *hold_id).await?);
        }
        CommitKind::Release(HoldSelection::Session(session_id)) => {
            stored.holds = store.live_holds_of_session(account_id, session_id).await?;
        }
    }
    Ok(stored)
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
    claims: Option<Vec<ClaimChange>>,
) {
    // A calendar that sleeps reads the commit from the store when it wakes.
    let Some(slot) = context.directory.peek(calendar_id) else { return };
    let is_here = |effect: &Effect| matches!(effect, Effect::Writeback { calendar_id: id, .. } if *id == calendar_id);
    let write_wanted = planned.plan.effects.iter().any(is_here);
    let (done, published) = oneshot::channel();
    let is_sent = slot.send(Msg::Changed(Change { revision, claims, write_wanted, done }));
    if !is_sent || !matches!(timeout(PUBLISH_DEADLINE, published).await, Ok(Ok(()))) {
        slot.withdraw();
        slot.ring();
    }
}

/// The store did not say whether it committed. If what was planned reads so, it did.
async fn after_unknown_outcome(
    context: &Arc<Context>,
    request: &CommitRequest,
    planned: &Planned,
    error: &StoreError,
) -> CommitAnswer {
    tracing::warn!(commit_id = %request.commit_id, %error, "the store did not answer a commit");
    let is_there = is_there(context, request, &planned.made).await;
    // Whatever happened, what was published may be behind the store now.
    for calendar_id in planned.changed_calendars().into_keys() {
        if let Some(slot) = context.directory.peek(calendar_id) {
            reload(&slot).await;
        }
    }
    match is_there {
        Ok(true) => CommitAnswer::Committed(planned.made.clone()),
        Ok(false) | Err(_) => STORE_UNAVAILABLE,
    }
}

/// Whether the store has what was planned.
async fn is_there(context: &Context, request: &CommitRequest, made: &Made) -> Result<bool, StoreError> {
    let (store, account_id) = (&context.parts.store, request.tenant.account_id);
    Ok(match made {
        Made::Booking(planned) => store
            .booking(account_id, planned.id)
            .await?
            .is_some_and(|item| item.booking.sequence == planned.sequence && item.booking.range == planned.range),
        Made::Hold(planned) => store
            .hold(account_id, planned.id)
            .await?
            .is_some_and(|item| item.hold.expires_at == planned.expires_at && item.hold.state == planned.state),
        Made::Released(hold_ids) => {
            for &hold_id in hold_ids {
                let item = store.hold(account_id, hold_id).await?;
                if item.is_some_and(|item| !matches!(item.state(), HoldState::Released | HoldState::Expired)) {
                    return Ok(false);
                }
            }
            true
        }
    })
}

/// The answer where there is no plan, and the record of it kept if it is a refusal in the end.
async fn settled(context: &Context, request: &CommitRequest, no: No) -> CommitAnswer {
    let answer = after_refusal(context, request, *no.answer).await;
    if let (CommitAnswer::Refused(_), Some(record)) = (&answer, no.record) {
        context.refusals.keep(*record).await;
    }
    answer
}

/// Before a caller hears no, it is asked once more whether the same request was not answered with yes: the slot may be
/// taken by this very booking.
async fn after_refusal(context: &Context, request: &CommitRequest, answer: CommitAnswer) -> CommitAnswer {
    let is_refusal = matches!(
        answer,
        CommitAnswer::Refused(_)
            | CommitAnswer::Rejected(_)
            | CommitAnswer::HoldLimit(_)
            | CommitAnswer::Unavailable(_)
    );
    let is_success = matches!(answer, CommitAnswer::Committed(_));
    match answer {
        CommitAnswer::Committed(made) if request.intent == Intent::DryRun => return CommitAnswer::WouldCommit(made),
        _ if request.intent == Intent::DryRun || !(is_refusal || is_success) => return answer,
        _ => {}
    }
    match kept_answer(context, request).await {
        Ok(None) => {}
        Ok(Some(kept)) => return kept,
        Err(error) => return store_failed(&error),
    }
    if !is_refusal {
        return answer;
    }
    match made_before(context, request).await {
        Ok(Some(made)) => CommitAnswer::Committed(made),
        Ok(None) => answer,
        Err(error) => store_failed(&error),
    }
}

/// What this very request made in an earlier attempt.
async fn made_before(context: &Context, request: &CommitRequest) -> Result<Option<Made>, StoreError> {
    let (store, account_id) = (&context.parts.store, request.tenant.account_id);
    Ok(match &request.kind {
        CommitKind::Book(book) => {
            store.booking(account_id, book.booking_id).await?.map(|item| Made::Booking(Box::new(item.booking)))
        }
        CommitKind::Confirm(confirm) => {
            store.booking(account_id, confirm.booking_id).await?.map(|item| Made::Booking(Box::new(item.booking)))
        }
        CommitKind::Hold(hold) => {
            store.hold(account_id, hold.hold_id).await?.map(|item| Made::Hold(Box::new(item.hold)))
        }
        CommitKind::Reschedule { .. }
        | CommitKind::Cancel { .. }
        | CommitKind::Extend { .. }
        | CommitKind::Release(_) => None,
    })
}

async fn kept_answer(context: &Context, request: &CommitRequest) -> Result<Option<CommitAnswer>, StoreError> {
    let Some(key) = &request.idempotency else { return Ok(None) };
    let tenant = &request.tenant;
    let store = &context.parts.store;
    Ok(match store.kept_answer(tenant.organization_id, Some(tenant.account_id), key).await? {
        Write::Replayed(answer) => Some(replayed(&request.kind, &answer)),
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
