use agentcal_engine::decision::{Question, choose_hosts, explain};
use agentcal_engine::facts::UnknownReason;
use agentcal_engine::ids::UserId;
use agentcal_engine::time::Timestamp;
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::IntoParams;

use super::explanation::{Explained, ExplanationView};
use super::freshness::Staleness;
use super::subject::{Subject, SubjectTexts};
use crate::caller::Cx;
use crate::checks::Checks;
use crate::error::ApiError;
use crate::extract::Query;
use crate::v1::answer::Answer;

/// Which instant, for whom.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExplainQuery {
    /// The start to explain.
    #[param(required = true, value_type = String, format = DateTime, example = "2026-12-01T09:00:00+01:00")]
    at: Option<String>,
    /// What to book. Without it: `user_id` and `duration_minutes`.
    event_type_id: Option<String>,
    /// Whom to book: one of the event type's hosts, or, without an event type, any user.
    user_id: Option<String>,
    /// Length of the meeting, without an event type.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1440)]
    duration_minutes: Option<String>,
    /// IANA zone of the answer; by default the user's where one is named, else the account's, else UTC.
    #[param(example = "Europe/Berlin")]
    timezone: Option<String>,
    /// How old facts may be before they are renewed first, and called stale where that fails; by default two polls or,
    /// where the provider rings, seven hours.
    #[param(value_type = Option<u32>, minimum = 0, maximum = 86400000)]
    max_staleness_ms: Option<String>,
    /// How long to wait for facts that are missing or too old. Whoever is not known by then is unknown.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 20000)]
    deadline_ms: Option<String>,
}

/// Explain why an instant is, or is not, bookable.
///
/// Every rule that speaks for or against it, for every person, with the age of the facts. The same decision as of
/// availability, holds and bookings. Tells when somebody is busy, never with what. For secret keys.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/availability/explain", tag = "availability",
    params(("account_id" = String, Path), ExplainQuery),
    responses((status = 200, description = "What speaks for and against the instant", body = ExplanationView))
)]
pub(super) async fn explain_availability(
    cx: Cx,
    Query(query): Query<ExplainQuery>,
) -> Result<Answer<ExplanationView>, ApiError> {
    let begun = Instant::now();
    let (at, subject) = query.read()?;
    let config = cx.config().await?;
    let plan = subject.plan(&config)?;
    let parts = &cx.app.parts;
    let now = parts.scheduler.store_now().await;
    let staleness = Staleness { scheduler: &parts.scheduler, config: &config, asked: subject.max_staleness };
    let deadline = subject.deadline.unwrap_or(parts.settings.facts_deadline).saturating_sub(begun.elapsed());
    let hosts = staleness.hosts(&plan.user_ids, deadline).await;
    let question = Question { terms: &plan.terms, hosts: &hosts, now, ignoring: None };
    let explanation = explain(&question, at);
    let decision = explanation.decision();
    let unknown: Vec<(UserId, UnknownReason)> =
        decision.verdicts.iter().filter_map(|verdict| Some((verdict.user_id, verdict.unknown()?))).collect();
    let explained = Explained {
        event_type_id: subject.event_type_id,
        zone: plan.zone,
        bookable: choose_hosts(plan.terms.scheduling_mode, &decision, &Default::default()).is_some(),
        basis: staleness.judge(&hosts, &unknown, now),
        unknown: &unknown,
        everybody: hosts.len(),
        now,
    };
    Ok(Answer::ok(explained.view(&explanation)))
}

impl ExplainQuery {
    fn read(&self) -> Result<(Timestamp, Subject), ApiError> {
        let mut checks = Checks::default();
        let at = self.at.as_ref().map(|at| checks.query_instant("at", at));
        if at.is_none() {
            checks.required("at");
        }
        let texts = SubjectTexts {
            event_type_id: self.event_type_id.as_deref(),
            user_id: self.user_id.as_deref(),
            duration_minutes: self.duration_minutes.as_deref(),
            timezone: self.timezone.as_deref(),
            max_staleness_ms: self.max_staleness_ms.as_deref(),
            deadline_ms: self.deadline_ms.as_deref(),
        };
        let subject = texts.read(&mut checks);
        checks.finish()?;
        Ok((at.unwrap_or(Timestamp::EARLIEST), subject))
    }
}
