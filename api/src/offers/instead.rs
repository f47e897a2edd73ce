//! What to offer instead: of a slot id that does not count, and of a time that is taken.

use agentcal_actors::Freshness;
use agentcal_engine::calendar::ask::event_type_in;
use agentcal_engine::calendar::request::{ALTERNATIVES_MAX, Alternative, Meeting};
use agentcal_engine::decision::{Question, Slot, Terms, alternatives};
use agentcal_engine::ids::UserId;
use agentcal_engine::ports::AccountConfig;
use agentcal_engine::time::{DAY_US, TimeRange, Timestamp};
use chrono_tz::Tz;
use serde_json::{Value, json};

use super::{OfferFault, Offering};
use crate::caller::Cx;
use crate::error::{ApiError, Code, FieldCode, FieldError};
use crate::instant::rfc3339;

/// The refusal of a slot id: which of the two faults it has, and fresh slots near the time it was about.
pub(crate) async fn refused_offer(
    cx: &Cx,
    config: &AccountConfig,
    fault: &OfferFault,
    zone: Tz,
    store_now: Timestamp,
) -> ApiError {
    let (code, field_code, detail) = if fault.expired {
        (Code::SlotIdExpired, FieldCode::Expired, "was offered too long ago; offer one of the `alternatives`")
    } else {
        let detail = "was not offered for this meeting on its present terms; offer one of the `alternatives`";
        (Code::SlotIdInvalid, FieldCode::NotOffered, detail)
    };
    let fresh = match fault.meeting {
        Some(meeting) => {
            let slots = slots_near(cx, config, meeting, fault.start, store_now).await;
            rendered_alternatives(cx, config, meeting, &slots, zone, store_now)
        }
        None => Value::Array(Vec::new()),
    };
    ApiError::of_fields(code, vec![FieldError::new("slot_id", field_code, detail)]).with("alternatives", fresh)
}

/// Fresh slots of a meeting near a time, rendered; none where the meeting is no more.
pub(crate) async fn fresh_slots(
    cx: &Cx,
    config: &AccountConfig,
    meeting: Meeting,
    start: Option<Timestamp>,
    zone: Tz,
) -> Value {
    let store_now = cx.app.parts.scheduler.store_now().await;
    let slots = slots_near(cx, config, meeting, start, store_now).await;
    rendered_alternatives(cx, config, meeting, &slots, zone, store_now)
}

/// Alternatives as slots of an availability answer, each with its slot id; that is null where the meeting is no more, or
/// one of the hosts is none of it.
pub(crate) fn rendered_alternatives(
    cx: &Cx,
    config: &AccountConfig,
    meeting: Meeting,
    alternatives: &[Alternative],
    zone: Tz,
    store_now: Timestamp,
) -> Value {
    let offering = cx.app.offers.offering(config, meeting);
    alternatives.iter().map(|slot| rendered(slot, offering.as_deref(), zone, store_now)).collect()
}

fn rendered(slot: &Alternative, offering: Option<&Offering>, zone: Tz, store_now: Timestamp) -> Value {
    json!({
        "start_time": rfc3339(slot.start, zone),
        "end_time": rfc3339(slot.end, zone),
        "user_ids": slot.user_ids.iter().map(UserId::to_string).collect::<Vec<_>>(),
        "slot_id": offering.and_then(|offering| offering.slot_id(slot.start, &slot.user_ids, store_now)),
    })
}

/// Bookable slots near a time, or from now on where that is not known or cannot be meant.
async fn slots_near(
    cx: &Cx,
    config: &AccountConfig,
    meeting: Meeting,
    start: Option<Timestamp>,
    store_now: Timestamp,
) -> Vec<Alternative> {
    let Some((terms, user_ids)) = terms_of(config, meeting) else { return Vec::new() };
    let parts = &cx.app.parts;
    let need = Freshness { max_age: None, deadline: parts.settings.facts_deadline };
    let hosts = parts.scheduler.hosts(config, &user_ids, need).await;
    let question = Question { terms: &terms, hosts: &hosts, now: store_now, ignoring: None };
    let last = store_now.plus_micros(i64::from(terms.booking_window_days) * DAY_US);
    let start = start.filter(|start| (store_now..=last).contains(start)).unwrap_or(store_now);
    // A microsecond ahead of it, since the very time it was about may be offered again.
    let near = TimeRange { start: start.plus_micros(-1), end: start };
    let alternative = |slot: Slot| Alternative {
        start: slot.start,
        end: slot.end,
        user_ids: slot.hosts.iter().filter_map(|index| hosts.get(index)).map(|host| host.user.id).collect(),
    };
    alternatives(&question, near, ALTERNATIVES_MAX).into_iter().map(alternative).collect()
}

fn terms_of(config: &AccountConfig, meeting: Meeting) -> Option<(Terms, Vec<UserId>)> {
    match meeting {
        Meeting::EventType(id) => {
            let (event_type, rules) = event_type_in(config, id)?;
            Some((Terms::of_event_type(event_type, rules.clone()), event_type.user_ids.clone()))
        }
        Meeting::AdHoc(meeting) => Some((Terms::ad_hoc(meeting.duration_minutes), vec![meeting.user_id])),
    }
}
