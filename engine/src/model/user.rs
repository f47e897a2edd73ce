//! People who can be booked.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, CalendarId, UserId};
use crate::time::Timestamp;

/// Most calendars one user's busy time may be read from.
pub const CALENDARS_PER_USER_MAX: usize = 20;

/// A person who can be booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// Its name.
    pub name: String,
    /// Its e-mail address.
    pub email: String,
    /// Its IANA zone.
    pub timezone: Tz,
    /// The calendar bookings are written to, which always counts as busy. `None`: judged on rules and bookings alone.
    pub calendar_id: Option<CalendarId>,
    /// The calendar with whose facts this user's claims are published: `calendar_id`, or an internal calendar of the
    /// user's own that no provider knows. Its actor is the only one that commits for this user.
    pub home_calendar_id: CalendarId,
    /// Further calendars whose busy time blocks the user, as the caller named them (may repeat `calendar_id`).
    pub busy_calendar_ids: Vec<CalendarId>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl User {
    /// Every calendar whose facts are read to judge this user, the home calendar first, none twice.
    pub fn calendars_read(&self) -> Vec<CalendarId> {
        let mut calendars = vec![self.home_calendar_id];
        for &calendar_id in &self.busy_calendar_ids {
            if !calendars.contains(&calendar_id) {
                calendars.push(calendar_id);
            }
        }
        calendars
    }
}
