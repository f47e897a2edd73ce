//! Jobs, for those who see to it that they are done: looked at one by one, tried again, and put away.

use agentcal_engine::ids::{JobId, OrganizationId};
use agentcal_engine::model::{Job, JobKind};
use agentcal_engine::ports::{EndpointOwner, JOB_CANCELLED, Write};
use agentcal_engine::time::Timestamp;
use uuid::Uuid;

use crate::db::DbConnection;
use crate::dead_writebacks;
use crate::error::{Result, store_error};
use crate::jobs::JobRow;
use crate::text::Named;

/// A job.
pub(crate) async fn lookup(connection: &mut DbConnection, owner: EndpointOwner, id: JobId) -> Result<Option<Job>> {
    let select = sqlx::query_as::<_, JobRow>(
        "SELECT account_id, job_id, kind, name, booking_id, state, due_at, attempts, last_outcome, created_at FROM jobs \
         WHERE job_id = $1 AND organization_id = $2 AND mode = $3",
    );
    let select = select.bind(id.as_uuid()).bind(owner.organization_id.as_uuid()).bind(owner.mode.name());
    let row = select.fetch_optional(&mut *connection).await.map_err(store_error)?;
    match row {
        Some(row) => row.into_engine().map(Some),
        None => dead_writebacks::lookup(connection, owner, id).await,
    }
}

/// Whose a job is.
pub(crate) async fn owner(connection: &mut DbConnection, id: JobId) -> Result<Option<EndpointOwner>> {
    let select = sqlx::query_as::<_, (Uuid, String)>("SELECT organization_id, mode FROM jobs WHERE job_id = $1");
    let row = select.bind(id.as_uuid()).fetch_optional(&mut *connection).await.map_err(store_error)?;
    let owner = |(id, mode): (Uuid, String)| {
        Ok(EndpointOwner { organization_id: OrganizationId::from_uuid(id), mode: Named::named(&mode)? })
    };
    match row {
        Some(row) => owner(row).map(Some),
        None => dead_writebacks::owner(connection, id).await,
    }
}

/// Makes a job that was given up due now. One whose row could not be read has nothing left to be done.
pub(crate) async fn retry(
    connection: &mut DbConnection,
    owner: EndpointOwner,
    id: JobId,
    now: Timestamp,
) -> Result<Write> {
    let update = sqlx::query(
        "UPDATE jobs SET state = 'pending', due_at = $4, attempts = 0 \
         WHERE job_id = $1 AND organization_id = $2 AND mode = $3 AND state = 'dead' AND payload <> ''",
    );
    let update = update.bind(id.as_uuid()).bind(owner.organization_id.as_uuid()).bind(owner.mode.name());
    let done = update.bind(now.as_micros()).execute(&mut *connection).await.map_err(store_error)?;
    if done.rows_affected() == 1 {
        return Ok(Write::Done);
    }
    match lookup(connection, owner, id).await?.map(|job| job.kind) {
        None => Ok(Write::Missing),
        Some(JobKind::Writeback) => dead_writebacks::retry(connection, owner, id, now).await,
        Some(_) => Ok(Write::Refused("job_not_dead")),
    }
}

/// Ends a job that was not done.
pub(crate) async fn cancel(
    connection: &mut DbConnection,
    owner: EndpointOwner,
    id: JobId,
    now: Timestamp,
) -> Result<Write> {
    let update = sqlx::query(
        "UPDATE jobs SET state = 'done', due_at = $4, last_outcome = $5, payload = '' \
         WHERE job_id = $1 AND organization_id = $2 AND mode = $3 AND state <> 'done'",
    );
    let update = update.bind(id.as_uuid()).bind(owner.organization_id.as_uuid()).bind(owner.mode.name());
    let update = update.bind(now.as_micros()).bind(JOB_CANCELLED);
    let done = update.execute(&mut *connection).await.map_err(store_error)?;
    if done.rows_affected() == 1 {
        return Ok(Write::Done);
    }
    match lookup(connection, owner, id).await?.map(|job| job.kind) {
        None => Ok(Write::Missing),
        Some(JobKind::Writeback) => dead_writebacks::cancel(connection, owner, id, now).await,
        Some(_) => Ok(Write::Done),
    }
}
