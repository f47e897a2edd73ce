use agentcal_engine::ids::JobId;

use super::view::JobView;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::{PathId, Query};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Get a job.
#[utoipa::path(
    get, path = "/v1/jobs/{job_id}", tag = "jobs", params(("job_id" = String, Path)),
    responses((status = 200, description = "The job", body = JobView))
)]
pub(super) async fn get_job(
    caller: Caller,
    PathId(job_id): PathId<JobId>,
    _: Query<NoQuery>,
) -> Result<Answer<JobView>, ApiError> {
    Ok(Answer::ok(caller.job(job_id).await?.into()))
}
