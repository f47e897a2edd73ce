//! Facts and sync, as the durable store keeps them for calendar actors.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::calendar::FAILURES_UNTIL_ERROR;
use crate::facts::{ExternalInstance, FactSource, Knowledge, UnknownReason};
use crate::ids::{AccountId, BookingId, CalendarId};
use crate::model::{Calendar, Connection, ConnectionStatus, ExternalState, ProviderKind, Tenant, Watch, WatchState};
use crate::shard::{Epoch, NodeId};
use crate::time::{TimeRange, Timestamp};

use super::{ResourceChange, StoreError, SyncCursor, WatchHandle};

/// Facts leave out instances and claims that ended longer ago than this by the store's clock: no decision about the future
/// rests on them (a day in any zone and the longest buffers together are shorter), and history must cost nothing.
pub const FACTS_PAST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Where a calendar's sync stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct SyncState {
    /// Where the next incremental sync continues; `None` before the first full sync and after a gone cursor.
    pub cursor: Option<SyncCursor>,
    /// What was synced, together with the cursor.
    pub window: Option<TimeRange>,
    /// As of when the facts are true.
    pub synced_at: Option<Timestamp>,
    /// The generation of rows that counts; a full sync collects the next one in its shadow.
    pub generation: u64,
    /// Failures in a row.
    pub failures: u32,
    /// When the next sync is due.
    pub due_at: Timestamp,
    /// Syncs in a row that brought no change; polling adapts to it.
    pub quiet_syncs: u32,
    /// Until when the provider rings for what changed after `synced_at`; `None` where it does not.
    pub watched_until: Option<Timestamp>,
    /// The last failure, in words that name nobody.
    pub last_error: Option<String>,
}

impl SyncState {
    /// Whether the last sync succeeded.
    pub fn is_well(&self) -> bool {
        self.failures == 0 && self.synced_at.is_some()
    }

    /// What is kept where this is, once a sync failed that leaves `failed`: how it failed, and that the cursor is gone. Never
    /// what was read, which may be of later than the sync that failed.
    #[must_use]
    pub fn after_failure(&self, failed: &Self) -> Self {
        Self {
            cursor: self.cursor.clone().filter(|_| failed.cursor.is_some()),
            window: self.window,
            synced_at: self.synced_at,
            generation: self.generation,
            failures: failed.failures,
            due_at: failed.due_at,
            quiet_syncs: failed.quiet_syncs,
            watched_until: self.watched_until,
            last_error: failed.last_error.clone(),
        }
    }

    /// How much is known of a calendar of this provider and connection whose sync stands like this.
    pub fn knowledge(&self, provider: ProviderKind, connection: Option<&Connection>) -> Knowledge {
        if provider == ProviderKind::Internal {
            return Knowledge::Internal;
        }
        match connection.map(|connection| connection.status) {
            None => Knowledge::Unknown(UnknownReason::CalendarGone),
            Some(ConnectionStatus::ReauthorizationRequired) => {
                Knowledge::Unknown(UnknownReason::ReauthorizationRequired)
            }
            Some(_) if self.failures >= FAILURES_UNTIL_ERROR => Knowledge::Unknown(UnknownReason::ProviderError),
            Some(_) => match (self.synced_at, self.window) {
                (Some(as_of), Some(window)) => Knowledge::Synced { as_of, window, watched_until: self.watched_until },
                _ => Knowledge::Unknown(UnknownReason::NotSynced),
            },
        }
    }
}

/// Everything a calendar's actor starts from, read in one transaction.
#[derive(Clone, Debug)]
pub struct CalendarRecord {
    /// The calendar.
    pub calendar: Calendar,
    /// Whose data it is.
    pub tenant: Tenant,
    /// Its connection; `None` for internal calendars.
    pub connection: Option<Connection>,
    /// Where its sync stands.
    pub sync: SyncState,
    /// What is kept of its watch.
    pub watch: WatchRecord,
    /// Its facts; `knowledge` follows from `connection` and `sync` (see `SyncState::knowledge`).
    pub facts: FactSource,
    /// The e-mail addresses of users whose `calendar_id` this is.
    pub user_emails: Vec<String>,
}

/// One page's worth of sync, saved in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaveSync {
    /// The calendar's account.
    pub account_id: AccountId,
    /// The calendar.
    pub calendar_id: CalendarId,
    /// The ownership this is done under.
    pub epoch: Epoch,
    /// Rows go to this generation: the current one for an incremental sync, the next one for a full sync.
    pub generation: u64,
    /// Whether this page begins a full sync, so that left-overs of an earlier attempt at this generation go first.
    pub begins_shadow: bool,
    /// Each replaces all rows of its resource in the generation. For a full sync also over a page that came before.
    pub changes: Vec<ResourceChange>,
    /// With the last page: the state to keep. Its generation becomes the one that counts and every other's rows go.
    pub finish: Option<SyncState>,
}

/// A sync that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncFailure {
    /// The calendar's account.
    pub account_id: AccountId,
    /// The calendar.
    pub calendar_id: CalendarId,
    /// The ownership this is done under.
    pub epoch: Epoch,
    /// Failures, due time, quiet syncs and last error are kept; the cursor is dropped where it has none. The rest stays as it
    /// is, since what was read is for [`SaveSync`] to say.
    pub state: SyncState,
}

/// What is kept of how changes of a calendar are noticed. None of it is secret: ending or renewing a watch takes the
/// connection's credentials as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchRecord {
    /// How, and until when.
    pub watch: Watch,
    /// Where the provider was told to ring.
    pub url: Option<String>,
    /// What it takes to end or renew the watch.
    pub handle: Option<WatchHandle>,
    /// Watches that another one took the place of, and that still have to be ended.
    pub outdated: Vec<OutdatedWatch>,
    /// When the provider is next asked for a watch: a renewal, or another try.
    pub due_at: Timestamp,
    /// Failures in a row.
    pub failures: u32,
}

impl Default for WatchRecord {
    fn default() -> Self {
        let watch = Watch { state: WatchState::None, expires_at: None };
        Self { watch, url: None, handle: None, outdated: Vec::new(), due_at: Timestamp::default(), failures: 0 }
    }
}

/// A watch nobody needs any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutdatedWatch {
    /// What it takes to end it.
    pub handle: WatchHandle,
    /// When it ends by itself.
    pub until: Timestamp,
}

/// What became of a calendar's watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaveWatch {
    /// The calendar's account.
    pub account_id: AccountId,
    /// The calendar.
    pub calendar_id: CalendarId,
    /// The ownership this is done under.
    pub epoch: Epoch,
    /// What to keep.
    pub record: WatchRecord,
}

/// A calendar whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueCalendar {
    /// Its account.
    pub account_id: AccountId,
    /// The calendar.
    pub calendar_id: CalendarId,
}

/// What sync saw of a booking's event; see [`ExternalState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExternalObservation {
    /// The booking.
    pub booking_id: BookingId,
    /// How its event compares.
    pub state: ExternalState,
}

/// Facts and sync, for calendar actors.
#[async_trait]
pub trait FactStore: Send + Sync {
    /// Raises and returns the store's epoch; called once at boot by the only node. Writers under an older one are fenced.
    async fn raise_epoch(&self) -> Result<Epoch, StoreError>;
    /// The store's clock, by which holds expire.
    async fn store_now(&self) -> Result<Timestamp, StoreError>;
    /// Everything about a calendar; `None` when it is gone.
    async fn load_calendar(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
    ) -> Result<Option<CalendarRecord>, StoreError>;
    /// The facts of a calendar as they now are in the store, without what ended before [`FACTS_PAST`]; `None` when it is
    /// gone.
    async fn load_facts(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
    ) -> Result<Option<FactSource>, StoreError>;
    /// Which account a calendar belongs to.
    async fn account_of_calendar(&self, calendar_id: CalendarId) -> Result<Option<AccountId>, StoreError>;
    /// Saves a page of sync. With the first sync that ends, a calendar that is not watched counts as polled. Returns the
    /// calendar's revision, raised if the page finished a sync that changed rows of the generation that counts, its window or
    /// its knowledge; `None` when the epoch is superseded or the calendar is gone.
    async fn save_sync(&self, save: &SaveSync) -> Result<Option<u64>, StoreError>;
    /// Saves a failure; raises the revision only if the calendar's knowledge changes by it. Returns the revision, `None`
    /// when the epoch is superseded or the calendar is gone.
    async fn save_sync_failure(&self, failure: &SyncFailure) -> Result<Option<u64>, StoreError>;
    /// Keeps what became of a calendar's watch; false, and nothing is kept, when the epoch is superseded or the calendar is
    /// gone. Facts do not change by it, so no revision is raised.
    async fn save_watch(&self, save: &SaveWatch) -> Result<bool, StoreError>;
    /// Calendars (never internal ones) whose sync is due, most overdue first. `owner`: those in shards of this node only,
    /// where the store can tell; a store of one node need not.
    async fn due_calendars(
        &self,
        owner: Option<NodeId>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueCalendar>, StoreError>;
    /// The instances of events of ours in a calendar, by booking; for comparing with what was written.
    async fn own_instances(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
    ) -> Result<Vec<ExternalInstance>, StoreError>;
    /// Keeps what sync saw of bookings' events. Observations of bookings whose writeback is pending are left out by the
    /// store, in the same transaction, and all of them under a superseded epoch.
    async fn observe_external(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        epoch: Epoch,
        observations: &[ExternalObservation],
    ) -> Result<(), StoreError>;
}
