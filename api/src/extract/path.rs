//! Ids in paths. What does not parse is not there.

use std::str::FromStr;

use agentcal_engine::ids::{
    AccountId, BookingId, ConnectionId, DecisionId, DeliveryId, EventTypeId, HoldId, JobId, UserId, WebhookId,
};
use agentcal_engine::model::MailKind;
use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;

use crate::error::ApiError;

/// An id, or the name of one of a few things, that can stand in a path.
pub(crate) trait NamedParam: FromStr {
    /// The parameter's name in the route.
    const NAME: &'static str;
    /// What callers call the thing.
    const KIND: &'static str;
}

macro_rules! named_params {
    ($($id:ident = $name:literal $kind:literal;)*) => {$(
        impl NamedParam for $id {
            const NAME: &'static str = $name;
            const KIND: &'static str = $kind;
        }
    )*};
}

named_params! {
    AccountId = "account_id" "account";
    ConnectionId = "connection_id" "connection";
    UserId = "user_id" "user";
    EventTypeId = "event_type_id" "event type";
    BookingId = "booking_id" "booking";
    HoldId = "hold_id" "hold";
    DecisionId = "decision_id" "decision";
    WebhookId = "webhook_id" "webhook";
    DeliveryId = "delivery_id" "delivery";
    JobId = "job_id" "job";
    MailKind = "kind" "kind of mail";
}

/// The id of this kind in the path.
pub(crate) struct PathId<T>(pub(crate) T);

impl<S: Send + Sync, T: NamedParam> FromRequestParts<S> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let params = parts.extract::<RawPathParams>().await.map_err(|_undecodable| ApiError::not_found(T::KIND))?;
        let text = params.iter().find(|(name, _)| *name == T::NAME).map(|(_, value)| value);
        text.and_then(|text| text.parse().ok()).map(Self).ok_or_else(|| ApiError::not_found(T::KIND))
    }
}
