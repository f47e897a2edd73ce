use agentcal_engine::model::{JobKind, JobState};
use agentcal_engine::ports::PageRequest;
use serde::Deserialize;
use utoipa::IntoParams;

use super::view::{JobView, KindWire, StateWire};
use crate::caller::Caller;
use crate::checks::Checks;
use crate::error::ApiError;
use crate::extract::Query;
use crate::page::{List, page_request};
use crate::v1::answer::Answer;

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JobsQuery {
    /// Where they stand.
    #[param(value_type = Option<StateWire>, inline)]
    state: Option<String>,
    /// What is to be done.
    #[param(value_type = Option<KindWire>, inline)]
    kind: Option<String>,
    /// Most rows of the page, 1 to 100; 20 when left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List jobs, newest first.
///
/// Mails, reminders and ends of bookings in accounts of the key's mode, notices to the organization, and writebacks that were
/// given up. What was given up is `dead`. Jobs that ended are kept for 30 days, writebacks for as long as their booking.
/// Deliveries to webhooks have routes of their own.
#[utoipa::path(
    get, path = "/v1/jobs", tag = "jobs", params(JobsQuery),
    responses((status = 200, description = "A page of jobs", body = List<JobView>))
)]
pub(super) async fn list_jobs(
    caller: Caller,
    Query(query): Query<JobsQuery>,
) -> Result<Answer<List<JobView>>, ApiError> {
    let (kind, state, page) = query.read()?;
    let rows = caller.jobs()?.list_jobs(caller.endpoint_owner(), kind, state, &page).await?;
    Ok(Answer::ok(List::of(rows, JobView::from)))
}

impl JobsQuery {
    fn read(&self) -> Result<(Option<JobKind>, Option<JobState>, PageRequest), ApiError> {
        let mut checks = Checks::default();
        let page = page_request(&mut checks, self.limit.as_deref(), self.cursor.as_deref());
        let state = self.state.as_deref().and_then(|text| match text {
            "pending" => Some(JobState::Pending),
            "done" => Some(JobState::Done),
            "dead" => Some(JobState::Dead),
            _ => {
                checks.unreadable("state", "must be `pending`, `done` or `dead`");
                None
            }
        });
        let kind = self.kind.as_deref().and_then(|text| {
            let found = JobKind::ALL.into_iter().find(|kind| kind.as_str() == text);
            if found.is_none() {
                checks.unreadable("kind", "must be `mail`, `notice`, `reminder`, `completed` or `writeback`");
            }
            found
        });
        checks.finish().map(|()| (kind, state, page))
    }
}
