//! Bookings, for reading.

use agentcal_engine::ids::{AccountId, BookingId, UserId};
use agentcal_engine::model::{Booking, ClaimOwner, Tenant};
use agentcal_engine::ports::{BookingFilter, BookingStore, BookingStoreItem, ListPage, PageRequest, StoreError};
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;

use crate::state::frame::tenant_rows;
use crate::state::{bookings, claims, lists};
use crate::store::SimStore;

#[async_trait]
impl BookingStore for SimStore {
    async fn booking(
        &self,
        account_id: AccountId,
        booking_id: BookingId,
    ) -> Result<Option<BookingStoreItem>, StoreError> {
        self.read(|state, present| {
            let rows = state.account(account_id)?;
            let claim_count = claims::count_live(rows, ClaimOwner::Booking(booking_id), present.now);
            Some(BookingStoreItem { booking: bookings::load(rows, booking_id)?, claim_count })
        })
        .await
    }

    async fn list_bookings(
        &self,
        tenant: &Tenant,
        filter: &BookingFilter,
        now: Timestamp,
        page: &PageRequest,
    ) -> Result<ListPage<Booking>, StoreError> {
        self.read(|state, _| {
            let Some(rows) = tenant_rows(state, tenant) else { return lists::nothing() };
            let wanted = rows.bookings.values().filter(|booking| bookings::is_wanted(booking, filter, now));
            let place = |booking: &&Booking| (booking.range.start.as_micros(), booking.id.as_uuid());
            let ListPage { rows: found, next } = lists::ascending(wanted, page, place);
            let found = found.into_iter().map(|booking| bookings::with_standing(rows, booking));
            ListPage { rows: found.collect(), next }
        })
        .await
    }

    async fn future_booking_counts(
        &self,
        account_id: AccountId,
        user_ids: &[UserId],
        now: Timestamp,
    ) -> Result<Vec<(UserId, u64)>, StoreError> {
        self.read(|state, _| {
            state.account(account_id).map(|rows| bookings::future_counts(rows, user_ids, now)).unwrap_or_default()
        })
        .await
    }
}
