//! The outbox of writebacks.

use agentcal_engine::commit::Effect;
use agentcal_engine::ids::{AccountId, BookingId, CalendarId};
use agentcal_engine::model::{ConferenceState, EventKind, EventSubject, WritebackState};
use agentcal_engine::ports::{
    ConferenceSettled, DueCalendar, StoreError, WritebackJob, WritebackResult, WritebackStore, WrittenEvent,
};
use agentcal_engine::shard::{Epoch, NodeId};
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;
use uuid::Uuid;

use crate::db::{DbConnection, DbStore};
use crate::error::{Result, store_error};
use crate::events::{self, Moment};
use crate::facts::due_calendar;
use crate::scope::Scope;
use crate::text::{Named, range, to_i64, to_u32, to_u64};
use crate::{booking, dead_writebacks, locks, revisions, words};

#[async_trait]
impl WritebackStore for DbStore {
    async fn pending_writebacks(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        limit: u32,
    ) -> Result<Vec<WritebackJob>, StoreError> {
        let mut reader = self.begin_read(Scope::Account(account_id)).await?;
        let select = sqlx::query_as::<_, JobRow>(
            "SELECT booking_id, calendar_id, version, attempts, due_at, written_event_id, written_etag, \
             written_start_at, written_end_at FROM writebacks \
             WHERE account_id = $1 AND calendar_id = $2 AND state = 'pending' ORDER BY due_at, booking_id LIMIT $3",
        );
        let select = select.bind(account_id.as_uuid()).bind(calendar_id.as_uuid()).bind(i64::from(limit));
        let rows = select.fetch_all(&mut *reader).await.map_err(store_error)?;
        jobs(&mut reader, account_id, rows).await
    }

    async fn written_writebacks(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        ended_before: Timestamp,
    ) -> Result<Vec<WritebackJob>, StoreError> {
        let mut reader = self.begin_read(Scope::Account(account_id)).await?;
        let select = sqlx::query_as::<_, JobRow>(
            "SELECT booking_id, calendar_id, version, attempts, due_at, written_event_id, written_etag, \
             written_start_at, written_end_at FROM writebacks \
             WHERE account_id = $1 AND calendar_id = $2 AND state = 'written' AND booking_end_at >= $3 \
             ORDER BY booking_end_at, booking_id",
        );
        let select = select.bind(account_id.as_uuid()).bind(calendar_id.as_uuid()).bind(ended_before.as_micros());
        let rows = select.fetch_all(&mut *reader).await.map_err(store_error)?;
        jobs(&mut reader, account_id, rows).await
    }

    async fn calendars_with_due_writebacks(
        &self,
        owner: Option<NodeId>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueCalendar>, StoreError> {
        let mut reader = self.reader(Scope::All).await?;
        let select = sqlx::query_as::<_, (Uuid, Uuid)>(words::DUE_WRITEBACKS);
        let select = select.bind(now.as_micros()).bind(i64::from(limit)).bind(owner.map(|node| node.0));
        let rows = select.fetch_all(&mut *reader).await.map_err(store_error)?;
        Ok(rows.into_iter().map(due_calendar).collect())
    }

    async fn record_writeback(&self, result: &WritebackResult, epoch: Epoch) -> Result<Option<u64>, StoreError> {
        if self.record_first_write(result, epoch).await? {
            return Ok(None);
        }
        let mut work = self.begin_write(Scope::Account(result.account_id)).await?;
        if locks::held_epoch(&mut work, result.account_id).await? != epoch {
            return Ok(None);
        }
        locks::calendar(&mut work, result.account_id, result.calendar_id).await?;
        let Recorded { changes_facts, tells } = record(&mut work, result).await?;
        if let Some(settled) = &result.conference {
            settle_conference(&mut work, result, settled).await?;
        }
        if let Some(kind) = tells {
            let moment = Moment { now: self.now_on(&mut work).await?, entropy: self.entropy.as_ref() };
            dead_writebacks::note(&mut work, result, moment).await?;
            tell(&mut work, result.account_id, result.booking_id, kind, moment).await?;
        }
        let revision = match changes_facts {
            true => revisions::raise_calendar(&mut work, result.account_id, result.calendar_id).await?,
            false => None,
        };
        work.commit().await.map_err(store_error)?;
        Ok(revision)
    }
}

#[derive(sqlx::FromRow)]
struct JobRow {
    booking_id: Uuid,
    calendar_id: Uuid,
    version: i64,
    attempts: i64,
    due_at: i64,
    written_event_id: Option<String>,
    written_etag: Option<String>,
    written_start_at: Option<i64>,
    written_end_at: Option<i64>,
}

async fn jobs(reader: &mut DbConnection, account_id: AccountId, rows: Vec<JobRow>) -> Result<Vec<WritebackJob>> {
    let ids = rows.iter().map(|row| row.booking_id).collect::<Vec<_>>();
    let mut bookings = booking::load(reader, account_id, &ids).await?;
    let mut jobs = Vec::with_capacity(rows.len());
    for row in rows {
        let etag = row.written_etag;
        let written_range = row.written_start_at.zip(row.written_end_at);
        let Some(booking) = bookings.remove(&BookingId::from_uuid(row.booking_id)) else { continue };
        jobs.push(WritebackJob {
            booking,
            calendar_id: CalendarId::from_uuid(row.calendar_id),
            version: to_u64(row.version)?,
            attempts: to_u32(row.attempts)?,
            due_at: Timestamp::from_micros(row.due_at),
            written: row.written_event_id.map(|provider_event_id| WrittenEvent { provider_event_id, etag }),
            written_range: written_range.map(|(start, end)| range(start, end)).transpose()?,
        });
    }
    Ok(jobs)
}

/// Performs an effect inside a commit: the booking's row for this calendar becomes pending, now, with a raised version.
/// A calendar that is gone can be written no more, which must not keep anybody from cancelling: its row says so.
pub(crate) async fn apply(
    connection: &mut DbConnection,
    account_id: AccountId,
    effect: &Effect,
    now: Timestamp,
) -> Result<bool> {
    let Effect::Writeback { booking_id, calendar_id } = effect;
    let exists = has_calendar(connection, account_id, *calendar_id).await?;
    let (state, error) = match exists {
        true => (WritebackState::Pending, None),
        false => (WritebackState::Failed, Some("the calendar is no longer connected")),
    };
    let upsert = sqlx::query(
        "INSERT INTO writebacks (account_id, booking_id, calendar_id, version, state, attempts, due_at, last_error, \
         external_state, booking_end_at) \
         SELECT account_id, booking_id, $3, 1, $4, 0, $5, $6, 'in_sync', end_at FROM bookings \
         WHERE account_id = $1 AND booking_id = $2 \
         ON CONFLICT (account_id, booking_id, calendar_id) DO UPDATE SET version = writebacks.version + 1, \
         state = excluded.state, attempts = 0, due_at = excluded.due_at, last_error = excluded.last_error, \
         booking_end_at = excluded.booking_end_at",
    );
    let upsert = upsert.bind(account_id.as_uuid()).bind(booking_id.as_uuid()).bind(calendar_id.as_uuid());
    let upsert = upsert.bind(state.name()).bind(now.as_micros()).bind(error);
    Ok(upsert.execute(connection).await.map_err(store_error)?.rows_affected() == 1)
}

pub(crate) async fn has_calendar(
    connection: &mut DbConnection,
    account_id: AccountId,
    calendar_id: CalendarId,
) -> Result<bool> {
    let select = sqlx::query_scalar("SELECT count(*) FROM calendars WHERE account_id = $1 AND calendar_id = $2");
    let select = select.bind(account_id.as_uuid()).bind(calendar_id.as_uuid());
    let count: i64 = select.fetch_one(connection).await.map_err(store_error)?;
    Ok(count == 1)
}

/// A writeback as a result of it finds it.
#[derive(sqlx::FromRow)]
struct FoundRow {
    version: i64,
    state: String,
    written_start_at: Option<i64>,
    written_end_at: Option<i64>,
}

/// Keeps a result, where its row is there; whether facts changed by it: what they tell of a waiting change is where the
/// event was last written. A result of an older version never ends the job: the booking changed while it was tried, so all
/// that is kept is where the event now stands. A job that ended meanwhile, by another's success, because its calendar was
/// disconnected or because somebody put it away, is ended by a success alone.
async fn record(work: &mut DbConnection, result: &WritebackResult) -> Result<Recorded> {
    let select = sqlx::query_as::<_, FoundRow>(
        "SELECT version, state, written_start_at, written_end_at FROM writebacks \
         WHERE account_id = $1 AND booking_id = $2 AND calendar_id = $3",
    );
    let select = select.bind(result.account_id.as_uuid()).bind(result.booking_id.as_uuid());
    let select = select.bind(result.calendar_id.as_uuid());
    let Some(found) = select.fetch_optional(&mut *work).await.map_err(store_error)? else {
        return Ok(Recorded::default());
    };
    let is_current = found.version == to_i64(result.version);
    let before = (WritebackState::named(&found.state)?, found.written_start_at.zip(found.written_end_at));
    let mut after = before;
    let counts = is_current && write_result(work, result).await?;
    if counts {
        after.0 = result.state;
    }
    let is_late_success = result.state == WritebackState::Written && before.0 == WritebackState::Pending;
    if counts || is_late_success {
        write_event(work, result).await?;
        after.1 = result.written.as_ref().map(|(_, range)| (range.start.as_micros(), range.end.as_micros()));
    }
    let echo =
        |(state, written): (WritebackState, Option<(i64, i64)>)| written.filter(|_| state == WritebackState::Pending);
    let is_given_up = before.0 != WritebackState::Failed && after.0 == WritebackState::Failed;
    let tells = is_given_up.then_some(EventKind::BookingWritebackFailed);
    Ok(Recorded { changes_facts: echo(before) != echo(after), tells })
}

/// Keeps how a booking's conference came out, whatever became of the booking meanwhile.
async fn settle_conference(
    work: &mut DbConnection,
    result: &WritebackResult,
    settled: &ConferenceSettled,
) -> Result<()> {
    let (state, join_url) = match settled {
        ConferenceSettled::Ready(join_url) => (ConferenceState::Ready, Some(join_url)),
        ConferenceSettled::Failed => (ConferenceState::Failed, None),
    };
    let update = sqlx::query(
        "UPDATE bookings SET conference_state = $3, conference_url = $4 \
         WHERE account_id = $1 AND booking_id = $2 AND conference IS NOT NULL",
    );
    let update = update.bind(result.account_id.as_uuid()).bind(result.booking_id.as_uuid());
    update.bind(state.name()).bind(join_url).execute(work).await.map(drop).map_err(store_error)
}

/// What keeping a result came to.
#[derive(Default)]
struct Recorded {
    /// The calendar's facts tell something else now.
    changes_facts: bool,
    /// Somebody outside may want to hear of it.
    tells: Option<EventKind>,
}

/// Tells outside of what happened to a booking without its changing.
pub(crate) async fn tell(
    work: &mut DbConnection,
    account_id: AccountId,
    booking_id: BookingId,
    kind: EventKind,
    moment: Moment<'_>,
) -> Result<()> {
    let mut found = booking::load(work, account_id, &[booking_id.as_uuid()]).await?;
    let Some(booking) = found.remove(&booking_id) else { return Ok(()) };
    let subject = EventSubject::booking(booking);
    events::happened(work, account_id, kind, subject, moment).await
}

/// Whether the row took it.
async fn write_result(work: &mut DbConnection, result: &WritebackResult) -> Result<bool> {
    let update = sqlx::query(
        "UPDATE writebacks SET state = $4, attempts = $5, due_at = $6, last_error = $7, \
         external_state = coalesce($8, external_state) \
         WHERE account_id = $1 AND booking_id = $2 AND calendar_id = $3 AND version = $9 \
         AND (state = 'pending' OR $4 = 'written')",
    );
    let update = update.bind(result.account_id.as_uuid()).bind(result.booking_id.as_uuid());
    let update = update.bind(result.calendar_id.as_uuid()).bind(result.state.name()).bind(i64::from(result.attempts));
    let update = update.bind(result.due_at.as_micros()).bind(&result.last_error);
    let update = update.bind(result.external_state.map(Named::name)).bind(to_i64(result.version));
    Ok(update.execute(work).await.map_err(store_error)?.rows_affected() == 1)
}

async fn write_event(work: &mut DbConnection, result: &WritebackResult) -> Result<()> {
    let update = sqlx::query(
        "UPDATE writebacks SET written_event_id = $4, written_etag = $5, written_start_at = $6, written_end_at = $7 \
         WHERE account_id = $1 AND booking_id = $2 AND calendar_id = $3",
    );
    let (event, range) = match &result.written {
        Some((event, range)) => (Some(event), Some(range)),
        None => (None, None),
    };
    let update = update.bind(result.account_id.as_uuid()).bind(result.booking_id.as_uuid());
    let update = update.bind(result.calendar_id.as_uuid()).bind(event.map(|event| &event.provider_event_id));
    let update = update.bind(event.and_then(|event| event.etag.as_ref()));
    let update = update.bind(range.map(|range| range.start.as_micros()));
    let update = update.bind(range.map(|range| range.end.as_micros()));
    update.execute(work).await.map(drop).map_err(store_error)
}
