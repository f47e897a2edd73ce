//! What is kept of calendars' watches.

use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::model::Watch;
use agentcal_engine::ports::{SaveWatch, WatchHandle, WatchRecord};
use agentcal_engine::time::Timestamp;

use crate::db::DbConnection;
use crate::error::{Result, store_error};
use crate::locks;
use crate::text::{Named, from_json, to_json, to_u32};

#[derive(sqlx::FromRow)]
struct Row {
    watch_state: String,
    watch_expires_at: Option<i64>,
    watch_url: Option<String>,
    watch_handle: Option<String>,
    watch_outdated: String,
    watch_due_at: i64,
    watch_failures: i64,
}

impl Row {
    fn into_engine(self) -> Result<WatchRecord> {
        let expires_at = self.watch_expires_at.map(Timestamp::from_micros);
        Ok(WatchRecord {
            watch: Watch { state: Named::named(&self.watch_state)?, expires_at },
            url: self.watch_url,
            handle: self.watch_handle.map(WatchHandle),
            outdated: from_json("outdated watches", &self.watch_outdated)?,
            due_at: Timestamp::from_micros(self.watch_due_at),
            failures: to_u32(self.watch_failures)?,
        })
    }
}

/// What is kept of a calendar's watch.
pub(crate) async fn record(
    reader: &mut DbConnection,
    account_id: AccountId,
    calendar_id: CalendarId,
) -> Result<WatchRecord> {
    let select = sqlx::query_as::<_, Row>(
        "SELECT watch_state, watch_expires_at, watch_url, watch_handle, watch_outdated, watch_due_at, watch_failures \
         FROM calendars WHERE account_id = $1 AND calendar_id = $2",
    );
    let select = select.bind(account_id.as_uuid()).bind(calendar_id.as_uuid());
    select.fetch_one(reader).await.map_err(store_error)?.into_engine()
}

/// Keeps what became of a watch; false: fenced or gone, and nothing may be committed.
pub(crate) async fn save(work: &mut DbConnection, save: &SaveWatch) -> Result<bool> {
    let SaveWatch { account_id, calendar_id, epoch, record } = save;
    if locks::held_epoch(work, *account_id).await? != *epoch {
        return Ok(false);
    }
    let update = sqlx::query(
        "UPDATE calendars SET watch_state = $3, watch_expires_at = $4, watch_url = $5, watch_handle = $6, \
         watch_outdated = $7, watch_due_at = $8, watch_failures = $9 WHERE account_id = $1 AND calendar_id = $2",
    );
    let update = update.bind(account_id.as_uuid()).bind(calendar_id.as_uuid()).bind(record.watch.state.name());
    let update = update.bind(record.watch.expires_at.map(Timestamp::as_micros)).bind(&record.url);
    let update = update.bind(record.handle.as_ref().map(|handle| &handle.0)).bind(to_json(&record.outdated));
    let update = update.bind(record.due_at.as_micros()).bind(i64::from(record.failures));
    let saved = update.execute(work).await.map_err(store_error)?;
    Ok(saved.rows_affected() == 1)
}
