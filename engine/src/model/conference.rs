//! Meetings over video: which service, and how to join.

use serde::{Deserialize, Serialize};

use super::ProviderKind;
use crate::ids::CalendarId;

/// Longest address to join at that is kept, in bytes.
pub const JOIN_URL_LEN_MAX: usize = 2_000;

/// A service that a calendar's provider makes conferences with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConferenceKind {
    /// Google Meet.
    GoogleMeet,
    /// Microsoft Teams.
    MicrosoftTeams,
}

impl ConferenceKind {
    /// Whether calendars of a provider can have it. Those of the sandbox can have any.
    pub fn is_made_at(self, provider: ProviderKind) -> bool {
        match (self, provider) {
            (Self::GoogleMeet, ProviderKind::Google)
            | (Self::MicrosoftTeams, ProviderKind::Microsoft)
            | (_, ProviderKind::Sandbox) => true,
            (_, ProviderKind::Google | ProviderKind::Microsoft | ProviderKind::Caldav | ProviderKind::Internal) => {
                false
            }
        }
    }
}

/// Where making a conference stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConferenceState {
    /// Not made yet.
    Pending,
    /// It can be joined.
    Ready,
    /// Given up.
    Failed,
}

/// The conference of a booking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conference {
    /// The service.
    pub kind: ConferenceKind,
    /// The calendar whose event it hangs on; `None` where no host had one that could have it.
    pub calendar_id: Option<CalendarId>,
    /// Where making it stands.
    pub state: ConferenceState,
    /// Where to join, once it is ready.
    pub join_url: Option<String>,
}
