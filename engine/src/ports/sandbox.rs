//! Where the sandbox provider keeps what was changed in its calendars, so that it survives restarts and is one on many
//! nodes. The lifelike part of a sandbox calendar is computed from its seed and stored nowhere.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::ids::{AccountId, CalendarId};
use crate::time::TimeRange;

/// An event somebody put into, or took out of, a sandbox calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxEvent {
    /// Its name in the calendar. Naming a seeded event replaces that event.
    pub event_id: String,
    /// Its time; `None` when deleted.
    pub range: Option<TimeRange>,
    /// Whether it blocks.
    pub blocks: bool,
    /// The change that made it as it is: a number raised by every change in its calendar. Doubles as etag and cursor.
    pub change: u64,
}

/// Changes made to sandbox calendars.
#[async_trait]
pub trait SandboxState: Send + Sync {
    /// Changes of a calendar later than `after`, ascending by change; all with `after` 0.
    async fn sandbox_changes(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        after: u64,
    ) -> Result<Vec<SandboxEvent>, StoreError>;

    /// Writes an event with the next change number, which it returns. With `expected_change`, only if the event's change
    /// is that one (0: the event is not there); otherwise `None` and nothing is written.
    async fn put_sandbox_event(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        event: &SandboxEvent,
        expected_change: Option<u64>,
    ) -> Result<Option<u64>, StoreError>;
}
