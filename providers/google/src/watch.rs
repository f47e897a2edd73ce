//! Channels: Google posts to our doorbell when something in a calendar changes.

use agentcal_engine::model::{Watch, WatchState};
use agentcal_engine::ports::{CalendarRef, Doorbell, Entropy, ProviderError, WatchHandle, Watched};
use agentcal_engine::time::Timestamp;
use google_calendar3::api::Channel;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::answer::{Refusal, json};
use crate::session::{Call, Session};

/// What it takes to end a channel.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Handle {
    channel_id: String,
    resource_id: String,
    /// When it ends by itself, in milliseconds since 1970; kept for whoever looks into the store.
    expires_at_ms: i64,
}

/// A name that no channel had before.
pub(crate) fn fresh_channel_id(entropy: &dyn Entropy) -> String {
    let mut random = [0u8; 16];
    entropy.fill(&mut random);
    uuid::Builder::from_random_bytes(random).into_uuid().to_string()
}

pub(crate) async fn watch(
    session: &Session<'_>,
    calendar: &CalendarRef,
    doorbell: &Doorbell,
    channel_id: String,
) -> Result<Watched, ProviderError> {
    let path = ["calendars", &calendar.provider_calendar_id, "events", "watch"];
    let body = json!({"id": channel_id, "type": "web_hook", "address": doorbell.url, "token": doorbell.secret});
    let response = session.send(Call::new(Method::POST, &path, &[]).body(body)).await?;
    if !response.status.is_success() {
        let refusal = Refusal::of(&response);
        // Some calendars cannot be watched, such as those of holidays; and an address Google does not post to, because it
        // is not https say, is no reason not to look at the calendar.
        if refusal.reason == "pushNotSupportedForRequestedResource" {
            return Ok(Watched::POLLING);
        }
        if refusal.reason.starts_with("push.webhookUrl") {
            tracing::warn!(reason = refusal.reason, "Google does not post to our address; calendars are polled");
            return Ok(Watched::POLLING);
        }
        return Err(refusal.into_error());
    }
    let channel: Channel = json(&response)?;
    let (resource_id, expires_at_ms) = channel
        .resource_id
        .zip(channel.expiration)
        .ok_or_else(|| ProviderError::Refused("a channel without an end".to_owned()))?;
    let expires_at = Timestamp::from_micros(expires_at_ms.saturating_mul(1_000)).clamped();
    let handle = Handle { channel_id, resource_id, expires_at_ms };
    Ok(Watched {
        watch: Watch { state: WatchState::Push, expires_at: Some(expires_at) },
        handle: Some(WatchHandle(serde_json::to_string(&handle).expect("a handle is plain data"))),
        renewed: false,
    })
}

pub(crate) async fn unwatch(
    session: &Session<'_>,
    calendar: &CalendarRef,
    handle: &WatchHandle,
) -> Result<(), ProviderError> {
    let Ok(handle) = serde_json::from_str::<Handle>(&handle.0) else {
        tracing::warn!(calendar_id = %calendar.calendar_id, "a watch cannot be ended: its handle cannot be read");
        return Ok(());
    };
    let body = json!({"id": handle.channel_id, "resourceId": handle.resource_id});
    let response = session.send(Call::new(Method::POST, &["channels", "stop"], &[]).body(body)).await?;
    match response.status {
        StatusCode::NOT_FOUND => Ok(()),
        status if status.is_success() => Ok(()),
        _ => Err(Refusal::of(&response).into_error()),
    }
}
