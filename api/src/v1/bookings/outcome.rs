//! Committing, and what it came to.

use agentcal_engine::calendar::request::{Alternative, CommitAnswer, CommitKind, CommitRequest, Intent, Made, Refusal};
use agentcal_engine::commit::IdempotencyKey;
use agentcal_engine::decision::{HostVerdict, Reason};
use agentcal_engine::ids::{UserId, mint_uuid};
use agentcal_engine::model::Booking;
use agentcal_engine::time::Timestamp;
use chrono_tz::Tz;
use http::StatusCode;
use serde_json::{Value, json};

use super::view::BookingView;
use crate::caller::Cx;
use crate::error::{ApiError, Code};
use crate::idempotency::{Settled, mismatch, withheld};
use crate::instant::rfc3339;
use crate::refusals::{of_hold_limit, of_rejection, of_unavailable};
use crate::v1::answer::Answer;

/// Commits, and tells its outcome; `zone` is the one alternatives are answered in.
pub(super) async fn commit(
    cx: &Cx,
    kind: CommitKind,
    key: Option<IdempotencyKey>,
    zone: Tz,
) -> Result<Settled<Booking>, ApiError> {
    let now = cx.app.now();
    let request = CommitRequest {
        commit_id: mint_uuid(now, cx.app.parts.entropy.as_ref()),
        tenant: cx.tenant,
        kind,
        intent: Intent::Commit,
        idempotency: key,
        deadline: now + cx.app.parts.settings.commit_deadline,
    };
    match cx.app.parts.scheduler.commit(request).await {
        CommitAnswer::Committed(made) | CommitAnswer::WouldCommit(made) => {
            Ok(Settled { value: booking_of(made)?, replayed: false })
        }
        CommitAnswer::Replayed(_) if cx.is_publishable() => Err(withheld()),
        CommitAnswer::Replayed(made) => Ok(Settled { value: booking_of(made)?, replayed: true }),
        CommitAnswer::IdempotencyMismatch => Err(mismatch()),
        CommitAnswer::Refused(refusal) => {
            // A twin of this request may have taken the very slot meanwhile.
            let kept = cx.replay(key.as_ref()).await?;
            kept.ok_or_else(|| refused(&refusal, zone, cx.is_publishable()))
        }
        CommitAnswer::Rejected(rejection) => Err(of_rejection(rejection)),
        CommitAnswer::HoldLimit(limit) => Err(of_hold_limit(limit)),
        CommitAnswer::Unavailable(reason) => Err(of_unavailable(&reason)),
    }
}

fn booking_of(made: Made) -> Result<Booking, ApiError> {
    match made {
        Made::Booking(booking) => Ok(*booking),
        Made::Hold(_) | Made::Released(_) => Err(ApiError::internal(&std::io::Error::other("not a booking was made"))),
    }
}

/// The answer to a commit. A kept one is answered as it was then, when the booking was not over.
pub(super) async fn answer(cx: &Cx, status: StatusCode, settled: Settled<Booking>) -> Answer<BookingView> {
    let now = if settled.replayed { Timestamp::EARLIEST } else { cx.app.parts.scheduler.store_now().await };
    Answer::settled(status, settled, |booking| BookingView::at(booking, now))
}

/// Publishable keys hear what can be booked, never why something cannot.
fn refused(refusal: &Refusal, zone: Tz, publishable: bool) -> ApiError {
    let alternatives: Vec<Value> = refusal.alternatives.iter().map(|slot| alternative(slot, zone)).collect();
    let error = ApiError::new(Code::SlotUnavailable, "this time cannot be booked; offer one of the `alternatives`")
        .with("alternatives", alternatives.into());
    if publishable {
        return error;
    }
    error.with("reasons", refusal.decision.verdicts.iter().map(reasons).collect())
}

fn reasons(verdict: &HostVerdict) -> Value {
    let reasons: Vec<&str> = verdict.reasons.iter().map(|reason: &Reason| reason.as_str()).collect();
    json!({"user_id": verdict.user_id.to_string(), "reasons": reasons})
}

fn alternative(slot: &Alternative, zone: Tz) -> Value {
    json!({
        "start_time": rfc3339(slot.start, zone),
        "end_time": rfc3339(slot.end, zone),
        "user_ids": slot.user_ids.iter().map(UserId::to_string).collect::<Vec<_>>(),
    })
}
