use agentcal_engine::ports::{DecisionFilter, PageRequest};
use serde::Deserialize;
use utoipa::IntoParams;

use super::view::DecisionView;
use crate::caller::Cx;
use crate::checks::Checks;
use crate::error::ApiError;
use crate::extract::Query;
use crate::page::{List, page_request};
use crate::v1::answer::Answer;
use crate::v1::wire::zone_of;

/// Which records.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DecisionsQuery {
    /// Of this booking.
    booking_id: Option<String>,
    /// Of this hold.
    hold_id: Option<String>,
    /// Most rows of the page, 1 to 100; 20 when left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List decision records, newest first: one of every booking, hold and move, made or refused.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/decisions", tag = "decisions",
    params(("account_id" = String, Path), DecisionsQuery),
    responses((status = 200, description = "A page of records", body = List<DecisionView>))
)]
pub(super) async fn list_decisions(
    cx: Cx,
    Query(query): Query<DecisionsQuery>,
) -> Result<Answer<List<DecisionView>>, ApiError> {
    let (filter, page) = query.read()?;
    let config = cx.config().await?;
    let zone = zone_of(&config.account);
    let rows = cx.app.store().list_decisions(&cx.tenant, &filter, &page).await?;
    Ok(Answer::ok(List::of(rows, |record| DecisionView::of(record, zone))))
}

impl DecisionsQuery {
    fn read(self) -> Result<(DecisionFilter, PageRequest), ApiError> {
        let mut checks = Checks::default();
        let page = page_request(&mut checks, self.limit.as_deref(), self.cursor.as_deref());
        let filter = DecisionFilter {
            booking_id: self.booking_id.as_ref().map(|id| checks.query_id("booking_id", id)),
            hold_id: self.hold_id.as_ref().map(|id| checks.query_id("hold_id", id)),
        };
        checks.finish().map(|()| (filter, page))
    }
}
