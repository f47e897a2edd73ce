//! Whether everything there is was asked for, and no more often.

use std::collections::{BTreeMap, BTreeSet};

use agentcal_engine::ids::{BookingId, HoldId};
use agentcal_engine::model::{Booking, Hold};

use crate::report::Report;
use crate::{Event, Final, INTENT, Operation, Outcome, Violation, Wish};

pub(crate) fn check(events: &[Event], finale: &Final, report: &mut Report) {
    answers_fit_their_questions(events, report);
    let attempts = Attempts::of(events);
    let mut made: BTreeMap<&str, Vec<BookingId>> = BTreeMap::new();
    for booking in &finale.bookings {
        match intent(booking).filter(|intent| attempts.can_have_made(intent, booking)) {
            Some(intent) => made.entry(intent).or_default().push(booking.id),
            None => {
                let intent = intent(booking).map(str::to_owned);
                report.violations.push(Violation::BookingUnasked { booking_id: booking.id, intent });
            }
        }
    }
    for (intent, booking_ids) in made {
        let (found, allowed) = (booking_ids.len(), attempts.allowed(intent));
        if found > allowed {
            report.violations.push(Violation::BookedTwice { intent: intent.to_owned(), found, allowed, booking_ids });
        }
    }
    holds_were_asked_for(events, finale, report);
}

fn intent(booking: &Booking) -> Option<&str> {
    booking.metadata.get(INTENT)?.as_str()
}

fn answers_fit_their_questions(events: &[Event], report: &mut Report) {
    for (index, event) in events.iter().enumerate() {
        let Some((_, outcome)) = event.said() else { continue };
        let fits = match (&event.operation, outcome) {
            (_, Outcome::Refused { .. } | Outcome::Failed { .. }) => true,
            (Operation::Book { wish, .. }, Outcome::Booking(seen)) => wish.fits(seen.range, &seen.user_ids),
            (Operation::Hold { wish, .. }, Outcome::Hold(seen)) => wish.fits(seen.range, &seen.user_ids),
            (Operation::Move { booking_id, range }, Outcome::Booking(seen)) => {
                seen.booking_id == *booking_id && seen.range == *range
            }
            (Operation::Cancel { booking_id } | Operation::Read { booking_id }, Outcome::Booking(seen)) => {
                seen.booking_id == *booking_id
            }
            (Operation::Extend { hold_id }, Outcome::Hold(seen)) => seen.hold_id == *hold_id,
            (Operation::Ask { .. }, Outcome::Slots(_)) => true,
            (
                Operation::Rehearse { .. } | Operation::Release { .. } | Operation::ReleaseSession { .. },
                Outcome::Done,
            ) => true,
            _ => false,
        };
        if !fits {
            report.violations.push(Violation::NotAsAsked { event: index });
        }
    }
}

/// Requests that can have made a booking, by intent.
struct Attempts<'e>(BTreeMap<&'e str, Vec<Attempt<'e>>>);

struct Attempt<'e> {
    key: Option<&'e str>,
    wish: &'e Wish,
    event: &'e Event,
}

impl<'e> Attempts<'e> {
    fn of(events: &'e [Event]) -> Self {
        let mut attempts: BTreeMap<&str, Vec<Attempt<'_>>> = BTreeMap::new();
        for event in events.iter().filter(|event| !event.is_refused()) {
            if let Operation::Book { intent, wish, .. } = &event.operation {
                let key = event.idempotency_key.as_deref();
                attempts.entry(intent).or_default().push(Attempt { key, wish, event });
            }
        }
        Self(attempts)
    }

    /// A booking that was made has the wished hosts; where it now stands is another question, since moves may follow.
    fn can_have_made(&self, intent: &str, booking: &Booking) -> bool {
        let hosts: Vec<_> = booking.hosts.iter().map(|host| host.user_id).collect();
        let attempts = self.0.get(intent).map_or(&[][..], Vec::as_slice);
        attempts.iter().any(|attempt| {
            let made_other = attempt
                .event
                .said()
                .is_some_and(|(_, outcome)| matches!(outcome, Outcome::Booking(seen) if seen.booking_id != booking.id));
            !made_other && attempt.wish.fits(attempt.wish.range, &hosts)
        })
    }

    /// Each key can have made one booking, and so can each request without a key.
    fn allowed(&self, intent: &str) -> usize {
        let attempts = self.0.get(intent).map_or(&[][..], Vec::as_slice);
        let keys: BTreeSet<&str> = attempts.iter().filter_map(|attempt| attempt.key).collect();
        keys.len() + attempts.iter().filter(|attempt| attempt.key.is_none()).count()
    }
}

fn holds_were_asked_for(events: &[Event], finale: &Final, report: &mut Report) {
    let mut acknowledged: BTreeSet<HoldId> = BTreeSet::new();
    // A key stands for one hold, however often it is sent: one that is known explains no other.
    let mut explained: BTreeSet<&str> = BTreeSet::new();
    for event in events {
        if let (Operation::Hold { .. }, Some((_, Outcome::Hold(seen)))) = (&event.operation, event.said()) {
            acknowledged.insert(seen.hold_id);
            explained.extend(event.idempotency_key.as_deref());
        }
    }
    let mut in_doubt: Vec<&Wish> = Vec::new();
    for event in events.iter().filter(|event| event.is_in_doubt()) {
        if let Operation::Hold { wish, .. } = &event.operation
            && event.idempotency_key.as_deref().is_none_or(|key| explained.insert(key))
        {
            in_doubt.push(wish);
        }
    }
    for hold in &finale.holds {
        if !acknowledged.contains(&hold.id) && !takes_one(&mut in_doubt, hold) {
            report.violations.push(Violation::HoldUnasked { hold_id: hold.id });
        }
    }
}

/// One request in doubt explains one hold.
fn takes_one(in_doubt: &mut Vec<&Wish>, hold: &Hold) -> bool {
    match in_doubt.iter().position(|wish| wish.fits(hold.range, &hold.user_ids)) {
        Some(index) => {
            in_doubt.swap_remove(index);
            true
        }
        None => false,
    }
}
