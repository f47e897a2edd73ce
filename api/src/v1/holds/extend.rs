use agentcal_engine::calendar::request::{CommitKind, Intent};
use agentcal_engine::ids::HoldId;
use http::StatusCode;

use super::body::HoldExtension;
use super::create::answer;
use super::get::{HoldPlace, find_hold};
use super::view::{HoldView, zone_of_hold};
use crate::caller::PublicCx;
use crate::error::ApiError;
use crate::extract::{MaybeBody, PathId, Query};
use crate::v1::answer::Answer;
use crate::v1::commits::{Commit, commit, replay};
use crate::v1::lists::NoQuery;

/// Keep a hold for longer.
///
/// The time counts from now, not from its old end; one that would end the hold sooner changes nothing. A hold that is
/// over stays over.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/holds/{hold_id}/extend", tag = "holds",
    params(("account_id" = String, Path), ("hold_id" = String, Path)),
    request_body = Option<HoldExtension>, responses((status = 200, description = "The hold", body = HoldView))
)]
pub(super) async fn extend_hold(
    cx: PublicCx,
    PathId(hold_id): PathId<HoldId>,
    _: Query<NoQuery>,
    MaybeBody(body): MaybeBody<HoldExtension>,
) -> Result<Answer<HoldView>, ApiError> {
    let config = cx.unchecked().config().await?;
    let (cx, hold) = find_hold(&cx, hold_id, &config).await?;
    let ttl_seconds = body.read()?;
    let key = cx.idempotency(&ttl_seconds);
    let settled = match replay(cx, key.as_ref()).await? {
        Some(kept) => kept,
        None => {
            let (kind, zone) = (CommitKind::Extend { hold_id, ttl_seconds }, zone_of_hold(&hold, &config));
            commit(cx, Commit { kind, intent: Intent::Commit, key, config: &config, about: hold.place(), zone }).await?
        }
    };
    Ok(answer(cx, StatusCode::OK, settled, &config).await)
}
