//! Changes made to sandbox calendars.

use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::{SandboxEvent, SandboxState, StoreError};
use async_trait::async_trait;

use crate::db::DbStore;
use crate::error::{Result, Violation, store_error, violation};
use crate::sandbox_put::put;
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
            match put(self, (account_id, calendar_id), event, expected_change).await? {
                Put::Done(change) => return Ok(Some(change)),
                Put::Refused => return Ok(None),
                Put::Overtaken => {}
            }
        }
        Err(StoreError::Unavailable("a sandbox calendar keeps changing".into()))
    }
}

/// What became of a write.
pub(crate) enum Put {
    /// It is this change.
    Done(u64),
    /// There is no such calendar, or the event is not as expected.
    Refused,
    /// Somebody else has just changed the calendar.
    Overtaken,
}

impl Put {
    /// What the statement says that numbers and writes, on a condition or without. Whoever changes the calendar at the same
    /// time meets it at the number or at the event, so nothing need be locked before; least of all what bookings wait for.
    pub(crate) fn of(answer: Result<Option<i64>, sqlx::Error>, is_conditional: bool) -> Result<Self> {
        match answer {
            Ok(Some(change)) => Ok(Self::Done(to_u64(change)?)),
            Ok(None) if is_conditional => Ok(Self::Refused),
            Ok(None) => Ok(Self::Overtaken),
            Err(error) => match violation(&error) {
                Some(Violation::ForeignKey) => Ok(Self::Refused),
                Some(Violation::Unique) => Ok(Self::Overtaken),
                Some(Violation::Overlap) | None => Err(store_error(error)),
            },
        }
    }
}
