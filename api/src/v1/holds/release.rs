use agentcal_engine::calendar::request::{CommitKind, HoldSelection, Intent};
use agentcal_engine::ids::HoldId;
use agentcal_engine::ports::AccountConfig;
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::SESSION_ID_LEN_MAX;
use super::get::find_hold;
use crate::caller::{Cx, PublicCx};
use crate::checks::Checks;
use crate::error::ApiError;
use crate::extract::{PathId, Query};
use crate::idempotency::Settled;
use crate::v1::answer::Done;
use crate::v1::commits::{Commit, commit, replay};
use crate::v1::lists::NoQuery;
use crate::v1::wire::zone_of;

/// Which holds.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SessionQuery {
    /// The call whose holds to release.
    #[param(required = true, value_type = String, min_length = 1, max_length = 255)]
    session_id: Option<String>,
}

/// Release a hold. Releasing it again, or after it expired, answers the same.
#[utoipa::path(
    delete, path = "/v1/accounts/{account_id}/holds/{hold_id}", tag = "holds",
    params(("account_id" = String, Path), ("hold_id" = String, Path)),
    responses((status = 204, description = "It keeps no time any more"))
)]
pub(super) async fn release_hold(
    cx: PublicCx,
    PathId(hold_id): PathId<HoldId>,
    _: Query<NoQuery>,
) -> Result<Done, ApiError> {
    let config = cx.unchecked().config().await?;
    let (cx, _) = find_hold(&cx, hold_id, &config).await?;
    release(cx, &config, HoldSelection::One(hold_id)).await
}

/// Release every hold of a call, at once. Where there is none, that is no error.
#[utoipa::path(
    delete, path = "/v1/accounts/{account_id}/holds", tag = "holds",
    params(("account_id" = String, Path), SessionQuery),
    responses((status = 204, description = "The call keeps no time any more"))
)]
pub(super) async fn release_session(cx: Cx, Query(query): Query<SessionQuery>) -> Result<Done, ApiError> {
    let config = cx.config().await?;
    let mut checks = Checks::default();
    let session_id = match &query.session_id {
        Some(session_id) => checks.text("session_id", session_id, SESSION_ID_LEN_MAX),
        None => {
            checks.required("session_id");
            String::new()
        }
    };
    checks.finish()?;
    release(&cx, &config, HoldSelection::Session(session_id)).await
}

async fn release(cx: &Cx, config: &AccountConfig, selection: HoldSelection) -> Result<Done, ApiError> {
    let session_id = match &selection {
        HoldSelection::One(_) => None,
        HoldSelection::Session(session_id) => Some(session_id.clone()),
    };
    let key = cx.idempotency(&session_id);
    let settled: Settled<Vec<HoldId>> = match replay(cx, key.as_ref()).await? {
        Some(kept) => kept,
        None => {
            let (kind, zone) = (CommitKind::Release(selection), zone_of(&config.account));
            commit(cx, Commit { kind, intent: Intent::Commit, key, config, about: None, zone }).await?
        }
    };
    Ok(Done::no_content(&Settled { value: (), replayed: settled.replayed }))
}
