use agentcal_engine::ids::WebhookId;
use agentcal_engine::model::DeliveryState;
use agentcal_engine::ports::{PageRequest, RelayError, RelayPageRequest};
use serde::Deserialize;
use utoipa::IntoParams;

use super::view::{DeliveryStatusWire, DeliveryView};
use crate::caller::Caller;
use crate::checks::Checks;
use crate::error::ApiError;
use crate::extract::{PathId, Query};
use crate::page::{List, limit_of, page_request};
use crate::v1::answer::Answer;

/// Longest cursor of the service that delivers in our place.
const CURSOR_LEN_MAX: usize = 100;

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
    if let Some(service) = caller.relay()? {
        let page = query.read_for_service()?;
        let endpoint = caller.endpoint(webhook_id).await?;
        return match service.deliveries(caller.endpoint_owner(), endpoint.id, &page).await {
            Ok(page) => Ok(Answer::ok(List::of_service(page.rows, page.next, DeliveryView::from))),
            // It was not told of the webhook yet.
            Err(RelayError::Missing) => Ok(Answer::ok(List::empty())),
            Err(error) => Err(error.into()),
        };
    }
    let (state, page) = query.read()?;
    let endpoint = caller.endpoint(webhook_id).await?;
    let rows = caller.webhooks()?.store.list_deliveries(caller.endpoint_owner(), endpoint.id, state, &page).await?;
    Ok(Answer::ok(List::of(rows, DeliveryView::from)))
}

impl DeliveriesQuery {
    fn read(&self) -> Result<(Option<DeliveryState>, PageRequest), ApiError> {
        let mut checks = Checks::default();
        let page = page_request(&mut checks, self.limit.as_deref(), self.cursor.as_deref());
        let state = self.state(&mut checks);
        checks.finish().map(|()| (state, page))
    }

    /// The same where the service's own cursors are used.
    fn read_for_service(&self) -> Result<RelayPageRequest, ApiError> {
        let mut checks = Checks::default();
        let limit = limit_of(&mut checks, self.limit.as_deref());
        let state = self.state(&mut checks);
        let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if self.cursor.as_deref().is_some_and(|text| text.len() > CURSOR_LEN_MAX || !text.chars().all(is_fine)) {
            checks.unreadable("cursor", "must be a `next_cursor` as it was answered, or left out");
        }
        checks.finish().map(|()| RelayPageRequest { state, limit, after: self.cursor.clone() })
    }

    fn state(&self, checks: &mut Checks) -> Option<DeliveryState> {
        self.status.as_deref().and_then(|text| match text {
            "pending" => Some(DeliveryState::Pending),
            "delivered" => Some(DeliveryState::Delivered),
            "failed" => Some(DeliveryState::Failed),
            _ => {
                checks.unreadable("status", "must be `pending`, `delivered` or `failed`");
                None
            }
        })
    }
}
