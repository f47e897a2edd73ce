//! Jobs: what follows from bookings and is due at a time, for those who see to it that it is done.

mod cancel;
mod get;
mod list;
mod retry;
mod view;

use agentcal_engine::ids::JobId;
use agentcal_engine::model::Job;
use agentcal_engine::ports::{JobStore, Write};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::view::JobView;
use crate::app::AppState;
use crate::caller::Caller;
use crate::error::{ApiError, Code};
use crate::extract::NamedParam;
use crate::idempotency::{Settled, mismatch, read_kept};
use crate::refusals::{of_refused_write, store_unavailable};
use crate::v1::answer::Answer;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list::list_jobs))
        .routes(routes!(get::get_job))
        .routes(routes!(retry::retry_job))
        .routes(routes!(cancel::cancel_job))
}

impl Caller {
    fn jobs(&self) -> Result<&dyn JobStore, ApiError> {
        let jobs = self.app.parts.jobs.as_deref();
        jobs.ok_or_else(|| ApiError::new(Code::NotReady, "this node knows nothing of jobs"))
    }

    async fn job(&self, id: JobId) -> Result<Job, ApiError> {
        let found = self.jobs()?.job(self.endpoint_owner(), id).await?;
        found.ok_or_else(|| ApiError::not_found(JobId::KIND))
    }
}

/// What a write to a job came to; `view` is the job after it.
fn settled(write: Write, view: JobView) -> Result<Settled<JobView>, ApiError> {
    match write {
        Write::Done => Ok(Settled { value: view, replayed: false }),
        Write::Replayed(kept) => read_kept(&kept),
        Write::IdempotencyMismatch => Err(mismatch()),
        Write::Missing => Err(ApiError::not_found(JobId::KIND)),
        Write::Refused(reason) => Err(of_refused_write(reason)),
        Write::Stale => Err(store_unavailable()),
    }
}

fn answer(settled: Settled<JobView>) -> Answer<JobView> {
    Answer::settled(StatusCode::OK, settled, |view| view)
}
