//! One change of a sandbox calendar, in a transaction of its own.

use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::SandboxEvent;
use agentcal_engine::time::TimeRange;

use crate::db::DbStore;
use crate::error::{Result, store_error};
use crate::sandbox::Put;
use crate::scope::Scope;
use crate::text::to_i64;

/// Writes an event, if it stands at the change that is expected, where one is.
pub(crate) async fn put(
    store: &DbStore,
    (account_id, calendar_id): (AccountId, CalendarId),
    event: &SandboxEvent,
    expected_change: Option<u64>,
) -> Result<Put> {
    // A calendar elsewhere would be no part of this database's promises. Whatever is noted of this write comes after it in
    // the log; lost together, it is made again.
    let mut work = store.begin_repeatable(Scope::Account(account_id)).await?;
    let insert = sqlx::query_scalar(
        "INSERT INTO sandbox_events (account_id, calendar_id, event_id, start_at, end_at, blocks, change_number) \
         SELECT $1, $2, $3, $4, $5, $6, coalesce((SELECT max(change_number) FROM sandbox_events \
         WHERE account_id = $1 AND calendar_id = $2), 0) + 1 WHERE $7 = coalesce((SELECT change_number FROM sandbox_events \
         WHERE account_id = $1 AND calendar_id = $2 AND event_id = $3 AND start_at IS NOT NULL), 0) OR $7 IS NULL \
         ON CONFLICT (account_id, calendar_id, event_id) DO UPDATE SET \
         start_at = excluded.start_at, end_at = excluded.end_at, blocks = excluded.blocks, \
         change_number = excluded.change_number WHERE sandbox_events.change_number < excluded.change_number \
         RETURNING change_number",
    );
    let bounds = event.range.map(|TimeRange { start, end }| (start.as_micros(), end.as_micros()));
    let insert = insert.bind(account_id.as_uuid()).bind(calendar_id.as_uuid()).bind(&event.event_id);
    let insert = insert.bind(bounds.map(|(start, _)| start)).bind(bounds.map(|(_, end)| end));
    let insert = insert.bind(event.blocks).bind(expected_change.map(to_i64));
    let put = Put::of(insert.fetch_optional(&mut *work).await, expected_change.is_some())?;
    work.commit().await.map_err(store_error)?;
    Ok(put)
}
