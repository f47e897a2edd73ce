//! What became of a change, as a page.

use agentcal_engine::calendar::request::{CommitAnswer, Rejection};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use crate::book::{self, Said};
use crate::parts::WebParts;
use crate::trouble::Trouble;
use crate::visit::Visit;

/// Done: the browser gets the booking's page, so that loading it again sends nothing.
pub(crate) fn done(visit: &Visit, what: &'static str) -> Response {
    Redirect::to(&format!("{}?done={what}", visit.path)).into_response()
}

/// The booking as it is by now, and why the change makes no sense for it.
pub(crate) async fn rejected(parts: &WebParts, visit: &Visit, rejection: Rejection) -> Result<Response, Trouble> {
    told(&visit.again(parts).await?, rejection)
}

/// The same of a visit that is fresh.
pub(crate) fn told(visit: &Visit, rejection: Rejection) -> Result<Response, Trouble> {
    let (status, alert) = match rejection {
        Rejection::AccountMissing | Rejection::BookingMissing => return Err(Trouble::NotThere),
        Rejection::BookingCancelled => (StatusCode::CONFLICT, "This booking was cancelled before."),
        Rejection::BookingCompleted => (StatusCode::CONFLICT, "This booking is over."),
        Rejection::TooLateForAttendee => {
            (StatusCode::FORBIDDEN, "This is no longer possible online. Please contact whoever you booked with.")
        }
        Rejection::TooManyReschedules => {
            (StatusCode::FORBIDDEN, "You have changed the time as often as is possible online.")
        }
        Rejection::StartOutOfRange => (StatusCode::UNPROCESSABLE_ENTITY, "That time is too far away."),
        Rejection::EventTypeMissing
        | Rejection::UserMissing
        | Rejection::UserNotHost
        | Rejection::UserNotAllowedForCollective
        | Rejection::NoHosts
        | Rejection::SlotIdRequired
        | Rejection::OfferOutdated
        | Rejection::HoldMissing
        | Rejection::HoldExpired
        | Rejection::HoldConfirmed(_) => {
            (StatusCode::CONFLICT, "This cannot be done online. Please contact whoever you booked with.")
        }
    };
    Ok(book::render(visit, status, Said { notice: None, alert: Some(alert) }))
}

/// Why a change was not decided. What cannot come of an attendee's change is a mistake of ours.
pub(crate) fn undecided(answer: &CommitAnswer) -> Trouble {
    match answer {
        CommitAnswer::Unavailable(_) => Trouble::Unavailable,
        other => {
            tracing::error!(outcome = other.outcome(), "a change by an attendee came to what it cannot");
            Trouble::Internal
        }
    }
}
