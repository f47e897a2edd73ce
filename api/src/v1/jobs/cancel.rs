use agentcal_engine::ids::JobId;
use agentcal_engine::model::{Job, JobState};
use agentcal_engine::ports::JOB_CANCELLED;

use super::answer;
use super::view::JobView;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::{NamedParam, PathId, Query};
use crate::idempotency::{Settled, keep};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Cancel a job, so that it is not done any more.
///
/// One that is being done at this moment may still be done. What was done stays so; what was given up is put away.
#[utoipa::path(
    post, path = "/v1/jobs/{job_id}/cancel", tag = "jobs", params(("job_id" = String, Path)),
    responses((status = 200, description = "The job", body = JobView))
)]
pub(super) async fn cancel_job(
    caller: Caller,
    PathId(job_id): PathId<JobId>,
    _: Query<NoQuery>,
) -> Result<Answer<JobView>, ApiError> {
    let key = caller.idempotency(&());
    if let Some(kept) = caller.replay(key.as_ref()).await? {
        return Ok(answer(kept));
    }
    let job = caller.job(job_id).await?;
    let view = JobView::from(match job.state {
        JobState::Done => job,
        JobState::Pending | JobState::Dead => {
            Job { state: JobState::Done, last_outcome: Some(JOB_CANCELLED.to_owned()), ..job }
        }
    });
    let kept = keep(key, &view)?;
    let write = caller.jobs()?.cancel_job(caller.endpoint_owner(), job_id, kept.as_ref()).await?;
    Settled::of(write, view, JobId::KIND).map(answer)
}
