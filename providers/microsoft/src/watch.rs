//! Subscriptions: Graph rings when a calendar's events change.

use std::time::Duration;

use agentcal_engine::model::{Watch, WatchState};
use agentcal_engine::ports::{CalendarRef, Doorbell, ProviderError, WatchHandle, Watched};
use agentcal_engine::time::Timestamp;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use xxhash_rust::xxh3::xxh3_64;

use crate::answer::Answer;
use crate::error::of_writing;
use crate::session::Session;
use crate::urls::instant;

/// How long a subscription may last, by Graph's newer documents and by its older ones; a little less, for the way there.
const LIFETIMES: [Duration; 2] = [Duration::from_secs(10_075 * 60), Duration::from_secs(4_225 * 60)];

/// What it takes to end or renew a subscription.
#[derive(Debug, Serialize, Deserialize)]
struct Held {
    id: String,
    /// When it ends, in microseconds since 1970.
    expires_at: Timestamp,
    /// Which doorbell it rings; another one takes another subscription.
    doorbell: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subscription {
    id: String,
    expiration_date_time: String,
}

pub(crate) async fn watch(
    session: &Session,
    calendar: &CalendarRef,
    doorbell: &Doorbell,
    previous: Option<&WatchHandle>,
    now: Timestamp,
) -> Result<Watched, ProviderError> {
    let held = previous.and_then(|handle| held(handle).ok()).filter(|held| held.doorbell == digest(doorbell));
    if let Some(held) = held
        && let Some(watched) = renew(session, doorbell, &held, now).await?
    {
        return Ok(watched);
    }
    subscribe(session, calendar, doorbell, now).await
}

pub(crate) async fn unwatch(session: &Session, handle: &WatchHandle) -> Result<(), ProviderError> {
    let answer = session.delete(session.urls.subscription(&held(handle)?.id)?).await?;
    match answer.status {
        status if status.is_success() => Ok(()),
        StatusCode::NOT_FOUND | StatusCode::GONE => Ok(()),
        _ => Err(of_writing(&answer)),
    }
}

/// Puts off the end of a subscription; `None` where it is not there any more.
async fn renew(
    session: &Session,
    doorbell: &Doorbell,
    held: &Held,
    now: Timestamp,
) -> Result<Option<Watched>, ProviderError> {
    for lifetime in LIFETIMES {
        let body = json!({ "expirationDateTime": instant(now + lifetime) });
        let answer = session.patch(session.urls.subscription(&held.id)?, None, &body).await?;
        match answer.status {
            status if status.is_success() => {
                return watched(&answer, doorbell).map(|watched| Some(Watched { renewed: true, ..watched }));
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
            StatusCode::BAD_REQUEST => {}
            _ => return Err(of_writing(&answer)),
        }
    }
    Ok(None)
}

async fn subscribe(
    session: &Session,
    calendar: &CalendarRef,
    doorbell: &Doorbell,
    now: Timestamp,
) -> Result<Watched, ProviderError> {
    let mut code = String::new();
    for lifetime in LIFETIMES {
        let body = json!({
            "changeType": "created,updated,deleted",
            "notificationUrl": doorbell.url,
            "lifecycleNotificationUrl": doorbell.url,
            "resource": format!("/me/calendars/{}/events", calendar.provider_calendar_id),
            "expirationDateTime": instant(now + lifetime),
            "clientState": doorbell.secret,
            "latestSupportedTlsVersion": "v1_2",
        });
        let answer = session.post(session.urls.subscriptions()?, &body).await?;
        match answer.status {
            status if status.is_success() => return watched(&answer, doorbell),
            // Not longer than so; or the doorbell did not answer; or this calendar is none that rings.
            StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => code = answer.code(),
            _ => return Err(of_writing(&answer)),
        }
    }
    let calendar_id = calendar.calendar_id;
    tracing::warn!(%calendar_id, code, "Microsoft Graph does not watch the calendar; it is asked at intervals instead");
    Ok(Watched::POLLING)
}

fn watched(answer: &Answer, doorbell: &Doorbell) -> Result<Watched, ProviderError> {
    let subscription: Subscription = answer.read()?;
    let expires_at = chrono::DateTime::parse_from_rfc3339(&subscription.expiration_date_time)
        .map_err(|error| ProviderError::Unavailable(format!("the end of a subscription cannot be read: {error}")))?;
    let expires_at = Timestamp::from(expires_at.to_utc()).clamped();
    let held = Held { id: subscription.id, expires_at, doorbell: digest(doorbell) };
    Ok(Watched {
        watch: Watch { state: WatchState::Push, expires_at: Some(expires_at) },
        handle: Some(WatchHandle(serde_json::to_string(&held).expect("a handle is plain data"))),
        renewed: false,
    })
}

fn held(handle: &WatchHandle) -> Result<Held, ProviderError> {
    serde_json::from_str(&handle.0).map_err(|error| ProviderError::Refused(format!("a watch cannot be read: {error}")))
}

/// Tells doorbells apart without keeping the secret a second time.
fn digest(doorbell: &Doorbell) -> String {
    format!("{:016x}", xxh3_64(format!("{} {}", doorbell.url, doorbell.secret).as_bytes()))
}
