//! Whether repeating a request repeated its answer and not its deed.

use std::collections::BTreeMap;

use crate::report::Report;
use crate::{Answer, Event, Operation, Outcome, Violation};

pub(crate) fn check(events: &[Event], report: &mut Report) {
    let mut by_key: BTreeMap<&str, Vec<(usize, &Event, &Answer)>> = BTreeMap::new();
    let done = |event: &Event| event.acknowledged_at().is_some() && does_something(&event.operation);
    for (index, event) in events.iter().enumerate().filter(|(_, event)| done(event)) {
        if let (Some(key), Some(answer)) = (event.idempotency_key.as_deref(), event.answer.as_ref()) {
            by_key.entry(key).or_default().push((index, event, answer));
        }
    }
    refused_after_done(events, &by_key, report);
    for mut answers in by_key.into_values() {
        answers.sort_by_key(|(index, _, answer)| (answer.at, *index));
        for pair in answers.windows(2) {
            compare(pair[0], pair[1], report);
        }
        let afresh = answers.iter().filter(|(_, event, answer)| {
            !answer.replayed && adds_up(&event.operation) && !may_be_there_already(events, event, answer)
        });
        let mut done = afresh.map(|(index, ..)| *index);
        if let (Some(first), Some(second)) = (done.next(), done.next()) {
            report.violations.push(Violation::DoneTwice { first, second });
        }
    }
}

/// What does nothing may be judged afresh each time.
fn does_something(operation: &Operation) -> bool {
    !matches!(operation, Operation::Ask { .. } | Operation::Read { .. } | Operation::Rehearse { .. })
}

/// What is cancelled or released stays so, however often that is asked; nothing is kept of asking once more.
fn adds_up(operation: &Operation) -> bool {
    !matches!(operation, Operation::Cancel { .. } | Operation::Release { .. } | Operation::ReleaseSession { .. })
}

/// Whether it moves a booking to where another request may have brought it before: nothing is done then, and nothing kept.
fn may_be_there_already(events: &[Event], event: &Event, answer: &Answer) -> bool {
    let Operation::Move { booking_id, range } = &event.operation else { return false };
    events.iter().filter(|other| other.invoked_at < answer.at && !other.is_refused()).any(|other| {
        let is_another = other.idempotency_key.is_none() || other.idempotency_key != event.idempotency_key;
        let is_there = match (&other.operation, other.said()) {
            (Operation::Move { booking_id: id, range: to }, _) => (id, to) == (booking_id, range),
            (Operation::Book { .. }, Some((_, Outcome::Booking(seen)))) => {
                (&seen.booking_id, &seen.range) == (booking_id, range)
            }
            _ => false,
        };
        is_another && is_there
    })
}

/// What was done is answered again, not judged again.
fn refused_after_done(events: &[Event], done: &BTreeMap<&str, Vec<(usize, &Event, &Answer)>>, report: &mut Report) {
    for (second, event) in events.iter().enumerate().filter(|(_, event)| event.is_refused()) {
        let answers = event.idempotency_key.as_deref().and_then(|key| done.get(key));
        let earlier = answers
            .into_iter()
            .flatten()
            .find(|(_, earlier, answer)| answer.at < event.invoked_at && earlier.operation == event.operation);
        if let Some(&(first, ..)) = earlier {
            report.counts.replays += 1;
            report.violations.push(Violation::ReplayRefused { first, second });
        }
    }
}

fn compare(first: (usize, &Event, &Answer), second: (usize, &Event, &Answer), report: &mut Report) {
    report.counts.replays += 1;
    let (first_index, first_event, first_answer) = first;
    let (second_index, second_event, second_answer) = second;
    let (first, second) = (first_index, second_index);
    if first_event.operation != second_event.operation {
        report.violations.push(Violation::KeyMixedUp { first, second });
    } else if first_answer.outcome != second_answer.outcome {
        report.violations.push(Violation::ReplayDiffers { first, second });
    }
}
