//! Endpoints for webhooks, in this process: they say yes to everything, at once or when their gate is opened.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

/// Longest wait for messages.
const ARRIVED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// What a message is sent again with.
const SENT_AGAIN: [&str; 4] = ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"];
/// Before the id of a message's booking.
const BOOKING: &str = "\"id\":\"";
const BOOKING_PREFIX: &str = "book_";

/// A message as it came, to be sent again by somebody else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// What has come since it was last cleared.
#[derive(Default)]
pub(crate) struct Arrivals {
    /// How many messages were said yes to.
    pub(crate) count: u64,
    /// When the first and the last of them came.
    pub(crate) first: Option<Instant>,
    pub(crate) last: Option<Instant>,
    /// When the first message about each booking came.
    pub(crate) of_bookings: BTreeMap<String, Instant>,
    /// One of them.
    pub(crate) sample: Option<Message>,
}

struct Desk {
    arrivals: Mutex<Arrivals>,
    gate: watch::Receiver<bool>,
}

/// The endpoints; gone on drop.
pub(crate) struct Receiver {
    address: SocketAddr,
    desk: Arc<Desk>,
    gate: watch::Sender<bool>,
    _runtime: Runtime,
}

impl Receiver {
    /// Starts with an open gate, on a thread of its own.
    pub(crate) fn start() -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("no endpoint could be started: {error}");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(failed)?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (gate, watched) = watch::channel(true);
        let desk = Arc::new(Desk { arrivals: Mutex::default(), gate: watched });
        let router = Router::new().route("/{endpoint}", post(take)).with_state(Arc::clone(&desk));
        // It ends with the runtime.
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, desk, gate, _runtime: runtime })
    }

    /// The address of one of its endpoints.
    pub(crate) fn url(&self, endpoint: usize) -> String {
        url(&self.address.to_string(), endpoint)
    }

    /// Where all of them are.
    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Forgets what came.
    pub(crate) fn clear(&self) {
        *self.desk.arrivals() = Arrivals::default();
    }

    /// Lets messages wait for an answer from now on.
    pub(crate) fn close(&self) {
        self.gate.send_replace(false);
    }

    /// Answers those that wait, and all that come.
    pub(crate) fn open(&self) -> Instant {
        let opened = Instant::now();
        self.gate.send_replace(true);
        opened
    }

    /// Waits until so many messages have come, and looks at them.
    pub(crate) fn wait_for<T>(&self, count: u64, look: impl FnOnce(&Arrivals) -> T) -> Result<T, String> {
        let begun = Instant::now();
        loop {
            let arrivals = self.desk.arrivals();
            match arrivals.count {
                arrived if arrived >= count => return Ok(look(&arrivals)),
                arrived if begun.elapsed() > ARRIVED_WITHIN => {
                    return Err(format!("{arrived} of {count} messages came within {ARRIVED_WITHIN:?}"));
                }
                _ => drop(arrivals),
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

impl Desk {
    fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        self.arrivals.lock().expect("no holder panics")
    }
}

/// The address of an endpoint.
pub(crate) fn url(authority: &str, endpoint: usize) -> String {
    format!("http://{authority}/{endpoint}")
}

async fn take(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let came = Instant::now();
    // The sender lives as long as the runtime this runs on.
    let _ = desk.gate.clone().wait_for(|open| *open).await;
    let mut arrivals = desk.arrivals();
    if let Some(id) = booking_of(&body) {
        arrivals.of_bookings.entry(id).or_insert(came);
    }
    arrivals.sample.get_or_insert_with(|| message(&headers, &body));
    arrivals.count += 1;
    let now = Instant::now();
    arrivals.first.get_or_insert(now);
    arrivals.last = Some(now);
    StatusCode::NO_CONTENT
}

fn message(headers: &HeaderMap, body: &Bytes) -> Message {
    let header = |name: &&str| Some(((*name).to_owned(), headers.get(*name)?.to_str().ok()?.to_owned()));
    Message {
        headers: SENT_AGAIN.iter().filter_map(header).collect(),
        body: String::from_utf8_lossy(body).into_owned(),
    }
}

fn booking_of(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let mut ids = text.match_indices(BOOKING).map(|(at, found)| &text[at + found.len()..]);
    let id = ids.find(|rest| rest.starts_with(BOOKING_PREFIX))?;
    Some(id[..id.find('"')?].to_owned())
}

#[test]
fn messages_name_their_booking() {
    let check = |body: &str, expected: Option<&str>| {
        assert_eq!(booking_of(body.as_bytes()).as_deref(), expected, "{body}");
    };
    check(r#"{"data":{"host":{"id":"user_1"},"booking":{"id":"book_7","title":"x"}}}"#, Some("book_7"));
    check(r#"{"data":{"title":"book_7"}}"#, None);
    check(r#"{"id":"book_"#, None);
}
