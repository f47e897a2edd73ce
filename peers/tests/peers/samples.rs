//! Requests, answers and facts of every kind.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::request::{
    Alternative, BookRequest, ChangedBy, Choice, CommitAnswer, CommitKind, CommitRequest, ConfirmRequest, HoldRequest,
    HoldSelection, Intent, Made, Meeting, Refusal, Rejection, UnavailableReason,
};
use agentcal_engine::commit::{HoldLimit, IdempotencyKey};
use agentcal_engine::decision::{Decision, HostVerdict, Reason};
use agentcal_engine::facts::{CalendarFacts, Knowledge, UnknownReason};
use agentcal_engine::ids::{AccountId, BookingId, CalendarId, ClaimId, EventTypeId, HoldId, OrganizationId, UserId};
use agentcal_engine::model::{
    Attendee, Booking, BookingHost, BookingStatus, Claim, ClaimOwner, ExternalState, Hold, HoldState, Mode, Tenant,
    Writeback, WritebackState,
};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::{TimeRange, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

macro_rules! id {
    ($kind:ident, $number:expr) => {
        $kind::from_uuid(Uuid::from_u128($number))
    };
}

pub(crate) fn account_id() -> AccountId {
    id!(AccountId, 7)
}

pub(crate) fn calendar_id(number: u128) -> CalendarId {
    id!(CalendarId, number)
}

fn range() -> TimeRange {
    TimeRange::starting_at(NOW, Duration::from_secs(1_800)).unwrap()
}

/// Numbers that a careless reader gets wrong in the last place.
fn metadata() -> Map<String, Value> {
    let value = json!({
        "numbers": [0.1, 1e23, 5e-324, 1.797_693_134_862_315_7e308, 9_007_199_254_740_993_i64, 2.225_073_858_507_201_e-308,
            3.402_823_669_209_385e38, 0.000_030_000_000_000_000_5, 358_416_272.0, 1.234_567_890_123_456_7],
        "text": "Zoë \u{1F4C5} \"quoted\" \\ \u{0007}",
        "nested": {"list": [null, true, {}]},
    });
    value.as_object().unwrap().clone()
}

fn attendee() -> Attendee {
    Attendee {
        name: "Ada".to_owned(),
        email: Some("ada@example.com".to_owned()),
        phone: None,
        timezone: Some(chrono_tz::Tz::Europe__Berlin),
    }
}

pub(crate) fn kinds() -> Vec<CommitKind> {
    let (booking_id, hold_id) = (id!(BookingId, 1), id!(HoldId, 2));
    let (meeting, choice) = (Meeting::EventType(id!(EventTypeId, 3)), Choice::Offered(vec![id!(UserId, 4)]));
    vec![
        CommitKind::Book(BookRequest {
            booking_id,
            meeting,
            choice: Choice::Any,
            start: NOW,
            attendee: attendee(),
            metadata: metadata(),
        }),
        CommitKind::Confirm(ConfirmRequest { booking_id, hold_id, attendee: attendee(), metadata: Map::new() }),
        CommitKind::Reschedule { booking_id, start: NOW, offered: true, by: ChangedBy::Attendee },
        CommitKind::Cancel { booking_id, reason: Some("ill".to_owned()), by: ChangedBy::Key },
        CommitKind::Hold(HoldRequest {
            hold_id,
            meeting,
            choice,
            start: NOW,
            ttl_seconds: 60,
            session_id: Some("call".to_owned()),
        }),
        CommitKind::Extend { hold_id, ttl_seconds: 90 },
        CommitKind::Release(HoldSelection::Session("call".to_owned())),
    ]
}

pub(crate) fn request(number: u128, kind: CommitKind) -> CommitRequest {
    CommitRequest {
        commit_id: Uuid::from_u128(number),
        tenant: Tenant { organization_id: id!(OrganizationId, 6), mode: Mode::Live, account_id: account_id() },
        kind,
        intent: Intent::Commit,
        idempotency: Some(IdempotencyKey { scope: [255; 32], fingerprint: [0; 32] }),
        deadline: NOW + Duration::from_secs(20),
    }
}

/// A small one with this much time left.
pub(crate) fn release(left: Duration) -> CommitRequest {
    let kind = CommitKind::Release(HoldSelection::Session("call".to_owned()));
    CommitRequest { deadline: NOW + left, ..request(9, kind) }
}

pub(crate) fn released() -> CommitAnswer {
    CommitAnswer::Committed(Made::Released(vec![id!(HoldId, 2)]))
}

pub(crate) fn answers() -> Vec<CommitAnswer> {
    let user_id = id!(UserId, 4);
    let verdicts = vec![HostVerdict {
        user_id,
        reasons: vec![Reason::Busy, Reason::Unknown(UnknownReason::ReauthorizationRequired)],
    }];
    vec![
        CommitAnswer::Committed(Made::Booking(Box::new(booking()))),
        CommitAnswer::WouldCommit(Made::Hold(Box::new(hold()))),
        CommitAnswer::Replayed(Made::Released(Vec::new())),
        CommitAnswer::IdempotencyMismatch,
        CommitAnswer::Refused(Refusal {
            decision: Decision { range: range(), verdicts },
            alternatives: vec![Alternative { start: NOW, end: range().end, user_ids: vec![user_id] }],
            decision_id: None,
        }),
        CommitAnswer::Rejected(Rejection::HoldConfirmed(id!(BookingId, 1))),
        CommitAnswer::HoldLimit(HoldLimit::User(user_id)),
        CommitAnswer::Unavailable(UnavailableReason::FactsStale { user_ids: vec![user_id] }),
    ]
}

fn booking() -> Booking {
    Booking {
        id: id!(BookingId, 1),
        account_id: account_id(),
        event_type_id: None,
        title: "Meeting".to_owned(),
        location: Some("here".to_owned()),
        range: range(),
        status: BookingStatus::Confirmed,
        timezone: chrono_tz::Tz::America__Santiago,
        attendee: attendee(),
        metadata: metadata(),
        hosts: vec![BookingHost {
            user_id: id!(UserId, 4),
            calendar_id: Some(calendar_id(5)),
            provider_event_id: None,
            writeback: Some(Writeback { state: WritebackState::Pending, attempts: 0, last_error: None }),
            external_state: Some(ExternalState::InSync),
        }],
        sequence: 3,
        attendee_reschedules: 1,
        cancel_reason: None,
        conference: None,
        created_at: NOW,
    }
}

fn hold() -> Hold {
    Hold {
        id: id!(HoldId, 2),
        account_id: account_id(),
        event_type_id: Some(id!(EventTypeId, 3)),
        range: range(),
        user_ids: vec![id!(UserId, 4)],
        session_id: None,
        state: HoldState::Active,
        expires_at: range().end,
        created_at: NOW,
    }
}

pub(crate) fn facts(number: u128) -> Arc<CalendarFacts> {
    let claim = Claim {
        id: id!(ClaimId, 8),
        account_id: account_id(),
        user_id: id!(UserId, 4),
        home_calendar_id: calendar_id(number),
        range: range(),
        owner: ClaimOwner::Hold(id!(HoldId, 2)),
        event_type_id: None,
        buffer_before_minutes: 5,
        buffer_after_minutes: 0,
        expires_at: Some(range().end),
        session_id: Some("call".to_owned()),
    };
    Arc::new(CalendarFacts {
        calendar_id: calendar_id(number),
        account_id: account_id(),
        epoch: Epoch(u64::MAX),
        revision: 11,
        knowledge: Knowledge::Synced { as_of: NOW, window: range(), watched_until: Some(NOW) },
        external: vec![range()],
        displaced: vec![(id!(BookingId, 1), range())],
        claims: vec![claim],
    })
}
