//! The fake as a server: HTTP in front, one store behind a lock, notifications that go out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentcal_fake_kit::{Calls, Fault, Faults, UnderWay, through_faults};
use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST, IF_MATCH};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use serde_json::{Value, json};

use crate::call::{Call, Prefer};
use crate::dispatch::{dispatch, operation};
use crate::identity::{self, Parameters};
use crate::reply::{Reply, bad_request};
use crate::store::Store;
use crate::subscriptions::{self, Notification};

const BODY_LEN_MAX: usize = 4 * 1024 * 1024;
const BATCH_MAX: usize = 20;
/// How long an address may take to say that it wants to hear, and to take a notification.
const DOORBELL_PATIENCE: Duration = Duration::from_secs(10);
const DELIVERIES_MAX: usize = 3;
const VERSION: &str = "/v1.0";

/// What every request needs.
#[derive(Clone)]
pub(crate) struct Shared {
    store: Arc<Mutex<Store>>,
    pub(crate) faults: Faults,
    /// What befalls notifications.
    pub(crate) bells: Faults,
    pub(crate) calls: Calls,
    /// Notifications that are not delivered yet.
    pub(crate) ringing: UnderWay,
    client: reqwest::Client,
}

impl Shared {
    pub(crate) fn new(store: Store) -> Self {
        // Somebody else in this process may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder().no_proxy().timeout(DOORBELL_PATIENCE).build();
        Self {
            store: Arc::new(Mutex::new(store)),
            faults: Faults::default(),
            bells: Faults::default(),
            calls: Calls::default(),
            ringing: UnderWay::default(),
            client: client.expect("a client without settings can be made"),
        }
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what a request asks for, and sends what notifications that brings.
    pub(crate) fn perform(&self, call: &Call) -> Reply {
        let (reply, notifications) = {
            let mut store = self.store();
            let reply = dispatch(&mut store, call);
            (reply, subscriptions::notifications(&mut store))
        };
        self.send(notifications);
        reply
    }

    pub(crate) fn send(&self, notifications: Vec<Notification>) {
        for notification in notifications {
            let times = match self.bells.judge("POST", &notification.url) {
                Some(Fault::Drop | Fault::Status { .. }) => 0,
                // It arrived, nobody heard so, and it is sent again.
                Some(Fault::LoseAnswer) => 2,
                _ => 1,
            };
            let (shared, begun) = (self.clone(), self.ringing.begin());
            tokio::spawn(async move {
                for _ in 0..times {
                    shared.deliver(&notification).await;
                }
                drop(begun);
            });
        }
    }

    async fn deliver(&self, notification: &Notification) {
        for _ in 0..DELIVERIES_MAX {
            let request = self.client.post(&notification.url).header("content-type", "application/json");
            let answer = request.body(notification.body.to_string()).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
        }
    }

    /// Asks an address whether it wants to hear.
    async fn is_wanted(&self, url: &str) -> bool {
        let token = format!("Validation: Testing client application reachability {}+=", self.store().next());
        let Ok(mut asked) = url::Url::parse(url) else { return false };
        asked.query_pairs_mut().append_pair("validationToken", &token);
        let request = self.client.post(asked).header("content-type", "text/plain").body(String::new());
        match request.send().await {
            Ok(answer) if answer.status().as_u16() == 200 => answer.text().await.is_ok_and(|text| text == token),
            _ => false,
        }
    }
}

pub(crate) fn router(shared: Shared) -> Router {
    let faults = from_fn_with_state(shared.faults.clone(), through_faults);
    let limits = from_fn_with_state(shared.clone(), limited);
    Router::new().fallback(answer).layer(faults).layer(limits).with_state(shared)
}

/// Refuses what is too much: as many requests about a mailbox in ten minutes, or at once.
async fn limited(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let authorization = text_of(request.headers(), AUTHORIZATION.as_str());
    let Ok(access) = identity::access(&shared.store(), authorization.as_deref()) else {
        return next.run(request).await;
    };
    let _turn = match take_turn(&shared, &access.address, &access.client_id) {
        Ok(turn) => turn,
        Err(refusal) => return refusal.into_response(),
    };
    next.run(request).await
}

/// One request about a mailbox, until it is dropped.
struct Turn {
    shared: Shared,
    address: String,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(count) = self.shared.store().under_way.get_mut(&self.address) {
            *count -= 1;
        }
    }
}

fn take_turn(shared: &Shared, address: &str, client_id: &str) -> Result<Turn, Reply> {
    let mut store = shared.store();
    let now = store.now();
    let throttled = |seconds: u64| {
        let message = "Application is over its MailboxConcurrency limit.";
        Reply::refusal(429, "ApplicationThrottled", message).with_header("retry-after", seconds.to_string())
    };
    let at_once = store.behaviour.mailbox_at_once;
    if store.under_way.get(address).is_some_and(|count| *count >= at_once) {
        store.refused_at_once += 1;
        return Err(throttled(1));
    }
    store.quota.take(&format!("{client_id} {address}"), now).map_err(|wait| throttled(wait.as_secs() + 1))?;
    let count = store.under_way.entry(address.to_owned()).or_default();
    *count += 1;
    let count = *count;
    store.most_under_way = store.most_under_way.max(count);
    Ok(Turn { shared: shared.clone(), address: address.to_owned() })
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_LEN_MAX).await.unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let query = parameters(parts.uri.query().unwrap_or_default());
    if let Some(reply) = identity_answer(&shared, &path, &query, &body) {
        return reply.into_response();
    }
    let host = text_of(&parts.headers, HOST.as_str()).unwrap_or_else(|| "localhost".to_owned());
    let access = identity::access(&shared.store(), text_of(&parts.headers, AUTHORIZATION.as_str()).as_deref());
    let address = match access {
        Ok(access) => access.address,
        Err(refusal) => return refusal.into_response(),
    };
    let Some(asked) = path.strip_prefix(VERSION) else {
        return bad_request("BadRequest", "Invalid version.").into_response();
    };
    let body = match serde_json::from_slice::<Value>(&body) {
        Ok(body) => body,
        Err(_) if body.is_empty() => Value::Null,
        Err(_) => return bad_request("BadRequest", "Unable to read JSON request payload.").into_response(),
    };
    let call = Call {
        method: parts.method.to_string(),
        path: segments(asked),
        query,
        prefer: prefer_of(&parts.headers),
        if_match: text_of(&parts.headers, IF_MATCH.as_str()),
        body,
        address,
        base: format!("http://{host}{VERSION}"),
        asked: asked.to_owned(),
    };
    graph_answer(&shared, call).await.into_response()
}

fn identity_answer(shared: &Shared, path: &str, query: &[(String, String)], body: &Bytes) -> Option<Reply> {
    let mut store = shared.store();
    if path.ends_with("/oauth2/v2.0/authorize") {
        let query: Parameters = query.iter().cloned().collect();
        return Some(identity::authorize(&mut store, &query).unwrap_or_else(|refusal| refusal));
    }
    if path.ends_with("/oauth2/v2.0/token") {
        shared.calls.count("", "POST /token");
        let form: Parameters = parameters(std::str::from_utf8(body).unwrap_or_default()).into_iter().collect();
        return Some(identity::token(&mut store, &form).unwrap_or_else(|refusal| refusal));
    }
    None
}

async fn graph_answer(shared: &Shared, call: Call) -> Reply {
    shared.calls.count(&call.address, &operation(&call));
    match (call.method.as_str(), call.path.first().map(String::as_str)) {
        ("POST", Some("$batch")) => batch(shared, &call).await,
        ("POST", Some("subscriptions")) => subscribe(shared, &call).await,
        _ => shared.perform(&call),
    }
}

async fn subscribe(shared: &Shared, call: &Call) -> Reply {
    let urls = subscriptions::check(&shared.store(), call);
    let urls = match urls {
        Ok(urls) => urls,
        Err(refusal) => return refusal,
    };
    for url in urls {
        if !shared.is_wanted(&url).await {
            let message = "Subscription validation request failed. Notification endpoint must respond with 200 OK to \
                           validation request.";
            return bad_request("ValidationError", message);
        }
    }
    shared.perform(call)
}

/// Each request of a batch counts as one, and may meet with a fault of its own.
async fn batch(shared: &Shared, call: &Call) -> Reply {
    let requests = call.body["requests"].as_array().cloned().unwrap_or_default();
    if requests.is_empty() || requests.len() > BATCH_MAX {
        return bad_request("BadRequest", "Number of batch request steps must be between 1 and 20.");
    }
    let mut responses = Vec::new();
    for request in &requests {
        let reply = part(shared, call, request).await;
        let headers: serde_json::Map<String, Value> =
            reply.headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let body = reply.body.unwrap_or(Value::Null);
        responses.push(json!({ "id": request["id"], "status": reply.status, "headers": headers, "body": body }));
    }
    // In any order, as documented.
    responses.reverse();
    Reply::ok(json!({ "responses": responses }))
}

async fn part(shared: &Shared, call: &Call, request: &Value) -> Reply {
    let method = request["method"].as_str().unwrap_or("GET").to_uppercase();
    let url = request["url"].as_str().unwrap_or_default();
    if let Some(Fault::Status { status, headers, body }) = shared.faults.judge(&method, url) {
        let wait = headers.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
        let body = serde_json::from_str(&body).ok();
        let headers = wait.into_iter().map(|(_, wait)| ("retry-after", wait)).collect();
        return Reply { status, headers, body };
    }
    let (asked, query) = url.split_once('?').unwrap_or((url, ""));
    let header = |wanted: &str| {
        let headers = request["headers"].as_object()?;
        let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
        found.1.as_str().map(str::to_owned)
    };
    let part = Call {
        method,
        path: segments(asked),
        query: parameters(query),
        prefer: Prefer::of(&header("prefer").unwrap_or_default()),
        if_match: header("if-match"),
        body: request["body"].clone(),
        asked: format!("/{}", asked.trim_start_matches('/')),
        ..call.clone()
    };
    shared.calls.count(&part.address, &operation(&part));
    match (part.method.as_str(), part.path.first().map(String::as_str)) {
        ("POST", Some("subscriptions")) => subscribe(shared, &part).await,
        _ => shared.perform(&part),
    }
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn prefer_of(headers: &HeaderMap) -> Prefer {
    let all: Vec<&str> = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok()).collect();
    Prefer::of(&all.join(","))
}

pub(crate) fn parameters(text: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// The parts of a path, decoded.
pub(crate) fn segments(path: &str) -> Vec<String> {
    let decoded = |part: &str| {
        let parsed = parameters(&format!("x={}", part.replace('+', "%2B")));
        parsed.into_iter().next().map(|(_, value)| value).unwrap_or_default()
    };
    path.split('/').filter(|part| !part.is_empty()).map(decoded).collect()
}
