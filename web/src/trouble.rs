//! Why there is no page about a booking.

use std::time::Duration;

use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::page;

/// When to try again what could not be decided.
const RETRY_AFTER_SECONDS: Duration = Duration::from_secs(5);

/// Why there is no page about a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// The link is not one of ours, or what it was made for is gone. The two look the same.
    #[error("no such link")]
    NotThere,
    /// What must be known is not known at present.
    #[error("not known at present")]
    Unavailable,
    /// The form cannot be read.
    #[error("a form that cannot be read, status {0}")]
    Form(StatusCode),
    /// The page does not answer this method.
    #[error("method not allowed")]
    Method,
    /// A mistake of ours.
    #[error("internal error")]
    Internal,
}

#[derive(Serialize)]
struct Message {
    title: &'static str,
    paragraphs: &'static [&'static str],
}

impl Trouble {
    fn status(self) -> StatusCode {
        match self {
            Self::NotThere => StatusCode::NOT_FOUND,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Form(status) => status,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn message(self) -> Message {
        let (title, paragraphs): (_, &[_]) = match self {
            Self::NotThere => (
                "This link does not work",
                &[
                    "It may have been copied only in part, or the booking it was made for is no longer kept.",
                    "Please open the link again from the message you received, or ask whoever you booked with.",
                ],
            ),
            Self::Unavailable => (
                "Please try again in a moment",
                &[
                    "The calendar cannot be reached at present.",
                    "If you were about to change your booking: open your link again to see whether that was done.",
                ],
            ),
            Self::Form(_) => (
                "This could not be understood",
                &["Nothing was changed. Please go back, load the page anew and send the form again."],
            ),
            Self::Method => ("This could not be understood", &["Nothing was changed. Please open your link again."]),
            Self::Internal => {
                ("Something went wrong on our side", &["Please open your link again to see how your booking stands."])
            }
        };
        Message { title, paragraphs }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let mut response = page::html(self.status(), "message.html", &self.message());
        match self {
            Self::Unavailable => {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS.as_secs()));
            }
            Self::Method => {
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
            }
            Self::NotThere | Self::Form(_) | Self::Internal => {}
        }
        response
    }
}

impl From<FormRejection> for Trouble {
    fn from(rejection: FormRejection) -> Self {
        Self::Form(rejection.status())
    }
}
