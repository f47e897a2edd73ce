//! A Svix server for tests: as much of version 1 of its API as AgentCal uses, on this machine, with its state in memory.
//!
//! It does what Svix's published OpenAPI document and its open source server do: applications, event types, endpoints with
//! their filters and secrets, messages that really are posted and signed, retries, lists of attempts, and errors in Svix's
//! shape. What goes wrong is scripted through [`FakeSvix::faults`].

mod access;
mod applications;
mod attempts;
mod dispatch;
mod endpoints;
mod event_types;
mod lists;
mod messages;
mod refusal;
mod secrets;
mod world;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentcal_fake_kit::{Calls, Clock, Faults, through_faults};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::world::World;

/// Waits between the tries of one message, as Svix has them.
pub const RETRY_WAITS: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3_600),
    Duration::from_secs(5 * 3_600),
    Duration::from_secs(10 * 3_600),
    Duration::from_secs(10 * 3_600),
];

/// The server. Clones are the same one.
#[derive(Clone)]
pub struct FakeSvix(Arc<Inner>);

struct Inner {
    clock: Clock,
    token: String,
    faults: Faults,
    calls: Calls,
    client: reqwest::Client,
    world: Mutex<World>,
}

impl FakeSvix {
    /// An empty server that lives in this time and knows this token.
    ///
    /// # Panics
    /// When no client can be made to reach endpoints with.
    pub fn new(clock: Clock, token: &str) -> Self {
        // A second installation of the provider is refused, and the first one is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(dispatch::PATIENCE).build();
        Self(Arc::new(Inner {
            clock,
            token: token.to_owned(),
            faults: Faults::default(),
            calls: Calls::default(),
            client: client.expect("a client can be made"),
            world: Mutex::new(World::new(RETRY_WAITS.to_vec())),
        }))
    }

    /// Its time.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// What goes wrong with calls.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// Calls, by application and operation.
    pub fn calls(&self) -> &Calls {
        &self.0.calls
    }

    /// Waits between the tries of one message, from now on.
    pub fn set_retry_waits(&self, waits: Vec<Duration>) {
        self.world().retry_waits = waits;
    }

    /// An endpoint as the API shows it; `None` where there is none.
    pub fn endpoint(&self, application: &str, endpoint: &str) -> Option<serde_json::Value> {
        let world = self.world();
        world.application(application)?.endpoint(endpoint).map(endpoints::shown)
    }

    /// Event ids of an application's messages, in the order in which they came.
    pub fn event_ids(&self, application: &str) -> Vec<String> {
        let world = self.world();
        let messages = world.application(application).into_iter().flat_map(|application| application.messages.values());
        messages.filter_map(|message| message.event_id.clone()).collect()
    }

    /// Everything is gone, as if the server had been set up anew.
    pub fn forget(&self) {
        let mut world = self.world();
        *world = World::new(world.retry_waits.clone());
    }

    /// Its routes.
    pub fn router(&self) -> Router {
        let api = Router::new()
            .route("/app", post(applications::create).get(applications::list))
            .route("/app/{app}", get(applications::get).delete(applications::delete))
            .route("/app/{app}/endpoint", post(endpoints::create).get(endpoints::list))
            .route(
                "/app/{app}/endpoint/{endpoint}",
                get(endpoints::get).put(endpoints::put).patch(endpoints::patch).delete(endpoints::delete),
            )
            .route("/app/{app}/endpoint/{endpoint}/secret", get(secrets::get))
            .route("/app/{app}/endpoint/{endpoint}/secret/rotate", post(secrets::rotate))
            .route("/app/{app}/endpoint/{endpoint}/recover", post(attempts::recover))
            .route("/app/{app}/endpoint/{endpoint}/msg", get(attempts::attempted_messages))
            .route("/app/{app}/msg", post(messages::create).get(messages::list))
            .route("/app/{app}/msg/{message}", get(messages::get))
            .route("/app/{app}/msg/{message}/endpoint/{endpoint}/resend", post(attempts::resend))
            .route("/app/{app}/attempt/msg/{message}", get(attempts::of_message))
            .route("/app/{app}/attempt/endpoint/{endpoint}", get(attempts::of_endpoint))
            .route("/event-type", post(event_types::create).get(event_types::list))
            .layer(from_fn_with_state(self.clone(), access::require_token));
        Router::new()
            .nest("/api/v1", api)
            .route("/api/v1/health", get(|| async {}))
            .layer(from_fn_with_state(self.faults().clone(), through_faults))
            .with_state(self.clone())
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.0.client
    }
}
