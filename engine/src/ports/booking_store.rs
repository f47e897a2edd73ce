//! Bookings, for reading, and the outbox of what calendars do not yet show.

use async_trait::async_trait;

use crate::ids::{AccountId, BookingId, CalendarId, UserId};
use crate::model::{Booking, BookingStatus, ExternalState, Tenant, WritebackState};
use crate::shard::{Epoch, NodeId};
use crate::time::{TimeRange, Timestamp};

use super::{DueCalendar, ListPage, PageRequest, StoreError, WrittenEvent};

/// Which bookings to list.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BookingFilter {
    /// Status at `now`.
    pub status: Option<BookingStatus>,
    /// One of the hosts.
    pub user_id: Option<UserId>,
    /// Start at or after.
    pub starts_after: Option<Timestamp>,
    /// Start before.
    pub starts_before: Option<Timestamp>,
    /// The attendee's address, compared without case.
    pub attendee_email: Option<String>,
    /// The attendee's number, compared by its digits and a leading plus.
    pub attendee_phone: Option<String>,
}

/// A booking with what is needed to change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookingStoreItem {
    /// The booking.
    pub booking: Booking,
    /// Live claims of it.
    pub claim_count: u32,
}

/// Bookings, for reading.
#[async_trait]
pub trait BookingStore: Send + Sync {
    /// A booking.
    async fn booking(
        &self,
        account_id: AccountId,
        booking_id: BookingId,
    ) -> Result<Option<BookingStoreItem>, StoreError>;
    /// Bookings ascending by start, then id.
    async fn list_bookings(
        &self,
        tenant: &Tenant,
        filter: &BookingFilter,
        now: Timestamp,
        page: &PageRequest,
    ) -> Result<ListPage<Booking>, StoreError>;
    /// For each user, how many bookings it has that start after `now`; for round robin. Users without any are left out.
    async fn future_booking_counts(
        &self,
        account_id: AccountId,
        user_ids: &[UserId],
        now: Timestamp,
    ) -> Result<Vec<(UserId, u64)>, StoreError>;
}

/// A booking that a calendar does not yet show as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WritebackJob {
    /// The booking as it now is; its status says whether to write or to delete.
    pub booking: Booking,
    /// The calendar.
    pub calendar_id: CalendarId,
    /// Raised by every change of the booking; a result for an older one does not end the job.
    pub version: u64,
    /// Tries since the booking last changed.
    pub attempts: u32,
    /// When it is due.
    pub due_at: Timestamp,
    /// The event as last written.
    pub written: Option<WrittenEvent>,
    /// Where it was last written.
    pub written_range: Option<TimeRange>,
}

impl WritebackJob {
    /// Whether it is due. One that was not tried since its booking changed always is: it is due from the commit on, which the
    /// store dated, and the clock asked here may be a little behind the store's.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.attempts == 0 || self.due_at <= now
    }
}

/// What a try came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WritebackResult {
    /// The account.
    pub account_id: AccountId,
    /// The booking.
    pub booking_id: BookingId,
    /// The calendar.
    pub calendar_id: CalendarId,
    /// The version tried.
    pub version: u64,
    /// The state to keep. `Written` of an older version leaves the row pending, yet keeps `written`.
    pub state: WritebackState,
    /// Tries so far.
    pub attempts: u32,
    /// When the next try is due, while pending.
    pub due_at: Timestamp,
    /// What went wrong, in words that name nobody.
    pub last_error: Option<String>,
    /// The event, and where it now stands; `None` when it was deleted or never written.
    pub written: Option<(WrittenEvent, TimeRange)>,
    /// What this means for the booking's state in the calendar, where it says something.
    pub external_state: Option<ExternalState>,
    /// What became of the booking's conference, where this settled it.
    pub conference: Option<ConferenceSettled>,
}

/// How a conference came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConferenceSettled {
    /// It can be joined at this address.
    Ready(String),
    /// There will be none.
    Failed,
}

/// The outbox of writebacks.
#[async_trait]
pub trait WritebackStore: Send + Sync {
    /// Pending jobs of a calendar, oldest due first, whether due or not.
    async fn pending_writebacks(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        limit: u32,
    ) -> Result<Vec<WritebackJob>, StoreError>;
    /// Written jobs of a calendar whose booking has not ended before `ended_before`: what sync compares with.
    async fn written_writebacks(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        ended_before: Timestamp,
    ) -> Result<Vec<WritebackJob>, StoreError>;
    /// Calendars with a pending job that is due, most overdue first; of `owner` as in [`super::FactStore::due_calendars`].
    async fn calendars_with_due_writebacks(
        &self,
        owner: Option<NodeId>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueCalendar>, StoreError>;
    /// Keeps the result of a try. Where what counts as an echo changes by it, raises the calendar's revision and returns
    /// it. Under a superseded epoch nothing is kept: the new owner tries itself.
    async fn record_writeback(&self, result: &WritebackResult, epoch: Epoch) -> Result<Option<u64>, StoreError>;
}
