//! Endpoints of one server, which keep everything they hear.

use std::sync::{Arc, Mutex, MutexGuard};

use agentcal_fake_kit::{Served, serve};
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::post;
use http::HeaderMap;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

/// What came in.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    path: String,
    headers: Map<String, Value>,
    body: String,
}

impl Message {
    /// As the verifier reads it.
    pub(crate) fn to_json(&self, secrets: &[&str]) -> Value {
        json!({"secrets": secrets, "headers": self.headers, "body": self.body})
    }

    pub(crate) fn event(&self) -> Value {
        serde_json::from_str(&self.body).expect("a message is JSON")
    }

    pub(crate) fn booking(&self) -> String {
        let event = self.event();
        event["data"]["booking"]["id"].as_str().expect("it tells of a booking").to_owned()
    }

    /// Whether Svix sent it.
    pub(crate) fn is_of_svix(&self) -> bool {
        self.headers.contains_key("svix-id")
    }
}

type Book = Arc<Mutex<Vec<Message>>>;

pub(crate) struct Endpoints {
    book: Book,
    served: Served,
}

impl Endpoints {
    pub(crate) fn start(runtime: &Runtime) -> Self {
        let book = Book::default();
        let router = Router::new().route("/{path}", post(hear)).with_state(Arc::clone(&book));
        Self { book, served: runtime.block_on(serve(router, 0)) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.served.base_url())
    }

    /// What came in at a path.
    pub(crate) fn heard(&self, path: &str) -> Vec<Message> {
        lock(&self.book).iter().filter(|message| message.path == path).cloned().collect()
    }
}

async fn hear(State(book): State<Book>, Path(path): Path<String>, headers: HeaderMap, body: String) {
    let headers = headers.iter().filter_map(|(name, value)| Some((name.to_string(), json!(value.to_str().ok()?))));
    let message = Message { path, headers: headers.collect(), body };
    lock(&book).push(message);
}

fn lock(book: &Mutex<Vec<Message>>) -> MutexGuard<'_, Vec<Message>> {
    book.lock().expect("no holder panics")
}
