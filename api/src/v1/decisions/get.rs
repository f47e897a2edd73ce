use agentcal_engine::ids::DecisionId;

use super::view::DecisionView;
use crate::caller::Cx;
use crate::error::ApiError;
use crate::extract::{NamedParam, PathId, Query};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;
use crate::v1::wire::zone_of;

/// Read the record of a decision. Records are kept for 30 days.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/decisions/{decision_id}", tag = "decisions",
    params(("account_id" = String, Path), ("decision_id" = String, Path)),
    responses((status = 200, description = "The record", body = DecisionView))
)]
pub(super) async fn get_decision(
    cx: Cx,
    PathId(decision_id): PathId<DecisionId>,
    _: Query<NoQuery>,
) -> Result<Answer<DecisionView>, ApiError> {
    let config = cx.config().await?;
    let record = cx.app.store().decision(cx.account_id(), decision_id).await?;
    let record = record.ok_or_else(|| ApiError::not_found(DecisionId::KIND))?;
    Ok(Answer::ok(DecisionView::of(record, zone_of(&config.account))))
}
