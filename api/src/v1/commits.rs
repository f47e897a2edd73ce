//! Committing, and what it came to.

use agentcal_engine::calendar::request::{
    CommitAnswer, CommitKind, CommitRequest, Intent, Made, Meeting, Refusal, Rejection,
};
use agentcal_engine::commit::IdempotencyKey;
use agentcal_engine::decision::{HostVerdict, Reason};
use agentcal_engine::ids::{HoldId, mint_uuid};
use agentcal_engine::model::{Booking, Hold};
use agentcal_engine::ports::AccountConfig;
use agentcal_engine::time::Timestamp;
use chrono_tz::Tz;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::caller::Cx;
use crate::error::{ApiError, Code, FieldCode};
use crate::idempotency::{Settled, mismatch, withheld};
use crate::offers::{fresh_slots, rendered_alternatives};
use crate::refusals::{of_hold_limit, of_rejection, of_unavailable};

/// What a commit can make.
pub(super) trait FromMade: DeserializeOwned {
    fn from_made(made: Made) -> Option<Self>;

    fn to_made(&self) -> Made;
}

impl FromMade for Booking {
    fn from_made(made: Made) -> Option<Self> {
        match made {
            Made::Booking(booking) => Some(*booking),
            Made::Hold(_) | Made::Released(_) => None,
        }
    }

    fn to_made(&self) -> Made {
        Made::Booking(Box::new(self.clone()))
    }
}

impl FromMade for Hold {
    fn from_made(made: Made) -> Option<Self> {
        match made {
            Made::Hold(hold) => Some(*hold),
            Made::Booking(_) | Made::Released(_) => None,
        }
    }

    fn to_made(&self) -> Made {
        Made::Hold(Box::new(self.clone()))
    }
}

impl FromMade for Vec<HoldId> {
    fn from_made(made: Made) -> Option<Self> {
        match made {
            Made::Released(hold_ids) => Some(hold_ids),
            Made::Booking(_) | Made::Hold(_) => None,
        }
    }

    fn to_made(&self) -> Made {
        Made::Released(self.clone())
    }
}

/// What to commit, and how to tell its outcome.
pub(super) struct Commit<'a> {
    pub(super) kind: CommitKind,
    pub(super) intent: Intent,
    pub(super) key: Option<IdempotencyKey>,
    pub(super) config: &'a AccountConfig,
    /// The meeting and the time alternatives are offered for; `None` where there is nothing to offer.
    pub(super) about: Option<(Meeting, Timestamp)>,
    /// The zone they are written in.
    pub(super) zone: Tz,
}

/// The answer kept for a request that commits, if there is one. What it says is shown everywhere by then.
///
/// A repeated request that would come no further is answered here: the slot id it names may have run out meanwhile. The
/// scheduler looks again when the commit's turn has come, so that nothing is decided anew where a twin was before it in line;
/// and the transaction sees to it that one of them is performed.
pub(super) async fn replay<T: FromMade>(cx: &Cx, key: Option<&IdempotencyKey>) -> Result<Option<Settled<T>>, ApiError> {
    let kept: Option<Settled<T>> = cx.replay(key).await?;
    if let Some(settled) = &kept {
        cx.app.parts.scheduler.have_shown(cx.tenant.account_id, &settled.value.to_made()).await?;
    }
    Ok(kept)
}

/// Commits, and tells its outcome.
pub(super) async fn commit<T: FromMade>(cx: &Cx, commit: Commit<'_>) -> Result<Settled<T>, ApiError> {
    let Commit { kind, intent, key, config, about, zone } = commit;
    let confirms = matches!(kind, CommitKind::Confirm(_));
    let now = cx.app.now();
    let request = CommitRequest {
        commit_id: mint_uuid(now, cx.app.parts.entropy.as_ref()),
        tenant: cx.tenant,
        kind,
        intent,
        idempotency: key,
        deadline: now + cx.app.parts.settings.commit_deadline,
    };
    match cx.app.parts.scheduler.commit(request).await {
        CommitAnswer::Committed(made) | CommitAnswer::WouldCommit(made) => settled(made, false),
        CommitAnswer::Replayed(_) if cx.is_publishable() => Err(withheld()),
        CommitAnswer::Replayed(made) => settled(made, true),
        CommitAnswer::IdempotencyMismatch => Err(mismatch()),
        CommitAnswer::Refused(refusal) => {
            // A twin of this request may have taken the very slot meanwhile.
            match replay(cx, key.as_ref()).await? {
                Some(kept) => Ok(kept),
                None => Err(refused(cx, config, &refusal, about.map(|(meeting, _)| meeting), zone).await),
            }
        }
        CommitAnswer::Rejected(rejection) if confirms && names_hold(rejection) => Err(hold_missing()),
        CommitAnswer::Rejected(rejection) => Err(rejected(cx, config, rejection, about, zone).await),
        CommitAnswer::HoldLimit(limit) => Err(of_hold_limit(limit)),
        CommitAnswer::Unavailable(reason) => Err(of_unavailable(&reason)),
    }
}

fn settled<T: FromMade>(made: Made, replayed: bool) -> Result<Settled<T>, ApiError> {
    let value = T::from_made(made);
    let value =
        value.ok_or_else(|| ApiError::internal(&std::io::Error::other("a commit made another kind of thing")))?;
    Ok(Settled { value, replayed })
}

/// Publishable keys hear what can be booked, never why something cannot.
async fn refused(cx: &Cx, config: &AccountConfig, refusal: &Refusal, meeting: Option<Meeting>, zone: Tz) -> ApiError {
    let now = cx.app.parts.scheduler.store_now().await;
    let alternatives = match meeting {
        Some(meeting) => rendered_alternatives(cx, config, meeting, &refusal.alternatives, zone, now),
        None => Value::Array(Vec::new()),
    };
    let error = ApiError::new(Code::SlotUnavailable, "this time cannot be booked; offer one of the `alternatives`")
        .with("alternatives", alternatives);
    if cx.is_publishable() {
        return error;
    }
    let decision_id = refusal.decision_id.map(|id| id.to_string());
    error
        .with("reasons", refusal.decision.verdicts.iter().map(reasons).collect())
        .with("decision_id", json!(decision_id))
}

fn reasons(verdict: &HostVerdict) -> Value {
    let reasons: Vec<&str> = verdict.reasons.iter().map(|reason: &Reason| reason.as_str()).collect();
    json!({"user_id": verdict.user_id.to_string(), "reasons": reasons})
}

/// Whether a confirmation fails for what is gone: of all that, its caller named the hold alone.
fn names_hold(rejection: Rejection) -> bool {
    matches!(rejection, Rejection::HoldMissing | Rejection::EventTypeMissing | Rejection::UserMissing)
}

/// A hold named in a body is not there, or keeps time for what is no more.
pub(super) fn hold_missing() -> ApiError {
    let detail = "names no hold of this account, or one for an event type that was deleted since";
    ApiError::field("hold_id", FieldCode::NotFound, detail)
}

/// Where another time would do, some are offered.
async fn rejected(
    cx: &Cx,
    config: &AccountConfig,
    rejection: Rejection,
    about: Option<(Meeting, Timestamp)>,
    zone: Tz,
) -> ApiError {
    let error = of_rejection(rejection);
    let may_offer = matches!(rejection, Rejection::SlotIdRequired | Rejection::OfferOutdated | Rejection::HoldExpired);
    match about.filter(|_| may_offer) {
        Some((meeting, start)) => error.with("alternatives", fresh_slots(cx, config, meeting, Some(start), zone).await),
        None => error,
    }
}
