//! What Graph answers.

use std::time::Duration;

use agentcal_engine::ports::ProviderError;
use agentcal_provider_egress::EgressResponse;
use chrono::DateTime;
use http::StatusCode;
use http::header::{DATE, HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Longest wait Graph is believed to want.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// An answer, whether it came alone or in a batch.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    body: Vec<u8>,
}

/// What is read of a refusal.
#[derive(Debug, Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    error: RefusalError,
}

#[derive(Debug, Default, Deserialize)]
struct RefusalError {
    #[serde(default)]
    code: Value,
    #[serde(default, rename = "@event.existingEventId")]
    existing_event_id: Value,
}

impl Answer {
    pub(crate) fn of(response: EgressResponse) -> Self {
        let retry_after = retry_after(&response.headers);
        Self { status: response.status, retry_after, body: response.body }
    }

    /// One of a batch's.
    pub(crate) fn in_batch(status: u16, retry_after: Option<&str>, body: &Value) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        let retry_after = retry_after.and_then(|text| seconds(text.trim()));
        Self { status, retry_after, body: body.to_string().into_bytes() }
    }

    /// What the body says. A web page, or half a body, comes from something before Graph and will pass.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ProviderError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            tracing::debug!(line = error.line(), kind = ?error.classify(), "an answer of Graph's cannot be read");
            ProviderError::Unavailable("Microsoft Graph answers something that is not what was asked for".to_owned())
        })
    }

    /// Graph's name for why it refuses; empty where it gives none.
    pub(crate) fn code(&self) -> String {
        let refusal: Refusal = serde_json::from_slice(&self.body).unwrap_or_default();
        let code = refusal.error.code.as_str().unwrap_or_default();
        code.chars().filter(|character| character.is_ascii_alphanumeric() || *character == '_').take(64).collect()
    }

    /// The event an earlier request of the same transaction made, where Graph says so.
    pub(crate) fn existing_event(&self) -> Option<String> {
        let refusal: Refusal = serde_json::from_slice(&self.body).ok()?;
        refusal.error.existing_event_id.as_str().map(str::to_owned)
    }
}

/// Seconds, or a date that is measured against the server's own.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    seconds(text).or_else(|| {
        let until = DateTime::parse_from_rfc2822(text).ok()?;
        let now = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?).ok()?;
        Some(Duration::from_secs(u64::try_from((until - now).num_seconds()).unwrap_or(0)).min(RETRY_AFTER_MAX))
    })
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse::<u64>().ok().map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        let check = |text: &'static str, expected: Option<u64>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            headers.insert(DATE, HeaderValue::from_static("Sun, 22 Nov 2026 08:00:00 GMT"));
            assert_eq!(retry_after(&headers), expected.map(Duration::from_secs), "{text}");
        };
        check("7", Some(7));
        check("999999", Some(3_600));
        check("Sun, 22 Nov 2026 08:01:00 GMT", Some(60));
        check("Sun, 22 Nov 2026 07:00:00 GMT", Some(0));
        check("soon", None);
    }

    #[test]
    fn a_refusal_is_named_by_its_code_and_nothing_else() {
        let check = |body: Value, expected: &str| {
            assert_eq!(Answer::in_batch(400, None, &body).code(), expected, "{body}");
        };
        check(
            serde_json::json!({"error": {"code": "ErrorItemNotFound", "message": "sarah@example.com"}}),
            "ErrorItemNotFound",
        );
        check(serde_json::json!({"error": {"code": "<b>a@b.c</b>"}}), "babcb");
        check(serde_json::json!({"error": {"code": 7}}), "");
        check(serde_json::json!({"error": "invalid_grant"}), "");
        check(serde_json::json!("no object"), "");
    }
}
