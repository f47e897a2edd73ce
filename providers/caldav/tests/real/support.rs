//! A server with a calendar, and the provider connected to it.

use std::sync::Arc;

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ids::{AccountId, BookingId, CalendarId, ConnectionId};
use agentcal_engine::ports::{
    CalendarRef, Credentials, EventWrite, Provider, ProviderError, ResourceChange, SyncCursor, SyncMode, SyncNext,
    SyncRequest,
};
use agentcal_engine::time::{TimeRange, Timestamp};
use agentcal_provider_caldav::{CaldavOptions, CaldavProvider};
use agentcal_provider_egress::{EgressClient, EgressOptions, EgressPolicy, EgressRequest, EgressResponse};
use agentcal_testkit::{ADMIN, PASSWORD, Server, ServerKind, USERNAME, radicale, xandikos};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono_tz::Tz;
use http::Method;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use url::Url;
use uuid::Uuid;

/// Runs a check on each server, in a test of its own.
macro_rules! on_both_servers {
    ($($check:ident),* $(,)?) => {
        mod radicale {
            $(
                #[tokio::test]
                async fn $check() {
                    if let Some(bench) = crate::support::Bench::new(agentcal_testkit::ServerKind::Radicale).await {
                        super::$check(&bench).await;
                    }
                }
            )*
        }
        mod xandikos {
            $(
                #[tokio::test]
                async fn $check() {
                    if let Some(bench) = crate::support::Bench::new(agentcal_testkit::ServerKind::Xandikos).await {
                        super::$check(&bench).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use on_both_servers;

/// Pages one sync may take here.
const PAGES_MAX: usize = 100;

pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) provider: CaldavProvider,
    pub(crate) collection: Url,
    http: EgressClient,
}

impl Bench {
    /// A server with the empty calendar `work`; `None` when it cannot be had.
    pub(crate) async fn new(kind: ServerKind) -> Option<Self> {
        let server = match kind {
            ServerKind::Radicale => radicale()?,
            ServerKind::Xandikos => xandikos()?,
        };
        let collection = Url::parse(&format!("{}team/", server.home_url())).unwrap();
        let http = EgressClient::new(EgressOptions::new(EgressPolicy::development())).unwrap();
        let provider = CaldavProvider::new(CaldavOptions::development()).unwrap();
        let bench = Self { server, provider, collection: collection.clone(), http };
        bench.make_calendar(&collection).await;
        Some(bench)
    }

    pub(crate) async fn make_calendar(&self, url: &Url) {
        let body = r#"<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>
            <D:displayname>Work</D:displayname></D:prop></D:set></C:mkcalendar>"#;
        let answer = self.raw(USERNAME, "MKCALENDAR", url.clone(), &[("content-type", "application/xml")], body).await;
        assert!(answer.status.is_success(), "{}: {}", answer.status, String::from_utf8_lossy(&answer.body));
    }

    /// A request as another client would send it.
    pub(crate) async fn raw(
        &self,
        user: &str,
        method: &str,
        url: Url,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> EgressResponse {
        let mut request = EgressRequest::new(Method::from_bytes(method.as_bytes()).unwrap(), url, 1 << 24);
        request.headers = HeaderMap::new();
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{PASSWORD}")));
        request.headers.insert(AUTHORIZATION, HeaderValue::from_str(&basic).unwrap());
        for &(name, value) in headers {
            request.headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        request.body = body.as_bytes().to_vec();
        self.http.send(request).await.unwrap()
    }

    pub(crate) fn event_url(&self, name: &str) -> Url {
        self.collection.join(&format!("{name}.ics")).unwrap()
    }

    /// Another client stores an event.
    pub(crate) async fn put(&self, name: &str, text: &str) {
        let headers = [("content-type", "text/calendar; charset=utf-8")];
        let answer = self.raw(USERNAME, "PUT", self.event_url(name), &headers, text).await;
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status.is_success(), "{name}: {} {said}", answer.status);
    }

    /// Another client deletes an event.
    pub(crate) async fn delete(&self, name: &str) {
        let answer = self.raw(USERNAME, "DELETE", self.event_url(name), &[], "").await;
        assert!(answer.status.is_success(), "{name}: {}", answer.status);
    }

    /// What another client sees.
    pub(crate) async fn get(&self, path: &str) -> Option<String> {
        let answer = self.raw(USERNAME, "GET", self.collection.join(path).unwrap(), &[], "").await;
        answer.status.is_success().then(|| String::from_utf8(answer.body).unwrap())
    }

    pub(crate) fn credentials(&self) -> Credentials {
        basic(&self.server.url(), USERNAME, PASSWORD)
    }

    pub(crate) fn calendar(&self) -> CalendarRef {
        calendar(self.collection.as_str(), self.credentials())
    }

    /// A whole sync; changes in the order they came.
    pub(crate) async fn sync(&self, mode: SyncMode, window: TimeRange) -> Result<Synced, ProviderError> {
        sync(&self.provider, &self.calendar(), mode, window).await
    }

    pub(crate) async fn full(&self, window: TimeRange) -> Synced {
        self.sync(SyncMode::Full, window).await.unwrap()
    }

    pub(crate) async fn since(&self, cursor: &SyncCursor, window: TimeRange) -> Synced {
        self.sync(SyncMode::Incremental { cursor: cursor.clone() }, window).await.unwrap()
    }
}

#[derive(Debug)]
pub(crate) struct Synced {
    pub(crate) changes: Vec<ResourceChange>,
    pub(crate) cursor: SyncCursor,
    pub(crate) pages: usize,
}

impl Synced {
    /// What the resource `name.ics` came to, if it was delivered.
    pub(crate) fn of(&self, name: &str) -> Option<Vec<ExternalInstance>> {
        let wanted = format!("/{name}.ics");
        let change = self.changes.iter().rev().find(|change| change.provider_event_id.ends_with(&wanted));
        change.map(|change| change.instances.clone())
    }

    /// Busy time of a resource.
    pub(crate) fn busy(&self, name: &str) -> Vec<TimeRange> {
        let instances = self.of(name).unwrap_or_default();
        instances.iter().filter(|instance| instance.blocks).map(|instance| instance.range).collect()
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.changes.iter().map(|change| name_of(&change.provider_event_id)).collect();
        names.sort_unstable();
        names
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap().trim_end_matches(".ics")
}

pub(crate) async fn sync(
    provider: &CaldavProvider,
    calendar: &CalendarRef,
    mode: SyncMode,
    window: TimeRange,
) -> Result<Synced, ProviderError> {
    let mut changes = Vec::new();
    let mut page = None;
    for pages in 1..=PAGES_MAX {
        let answer = provider.sync(calendar, &SyncRequest { mode: mode.clone(), window, page }).await?;
        changes.extend(answer.changes);
        match answer.next {
            SyncNext::Done { cursor } => return Ok(Synced { changes, cursor, pages }),
            SyncNext::Page(next) => page = Some(next),
        }
    }
    panic!("a sync of more than {PAGES_MAX} pages");
}

pub(crate) fn basic(server_url: &str, username: &str, password: &str) -> Credentials {
    let (server_url, username, password) = (server_url.to_owned(), username.to_owned(), password.to_owned());
    Credentials::CaldavBasic { server_url, username, password }
}

pub(crate) fn calendar(collection: &str, credentials: Credentials) -> CalendarRef {
    CalendarRef {
        account_id: AccountId::from_uuid(Uuid::from_u128(1)),
        connection_id: ConnectionId::from_uuid(Uuid::from_u128(2)),
        calendar_id: CalendarId::from_uuid(Uuid::from_u128(3)),
        provider_calendar_id: collection.to_owned(),
        timezone: Tz::Europe__Berlin,
        owner_addresses: vec!["alice@example.com".to_owned()],
        credentials: Arc::new(credentials),
    }
}

/// An instant, as iCalendar writes it in UTC.
pub(crate) fn at(text: &str) -> Timestamp {
    let naive = chrono::NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ").unwrap();
    Timestamp::from(naive.and_utc())
}

pub(crate) fn range(start: &str, end: &str) -> TimeRange {
    TimeRange::new(at(start), at(end)).unwrap()
}

/// October and November 2026, with the end of summer time in between.
pub(crate) fn window() -> TimeRange {
    range("20261001T000000Z", "20261201T000000Z")
}

pub(crate) fn booking_write(number: u128, time: TimeRange) -> EventWrite {
    EventWrite {
        booking_id: BookingId::from_uuid(Uuid::from_u128(number)),
        sequence: 0,
        range: time,
        timezone: Tz::Europe__Berlin,
        summary: "Intro; with, commas\\and \"quotes\"".to_owned(),
        description: Some("First line\nsecond line".to_owned()),
        location: Some("Alexanderplatz 1, Berlin".to_owned()),
        conference: None,
        created_at: at("20260901T000000Z"),
        known: None,
    }
}

const BERLIN: &str = "BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\nBEGIN:DAYLIGHT\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\n\
    DTSTART:19700329T020000\r\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\r\nEND:DAYLIGHT\r\nBEGIN:STANDARD\r\n\
    TZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\nDTSTART:19701025T030000\r\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\r\n\
    END:STANDARD\r\nEND:VTIMEZONE\r\n";

/// A resource with a VTIMEZONE for Berlin and one VEVENT per list of lines, all of one UID.
pub(crate) fn resource(uid: &str, events: &[&[&str]]) -> String {
    with_zone(BERLIN, uid, events)
}

pub(crate) fn with_zone(zone: &str, uid: &str, events: &[&[&str]]) -> String {
    let mut text = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//test//EN\r\n{zone}");
    for lines in events {
        text.push_str(&format!("BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20260101T000000Z\r\nSUMMARY:{uid}\r\n"));
        for line in *lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str("END:VEVENT\r\n");
    }
    text + "END:VCALENDAR\r\n"
}

/// What only Radicale knows: a user who may write what `USERNAME` may only read.
pub(crate) const FILLER: &str = ADMIN;
