//! A stage: the server, the provider, and a calendar between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::busy::BusySet;
use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ids::{AccountId, BookingId, CalendarId, ConnectionId};
use agentcal_engine::ports::{
    CalendarRef, Credentials, Entropy, EventWrite, OauthGrant, Provider, ProviderError, SyncCursor, SyncMode, SyncNext,
    SyncPage, SyncRequest,
};
use agentcal_engine::time::{DAY_US, TimeRange, Timestamp};
use agentcal_fake_google::{CLIENT_ID, FakeGoogle};
use agentcal_fake_kit::{Clock, Served, serve};
use agentcal_provider_google::{GoogleOptions, GoogleProvider};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

pub(crate) const SARAH: &str = "sarah@example.com";
pub(crate) const TZ: Tz = Tz::Europe__Berlin;

/// What is known of a calendar, by resource.
pub(crate) type Facts = BTreeMap<String, Vec<ExternalInstance>>;

/// Bytes that are never the same twice.
struct Counting(std::sync::atomic::AtomicU8);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    }
}

/// The server, the provider, and Sarah's calendar.
pub(crate) struct Stage {
    pub(crate) google: FakeGoogle,
    pub(crate) provider: GoogleProvider,
    pub(crate) calendar: CalendarRef,
    _served: Served,
}

/// Sunday, 2026-11-22, noon in UTC.
pub(crate) fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_348_800, 0).unwrap()
}

pub(crate) fn window() -> TimeRange {
    let now = Timestamp::from(noon());
    TimeRange::new(now.plus_micros(-2 * DAY_US), now.plus_micros(430 * DAY_US)).unwrap()
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let google = FakeGoogle::new(Clock::at(noon()));
        google.add_user(SARAH, TZ);
        let served = serve(google.router(), 0).await;
        let entropy = Arc::new(Counting(1.into()));
        let api_url = Url::parse(&served.base_url()).unwrap();
        let provider = GoogleProvider::new(GoogleOptions::development(api_url, entropy)).unwrap();
        let calendar = calendar_ref(&google, SARAH, SARAH);
        Self { google, provider, calendar, _served: served }
    }

    /// The same calendar with another token.
    pub(crate) fn with_token(&self, token: &str) -> CalendarRef {
        CalendarRef { credentials: Arc::new(credentials(token)), ..self.calendar.clone() }
    }

    pub(crate) async fn page(&self, mode: SyncMode, page: Option<String>) -> Result<SyncPage, ProviderError> {
        self.provider.sync(&self.calendar, &SyncRequest { mode, window: window(), page }).await
    }

    /// A sync to its end: what changed, how many pages that took, and where it ended.
    pub(crate) async fn run(&self, mode: SyncMode) -> Result<(Facts, usize, SyncCursor), ProviderError> {
        let (mut facts, mut page, mut pages) = (Facts::new(), None, 0);
        loop {
            let answer = self.page(mode.clone(), page).await?;
            pages += 1;
            facts.extend(answer.changes.into_iter().map(|change| (change.provider_event_id, change.instances)));
            match answer.next {
                SyncNext::Page(next) => page = Some(next),
                SyncNext::Done { cursor } => return Ok((facts, pages, cursor)),
            }
        }
    }

    /// A full sync: the facts, and where it ended.
    pub(crate) async fn full(&self) -> (Facts, SyncCursor) {
        let (facts, _, cursor) = self.run(SyncMode::Full).await.unwrap();
        (facts, cursor)
    }

    /// Brings facts up to date, from where the last sync ended; all anew where that is gone. Whether it was.
    pub(crate) async fn follow(&self, facts: &mut Facts, cursor: &mut SyncCursor) -> bool {
        match self.run(SyncMode::Incremental { cursor: cursor.clone() }).await {
            Ok((changes, _, next)) => {
                facts.extend(changes);
                *cursor = next;
                false
            }
            Err(ProviderError::CursorGone) => {
                (*facts, *cursor) = self.full().await;
                true
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The truth, as the server knows it.
    pub(crate) fn truth(&self) -> Vec<TimeRange> {
        let (from, to) = (window().start.to_utc(), window().end.to_utc());
        let busy = self.google.busy(SARAH, from, to).into_iter();
        busy.map(|(start, end)| TimeRange::new(start.into(), end.into()).unwrap()).collect()
    }
}

/// Merged busy time of facts, inside the window.
pub(crate) fn busy(facts: &Facts) -> Vec<TimeRange> {
    let blocking = facts.values().flatten().filter(|instance| instance.blocks);
    let inside = blocking.filter_map(|instance| instance.range.intersection(&window()));
    BusySet::from_ranges(inside).into_ranges()
}

pub(crate) fn credentials(token: &str) -> Credentials {
    Credentials::Oauth(OauthGrant {
        client_id: CLIENT_ID.to_owned(),
        access_token: token.to_owned(),
        expires_at: Timestamp::LATEST,
        refresh_token: "unused".to_owned(),
    })
}

pub(crate) fn calendar_ref(google: &FakeGoogle, user: &str, calendar: &str) -> CalendarRef {
    CalendarRef {
        account_id: AccountId::from_uuid(Uuid::from_u128(1)),
        connection_id: ConnectionId::from_uuid(Uuid::from_u128(2)),
        calendar_id: CalendarId::from_uuid(Uuid::from_u128(3)),
        provider_calendar_id: calendar.to_owned(),
        timezone: TZ,
        owner_addresses: vec![user.to_owned()],
        credentials: Arc::new(credentials(&google.token_for(user))),
    }
}

/// An event, so many minutes after noon and so long.
pub(crate) fn event(after_minutes: i64, minutes: i64) -> Value {
    let at = |minutes: i64| (noon() + chrono::TimeDelta::minutes(minutes)).to_rfc3339();
    json!({
        "summary": "Secret plans",
        "start": {"dateTime": at(after_minutes), "timeZone": TZ.name()},
        "end": {"dateTime": at(after_minutes + minutes), "timeZone": TZ.name()},
    })
}

/// The same as a series.
pub(crate) fn series(after_minutes: i64, minutes: i64, rule: &str) -> Value {
    let mut series = event(after_minutes, minutes);
    series["recurrence"] = json!([rule]);
    series
}

pub(crate) fn id_of(event: &Value) -> &str {
    event["id"].as_str().unwrap()
}

pub(crate) fn range(after_minutes: i64, minutes: i64) -> TimeRange {
    let start = Timestamp::from(noon()) + Duration::from_secs(after_minutes as u64 * 60);
    TimeRange::starting_at(start, Duration::from_secs(minutes as u64 * 60)).unwrap()
}

pub(crate) fn write(number: u128, range: TimeRange) -> EventWrite {
    EventWrite {
        booking_id: BookingId::from_uuid(Uuid::from_u128(number)),
        sequence: 0,
        range,
        timezone: TZ,
        summary: "Intro call: Ada".to_owned(),
        description: Some("ada@example.com".to_owned()),
        location: None,
        conference: None,
        created_at: Timestamp::from(noon()),
        known: None,
    }
}
