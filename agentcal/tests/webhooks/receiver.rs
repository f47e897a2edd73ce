//! Endpoints that fail three messages in ten, let one in twenty hang, and can be away for a while.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use agentcal_testkit::spare_address;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// What came in, and what was said to it.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// To which of the endpoints.
    pub(crate) endpoint: usize,
    pub(crate) id: String,
    headers: Value,
    body: String,
    pub(crate) is_taken: bool,
}

impl Message {
    /// As the verifiers read it.
    pub(crate) fn to_json(&self, secret: &str) -> Value {
        json!({"secret": secret, "headers": self.headers, "body": self.body})
    }

    pub(crate) fn event(&self) -> Value {
        serde_json::from_str(&self.body).expect("a message is JSON")
    }

    /// The booking it tells of; a message that is sent to try tells of none.
    pub(crate) fn booking(&self) -> Option<String> {
        self.event()["data"]["booking"]["id"].as_str().map(str::to_owned)
    }
}

#[derive(Default)]
struct Book {
    messages: Mutex<Vec<Message>>,
    /// Bookings of messages that were taken.
    taken: Mutex<BTreeSet<String>>,
    count: AtomicU64,
}

/// The endpoints. They keep their address over their absences.
pub(crate) struct Receiver {
    runtime: Runtime,
    book: Arc<Book>,
    address: SocketAddr,
    serving: Option<JoinHandle<()>>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let address = spare_address();
        let listener = runtime.block_on(TcpListener::bind(address)).expect("a spare port");
        let mut receiver = Self { runtime, book: Arc::default(), address, serving: None };
        receiver.serve(listener);
        receiver
    }

    pub(crate) fn url(&self, endpoint: usize) -> String {
        format!("http://{}/hook/{endpoint}", self.address)
    }

    /// Where it says that it is gone.
    pub(crate) fn gone_url(&self) -> String {
        format!("http://{}/gone", self.address)
    }

    /// Nobody listens any more, and what was being answered is cut off.
    pub(crate) fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            // Its listener is gone when it has ended.
            let _ = self.runtime.block_on(serving);
        }
    }

    pub(crate) fn start_again(&mut self) {
        let listener = self.runtime.block_on(TcpListener::bind(self.address)).expect("its old port");
        self.serve(listener);
    }

    /// Everything that came in whole, from the so manieth on.
    pub(crate) fn messages_from(&self, first: usize) -> Vec<Message> {
        lock(&self.book.messages)[first..].to_vec()
    }

    /// How many bookings were told to an endpoint that said that it has them.
    pub(crate) fn taken_count(&self) -> usize {
        lock(&self.book.taken).len()
    }

    fn serve(&mut self, listener: TcpListener) {
        let gone = post(|| async { StatusCode::GONE });
        let router = Router::new().route("/hook/{endpoint}", post(take)).route("/gone", gone);
        let router = router.with_state(Arc::clone(&self.book));
        self.serving = Some(self.runtime.spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        }));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panics")
}

/// What a message meets, by how many came before it.
enum Fate {
    Taken,
    Failed,
    Hangs,
}

fn fate(number: u64) -> Fate {
    // Of twenty in a row six fail and one hangs, in no order that retries could fall in step with.
    match number.wrapping_mul(7) % 20 {
        0..=5 => Fate::Failed,
        6 => Fate::Hangs,
        _ => Fate::Taken,
    }
}

async fn take(
    State(book): State<Arc<Book>>,
    Path(endpoint): Path<usize>,
    headers: HeaderMap,
    body: String,
) -> StatusCode {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let shown: serde_json::Map<String, Value> =
        names.iter().map(|&name| (name.to_owned(), json!(text(name)))).collect();
    let fate = fate(book.count.fetch_add(1, Ordering::SeqCst));
    let is_taken = matches!(fate, Fate::Taken);
    let message = Message { endpoint, id: text("webhook-id"), headers: Value::Object(shown), body, is_taken };
    if is_taken {
        lock(&book.taken).extend(message.booking());
    }
    lock(&book.messages).push(message);
    match fate {
        Fate::Taken => StatusCode::NO_CONTENT,
        Fate::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        Fate::Hangs => std::future::pending().await,
    }
}
