//! From a question and the facts that answer it to a plan, or to a refusal.

use std::collections::{BTreeMap, BTreeSet};

use crate::commit::{
    Access, BookingChange, ClaimChange, CommitPlan, Effect, ExpectedRevision, IdempotentAnswer, RevisionKey,
};
use crate::decision::{Decision, Host, Question, Reason, alternatives, choose_hosts, decide};
use crate::facts::UnknownReason;
use crate::ids::{CalendarId, ClaimId, UserId};
use crate::model::{
    Booking, BookingHost, BookingStatus, Claim, ClaimOwner, ExternalState, SchedulingMode, User, Writeback,
    WritebackState,
};
use crate::ports::{AccountConfig, BookingStoreItem, Entropy};
use crate::shard::{Epoch, Shard};
use crate::time::Timestamp;

use super::ask::{DecideAsk, calendar_in, home_of};
use super::request::{
    ALTERNATIVES_MAX, Alternative, BookRequest, CommitAnswer, CommitKind, CommitRequest, Refusal, UnavailableReason,
};

/// What a decision rests on besides the facts.
pub struct Grounds<'a> {
    /// The request.
    pub request: &'a CommitRequest,
    /// The account's configuration.
    pub config: &'a AccountConfig,
    /// The ownership the leader acts under.
    pub epoch: Epoch,
    /// The store's clock.
    pub now: Timestamp,
    /// Chance, for the claims' ids.
    pub entropy: &'a dyn Entropy,
}

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
}

/// What was decided.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// To be committed.
    Plan(Box<Planned>),
    /// To be answered.
    Answer(Box<CommitAnswer>),
}

/// A plan, and what it will have done.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The plan.
    pub plan: CommitPlan,
    /// The booking as it will be.
    pub booking: Booking,
}

impl Planned {
    /// Calendars whose published facts the plan changes, with the claims it only adds to them. `None`: more than that
    /// changes, so they must be loaded.
    pub fn changed_calendars(&self) -> BTreeMap<CalendarId, Option<Vec<Claim>>> {
        let mut changed: BTreeMap<CalendarId, Option<Vec<Claim>>> = BTreeMap::new();
        for expected in &self.plan.expected_revisions {
            if let (RevisionKey::Calendar(id), Access::Write) = (expected.key, expected.access) {
                changed.insert(id, None);
            }
        }
        for change in &self.plan.claims {
            if let ClaimChange::Insert(claim) = change {
                changed.entry(claim.home_calendar_id).or_default().get_or_insert_default().push(claim.clone());
            }
        }
        changed
    }
}

/// Decides a question and plans what follows.
pub fn judge(grounds: &Grounds<'_>, ask: &DecideAsk, evidence: &Evidence<'_>) -> Verdict {
    if let Some(answer) = incomplete(ask, evidence.hosts) {
        return Verdict::Answer(Box::new(answer));
    }
    let question = Question { terms: &ask.terms, hosts: evidence.hosts, now: grounds.now, ignoring: ask.ignoring() };
    let mut decision = decide(&question, ask.range.start);
    debug_assert_eq!(decision.range, ask.range, "one length for question and plan");
    for verdict in &mut decision.verdicts {
        if verdict.reasons.is_empty() && evidence.lost.contains(&verdict.user_id) {
            verdict.reasons.push(Reason::Booked);
        }
        if verdict.reasons.is_empty() && evidence.stale.contains(&verdict.user_id) {
            verdict.reasons.push(Reason::Unknown(UnknownReason::DeadlineExceeded));
        }
    }
    let chosen = choose_hosts(ask.terms.scheduling_mode, &decision, evidence.counts);
    match chosen {
        Some(user_ids) => {
            let chosen: Vec<&Host> = user_ids
                .iter()
                .filter_map(|user_id| evidence.hosts.iter().find(|host| host.user.id == *user_id))
                .collect();
            Verdict::Plan(Box::new(plan(grounds, ask, &chosen)))
        }
        None => Verdict::Answer(Box::new(refuse(&question, ask, decision, evidence.stale))),
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

/// Plans a cancellation.
pub fn cancel(grounds: &Grounds<'_>, item: &BookingStoreItem) -> Planned {
    let CommitKind::Cancel { reason, .. } = &grounds.request.kind else {
        unreachable!("only cancellations ask to cancel");
    };
    let mut booking = changed(&item.booking);
    booking.status = BookingStatus::Cancelled;
    booking.cancel_reason.clone_from(reason);
    let (booking_id, sequence) = (item.booking.id, item.booking.sequence);
    let claims = vec![ClaimChange::Delete { owner: ClaimOwner::Booking(booking_id), claim_count: item.claim_count }];
    let change = BookingChange::Cancel { booking_id, sequence, reason: reason.clone() };
    let mut revisions = Revisions::new(grounds.config.config_revision);
    for host in &item.booking.hosts {
        if let Some(home) = home_of(grounds.config, host.user_id) {
            revisions.write(RevisionKey::Calendar(home));
            revisions.write(RevisionKey::User(host.user_id));
        }
    }
    planned(grounds, booking, claims, change, revisions)
}

fn plan(grounds: &Grounds<'_>, ask: &DecideAsk, chosen: &[&Host]) -> Planned {
    let mut revisions = Revisions::new(grounds.config.config_revision);
    for host in chosen {
        for facts in &host.facts {
            revisions.read(RevisionKey::Calendar(facts.calendar_id), facts.revision);
        }
        revisions.write(RevisionKey::Calendar(host.user.home_calendar_id));
        revisions.write(RevisionKey::User(host.user.id));
    }
    match (&grounds.request.kind, &ask.moving) {
        (CommitKind::Book(book), _) => {
            let booking = new_booking(grounds, ask, book, chosen);
            let claims = chosen.iter().map(|host| claim_of(grounds, ask, &booking, &host.user)).collect();
            let change = BookingChange::Insert(Box::new(booking.clone()));
            planned(grounds, booking, claims, change, revisions)
        }
        (_, Some(item)) => {
            let mut booking = changed(&item.booking);
            booking.range = ask.range;
            let (booking_id, sequence, range) = (booking.id, item.booking.sequence, ask.range);
            let owner = ClaimOwner::Booking(booking_id);
            let claims = vec![ClaimChange::Move { owner, range, claim_count: item.claim_count }];
            planned(grounds, booking, claims, BookingChange::Reschedule { booking_id, sequence, range }, revisions)
        }
        (_, None) => unreachable!("only new bookings have none to move"),
    }
}

fn planned(
    grounds: &Grounds<'_>,
    booking: Booking,
    claims: Vec<ClaimChange>,
    change: BookingChange,
    mut revisions: Revisions,
) -> Planned {
    let is_new = matches!(change, BookingChange::Insert(_));
    let mut effects: Vec<Effect> = Vec::new();
    let written: BTreeSet<CalendarId> = booking.hosts.iter().filter_map(|host| host.calendar_id).collect();
    for calendar_id in written {
        effects.push(Effect::Writeback { booking_id: booking.id, calendar_id });
        // While a change waits to be written, the old event counts as an echo: the calendar's facts change with it.
        if !is_new && calendar_in(grounds.config, calendar_id).is_some() {
            revisions.write(RevisionKey::Calendar(calendar_id));
        }
    }
    let request = grounds.request;
    let answer = || serde_json::to_vec(&booking).expect("a booking is made of what JSON can say");
    let idempotency = request.idempotency.map(|key| IdempotentAnswer { key, answer: answer() });
    let plan = CommitPlan {
        commit_id: request.commit_id,
        tenant: request.tenant,
        shard: Shard::of(request.tenant.account_id),
        epoch: Some(grounds.epoch),
        expected_revisions: revisions.into_vec(),
        claims,
        booking: Some(change),
        effects,
        idempotency,
    };
    Planned { plan, booking }
}

/// Revisions a plan rests on: ascending, none twice; what is written as well as read is written at the revision read.
struct Revisions(BTreeMap<RevisionKey, ExpectedRevision>);

impl Revisions {
    fn new(config_revision: u64) -> Self {
        let mut revisions = Self(BTreeMap::new());
        revisions.read(RevisionKey::Config, config_revision);
        revisions
    }

    fn read(&mut self, key: RevisionKey, revision: u64) {
        let seen = ExpectedRevision { key, revision: Some(revision), access: Access::Read };
        let entry = self.0.entry(key).or_insert(seen);
        entry.revision = Some(revision);
    }

    fn write(&mut self, key: RevisionKey) {
        let unseen = ExpectedRevision { key, revision: None, access: Access::Write };
        self.0.entry(key).or_insert(unseen).access = Access::Write;
    }

    fn into_vec(self) -> Vec<ExpectedRevision> {
        self.0.into_values().collect()
    }
}

fn new_booking(grounds: &Grounds<'_>, ask: &DecideAsk, book: &BookRequest, chosen: &[&Host]) -> Booking {
    let first_zone = chosen.first().map_or(chrono_tz::Tz::UTC, |host| host.user.timezone);
    Booking {
        id: book.booking_id,
        account_id: grounds.request.tenant.account_id,
        event_type_id: ask.terms.event_type_id,
        title: ask.title.clone(),
        location: ask.location.clone(),
        range: ask.range,
        status: BookingStatus::Confirmed,
        timezone: book.attendee.timezone.unwrap_or(first_zone),
        attendee: book.attendee.clone(),
        metadata: book.metadata.clone(),
        hosts: chosen.iter().map(|host| booking_host(grounds.config, &host.user)).collect(),
        sequence: 0,
        cancel_reason: None,
        created_at: grounds.now,
    }
}

fn booking_host(config: &AccountConfig, user: &User) -> BookingHost {
    let is_writable = |id: &CalendarId| calendar_in(config, *id).is_some_and(|calendar| calendar.writable);
    let calendar_id = user.calendar_id.filter(is_writable);
    BookingHost {
        user_id: user.id,
        calendar_id,
        provider_event_id: None,
        writeback: calendar_id.map(|_| pending()),
        external_state: calendar_id.map(|_| ExternalState::InSync),
    }
}

fn pending() -> Writeback {
    Writeback { state: WritebackState::Pending, attempts: 0, last_error: None }
}

/// The booking after one more change: its sequence raised, every calendar waiting to be written.
fn changed(booking: &Booking) -> Booking {
    let mut booking = booking.clone();
    booking.sequence += 1;
    for host in booking.hosts.iter_mut().filter(|host| host.calendar_id.is_some()) {
        host.writeback = Some(pending());
    }
    booking
}

fn claim_of(grounds: &Grounds<'_>, ask: &DecideAsk, booking: &Booking, user: &User) -> ClaimChange {
    ClaimChange::Insert(Claim {
        id: ClaimId::mint(grounds.now, grounds.entropy),
        account_id: booking.account_id,
        user_id: user.id,
        home_calendar_id: user.home_calendar_id,
        range: ask.range,
        owner: ClaimOwner::Booking(booking.id),
        event_type_id: ask.terms.event_type_id,
        buffer_before_minutes: ask.terms.buffer_before_minutes,
        buffer_after_minutes: ask.terms.buffer_after_minutes,
        expires_at: None,
        session_id: None,
    })
}

/// A refusal says that nobody can be booked. It may be said only where that is known.
fn refuse(question: &Question<'_>, ask: &DecideAsk, decision: Decision, stale: &BTreeSet<UserId>) -> CommitAnswer {
    let is_unknown = |reasons: &[Reason]| reasons.iter().all(|reason| matches!(reason, Reason::Unknown(_)));
    let mut open = decision.verdicts.iter().filter(|verdict| is_unknown(&verdict.reasons));
    let undecided = match ask.terms.scheduling_mode {
        SchedulingMode::Collective => decision.verdicts.iter().all(|verdict| is_unknown(&verdict.reasons)),
        SchedulingMode::Individual | SchedulingMode::RoundRobin => open.clone().count() == decision.verdicts.len(),
    };
    if !undecided {
        // A booking that is moved stands in nobody's way, not even where it is: that is no other time to offer.
        let present = ask.moving.as_ref().map(|item| item.booking.range.start);
        let found = alternatives(question, ask.range, ALTERNATIVES_MAX + usize::from(present.is_some()));
        let hosts = question.hosts;
        let alternatives = found
            .into_iter()
            .filter(|slot| Some(slot.start) != present)
            .take(ALTERNATIVES_MAX)
            .map(|slot| Alternative {
                start: slot.start,
                end: slot.end,
                user_ids: slot.hosts.iter().filter_map(|index| hosts.get(index)).map(|host| host.user.id).collect(),
            })
            .collect();
        return CommitAnswer::Refused(Refusal { decision, alternatives });
    }
    let user_ids: Vec<UserId> =
        open.by_ref().filter(|verdict| !verdict.reasons.is_empty()).map(|verdict| verdict.user_id).collect();
    CommitAnswer::Unavailable(if user_ids.iter().all(|user_id| stale.contains(user_id)) {
        UnavailableReason::FactsStale { user_ids }
    } else {
        UnavailableReason::FactsUnknown { user_ids }
    })
}

#[cfg(test)]
mod tests;
