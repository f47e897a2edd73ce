//! Writebacks that were given up, as jobs: listed with the others, tried again and put away. They stay rows of the outbox.

use agentcal_engine::ids::{AccountId, CalendarId, JobId, OrganizationId};
use agentcal_engine::model::{Job, JobState, WritebackState};
use agentcal_engine::ports::{EndpointOwner, JOB_CANCELLED, PageRequest, Write, WritebackResult};
use agentcal_engine::time::Timestamp;
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::db::{Db, DbConnection};
use crate::error::{Result, store_error};
use crate::events::Moment;
use crate::jobs::JobRow;
use crate::rows::{before, probe};
use crate::text::Named;
use crate::writeback::has_calendar;
use crate::{locks, revisions};

/// A writeback as a job.
const COLUMNS: &str = "SELECT account_id, job_id, 'writeback' AS kind, 'writeback' AS name, booking_id, \
     CASE WHEN state = 'pending' THEN 'pending' WHEN state = 'failed' AND put_away_at IS NULL THEN 'dead' ELSE 'done' END \
     AS state, due_at, attempts, last_error AS last_outcome, given_up_at AS created_at FROM writebacks";

/// Makes a job of a writeback that was just given up.
pub(crate) async fn note(work: &mut DbConnection, result: &WritebackResult, moment: Moment<'_>) -> Result<()> {
    let update = sqlx::query(
        "UPDATE writebacks SET job_id = coalesce(job_id, $4), given_up_at = $5, put_away_at = NULL, \
         organization_id = (SELECT organization_id FROM accounts AS a WHERE a.account_id = $1), \
         mode = (SELECT mode FROM accounts AS a WHERE a.account_id = $1) \
         WHERE account_id = $1 AND booking_id = $2 AND calendar_id = $3",
    );
    let update = update.bind(result.account_id.as_uuid()).bind(result.booking_id.as_uuid());
    let update = update.bind(result.calendar_id.as_uuid()).bind(JobId::mint(moment.now, moment.entropy).as_uuid());
    update.bind(moment.now.as_micros()).execute(work).await.map(drop).map_err(store_error)
}

/// Those of an organization and mode, newest first, all or in a state; one more than a page.
pub(crate) async fn list(
    reader: &mut DbConnection,
    owner: EndpointOwner,
    state: Option<JobState>,
    page: &PageRequest,
) -> Result<Vec<JobRow>> {
    let mut select = QueryBuilder::<Db>::new(COLUMNS);
    select.push(" WHERE job_id IS NOT NULL AND organization_id = ").push_bind(owner.organization_id.as_uuid());
    select.push(" AND mode = ").push_bind(owner.mode.name());
    select.push(match state {
        None => "",
        Some(JobState::Pending) => " AND state = 'pending'",
        Some(JobState::Dead) => " AND state = 'failed' AND put_away_at IS NULL",
        Some(JobState::Done) => " AND (state = 'written' OR (state = 'failed' AND put_away_at IS NOT NULL))",
    });
    let (created_at, job_id) = before(page);
    select.push(" AND (given_up_at, job_id) < (").push_bind(created_at).push(", ").push_bind(job_id);
    select.push(") ORDER BY given_up_at DESC, job_id DESC LIMIT ").push_bind(probe(page));
    select.build_query_as().fetch_all(reader).await.map_err(store_error)
}

/// One of them.
pub(crate) async fn lookup(connection: &mut DbConnection, owner: EndpointOwner, id: JobId) -> Result<Option<Job>> {
    let mut select = QueryBuilder::<Db>::new(COLUMNS);
    select.push(" WHERE job_id = ").push_bind(id.as_uuid());
    select.push(" AND organization_id = ").push_bind(owner.organization_id.as_uuid());
    select.push(" AND mode = ").push_bind(owner.mode.name());
    let row: Option<JobRow> = select.build_query_as().fetch_optional(connection).await.map_err(store_error)?;
    row.map(JobRow::into_engine).transpose()
}

/// Whose one is.
pub(crate) async fn owner(connection: &mut DbConnection, id: JobId) -> Result<Option<EndpointOwner>> {
    let select = sqlx::query_as::<_, (Uuid, String)>("SELECT organization_id, mode FROM writebacks WHERE job_id = $1");
    let row = select.bind(id.as_uuid()).fetch_optional(connection).await.map_err(store_error)?;
    let owner = |(id, mode): (Uuid, String)| {
        Ok(EndpointOwner { organization_id: OrganizationId::from_uuid(id), mode: Named::named(&mode)? })
    };
    row.map(owner).transpose()
}

/// Makes one that was given up due now, with as many tries as at first. A calendar that is gone can be written no more.
pub(crate) async fn retry(
    connection: &mut DbConnection,
    owner: EndpointOwner,
    id: JobId,
    now: Timestamp,
) -> Result<Write> {
    let Some(held) = Held::of(connection, owner, id).await? else { return Ok(Write::Missing) };
    let is_dead = held.state == WritebackState::Failed && !held.is_put_away;
    if !is_dead || !has_calendar(connection, held.account_id, held.calendar_id).await? {
        return Ok(Write::Refused("job_not_dead"));
    }
    let update = sqlx::query("UPDATE writebacks SET state = 'pending', attempts = 0, due_at = $2 WHERE job_id = $1");
    let update = update.bind(id.as_uuid()).bind(now.as_micros());
    update.execute(&mut *connection).await.map_err(store_error)?;
    held.tell_echo(connection).await
}

/// Ends one that was not written: nobody tries it any more, until its booking changes.
pub(crate) async fn cancel(
    connection: &mut DbConnection,
    owner: EndpointOwner,
    id: JobId,
    now: Timestamp,
) -> Result<Write> {
    let Some(held) = Held::of(connection, owner, id).await? else { return Ok(Write::Missing) };
    if held.state == WritebackState::Written || (held.state == WritebackState::Failed && held.is_put_away) {
        return Ok(Write::Done);
    }
    let update = sqlx::query(
        "UPDATE writebacks SET state = 'failed', last_error = $2, put_away_at = $3, due_at = $3 WHERE job_id = $1",
    );
    let update = update.bind(id.as_uuid()).bind(JOB_CANCELLED).bind(now.as_micros());
    update.execute(&mut *connection).await.map_err(store_error)?;
    match held.state {
        WritebackState::Pending => held.tell_echo(connection).await,
        WritebackState::Failed | WritebackState::Written => Ok(Write::Done),
    }
}

/// A writeback that stands as it is to the end, with its calendar's revision.
struct Held {
    account_id: AccountId,
    calendar_id: CalendarId,
    state: WritebackState,
    is_put_away: bool,
    /// Its event is shown in the calendar, as it last was written.
    is_shown: bool,
}

#[derive(sqlx::FromRow)]
struct HeldRow {
    state: String,
    put_away_at: Option<i64>,
    written_start_at: Option<i64>,
}

impl Held {
    async fn of(connection: &mut DbConnection, owner: EndpointOwner, id: JobId) -> Result<Option<Self>> {
        let select = sqlx::query_as::<_, (Uuid, Uuid)>(
            "SELECT account_id, calendar_id FROM writebacks WHERE job_id = $1 AND organization_id = $2 AND mode = $3",
        );
        let select = select.bind(id.as_uuid()).bind(owner.organization_id.as_uuid()).bind(owner.mode.name());
        let row = select.fetch_optional(&mut *connection).await.map_err(store_error)?;
        let Some((account_id, calendar_id)) = row else { return Ok(None) };
        let (account_id, calendar_id) = (AccountId::from_uuid(account_id), CalendarId::from_uuid(calendar_id));
        // Whoever keeps a result holds the same, so what is read now stays.
        locks::calendar(connection, account_id, calendar_id).await?;
        let select = sqlx::query_as::<_, HeldRow>(
            "SELECT state, put_away_at, written_start_at FROM writebacks WHERE job_id = $1",
        );
        let row = select.bind(id.as_uuid()).fetch_optional(connection).await.map_err(store_error)?;
        let held = |row: HeldRow| {
            let (is_put_away, is_shown) = (row.put_away_at.is_some(), row.written_start_at.is_some());
            Ok(Self { account_id, calendar_id, state: Named::named(&row.state)?, is_put_away, is_shown })
        };
        row.map(held).transpose()
    }

    /// A calendar's facts tell where a booking that waits was last written, and so change when it begins or ends to wait.
    async fn tell_echo(&self, connection: &mut DbConnection) -> Result<Write> {
        if self.is_shown {
            revisions::raise_calendar(connection, self.account_id, self.calendar_id).await?;
        }
        Ok(Write::Done)
    }
}
