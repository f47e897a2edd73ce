//! What a server's refusal means to the rest of the program.

use std::time::Duration;

use agentcal_engine::limits::LimitKind;
use agentcal_engine::ports::ProviderError;
use agentcal_provider_egress::{EgressError, EgressResponse};
use http::StatusCode;
use http::header::RETRY_AFTER;

/// Longest wait a server is believed to want.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

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

/// The error behind an answer that is not what was asked for. 404 and 410 mean that what was asked about is gone.
pub(crate) fn from_status(response: &EgressResponse) -> ProviderError {
    let status = response.status;
    match status {
        StatusCode::UNAUTHORIZED => ProviderError::Unauthorized("the server answers 401".to_owned()),
        StatusCode::NOT_FOUND | StatusCode::GONE => ProviderError::CalendarGone,
        StatusCode::TOO_MANY_REQUESTS => {
            ProviderError::RateLimited { retry_after: retry_after(response), of: LimitKind::Mailbox }
        }
        StatusCode::SERVICE_UNAVAILABLE => match retry_after(response) {
            // The whole server rests, not one login.
            Some(wait) => ProviderError::RateLimited { retry_after: Some(wait), of: LimitKind::Client },
            None => ProviderError::Unavailable("the server answers 503".to_owned()),
        },
        _ if status.is_server_error() => ProviderError::Unavailable(format!("the server answers {}", status.as_u16())),
        _ => ProviderError::Refused(format!("the server answers {}", status.as_u16())),
    }
}

/// Seconds, or a date that is measured against the server's own.
fn retry_after(response: &EgressResponse) -> Option<Duration> {
    let text = response.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let until = chrono::DateTime::parse_from_rfc2822(text).ok()?;
            u64::try_from((until - crate::session::date_of(response)?).num_seconds()).unwrap_or(0)
        }
    };
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}
