//! What goes wrong, by script.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::stream;

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not done, and the connection breaks.
    Drop,
    /// It is done, and the connection breaks before the answer.
    LoseAnswer,
    /// It is done after a while.
    Delay(Duration),
    /// It is not done; this is answered instead.
    Status {
        /// The status.
        status: u16,
        /// Headers besides the length.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// It is done; after so many bytes of the answer the connection breaks.
    Cut {
        /// How many bytes arrive.
        bytes: usize,
    },
    /// It is done, and the body of the answer is changed: every occurrence of the first text becomes the second.
    Replace(String, String),
}

impl Fault {
    /// A refusal in JSON.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json; charset=UTF-8".to_owned())];
        Self::Status { status, headers, body: body.to_string() }
    }

    /// The same with another header, where this is a [`Fault::Status`].
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Status { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// Which of the calls a rule matches are struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// All.
    Always,
    /// The n-th, counted from one.
    Nth(u64),
    /// The first so many.
    First(u64),
    /// So many in a thousand, at random; the same seed strikes the same calls.
    PerMille {
        /// How many.
        share: u16,
        /// Where chance begins.
        seed: u64,
    },
}

/// A rule: which calls, when, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Only calls of this method; `None`: any.
    pub method: Option<String>,
    /// Only calls whose path and query contain this; empty: any.
    pub path_contains: String,
    /// Which of them.
    pub when: When,
    /// What happens.
    pub fault: Fault,
}

impl Rule {
    /// A rule for calls of a method whose path and query contain a text.
    pub fn new(method: &str, path_contains: &str, when: When, fault: Fault) -> Self {
        Self { method: Some(method.to_owned()), path_contains: path_contains.to_owned(), when, fault }
    }
}

/// Rules in force. Clones are one switchboard.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Vec<Armed>>>);

#[derive(Debug)]
struct Armed {
    rule: Rule,
    seen: u64,
    struck: u64,
}

impl Faults {
    /// Puts a rule in force, after those before it.
    pub fn add(&self, rule: Rule) {
        self.armed().push(Armed { rule, seen: 0, struck: 0 });
    }

    /// All is well from now on.
    pub fn clear(&self) {
        self.armed().clear();
    }

    /// Calls that were struck by the rules in force.
    pub fn struck(&self) -> u64 {
        self.armed().iter().map(|armed| armed.struck).sum()
    }

    /// What happens to a call: every rule that matches counts it, and the first that strikes decides.
    pub fn judge(&self, method: &str, path_and_query: &str) -> Option<Fault> {
        let mut verdict = None;
        for armed in self.armed().iter_mut() {
            let rule = &armed.rule;
            let matches = rule.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && path_and_query.contains(&rule.path_contains);
            if !matches {
                continue;
            }
            armed.seen += 1;
            if verdict.is_none() && strikes(armed.rule.when, armed.seen) {
                armed.struck += 1;
                verdict = Some(armed.rule.fault.clone());
            }
        }
        verdict
    }

    fn armed(&self) -> std::sync::MutexGuard<'_, Vec<Armed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn strikes(when: When, seen: u64) -> bool {
    match when {
        When::Always => true,
        When::Nth(nth) => seen == nth,
        When::First(count) => seen <= count,
        When::PerMille { share, seed } => chance(seed, seen) % 1_000 < u64::from(share),
    }
}

/// A number that looks random and is the same each time (SplitMix64).
fn chance(seed: u64, step: u64) -> u64 {
    let mut mixed = seed.wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Middleware that lets the rules strike: `axum::middleware::from_fn_with_state(faults, through_faults)`.
pub async fn through_faults(State(faults): State<Faults>, request: Request, next: Next) -> Response {
    let place = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    match faults.judge(request.method().as_str(), &place) {
        None => next.run(request).await,
        Some(Fault::Drop) => broken(StatusCode::OK, Bytes::new()),
        Some(Fault::LoseAnswer) => {
            next.run(request).await;
            broken(StatusCode::OK, Bytes::new())
        }
        Some(Fault::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            next.run(request).await
        }
        Some(Fault::Status { status, headers, body }) => stated(status, headers, body),
        Some(Fault::Cut { bytes }) => {
            let (status, body) = read(next.run(request).await).await;
            broken(status, body.slice(..bytes.min(body.len())))
        }
        Some(Fault::Replace(from, to)) => {
            let answer = next.run(request).await;
            let kind = answer.headers().get("content-type").cloned();
            let (status, body) = read(answer).await;
            let mut changed = (status, String::from_utf8_lossy(&body).replace(&from, &to)).into_response();
            if let Some(kind) = kind {
                changed.headers_mut().insert("content-type", kind);
            }
            changed
        }
    }
}

async fn read(answer: Response) -> (StatusCode, Bytes) {
    let status = answer.status();
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap_or_default();
    (status, body)
}

/// An answer that announces more than comes: the connection breaks after the beginning.
fn broken(status: StatusCode, beginning: Bytes) -> Response {
    let promised = beginning.len() + 1_000;
    let parts = [Ok(beginning), Err(io::Error::other("cut by script"))];
    let mut response = Response::new(Body::from_stream(stream::iter(parts)));
    *response.status_mut() = status;
    response.headers_mut().insert("content-length", HeaderValue::from(promised));
    response
}

fn stated(status: u16, headers: Vec<(String, String)>, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, body).into_response();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
