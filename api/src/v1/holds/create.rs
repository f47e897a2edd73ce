use agentcal_engine::calendar::request::{CommitKind, HoldRequest, Intent};
use agentcal_engine::ids::HoldId;
use agentcal_engine::model::Hold;
use agentcal_engine::ports::AccountConfig;
use agentcal_engine::time::Timestamp;
use http::StatusCode;

use super::body::{HoldAsked, NewHold};
use super::view::{HoldView, zone_of_hold};
use crate::caller::{Cx, PublicCx};
use crate::error::ApiError;
use crate::extract::{Body, Query};
use crate::idempotency::Settled;
use crate::v1::answer::Answer;
use crate::v1::commits::{Commit, commit, replay};
use crate::v1::lists::NoQuery;

/// Hold a slot.
///
/// Nobody else can hold or book the time until the hold expires, is released or becomes a booking. Publishable keys may
/// hold public event types.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/holds", tag = "holds", params(("account_id" = String, Path)),
    request_body = NewHold, responses((status = 201, description = "The hold", body = HoldView))
)]
pub(super) async fn create_hold(
    cx: PublicCx,
    _: Query<NoQuery>,
    Body(body): Body<NewHold>,
) -> Result<Answer<HoldView>, ApiError> {
    let asked = body.read()?;
    let config = cx.unchecked().config().await?;
    let cx = asked.named.open(&cx, &config)?;
    let key = cx.idempotency(&asked);
    let settled = match replay(cx, key.as_ref()).await? {
        Some(kept) => kept,
        None => place(cx, &config, asked, key).await?,
    };
    Ok(answer(cx, StatusCode::CREATED, settled, &config).await)
}

async fn place(
    cx: &Cx,
    config: &AccountConfig,
    asked: HoldAsked,
    key: Option<agentcal_engine::commit::IdempotencyKey>,
) -> Result<Settled<Hold>, ApiError> {
    let zone = asked.named.zone(config);
    let wanted = asked.named.resolve(cx, config, zone).await?;
    let about = Some((wanted.meeting, wanted.start));
    let request = HoldRequest {
        hold_id: HoldId::mint(cx.app.now(), cx.app.parts.entropy.as_ref()),
        meeting: wanted.meeting,
        choice: wanted.choice,
        start: wanted.start,
        ttl_seconds: asked.ttl_seconds,
        session_id: asked.session_id,
    };
    commit(cx, Commit { kind: CommitKind::Hold(request), intent: Intent::Commit, key, config, about, zone }).await
}

/// The answer to a commit. A kept one is answered as it was then, when the hold had not ended.
pub(super) async fn answer(
    cx: &Cx,
    status: StatusCode,
    settled: Settled<Hold>,
    config: &AccountConfig,
) -> Answer<HoldView> {
    let now = if settled.replayed { Timestamp::EARLIEST } else { cx.app.parts.scheduler.store_now().await };
    let zone = zone_of_hold(&settled.value, config);
    Answer::settled(status, settled, |hold| HoldView::at(hold, now, zone))
}
