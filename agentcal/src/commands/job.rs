//! `agentcal job`

use std::process::ExitCode;

use agentcal_engine::ids::JobId;
use agentcal_engine::model::{Job, JobState};
use agentcal_engine::ports::{EndpointOwner, JobStore, PageRequest, Write};

use super::{CommandResult, Surroundings, say, store};
use crate::cli::{JobCommand, JobFilter, StoreArgs};

/// Jobs that are asked of the store at once.
const PAGE: u32 = 100;

pub(super) async fn run(surroundings: &Surroundings, command: JobCommand) -> CommandResult {
    match command {
        JobCommand::List { filter, store } => list(surroundings, &filter, &store).await,
        JobCommand::Retry { id, store } => change(surroundings, id, Change::Retry, &store).await,
        JobCommand::Cancel { id, store } => change(surroundings, id, Change::Cancel, &store).await,
    }
}

async fn list(surroundings: &Surroundings, filter: &JobFilter, args: &StoreArgs) -> CommandResult {
    let store = store::open_current(surroundings, args).await?;
    let owner = EndpointOwner { organization_id: filter.organization, mode: filter.mode.into() };
    let (kind, state) = (filter.kind.map(Into::into), filter.state.map(Into::into));
    let jobs = store.jobs();
    let (mut left, mut after) = (filter.limit, None);
    while left > 0 {
        let page = jobs.list_jobs(owner, kind, state, &PageRequest { limit: left.min(PAGE), after }).await?;
        for job in &page.rows {
            say(line(job))?;
        }
        left -= left.min(PAGE);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

#[derive(Clone, Copy)]
enum Change {
    Retry,
    Cancel,
}

async fn change(surroundings: &Surroundings, id: JobId, change: Change, args: &StoreArgs) -> CommandResult {
    let store = store::open_current(surroundings, args).await?;
    let said = changed(&*store.jobs(), id, change).await;
    store.close().await;
    say(said?)?;
    Ok(ExitCode::SUCCESS)
}

async fn changed(jobs: &dyn JobStore, id: JobId, change: Change) -> Result<String, Box<dyn std::error::Error>> {
    let owner = jobs.owner_of_job(id).await?;
    let owner = owner.ok_or_else(|| format!("there is no job {id}; see `agentcal job list`"))?;
    let (write, done) = match change {
        Change::Retry => (jobs.retry_job(owner, id, None).await?, "is due now, and has as many tries as at first"),
        Change::Cancel => (jobs.cancel_job(owner, id, None).await?, "is not done any more"),
    };
    match write {
        Write::Done => Ok(format!("{id} {done}")),
        Write::Refused(_) => Err(format!("{id} was not given up, so there is nothing to try again").into()),
        _ => Err(format!("{id} is gone by now").into()),
    }
}

fn line(job: &Job) -> String {
    let state = match job.state {
        JobState::Pending => "pending",
        JobState::Done => "done",
        JobState::Dead => "dead",
    };
    let due = job.due_at.to_utc().format("%Y-%m-%dT%H:%M:%SZ");
    let outcome = job.last_outcome.as_deref().unwrap_or("not tried yet");
    let (kind, booking) = (job.kind.as_str(), job.booking_id.map_or("-".to_owned(), |id| id.to_string()));
    format!("{}  {kind}  {state}  {due}  {}  {booking}  {}  {outcome}", job.id, job.attempts, job.account_id)
}
