use std::time::Duration;

use agentcal_actors::metrics::{AVAILABILITY_LATENCY, FRESHNESS_AGE};
use agentcal_engine::decision::{Host, Question, SlotSearch, Terms, next_available, slots};
use agentcal_engine::facts::UnknownReason;
use agentcal_engine::ids::{EventTypeId, UserId};
use agentcal_engine::model::SchedulingMode;
use agentcal_engine::ports::AccountConfig;
use agentcal_engine::time::Timestamp;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde_json::json;
use tokio::time::Instant;

use super::freshness::{Staleness, reason_name};
use super::query::{Asked, AvailabilityQuery, Plan};
use super::render::Answered;
use super::{Availability, FreshnessState};
use crate::caller::PublicCx;
use crate::error::{ApiError, Code};
use crate::extract::{NamedParam, Query};

/// When to ask again after nothing was known.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Read when somebody can be booked.
///
/// Publishable keys may ask about public event types.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/availability", tag = "availability",
    params(("account_id" = String, Path), AvailabilityQuery),
    responses((status = 200, description = "Bookable times", body = Availability))
)]
pub(super) async fn get_availability(
    cx: PublicCx,
    Query(query): Query<AvailabilityQuery>,
) -> Result<Response, ApiError> {
    let begun = Instant::now();
    let asked = query.read()?;
    let config = cx.unchecked().config().await?;
    cx.open(asked.subject.event_type(&config).map(|(event_type, _)| event_type))?;
    let plan = asked.plan(&config)?;
    let answer = answer(&cx, &config, &asked, &plan, begun).await;
    let outcome = answer.as_ref().map_or(FreshnessState::Unavailable, |(state, _)| *state);
    metrics::histogram!(AVAILABILITY_LATENCY, "outcome" => outcome.as_str()).record(begun.elapsed().as_secs_f64());
    answer.map(|(_, body)| ([(CONTENT_TYPE, "application/json")], body).into_response())
}

async fn answer(
    cx: &PublicCx,
    config: &AccountConfig,
    asked: &Asked,
    plan: &Plan,
    begun: Instant,
) -> Result<(FreshnessState, Vec<u8>), ApiError> {
    let app = &cx.unchecked().app;
    let subject = &plan.subject;
    let staleness = Staleness { scheduler: &app.parts.scheduler, config, asked: asked.subject.max_staleness };
    let now = app.parts.scheduler.store_now().await;
    let deadline = asked.subject.deadline.unwrap_or(app.parts.settings.facts_deadline).saturating_sub(begun.elapsed());
    let hosts = staleness.hosts(&subject.user_ids, deadline).await;
    let question = Question { terms: &subject.terms, hosts: &hosts, now, ignoring: None };
    let found = plan.range.map_or_else(SlotSearch::default, |range| slots(&question, range, asked.limit));
    refuse_unknown(&subject.terms, &hosts, &found.unknown)?;
    let offering = app.offers.offering(config, subject.meeting);
    let slot_ids = offering.and_then(|offering| offering.slot_ids(&hosts, now));
    let slot_ids = slot_ids.ok_or_else(|| ApiError::not_found(EventTypeId::KIND))?;
    let basis = staleness.judge(&hosts, &found.unknown, now);
    metrics::histogram!(FRESHNESS_AGE).record(now.saturating_since(basis.as_of).as_secs_f64());
    let state = basis.state;
    let answered = Answered {
        event_type_id: asked.subject.event_type_id,
        zone: subject.zone,
        hosts: &hosts,
        next_available: first_after(&question, plan, &found, now),
        slots: &found.slots,
        slot_ids: &slot_ids,
        unknown: &found.unknown,
        basis,
    };
    Ok((state, answered.to_json()))
}

/// Unknown is never free, and never an empty list: with nobody left, or one unknown host of a collective, there is no
/// answer.
fn refuse_unknown(terms: &Terms, hosts: &[Host], unknown: &[(UserId, UnknownReason)]) -> Result<(), ApiError> {
    let collective = terms.scheduling_mode == SchedulingMode::Collective;
    if unknown.is_empty() || (!collective && unknown.len() < hosts.len()) {
        return Ok(());
    }
    let users: Vec<_> = unknown
        .iter()
        .map(|(user_id, reason)| json!({"user_id": user_id.to_string(), "reason": reason_name(*reason)}))
        .collect();
    let detail = "what is busy is not known at present; `freshness.users` says of whom and why; repeat the request";
    Err(ApiError::new(Code::AvailabilityUnavailable, detail)
        .retry_after(RETRY_AFTER)
        .with("freshness", json!({"state": "unavailable", "as_of": null, "users": users})))
}

fn first_after(question: &Question<'_>, plan: &Plan, found: &SlotSearch, now: Timestamp) -> Option<Timestamp> {
    if !found.slots.is_empty() {
        return None;
    }
    next_available(question, plan.range.map_or(now, |range| range.end))
}
