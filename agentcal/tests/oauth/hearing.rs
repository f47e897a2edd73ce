//! Somebody who is told what happens.

use std::sync::{Arc, Mutex, PoisonError};

use agentcal_fake_kit::{Served, serve};
use axum::Router;
use axum::extract::{Json, State};
use axum::routing::post;
use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::Stage;

type Heard = Arc<Mutex<Vec<Value>>>;

/// An endpoint of the account's organization.
pub(crate) struct Hearing {
    heard: Heard,
    _served: Served,
}

impl Hearing {
    /// Hears of connections whose owners have to come by again.
    pub(crate) fn begin(stage: &Stage) -> Self {
        let heard = Heard::default();
        let router = Router::new().route("/", post(hear)).with_state(Arc::clone(&heard));
        let served = stage.runtime.block_on(serve(router, 0));
        let body = json!({"url": served.base_url(), "events": ["connection.reauthorization_required"]});
        stage.done(&Method::POST, "/webhooks", Some(&body));
        Self { heard, _served: served }
    }

    /// What was heard so far.
    pub(crate) fn heard(&self) -> Vec<Value> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn hear(State(heard): State<Heard>, Json(message): Json<Value>) {
    heard.lock().unwrap_or_else(PoisonError::into_inner).push(message);
}
