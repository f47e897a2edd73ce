use agentcal_engine::ids::WebhookId;
use agentcal_engine::model::DeliveryState;
use agentcal_engine::ports::PageRequest;
use serde::Deserialize;
use utoipa::IntoParams;

use super::view::{DeliveryStatusWire, DeliveryView};
use crate::caller::Caller;
use crate::checks::Checks;
use crate::error::ApiError;
use crate::extract::{PathId, Query};
use crate::page::{List, page_request};
use crate::v1::answer::Answer;

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeliveriesQuery {
    /// Where they stand.
    #[param(value_type = Option<DeliveryStatusWire>, inline)]
    status: Option<String>,
    /// Most rows of the page, 1 to 100; 20 when left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List deliveries of a webhook with their attempts, newest first. They are kept for 30 days.
#[utoipa::path(
    get, path = "/v1/webhooks/{webhook_id}/deliveries", tag = "webhooks",
    params(("webhook_id" = String, Path), DeliveriesQuery),
    responses((status = 200, description = "A page of deliveries", body = List<DeliveryView>))
)]
pub(super) async fn list_webhook_deliveries(
    caller: Caller,
    PathId(webhook_id): PathId<WebhookId>,
    Query(query): Query<DeliveriesQuery>,
) -> Result<Answer<List<DeliveryView>>, ApiError> {
    let (state, page) = query.read()?;
    let endpoint = caller.endpoint(webhook_id).await?;
    let rows = caller.webhooks()?.store.list_deliveries(caller.endpoint_owner(), endpoint.id, state, &page).await?;
    Ok(Answer::ok(List::of(rows, DeliveryView::from)))
}

impl DeliveriesQuery {
    fn read(&self) -> Result<(Option<DeliveryState>, PageRequest), ApiError> {
        let mut checks = Checks::default();
        let page = page_request(&mut checks, self.limit.as_deref(), self.cursor.as_deref());
        let state = self.status.as_deref().and_then(|text| match text {
            "pending" => Some(DeliveryState::Pending),
            "delivered" => Some(DeliveryState::Delivered),
            "failed" => Some(DeliveryState::Failed),
            _ => {
                checks.unreadable("status", "must be `pending`, `delivered` or `failed`");
                None
            }
        });
        checks.finish().map(|()| (state, page))
    }
}
