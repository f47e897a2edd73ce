//! Something that behaves like Microsoft Graph's calendars, and like the identity platform before them, on this machine.
//!
//! A server with a memory: mailboxes, calendars, events and series with their exceptions, rounds of changes, subscriptions
//! that ring, tokens, limits, and faults by script. It is for tests and for trying things out; nothing that ships imports it.
//! Where Graph's documents leave room, [`Behaviour`] chooses.

mod call;
mod dispatch;
mod events;
mod identity;
mod mailbox;
mod render;
mod reply;
mod series;
mod server;
mod store;
mod subscriptions;
mod times;
mod views;
mod zones;

use agentcal_fake_kit::{Calls, Clock, Faults, Quota, Served, UnderWay, serve};
use axum::Router;
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::call::{Call, Prefer, plain_id};
use crate::reply::not_found;
use crate::server::{Shared, parameters, router, segments};
use crate::store::{Calendar, Mailbox, Store};
pub use store::{Behaviour, OnlineMeetings};

/// Graph, on this machine, until it is dropped.
pub struct FakeGraph {
    shared: Shared,
    served: Served,
    clock: Clock,
}

impl FakeGraph {
    /// Starts on a port of this machine; 0 means any free one.
    ///
    /// # Panics
    /// When the port cannot be listened to.
    pub async fn start(clock: Clock, port: u16) -> Self {
        Self::start_behind(clock, port, |router| router).await
    }

    /// The same behind something that sees requests come and answers go.
    ///
    /// # Panics
    /// When the port cannot be listened to.
    pub async fn start_behind(clock: Clock, port: u16, front: impl FnOnce(Router) -> Router) -> Self {
        let shared = Shared::new(Store::new(clock.clone()));
        let served = serve(front(router(shared.clone())), port).await;
        Self { shared, served, clock }
    }

    /// Serves until the process ends.
    pub async fn forever(self) {
        self.served.forever().await;
    }

    /// Where it is, without a slash at the end: the identity platform's `/{tenant}/oauth2/v2.0/..` begins here.
    pub fn base_url(&self) -> String {
        self.served.base_url()
    }

    /// Where Graph is, version included.
    pub fn graph_url(&self) -> String {
        format!("{}/v1.0", self.base_url())
    }

    /// The time it lives in.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What goes wrong with requests.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// What goes wrong with notifications: `Drop` loses one, `LoseAnswer` has it sent twice.
    pub fn bells(&self) -> &Faults {
        &self.shared.bells
    }

    /// Notifications on their way.
    pub fn ringing(&self) -> &UnderWay {
        &self.shared.ringing
    }

    /// How often whom was asked for what, such as `GET /me/calendars/{id}/events`.
    pub fn calls(&self) -> &Calls {
        &self.shared.calls
    }

    /// Changes how it behaves.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.shared.store().behaviour);
    }

    /// Adds a mailbox with one calendar, in a zone named as Windows does, and returns that calendar's id.
    pub fn add_mailbox(&self, address: &str, timezone: &str) -> String {
        let mut store = self.shared.store();
        let id = format!("C{:08}", store.next());
        let name = "Calendar".to_owned();
        let calendar = Calendar { id: id.clone(), name, can_edit: true, events: Default::default() };
        let mailbox = Mailbox {
            address: address.to_lowercase(),
            display_name: address.split('@').next().unwrap_or_default().to_owned(),
            timezone: timezone.to_owned(),
            calendars: vec![calendar],
            transactions: Default::default(),
        };
        store.mailboxes.insert(address.to_lowercase(), mailbox);
        format!("AAkA{id}")
    }

    /// Whether a calendar may be written to, from now on.
    pub fn set_writable(&self, address: &str, calendar: &str, writable: bool) {
        if let Ok(calendar) = self.shared.store().calendar_mut(address, plain_id(calendar)) {
            calendar.can_edit = writable;
        }
    }

    /// An access token, as if somebody had consented.
    pub fn token(&self, address: &str, client_id: &str) -> String {
        identity::issue(&mut self.shared.store(), address, client_id)
    }

    /// From now on an application must say its secret; those never added are not known.
    pub fn add_application(&self, client_id: &str, secret: &str) {
        self.shared.store().identity.applications.insert(client_id.to_owned(), secret.to_owned());
    }

    /// A scope nobody grants, however often they are asked.
    pub fn withhold(&self, scope: &str) {
        self.shared.store().identity.withheld.insert(scope.to_owned());
    }

    /// Somebody takes back what they granted; their tokens are dead until they consent anew.
    pub fn revoke(&self, address: &str) {
        self.shared.store().identity.revoked.insert(address.to_lowercase());
    }

    /// Whether refresh tokens work once only, from now on.
    pub fn set_refresh_once(&self, once: bool) {
        self.shared.store().identity.refresh_once = once;
    }

    /// The next access tokens count for so many seconds each; those after them as long as ever.
    pub fn set_lifetimes(&self, seconds: impl IntoIterator<Item = i64>) {
        self.shared.store().identity.lifetimes = seconds.into_iter().collect();
    }

    /// Every access token is refused from now on; refresh tokens are not.
    pub fn expire_access_tokens(&self) {
        identity::expire_access(&mut self.shared.store());
    }

    /// Most requests in ten minutes about one mailbox, from now on.
    pub fn set_quota(&self, requests_max: usize) {
        self.shared.store().quota.set_max(requests_max);
    }

    /// Requests in ten minutes about one mailbox.
    pub fn quota(&self) -> Quota {
        self.shared.store().quota.clone()
    }

    /// Most requests about one mailbox that were under way at once, and how many were refused because of that.
    pub fn under_way(&self) -> (usize, u64) {
        let store = self.shared.store();
        (store.most_under_way, store.refused_at_once)
    }

    /// Every link to a further page or round is dead.
    pub fn expire_rounds(&self) {
        self.shared.store().rounds.clear();
    }

    /// How many online meetings were asked for.
    pub fn online_meetings_asked(&self) -> u64 {
        self.shared.store().online_meetings
    }

    /// Every event that waits for its online meeting has it now.
    pub fn make_online_meetings(&self) {
        events::make_online_meetings(&mut self.shared.store());
    }

    /// Tells every subscription of a mailbox: `missed`, `subscriptionRemoved` or `reauthorizationRequired`.
    pub fn lifecycle(&self, address: &str, event: &str) {
        let notifications = subscriptions::lifecycle(&mut self.shared.store(), address, event);
        self.shared.send(notifications);
    }

    /// Subscriptions that have not ended.
    pub fn subscriptions(&self) -> usize {
        let store = self.shared.store();
        store.subscriptions.values().filter(|found| found.expires_at > store.now()).count()
    }

    /// Where subscriptions of a mailbox post, and what they prove themselves with there.
    pub fn doorbells(&self, address: &str) -> Vec<(String, String)> {
        let store = self.shared.store();
        let own = store.subscriptions.values().filter(|found| found.address == address.to_lowercase());
        let text = |found: &store::Subscription, name: &str| found.fields[name].as_str().unwrap_or_default().to_owned();
        own.map(|found| (text(found, "notificationUrl"), text(found, "clientState"))).collect()
    }

    /// Waits until every notification is delivered or given up.
    pub async fn settled(&self) {
        self.shared.ringing.settled().await;
    }

    /// What somebody does in Outlook: a request that counts for no limit, meets no fault and needs no token. Returns the
    /// status and the body.
    pub fn act(&self, address: &str, method: &str, path_and_query: &str, body: Value) -> (u16, Value) {
        let (asked, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let prefer = Prefer { immutable_ids: true, ..Prefer::of("") };
        let reply = self.shared.perform(&Call {
            method: method.to_owned(),
            path: segments(asked),
            query: parameters(query),
            prefer,
            if_match: None,
            body,
            address: address.to_lowercase(),
            base: self.graph_url(),
            asked: asked.to_owned(),
        });
        (reply.status, reply.body.unwrap_or(Value::Null))
    }

    /// What truly takes time in a calendar between two instants: merged, ascending.
    ///
    /// # Panics
    /// When there is no such calendar.
    pub fn busy(
        &self,
        address: &str,
        calendar: &str,
        within: (DateTime<Utc>, DateTime<Utc>),
    ) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let store = self.shared.store();
        let found = store.mailbox(address).and_then(|mailbox| {
            let calendar = mailbox.calendars.iter().find(|found| found.id == plain_id(calendar));
            Ok(mailbox::busy(mailbox, calendar.ok_or_else(not_found)?, within))
        });
        found.expect("the calendar is there")
    }
}
