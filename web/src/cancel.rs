//! Cancelling, after one question.

use std::sync::Arc;

use agentcal_engine::calendar::request::CommitAnswer;
use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::book::Card;
use crate::outcome;
use crate::page;
use crate::parts::WebParts;
use crate::trouble::Trouble;
use crate::visit::Visit;

/// Longest reason, in characters.
const REASON_LEN_MAX: usize = 500;
/// What the button of the form sends. A request without it came from no form of ours.
const CONFIRMED: &str = "yes";

/// What the form sends.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    #[serde(default)]
    confirm: String,
    #[serde(default)]
    reason: String,
}

/// Asks whether to cancel.
pub(crate) async fn ask(visit: Visit) -> Result<Response, Trouble> {
    question(&visit, StatusCode::OK, None, "")
}

/// Cancels the booking. Sent again, it shows the cancelled booking.
pub(crate) async fn cancel(
    State(parts): State<Arc<WebParts>>,
    visit: Visit,
    form: Result<Form<Answer>, FormRejection>,
) -> Result<Response, Trouble> {
    let Form(answer) = form?;
    let reason = readable(&answer.reason);
    if answer.confirm != CONFIRMED {
        let alert = "Nothing was changed yet. Please confirm with the button below.";
        return question(&visit, StatusCode::UNPROCESSABLE_ENTITY, Some(alert), &reason);
    }
    if reason.chars().count() > REASON_LEN_MAX {
        let alert = "Nothing was changed yet. Please give a shorter reason: at most 500 characters.";
        return question(&visit, StatusCode::UNPROCESSABLE_ENTITY, Some(alert), &reason);
    }
    let reason = (!reason.is_empty()).then_some(reason);
    match visit.commit(&parts, visit.cancellation(reason)).await {
        CommitAnswer::Committed(_) | CommitAnswer::Replayed(_) => Ok(outcome::done(&visit, "cancelled")),
        CommitAnswer::Rejected(rejection) => outcome::rejected(&parts, &visit, rejection).await,
        other => Err(outcome::undecided(&other)),
    }
}

#[derive(Serialize)]
struct CancelPage<'a> {
    card: Card,
    alert: Option<&'static str>,
    reason: &'a str,
    reason_len_max: usize,
}

fn question(visit: &Visit, status: StatusCode, alert: Option<&'static str>, reason: &str) -> Result<Response, Trouble> {
    if let Err(rejection) = visit.may_cancel() {
        return outcome::told(visit, rejection);
    }
    let context = CancelPage { card: Card::of(visit), alert, reason, reason_len_max: REASON_LEN_MAX };
    Ok(page::html(status, "cancel.html", &context))
}

/// One line without control characters: it goes into calendars and messages.
fn readable(reason: &str) -> String {
    let words = reason.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn a_reason_is_one_readable_line() {
        for (sent, kept) in [
            ("", ""),
            (" \r\n\t ", ""),
            ("I am\r\nill", "I am ill"),
            ("a\u{0}b\u{1b}[31m", "a b [31m"),
            ("Ich bin krank: 38,5 °C", "Ich bin krank: 38,5 °C"),
        ] {
            assert_eq!(readable(sent), kept);
        }
    }
}
