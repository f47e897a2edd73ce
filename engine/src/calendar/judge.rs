//! From a question and the facts that answer it to a plan, or to a refusal.

use std::collections::{BTreeMap, BTreeSet};

use crate::commit::{
    Access, BookingChange, ClaimChange, CommitPlan, Effect, ExpectedRevision, HoldChange, HoldLimits, IdempotentAnswer,
    RevisionKey,
};
use crate::decision::{Decision, Host, Question, Reason, Slot, alternatives, choose_hosts, decide};
use crate::facts::UnknownReason;
use crate::ids::{BookingId, CalendarId, ClaimId, DecisionId, UserId};
use crate::model::{
    Attendee, Booking, BookingHost, BookingStatus, Claim, ClaimOwner, DecisionKind, DecisionRecord, ExternalState,
    FactsSeen, Hold, HoldState, SchedulingMode, User, Writeback, WritebackState,
};
use crate::ports::{AccountConfig, BookingStoreItem, Entropy, HoldStoreItem};
use crate::shard::{Epoch, Shard};
use crate::time::{SECOND_US, Timestamp};

use super::ask::{DecideAsk, Subject, calendar_in, home_of};
use super::request::{
    ALTERNATIVES_MAX, Alternative, ChangedBy, CommitAnswer, CommitKind, CommitRequest, HoldRequest, Intent, Made,
    Refusal, UnavailableReason,
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
    /// Chance, for the ids of claims and records.
    pub entropy: &'a dyn Entropy,
    /// Most live holds.
    pub hold_limits: HoldLimits,
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

/// A plan, and what it will have done.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The plan.
    pub plan: CommitPlan,
    /// The booking or hold as it will be.
    pub made: Made,
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
    let decision = decided(&question, ask, evidence);
    let chosen = choose_hosts(ask.terms.scheduling_mode, &decision, evidence.counts);
    let record = record_of(grounds, ask, evidence.hosts, &decision, chosen.clone().unwrap_or_default());
    match chosen {
        Some(user_ids) => {
            let chosen: Vec<&Host> = user_ids
                .iter()
                .filter_map(|user_id| evidence.hosts.iter().find(|host| host.user.id == *user_id))
                .collect();
            let mut planned = plan(grounds, ask, &chosen);
            planned.plan.decision = Some(Box::new(record));
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
            verdict.reasons.retain(|reason| breaks_promise(*reason));
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

/// A hold was placed inside the rules of its time, and kept the time since. Only what came from outside meanwhile can
/// stand against its confirmation.
fn breaks_promise(reason: Reason) -> bool {
    match reason {
        Reason::Busy | Reason::Booked | Reason::Held | Reason::Buffer | Reason::Unknown(_) => true,
        Reason::OutsideRules
        | Reason::NotOnSlotGrid
        | Reason::TooSoon
        | Reason::BeyondBookingWindow
        | Reason::DailyLimitReached => false,
    }
}

fn record_of(
    grounds: &Grounds<'_>,
    ask: &DecideAsk,
    hosts: &[Host],
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
    let seen = hosts.iter().flat_map(|host| &host.facts).map(|facts| {
        let seen = FactsSeen { calendar_id: facts.calendar_id, revision: facts.revision, as_of: facts.as_of() };
        (facts.calendar_id, seen)
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
    let hosts: Vec<UserId> = item.booking.hosts.iter().map(|host| host.user_id).collect();
    revisions.write_claims_of(grounds.config, &hosts);
    planned_booking(grounds, booking, claims, change, revisions)
}

/// Plans a hold's other end.
pub fn extend(grounds: &Grounds<'_>, item: &HoldStoreItem) -> Planned {
    let CommitKind::Extend { hold_id, ttl_seconds } = grounds.request.kind else {
        unreachable!("only extensions ask to extend");
    };
    let expires_at = after_seconds(grounds.now, ttl_seconds);
    let hold = Hold { expires_at, ..item.hold.clone() };
    let claims = vec![ClaimChange::Extend { hold_id, expires_at, claim_count: claims_of(&hold) }];
    let mut revisions = Revisions::new(grounds.config.config_revision);
    revisions.write_claims_of(grounds.config, &hold.user_ids);
    let holds = vec![HoldChange::Extend { hold_id, expires_at }];
    planned(grounds, Made::Hold(Box::new(hold)), CommitPlan { claims, holds, ..empty_plan(grounds, revisions) })
}

/// Plans to give holds back.
pub fn release(grounds: &Grounds<'_>, items: &[HoldStoreItem]) -> Planned {
    let mut revisions = Revisions::new(grounds.config.config_revision);
    let (mut claims, mut holds, mut released) = (Vec::new(), Vec::new(), Vec::new());
    for HoldStoreItem { hold, claim_count } in items {
        revisions.write_claims_of(grounds.config, &hold.user_ids);
        claims.push(ClaimChange::Delete { owner: ClaimOwner::Hold(hold.id), claim_count: *claim_count });
        holds.push(HoldChange::Release { hold_id: hold.id });
        released.push(hold.id);
    }
    planned(grounds, Made::Released(released), CommitPlan { claims, holds, ..empty_plan(grounds, revisions) })
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
    match (&grounds.request.kind, &ask.subject) {
        (CommitKind::Book(book), _) => {
            let person = Person { attendee: &book.attendee, metadata: &book.metadata };
            let booking = new_booking(grounds, ask, book.booking_id, person, chosen);
            let terms = ClaimTerms { owner: ClaimOwner::Booking(booking.id), expires_at: None, session_id: None };
            let claims = chosen.iter().map(|host| claim_of(grounds, ask, &terms, &host.user)).collect();
            let change = BookingChange::Insert(Box::new(booking.clone()));
            planned_booking(grounds, booking, claims, change, revisions)
        }
        (CommitKind::Hold(request), _) => plan_hold(grounds, ask, request, chosen, revisions),
        (CommitKind::Confirm(confirm), Subject::Confirm(item)) => {
            let person = Person { attendee: &confirm.attendee, metadata: &confirm.metadata };
            let booking = new_booking(grounds, ask, confirm.booking_id, person, chosen);
            let (hold_id, booking_id, claim_count) = (item.hold.id, booking.id, claims_of(&item.hold));
            let claims = vec![ClaimChange::Confirm { hold_id, booking_id, claim_count }];
            let change = BookingChange::Insert(Box::new(booking.clone()));
            let mut planned = planned_booking(grounds, booking, claims, change, revisions);
            planned.plan.holds = vec![HoldChange::Confirm { hold_id, booking_id }];
            planned
        }
        (CommitKind::Reschedule { by, .. }, Subject::Move(item)) => plan_move(grounds, ask, item, *by, revisions),
        _ => unreachable!("the subject follows from the request"),
    }
}

fn plan_move(
    grounds: &Grounds<'_>,
    ask: &DecideAsk,
    item: &BookingStoreItem,
    by: ChangedBy,
    revisions: Revisions,
) -> Planned {
    let mut booking = changed(&item.booking);
    booking.range = ask.range;
    booking.attendee_reschedules += u32::from(by == ChangedBy::Attendee);
    let (booking_id, range) = (booking.id, ask.range);
    let claims =
        vec![ClaimChange::Move { owner: ClaimOwner::Booking(booking_id), range, claim_count: item.claim_count }];
    let change = BookingChange::Reschedule {
        booking_id,
        sequence: item.booking.sequence,
        range,
        attendee_reschedules: booking.attendee_reschedules,
    };
    planned_booking(grounds, booking, claims, change, revisions)
}

fn plan_hold(
    grounds: &Grounds<'_>,
    ask: &DecideAsk,
    request: &HoldRequest,
    chosen: &[&Host],
    revisions: Revisions,
) -> Planned {
    let hold = Hold {
        id: request.hold_id,
        account_id: grounds.request.tenant.account_id,
        event_type_id: ask.terms.event_type_id,
        range: ask.range,
        user_ids: chosen.iter().map(|host| host.user.id).collect(),
        session_id: request.session_id.clone(),
        state: HoldState::Active,
        expires_at: after_seconds(grounds.now, request.ttl_seconds),
        created_at: grounds.now,
    };
    let terms = ClaimTerms {
        owner: ClaimOwner::Hold(hold.id),
        expires_at: Some(hold.expires_at),
        session_id: hold.session_id.clone(),
    };
    let claims = chosen.iter().map(|host| claim_of(grounds, ask, &terms, &host.user)).collect();
    let holds = vec![HoldChange::Insert { hold: Box::new(hold.clone()), limits: grounds.hold_limits }];
    planned(grounds, Made::Hold(Box::new(hold)), CommitPlan { claims, holds, ..empty_plan(grounds, revisions) })
}

fn after_seconds(now: Timestamp, seconds: u32) -> Timestamp {
    now.plus_micros(i64::from(seconds) * SECOND_US)
}

/// One claim per host.
fn claims_of(hold: &Hold) -> u32 {
    u32::try_from(hold.user_ids.len()).unwrap_or(u32::MAX)
}

fn planned_booking(
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
    let plan = CommitPlan { claims, booking: Some(change), effects, ..empty_plan(grounds, revisions) };
    planned(grounds, Made::Booking(Box::new(booking)), plan)
}

fn empty_plan(grounds: &Grounds<'_>, revisions: Revisions) -> CommitPlan {
    let request = grounds.request;
    CommitPlan {
        commit_id: request.commit_id,
        tenant: request.tenant,
        shard: Shard::of(request.tenant.account_id),
        epoch: Some(grounds.epoch),
        expected_revisions: revisions.into_vec(),
        claims: Vec::new(),
        booking: None,
        holds: Vec::new(),
        decision: None,
        effects: Vec::new(),
        idempotency: None,
    }
}

fn planned(grounds: &Grounds<'_>, made: Made, plan: CommitPlan) -> Planned {
    let idempotency = grounds.request.idempotency.map(|key| IdempotentAnswer { key, answer: kept_form(&made) });
    Planned { plan: CommitPlan { idempotency, ..plan }, made }
}

/// What is kept under an idempotency key: the booking, the hold, or the ids of the holds given back.
fn kept_form(made: &Made) -> Vec<u8> {
    let kept = match made {
        Made::Booking(booking) => serde_json::to_vec(booking),
        Made::Hold(hold) => serde_json::to_vec(hold),
        Made::Released(hold_ids) => serde_json::to_vec(hold_ids),
    };
    kept.expect("bookings and holds are made of what JSON can say")
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

    /// The claims of these users change.
    fn write_claims_of(&mut self, config: &AccountConfig, user_ids: &[UserId]) {
        for &user_id in user_ids {
            if let Some(home) = home_of(config, user_id) {
                self.write(RevisionKey::Calendar(home));
                self.write(RevisionKey::User(user_id));
            }
        }
    }

    fn into_vec(self) -> Vec<ExpectedRevision> {
        self.0.into_values().collect()
    }
}

/// Who books.
#[derive(Clone, Copy)]
struct Person<'a> {
    attendee: &'a Attendee,
    metadata: &'a serde_json::Map<String, serde_json::Value>,
}

fn new_booking(
    grounds: &Grounds<'_>,
    ask: &DecideAsk,
    booking_id: BookingId,
    person: Person<'_>,
    chosen: &[&Host],
) -> Booking {
    let first_zone = chosen.first().map_or(chrono_tz::Tz::UTC, |host| host.user.timezone);
    Booking {
        id: booking_id,
        account_id: grounds.request.tenant.account_id,
        event_type_id: ask.terms.event_type_id,
        title: ask.title.clone(),
        location: ask.location.clone(),
        range: ask.range,
        status: BookingStatus::Confirmed,
        timezone: person.attendee.timezone.unwrap_or(first_zone),
        attendee: person.attendee.clone(),
        metadata: person.metadata.clone(),
        hosts: chosen.iter().map(|host| booking_host(grounds.config, &host.user)).collect(),
        sequence: 0,
        attendee_reschedules: 0,
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

/// For what and how long claims are taken.
struct ClaimTerms {
    owner: ClaimOwner,
    expires_at: Option<Timestamp>,
    session_id: Option<String>,
}

fn claim_of(grounds: &Grounds<'_>, ask: &DecideAsk, terms: &ClaimTerms, user: &User) -> ClaimChange {
    ClaimChange::Insert(Claim {
        id: ClaimId::mint(grounds.now, grounds.entropy),
        account_id: user.account_id,
        user_id: user.id,
        home_calendar_id: user.home_calendar_id,
        range: ask.range,
        owner: terms.owner,
        event_type_id: ask.terms.event_type_id,
        buffer_before_minutes: ask.terms.buffer_before_minutes,
        buffer_after_minutes: ask.terms.buffer_after_minutes,
        expires_at: terms.expires_at,
        session_id: terms.session_id.clone(),
    })
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
mod tests;
