//! Holds and their confirmation, judged, and the records of what was decided.

use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::calendar::ask::{Ask, Stored, ask_of};
use crate::calendar::fixtures::{
    Zero, account, always, at, booking_id, calendar, config, event_type_id, hold, hours, tenant, user, user_id,
};
use crate::calendar::request::{BookRequest, Choice, CommitRequest, ConfirmRequest, HoldRequest, Made, Meeting};
use crate::commit::{ClaimChange, HoldChange, HoldLimits, IdempotencyKey};
use crate::facts::{CalendarFacts, Knowledge};
use crate::ids::{ClaimId, HoldId};
use crate::model::{Attendee, Claim, EventType, Hold, HoldState, OnStale, User};
use crate::ports::{AccountConfig, HoldStoreItem};
use crate::shard::Epoch;
use crate::time::{TimeRange, Timestamp};

const FIRST: TimeRange = hours(0, 1);
const LIMITS: HoldLimits = HoldLimits { per_organization: 7, per_session: 5, per_user: 3 };

fn attendee() -> Attendee {
    Attendee { name: "Ada".into(), email: None, phone: None, timezone: None }
}

fn hold_id(number: u128) -> HoldId {
    HoldId::from_uuid(Uuid::from_u128(number))
}

fn to_hold(ttl_seconds: u32) -> CommitKind {
    CommitKind::Hold(HoldRequest {
        hold_id: hold_id(8),
        meeting: Meeting::EventType(event_type_id()),
        choice: Choice::Any,
        start: FIRST.start,
        ttl_seconds,
        session_id: Some("call".into()),
    })
}

fn to_book() -> CommitKind {
    CommitKind::Book(BookRequest {
        booking_id: booking_id(1),
        meeting: Meeting::EventType(event_type_id()),
        choice: Choice::Any,
        start: FIRST.start,
        attendee: attendee(),
        metadata: serde_json::Map::new(),
    })
}

fn to_confirm() -> CommitKind {
    let (booking_id, metadata) = (booking_id(1), serde_json::Map::new());
    CommitKind::Confirm(ConfirmRequest { booking_id, hold_id: hold_id(8), attendee: attendee(), metadata })
}

fn claim(number: u128, user: &User, owner: ClaimOwner, range: TimeRange, buffers: (u32, u32)) -> Claim {
    Claim {
        id: ClaimId::from_uuid(Uuid::from_u128(number)),
        account_id: account(),
        user_id: user.id,
        home_calendar_id: user.home_calendar_id,
        range,
        owner,
        event_type_id: Some(event_type_id()),
        buffer_before_minutes: buffers.0,
        buffer_after_minutes: buffers.1,
        expires_at: matches!(owner, ClaimOwner::Hold(_)).then(|| at(120)),
        session_id: None,
    }
}

/// A host whose calendar shows these events and claims.
fn host(user: &User, external: &[TimeRange], mut claims: Vec<Claim>) -> Host {
    claims.sort_by_key(|claim| (claim.range.start, claim.id));
    let facts = CalendarFacts {
        calendar_id: user.home_calendar_id,
        account_id: account(),
        epoch: Epoch(1),
        revision: user.home_calendar_id.as_uuid().as_u128() as u64 * 10,
        knowledge: Knowledge::Synced { as_of: at(-5), window: hours(-48, 9_000), watched_until: None },
        external: external.to_vec(),
        displaced: Vec::new(),
        claims,
    };
    Host { facts: vec![Arc::new(facts)], user: Arc::new(user.clone()), rules: Arc::new(always().into()) }
}

/// The hold's own claim.
fn held(user: &User, buffers: (u32, u32)) -> Claim {
    claim(1, user, ClaimOwner::Hold(hold_id(8)), FIRST, buffers)
}

struct Case {
    kind: CommitKind,
    intent: Intent,
    config: AccountConfig,
    holds: Vec<HoldStoreItem>,
    now: Timestamp,
}

impl Case {
    fn of(kind: CommitKind, mode: SchedulingMode, hosts: &[Host]) -> Self {
        let users: Vec<User> = hosts.iter().map(|host| (*host.user).clone()).collect();
        let numbers: Vec<u128> = users.iter().map(|user| user.id.as_uuid().as_u128()).collect();
        let holds = match kind {
            CommitKind::Confirm(_) => vec![hold(8, &numbers, FIRST)],
            _ => Vec::new(),
        };
        Self { kind, intent: Intent::Commit, config: config(mode, &users), holds, now: at(0) }
    }

    fn judge(&self, hosts: &[Host]) -> Verdict {
        let request = CommitRequest {
            commit_id: Uuid::from_u128(9),
            tenant: tenant(),
            kind: self.kind.clone(),
            intent: self.intent,
            idempotency: Some(IdempotencyKey { scope: [1; 32], fingerprint: [2; 32] }),
            deadline: at(60),
        };
        let stored = Stored { booking: None, holds: self.holds.clone() };
        let Ask::Decide(ask) = ask_of(&request.kind, &self.config, stored, self.now) else { panic!("a question") };
        let grounds = Grounds {
            request: &request,
            config: &self.config,
            epoch: Some(Epoch(3)),
            is_shared: false,
            now: self.now,
            entropy: &Zero,
            hold_limits: LIMITS,
        };
        let (none, counts) = (BTreeSet::new(), BTreeMap::new());
        judge(
            &grounds,
            &ask,
            &Evidence { hosts, stale: &none, lost: &none, counts: &counts, checks: &SpotChecks::default() },
        )
    }
}

fn planned(verdict: Verdict) -> Planned {
    match verdict {
        Verdict::Plan(planned) => *planned,
        other => panic!("not planned: {other:?}"),
    }
}

#[test]
fn a_hold_is_planned_with_its_claims_row_and_limits() {
    let hosts = [host(&user(2, &[]), &[], Vec::new()), host(&user(4, &[]), &[], Vec::new())];
    let planned = planned(Case::of(to_hold(300), SchedulingMode::Collective, &hosts).judge(&hosts));
    let expected = Hold { expires_at: at(300), ..hold(8, &[2, 4], FIRST).hold };
    assert_eq!(planned.made, Made::Hold(Box::new(expected.clone())));
    let kept = planned.plan.idempotency.as_ref().expect("a key was sent");
    assert_eq!(serde_json::from_slice::<Hold>(&kept.answer).expect("a hold"), expected);
    assert_eq!(planned.plan.holds, [HoldChange::Insert { hold: Box::new(expected), limits: LIMITS }]);
    for (change, number) in planned.plan.claims.iter().zip([2, 4]) {
        let ClaimChange::Insert(claim) = change else { panic!("a hold takes time") };
        assert_eq!((claim.user_id, claim.range), (user_id(number), FIRST));
        assert_eq!((claim.expires_at, claim.session_id.as_deref()), (Some(at(300)), Some("call")));
        assert_eq!((claim.buffer_before_minutes, claim.buffer_after_minutes), (5, 10));
    }
    assert_eq!((planned.plan.booking.is_none(), planned.plan.effects.len()), (true, 0), "nothing is written anywhere");
    let changed = planned.changed_calendars();
    assert_eq!(changed.into_keys().collect::<Vec<_>>(), [calendar(2), calendar(4)]);
}

#[test]
fn no_hold_is_longer_than_the_longest() {
    let hosts = [host(&user(2, &[]), &[], Vec::new())];
    let check = |ttl_seconds, expected| {
        let planned = planned(Case::of(to_hold(ttl_seconds), SchedulingMode::Individual, &hosts).judge(&hosts));
        assert_eq!(planned.made.hold().map(|hold| hold.expires_at), Some(expected), "{ttl_seconds}");
    };
    check(30, at(30));
    check(900, at(900));
    check(901, at(900));
    check(u32::MAX, at(900));
}

/// Lesson: a team hold that holds one host.
#[test]
fn a_collective_hold_takes_all_or_none() {
    let [one, two] = [user(2, &[]), user(4, &[])];
    let hosts = [host(&one, &[], Vec::new()), host(&two, &[hours(0, 2)], Vec::new())];
    let verdict = Case::of(to_hold(120), SchedulingMode::Collective, &hosts).judge(&hosts);
    assert!(matches!(verdict, Verdict::Refused { .. }), "{verdict:?}");
    for mode in [SchedulingMode::Individual, SchedulingMode::RoundRobin] {
        let hosts = [host(&two, &[hours(0, 2)], Vec::new()), host(&one, &[], Vec::new())];
        let planned = planned(Case::of(to_hold(120), mode, &hosts).judge(&hosts));
        assert_eq!(planned.made.hold().map(|hold| hold.user_ids.clone()), Some(vec![user_id(2)]), "{mode:?}");
    }
}

#[test]
fn a_confirmed_hold_is_planned_as_the_booking_of_its_hosts() {
    let users = [user(2, &[]), user(4, &[])];
    let hosts = users.each_ref().map(|user| host(user, &[], vec![held(user, (5, 10))]));
    let planned = planned(Case::of(to_confirm(), SchedulingMode::Individual, &hosts).judge(&hosts));
    let booking = planned.made.booking().expect("a booking is planned");
    assert_eq!((booking.id, booking.range, booking.title.as_str()), (booking_id(1), FIRST, "Intro call"));
    assert_eq!(booking.hosts.iter().map(|host| host.user_id).collect::<Vec<_>>(), [user_id(2), user_id(4)]);
    let confirm = ClaimChange::Confirm { hold_id: hold_id(8), booking_id: booking.id, claim_count: 2 };
    assert_eq!(planned.plan.claims, std::slice::from_ref(&confirm));
    assert_eq!(planned.plan.holds, [HoldChange::Confirm { hold_id: hold_id(8), booking_id: booking.id }]);
    assert_eq!(planned.plan.effects.len(), 2, "both calendars shall show it");
    let changes = Some(vec![confirm]);
    let expected = BTreeMap::from([(calendar(2), changes.clone()), (calendar(4), changes)]);
    assert_eq!(planned.changed_calendars(), expected, "published without loading");
}

/// A hold is a promise: of the rules of its time, and of the time itself. Only what came from outside meanwhile can stand
/// against it; its own claim never does.
#[test]
fn a_confirmation_keeps_the_holds_promise() {
    let person = user(2, &[]);
    let check =
        |what: &str, change: fn(&mut EventType), external: &[TimeRange], now: Timestamp, expected: &[Reason]| {
            let hosts = [host(&person, external, vec![held(&person, (5, 10))])];
            let mut case = Case::of(to_confirm(), SchedulingMode::Individual, &hosts);
            case.now = now;
            change(&mut case.config.event_types[0].0);
            match case.judge(&hosts) {
                Verdict::Plan(_) => assert_eq!(expected, [], "{what}"),
                Verdict::Refused { answer, .. } => match *answer {
                    CommitAnswer::Refused(refusal) => {
                        assert_eq!(refusal.decision.verdicts[0].reasons, expected, "{what}");
                    }
                    other => panic!("{what}: {other:?}"),
                },
                other => panic!("{what}: {other:?}"),
            }
        };
    let same = |_: &mut EventType| {};
    check("nothing changed", same, &[], at(0), &[]);
    check("another grid", |event_type| event_type.slot_interval_minutes = 7, &[], at(0), &[]);
    check("more notice", |event_type| event_type.min_notice_hours = 48, &[], at(0), &[]);
    check("a shorter window", |event_type| event_type.booking_window_days = 0, &[], at(0), &[]);
    check("no more that day", |event_type| event_type.max_bookings_per_day = Some(0), &[], at(0), &[]);
    check("another length", |event_type| event_type.duration_minutes = 15, &[], at(0), &[]);
    check("another mode", |event_type| event_type.scheduling_mode = SchedulingMode::Collective, &[], at(0), &[]);
    check("offers only", |event_type| event_type.require_slot_id = true, &[], at(0), &[]);
    let more_room = |event_type: &mut EventType| event_type.buffer_after_minutes = 60;
    let later = TimeRange { start: at(5_400), end: at(6_000) };
    check("more room wanted than held", more_room, &[later], at(0), &[]);
    check("the slot has begun", same, &[], at(600), &[]);
    check("the slot is over", same, &[], at(3_600), &[Reason::TooSoon]);
    check("somebody else's event", same, &[FIRST], at(0), &[Reason::Busy]);
    let near = TimeRange { start: at(3_900), end: at(4_000) };
    check("an event inside the room it holds", same, &[near], at(0), &[Reason::Buffer]);
}

/// Rules that were narrowed since do not break a promise either.
#[test]
fn narrower_rules_do_not_break_a_promise() {
    let person = user(2, &[]);
    let mut closed = host(&person, &[], vec![held(&person, (5, 10))]);
    let mut rules = always();
    rules.weekly.clear();
    closed.rules = Arc::new(rules.into());
    let hosts = [closed];
    planned(Case::of(to_confirm(), SchedulingMode::Individual, &hosts).judge(&hosts));
    let verdict = Case::of(to_book(), SchedulingMode::Individual, &hosts).judge(&hosts);
    assert!(matches!(verdict, Verdict::Refused { .. }), "a new booking is another matter");
}

#[test]
fn a_confirmation_on_unknown_facts_is_not_decided() {
    let person = user(2, &[]);
    let mut unknown = host(&person, &[], Vec::new());
    let facts =
        CalendarFacts { knowledge: Knowledge::Unknown(UnknownReason::ProviderError), ..(*unknown.facts[0]).clone() };
    unknown.facts = vec![Arc::new(facts)];
    let hosts = [unknown];
    let mut case = Case::of(to_confirm(), SchedulingMode::Individual, &hosts);
    case.config.event_types[0].0.on_stale = OnStale::Accept;
    let Verdict::Answer(answer) = case.judge(&hosts) else { panic!("unknown is neither yes nor no") };
    let user_ids = vec![user_id(2)];
    assert_eq!(*answer, CommitAnswer::Unavailable(UnavailableReason::FactsUnknown { user_ids }));
}

/// What was decided, and on what, is kept with what was made.
#[test]
fn an_accepted_decision_is_recorded() {
    let person = user(2, &[]);
    let check = |kind: CommitKind, recorded: DecisionKind, booking: Option<u128>, hold: Option<u128>| {
        let claims = match recorded {
            DecisionKind::Confirm => vec![held(&person, (5, 10))],
            _ => Vec::new(),
        };
        let hosts = [host(&person, &[], claims)];
        let planned = planned(Case::of(kind, SchedulingMode::Individual, &hosts).judge(&hosts));
        let record = planned.plan.decision.as_deref().expect("kept with the commit");
        assert_eq!(record.kind, recorded);
        assert_eq!((record.booking_id, record.hold_id), (booking.map(booking_id), hold.map(hold_id)), "{recorded:?}");
        assert_eq!((record.config_revision, record.event_type_id), (40, Some(event_type_id())));
        let seen = FactsSeen { calendar_id: calendar(2), revision: 20, as_of: Some(at(-5)), checked_at: None };
        assert_eq!(record.facts, [seen]);
        assert_eq!((record.chosen.as_slice(), record.decided_at), (&[user_id(2)][..], at(0)));
        assert_eq!(record.decision.range, FIRST);
        assert!(record.is_accepted());
    };
    check(to_book(), DecisionKind::Book, Some(1), None);
    check(to_hold(120), DecisionKind::Hold, None, Some(8));
    check(to_confirm(), DecisionKind::Confirm, Some(1), Some(8));
}

/// A refusal is recorded too, without what it would have made; a dry run leaves nothing.
#[test]
fn a_refusal_is_recorded_unless_it_was_only_a_question() {
    let person = user(2, &[]);
    let check = |kind: CommitKind, hold: Option<u128>| {
        let hosts = [host(&person, &[FIRST], Vec::new())];
        let mut case = Case::of(kind, SchedulingMode::Individual, &hosts);
        let Verdict::Refused { answer, record } = case.judge(&hosts) else { panic!("the time is busy") };
        let (CommitAnswer::Refused(refusal), Some(record)) = (*answer, record) else { panic!("a refusal, recorded") };
        assert_eq!(refusal.decision_id, Some(record.id));
        assert_eq!((record.booking_id, record.hold_id), (None, hold.map(hold_id)));
        assert_eq!((record.chosen.len(), record.is_accepted()), (0, false));
        assert_eq!(record.decision, refusal.decision);
        assert_eq!(record.decision.verdicts[0].reasons, [Reason::Busy]);
        case.intent = Intent::DryRun;
        let Verdict::Refused { answer, record } = case.judge(&hosts) else { panic!("the time is busy") };
        assert!(matches!(*answer, CommitAnswer::Refused(Refusal { decision_id: None, .. })));
        assert_eq!(record, None);
    };
    check(to_book(), None);
    check(to_hold(120), None);
    check(to_confirm(), Some(8));
    assert_eq!(hold(8, &[2], FIRST).state(), HoldState::Active);
}
