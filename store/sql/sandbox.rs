//! Changes made to sandbox calendars.

use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::{SandboxEvent, SandboxState, StoreError};
use agentcal_engine::time::TimeRange;
use async_trait::async_trait;

use crate::db::{DbConnection, DbStore};
use crate::error::{Result, Violation, store_error, violation};
use crate::locks;
use crate::scope::Scope;
use crate::text::{range, to_i64, to_u64};

#[derive(sqlx::FromRow)]
struct EventRow {
    event_id: String,
    start_at: Option<i64>,
    end_at: Option<i64>,
    blocks: bool,
    change_number: i64,
}

impl EventRow {
    fn into_engine(self) -> Result<SandboxEvent> {
        let bounds = self.start_at.zip(self.end_at);
        Ok(SandboxEvent {
            event_id: self.event_id,
            range: bounds.map(|(start, end)| range(start, end)).transpose()?,
            blocks: self.blocks,
            change: to_u64(self.change_number)?,
        })
    }
}

#[async_trait]
impl SandboxState for DbStore {
    async fn sandbox_changes(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        after: u64,
    ) -> Result<Vec<SandboxEvent>, StoreError> {
        let mut reader = self.reader(Scope::Account(account_id)).await?;
        let select = sqlx::query_as::<_, EventRow>(
            "SELECT event_id, start_at, end_at, blocks, change_number FROM sandbox_events \
             WHERE account_id = $1 AND calendar_id = $2 AND change_number > $3 ORDER BY change_number",
        );
        let select = select.bind(account_id.as_uuid()).bind(calendar_id.as_uuid()).bind(to_i64(after));
        let rows = select.fetch_all(&mut *reader).await.map_err(store_error)?;
        rows.into_iter().map(EventRow::into_engine).collect()
    }

    async fn put_sandbox_event(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        event: &SandboxEvent,
        expected_change: Option<u64>,
    ) -> Result<Option<u64>, StoreError> {
        let mut work = self.begin_write(Scope::Account(account_id)).await?;
        locks::calendar(&mut work, account_id, calendar_id).await?;
        let present = change_of(&mut work, account_id, calendar_id, &event.event_id).await?;
        if expected_change.is_some_and(|expected| expected != present) {
            return Ok(None);
        }
        let next = last_change(&mut work, account_id, calendar_id).await? + 1;
        if !put(&mut work, account_id, calendar_id, event, next).await? {
            return Ok(None);
        }
        work.commit().await.map_err(store_error)?;
        Ok(Some(next))
    }
}

/// The change that made an event as it is; 0 when it is not there or was deleted.
async fn change_of(
    work: &mut DbConnection,
    account_id: AccountId,
    calendar_id: CalendarId,
    event_id: &str,
) -> Result<u64> {
    let select = sqlx::query_scalar(
        "SELECT change_number FROM sandbox_events WHERE account_id = $1 AND calendar_id = $2 AND event_id = $3 \
         AND start_at IS NOT NULL",
    );
    let select = select.bind(account_id.as_uuid()).bind(calendar_id.as_uuid()).bind(event_id);
    let change: Option<i64> = select.fetch_optional(work).await.map_err(store_error)?;
    to_u64(change.unwrap_or(0))
}

async fn last_change(work: &mut DbConnection, account_id: AccountId, calendar_id: CalendarId) -> Result<u64> {
    let select = sqlx::query_scalar(
        "SELECT change_number FROM sandbox_events WHERE account_id = $1 AND calendar_id = $2 \
         ORDER BY change_number DESC LIMIT 1",
    );
    let select = select.bind(account_id.as_uuid()).bind(calendar_id.as_uuid());
    let change: Option<i64> = select.fetch_optional(work).await.map_err(store_error)?;
    to_u64(change.unwrap_or(0))
}

/// False when there is no such calendar.
async fn put(
    work: &mut DbConnection,
    account_id: AccountId,
    calendar_id: CalendarId,
    event: &SandboxEvent,
    change: u64,
) -> Result<bool> {
    let insert = sqlx::query(
        "INSERT INTO sandbox_events (account_id, calendar_id, event_id, start_at, end_at, blocks, change_number) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account_id, calendar_id, event_id) DO UPDATE SET \
         start_at = excluded.start_at, end_at = excluded.end_at, blocks = excluded.blocks, \
         change_number = excluded.change_number",
    );
    let bounds = event.range.map(|TimeRange { start, end }| (start.as_micros(), end.as_micros()));
    let insert = insert.bind(account_id.as_uuid()).bind(calendar_id.as_uuid()).bind(&event.event_id);
    let insert = insert.bind(bounds.map(|(start, _)| start)).bind(bounds.map(|(_, end)| end));
    match insert.bind(event.blocks).bind(to_i64(change)).execute(work).await {
        Ok(_) => Ok(true),
        Err(error) if violation(&error) == Some(Violation::ForeignKey) => Ok(false),
        Err(error) => Err(store_error(error)),
    }
}
