//! Jobs: what follows from bookings and is due at a time, for those who see to it that it is done.

mod cancel;
mod get;
mod list;
mod retry;
mod view;

use crate::extract::NamedParam;
use agentcal_engine::ids::JobId;
use agentcal_engine::model::Job;
use agentcal_engine::ports::JobStore;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::view::JobView;
use crate::app::AppState;
use crate::caller::Caller;
use crate::error::{ApiError, Code};
use crate::idempotency::Settled;
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

fn answer(settled: Settled<JobView>) -> Answer<JobView> {
    Answer::settled(StatusCode::OK, settled, |view| view)
}
