//! What can go wrong, as callers see it: one table of stable codes, each with its status.
//!
//! The floors below have an error enum per operation; `refusals` turns each of them into one of these codes by an
//! exhaustive match. `docs/errors.md` is generated from the tables here.

use std::borrow::Cow;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Map, Value};

use crate::problem::Problem;

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $variant:ident = $status:ident $code:literal $title:literal;)*) => {
        /// The stable `code` of a problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Code {
            /// Every code, for the documents.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The status it is answered with.
            pub(crate) const fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)*
                }
            }

            /// How it is written.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// The problem's title, the same for every problem of this code.
            pub(crate) const fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)*
                }
            }

            /// When it is answered, for the documents.
            pub(crate) const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),*),)*
                }
            }
        }
    };
}

codes! {
    /// The body is not JSON in UTF-8, or is missing where one is needed.
    MalformedBody = BAD_REQUEST "malformed_body" "The body cannot be read";
    /// A field, query parameter or header is unknown, of the wrong type, given twice or cannot be parsed; `errors` names it.
    InvalidRequest = BAD_REQUEST "invalid_request" "The request cannot be understood";
    /// `X-Account-ID` does not agree with the account in the path.
    AccountMismatch = BAD_REQUEST "account_mismatch" "Two different accounts are named";
    /// No `Authorization: Bearer ..` header, or a key that does not exist or was revoked.
    Unauthorized = UNAUTHORIZED "unauthorized" "A valid API key is needed";
    /// A notification that does not say what we gave its provider to say.
    NotificationNotVerified = UNAUTHORIZED "notification_not_verified" "Not a notification we asked for";
    /// A publishable key asked for something only secret keys may do.
    KeyNotAllowed = FORBIDDEN "key_not_allowed" "This key may not do that";
    /// A publishable key was used from an origin that is not in its list.
    OriginNotAllowed = FORBIDDEN "origin_not_allowed" "This key may not be used from here";
    /// What the path names is not there, or belongs to somebody else: the two look the same.
    NotFound = NOT_FOUND "not_found" "Not found";
    /// There is no such route.
    RouteNotFound = NOT_FOUND "route_not_found" "No such route";
    /// The route exists, for other methods; see the `Allow` header.
    MethodNotAllowed = METHOD_NOT_ALLOWED "method_not_allowed" "The route does not answer this method";
    /// The request did not arrive in time.
    RequestTimeout = REQUEST_TIMEOUT "request_timeout" "The request took too long to arrive";
    /// The time asked for cannot be booked; `reasons` says why, `alternatives` what can.
    SlotUnavailable = CONFLICT "slot_unavailable" "The time is not available";
    /// The hold expired or was released; its time may be somebody else's now.
    HoldExpired = CONFLICT "hold_expired" "The hold is over";
    /// The hold became a booking before; `booking_id` names it.
    HoldConfirmed = CONFLICT "hold_confirmed" "The hold is a booking already";
    /// The event type's policy does not allow attendees to do this, not so late or not so often.
    PolicyForbids = CONFLICT "policy_forbids" "The event type's policy forbids it";
    /// A cancelled booking cannot be changed.
    BookingCancelled = CONFLICT "booking_cancelled" "The booking is cancelled";
    /// A booking whose end has passed cannot be changed.
    BookingCompleted = CONFLICT "booking_completed" "The booking is over";
    /// The `Idempotency-Key` was used before with another body.
    IdempotencyMismatch = CONFLICT "idempotency_mismatch" "The idempotency key belongs to another request";
    /// The `Idempotency-Key` was used before; the deed was done then, but publishable keys are not shown kept answers.
    ReplayWithheld = CONFLICT "replay_withheld" "The request was done before";
    /// Another event type of the account has this slug.
    SlugTaken = CONFLICT "slug_taken" "The slug is taken";
    /// The user has bookings to come; cancel them, or delete with `?cancel_bookings=true`.
    FutureBookings = CONFLICT "future_bookings" "The user has bookings to come";
    /// The user is the only host of an event type.
    UserInUse = CONFLICT "user_in_use" "The user is still needed";
    /// The organization has 50 webhooks in this mode, as many as it may.
    WebhookLimitReached = CONFLICT "webhook_limit_reached" "Too many webhooks";
    /// The webhook is switched off, so nothing is sent to it.
    WebhookDisabled = CONFLICT "webhook_disabled" "The webhook is switched off";
    /// The service that delivers webhooks here will not do it, however often it is asked; `detail` says why.
    WebhookServiceRefused = CONFLICT "webhook_service_refused" "The webhook service refuses it";
    /// The installation has no OAuth client at this provider, and the organization brought none.
    ProviderNotConfigured = CONFLICT "provider_not_configured" "The provider is not set up";
    /// The job was not given up, so there is nothing to try again.
    JobNotDead = CONFLICT "job_not_dead" "The job was not given up";
    /// The body is larger than 64 KiB.
    BodyTooLarge = PAYLOAD_TOO_LARGE "body_too_large" "The body is too large";
    /// The body's `Content-Type` is not `application/json`.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" "The body must be JSON";
    /// Fields were understood but are not acceptable; `errors` names each.
    ValidationFailed = UNPROCESSABLE_ENTITY "validation_failed" "Fields are not acceptable";
    /// The `slot_id` was not offered, was changed, or belongs to terms that have changed since; `alternatives` are fresh.
    SlotIdInvalid = UNPROCESSABLE_ENTITY "slot_id_invalid" "The slot was not offered";
    /// The `slot_id` was offered too long ago; `alternatives` are fresh.
    SlotIdExpired = UNPROCESSABLE_ENTITY "slot_id_expired" "The offer has expired";
    /// The organization, the session or a host has as many live holds as it may; confirm or release some.
    HoldLimitReached = TOO_MANY_REQUESTS "hold_limit_reached" "Too many live holds";
    /// The key asks more often than it may, too many requests wait for one calendar, or a provider asks to slow down; come
    /// again after `Retry-After`.
    TooManyRequests = TOO_MANY_REQUESTS "too_many_requests" "Too many requests";
    /// Something broke on our side; the request id finds it in the logs.
    InternalError = INTERNAL_SERVER_ERROR "internal_error" "Internal error";
    /// What is busy and what is free is not known at present, so nothing is offered or sold.
    AvailabilityUnavailable = SERVICE_UNAVAILABLE "availability_unavailable" "Availability is not known";
    /// The request was not done within its deadline; repeat it with the same `Idempotency-Key`.
    DeadlineExceeded = SERVICE_UNAVAILABLE "deadline_exceeded" "The deadline passed";
    /// The store cannot be reached or is too slow.
    StoreUnavailable = SERVICE_UNAVAILABLE "store_unavailable" "The store is unavailable";
    /// The service that delivers webhooks here cannot be asked at present.
    WebhookServiceUnavailable = SERVICE_UNAVAILABLE "webhook_service_unavailable" "The webhook service is unavailable";
    /// The program is starting or stopping.
    NotReady = SERVICE_UNAVAILABLE "not_ready" "Not ready";
}

macro_rules! field_codes {
    ($($(#[doc = $doc:literal])* $variant:ident = $code:literal;)*) => {
        /// The stable `code` of one entry of `errors`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum FieldCode {
            $($(#[doc = $doc])* $variant,)*
        }

        impl FieldCode {
            /// Every code, for the documents.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// How it is written.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// When it is answered, for the documents.
            pub(crate) const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),*),)*
                }
            }
        }
    };
}

field_codes! {
    /// There is no such field or parameter.
    Unknown = "unknown_field";
    /// The JSON type is wrong, or the text of a query parameter is not of the wanted kind.
    WrongType = "wrong_type";
    /// The field or parameter is given more than once.
    Duplicate = "duplicate";
    /// The field must be sent.
    Required = "required";
    /// The field cannot be sent together with another.
    NotTogether = "not_together";
    /// The number, date or instant lies outside what is accepted.
    OutOfRange = "out_of_range";
    /// The text or list is too long.
    TooLong = "too_long";
    /// The text or list is empty or too short.
    TooShort = "too_short";
    /// The text is not written as it must be.
    InvalidFormat = "invalid_format";
    /// Not one of the known values.
    UnknownValue = "unknown_value";
    /// What the id names is not there, or belongs to somebody else.
    NotFound = "not_found";
    /// The same value stands in the list twice.
    NotUnique = "not_unique";
    /// The value is taken by another object.
    Taken = "taken";
    /// The calendar cannot be written to.
    NotWritable = "not_writable";
    /// A host has no calendar at the provider that makes such a conference.
    ConferenceNotPossible = "conference_not_possible";
    /// The user is not a host of the event type.
    NotAHost = "not_a_host";
    /// The slot was not offered, or not on these terms.
    NotOffered = "not_offered";
    /// The offer has expired.
    Expired = "expired";
    /// The address is one this installation does not speak to.
    AddressNotAllowed = "address_not_allowed";
    /// The address is not in the list of those browsers may come back to.
    NotListed = "not_listed";
    /// The provider refuses user name and password, or the token.
    CredentialsRefused = "credentials_refused";
    /// The server did not answer, or not in time.
    Unreachable = "unreachable";
    /// The server answered, but not as a calendar server does.
    ProviderRefused = "provider_refused";
    /// The template cannot be used; `line` says where, if one line is to blame.
    InvalidTemplate = "invalid_template";
}

/// One field, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldError {
    pub(crate) field: String,
    pub(crate) code: FieldCode,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) line: Option<usize>,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, code: FieldCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), code, detail: detail.into(), line: None }
    }

    /// The same, with the line that is to blame in a text of many.
    pub(crate) fn at_line(self, line: Option<usize>) -> Self {
        Self { line, ..self }
    }
}

/// A refusal on its way to the caller. Boxed: it is rare, and `Result` stays small.
#[derive(Clone, Debug)]
pub(crate) struct ApiError(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    extensions: Map<String, Value>,
}

impl ApiError {
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after = (code.status() == StatusCode::SERVICE_UNAVAILABLE
            || code.status() == StatusCode::TOO_MANY_REQUESTS)
            .then_some(Duration::from_secs(1));
        Self(Box::new(Inner { code, detail: detail.into(), errors: Vec::new(), retry_after, extensions: Map::new() }))
    }

    /// A refusal of several fields. A single one's detail becomes the problem's.
    pub(crate) fn of_fields(code: Code, errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => Cow::Owned(format!("`{}` {}", one.field, one.detail)),
            several => Cow::Owned(format!("{} fields must be changed; see `errors`", several.len())),
        };
        let mut error = Self::new(code, detail);
        error.0.errors = errors;
        error
    }

    /// A field that was understood but is not acceptable.
    pub(crate) fn field(field: impl Into<String>, code: FieldCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::of_fields(Code::ValidationFailed, vec![FieldError::new(field, code, detail)])
    }

    /// The thing a path names is not there.
    pub(crate) fn not_found(kind: &'static str) -> Self {
        Self::new(
            Code::NotFound,
            format!("no such {kind}; check the id, and that the key's mode is the one it was made in"),
        )
    }

    /// Names a field at fault in a refusal that is about more than fields.
    pub(crate) fn naming(mut self, field: &'static str, code: FieldCode, detail: &'static str) -> Self {
        self.0.errors.push(FieldError::new(field, code, detail));
        self
    }

    pub(crate) fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Adds a member of its own to the problem (RFC 9457, section 3.2).
    pub(crate) fn with(mut self, member: &str, value: Value) -> Self {
        self.0.extensions.insert(member.to_owned(), value);
        self
    }

    #[cfg(test)]
    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    pub(crate) fn into_problem(self) -> Problem {
        let Inner { code, detail, errors, retry_after, extensions } = *self.0;
        Problem { code, detail, errors, retry_after, extensions }
    }
}

/// The body is written by the outermost layer, which knows the request id.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.0.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_snake_case_and_documented() {
        let mut seen = BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{} twice", code.as_str());
            assert!(code.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
            assert!(!code.meaning().trim().is_empty());
            assert!(code.status().as_u16() >= 400);
        }
        let fields: BTreeSet<_> = FieldCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(fields.len(), FieldCode::ALL.len());
    }

    #[test]
    fn one_field_is_named_in_the_detail_itself() {
        let error = ApiError::field("timezone", FieldCode::UnknownValue, "is not an IANA zone");
        assert_eq!(error.into_problem().detail, "`timezone` is not an IANA zone");
    }
}
