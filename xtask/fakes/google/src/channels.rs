//! Channels: notifications that really are posted.

use agentcal_fake_kit::Fault;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use crate::FakeGoogle;
use crate::access::{Right, answer};
use crate::calendar::text;
use crate::params::Params;
use crate::refusal::Refusal;
use crate::times::Body;

/// How long a channel lasts where nobody asks for less, and at most.
const CHANNEL_SECONDS: i64 = 7 * 24 * 3_600;
/// How long whoever is notified may take.
const POST_MAX: std::time::Duration = std::time::Duration::from_secs(10);

/// A way for notifications.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    id: String,
    calendar_id: String,
    resource_id: String,
    resource_uri: String,
    address: Url,
    token: Option<String>,
    expires: DateTime<Utc>,
    messages: u64,
}

impl Channel {
    pub(crate) fn is_open(&self, now: DateTime<Utc>) -> bool {
        now < self.expires
    }
}

/// `events.watch`
pub(crate) async fn watch(
    State(google): State<FakeGoogle>,
    headers: HeaderMap,
    Path(calendar): Path<String>,
    Query(params): Query<Vec<(String, String)>>,
    sent: Result<Json<Body>, JsonRejection>,
) -> Result<Response, Refusal> {
    let params = Params(params);
    let caller = google.admit(&headers, "events.watch", Right::ReadEvents)?;
    let membership = caller.reads(&google, &calendar)?;
    let Json(body) = sent.map_err(|error| Refusal::new(400, "global", "parseError", error.body_text()))?;
    let now = google.clock().now();
    let channel = asked_channel(&body, &membership.calendar_id, now)?;
    let mut world = google.world();
    let calendar = world.calendars.get(&membership.calendar_id).ok_or_else(Refusal::not_found)?;
    if !calendar.can_be_watched {
        let message = "Push notifications are not supported by this resource.";
        return Err(Refusal::new(400, "calendar", "pushNotSupportedForRequestedResource", message));
    }
    if world.channels.get(&channel.id).is_some_and(|known| known.is_open(now)) {
        let message = format!("Channel id {} not unique", channel.id);
        return Err(Refusal::new(400, "calendar", "channelIdNotUnique", message));
    }
    let mut said = json!({
        "kind": "api#channel", "id": channel.id, "resourceId": channel.resource_id,
        "resourceUri": channel.resource_uri, "expiration": channel.expires.timestamp_millis().to_string(),
    });
    if let Some(token) = &channel.token {
        said["token"] = token.clone().into();
    }
    let id = channel.id.clone();
    world.channels.insert(id.clone(), channel);
    drop(world);
    google.post(&id, "sync");
    answer(&params, said)
}

fn asked_channel(body: &Body, calendar_id: &str, now: DateTime<Utc>) -> Result<Channel, Refusal> {
    let id = text(body, "id").filter(|id| (1..=64).contains(&id.len())).ok_or_else(|| {
        Refusal::new(400, "calendar", "channelIdNotSpecified", "Channel id must be 1 to 64 characters.")
    })?;
    let is_good = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_+/=".contains(&byte));
    if !is_good {
        return Err(Refusal::invalid("Invalid channel id."));
    }
    if !["web_hook", "webhook"].contains(&text(body, "type").unwrap_or_default()) {
        return Err(Refusal::new(400, "calendar", "channelTypeNotSupported", "Unknown channel type."));
    }
    let address = text(body, "address").and_then(|address| Url::parse(address).ok());
    let address = address.ok_or_else(|| Refusal::required("A channel needs an address."))?;
    let is_here = ["127.0.0.1", "localhost"].contains(&address.host_str().unwrap_or_default());
    if address.scheme() != "https" && !is_here {
        let message = "WebHook callback must be HTTPS: address";
        return Err(Refusal::new(400, "global", "push.webhookUrlNotHttps", message));
    }
    let token = text(body, "token").map(str::to_owned);
    if token.as_ref().is_some_and(|token| token.len() > 256) {
        return Err(Refusal::invalid("A channel's token has at most 256 characters."));
    }
    let resource_id =
        format!("r{:016x}", calendar_id.bytes().fold(7u64, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte)));
    let resource_uri = format!("https://www.googleapis.com/calendar/v3/calendars/{calendar_id}/events?alt=json");
    let expires = expiration_of(body, now);
    let (id, calendar_id) = (id.to_owned(), calendar_id.to_owned());
    Ok(Channel { id, calendar_id, resource_id, resource_uri, address, token, expires, messages: 0 })
}

fn expiration_of(body: &Body, now: DateTime<Utc>) -> DateTime<Utc> {
    let latest = now + TimeDelta::seconds(CHANNEL_SECONDS);
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let asked = body.get("expiration").and_then(number).and_then(DateTime::from_timestamp_millis);
    let ttl = body.get("params").and_then(|params| number(params.get("ttl")?)).map(|ttl| now + TimeDelta::seconds(ttl));
    asked.or(ttl).unwrap_or(latest).min(latest)
}

/// `channels.stop`
pub(crate) async fn stop(
    State(google): State<FakeGoogle>,
    headers: HeaderMap,
    sent: Result<Json<Body>, JsonRejection>,
) -> Result<Response, Refusal> {
    google.admit(&headers, "channels.stop", Right::ReadEvents)?;
    let Json(body) = sent.map_err(|error| Refusal::new(400, "global", "parseError", error.body_text()))?;
    let id = text(&body, "id").unwrap_or_default().to_owned();
    let now = google.clock().now();
    let mut world = google.world();
    let known = world.channels.get(&id).filter(|channel| channel.is_open(now));
    let resource_id = text(&body, "resourceId").unwrap_or_default();
    if known.is_none_or(|channel| channel.resource_id != resource_id) {
        let message = format!("Channel '{id}' not found for project");
        return Err(Refusal::new(404, "global", "notFound", message));
    }
    world.channels.remove(&id);
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl FakeGoogle {
    /// Something in a calendar changed: its channels are told.
    pub(crate) fn ring(&self, calendar_id: &str) {
        let world = self.world();
        let of_calendar = world.channels.values().filter(|channel| channel.calendar_id == calendar_id);
        let ids: Vec<String> = of_calendar.map(|channel| channel.id.clone()).collect();
        drop(world);
        for id in ids {
            self.post(&id, "exists");
        }
    }

    /// The provider rings for a calendar no more, and tells nobody.
    pub fn forget_watches(&self, calendar_id: &str) {
        self.world().channels.retain(|_, channel| channel.calendar_id != calendar_id);
    }

    /// Where open channels of a calendar post, and what they prove themselves with there.
    pub fn doorbells(&self, calendar_id: &str) -> Vec<(String, String)> {
        let now = self.clock().now();
        let world = self.world();
        let open = world.channels.values().filter(|channel| channel.calendar_id == calendar_id && channel.is_open(now));
        open.map(|channel| (channel.address.to_string(), channel.token.clone().unwrap_or_default())).collect()
    }

    fn post(&self, channel_id: &str, state: &str) {
        let now = self.clock().now();
        let mut world = self.world();
        let Some(channel) = world.channels.get_mut(channel_id).filter(|channel| channel.is_open(now)) else { return };
        // The first message has the number one; after it numbers rise, and need not rise by one.
        channel.messages += 1;
        let (request, address) = (request(channel, state), channel.address.clone());
        drop(world);
        let (times, delay) = match self.bells().judge("POST", address.as_str()) {
            None => (1, None),
            Some(Fault::Drop) => (0, None),
            Some(Fault::Delay(delay)) => (1, Some(delay)),
            Some(_) => (2, None),
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let ringing = self.ringing().clone();
        let mut begun = delay.is_none().then(|| ringing.begin());
        runtime.spawn(async move {
            if let Some(delay) = delay {
                tokio::time::sleep(delay).await;
            }
            let _begun = begun.take().unwrap_or_else(|| ringing.begin());
            for _ in 0..times {
                // Whoever does not listen learns nothing; that is what doorbells are like.
                let _ = tokio::time::timeout(POST_MAX, posted(&address, &request)).await;
            }
        });
    }
}

/// The notification, as bytes of HTTP/1.1: it goes to this machine alone.
fn request(channel: &Channel, state: &str) -> String {
    let path = match channel.address.query() {
        Some(query) => format!("{}?{query}", channel.address.path()),
        None => channel.address.path().to_owned(),
    };
    let host = channel.address.host_str().unwrap_or_default();
    let port = channel.address.port_or_known_default().unwrap_or_default();
    let mut lines = vec![
        format!("POST {path} HTTP/1.1"),
        format!("Host: {host}:{port}"),
        "User-Agent: APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)".to_owned(),
        "Connection: close".to_owned(),
        "Content-Type: application/json; utf-8".to_owned(),
        "Content-Length: 0".to_owned(),
        format!("X-Goog-Channel-ID: {}", channel.id),
        format!("X-Goog-Channel-Expiration: {}", channel.expires.format("%a, %d %b %Y %H:%M:%S GMT")),
        format!("X-Goog-Message-Number: {}", channel.messages),
        format!("X-Goog-Resource-ID: {}", channel.resource_id),
        format!("X-Goog-Resource-State: {state}"),
        format!("X-Goog-Resource-URI: {}", channel.resource_uri),
    ];
    lines.extend(channel.token.iter().map(|token| format!("X-Goog-Channel-Token: {token}")));
    format!("{}\r\n\r\n", lines.join("\r\n"))
}

async fn posted(address: &Url, request: &str) -> std::io::Result<()> {
    let host = address.host_str().unwrap_or_default();
    let mut stream = TcpStream::connect((host, address.port_or_known_default().unwrap_or(80))).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(())
}
