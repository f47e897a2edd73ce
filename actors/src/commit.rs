//! One commit, led: gather, decide, commit, publish, answer. Several that stand in line: `crate::together`.

use std::sync::Arc;

use agentcal_engine::calendar::ask::{Ask, Stored, ask_of, leader_of};
use agentcal_engine::calendar::attempt::{After, Attempts};
use agentcal_engine::calendar::plan::{Planned, cancel, extend, keep_answer, release};
use agentcal_engine::calendar::request::{
    CommitAnswer, CommitKind, CommitRequest, Intent, Made, Rejection, UnavailableReason,
};
use agentcal_engine::calendar::spot_check::SpotChecks;
use agentcal_engine::commit::{Outcome, RevisionKey};
use agentcal_engine::ids::CalendarId;
use agentcal_engine::planted;
use agentcal_engine::ports::StoreError;
use agentcal_engine::shard::{Epoch, Shard};

use crate::context::Context;
use crate::decide::{self, Basis, No};
use crate::jobs::CommitJob;
use crate::made::{is_there, kept_answer, made_before, stored, what_is_there};
use crate::metrics;
use crate::ownerless;
use crate::settled::{Settled, publish};
use crate::shown::heard_of;
use crate::together::Foresight;

pub(crate) const STORE_UNAVAILABLE: CommitAnswer = CommitAnswer::Unavailable(UnavailableReason::StoreUnavailable);

/// Who leads a commit, and what the store had of what it names.
pub(crate) struct Led {
    /// The calendar whose actor leads; `None` where nobody has one.
    pub(crate) calendar_id: Option<CalendarId>,
    /// As read before the commit's turn came.
    pub(crate) stored: Stored,
}

/// On what ground a commit is performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Footing {
    /// By the owner of the shard. `is_shared`: another node may be performing it as well.
    Owner { epoch: Epoch, is_shared: bool },
    /// By a node that reaches no owner: on the store's own facts, and without an epoch.
    Ownerless,
}

impl Footing {
    pub(crate) fn is_shared(self) -> bool {
        !matches!(self, Self::Owner { is_shared: false, .. })
    }

    pub(crate) fn epoch(self) -> Option<Epoch> {
        match self {
            Self::Owner { epoch, .. } => Some(epoch),
            Self::Ownerless => None,
        }
    }
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
        Ok(Err(answer)) => Err(Box::new(after_refusal(context, request, *answer).await)),
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

/// Makes a commit, and waits until its answer may be heard. `None`: the ownership it was begun under is over, and nothing
/// was done.
pub(crate) async fn lead(
    context: &Arc<Context>,
    request: &CommitRequest,
    before: Before,
    footing: Footing,
) -> Option<CommitAnswer> {
    Some(settle(context, request, before, footing).await?.heard().await)
}

/// Makes a commit, as far as the next one need wait for it. `None`: as for [`lead`].
pub(crate) async fn settle(
    context: &Arc<Context>,
    request: &CommitRequest,
    before: Before,
    footing: Footing,
) -> Option<Settled> {
    match answered_before(context, request, footing).await {
        Ok(None) => {}
        Ok(Some(answer)) => return Some(unplanned(context, request, footing, No::plain(Box::new(answer))).await),
        Err(error) => return Some(Settled::plain(store_failed(&error))),
    }
    let settled = decide_until_settled(context, request, before, footing).await;
    settled.unwrap_or_else(|error| Some(Settled::plain(store_failed(&error))))
}

/// What was answered to the idempotency key, or became of this very commit on another node.
async fn answered_before(
    context: &Context,
    request: &CommitRequest,
    footing: Footing,
) -> Result<Option<CommitAnswer>, StoreError> {
    if let Some(answer) = kept_answer(context, request).await? {
        return Ok(Some(answer));
    }
    if !footing.is_shared() || request.intent == Intent::DryRun {
        return Ok(None);
    }
    match context.parts.store.used_up(request.tenant.account_id, request.commit_id).await? {
        Some(is_performed) => Ok(Some(settled_before(context, request, is_performed).await)),
        None => Ok(None),
    }
}

async fn decide_until_settled(
    context: &Arc<Context>,
    request: &CommitRequest,
    before: Before,
    footing: Footing,
) -> Result<Option<Settled>, StoreError> {
    let mut attempts = Attempts::default();
    let mut checks = SpotChecks::default();
    let (mut earlier, handed_over) = match before {
        Before::Read(stored) => (Some(*stored), false),
        Before::HandedOver => (None, true),
    };
    loop {
        if context.left_until(request.deadline).is_zero() {
            return Ok(Some(Settled::plain(CommitAnswer::Unavailable(UnavailableReason::Deadline))));
        }
        let is_earlier = earlier.is_some() && !names_nothing(&request.kind);
        let stored = match earlier.take() {
            Some(stored) => stored,
            None => stored(context, request, handed_over || reads_store(&attempts, footing)).await?,
        };
        let last_resort = footing.epoch().is_some().then_some(&mut checks);
        let read = Read { attempts: &attempts, stored, foresight: &Foresight::default(), last_resort };
        let planned = match plan(context, request, read, footing).await? {
            Ok(planned) => planned,
            // An owner's facts may be behind a commit that was made without it.
            Err(_) if is_earlier || !(context.ownership.is_alone() || reads_store(&attempts, footing)) => {
                attempts.handle_refusal_on_earlier_read();
                continue;
            }
            Err(No { answer, record }) => {
                let answer = Box::new(after_refusal(context, request, *answer).await);
                return Ok(Some(unplanned(context, request, footing, No { answer, record }).await));
            }
        };
        if request.intent == Intent::DryRun {
            return Ok(Some(Settled::plain(CommitAnswer::WouldCommit(planned.made))));
        }
        planted!(CacheBeforeCommit => {
            let publishing = publish(context, &planned, &planned.plan.foreseen()).await;
            drop(Settled { answer: STORE_UNAVAILABLE, publishing }.heard().await);
        });
        let outcome = match context.parts.store.commit(&planned.plan).await {
            Ok(outcome) => outcome,
            Err(error) => {
                let answer = after_unknown_outcome(context, request, &planned, &error).await;
                return Ok(Some(heard_of(context, request, footing, answer).await));
            }
        };
        count_retry(&outcome);
        match attempts.handle_outcome(&request.kind, outcome) {
            After::Committed(revisions) => return Ok(Some(committed(context, planned, &revisions, footing).await)),
            // Whoever made it may have been at it while this one looked.
            After::Answer(answer) => return Ok(Some(unplanned(context, request, footing, No::plain(answer)).await)),
            After::Again => {}
            After::UsedUp { is_performed } => {
                let answer = settled_before(context, request, is_performed).await;
                return Ok(Some(heard_of(context, request, footing, answer).await));
            }
            After::Fenced => {
                footing.epoch().into_iter().for_each(|epoch| context.fence(planned.plan.shard, epoch));
                return Ok(None);
            }
        }
    }
}

/// A first plan for a commit that may be made together with others; `None` where it takes its turn alone.
pub(crate) async fn first_plan(context: &Arc<Context>, job: &CommitJob, foresight: &Foresight) -> Option<Planned> {
    let CommitJob { request, before: Before::Read(stored), footing, .. } = job else { return None };
    // What fails or is refused here is tried once more, alone, and says so then.
    if !matches!(answered_before(context, request, *footing).await, Ok(None)) {
        return None;
    }
    let read = Read { attempts: &Attempts::default(), stored: (**stored).clone(), foresight, last_resort: None };
    plan(context, request, read, *footing).await.ok()?.ok()
}

/// A commit was made here: whoever tells of it is rung, and its facts are on their way.
pub(crate) async fn committed(
    context: &Arc<Context>,
    planned: Planned,
    revisions: &[(RevisionKey, u64)],
    footing: Footing,
) -> Settled {
    if planned.plan.event.is_some() {
        context.delivery_bell.notify_one();
    }
    let publishing = match footing {
        Footing::Owner { .. } => publish(context, &planned, revisions).await,
        Footing::Ownerless => {
            ownerless::publish(context, &planned).await;
            Vec::new()
        }
    };
    Settled { answer: CommitAnswer::Committed(planned.made), publishing }
}

/// Somebody else settled this very commit. Performed, its answer is what there now is; refused, whoever waits has heard so.
pub(crate) async fn settled_before(context: &Context, request: &CommitRequest, is_performed: bool) -> CommitAnswer {
    if !is_performed {
        return CommitAnswer::Unavailable(UnavailableReason::Deadline);
    }
    match what_is_there(context, request).await {
        Ok(Some(made)) => CommitAnswer::Committed(made),
        Ok(None) => STORE_UNAVAILABLE,
        Err(error) => store_failed(&error),
    }
}

/// Whether a request makes something of nothing, so that nothing read of it can be outdated.
fn names_nothing(kind: &CommitKind) -> bool {
    matches!(kind, CommitKind::Book(_) | CommitKind::Hold(_))
}

/// Whether the decision must rest on the store: where what is published misled one before, and where nothing is.
fn reads_store(attempts: &Attempts, footing: Footing) -> bool {
    attempts.reads_store() || footing == Footing::Ownerless
}

/// What a plan rests on besides what is published.
struct Read<'a> {
    attempts: &'a Attempts,
    stored: Stored,
    foresight: &'a Foresight,
    last_resort: Option<&'a mut SpotChecks>,
}

/// A plan for the request as things now stand; or the answer, where there is none.
async fn plan(
    context: &Arc<Context>,
    request: &CommitRequest,
    Read { attempts, stored, foresight, last_resort }: Read<'_>,
    footing: Footing,
) -> Result<Result<Planned, No>, StoreError> {
    let account_id = request.tenant.account_id;
    let reads_store = reads_store(attempts, footing);
    let config = if reads_store { context.fresh_config(account_id).await? } else { context.config(account_id).await? };
    let Some(config) = config else {
        return Ok(Err(No::plain(Box::new(CommitAnswer::Rejected(Rejection::AccountMissing)))));
    };
    let grounds = || decide::grounds(context, request, &config, footing);
    Ok(match ask_of(&request.kind, &config, stored, context.store_now()) {
        Ask::Cancel(item) => Ok(cancel(&grounds(), &item)),
        Ask::Extend(item) => Ok(extend(&grounds(), &item)),
        Ask::Release(items) => Ok(release(&grounds(), &items)),
        Ask::Decide(ask) => {
            let basis = Basis { attempts, foresight, last_resort, reads_store, footing };
            decide::decide(context, request, &config, &ask, basis).await?
        }
        Ask::Answered(answer) => Err(No::plain(answer)),
    })
}

/// The store did not say whether it committed. If what was planned reads so, it did.
pub(crate) async fn after_unknown_outcome(
    context: &Arc<Context>,
    request: &CommitRequest,
    planned: &Planned,
    error: &StoreError,
) -> CommitAnswer {
    tracing::warn!(commit_id = %request.commit_id, %error, "the store did not answer a commit");
    let is_there = is_kept_and_there(context, request, &planned.made).await;
    // Whatever happened, what was published may be behind the store now.
    for calendar_id in planned.changed_calendars().into_keys() {
        context.catch_up(planned.plan.tenant.account_id, calendar_id).await;
    }
    match is_there {
        Ok(true) => CommitAnswer::Committed(planned.made.clone()),
        Ok(false) | Err(_) => STORE_UNAVAILABLE,
    }
}

/// The answer where nothing was planned, once it is the last word. The record of a refusal is kept if it still is one then.
async fn unplanned(context: &Arc<Context>, request: &CommitRequest, footing: Footing, no: No) -> Settled {
    let answer = match footing {
        Footing::Owner { .. } => *no.answer,
        Footing::Ownerless => ownerless::last_word(context, request, *no.answer).await,
    };
    if let (CommitAnswer::Refused(_), Some(record)) = (&answer, no.record) {
        context.refusals.keep(*record).await;
    }
    heard_of(context, request, footing, answer).await
}

/// Whether a plan was performed. An answer to a key is kept by whatever performs it; without it nothing was, even where
/// what was planned reads so, as an extension does of a hold that lasts long enough already.
async fn is_kept_and_there(context: &Context, request: &CommitRequest, made: &Made) -> Result<bool, StoreError> {
    let is_kept = request.idempotency.is_none() || kept_answer(context, request).await?.is_some();
    Ok(is_kept && is_there(context, request, made).await?)
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
    if let CommitAnswer::Committed(made) = answer {
        return as_asked(context, request, made).await;
    }
    match made_before(context, request).await {
        Ok(Some(made)) => CommitAnswer::Committed(made),
        Ok(None) => answer,
        Err(error) => store_failed(&error),
    }
}

/// All is as was asked, so nothing was done. A request with a key has its answer kept all the same: performed when it is
/// repeated, it would undo what others did since.
async fn as_asked(context: &Context, request: &CommitRequest, made: Made) -> CommitAnswer {
    let Some(key) = request.idempotency else { return CommitAnswer::Committed(made) };
    let epoch = context.ownership.epoch_of(Shard::of(request.tenant.account_id));
    let plan = keep_answer(request, key, epoch, &made);
    let mut attempts = Attempts::default();
    loop {
        let outcome = match context.parts.store.commit(&plan).await {
            Ok(outcome) => outcome,
            Err(error) => return store_failed(&error),
        };
        match attempts.handle_outcome(&request.kind, outcome) {
            After::Committed(_) => return CommitAnswer::Committed(made),
            After::Answer(answer) => return *answer,
            After::Again => {}
            // The same key finds the new owner.
            After::Fenced | After::UsedUp { .. } => return STORE_UNAVAILABLE,
        }
    }
}

pub(crate) fn store_failed(error: &StoreError) -> CommitAnswer {
    tracing::error!(%error, "a commit failed on the store");
    STORE_UNAVAILABLE
}

pub(crate) fn count_retry(outcome: &Outcome) {
    let cause = match outcome {
        Outcome::Stale => "stale",
        Outcome::Overlap { .. } => "overlap",
        _ => return,
    };
    ::metrics::counter!(metrics::COMMIT_RETRIES, "cause" => cause).increment(1);
}
