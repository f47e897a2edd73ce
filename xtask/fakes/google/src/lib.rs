//! A Google Calendar for tests: version 3 of its API with its OAuth endpoints, on this machine, with its state in memory.
//!
//! It does what the documentation and the discovery document say, as far as providers and their clients use it: lists that
//! are full or continue from a token, pages, series and their instances, versions and conditions, channels that really
//! post, quotas, and errors in Google's shape. What goes wrong is scripted through [`FakeGoogle::faults`], and time passes
//! as [`FakeGoogle::clock`] says.

mod access;
mod calendar;
mod channels;
mod conferences;
mod control;
mod events;
mod fields;
mod free_busy;
mod lists;
mod oauth;
mod params;
mod refusal;
mod rooms;
mod times;
mod write;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentcal_fake_kit::{Calls, Clock, Faults, Quota, UnderWay, through_faults};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::calendar::Calendar;
use crate::channels::Channel;
use crate::oauth::Grants;

pub use conferences::Conferences;
pub use control::{ALL_SCOPES, CLIENT_ID};
pub use oauth::Consent;

/// Requests per minute and user of a project, as Google grants them to new projects.
pub const USER_PER_MINUTE: usize = 600;
/// Requests per minute of a project.
pub const PROJECT_PER_MINUTE: usize = 10_000;

/// The server. Clones are the same one.
#[derive(Clone)]
pub struct FakeGoogle(Arc<Inner>);

struct Inner {
    clock: Clock,
    faults: Faults,
    bells: Faults,
    ringing: UnderWay,
    calls: Calls,
    per_user: Quota,
    per_project: Quota,
    world: Mutex<World>,
}

/// Everything that changes.
#[derive(Default)]
pub(crate) struct World {
    /// The calendars each user lists.
    pub(crate) users: BTreeMap<String, Vec<Membership>>,
    pub(crate) calendars: BTreeMap<String, Calendar>,
    pub(crate) grants: Grants,
    pub(crate) channels: BTreeMap<String, Channel>,
    pub(crate) serial: u64,
    /// Longest page, whatever a client wants.
    pub(crate) page_len_max: Option<usize>,
    /// Whether quotas are refused with 429 in place of 403.
    pub(crate) refuses_with_429: bool,
    /// What becomes of requests for a conference, and how many there were.
    pub(crate) conferences: Conferences,
    pub(crate) conferences_made: u64,
}

/// A calendar as one user has it.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    pub(crate) calendar_id: String,
    pub(crate) access_role: String,
    pub(crate) primary: bool,
}

impl FakeGoogle {
    /// An empty server that lives in this time.
    pub fn new(clock: Clock) -> Self {
        let minute = Duration::from_secs(60);
        Self(Arc::new(Inner {
            clock,
            faults: Faults::default(),
            bells: Faults::default(),
            ringing: UnderWay::default(),
            calls: Calls::default(),
            per_user: Quota::new(USER_PER_MINUTE, minute),
            per_project: Quota::new(PROJECT_PER_MINUTE, minute),
            world: Mutex::new(World::default()),
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

    /// What goes wrong with notifications: they are `POST`s to the address of their channel. One that is dropped is never
    /// sent, one whose answer is lost is sent twice.
    pub fn bells(&self) -> &Faults {
        &self.0.bells
    }

    /// Notifications on their way. One that is to be late is not yet.
    pub fn ringing(&self) -> &UnderWay {
        &self.0.ringing
    }

    /// Calls, by user and operation.
    pub fn calls(&self) -> &Calls {
        &self.0.calls
    }

    /// Requests per minute and user.
    pub fn user_quota(&self) -> &Quota {
        &self.0.per_user
    }

    /// Requests per minute of a client.
    pub fn project_quota(&self) -> &Quota {
        &self.0.per_project
    }

    /// Its routes.
    pub fn router(&self) -> Router {
        let calendar = Router::new()
            .route("/users/me/calendarList", get(rooms::list))
            .route("/users/me/calendarList/{calendar}", get(rooms::get_entry))
            .route("/calendars/{calendar}", get(rooms::get_calendar))
            .route("/calendars/{calendar}/events", get(lists::list).post(write::insert))
            .route("/calendars/{calendar}/events/watch", post(channels::watch))
            .route(
                "/calendars/{calendar}/events/{event}",
                get(events::get).patch(write::patch).put(write::update).delete(write::delete),
            )
            .route("/calendars/{calendar}/events/{event}/instances", get(lists::instances))
            .route("/freeBusy", post(free_busy::query))
            .route("/channels/stop", post(channels::stop));
        Router::new()
            .nest("/calendar/v3", calendar)
            .route("/o/oauth2/v2/auth", get(oauth::consent))
            .route("/token", post(oauth::token))
            .route("/revoke", post(oauth::revoke))
            .layer(from_fn_with_state(self.faults().clone(), through_faults))
            .with_state(self.clone())
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
