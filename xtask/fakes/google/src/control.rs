//! What a test does to the server behind the backs of its clients.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::Value;

use crate::calendar::{Calendar, is_cancelled};
use crate::oauth::Consent;
use crate::times::Body;
use crate::write::{deleted, inserted, patched};
use crate::{FakeGoogle, Membership};

/// Scopes a token for tests carries unless it is to lack some.
pub const ALL_SCOPES: [&str; 1] = ["https://www.googleapis.com/auth/calendar"];
/// The OAuth client of tokens for tests.
pub const CLIENT_ID: &str = "client.apps.googleusercontent.com";

impl FakeGoogle {
    /// A user with a primary calendar, whose id is the address.
    pub fn add_user(&self, email: &str, zone: Tz) {
        let membership = Membership { calendar_id: email.to_owned(), access_role: "owner".to_owned(), primary: true };
        let mut world = self.world();
        world.calendars.insert(email.to_owned(), Calendar::new(email, email, zone));
        world.users.entry(email.to_owned()).or_default().push(membership);
    }

    /// Another calendar, in a user's list with a role (`owner`, `writer`, `reader`, `freeBusyReader`).
    pub fn add_calendar(&self, user: &str, calendar_id: &str, zone: Tz, access_role: &str) {
        let mut world = self.world();
        let fresh = || Calendar::new(calendar_id, calendar_id, zone);
        world.calendars.entry(calendar_id.to_owned()).or_insert_with(fresh);
        let membership =
            Membership { calendar_id: calendar_id.to_owned(), access_role: access_role.to_owned(), primary: false };
        world.users.entry(user.to_owned()).or_default().push(membership);
    }

    /// A calendar is gone, with everything in it.
    pub fn remove_calendar(&self, calendar_id: &str) {
        let mut world = self.world();
        world.calendars.remove(calendar_id);
        for memberships in world.users.values_mut() {
            memberships.retain(|membership| membership.calendar_id != calendar_id);
        }
    }

    /// A calendar that cannot be watched, as those of holidays cannot.
    pub fn refuse_watches(&self, calendar_id: &str) {
        if let Some(calendar) = self.world().calendars.get_mut(calendar_id) {
            calendar.can_be_watched = false;
        }
    }

    /// What the person at the consent page does from now on.
    pub fn set_consent(&self, consent: Consent) {
        self.world().grants.consent = consent;
    }

    /// An OAuth client that has a secret.
    pub fn add_client(&self, client_id: &str, secret: &str) {
        self.world().grants.clients.insert(client_id.to_owned(), secret.to_owned());
    }

    /// An access token of a user's for [`CLIENT_ID`], without the way there.
    pub fn token_for(&self, user: &str) -> String {
        self.token_with(user, CLIENT_ID, &ALL_SCOPES)
    }

    /// An access token for a client, with scopes.
    pub fn token_with(&self, user: &str, client_id: &str, scopes: &[&str]) -> String {
        let now = self.clock().now();
        self.world().grants.token_for(user, client_id, scopes, now)
    }

    /// Nothing a user granted counts any more.
    pub fn revoke_user(&self, user: &str) {
        self.world().grants.revoke_user(user);
    }

    /// The next access tokens count for so many seconds each; those after them as long as ever.
    pub fn set_lifetimes(&self, seconds: impl IntoIterator<Item = i64>) {
        self.world().grants.lifetimes = seconds.into_iter().collect();
    }

    /// Every access token is refused from now on; refresh tokens are not.
    pub fn expire_access_tokens(&self) {
        self.world().grants.expire_access();
    }

    /// Every sync token handed out for a calendar so far is dead.
    pub fn forget_sync_tokens(&self, calendar_id: &str) {
        if let Some(calendar) = self.world().calendars.get_mut(calendar_id) {
            calendar.change += 1;
            calendar.remembers_since = calendar.change;
        }
    }

    /// No page is longer than this from now on.
    pub fn set_page_len_max(&self, len_max: usize) {
        self.world().page_len_max = Some(len_max);
    }

    /// Whether quotas are refused with 429 and `Retry-After`, or with 403.
    pub fn refuse_with_429(&self, with_429: bool) {
        self.world().refuses_with_429 = with_429;
    }

    /// What a person does by hand: makes an event. Returns it as it is kept.
    ///
    /// # Panics
    /// When there is no such calendar, or the event would be refused.
    pub fn insert(&self, calendar_id: &str, event: Value) -> Value {
        let body = object(event);
        let made = inserted(self, calendar_id, "", body);
        Value::Object(made.unwrap_or_else(|refusal| panic!("the event is refused: {refusal:?}")))
    }

    /// What a person does by hand: changes an event, or an instance of a series.
    ///
    /// # Panics
    /// When there is no such event, or the change would be refused.
    pub fn patch(&self, calendar_id: &str, event_id: &str, change: Value) -> Value {
        let made = patched(self, calendar_id, event_id, object(change), None);
        Value::Object(made.unwrap_or_else(|refusal| panic!("the change is refused: {refusal:?}")))
    }

    /// What a person does by hand: deletes an event, or an instance of a series.
    ///
    /// # Panics
    /// When there is no such event.
    pub fn delete(&self, calendar_id: &str, event_id: &str) {
        let done = deleted(self, calendar_id, event_id, None);
        done.unwrap_or_else(|refusal| panic!("the event cannot be deleted: {refusal:?}"));
    }

    /// An event as it is kept; `None` where there is none. Deleted ones are there, cancelled.
    pub fn event(&self, calendar_id: &str, event_id: &str) -> Option<Value> {
        let now = self.clock().now();
        self.world().calendars.get(calendar_id)?.find(event_id, now).map(Value::Object)
    }

    /// Events, series and exceptions of a calendar that were not deleted.
    pub fn events(&self, calendar_id: &str) -> Vec<Value> {
        let world = self.world();
        let events = world.calendars.get(calendar_id).into_iter().flat_map(|calendar| calendar.events.values());
        events.filter(|stored| !is_cancelled(&stored.body)).map(|stored| Value::Object(stored.body.clone())).collect()
    }

    /// The truth: merged busy time of a calendar between two instants, as its owner sees it.
    pub fn busy(
        &self,
        calendar_id: &str,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        self.world()
            .calendars
            .get(calendar_id)
            .map(|calendar| crate::free_busy::busy(calendar, from, to))
            .unwrap_or_default()
    }

    /// Channels that are open.
    pub fn channel_count(&self) -> usize {
        let now = self.clock().now();
        self.world().channels.values().filter(|channel| channel.is_open(now)).count()
    }
}

fn object(value: Value) -> Body {
    match value {
        Value::Object(body) => body,
        other => panic!("{other} is no event"),
    }
}
