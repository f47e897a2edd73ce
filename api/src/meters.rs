//! Counting requests and their time, by the route's pattern and never by its path, so that the number of series is
//! bounded. What a request is counted under is looked up by name once; from then on its handles are at hand.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use agentcal_actors::metrics::{HTTP_LATENCY, HTTP_REQUESTS};
use axum::extract::{MatchedPath, Request};
use http::{Method, StatusCode};
use metrics::{Counter, Histogram, counter, histogram};

/// Handles by route, and in there by method and status.
#[derive(Default)]
pub(crate) struct Meters(RwLock<BTreeMap<String, ByAnswer>>);

type ByAnswer = BTreeMap<(&'static str, StatusCode), Meter>;

/// The handles of one series of requests.
#[derive(Clone)]
struct Meter {
    latency: Histogram,
    requests: Counter,
}

/// What a request is counted under, but for its answer.
pub(crate) struct Labels {
    route: Option<MatchedPath>,
    method: &'static str,
}

impl Labels {
    pub(crate) fn of(request: &Request) -> Self {
        let method = match *request.method() {
            Method::GET => "GET",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            Method::HEAD => "HEAD",
            Method::OPTIONS => "OPTIONS",
            _ => "other",
        };
        Self { route: request.extensions().get::<MatchedPath>().cloned(), method }
    }

    fn route(&self) -> &str {
        self.route.as_ref().map_or("none", MatchedPath::as_str)
    }
}

impl Meters {
    /// Counts an answered request.
    pub(crate) fn record(&self, labels: &Labels, status: StatusCode, took: Duration) {
        let meter = self.known(labels, status).unwrap_or_else(|| self.register(labels, status));
        meter.latency.record(took.as_secs_f64());
        meter.requests.increment(1);
    }

    fn known(&self, labels: &Labels, status: StatusCode) -> Option<Meter> {
        // Whoever panicked under this lock left a map that is whole: one insert is all that is ever done there.
        let meters = self.0.read().unwrap_or_else(PoisonError::into_inner);
        meters.get(labels.route())?.get(&(labels.method, status)).cloned()
    }

    fn register(&self, labels: &Labels, status: StatusCode) -> Meter {
        let (route, method) = (labels.route().to_owned(), labels.method);
        let meter = Meter {
            latency: histogram!(HTTP_LATENCY, "route" => route.clone(), "method" => method),
            requests: counter!(
                HTTP_REQUESTS, "route" => route.clone(), "method" => method, "status" => status.as_u16().to_string()
            ),
        };
        let mut meters = self.0.write().unwrap_or_else(PoisonError::into_inner);
        meters.entry(route).or_default().insert((method, status), meter.clone());
        meter
    }
}
