//! Webhooks and deliveries as callers see them.

use agentcal_engine::model::{
    DeliveryAttempt, DeliveryState, EventKind, WebhookDelivery, WebhookEndpoint, WebhookStanding,
};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::secret_text;
use crate::instant::rfc3339;

/// What a webhook can hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, ToSchema)]
#[schema(as = WebhookEvent)]
pub(super) enum EventWire {
    /// A booking was made.
    #[serde(rename = "booking.created")]
    BookingCreated,
    /// A booking was moved to another time.
    #[serde(rename = "booking.rescheduled")]
    BookingRescheduled,
    /// A booking was cancelled.
    #[serde(rename = "booking.cancelled")]
    BookingCancelled,
    /// A booking begins soon.
    #[serde(rename = "booking.reminder")]
    BookingReminder,
    /// A booking's time is over, and it was not cancelled.
    #[serde(rename = "booking.completed")]
    BookingCompleted,
    /// Writing a booking to a host's calendar was given up.
    #[serde(rename = "booking.writeback_failed")]
    BookingWritebackFailed,
    /// A busy event of somebody else now covers a booking's time.
    #[serde(rename = "booking.conflict")]
    BookingConflict,
    /// A provider refuses a connection's credentials.
    #[serde(rename = "connection.reauthorization_required")]
    ConnectionReauthorizationRequired,
}

impl From<EventKind> for EventWire {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::BookingCreated => Self::BookingCreated,
            EventKind::BookingRescheduled => Self::BookingRescheduled,
            EventKind::BookingCancelled => Self::BookingCancelled,
            EventKind::BookingReminder => Self::BookingReminder,
            EventKind::BookingCompleted => Self::BookingCompleted,
            EventKind::BookingWritebackFailed => Self::BookingWritebackFailed,
            EventKind::BookingConflict => Self::BookingConflict,
            EventKind::ConnectionReauthorizationRequired => Self::ConnectionReauthorizationRequired,
        }
    }
}

impl From<EventWire> for EventKind {
    fn from(wire: EventWire) -> Self {
        match wire {
            EventWire::BookingCreated => Self::BookingCreated,
            EventWire::BookingRescheduled => Self::BookingRescheduled,
            EventWire::BookingCancelled => Self::BookingCancelled,
            EventWire::BookingReminder => Self::BookingReminder,
            EventWire::BookingCompleted => Self::BookingCompleted,
            EventWire::BookingWritebackFailed => Self::BookingWritebackFailed,
            EventWire::BookingConflict => Self::BookingConflict,
            EventWire::ConnectionReauthorizationRequired => Self::ConnectionReauthorizationRequired,
        }
    }
}

/// Why a webhook is not spoken to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookDisabledReason)]
pub(super) enum DisabledReasonWire {
    /// It was switched off with `enabled`.
    SwitchedOff,
    /// It answered 410 Gone.
    Gone,
    /// It did nothing but fail for five days.
    Failing,
}

/// A webhook.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(super) struct WebhookView {
    /// Its id.
    #[schema(example = "hook_01kaj2wz5rfv8t6xg3m9c1nq4d")]
    id: String,
    /// Where messages are sent.
    url: String,
    /// What it hears of.
    events: Vec<EventWire>,
    /// Of which accounts; null: of all.
    #[schema(required = true)]
    account_ids: Option<Vec<String>>,
    /// Whether messages are sent.
    enabled: bool,
    /// Why they are not.
    #[schema(required = true)]
    disabled_reason: Option<DisabledReasonWire>,
    /// Since when nothing but failures came of sending; null while all is well.
    #[schema(required = true, format = DateTime)]
    failing_since: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<WebhookEndpoint> for WebhookView {
    fn from(endpoint: WebhookEndpoint) -> Self {
        let disabled_reason = match endpoint.standing {
            WebhookStanding::Enabled => None,
            WebhookStanding::SwitchedOff => Some(DisabledReasonWire::SwitchedOff),
            WebhookStanding::Gone => Some(DisabledReasonWire::Gone),
            WebhookStanding::Failing => Some(DisabledReasonWire::Failing),
        };
        Self {
            id: endpoint.id.to_string(),
            url: endpoint.url,
            events: endpoint.events.into_iter().map(EventWire::from).collect(),
            account_ids: endpoint.account_ids.map(|ids| ids.iter().map(ToString::to_string).collect()),
            enabled: disabled_reason.is_none(),
            disabled_reason,
            failing_since: endpoint.health.failing_since.map(|since| rfc3339(since, Tz::UTC)),
            created_at: rfc3339(endpoint.created_at, Tz::UTC),
        }
    }
}

/// An endpoint that was made, and what it is signed with.
#[derive(Deserialize, Serialize)]
pub(super) struct Made {
    pub(super) endpoint: WebhookEndpoint,
    pub(super) secret: Vec<u8>,
}

/// A webhook, and what its messages are signed with.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookWithSecret)]
pub(super) struct WebhookWithSecretView {
    #[serde(flatten)]
    webhook: WebhookView,
    /// What messages are signed with, after Standard Webhooks. Shown this once.
    secret: String,
}

impl From<Made> for WebhookWithSecretView {
    fn from(made: Made) -> Self {
        Self { webhook: made.endpoint.into(), secret: secret_text(&made.secret) }
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookDeliveryStatus)]
pub(super) enum DeliveryStatusWire {
    /// Will be sent, or is being sent.
    Pending,
    /// The webhook said that it has it.
    Delivered,
    /// Given up.
    Failed,
}

/// An event on its way to a webhook.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub(super) struct DeliveryView {
    /// Its id: `webhook-id` of the message, the same in every attempt.
    #[schema(example = "msg_01kaj2wz5rfv8t6xg3m9c1nq4d")]
    id: String,
    /// In whose account it happened.
    account_id: String,
    /// What happened.
    event: EventWire,
    /// When it happened.
    #[schema(format = DateTime)]
    happened_at: String,
    /// Where it stands.
    status: DeliveryStatusWire,
    /// When it is sent next; null where it is not.
    #[schema(required = true, format = DateTime)]
    next_attempt_at: Option<String>,
    /// What was tried, first to last; the latest 50.
    attempts: Vec<AttemptView>,
}

/// One attempt.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookAttempt)]
pub(super) struct AttemptView {
    /// The how manieth of its delivery, from 1. One that was cut off leaves a gap.
    number: u32,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: String,
    /// How long it took.
    duration_ms: u64,
    /// The status of the answer; null where none came.
    #[schema(required = true)]
    status: Option<u16>,
    /// Why none came.
    #[schema(required = true)]
    error: Option<String>,
    /// How the answer began, up to 1,024 bytes.
    answer: String,
}

impl From<WebhookDelivery> for DeliveryView {
    fn from(delivery: WebhookDelivery) -> Self {
        let (status, next) = match delivery.state {
            DeliveryState::Pending => (DeliveryStatusWire::Pending, Some(delivery.due_at)),
            DeliveryState::Delivered => (DeliveryStatusWire::Delivered, None),
            DeliveryState::Failed => (DeliveryStatusWire::Failed, None),
        };
        Self {
            id: delivery.id.to_string(),
            account_id: delivery.account_id.to_string(),
            event: delivery.kind.into(),
            happened_at: rfc3339(delivery.happened_at, Tz::UTC),
            status,
            next_attempt_at: next.map(|next| rfc3339(next, Tz::UTC)),
            attempts: delivery.attempts.into_iter().map(AttemptView::from).collect(),
        }
    }
}

impl From<DeliveryAttempt> for AttemptView {
    fn from(attempt: DeliveryAttempt) -> Self {
        Self {
            number: attempt.number,
            ended_at: rfc3339(attempt.ended_at, Tz::UTC),
            duration_ms: u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
            status: attempt.status,
            error: attempt.error,
            answer: attempt.answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::body::WebhookPatch;
    use super::*;

    /// An event has one name: in rows, in messages, in requests and in answers.
    #[test]
    fn events_are_named_alike_inside_and_outside() {
        for kind in EventKind::ALL {
            let wire = EventWire::from(kind);
            assert_eq!(EventKind::from(wire), kind);
            assert_eq!(EventKind::of_name(kind.as_str()), Some(kind));
            let name = serde_json::json!(kind.as_str());
            assert_eq!(
                (serde_json::to_value(wire).ok(), serde_json::to_value(kind).ok()),
                (Some(name.clone()), Some(name.clone()))
            );
            assert_eq!(serde_json::from_value::<EventWire>(name.clone()).ok(), Some(wire));
            assert_eq!(serde_json::from_value::<EventKind>(name).ok(), Some(kind));
        }
        let schema = serde_json::to_value(<EventWire as utoipa::PartialSchema>::schema()).expect("a schema is JSON");
        let names: Vec<&str> =
            schema["enum"].as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect();
        assert_eq!(names, EventKind::ALL.map(EventKind::as_str));
    }

    /// A webhook may ask for all there is.
    #[test]
    fn the_document_allows_every_event() {
        let schema = serde_json::to_value(<WebhookPatch as utoipa::PartialSchema>::schema()).expect("a schema is JSON");
        assert_eq!(schema["properties"]["events"]["maxItems"], serde_json::json!(EventKind::ALL.len()));
    }
}
