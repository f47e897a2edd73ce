//! Connections to providers, and the calendars they bring.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, CalendarId, ConnectionId};
use crate::time::Timestamp;

/// Who keeps a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// Calendars in this process, for trying things out.
    Sandbox,
    /// A CalDAV server (RFC 4791).
    Caldav,
    /// Google Calendar.
    Google,
    /// Microsoft 365.
    Microsoft,
    /// Nobody: the home of the claims of a user without a calendar. Never synced, never unknown, never shown.
    Internal,
}

impl ProviderKind {
    /// Whether calendars are connected by their owner's consent, and requests made with what was granted.
    pub fn needs_consent(self) -> bool {
        matches!(self, Self::Google | Self::Microsoft)
    }

    /// Whether the provider has a way to give a grant back. Microsoft has none: its owner takes it back there.
    pub fn takes_grants_back(self) -> bool {
        self == Self::Google
    }
}

/// How a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionStatus {
    /// First syncs under way.
    Syncing,
    /// Current.
    Active,
    /// The provider refuses the credentials.
    ReauthorizationRequired,
    /// Keeps failing for another reason.
    Error,
}

/// One set of credentials at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// The provider.
    pub provider: ProviderKind,
    /// Who it is at the provider, for people: the user name of CalDAV.
    pub display_name: String,
    /// Addresses that are the calendars' owner, lower case, without `mailto:`; decide whose PARTSTAT counts.
    pub owner_addresses: Vec<String>,
    /// How it is.
    pub status: ConnectionStatus,
    /// Why, when it is not well.
    pub status_reason: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// How changes of a calendar are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchState {
    /// By asking at intervals.
    Polling,
    /// By notifications from the provider, with a sweep behind them.
    Push,
    /// Not at all: never synced, failing or disconnected.
    None,
}

/// How changes of a calendar are noticed, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// How.
    pub state: WatchState,
    /// When a push watch ends; `None` for polling.
    pub expires_at: Option<Timestamp>,
}

impl Watch {
    /// By asking at intervals.
    pub const POLLING: Self = Self { state: WatchState::Polling, expires_at: None };

    /// How changes are noticed at an instant: a push watch that ran out is none, whether or not anybody has noticed yet.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        if self.state == WatchState::Push && self.until(now).is_none() { Self::POLLING } else { self }
    }

    /// Until when the provider rings, where it does.
    pub fn until(self, now: Timestamp) -> Option<Timestamp> {
        self.expires_at.filter(|until| self.state == WatchState::Push && now < *until)
    }
}

/// A calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// Its id.
    pub id: CalendarId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// The connection it came with; `None` for internal calendars.
    pub connection_id: Option<ConnectionId>,
    /// Who keeps it.
    pub provider: ProviderKind,
    /// Its name at the provider: Google's calendar id, CalDAV's collection href.
    pub provider_calendar_id: String,
    /// Its name, for people.
    pub name: String,
    /// Its zone: all-day and floating events mean this zone.
    pub timezone: Tz,
    /// Whether bookings can be written to it.
    pub writable: bool,
    /// How changes are noticed.
    pub watch: Watch,
    /// As of when its facts are true; `None` before the first full sync.
    pub last_synced_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}
