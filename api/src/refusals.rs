//! From the error enums of the floors below to the codes callers see: one exhaustive match each.

use std::time::Duration;

use agentcal_engine::calendar::request::{Rejection, UnavailableReason};
use agentcal_engine::commit::HoldLimit;
use agentcal_engine::ports::{ProviderError, RelayError, StoreError};
use serde_json::json;

use crate::error::{ApiError, Code, FieldCode};

/// When to come again after a limit on live holds.
const HOLD_RETRY_AFTER: Duration = Duration::from_secs(30);

impl ApiError {
    /// Something that cannot happen did; the cause goes to the log, not to the caller.
    pub(crate) fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = cause, "failed to answer a request");
        Self::new(Code::InternalError, "something broke on our side; the request id finds it in the logs")
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the store did not serve");
                store_unavailable()
            }
            StoreError::Corrupt(_) => Self::internal(&error),
        }
    }
}

impl From<RelayError> for ApiError {
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Away { retry_after, .. } => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a request needs the service for webhooks");
                let says = "the service that delivers webhooks cannot be asked at present; repeat the request";
                let refusal = Self::new(Code::WebhookServiceUnavailable, says);
                match retry_after {
                    Some(after) => refusal.retry_after(after),
                    None => refusal,
                }
            }
            RelayError::Missing => Self::new(
                Code::WebhookServiceRefused,
                "the service that delivers webhooks does not know the webhook yet; repeat the request in a moment",
            ),
            RelayError::Refused(says) => {
                let says = format!("the service that delivers webhooks will not do it: {says}");
                Self::new(Code::WebhookServiceRefused, says)
            }
        }
    }
}

/// The store does not serve at present.
pub(crate) fn store_unavailable() -> ApiError {
    ApiError::new(Code::StoreUnavailable, "the store does not serve at present; repeat the request")
}

/// Why a write to configuration was refused.
pub(crate) fn of_refused_write(reason: &'static str) -> ApiError {
    match reason {
        "slug" => ApiError::new(Code::SlugTaken, "another event type of this account has this slug; choose another")
            .naming("slug", FieldCode::Taken, "is taken"),
        "future_bookings" => ApiError::new(
            Code::FutureBookings,
            "the user has bookings to come; cancel them, or delete with `?cancel_bookings=true`",
        ),
        "in_use" => ApiError::new(
            Code::UserInUse,
            "the user is the only host of an event type; give that another host, or delete it, first",
        ),
        "too_many_endpoints" => ApiError::new(
            Code::WebhookLimitReached,
            "the organization has as many webhooks as it may in this mode; delete one it does not need, or change it",
        ),
        "endpoint_disabled" => {
            ApiError::new(Code::WebhookDisabled, "the webhook is switched off; switch it on with `enabled` first")
        }
        "job_not_dead" => ApiError::new(
            Code::JobNotDead,
            "the job was not given up: one that is pending is tried by itself, and what is done stays done",
        ),
        other => ApiError::internal(&std::io::Error::other(format!("unknown refusal `{other}`"))),
    }
}

/// Why a commit makes no sense for what is there.
pub(crate) fn of_rejection(rejection: Rejection) -> ApiError {
    match rejection {
        Rejection::AccountMissing => ApiError::not_found("account"),
        Rejection::BookingMissing => ApiError::not_found("booking"),
        Rejection::EventTypeMissing => {
            ApiError::field("event_type_id", FieldCode::NotFound, "names no event type of this account")
        }
        Rejection::UserMissing => ApiError::field("user_id", FieldCode::NotFound, "names no user of this account"),
        Rejection::UserNotHost => {
            ApiError::field("user_id", FieldCode::NotAHost, "must be one of the event type's `user_ids`")
        }
        Rejection::UserNotAllowedForCollective => {
            ApiError::field("user_id", FieldCode::NotTogether, "must be left out: a collective event takes all hosts")
        }
        Rejection::NoHosts => {
            ApiError::field("event_type_id", FieldCode::NotAHost, "names an event type without hosts")
        }
        Rejection::StartOutOfRange => {
            ApiError::field("start_time", FieldCode::OutOfRange, "must lie between 1970-01-01 and 2200-01-01")
        }
        Rejection::BookingCancelled => {
            ApiError::new(Code::BookingCancelled, "the booking was cancelled; make a new one instead")
        }
        Rejection::BookingCompleted => {
            ApiError::new(Code::BookingCompleted, "the booking is over; make a new one instead")
        }
        Rejection::SlotIdRequired => ApiError::field(
            "slot_id",
            FieldCode::Required,
            "is required: this event type takes offered times only; ask for availability and send the `slot_id` of a slot",
        ),
        Rejection::OfferOutdated => ApiError::field(
            "slot_id",
            FieldCode::NotOffered,
            "was offered with hosts the event type no longer has; ask for availability again",
        ),
        Rejection::HoldMissing => ApiError::not_found("hold"),
        Rejection::HoldExpired => {
            ApiError::new(Code::HoldExpired, "the hold expired or was released; hold or book the slot anew")
        }
        Rejection::HoldConfirmed(booking_id) => {
            ApiError::new(Code::HoldConfirmed, format!("the hold was confirmed before, as {booking_id}"))
                .with("booking_id", json!(booking_id.to_string()))
        }
        Rejection::TooLateForAttendee => {
            ApiError::new(Code::PolicyForbids, "the event type's policy does not allow this, or not so late")
        }
        Rejection::TooManyReschedules => {
            ApiError::new(Code::PolicyForbids, "the booking was moved as often as the event type's policy allows")
        }
    }
}

/// As many holds are live as may be.
pub(crate) fn of_hold_limit(limit: HoldLimit) -> ApiError {
    let detail = match limit {
        HoldLimit::Organization => {
            "the organization has as many live holds as it may; confirm or release some".to_owned()
        }
        HoldLimit::Session => "the session has as many live holds as it may; confirm or release some".to_owned(),
        HoldLimit::User(user_id) => {
            format!("as many slots of {user_id} are held as may be; repeat the request when some have expired")
        }
    };
    ApiError::new(Code::HoldLimitReached, detail).retry_after(HOLD_RETRY_AFTER)
}

/// Why a commit cannot be decided now.
pub(crate) fn of_unavailable(reason: &UnavailableReason) -> ApiError {
    let users = |user_ids: &[agentcal_engine::ids::UserId], why: &str| {
        let users: Vec<_> = user_ids.iter().map(|id| json!({"user_id": id.to_string(), "reason": why})).collect();
        json!({"state": "unavailable", "as_of": null, "users": users})
    };
    match reason {
        UnavailableReason::FactsUnknown { user_ids } => ApiError::new(
            Code::AvailabilityUnavailable,
            "a calendar of these users is not known at present, and unknown is never free; see their connections",
        )
        .retry_after(Duration::from_secs(5))
        .with("freshness", users(user_ids, "unknown")),
        UnavailableReason::FactsStale { user_ids } => ApiError::new(
            Code::AvailabilityUnavailable,
            "what is known of these users' calendars is too old to book on and could not be renewed in time",
        )
        .retry_after(Duration::from_secs(5))
        .with("freshness", users(user_ids, "stale")),
        UnavailableReason::StoreUnavailable => store_unavailable(),
        UnavailableReason::MailboxFull => {
            ApiError::new(Code::TooManyRequests, "too many bookings wait for this calendar; repeat the request")
        }
        UnavailableReason::Deadline => ApiError::new(
            Code::DeadlineExceeded,
            "the booking was not confirmed in time and may still be made; repeat with the same Idempotency-Key to find out",
        ),
        UnavailableReason::ShuttingDown => {
            ApiError::new(Code::NotReady, "this process is stopping; repeat the request")
        }
    }
}

/// Why connecting to a provider failed.
pub(crate) fn of_connecting(error: &ProviderError) -> ApiError {
    match error {
        ProviderError::AddressNotAllowed(why) => ApiError::field(
            "server_url",
            FieldCode::AddressNotAllowed,
            format!("is an address this installation does not speak to: {why}"),
        ),
        ProviderError::Unauthorized(_) => ApiError::field(
            "password",
            FieldCode::CredentialsRefused,
            "was refused together with the user name; many providers want an app password here",
        ),
        ProviderError::Unavailable(why) => {
            ApiError::field("server_url", FieldCode::Unreachable, format!("could not be reached: {why}"))
        }
        ProviderError::Refused(why) => ApiError::field(
            "server_url",
            FieldCode::ProviderRefused,
            format!("did not answer as a CalDAV server does: {why}"),
        ),
        ProviderError::CursorGone | ProviderError::CalendarGone => {
            ApiError::field("server_url", FieldCode::ProviderRefused, "did not answer as a CalDAV server does")
        }
        ProviderError::RateLimited { retry_after, .. } => {
            ApiError::new(Code::TooManyRequests, "the provider asks to slow down; repeat the request later")
                .retry_after(retry_after.unwrap_or(Duration::from_secs(30)))
        }
    }
}
