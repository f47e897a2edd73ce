//! Histories in few words. Instants are seconds; people, holds and bookings are numbers; slots are hours of one day, far
//! ahead of all instants.

use agentcal_engine::ids::{AccountId, BookingId, CalendarId, ClaimId, HoldId, UserId};
use agentcal_engine::model::{Attendee, Booking, BookingHost, BookingStatus, Claim, ClaimOwner, Hold, HoldState};
use agentcal_engine::time::{HOUR_US, TimeRange, Timestamp};
use agentcal_history::{
    Allowances, Answer, BookingSeen, Event, Final, FreshnessSeen, FreshnessState, HoldSeen, INTENT, Operation, Outcome,
    Report, SlotSeen, SlotsSeen, Wish, check,
};
use uuid::Uuid;

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_000_000 + seconds)
}

/// The slot of an hour.
pub(crate) fn hour(hour: i64) -> TimeRange {
    let start = at(86_400).plus_micros(hour * HOUR_US);
    TimeRange::new(start, start.plus_micros(HOUR_US)).unwrap()
}

macro_rules! ids {
    ($($name:ident -> $id:ident;)*) => {$(
        pub(crate) fn $name(number: u128) -> $id {
            $id::from_uuid(Uuid::from_u128(number))
        }
    )*};
}
ids! { user -> UserId; booking_id -> BookingId; hold_id -> HoldId; calendar_id -> CalendarId; claim_id -> ClaimId; }

pub(crate) fn account_id() -> AccountId {
    AccountId::from_uuid(Uuid::from_u128(9))
}

pub(crate) fn wish(person: u128, slot: i64) -> Wish {
    Wish { user_ids: vec![user(person)], all: false, range: hour(slot) }
}

/// A request from one instant to another.
pub(crate) fn event(from: i64, to: i64, operation: Operation, outcome: Outcome) -> Event {
    let answer = Some(Answer { at: at(to), replayed: false, outcome });
    Event { client: "c".into(), invoked_at: at(from), answer, idempotency_key: None, operation }
}

pub(crate) fn in_doubt(event: Event) -> Event {
    Event { answer: None, ..event }
}

pub(crate) fn refused(event: Event) -> Event {
    let outcome = Outcome::Refused { status: 409, code: "slot_unavailable".into() };
    Event { answer: event.answer.map(|answer| Answer { outcome, ..answer }), ..event }
}

pub(crate) fn keyed(event: Event, key: &str) -> Event {
    Event { idempotency_key: Some(key.into()), ..event }
}

pub(crate) fn replayed(event: Event) -> Event {
    Event { answer: event.answer.map(|answer| Answer { replayed: true, ..answer }), ..event }
}

pub(crate) fn seen(number: u128, person: u128, slot: i64) -> BookingSeen {
    BookingSeen {
        booking_id: booking_id(number),
        range: hour(slot),
        user_ids: vec![user(person)],
        status: BookingStatus::Confirmed,
        body: None,
    }
}

/// Booked: the intent has the booking's number.
pub(crate) fn book(from: i64, to: i64, number: u128, person: u128, slot: i64) -> Event {
    let operation = Operation::Book { intent: number.to_string(), wish: wish(person, slot), hold_id: None };
    event(from, to, operation, Outcome::Booking(seen(number, person, slot)))
}

/// Booked from the hold of the same number.
pub(crate) fn confirm(from: i64, to: i64, number: u128, person: u128, slot: i64) -> Event {
    let operation =
        Operation::Book { intent: number.to_string(), wish: wish(person, slot), hold_id: Some(hold_id(number)) };
    event(from, to, operation, Outcome::Booking(seen(number, person, slot)))
}

pub(crate) fn shift(from: i64, to: i64, number: u128, person: u128, slot: i64) -> Event {
    let operation = Operation::Move { booking_id: booking_id(number), range: hour(slot) };
    event(from, to, operation, Outcome::Booking(seen(number, person, slot)))
}

pub(crate) fn cancel(from: i64, to: i64, number: u128, person: u128, slot: i64) -> Event {
    let seen = BookingSeen { status: BookingStatus::Cancelled, ..seen(number, person, slot) };
    event(from, to, Operation::Cancel { booking_id: booking_id(number) }, Outcome::Booking(seen))
}

pub(crate) fn read(from: i64, to: i64, number: u128, person: u128, slot: i64) -> Event {
    event(from, to, Operation::Read { booking_id: booking_id(number) }, Outcome::Booking(seen(number, person, slot)))
}

/// Held in the session "s" until an instant.
pub(crate) fn hold(from: i64, to: i64, number: u128, person: u128, slot: i64, ends: i64) -> Event {
    let operation = Operation::Hold { wish: wish(person, slot), session_id: Some("s".into()) };
    event(from, to, operation, Outcome::Hold(held(number, person, slot, ends)))
}

pub(crate) fn held(number: u128, person: u128, slot: i64, ends: i64) -> HoldSeen {
    HoldSeen { hold_id: hold_id(number), range: hour(slot), user_ids: vec![user(person)], expires_at: at(ends) }
}

pub(crate) fn release(from: i64, to: i64, number: u128) -> Event {
    event(from, to, Operation::Release { hold_id: hold_id(number) }, Outcome::Done)
}

pub(crate) fn slots(people: &[u128], slots: &[(u128, i64)], state: FreshnessState, as_of: i64) -> SlotsSeen {
    let slots = slots.iter().map(|&(person, slot)| SlotSeen { range: hour(slot), user_ids: vec![user(person)] });
    let left_out = people.iter().map(|&person| user(person)).collect();
    SlotsSeen { slots: slots.collect(), freshness: FreshnessSeen { state, as_of: Some(at(as_of)), left_out } }
}

/// A question about person 1, whose facts may be 60 seconds old.
pub(crate) fn ask(from: i64, to: i64, seen: SlotsSeen) -> Event {
    let operation = Operation::Ask { user_ids: vec![user(1)], max_staleness_us: Some(60_000_000) };
    event(from, to, operation, Outcome::Slots(seen))
}

/// What the store holds at second 1,000.
pub(crate) fn nothing() -> Final {
    Final { at: at(1_000), is_whole: true, ..Final::default() }
}

/// A store with more in it.
pub(crate) trait With: Sized {
    /// A booking and its claim.
    fn booking(self, number: u128, person: u128, slot: i64) -> Self;
    /// A cancelled booking.
    fn cancelled(self, number: u128, person: u128, slot: i64) -> Self;
    /// A hold without a claim.
    fn hold(self, number: u128, person: u128, slot: i64, ends: i64, state: HoldState) -> Self;
    /// A claim for a booking.
    fn claim(self, number: u128, person: u128, slot: i64) -> Self;
    /// A claim for a hold.
    fn hold_claim(self, number: u128, person: u128, slot: i64, ends: i64) -> Self;
}

impl With for Final {
    fn booking(mut self, number: u128, person: u128, slot: i64) -> Self {
        self.bookings.push(stored(number, person, slot));
        self.claim(number, person, slot)
    }

    fn cancelled(mut self, number: u128, person: u128, slot: i64) -> Self {
        self.bookings.push(Booking { status: BookingStatus::Cancelled, ..stored(number, person, slot) });
        self
    }

    fn hold(mut self, number: u128, person: u128, slot: i64, ends: i64, state: HoldState) -> Self {
        self.holds.push(Hold {
            id: hold_id(number),
            account_id: account_id(),
            event_type_id: None,
            range: hour(slot),
            user_ids: vec![user(person)],
            session_id: Some("s".into()),
            state,
            expires_at: at(ends),
            created_at: at(0),
        });
        self
    }

    fn claim(mut self, number: u128, person: u128, slot: i64) -> Self {
        let claim = claim(self.claims.len(), person, slot, ClaimOwner::Booking(booking_id(number)), None);
        self.claims.push(claim);
        self
    }

    fn hold_claim(mut self, number: u128, person: u128, slot: i64, ends: i64) -> Self {
        let claim = claim(self.claims.len(), person, slot, ClaimOwner::Hold(hold_id(number)), Some(at(ends)));
        self.claims.push(claim);
        self
    }
}

fn claim(number: usize, person: u128, slot: i64, owner: ClaimOwner, expires_at: Option<Timestamp>) -> Claim {
    Claim {
        id: claim_id(number as u128),
        account_id: account_id(),
        user_id: user(person),
        home_calendar_id: calendar_id(person),
        range: hour(slot),
        owner,
        event_type_id: None,
        buffer_before_minutes: 0,
        buffer_after_minutes: 0,
        expires_at,
        session_id: None,
    }
}

pub(crate) fn stored(number: u128, person: u128, slot: i64) -> Booking {
    let host = BookingHost {
        user_id: user(person),
        calendar_id: Some(calendar_id(person)),
        provider_event_id: None,
        writeback: None,
        external_state: None,
    };
    let metadata = serde_json::json!({ INTENT: number.to_string() }).as_object().cloned().unwrap();
    Booking {
        id: booking_id(number),
        account_id: account_id(),
        event_type_id: None,
        title: "Meeting".into(),
        location: None,
        range: hour(slot),
        status: BookingStatus::Confirmed,
        timezone: "UTC".parse().unwrap(),
        attendee: Attendee { name: "A".into(), email: None, phone: None, timezone: None },
        metadata,
        hosts: vec![host],
        sequence: 0,
        attendee_reschedules: 0,
        cancel_reason: None,
        conference: None,
        created_at: at(0),
    }
}

/// No clock is off, what is late may be so for five seconds, and facts may be 60 seconds old.
pub(crate) const ALLOWED: Allowances = Allowances {
    clock_slack_us: 0,
    offer_slack_us: 5_000_000,
    late_is_stale: true,
    retries_are_through: false,
    facts_age_max_us: Some(60_000_000),
};

pub(crate) fn run(events: &[Event], finale: &Final) -> Report {
    check(events, finale, &ALLOWED)
}

/// The history has exactly these violations, by name and in this order.
pub(crate) fn is_wrong(name: &str, events: &[Event], finale: &Final, expected: &[&str]) {
    assert_eq!(names(&run(events, finale)), expected, "{name}");
}

/// The names of what was found.
pub(crate) fn names(report: &Report) -> Vec<String> {
    let values = report.violations.iter().map(|violation| serde_json::to_value(violation).unwrap());
    values.map(|value| value["violation"].as_str().unwrap().to_owned()).collect()
}

/// The history is sound.
pub(crate) fn is_sound(name: &str, events: &[Event], finale: &Final) {
    is_wrong(name, events, finale, &[]);
}
