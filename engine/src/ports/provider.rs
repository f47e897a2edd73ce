//! What a calendar provider must be able to do, in words no single provider owns.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::facts::ExternalInstance;
use crate::ids::{AccountId, BookingId, CalendarId, ConnectionId};
use crate::limits::{LimitKind, ProviderLimits};
use crate::model::{ConferenceKind, JOIN_URL_LEN_MAX, ProviderKind, Watch};
use crate::time::{TimeRange, Timestamp};

/// How to reach a provider on somebody's behalf. Kept encrypted; never logged, so `Debug` shows the kind alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Credentials {
    /// A seed for in-process calendars.
    Sandbox {
        /// Same seed, same calendars.
        seed: u64,
    },
    /// A CalDAV server with HTTP Basic.
    CaldavBasic {
        /// Where discovery begins: a URL, or `mailto:`-less address whose domain is looked up (RFC 6764).
        server_url: String,
        /// User name.
        username: String,
        /// Password.
        password: String,
    },
    /// A CalDAV server with a Bearer token.
    CaldavBearer {
        /// Where discovery begins.
        server_url: String,
        /// The token.
        token: String,
    },
    /// What an OAuth 2.0 server granted (RFC 6749, section 5.1).
    Oauth(OauthGrant),
}

/// What an OAuth 2.0 server granted to a client on somebody's behalf.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OauthGrant {
    /// The client it was granted to; quotas are counted by it.
    pub client_id: String,
    /// What requests carry.
    pub access_token: String,
    /// Until when requests may carry it.
    pub expires_at: Timestamp,
    /// What the next access token is asked for with.
    pub refresh_token: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sandbox { .. } => "Credentials::Sandbox",
            Self::CaldavBasic { .. } => "Credentials::CaldavBasic",
            Self::CaldavBearer { .. } => "Credentials::CaldavBearer",
            Self::Oauth(_) => "Credentials::Oauth",
        })
    }
}

impl fmt::Debug for OauthGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OauthGrant").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A place in a provider's history of one calendar, opaque to everybody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SyncCursor(pub String);

/// A calendar, and all it takes to speak to its provider about it.
#[derive(Clone, Debug)]
pub struct CalendarRef {
    /// The account.
    pub account_id: AccountId,
    /// The connection.
    pub connection_id: ConnectionId,
    /// The calendar.
    pub calendar_id: CalendarId,
    /// Its name at the provider.
    pub provider_calendar_id: String,
    /// Its zone, for all-day and floating events.
    pub timezone: Tz,
    /// The owner's addresses, lower case: the connection's, else the users' whose calendar it is.
    pub owner_addresses: Vec<String>,
    /// How to reach it.
    pub credentials: Arc<Credentials>,
}

/// A calendar as a provider lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteCalendar {
    /// Its name at the provider; unique in the connection and stable.
    pub provider_calendar_id: String,
    /// Its name, for people.
    pub name: String,
    /// Its zone, where the provider says one.
    pub timezone: Option<Tz>,
    /// Whether events can be written to it.
    pub writable: bool,
}

/// What connecting finds out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// Who it is at the provider, for people.
    pub display_name: String,
    /// Addresses that are the owner, lower case, without `mailto:`.
    pub owner_addresses: Vec<String>,
    /// The calendars, in the provider's order.
    pub calendars: Vec<RemoteCalendar>,
}

/// From where a sync begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// Everything in the window.
    Full,
    /// What changed since the cursor. Instances are still limited to the window.
    Incremental {
        /// Where the last sync ended.
        cursor: SyncCursor,
    },
}

/// One page of a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRequest {
    /// From where.
    pub mode: SyncMode,
    /// The instants that concern us; recurring events are expanded inside.
    pub window: TimeRange,
    /// The page to continue with, as the provider named it; `None` for the first.
    pub page: Option<String>,
}

/// The present state of one resource (an event, a series, an href): all its instances inside the window. No instances:
/// removed, or nothing in it concerns us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceChange {
    /// The resource's name at the provider.
    pub provider_event_id: String,
    /// Its instances that block or are ours. At most [`crate::calendar::INSTANCES_PER_RESOURCE_MAX`].
    pub instances: Vec<ExternalInstance>,
}

/// What follows a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncNext {
    /// Another page.
    Page(String),
    /// Nothing; the next sync continues from this cursor.
    Done {
        /// Stands for everything delivered so far.
        cursor: SyncCursor,
    },
}

/// What in an answer was not as it should be, and was put up with. To be counted; of what was there, nothing is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Resources that could not be understood, or only in part: they block wherever they may be.
    pub unreadable: u32,
    /// Answers longer than is read, which were asked for again in parts.
    pub oversized: u32,
}

/// An answer to a [`SyncRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncPage {
    /// Resources that are new, changed or removed. A later change of one resource replaces an earlier one.
    pub changes: Vec<ResourceChange>,
    /// What follows.
    pub next: SyncNext,
    /// What was put up with.
    pub oddities: Oddities,
}

/// An event of ours as the provider last confirmed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenEvent {
    /// Its name at the provider, derived from the booking id.
    pub provider_event_id: String,
    /// Its version at the provider, for conditional writes; `None` where the provider gave none.
    pub etag: Option<String>,
}

/// A booking, to be shown in a calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventWrite {
    /// The booking; `uid` and `provider_event_id` derive from it, so that writing twice writes one event.
    pub booking_id: BookingId,
    /// iCalendar SEQUENCE.
    pub sequence: u32,
    /// When.
    pub range: TimeRange,
    /// The zone to write times in.
    pub timezone: Tz,
    /// SUMMARY.
    pub summary: String,
    /// DESCRIPTION, if any.
    pub description: Option<String>,
    /// LOCATION, if any.
    pub location: Option<String>,
    /// The conference the event is to have. Asked for once: an event that has one, or waits for one, keeps it.
    pub conference: Option<ConferenceKind>,
    /// When the booking was made: CREATED, and DTSTAMP of the first version.
    pub created_at: Timestamp,
    /// The event as last written; `None` when it was never confirmed as written.
    pub known: Option<WrittenEvent>,
}

/// A booking, to be taken out of a calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDelete {
    /// The booking.
    pub booking_id: BookingId,
    /// The event as last written; `None` when it was never confirmed as written, yet may have been.
    pub known: Option<WrittenEvent>,
}

/// What a write came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The calendar shows the booking as asked, now or already.
    Written(WrittenEvent),
    /// The provider remembers this event as deleted by somebody and will not have it back.
    DeletedByHuman,
}

/// How the conference of an event stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConferenceSeen {
    /// It can be joined.
    Ready {
        /// Where: an https address of no more than [`crate::model::JOIN_URL_LEN_MAX`] bytes.
        join_url: String,
    },
    /// It is being made.
    Pending,
    /// There will be none. The text names no person and no event.
    Failed(String),
}

impl ConferenceSeen {
    /// Ready, if that is an address people can be sent to.
    pub fn at(join_url: &str) -> Self {
        let is_plain = join_url.bytes().all(|byte| byte.is_ascii_graphic());
        if join_url.starts_with("https://") && is_plain && join_url.len() <= JOIN_URL_LEN_MAX {
            Self::Ready { join_url: join_url.to_owned() }
        } else {
            Self::Failed("the provider gave an address that cannot be passed on".to_owned())
        }
    }
}

/// What it takes to end or renew a push watch, opaque to everybody but its provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WatchHandle(pub String);

/// Where a provider may ring, and what it has to say there.
#[derive(Clone, PartialEq, Eq)]
pub struct Doorbell {
    /// The URL notifications are posted to.
    pub url: String,
    /// Proves that a notification is about this calendar; at most 128 characters of base 64 (RFC 4648, section 5) and `.`.
    pub secret: String,
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorbell").field("url", &self.url).finish_non_exhaustive()
    }
}

/// How changes of a calendar are noticed from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// How, and until when.
    pub watch: Watch,
    /// What it takes to end it; `None` where there is nothing to end.
    pub handle: Option<WatchHandle>,
    /// Whether this is the watch that stood before, for longer. Otherwise that one goes on beside it, or is gone.
    pub renewed: bool,
}

impl Watched {
    /// By asking at intervals.
    pub const POLLING: Self = Self { watch: Watch::POLLING, handle: None, renewed: false };
}

/// Why a provider did not do as asked. Texts name no person and no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The cursor no longer stands for anything: a full sync is due (Google and Graph 410, CalDAV 403/412).
    #[error("the provider no longer knows the sync cursor")]
    CursorGone,
    /// The credentials are refused.
    #[error("the provider refuses the credentials: {0}")]
    Unauthorized(String),
    /// The calendar does not exist any more.
    #[error("the calendar no longer exists at the provider")]
    CalendarGone,
    /// Too many requests.
    #[error("the provider asks to slow down")]
    RateLimited {
        /// When to come again, where it said.
        retry_after: Option<Duration>,
        /// Who has asked too often: this connection, or everybody in the name of its client.
        of: LimitKind,
    },
    /// May work later: time-out, connection refused, 5xx.
    #[error("the provider is unavailable: {0}")]
    Unavailable(String),
    /// Will not work later either: the request is refused for what it is, or the answer makes no sense.
    #[error("the provider refuses: {0}")]
    Refused(String),
    /// The address is one this installation does not speak to.
    #[error("the address is not allowed: {0}")]
    AddressNotAllowed(String),
}

/// A calendar provider. Every call is bounded in time by the implementation and safe to repeat.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Which one.
    fn kind(&self) -> ProviderKind;

    /// Checks credentials and lists calendars.
    async fn discover(&self, credentials: &Credentials) -> Result<Discovery, ProviderError>;

    /// How changes of a calendar will be noticed, at connection time and after each renewal. Without a doorbell, or where
    /// the calendar cannot be watched: by polling. A watch that stands, `previous`, is renewed in place where the provider
    /// can do that; otherwise it goes on beside the new one until [`Provider::unwatch`], so that no change falls between.
    async fn watch(
        &self,
        calendar: &CalendarRef,
        doorbell: Option<&Doorbell>,
        previous: Option<&WatchHandle>,
    ) -> Result<Watched, ProviderError>;

    /// Ends a push watch. One that is not there counts as ended.
    async fn unwatch(&self, _calendar: &CalendarRef, _handle: &WatchHandle) -> Result<(), ProviderError> {
        Ok(())
    }

    /// One page of a sync.
    async fn sync(&self, calendar: &CalendarRef, request: &SyncRequest) -> Result<SyncPage, ProviderError>;

    /// Whether it answers [`Provider::spot_check`].
    fn can_spot_check(&self) -> bool {
        false
    }

    /// What is in a calendar inside a range at this moment, by one request that needs no sync and changes none: everything
    /// that blocks there, or is ours, as a sync would tell it. `None` where it cannot say all of it: the provider has no such
    /// question, the answer is longer than one page, or something in it was not understood.
    async fn spot_check(
        &self,
        _calendar: &CalendarRef,
        _range: TimeRange,
    ) -> Result<Option<Vec<ExternalInstance>>, ProviderError> {
        Ok(None)
    }

    /// Makes the calendar show a booking: creates the event if it was never written, changes it otherwise, leaves what
    /// people added to it. A known event that somebody moved is moved to where the booking is; one that somebody deleted
    /// is written again, where the provider lets us, because the booking changed after that.
    async fn write_event(&self, calendar: &CalendarRef, write: &EventWrite) -> Result<WriteOutcome, ProviderError>;

    /// How the conference of an event stands that was written with one.
    async fn conference(
        &self,
        _calendar: &CalendarRef,
        _event: &WrittenEvent,
    ) -> Result<ConferenceSeen, ProviderError> {
        Ok(ConferenceSeen::Failed("this provider makes no conferences".to_owned()))
    }

    /// Takes a booking out of a calendar. An event that is not there counts as taken out.
    async fn delete_event(&self, calendar: &CalendarRef, delete: &EventDelete) -> Result<(), ProviderError>;

    /// How often it may be asked with these credentials. Unless an adapter says so, as often as there is reason to.
    fn limits(&self, _credentials: &Credentials) -> ProviderLimits {
        ProviderLimits::default()
    }

    /// Time between two polls of a calendar that changes now (first), and of one that has long been quiet (second).
    fn poll_intervals(&self) -> (Duration, Duration);
}
