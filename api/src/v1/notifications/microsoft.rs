use agentcal_engine::calendar::watch::Ring;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{count, forged, ring};
use crate::app::AppState;
use crate::error::{ApiError, FieldCode};
use crate::extract::{MaybeBody, Query};

const PROVIDER: &str = "microsoft";
/// Longest token of the handshake that is repeated.
const HANDSHAKE_LEN_MAX: usize = 2_048;
/// What we gave the provider to say, in each notification.
const TOKEN: &str = "clientState";

/// The handshake (learn.microsoft.com/graph/change-notifications-delivery-webhooks).
#[derive(Deserialize)]
pub(super) struct Handshake {
    /// Text that proves, repeated, that somebody listens.
    #[serde(rename = "validationToken")]
    token: Option<String>,
}

/// Notifications that came together.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct Notifications {
    #[serde(default)]
    value: Vec<Value>,
}

/// Calendars changed at Microsoft, or something became of their watches: a look at the calendar answers either, and at the
/// watch. Asked first whether anybody listens, this says yes. The sender waits three seconds at most, and for 202.
pub(super) async fn notify(
    State(app): State<AppState>,
    Query(handshake): Query<Handshake>,
    sent: Result<MaybeBody<Notifications>, ApiError>,
) -> Result<Response, ApiError> {
    if let Some(token) = handshake.token {
        return agree(token);
    }
    let MaybeBody(sent) = sent.inspect_err(|_| count(PROVIDER, "malformed"))?;
    // One that is not ours does not silence the others it came with.
    let [mut rang, mut strange] = [0u32, 0];
    for notification in &sent.value {
        let said = said(notification);
        if notification.get(TOKEN).and_then(Value::as_str).is_some_and(|token| ring(&app, token, said)) {
            count(PROVIDER, outcome(said));
            rang += 1;
        } else {
            count(PROVIDER, "forged");
            strange += 1;
        }
    }
    match (rang, strange) {
        (0, 0) => {
            count(PROVIDER, "malformed");
            Err(ApiError::field("value", FieldCode::Required, "must list notifications"))
        }
        (0, _) => Err(forged()),
        _ => Ok(StatusCode::ACCEPTED.into_response()),
    }
}

/// What a notification says (learn.microsoft.com/graph/change-notifications-lifecycle-events). Whatever else it may be, `missed`
/// among it, a look at the calendar answers it.
fn said(notification: &Value) -> Ring {
    match notification.get("lifecycleEvent").and_then(Value::as_str) {
        Some("subscriptionRemoved") => Ring::WatchEnded,
        Some("reauthorizationRequired") => Ring::WatchToRenew,
        _ => Ring::Changed,
    }
}

fn outcome(said: Ring) -> &'static str {
    match said {
        Ring::Changed => "rang",
        Ring::WatchToRenew => "renewal",
        Ring::WatchEnded => "ended",
    }
}

fn agree(token: String) -> Result<Response, ApiError> {
    if token.len() > HANDSHAKE_LEN_MAX {
        return Err(ApiError::field("validationToken", FieldCode::TooLong, "must be at most 2,048 bytes"));
    }
    count(PROVIDER, "handshake");
    // As text and nothing else, since anybody may have sent it.
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8"), (X_CONTENT_TYPE_OPTIONS, "nosniff")], token).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lifecycle_notifications_speak_of_the_watch() {
        let check = |notification: Value, expected: Ring| assert_eq!(said(&notification), expected, "{notification}");
        check(json!({"changeType": "updated"}), Ring::Changed);
        check(json!({"lifecycleEvent": "missed"}), Ring::Changed);
        check(json!({"lifecycleEvent": "reauthorizationRequired"}), Ring::WatchToRenew);
        check(json!({"lifecycleEvent": "subscriptionRemoved"}), Ring::WatchEnded);
        check(json!({"lifecycleEvent": 7}), Ring::Changed);
        check(json!(7), Ring::Changed);
    }
}
