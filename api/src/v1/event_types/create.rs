use agentcal_engine::ids::EventTypeId;
use agentcal_engine::model::{AttendeePolicy, BufferMode, EventType, FollowUp, OnStale, SchedulingMode};
use agentcal_engine::ports::AccountConfig;
use http::StatusCode;

use super::EventTypeView;
use super::body::NewEventType;
use crate::caller::Cx;
use crate::checks::Checks;
use crate::error::ApiError;
use crate::extract::{Body, Query};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;
use crate::v1::wire::zone_of;

/// Days a new event type can be booked ahead.
const WINDOW_DAYS_DEFAULT: u32 = 60;

/// Make an event type.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/event-types", tag = "event types", params(("account_id" = String, Path)),
    request_body = NewEventType, responses((status = 201, description = "The event type", body = EventTypeView))
)]
pub(super) async fn create_event_type(
    cx: Cx,
    _: Query<NoQuery>,
    Body(body): Body<NewEventType>,
) -> Result<Answer<EventTypeView>, ApiError> {
    let zone = zone_of(&cx.config().await?.account);
    let blank = blank(&cx);
    let settled = cx
        .write_config(
            cx.idempotency(&body),
            |config| read(&body, blank.clone(), config),
            |pen, event_type| pen.store.create_event_type(&pen.cx.tenant, event_type, pen.answer),
        )
        .await?;
    Ok(Answer::settled(StatusCode::CREATED, settled, |event_type| EventTypeView::of(event_type, zone)))
}

fn read(body: &NewEventType, mut event_type: EventType, config: &AccountConfig) -> Result<EventType, ApiError> {
    let mut checks = Checks::default();
    body.fill(&mut event_type, config, &mut checks);
    checks.finish().map(|()| event_type)
}

fn blank(cx: &Cx) -> EventType {
    let now = cx.app.now();
    EventType {
        id: EventTypeId::mint(now, cx.app.parts.entropy.as_ref()),
        account_id: cx.account_id(),
        name: String::new(),
        slug: String::new(),
        duration_minutes: 0,
        slot_interval_minutes: 0,
        buffer_before_minutes: 0,
        buffer_after_minutes: 0,
        buffer_mode: BufferMode::Larger,
        min_notice_hours: 0,
        booking_window_days: WINDOW_DAYS_DEFAULT,
        max_bookings_per_day: None,
        user_ids: Vec::new(),
        scheduling_mode: SchedulingMode::Individual,
        public: false,
        location: None,
        require_slot_id: false,
        conference: None,
        on_stale: OnStale::Verify,
        attendee_policy: AttendeePolicy::default(),
        follow_up: FollowUp::default(),
        created_at: now,
    }
}
