//! The history sorted by what it is about: one life for each booking and each hold.

use std::collections::BTreeMap;

use agentcal_engine::ids::{BookingId, HoldId, UserId};
use agentcal_engine::time::{TimeRange, Timestamp};

use crate::{Event, Operation, Outcome};

/// A write, with the instants between which it happened, if it did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) event: usize,
    pub(crate) invoked_at: Timestamp,
    /// `None`: in doubt, and it may still happen.
    pub(crate) acknowledged_at: Option<Timestamp>,
}

impl Span {
    /// What a replay repeats was done at any time since its key was first sent.
    fn of(event: usize, of: &Event, firsts: &BTreeMap<&str, Timestamp>) -> Self {
        let key = of.idempotency_key.as_deref().filter(|_| of.is_replay());
        let first = key.and_then(|key| firsts.get(key)).copied();
        Self { event, invoked_at: first.unwrap_or(of.invoked_at), acknowledged_at: of.acknowledged_at() }
    }

    /// Whether it was over before the other began.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        self.acknowledged_at.is_some_and(|at| at < other.invoked_at)
    }
}

/// When each key was first sent.
fn firsts(events: &[Event]) -> BTreeMap<&str, Timestamp> {
    let mut firsts = BTreeMap::new();
    for event in events {
        if let Some(key) = event.idempotency_key.as_deref() {
            let first = firsts.entry(key).or_insert(event.invoked_at);
            *first = (*first).min(event.invoked_at);
        }
    }
    firsts
}

/// What became of one booking, as far as clients know.
#[derive(Debug, Default)]
pub(crate) struct BookingLife {
    pub(crate) user_ids: Vec<UserId>,
    /// Its first answer and the moves, refused ones left out.
    pub(crate) places: Vec<(Span, TimeRange)>,
    pub(crate) cancels: Vec<Span>,
    pub(crate) reads: Vec<usize>,
}

/// What became of one hold, as far as clients know.
#[derive(Debug, Default)]
pub(crate) struct HoldLife {
    pub(crate) made: Option<(Span, TimeRange)>,
    pub(crate) user_ids: Vec<UserId>,
    pub(crate) session_id: Option<String>,
    /// When it ends by itself, as each answer said.
    pub(crate) ends: Vec<(Span, Timestamp)>,
    /// Extensions nobody knows the outcome of.
    pub(crate) extensions_in_doubt: Vec<Span>,
    pub(crate) releases: Vec<Span>,
    pub(crate) confirms: Vec<(Span, Option<BookingId>)>,
}

/// All lives.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) bookings: BTreeMap<BookingId, BookingLife>,
    pub(crate) holds: BTreeMap<HoldId, HoldLife>,
}

impl Ledger {
    pub(crate) fn of(events: &[Event]) -> Self {
        let mut ledger = Self::default();
        let firsts = firsts(events);
        for (index, event) in events.iter().enumerate().filter(|(_, event)| !event.is_refused()) {
            let span = Span::of(index, event, &firsts);
            ledger.enter_booking(span, event);
            ledger.enter_hold(span, event);
        }
        for (index, event) in events.iter().enumerate().filter(|(_, event)| !event.is_refused()) {
            if let Operation::ReleaseSession { session_id } = &event.operation {
                ledger.release_session(Span::of(index, event, &firsts), session_id);
            }
        }
        ledger
    }

    fn enter_booking(&mut self, span: Span, event: &Event) {
        let outcome = event.said().map(|(_, outcome)| outcome);
        match (&event.operation, outcome) {
            (Operation::Book { .. }, Some(Outcome::Booking(seen))) => {
                let life = self.bookings.entry(seen.booking_id).or_default();
                life.user_ids.clone_from(&seen.user_ids);
                // A replay repeats the first answer, so the first answer's place is the earliest of all.
                if life.places.is_empty() || !event.is_replay() {
                    life.places.push((span, seen.range));
                }
            }
            (Operation::Move { booking_id, range }, _) => {
                self.bookings.entry(*booking_id).or_default().places.push((span, *range));
            }
            (Operation::Cancel { booking_id }, _) => {
                self.bookings.entry(*booking_id).or_default().cancels.push(span);
            }
            (Operation::Read { booking_id }, Some(Outcome::Booking(_))) => {
                self.bookings.entry(*booking_id).or_default().reads.push(span.event);
            }
            _ => {}
        }
    }

    fn enter_hold(&mut self, span: Span, event: &Event) {
        let outcome = event.said().map(|(_, outcome)| outcome);
        match (&event.operation, outcome) {
            (Operation::Hold { session_id, .. }, Some(Outcome::Hold(seen))) => {
                let life = self.holds.entry(seen.hold_id).or_default();
                life.made.get_or_insert((span, seen.range));
                life.user_ids.clone_from(&seen.user_ids);
                life.session_id.clone_from(session_id);
                life.ends.push((span, seen.expires_at));
            }
            (Operation::Extend { hold_id }, Some(Outcome::Hold(seen))) => {
                self.holds.entry(*hold_id).or_default().ends.push((span, seen.expires_at));
            }
            (Operation::Extend { hold_id }, _) => {
                self.holds.entry(*hold_id).or_default().extensions_in_doubt.push(span);
            }
            (Operation::Release { hold_id }, _) => self.holds.entry(*hold_id).or_default().releases.push(span),
            (Operation::Book { hold_id: Some(hold_id), .. }, outcome) => {
                let made = match outcome {
                    Some(Outcome::Booking(seen)) => Some(seen.booking_id),
                    _ => None,
                };
                self.holds.entry(*hold_id).or_default().confirms.push((span, made));
            }
            _ => {}
        }
    }

    /// A session's release ends the holds that were acknowledged before it began; one placed meanwhile may be spared.
    fn release_session(&mut self, span: Span, session_id: &str) {
        for life in self.holds.values_mut().filter(|life| life.session_id.as_deref() == Some(session_id)) {
            life.releases.push(span);
        }
    }
}
