//! What Graph's refusals mean to the rest of the program.

use agentcal_engine::limits::LimitKind;
use agentcal_engine::ports::ProviderError;
use agentcal_provider_egress::EgressError;
use http::StatusCode;

use crate::answer::Answer;

/// Codes by which Graph says that a round can not be continued, whatever the status.
const ROUND_GONE: [&str; 4] = ["SyncStateNotFound", "SyncStateInvalid", "resyncRequired", "ErrorInvalidSyncStateData"];
/// Codes for a mailbox Graph does not reach: on somebody's own server, without a licence, or put away.
const NO_MAILBOX: [&str; 3] =
    ["MailboxNotEnabledForRESTAPI", "MailboxNotSupportedForRESTAPI", "ErrorMailboxStoreUnavailable"];
/// Requests of this code are refused to a whole application, not to one mailbox.
const WHOLE_APPLICATION: &str = "TooManyRequests";

pub(crate) fn from_egress(error: EgressError) -> ProviderError {
    match error {
        EgressError::AddressNotAllowed(_) => ProviderError::AddressNotAllowed(error.to_string()),
        EgressError::TimedOut | EgressError::Connection(_) => ProviderError::Unavailable(error.to_string()),
        EgressError::RedirectRefused(_)
        | EgressError::BadRedirect(_)
        | EgressError::BodyTooLarge { .. }
        | EgressError::Compressed
        | EgressError::Invalid(_) => ProviderError::Refused(error.to_string()),
    }
}

/// The error behind an answer that is not what was asked for, when a calendar was to be read.
pub(crate) fn of_reading(answer: &Answer) -> ProviderError {
    match answer.status {
        // What was granted does not suffice; somebody has to grant it again.
        StatusCode::FORBIDDEN if !is_mailbox_missing(answer) => ProviderError::Unauthorized(said(answer)),
        _ => of_writing(answer),
    }
}

/// The same when something was to be changed: a calendar that may only be read is no reason to doubt the credentials.
pub(crate) fn of_writing(answer: &Answer) -> ProviderError {
    match answer.status {
        StatusCode::UNAUTHORIZED => ProviderError::Unauthorized(said(answer)),
        StatusCode::NOT_FOUND if is_mailbox_missing(answer) => ProviderError::Refused(said(answer)),
        StatusCode::NOT_FOUND => ProviderError::CalendarGone,
        StatusCode::TOO_MANY_REQUESTS => {
            let whole = answer.code() == WHOLE_APPLICATION;
            let of = if whole { LimitKind::Client } else { LimitKind::Mailbox };
            ProviderError::RateLimited { retry_after: answer.retry_after, of }
        }
        status if status.is_server_error() => match answer.retry_after {
            Some(wait) => ProviderError::RateLimited { retry_after: Some(wait), of: LimitKind::Mailbox },
            None => ProviderError::Unavailable(said(answer)),
        },
        StatusCode::REQUEST_TIMEOUT | StatusCode::LOCKED => ProviderError::Unavailable(said(answer)),
        _ => ProviderError::Refused(said(answer)),
    }
}

/// The error behind an answer about a round.
pub(crate) fn of_round(answer: &Answer) -> ProviderError {
    let gone = answer.status == StatusCode::GONE || ROUND_GONE.iter().any(|code| answer.code() == *code);
    if gone { ProviderError::CursorGone } else { of_reading(answer) }
}

fn is_mailbox_missing(answer: &Answer) -> bool {
    NO_MAILBOX.contains(&answer.code().as_str())
}

fn said(answer: &Answer) -> String {
    let (status, code) = (answer.status.as_u16(), answer.code());
    if code.is_empty() {
        format!("Microsoft Graph answers {status}")
    } else {
        format!("Microsoft Graph answers {status} ({code})")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn answer(status: u16, code: &str, retry_after: Option<&str>) -> Answer {
        Answer::in_batch(status, retry_after, &json!({"error": {"code": code, "message": "sarah@example.com"}}))
    }

    fn told(status: u16, code: &str) -> String {
        format!("Microsoft Graph answers {status} ({code})")
    }

    #[test]
    fn each_refusal_means_something() {
        let check = |status: u16, code: &str, expected: ProviderError| {
            assert_eq!(of_round(&answer(status, code, None)), expected, "{status} {code}");
        };
        let unauthorized = |status, code| ProviderError::Unauthorized(told(status, code));
        let refused = |status, code| ProviderError::Refused(told(status, code));
        let unavailable = |status, code| ProviderError::Unavailable(told(status, code));
        check(400, "ErrorInvalidRequest", refused(400, "ErrorInvalidRequest"));
        check(400, "SyncStateInvalid", ProviderError::CursorGone);
        check(401, "InvalidAuthenticationToken", unauthorized(401, "InvalidAuthenticationToken"));
        check(403, "ErrorAccessDenied", unauthorized(403, "ErrorAccessDenied"));
        check(403, "MailboxNotEnabledForRESTAPI", refused(403, "MailboxNotEnabledForRESTAPI"));
        check(404, "ErrorItemNotFound", ProviderError::CalendarGone);
        check(404, "MailboxNotEnabledForRESTAPI", refused(404, "MailboxNotEnabledForRESTAPI"));
        check(410, "SyncStateNotFound", ProviderError::CursorGone);
        check(410, "", ProviderError::CursorGone);
        check(423, "ErrorMailboxMoveInProgress", unavailable(423, "ErrorMailboxMoveInProgress"));
        check(500, "ErrorInternalServerError", unavailable(500, "ErrorInternalServerError"));
        check(503, "serviceNotAvailable", unavailable(503, "serviceNotAvailable"));
        check(504, "UnknownError", unavailable(504, "UnknownError"));
        check(418, "teapot", refused(418, "teapot"));
        assert_eq!(of_writing(&answer(403, "ErrorAccessDenied", None)), refused(403, "ErrorAccessDenied"));
    }

    #[test]
    fn a_wait_is_passed_on_to_whom_it_concerns() {
        let check = |status: u16, code: &str, wait: Option<&str>, of: LimitKind| {
            let retry_after = wait.map(|wait| Duration::from_secs(wait.parse().expect("a number")));
            let limited = ProviderError::RateLimited { retry_after, of };
            assert_eq!(of_reading(&answer(status, code, wait)), limited, "{status} {code}");
        };
        check(429, "ApplicationThrottled", Some("11"), LimitKind::Mailbox);
        check(429, "ErrorTooManyRequests", None, LimitKind::Mailbox);
        check(429, "TooManyRequests", Some("3"), LimitKind::Client);
        check(503, "ServerBusy", Some("5"), LimitKind::Mailbox);
    }
}
