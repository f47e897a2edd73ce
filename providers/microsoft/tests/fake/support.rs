//! A mailbox, and somebody who syncs it.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ids::{AccountId, BookingId, CalendarId, ConnectionId};
use agentcal_engine::ports::{
    CalendarRef, Credentials, EventDelete, EventWrite, OauthGrant, Oddities, Provider, ProviderError, ResourceChange,
    SyncCursor, SyncMode, SyncNext, SyncPage, SyncRequest, WrittenEvent,
};
use agentcal_engine::time::{TimeRange, Timestamp};
use agentcal_fake_kit::Clock;
use agentcal_fake_microsoft::FakeGraph;
use agentcal_provider_microsoft::{MicrosoftOptions, MicrosoftProvider};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const ADDRESS: &str = "sarah@example.com";
pub(crate) const ZONE: &str = "W. Europe Standard Time";
const PAGES_MAX: usize = 500;

/// A clock of the fake's, as the provider reads it.
struct SameClock(Clock);

impl agentcal_engine::ports::Clock for SameClock {
    fn now(&self) -> Timestamp {
        Timestamp::from(self.0.now())
    }
}

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::from(DateTime::parse_from_rfc3339(text).unwrap().to_utc())
}

pub(crate) fn range(start: &str, end: &str) -> TimeRange {
    TimeRange::new(at(start), at(end)).unwrap()
}

/// The window that is synced.
pub(crate) fn window() -> TimeRange {
    range("2026-11-20T00:00:00Z", "2027-02-01T00:00:00Z")
}

/// A mailbox at the fake, and the provider that is to read it.
pub(crate) struct World {
    pub(crate) fake: FakeGraph,
    pub(crate) provider: MicrosoftProvider,
    pub(crate) calendar: CalendarRef,
}

impl World {
    pub(crate) async fn new() -> Self {
        let clock = Clock::at(DateTime::parse_from_rfc3339("2026-11-22T08:00:00Z").unwrap().to_utc());
        let fake = FakeGraph::start(clock.clone(), 0).await;
        let id = fake.add_mailbox(ADDRESS, ZONE);
        let options = MicrosoftOptions::development(fake.graph_url().parse().unwrap());
        let provider = MicrosoftProvider::new(options, Arc::new(SameClock(clock))).unwrap();
        let calendar = CalendarRef {
            account_id: AccountId::from_uuid(Uuid::from_u128(1)),
            connection_id: ConnectionId::from_uuid(Uuid::from_u128(2)),
            calendar_id: CalendarId::from_uuid(Uuid::from_u128(3)),
            provider_calendar_id: id,
            timezone: Tz::Europe__Berlin,
            owner_addresses: vec![ADDRESS.to_owned()],
            credentials: Arc::new(credentials(fake.token(ADDRESS, "app"))),
        };
        Self { fake, provider, calendar }
    }

    /// What somebody does in Outlook, in the calendar.
    pub(crate) fn act(&self, method: &str, below: &str, body: Value) -> Value {
        let path = format!("/me/calendars/{}{below}", self.calendar.provider_calendar_id);
        let (status, body) = self.fake.act(ADDRESS, method, &path, body);
        assert!(status < 300, "{method} {path}: {status} {body}");
        body
    }

    /// Puts an event into the calendar and returns its id.
    pub(crate) fn put(&self, event: Value) -> String {
        self.act("POST", "/events", event)["id"].as_str().unwrap().to_owned()
    }

    /// The only event in the calendar.
    pub(crate) fn only_event(&self) -> Value {
        let list = self.act("GET", "/events", Value::Null);
        let events = list["value"].as_array().unwrap();
        assert_eq!(events.len(), 1, "{events:?}");
        events[0].clone()
    }

    pub(crate) async fn page(&self, mode: SyncMode, page: Option<String>) -> Result<SyncPage, ProviderError> {
        self.provider.sync(&self.calendar, &SyncRequest { mode, window: window(), page }).await
    }

    /// What takes time, by the fake's own account.
    pub(crate) fn truth(&self) -> Vec<String> {
        let utc = |at: Timestamp| -> DateTime<Utc> { at.to_utc() };
        let within = (utc(window().start), utc(window().end));
        let busy = self.fake.busy(ADDRESS, &self.calendar.provider_calendar_id, within);
        busy.into_iter()
            .map(|(start, end)| format!("{:?}..{:?}", Timestamp::from(start), Timestamp::from(end)))
            .collect()
    }
}

pub(crate) fn credentials(access_token: String) -> Credentials {
    Credentials::Oauth(OauthGrant {
        client_id: "app".to_owned(),
        access_token,
        expires_at: at("2027-01-01T00:00:00Z"),
        refresh_token: "unused".to_owned(),
    })
}

/// What a syncing calendar knows.
#[derive(Default)]
pub(crate) struct Mirror {
    pub(crate) resources: BTreeMap<String, Vec<ExternalInstance>>,
    pub(crate) cursor: Option<SyncCursor>,
    pub(crate) pages: usize,
    /// What the last sync put up with.
    pub(crate) oddities: Oddities,
}

impl Mirror {
    /// One sync, from the cursor if there is one; all of it, or an error.
    pub(crate) async fn sync(&mut self, world: &World) -> Result<usize, ProviderError> {
        let mode = match &self.cursor {
            None => SyncMode::Full,
            Some(cursor) => SyncMode::Incremental { cursor: cursor.clone() },
        };
        let mut changes: Vec<ResourceChange> = Vec::new();
        let (mut page, mut pages) = (None, 0);
        let mut oddities = Oddities::default();
        let cursor = loop {
            let got = world.page(mode.clone(), page).await?;
            changes.extend(got.changes);
            oddities.unreadable += got.oddities.unreadable;
            oddities.oversized += got.oddities.oversized;
            pages += 1;
            assert!(pages < PAGES_MAX, "a sync that does not end");
            match got.next {
                SyncNext::Page(next) => page = Some(next),
                SyncNext::Done { cursor } => break cursor,
            }
        };
        if self.cursor.is_none() {
            self.resources.clear();
        }
        let changed = changes.len();
        for change in changes {
            self.resources.insert(change.provider_event_id, change.instances);
        }
        (self.cursor, self.pages, self.oddities) = (Some(cursor), pages, oddities);
        Ok(changed)
    }

    /// What blocks: merged, ascending.
    pub(crate) fn busy(&self) -> Vec<String> {
        let blocking =
            self.resources.values().flatten().filter(|instance| instance.blocks).map(|instance| instance.range);
        let merged = agentcal_engine::busy::BusySet::from_ranges(blocking).into_ranges();
        merged.into_iter().map(|range| format!("{:?}..{:?}", range.start, range.end)).collect()
    }

    /// Where events of a booking stand.
    pub(crate) fn of_booking(&self, booking_id: BookingId) -> Vec<(TimeRange, bool)> {
        let own = self.resources.values().flatten().filter(|instance| instance.booking_id == Some(booking_id));
        own.map(|instance| (instance.range, instance.blocks)).collect()
    }
}

pub(crate) fn time(text: &str) -> Value {
    json!({ "dateTime": text, "timeZone": "UTC" })
}

/// An hour that is busy, with these fields besides.
pub(crate) fn hour(start: &str, end: &str, more: Value) -> Value {
    let mut event = json!({ "subject": "Planted title", "start": time(start), "end": time(end) });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

pub(crate) fn booking(number: u128) -> BookingId {
    BookingId::from_uuid(Uuid::from_u128(number))
}

pub(crate) fn write_of(booking_id: BookingId, range: TimeRange, known: Option<WrittenEvent>) -> EventWrite {
    EventWrite {
        booking_id,
        sequence: u32::from(known.is_some()),
        range,
        timezone: Tz::Europe__Berlin,
        summary: "Call: Jan".to_owned(),
        description: Some("jan@example.com".to_owned()),
        location: Some("By phone".to_owned()),
        conference: None,
        created_at: at("2026-11-22T08:00:00Z"),
        known,
    }
}

pub(crate) fn delete_of(booking_id: BookingId, known: Option<WrittenEvent>) -> EventDelete {
    EventDelete { booking_id, known }
}
