//! What an answer says.

use agentcal_engine::ids::UserId;
use agentcal_engine::model::BookingStatus;
use agentcal_engine::time::{TimeRange, Timestamp};
use agentcal_history::{BookingSeen, FreshnessSeen, FreshnessState, HoldSeen, Operation, Outcome, SlotSeen, SlotsSeen};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::Offered;
use crate::wire::Reply;

/// The outcome of an operation; `None`: the answer is none that this operation can have.
pub(super) fn outcome(operation: &Operation, reply: &Reply) -> Option<Outcome> {
    let status = reply.status;
    match status {
        200..300 => success(operation, reply),
        400..500 => Some(Outcome::Refused { status, code: text(&reply.body, "code")? }),
        500..600 => Some(Outcome::Failed { status, code: text(&reply.body, "code")? }),
        _ => None,
    }
}

fn success(operation: &Operation, reply: &Reply) -> Option<Outcome> {
    match operation {
        Operation::Ask { .. } => slots(&reply.body).map(Outcome::Slots),
        Operation::Hold { .. } | Operation::Extend { .. } => hold(&reply.body).map(Outcome::Hold),
        Operation::Book { .. } | Operation::Move { .. } | Operation::Cancel { .. } | Operation::Read { .. } => {
            booking(&reply.body).map(Outcome::Booking)
        }
        Operation::Release { .. } | Operation::ReleaseSession { .. } | Operation::Rehearse { .. } => {
            Some(Outcome::Done)
        }
    }
}

fn slots(body: &Value) -> Option<SlotsSeen> {
    let slots = body["slots"]
        .as_array()?
        .iter()
        .map(|slot| Some(SlotSeen { range: range(slot)?, user_ids: ids(&slot["user_ids"])? }));
    let freshness = &body["freshness"];
    let state = match freshness["state"].as_str()? {
        "complete" => FreshnessState::Complete,
        "stale" => FreshnessState::Stale,
        "partial" => FreshnessState::Partial,
        _ => FreshnessState::Unavailable,
    };
    let left_out = freshness["users"].as_array()?.iter().map(|user| user["user_id"].as_str()?.parse().ok());
    let left_out = left_out.collect::<Option<Vec<UserId>>>()?;
    let as_of = freshness["as_of"].as_str().and_then(instant);
    Some(SlotsSeen { slots: slots.collect::<Option<_>>()?, freshness: FreshnessSeen { state, as_of, left_out } })
}

fn hold(body: &Value) -> Option<HoldSeen> {
    Some(HoldSeen {
        hold_id: body["id"].as_str()?.parse().ok()?,
        range: range(body)?,
        user_ids: ids(&body["user_ids"])?,
        expires_at: instant(body["expires_at"].as_str()?)?,
    })
}

fn booking(body: &Value) -> Option<BookingSeen> {
    let status = match body["status"].as_str()? {
        // A booking completes by itself; nobody did that, so it is no change.
        "confirmed" | "completed" => BookingStatus::Confirmed,
        "cancelled" => BookingStatus::Cancelled,
        _ => return None,
    };
    Some(BookingSeen {
        booking_id: body["id"].as_str()?.parse().ok()?,
        range: range(body)?,
        user_ids: ids(&body["user_ids"])?,
        status,
        body: None,
    })
}

/// The slots of an answer, for choosing among them.
pub(super) fn offered(thing: usize, seen: &SlotsSeen, body: &Value) -> Vec<Offered> {
    let slot_ids = body["slots"].as_array().map(Vec::as_slice).unwrap_or_default().iter();
    let slot_ids = slot_ids.map(|slot| slot["slot_id"].as_str().map(str::to_owned));
    let slots = seen.slots.iter().zip(slot_ids);
    slots
        .map(|(slot, slot_id)| Offered { thing, range: slot.range, user_ids: slot.user_ids.clone(), slot_id })
        .collect()
}

fn range(body: &Value) -> Option<TimeRange> {
    TimeRange::new(instant(body["start_time"].as_str()?)?, instant(body["end_time"].as_str()?)?)
}

fn ids(value: &Value) -> Option<Vec<UserId>> {
    value.as_array()?.iter().map(|id| id.as_str()?.parse().ok()).collect()
}

fn text(body: &Value, field: &str) -> Option<String> {
    body[field].as_str().map(str::to_owned)
}

fn instant(text: &str) -> Option<Timestamp> {
    Some(DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc).into())
}
