//! From what was decided to what must be committed, and on which revisions it rests.

use std::collections::{BTreeMap, BTreeSet};

use crate::commit::{
    Access, BookingChange, ClaimChange, CommitPlan, Effect, ExpectedRevision, HoldChange, HoldLimits, IdempotencyKey,
    IdempotentAnswer, RevisionKey,
};
use crate::decision::Host;
use crate::ids::{BookingId, CalendarId, ClaimId, EventId, UserId};
use crate::invariants::plan_is_sound;
use crate::model::{
    Attendee, Booking, BookingHost, BookingStatus, Claim, ClaimOwner, Conference, ConferenceKind, ConferenceState,
    Event, EventKind, EventSubject, ExternalState, HOLD_TTL_SECONDS_MAX, Hold, HoldState, User, Writeback,
    WritebackState,
};
use crate::ports::{AccountConfig, BookingStoreItem, Entropy, HoldStoreItem};
use crate::shard::{Epoch, Shard};
use crate::time::{SECOND_US, TimeRange, Timestamp};

use super::ask::{DecideAsk, Subject, calendar_in, home_of};
use super::request::{ChangedBy, CommitKind, CommitRequest, HoldRequest, Made};

/// What a decision rests on besides the facts.
pub struct Grounds<'a> {
    /// The request.
    pub request: &'a CommitRequest,
    /// The account's configuration.
    pub config: &'a AccountConfig,
    /// The ownership the decision is made under; `None` on the owner-less path.
    pub epoch: Option<Epoch>,
    /// Whether another node may be performing the same commit.
    pub is_shared: bool,
    /// The store's clock.
    pub now: Timestamp,
    /// Chance, for the ids of claims and records.
    pub entropy: &'a dyn Entropy,
    /// Most live holds.
    pub hold_limits: HoldLimits,
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
    /// Calendars whose published facts the plan changes, and what it does to the claims published there. `None`: more than
    /// claims changes, so the facts must be loaded.
    pub fn changed_calendars(&self) -> BTreeMap<CalendarId, Option<Vec<ClaimChange>>> {
        let plan = &self.plan;
        // While a change waits to be written, the event as last written is an echo, which only the store knows.
        let is_new = matches!(plan.booking, None | Some(BookingChange::Insert(_)));
        let has_echo = |id: CalendarId| {
            let is_here =
                |effect: &Effect| matches!(effect, Effect::Writeback { calendar_id, .. } if *calendar_id == id);
            !is_new && plan.effects.iter().any(is_here)
        };
        let is_there = |change: &&ClaimChange, id: CalendarId| match change {
            ClaimChange::Insert(claim) => claim.home_calendar_id == id,
            _ => true,
        };
        let written = plan.expected_revisions.iter().filter_map(|expected| match (expected.key, expected.access) {
            (RevisionKey::Calendar(id), Access::Write) => Some(id),
            _ => None,
        });
        let changes = |id| plan.claims.iter().filter(|change| is_there(change, id)).cloned().collect();
        written.map(|id| (id, (!has_echo(id)).then(|| changes(id)))).collect()
    }
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
    planned_booking(grounds, booking, Changes { claims, change, holds: Vec::new(), moved_from: None }, revisions)
}

/// Plans a hold's later end. Asked for a sooner one, it stays as it is: an extension takes nothing away.
pub fn extend(grounds: &Grounds<'_>, item: &HoldStoreItem) -> Planned {
    let CommitKind::Extend { hold_id, ttl_seconds } = grounds.request.kind else {
        unreachable!("only extensions ask to extend");
    };
    let expires_at = after_seconds(grounds.now, ttl_seconds).max(item.hold.expires_at);
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

/// Plans to keep the answer of a request that had nothing to do, since all is as it asks. It names no revisions: what it says
/// was so when it was read.
pub fn keep_answer(request: &CommitRequest, key: IdempotencyKey, epoch: Option<Epoch>, made: &Made) -> CommitPlan {
    let idempotency = Some(IdempotentAnswer { key, answer: kept_form(made) });
    CommitPlan { idempotency, ..idle_plan(request, epoch) }
}

/// Plans what was decided, with these hosts.
pub(super) fn plan(grounds: &Grounds<'_>, ask: &DecideAsk, chosen: &[&Host]) -> Planned {
    let mut revisions = Revisions::new(grounds.config.config_revision);
    for host in chosen {
        for facts in &host.facts {
            revisions.read(RevisionKey::Calendar(facts.calendar_id), facts.revision);
        }
        revisions.write(RevisionKey::Calendar(host.user.home_calendar_id));
        revisions.write(RevisionKey::User(host.user.id));
    }
    let mut planned = plan_request(grounds, ask, chosen, revisions);
    planned.plan.expired_until = latest_expired(chosen, grounds.now);
    planned
}

/// The latest end among holds of these hosts that count as expired at an instant.
fn latest_expired(hosts: &[&Host], now: Timestamp) -> Option<Timestamp> {
    let claims = hosts.iter().flat_map(|host| &host.facts).flat_map(|facts| &facts.claims);
    claims.filter_map(|claim| claim.expires_at).filter(|&expires_at| expires_at <= now).max()
}

fn plan_request(grounds: &Grounds<'_>, ask: &DecideAsk, chosen: &[&Host], revisions: Revisions) -> Planned {
    match (&grounds.request.kind, &ask.subject) {
        (CommitKind::Book(book), _) => {
            let person = Person { attendee: &book.attendee, metadata: &book.metadata };
            let booking = new_booking(grounds, ask, book.booking_id, person, chosen);
            let terms = ClaimTerms { owner: ClaimOwner::Booking(booking.id), expires_at: None, session_id: None };
            let claims = chosen.iter().map(|host| claim_of(grounds, ask, &terms, &host.user)).collect();
            let change = BookingChange::Insert(Box::new(booking.clone()));
            planned_booking(
                grounds,
                booking,
                Changes { claims, change, holds: Vec::new(), moved_from: None },
                revisions,
            )
        }
        (CommitKind::Hold(request), _) => plan_hold(grounds, ask, request, chosen, revisions),
        (CommitKind::Confirm(confirm), Subject::Confirm(item)) => {
            let person = Person { attendee: &confirm.attendee, metadata: &confirm.metadata };
            let booking = new_booking(grounds, ask, confirm.booking_id, person, chosen);
            let (hold_id, booking_id, claim_count) = (item.hold.id, booking.id, claims_of(&item.hold));
            let claims = vec![ClaimChange::Confirm { hold_id, booking_id, claim_count }];
            let change = BookingChange::Insert(Box::new(booking.clone()));
            let holds = vec![HoldChange::Confirm { hold_id, booking_id }];
            planned_booking(grounds, booking, Changes { claims, change, holds, moved_from: None }, revisions)
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
    let moved_from = Some(item.booking.range);
    planned_booking(grounds, booking, Changes { claims, change, holds: Vec::new(), moved_from }, revisions)
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
    now.plus_micros(i64::from(seconds.min(HOLD_TTL_SECONDS_MAX)) * SECOND_US)
}

/// One claim per host.
fn claims_of(hold: &Hold) -> u32 {
    u32::try_from(hold.user_ids.len()).unwrap_or(u32::MAX)
}

/// What changes with a booking.
struct Changes {
    claims: Vec<ClaimChange>,
    change: BookingChange,
    holds: Vec<HoldChange>,
    /// When the booking was, where that changes.
    moved_from: Option<TimeRange>,
}

fn planned_booking(
    grounds: &Grounds<'_>,
    booking: Booking,
    Changes { claims, change, holds, moved_from }: Changes,
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
    let event = Some(Box::new(event_of(grounds, &booking, &change, moved_from)));
    let plan = CommitPlan { claims, booking: Some(change), holds, effects, event, ..empty_plan(grounds, revisions) };
    planned(grounds, Made::Booking(Box::new(booking)), plan)
}

fn empty_plan(grounds: &Grounds<'_>, revisions: Revisions) -> CommitPlan {
    CommitPlan {
        is_shared: grounds.is_shared,
        expected_revisions: revisions.into_vec(),
        ..idle_plan(grounds.request, grounds.epoch)
    }
}

/// A plan that does nothing.
fn idle_plan(request: &CommitRequest, epoch: Option<Epoch>) -> CommitPlan {
    CommitPlan {
        commit_id: request.commit_id,
        tenant: request.tenant,
        shard: Shard::of(request.tenant.account_id),
        epoch,
        is_shared: false,
        expired_until: None,
        expected_revisions: Vec::new(),
        claims: Vec::new(),
        booking: None,
        holds: Vec::new(),
        decision: None,
        effects: Vec::new(),
        event: None,
        idempotency: None,
    }
}

/// What is told outside of a change to a booking, as the booking then is. A commit tells of one thing at most, so its id
/// serves for that, too.
fn event_of(
    grounds: &Grounds<'_>,
    booking: &Booking,
    change: &BookingChange,
    previous_range: Option<TimeRange>,
) -> Event {
    let kind = match change {
        BookingChange::Insert(_) => EventKind::BookingCreated,
        BookingChange::Reschedule { .. } => EventKind::BookingRescheduled,
        BookingChange::Cancel { .. } => EventKind::BookingCancelled,
    };
    Event {
        id: EventId::from_uuid(grounds.request.commit_id),
        kind,
        subject: EventSubject::Booking { booking: Box::new(booking.clone()), previous_range, minutes_before: None },
    }
}

fn planned(grounds: &Grounds<'_>, made: Made, plan: CommitPlan) -> Planned {
    let idempotency = grounds.request.idempotency.map(|key| IdempotentAnswer { key, answer: kept_form(&made) });
    let plan = CommitPlan { idempotency, ..plan };
    debug_assert_eq!(plan_is_sound(&plan), Ok(()), "{plan:?}");
    Planned { plan, made }
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
        conference: ask.conference.map(|kind| conference(grounds.config, kind, chosen)),
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

/// The conference hangs on the event of the first host whose calendar can have it.
fn conference(config: &AccountConfig, kind: ConferenceKind, chosen: &[&Host]) -> Conference {
    let can_have_it = |id: &CalendarId| {
        calendar_in(config, *id).is_some_and(|calendar| calendar.writable && kind.is_made_at(calendar.provider))
    };
    let calendar_id = chosen.iter().filter_map(|host| host.user.calendar_id).find(can_have_it);
    let state = if calendar_id.is_some() { ConferenceState::Pending } else { ConferenceState::Failed };
    Conference { kind, calendar_id, state, join_url: None }
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

#[cfg(test)]
mod tests;
