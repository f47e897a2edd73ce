//! One change of a sandbox calendar, in one call.

use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::SandboxEvent;
use agentcal_engine::time::TimeRange;

use crate::db::DbStore;
use crate::error::Result;
use crate::sandbox::Put;
use crate::text::to_i64;

/// Writes an event, if it stands at the change that is expected, where one is. Nobody waits for the disk: a calendar elsewhere
/// would be no part of this database's promises, and whatever is noted of this write comes after it in the log; lost together,
/// it is made again.
pub(crate) async fn put(
    store: &DbStore,
    (account_id, calendar_id): (AccountId, CalendarId),
    event: &SandboxEvent,
    expected_change: Option<u64>,
) -> Result<Put> {
    let call = sqlx::query_scalar(
        "SELECT agentcal_sandbox_put_1(plan_account => $1, plan_calendar => $2, plan_event => $3, plan_start => $4, \
         plan_end => $5, plan_blocks => $6, plan_expected => $7), set_config('synchronous_commit', 'off', true)",
    );
    let bounds = event.range.map(|TimeRange { start, end }| (start.as_micros(), end.as_micros()));
    let call = call.bind(account_id.as_uuid()).bind(calendar_id.as_uuid()).bind(&event.event_id);
    let call = call.bind(bounds.map(|(start, _)| start)).bind(bounds.map(|(_, end)| end));
    let call = call.bind(event.blocks).bind(expected_change.map(to_i64));
    let mut lane = store.lanes.take(&store.pool).await?;
    let put = Put::of(call.fetch_one(&mut *lane.connection).await, expected_change.is_some())?;
    store.lanes.give_back(&store.pool, lane);
    Ok(put)
}
