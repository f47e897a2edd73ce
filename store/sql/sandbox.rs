//! Changes made to sandbox calendars.

use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::{SandboxEvent, SandboxState, StoreError};
use agentcal_engine::time::TimeRange;
use async_trait::async_trait;

use crate::db::{DbConnection, DbStore};
use crate::error::{Result, Violation, store_error, violation};
use crate::scope::Scope;
use crate::text::{range, to_i64, to_u64};

/// Times a change is tried again because somebody else made one at the same moment.
const RACES_MAX: u32 = 10;

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
        for _ in 0..RACES_MAX {
            // A calendar elsewhere would be no part of this database's promises. Whatever is noted of this write comes after
            // it in the log; lost together, it is made again.
            let mut work = self.begin_repeatable(Scope::Account(account_id)).await?;
            match put(&mut work, (account_id, calendar_id), event, expected_change).await? {
                Put::Done(change) => {
                    work.commit().await.map_err(store_error)?;
                    return Ok(Some(change));
                }
                Put::Refused => return Ok(None),
                Put::Overtaken => {}
            }
        }
        Err(StoreError::Unavailable("a sandbox calendar keeps changing".into()))
    }
}

/// What became of a write.
enum Put {
    /// It is this change.
    Done(u64),
    /// There is no such calendar, or the event is not as expected.
    Refused,
    /// Somebody else has just changed the calendar.
    Overtaken,
}

/// One statement numbers and writes. Whoever changes the calendar at the same time meets it at the number or at the event,
/// so nothing need be locked before; least of all what bookings wait for.
async fn put(
    work: &mut DbConnection,
    (account_id, calendar_id): (AccountId, CalendarId),
    event: &SandboxEvent,
    expected_change: Option<u64>,
) -> Result<Put> {
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
    let done: Result<Option<i64>, _> =
        insert.bind(event.blocks).bind(expected_change.map(to_i64)).fetch_optional(work).await;
    match done {
        Ok(Some(change)) => Ok(Put::Done(to_u64(change)?)),
        Ok(None) if expected_change.is_some() => Ok(Put::Refused),
        Ok(None) => Ok(Put::Overtaken),
        Err(error) => match violation(&error) {
            Some(Violation::ForeignKey) => Ok(Put::Refused),
            Some(Violation::Unique) => Ok(Put::Overtaken),
            Some(Violation::Overlap) | None => Err(store_error(error)),
        },
    }
}
