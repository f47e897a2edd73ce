//! What Google answers, and what a refusal means to the rest of the program.

use std::time::Duration;

use agentcal_engine::limits::LimitKind;
use agentcal_engine::ports::ProviderError;
use agentcal_provider_egress::{EgressError, EgressResponse};
use http::StatusCode;
use http::header::RETRY_AFTER;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Longest wait Google is believed to want.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// Longest reason that is repeated.
const REASON_LEN_MAX: usize = 64;

/// An answer that says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// Google's word for it; empty where there is none.
    pub(crate) reason: String,
    /// Whether what was refused is the sync token.
    about_sync_token: bool,
    /// Whether a limit of the whole project is spent, not one of a user's.
    of_project: bool,
    retry_after: Option<Duration>,
}

/// The body of a refusal, as far as it is read. Its messages may name calendars and people: they are looked at and never
/// repeated.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    error: ErrorBody,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    message: String,
    errors: Vec<Detail>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Detail {
    reason: String,
    location: String,
}

impl Refusal {
    pub(crate) fn of(response: &EgressResponse) -> Self {
        let body: Body = serde_json::from_slice(&response.body).unwrap_or_default();
        let message = body.error.message.to_ascii_lowercase();
        let detail = body.error.errors.into_iter().next().unwrap_or_default();
        let is_word = detail.reason.len() <= REASON_LEN_MAX
            && detail.reason.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_');
        Self {
            status: response.status,
            about_sync_token: detail.location == "syncToken" || message.contains("sync token"),
            of_project: message.contains("per minute") && !message.contains("per user"),
            reason: if is_word { detail.reason } else { String::new() },
            retry_after: retry_after(response),
        }
    }

    /// What it means where a calendar, or something in it, was asked about.
    pub(crate) fn into_error(self) -> ProviderError {
        match self.status {
            StatusCode::UNAUTHORIZED => ProviderError::Unauthorized("Google answers 401".to_owned()),
            StatusCode::FORBIDDEN => self.into_forbidden(),
            StatusCode::TOO_MANY_REQUESTS => self.into_rate_limited(),
            StatusCode::GONE => ProviderError::CursorGone,
            StatusCode::BAD_REQUEST if self.about_sync_token => ProviderError::CursorGone,
            StatusCode::NOT_FOUND => ProviderError::CalendarGone,
            StatusCode::REQUEST_TIMEOUT => ProviderError::Unavailable(self.told()),
            status if status.is_server_error() => match self.retry_after {
                Some(wait) => ProviderError::RateLimited { retry_after: Some(wait), of: LimitKind::Mailbox },
                None => ProviderError::Unavailable(self.told()),
            },
            _ => ProviderError::Refused(self.told()),
        }
    }

    /// 403 means many things; the reason tells which (Google's guide on errors of the Calendar API).
    fn into_forbidden(self) -> ProviderError {
        match self.reason.as_str() {
            "rateLimitExceeded"
            | "userRateLimitExceeded"
            | "quotaExceeded"
            | "dailyLimitExceeded"
            | "calendarUsageLimitsExceeded" => self.into_rate_limited(),
            // Granted less than is needed, or taken back: granting anew helps.
            "insufficientPermissions" | "ACCESS_TOKEN_SCOPE_INSUFFICIENT" | "authError" => {
                ProviderError::Unauthorized(self.told())
            }
            _ => ProviderError::Refused(self.told()),
        }
    }

    fn into_rate_limited(self) -> ProviderError {
        // The guide: a rate is that of a calendar or a user, unless the message names the project's.
        let of_client = self.of_project || self.reason == "dailyLimitExceeded";
        let of = if of_client { LimitKind::Client } else { LimitKind::Mailbox };
        ProviderError::RateLimited { retry_after: self.retry_after, of }
    }

    fn told(&self) -> String {
        let status = self.status.as_u16();
        match self.reason.as_str() {
            "" => format!("Google answers {status}"),
            reason => format!("Google answers {status} ({reason})"),
        }
    }
}

/// What an answer carries.
pub(crate) fn json<T: DeserializeOwned>(response: &EgressResponse) -> Result<T, ProviderError> {
    serde_json::from_slice(&response.body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        tracing::warn!(line, column, category = ?error.classify(), "an answer of Google's cannot be read");
        ProviderError::Refused("the answer is not what Google's documentation says".to_owned())
    })
}

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

fn retry_after(response: &EgressResponse) -> Option<Duration> {
    let seconds = response.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse::<u64>().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use serde_json::json;
    use url::Url;

    use super::*;

    fn error_of(status: u16, reason: &str, message: &str, wait: Option<&str>) -> ProviderError {
        let mut headers = HeaderMap::new();
        headers.extend(wait.map(|wait| (RETRY_AFTER, wait.parse().expect("a literal header"))));
        let detail = json!({"domain": "d", "reason": reason, "message": message});
        let body = json!({"error": {"errors": [detail], "code": status, "message": message}});
        let url = Url::parse("https://example.com/").expect("a literal address");
        let status = StatusCode::from_u16(status).expect("a literal status");
        Refusal::of(&EgressResponse { url, status, headers, body: body.to_string().into_bytes() }).into_error()
    }

    #[test]
    fn each_refusal_means_what_googles_guide_says() {
        let limited =
            |seconds: Option<u64>, of| ProviderError::RateLimited { retry_after: seconds.map(Duration::from_secs), of };
        let refused = |text: &str| ProviderError::Refused(text.to_owned());
        let unavailable = |text: &str| ProviderError::Unavailable(text.to_owned());
        let unauthorized = |text: &str| ProviderError::Unauthorized(text.to_owned());
        let (client, mailbox) = (LimitKind::Client, LimitKind::Mailbox);
        let project = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service 'x'";
        let user = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service 'x'";
        let check = |status, reason, message, wait, expected: ProviderError| {
            assert_eq!(error_of(status, reason, message, wait), expected, "{status} {reason}");
        };
        check(401, "authError", "Invalid Credentials", None, unauthorized("Google answers 401"));
        check(403, "userRateLimitExceeded", "User Rate Limit Exceeded", None, limited(None, mailbox));
        check(403, "rateLimitExceeded", "Rate Limit Exceeded", None, limited(None, mailbox));
        check(403, "rateLimitExceeded", project, None, limited(None, client));
        check(403, "rateLimitExceeded", user, None, limited(None, mailbox));
        check(403, "quotaExceeded", "Calendar usage limits exceeded.", None, limited(None, mailbox));
        check(403, "dailyLimitExceeded", "Daily Limit Exceeded", None, limited(None, client));
        check(403, "forbidden", "Forbidden", None, refused("Google answers 403 (forbidden)"));
        check(403, "insufficientPermissions", "", None, unauthorized("Google answers 403 (insufficientPermissions)"));
        check(404, "notFound", "Not Found", None, ProviderError::CalendarGone);
        check(410, "fullSyncRequired", "Sync token is no longer valid", None, ProviderError::CursorGone);
        check(400, "invalid", "Invalid sync token value.", None, ProviderError::CursorGone);
        check(
            400,
            "timeRangeEmpty",
            "The specified time range is empty.",
            None,
            refused("Google answers 400 (timeRangeEmpty)"),
        );
        check(409, "duplicate", "", None, refused("Google answers 409 (duplicate)"));
        check(429, "rateLimitExceeded", "", Some("7"), limited(Some(7), mailbox));
        check(429, "rateLimitExceeded", project, Some("99999"), limited(Some(3_600), client));
        check(429, "", "", Some("soon"), limited(None, mailbox));
        check(500, "backendError", "", None, unavailable("Google answers 500 (backendError)"));
        check(503, "backendError", "", Some("3"), limited(Some(3), mailbox));
        check(418, "sarah@example.com is <b>not</b> here", "", None, refused("Google answers 418"));
    }
}
