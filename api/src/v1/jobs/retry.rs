use agentcal_engine::ids::JobId;
use agentcal_engine::model::{Job, JobState};

use super::answer;
use super::view::JobView;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::{NamedParam, PathId, Query};
use crate::idempotency::{Settled, keep};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Try a job again that was given up, at once.
///
/// It has as many tries as at first. One that is pending is tried by itself, and what is done stays done: 409 `job_not_dead`.
#[utoipa::path(
    post, path = "/v1/jobs/{job_id}/retry", tag = "jobs", params(("job_id" = String, Path)),
    responses((status = 200, description = "The job", body = JobView))
)]
pub(super) async fn retry_job(
    caller: Caller,
    PathId(job_id): PathId<JobId>,
    _: Query<NoQuery>,
) -> Result<Answer<JobView>, ApiError> {
    let key = caller.idempotency(&());
    if let Some(kept) = caller.replay(key.as_ref()).await? {
        return Ok(answer(kept));
    }
    let job = caller.job(job_id).await?;
    let now = caller.app.parts.scheduler.store_now().await;
    let view = JobView::from(Job { state: JobState::Pending, due_at: now, attempts: 0, ..job });
    let kept = keep(key, &view)?;
    let write = caller.jobs()?.retry_job(caller.endpoint_owner(), job_id, kept.as_ref()).await?;
    Settled::of(write, view, JobId::KIND).map(answer)
}
