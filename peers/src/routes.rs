//! Answering other nodes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use agentcal_actors::metrics::PEER_SERVED;
use agentcal_engine::calendar::request::CommitRequest;
use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::RequestId;
use agentcal_engine::ports::{BeatsEnded, Clock, Entropy, FactsWanted};
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use futures::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use metrics::counter;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;
use tokio::time::timeout;
use tracing::Instrument;

use crate::guard::{Guard, log_refusal};
use crate::logged::OncePerMinute;
use crate::owner::Owner;
use crate::picture::ShardsView;
use crate::problem::Problem;
use crate::wire::{
    BellBody, ConfigChangedBody, FactsBody, Kind, LEFT_HEADER, REQUEST_ID_HEADER, SHARDS_PATH, left_received,
};

/// Most bytes of a request: many times what a commit or a question about every calendar of a large team takes.
const REQUEST_LEN_MAX: usize = 1_024 * 1_024;
/// How long a request's body may take to arrive.
const BODY_MAX: Duration = Duration::from_secs(5);
/// Longest id of a request that is taken over from a peer.
const REQUEST_ID_LEN_MAX: usize = 64;

/// What the routes are made of.
pub struct RouterParts {
    /// Does what is asked.
    pub owner: Arc<dyn Owner>,
    /// Who is let in.
    pub guard: Guard,
    /// This node's clock: deadlines are put on it.
    pub clock: Arc<dyn Clock>,
    /// For ids of requests that come without one.
    pub entropy: Arc<dyn Entropy>,
    /// Most requests at work at once.
    pub in_flight_max: usize,
}

/// What every handler shares.
struct Node {
    parts: RouterParts,
    places: Arc<Semaphore>,
    refused: OncePerMinute,
}

type Shared = State<Arc<Node>>;

impl Node {
    fn enter(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_full| Problem::TooMany)
    }
}

/// Routes for other nodes, under `/internal/v1`. Every one is behind the guard.
pub fn router(parts: RouterParts) -> Router {
    let places = Arc::new(Semaphore::new(parts.in_flight_max));
    let node = Arc::new(Node { parts, places, refused: OncePerMinute::default() });
    let routes = Kind::ALL.into_iter().fold(Router::new(), |routes, kind| routes.route(kind.path(), asked(kind)));
    routes
        .route(SHARDS_PATH, get(shards))
        .method_not_allowed_fallback(|| async { Problem::Method })
        .route_layer(DefaultBodyLimit::max(REQUEST_LEN_MAX))
        .route_layer(from_fn_with_state(Arc::clone(&node), wrap))
        .with_state(node)
}

fn asked(kind: Kind) -> MethodRouter<Arc<Node>> {
    match kind {
        Kind::Commit => post(commit),
        Kind::Facts => post(facts),
        Kind::Bell => post(bell),
        Kind::ConfigChanged => post(config_changed),
        Kind::BeatsEnded => post(beats_ended),
        Kind::ShardsGiven => post(shards_given),
    }
}

/// What happens around every request: its id, the guard, the body of a refusal, and its count.
async fn wrap(State(node): Shared, request: Request, next: Next) -> Response {
    let request_id = request_id(&node, request.headers());
    let path = request.extensions().get::<MatchedPath>().cloned();
    let kind = path.as_ref().and_then(|path| path.as_str().rsplit('/').next()).unwrap_or("none").replace('-', "_");
    let span = tracing::debug_span!("peer request", request_id, kind);
    let mut response = match node.parts.guard.check(request.headers(), request.extensions()) {
        Ok(()) => next.run(request).instrument(span).await,
        Err(problem) => {
            log_refusal(&node.refused, &problem);
            problem.into_response()
        }
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.render(&request_id);
    }
    dress(response.headers_mut(), &request_id);
    counter!(PEER_SERVED, "kind" => kind, "status" => response.status().as_u16().to_string()).increment(1);
    response
}

/// The id a peer sent, if it can be one; or a new one.
fn request_id(node: &Node, headers: &HeaderMap) -> String {
    let sent = headers.get(REQUEST_ID_HEADER).and_then(|value| value.to_str().ok());
    let is_id = |text: &&str| {
        let of_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        (1..=REQUEST_ID_LEN_MAX).contains(&text.len()) && text.bytes().all(of_id)
    };
    let mint = || RequestId::mint(node.parts.clock.now(), node.parts.entropy.as_ref()).to_string();
    sent.filter(is_id).map_or_else(mint, str::to_owned)
}

fn dress(headers: &mut HeaderMap, request_id: &str) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID_HEADER, value);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// The head leaves at once: it says that the commit was taken in. It is made by a task of its own, so that neither a slow
/// reader nor one who left can keep it from ending.
async fn commit(
    State(node): Shared,
    Left(left): Left,
    Whole(mut request): Whole<CommitRequest>,
) -> Result<Response, Problem> {
    // A node that was asleep finds requests whose callers went elsewhere. Whoever took one back is heard of before the
    // handler goes on from here.
    yield_now().await;
    let place = node.enter()?;
    request.deadline = node.parts.clock.now() + left;
    let work = node.parts.owner.commit(request)?;
    let work = async move {
        let answer = work.await;
        drop(place);
        answer
    };
    let answer = tokio::spawn(work.in_current_span());
    let body = stream::once(async move {
        let answer = answer.await?;
        Ok::<_, axum::BoxError>(Bytes::from(serde_json::to_vec(&answer)?))
    });
    Ok(([(CONTENT_TYPE, "application/json")], Body::from_stream(body)).into_response())
}

async fn facts(
    State(node): Shared,
    Left(left): Left,
    Whole(body): Whole<FactsBody>,
) -> Result<Json<Vec<Arc<CalendarFacts>>>, Problem> {
    let _place = node.enter()?;
    let wanted: Vec<FactsWanted> = body.wanted.iter().map(FactsWanted::from).collect();
    Ok(Json(node.parts.owner.facts(body.account_id, &wanted, left).await?))
}

async fn bell(State(node): Shared, Whole(body): Whole<BellBody>) -> Result<StatusCode, Problem> {
    node.parts.owner.bell(body.account_id, body.calendar_id, body.ring)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn config_changed(State(node): Shared, Whole(body): Whole<ConfigChangedBody>) -> Result<StatusCode, Problem> {
    let _place = node.enter()?;
    node.parts.owner.config_changed(body.account_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn beats_ended(State(node): Shared, Whole(ended): Whole<BeatsEnded>) -> StatusCode {
    node.parts.owner.beats_ended(ended);
    StatusCode::NO_CONTENT
}

async fn shards_given(State(node): Shared) -> StatusCode {
    node.parts.owner.shards_given();
    StatusCode::NO_CONTENT
}

async fn shards(State(node): Shared) -> Json<ShardsView> {
    Json(ShardsView::of(&node.parts.owner.shards()))
}

/// The time a caller still waits.
struct Left(Duration);

impl<S: Sync> FromRequestParts<S> for Left {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let sent = parts.headers.get(LEFT_HEADER).and_then(|value| value.to_str().ok());
        sent.and_then(left_received).map(Self).ok_or(Problem::InvalidDeadline)
    }
}

/// A body, read whole.
struct Whole<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Whole<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = within(BODY_MAX, Bytes::from_request(request, state)).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            Problem::Malformed(format!(
                "it is not what is expected at line {}, column {}",
                error.line(),
                error.column()
            ))
        })
    }
}

async fn within(limit: Duration, body: impl Future<Output = Result<Bytes, BytesRejection>>) -> Result<Bytes, Problem> {
    let read = timeout(limit, body).await.map_err(|_elapsed| Problem::TooSlow)?;
    read.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::TooLarge(REQUEST_LEN_MAX),
        _ => Problem::Malformed("it broke off".to_owned()),
    })
}
