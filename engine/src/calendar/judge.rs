//! From a question and the facts that answer it to a plan, or to a refusal.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::decision::{Decision, Host, Question, Reason, Slot, Terms, alternatives, choose_hosts, decide};
use crate::facts::UnknownReason;
use crate::ids::{DecisionId, UserId};
use crate::invariants::plan_is_sound;
use crate::model::{ClaimOwner, DecisionKind, DecisionRecord, FactsSeen, SchedulingMode};

use super::ask::{DecideAsk, Subject};
use super::plan::{Grounds, Planned, plan};
use super::request::{ALTERNATIVES_MAX, Alternative, CommitAnswer, CommitKind, Intent, Refusal, UnavailableReason};
use super::spot_check::SpotChecks;

/// What the hosts look like.
pub struct Evidence<'a> {
    /// The candidates with their facts, in the order of the question.
    pub hosts: &'a [Host],
    /// Those whose facts are too old to book on.
    pub stale: &'a BTreeSet<UserId>,
    /// Those whose time the store's constraint refused although the facts read free.
    pub lost: &'a BTreeSet<UserId>,
    /// Future bookings of each, for round robin.
    pub counts: &'a BTreeMap<UserId, u64>,
    /// What was checked at the last moment; it stands in the facts already.
    pub checks: &'a SpotChecks,
}

/// What was decided.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// To be committed.
    Plan(Box<Planned>),
    /// To be answered with no, and the record of it kept; a dry run leaves none.
    Refused {
        /// The answer.
        answer: Box<CommitAnswer>,
        /// The record.
        record: Option<Box<DecisionRecord>>,
    },
    /// To be answered: it cannot be decided now.
    Answer(Box<CommitAnswer>),
}

/// Decides a question and plans what follows.
pub fn judge(grounds: &Grounds<'_>, ask: &DecideAsk, evidence: &Evidence<'_>) -> Verdict {
    if let Some(answer) = incomplete(ask, evidence.hosts) {
        return Verdict::Answer(Box::new(answer));
    }
    let terms = promised_terms(ask, evidence.hosts);
    let question = Question { terms: &terms, hosts: evidence.hosts, now: grounds.now, ignoring: ask.ignoring() };
    let decision = decided(&question, ask, evidence);
    let chosen = choose_hosts(ask.terms.scheduling_mode, &decision, evidence.counts);
    let record = record_of(grounds, ask, evidence, &decision, chosen.clone().unwrap_or_default());
    match chosen {
        Some(user_ids) => {
            let chosen: Vec<&Host> = user_ids
                .iter()
                .filter_map(|user_id| evidence.hosts.iter().find(|host| host.user.id == *user_id))
                .collect();
            let mut planned = plan(grounds, ask, &chosen);
            planned.plan.decision = Some(Box::new(record));
            debug_assert_eq!(plan_is_sound(&planned.plan), Ok(()), "{:?}", planned.plan);
            Verdict::Plan(Box::new(planned))
        }
        None => refuse(grounds, &question, ask, record, evidence.stale),
    }
}

/// The decision, with what its facts cannot know.
fn decided(question: &Question<'_>, ask: &DecideAsk, evidence: &Evidence<'_>) -> Decision {
    let mut decision = decide(question, ask.range.start);
    debug_assert_eq!(decision.range, ask.range, "one length for question and plan");
    for verdict in &mut decision.verdicts {
        if matches!(ask.subject, Subject::Confirm(_)) {
            verdict.reasons.retain(|reason| breaks_promise(*reason, ask.range.end <= question.now));
        }
        if verdict.reasons.is_empty() && evidence.lost.contains(&verdict.user_id) {
            verdict.reasons.push(Reason::Booked);
        }
        if verdict.reasons.is_empty() && evidence.stale.contains(&verdict.user_id) {
            verdict.reasons.push(Reason::Unknown(UnknownReason::DeadlineExceeded));
        }
    }
    decision
}

/// A hold was placed inside the rules of its time, and kept the time since. What came from outside meanwhile can stand
/// against its confirmation, and that its time has passed.
fn breaks_promise(reason: Reason, is_over: bool) -> bool {
    match reason {
        Reason::Busy | Reason::Booked | Reason::Held | Reason::Buffer | Reason::Unknown(_) => true,
        Reason::TooSoon => is_over,
        Reason::OutsideRules | Reason::NotOnSlotGrid | Reason::BeyondBookingWindow | Reason::DailyLimitReached => false,
    }
}

/// The terms to judge by. A hold keeps the room it was placed with, though its event type may want more since.
pub(super) fn promised_terms<'a>(ask: &'a DecideAsk, hosts: &[Host]) -> Cow<'a, Terms> {
    let Subject::Confirm(item) = &ask.subject else { return Cow::Borrowed(&ask.terms) };
    let owner = ClaimOwner::Hold(item.hold.id);
    let mut claims = hosts.iter().flat_map(|host| &host.facts).flat_map(|facts| &facts.claims);
    match claims.find(|claim| claim.owner == owner) {
        Some(held) => Cow::Owned(Terms {
            buffer_before_minutes: held.buffer_before_minutes,
            buffer_after_minutes: held.buffer_after_minutes,
            ..ask.terms.clone()
        }),
        None => Cow::Borrowed(&ask.terms),
    }
}

fn record_of(
    grounds: &Grounds<'_>,
    ask: &DecideAsk,
    evidence: &Evidence<'_>,
    decision: &Decision,
    chosen: Vec<UserId>,
) -> DecisionRecord {
    let (kind, booking_id, hold_id) = match &grounds.request.kind {
        CommitKind::Book(book) => (DecisionKind::Book, Some(book.booking_id), None),
        CommitKind::Confirm(confirm) => (DecisionKind::Confirm, Some(confirm.booking_id), Some(confirm.hold_id)),
        CommitKind::Hold(hold) => (DecisionKind::Hold, None, Some(hold.hold_id)),
        CommitKind::Reschedule { booking_id, .. } => (DecisionKind::Reschedule, Some(*booking_id), None),
        CommitKind::Cancel { .. } | CommitKind::Extend { .. } | CommitKind::Release(_) => {
            unreachable!("nobody's time is asked for")
        }
    };
    // What a refused request would have made does not exist.
    let is_made = !chosen.is_empty();
    let booking_id = booking_id.filter(|_| is_made || kind == DecisionKind::Reschedule);
    let hold_id = hold_id.filter(|_| is_made || kind == DecisionKind::Confirm);
    let seen = evidence.hosts.iter().flat_map(|host| &host.facts).map(|facts| {
        let calendar_id = facts.calendar_id;
        let checked_at = evidence.checks.of(calendar_id).map(|check| check.asked_at);
        (calendar_id, FactsSeen { calendar_id, revision: facts.revision, as_of: facts.as_of(), checked_at })
    });
    DecisionRecord {
        id: DecisionId::mint(grounds.now, grounds.entropy),
        account_id: grounds.request.tenant.account_id,
        kind,
        booking_id,
        hold_id,
        event_type_id: ask.terms.event_type_id,
        config_revision: grounds.config.config_revision,
        facts: seen.collect::<BTreeMap<_, _>>().into_values().collect(),
        decision: decision.clone(),
        chosen,
        decided_at: grounds.now,
    }
}

/// A collective of whom somebody could not be looked at is not a smaller collective.
fn incomplete(ask: &DecideAsk, hosts: &[Host]) -> Option<CommitAnswer> {
    let is_seen = |user_id: &UserId| hosts.iter().any(|host| host.user.id == *user_id);
    let user_ids: Vec<UserId> = ask.user_ids.iter().copied().filter(|user_id| !is_seen(user_id)).collect();
    let is_enough = match ask.terms.scheduling_mode {
        SchedulingMode::Collective => user_ids.is_empty(),
        SchedulingMode::Individual | SchedulingMode::RoundRobin => !hosts.is_empty(),
    };
    (!is_enough).then_some(CommitAnswer::Unavailable(UnavailableReason::FactsUnknown { user_ids }))
}

/// A refusal says that nobody can be booked. It may be said only where that is known.
fn refuse(
    grounds: &Grounds<'_>,
    question: &Question<'_>,
    ask: &DecideAsk,
    record: DecisionRecord,
    stale: &BTreeSet<UserId>,
) -> Verdict {
    let verdicts = &record.decision.verdicts;
    let is_unknown = |reasons: &[Reason]| reasons.iter().all(|reason| matches!(reason, Reason::Unknown(_)));
    let open = || verdicts.iter().filter(|verdict| is_unknown(&verdict.reasons));
    let undecided = match ask.terms.scheduling_mode {
        SchedulingMode::Collective => verdicts.iter().all(|verdict| is_unknown(&verdict.reasons)),
        SchedulingMode::Individual | SchedulingMode::RoundRobin => open().count() == verdicts.len(),
    };
    if undecided {
        let user_ids: Vec<UserId> =
            open().filter(|verdict| !verdict.reasons.is_empty()).map(|verdict| verdict.user_id).collect();
        return Verdict::Answer(Box::new(CommitAnswer::Unavailable(
            if user_ids.iter().all(|user_id| stale.contains(user_id)) {
                UnavailableReason::FactsStale { user_ids }
            } else {
                UnavailableReason::FactsUnknown { user_ids }
            },
        )));
    }
    let is_kept = grounds.request.intent == Intent::Commit;
    let refusal = Refusal {
        decision: record.decision.clone(),
        alternatives: instead(question, ask),
        decision_id: is_kept.then_some(record.id),
    };
    let record = is_kept.then(|| Box::new(record));
    Verdict::Refused { answer: Box::new(CommitAnswer::Refused(refusal)), record }
}

/// Bookable times instead of the one asked for.
fn instead(question: &Question<'_>, ask: &DecideAsk) -> Vec<Alternative> {
    // A booking that is moved stands in nobody's way, not even where it is: that is no other time to offer.
    let present = match &ask.subject {
        Subject::Move(item) => Some(item.booking.range.start),
        Subject::New | Subject::Confirm(_) => None,
    };
    let found = alternatives(question, ask.range, ALTERNATIVES_MAX + usize::from(present.is_some()));
    let hosts = question.hosts;
    let others = found.into_iter().filter(|slot| Some(slot.start) != present).take(ALTERNATIVES_MAX);
    let alternative = |slot: Slot| Alternative {
        start: slot.start,
        end: slot.end,
        user_ids: slot.hosts.iter().filter_map(|index| hosts.get(index)).map(|host| host.user.id).collect(),
    };
    others.map(alternative).collect()
}

#[cfg(test)]
mod hold_tests;
#[cfg(test)]
mod tests;
