//! What a decision plans, under which revisions, and when it may say no.

use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::calendar::ask::{Ask, Stored, ask_of};
use crate::calendar::fixtures::{
    Zero, account, always, at, booking, calendar, config, event_type_id, hours, tenant, user, user_id,
};
use crate::calendar::plan::cancel;
use crate::calendar::request::{BookRequest, ChangedBy, Choice, CommitRequest, Meeting};
use crate::commit::{Access, ClaimChange, ExpectedRevision, HoldLimits, RevisionKey};
use crate::facts::{CalendarFacts, Knowledge};
use crate::model::{Attendee, Booking, BookingStatus, User, WritebackState};
use crate::ports::{AccountConfig, BookingStoreItem};
use crate::shard::Epoch;
use crate::time::{TimeRange, Timestamp};

fn facts(number: u128, external: &[TimeRange], knowledge: Option<UnknownReason>) -> Arc<CalendarFacts> {
    let synced = Knowledge::Synced { as_of: at(0), window: hours(-48, 9_000), watched_until: None };
    Arc::new(CalendarFacts {
        calendar_id: calendar(number),
        account_id: account(),
        epoch: Epoch(1),
        revision: number as u64 * 10,
        knowledge: knowledge.map_or(synced, Knowledge::Unknown),
        external: external.to_vec(),
        displaced: Vec::new(),
        claims: Vec::new(),
    })
}

fn host(user: &User, external: &[TimeRange]) -> Host {
    let numbers = user.calendars_read().into_iter().map(|id| id.as_uuid().as_u128());
    Host {
        facts: numbers.map(|number| facts(number, external, None)).collect(),
        user: Arc::new(user.clone()),
        rules: Arc::new(always().into()),
    }
}

fn unknown_host(user: &User) -> Host {
    let number = user.home_calendar_id.as_uuid().as_u128();
    let unknown = facts(number, &[], Some(UnknownReason::ProviderError));
    Host { facts: vec![unknown], user: Arc::new(user.clone()), rules: Arc::new(always().into()) }
}

fn request(kind: CommitKind) -> CommitRequest {
    CommitRequest {
        commit_id: Uuid::from_u128(9),
        tenant: tenant(),
        kind,
        intent: Intent::Commit,
        idempotency: None,
        deadline: at(60),
    }
}

fn grounds<'a>(request: &'a CommitRequest, config: &'a AccountConfig) -> Grounds<'a> {
    let hold_limits = HoldLimits::default();
    Grounds { request, config, epoch: Some(Epoch(3)), is_shared: false, now: at(0), entropy: &Zero, hold_limits }
}

fn booking_of(planned: &Planned) -> &Booking {
    planned.made.booking().expect("a booking is planned")
}

fn book() -> CommitKind {
    CommitKind::Book(BookRequest {
        booking_id: crate::ids::BookingId::from_uuid(Uuid::from_u128(1)),
        meeting: Meeting::EventType(event_type_id()),
        choice: Choice::Any,
        start: hours(0, 24).start,
        attendee: Attendee { name: "Ada".into(), email: None, phone: None, timezone: None },
        metadata: serde_json::Map::new(),
    })
}

/// The next full hour after [`at`]`(0)`, which is one itself.
const FIRST: TimeRange = hours(0, 1);

struct Case<'a> {
    mode: SchedulingMode,
    hosts: &'a [Host],
    stale: &'a [u128],
    lost: &'a [u128],
    counts: &'a [(u128, u64)],
}

fn decide_case(case: &Case<'_>) -> Verdict {
    let users: Vec<User> = case.hosts.iter().map(|host| (*host.user).clone()).collect();
    let config = config(case.mode, &users);
    let request = request(book());
    let Ask::Decide(ask) = ask_of(&request.kind, &config, Stored::default(), at(0)) else { panic!("a question") };
    let grounds = grounds(&request, &config);
    let ids = |numbers: &[u128]| numbers.iter().map(|&number| user_id(number)).collect();
    let counts = case.counts.iter().map(|&(number, count)| (user_id(number), count)).collect();
    let evidence = Evidence {
        hosts: case.hosts,
        stale: &ids(case.stale),
        lost: &ids(case.lost),
        counts: &counts,
        checks: &SpotChecks::default(),
    };
    judge(&grounds, &ask, &evidence)
}

fn planned_for(verdict: &Verdict) -> Vec<UserId> {
    match verdict {
        Verdict::Plan(planned) => booking_of(planned).hosts.iter().map(|host| host.user_id).collect(),
        Verdict::Answer(answer) | Verdict::Refused { answer, .. } => panic!("not planned: {answer:?}"),
    }
}

#[test]
fn the_plan_rests_on_everything_that_was_read() {
    let hosts = [host(&user(2, &[7, 2]), &[]), host(&user(4, &[7]), &[])];
    let case = Case { mode: SchedulingMode::Collective, hosts: &hosts, stale: &[], lost: &[], counts: &[] };
    let Verdict::Plan(planned) = decide_case(&case) else { panic!("all are free") };
    let expected = |key, revision, access| ExpectedRevision { key, revision, access };
    assert_eq!(
        planned.plan.expected_revisions,
        [
            expected(RevisionKey::Config, Some(40), Access::Read),
            expected(RevisionKey::Calendar(calendar(2)), Some(20), Access::Write),
            expected(RevisionKey::Calendar(calendar(4)), Some(40), Access::Write),
            expected(RevisionKey::Calendar(calendar(7)), Some(70), Access::Read),
            expected(RevisionKey::User(user_id(2)), None, Access::Write),
            expected(RevisionKey::User(user_id(4)), None, Access::Write),
        ]
    );
    assert_eq!(planned.plan.epoch, Some(Epoch(3)));
    assert_eq!(planned.plan.effects.len(), 2, "one writeback for each calendar");
    let changed = planned.changed_calendars();
    assert_eq!(changed.keys().copied().collect::<Vec<_>>(), [calendar(2), calendar(4)]);
    assert!(changed.values().all(|claims| claims.as_ref().is_some_and(|claims| claims.len() == 1)));
}

#[test]
fn the_booking_says_what_the_terms_say() {
    let hosts = [host(&user(2, &[]), &[])];
    let case = Case { mode: SchedulingMode::Individual, hosts: &hosts, stale: &[], lost: &[], counts: &[] };
    let Verdict::Plan(planned) = decide_case(&case) else { panic!("the host is free") };
    let booking = booking_of(&planned);
    assert_eq!((booking.title.as_str(), booking.location.as_deref()), ("Intro call", Some("Room 1")));
    assert_eq!((booking.range, booking.timezone), (FIRST, chrono_tz::Tz::Europe__Berlin));
    assert_eq!(booking.hosts[0].writeback.as_ref().map(|writeback| writeback.state), Some(WritebackState::Pending));
    let [ClaimChange::Insert(claim)] = planned.plan.claims.as_slice() else { panic!("one claim") };
    assert_eq!((claim.buffer_before_minutes, claim.buffer_after_minutes, claim.range), (5, 10, FIRST));
}

#[test]
fn the_host_is_chosen_among_those_who_can() {
    let check = |mode, stale: &[u128], lost: &[u128], counts: &[(u128, u64)], expected: &[u128]| {
        let hosts = [host(&user(2, &[]), &[]), host(&user(3, &[]), &[]), host(&user(4, &[]), &[])];
        let verdict = decide_case(&Case { mode, hosts: &hosts, stale, lost, counts });
        let expected: Vec<UserId> = expected.iter().map(|&number| user_id(number)).collect();
        assert_eq!(planned_for(&verdict), expected, "{mode:?} {stale:?} {lost:?} {counts:?}");
    };
    use SchedulingMode::{Collective, Individual, RoundRobin};
    check(Individual, &[], &[], &[], &[2]);
    check(Individual, &[], &[2], &[], &[3]);
    check(Individual, &[2, 3], &[], &[], &[4]);
    check(RoundRobin, &[], &[], &[(2, 3), (3, 1), (4, 2)], &[3]);
    check(RoundRobin, &[], &[3], &[(2, 3), (3, 1), (4, 2)], &[4]);
    check(Collective, &[], &[], &[], &[2, 3, 4]);
}

/// Lesson: a provider's time-out is shown as "no slots".
#[test]
fn no_is_said_only_where_it_is_known() {
    #[derive(Debug, PartialEq)]
    enum Said {
        No,
        Unknown(Vec<UserId>),
        Stale(Vec<UserId>),
    }
    let said = |mode, hosts: &[Host], stale: &[u128]| match decide_case(&Case {
        mode,
        hosts,
        stale,
        lost: &[],
        counts: &[],
    }) {
        Verdict::Plan(_) => panic!("nobody can be booked"),
        Verdict::Answer(answer) | Verdict::Refused { answer, .. } => match *answer {
            CommitAnswer::Refused(_) => Said::No,
            CommitAnswer::Unavailable(UnavailableReason::FactsUnknown { user_ids }) => Said::Unknown(user_ids),
            CommitAnswer::Unavailable(UnavailableReason::FactsStale { user_ids }) => Said::Stale(user_ids),
            other => panic!("{other:?}"),
        },
    };
    let (free, busy) = (host(&user(2, &[]), &[]), host(&user(3, &[]), &[hours(0, 1)]));
    let unknown = unknown_host(&user(4, &[]));
    use SchedulingMode::{Collective, Individual};
    assert_eq!(said(Individual, std::slice::from_ref(&busy), &[]), Said::No);
    assert_eq!(said(Individual, &[busy.clone(), unknown.clone()], &[]), Said::No);
    assert_eq!(said(Individual, std::slice::from_ref(&unknown), &[]), Said::Unknown(vec![user_id(4)]));
    assert_eq!(said(Individual, std::slice::from_ref(&free), &[2]), Said::Stale(vec![user_id(2)]));
    assert_eq!(said(Collective, &[free.clone(), unknown.clone()], &[]), Said::Unknown(vec![user_id(4)]));
    assert_eq!(said(Collective, &[free, busy, unknown], &[]), Said::No);
}

#[test]
fn a_cancellation_gives_back_and_is_loaded_where_it_was_written() {
    let config = config(SchedulingMode::Individual, &[user(1, &[])]);
    let item = BookingStoreItem { booking: booking(8, hours(5, 6)), claim_count: 1 };
    let request =
        request(CommitKind::Cancel { booking_id: item.booking.id, reason: Some("ill".into()), by: ChangedBy::Key });
    let grounds = grounds(&request, &config);
    let planned = cancel(&grounds, &item);
    assert_eq!((booking_of(&planned).status, booking_of(&planned).sequence), (BookingStatus::Cancelled, 1));
    let owner = ClaimOwner::Booking(item.booking.id);
    let freed = vec![ClaimChange::Delete { owner, claim_count: 1 }];
    assert_eq!(planned.plan.claims, freed);
    let home_and_written = [(calendar(1), Some(freed)), (calendar(2), None)];
    assert_eq!(planned.changed_calendars(), BTreeMap::from(home_and_written));
}

/// Lesson: a team hold that holds one host.
#[test]
fn a_collective_is_never_a_smaller_one() {
    let users = [user(2, &[]), user(3, &[])];
    let config = config(SchedulingMode::Collective, &users);
    let request = request(book());
    let Ask::Decide(ask) = ask_of(&request.kind, &config, Stored::default(), at(0)) else { panic!("a question") };
    let grounds = grounds(&request, &config);
    let (none, counts) = (BTreeSet::new(), BTreeMap::new());
    let hosts = [host(&users[0], &[])];
    let verdict = judge(
        &grounds,
        &ask,
        &Evidence { hosts: &hosts, stale: &none, lost: &none, counts: &counts, checks: &SpotChecks::default() },
    );
    let Verdict::Answer(answer) = verdict else { panic!("one of two was not looked at") };
    let user_ids = vec![user_id(3)];
    assert_eq!(*answer, CommitAnswer::Unavailable(UnavailableReason::FactsUnknown { user_ids }));
}

#[test]
fn a_refused_move_is_not_offered_the_time_it_has() {
    let host = host(&user(1, &[]), &[hours(2, 3)]);
    let config = config(SchedulingMode::Individual, &[(*host.user).clone()]);
    let item = BookingStoreItem { booking: booking(8, hours(1, 2)), claim_count: 1 };
    let request = request(CommitKind::Reschedule {
        booking_id: item.booking.id,
        start: hours(2, 3).start,
        offered: false,
        by: ChangedBy::Key,
    });
    let Ask::Decide(ask) = ask_of(&request.kind, &config, Some(item).into(), at(0)) else { panic!("a question") };
    let grounds = grounds(&request, &config);
    let (none, counts) = (BTreeSet::new(), BTreeMap::new());
    let hosts = [host];
    let verdict = judge(
        &grounds,
        &ask,
        &Evidence { hosts: &hosts, stale: &none, lost: &none, counts: &counts, checks: &SpotChecks::default() },
    );
    let Verdict::Refused { answer, .. } = verdict else { panic!("the time is busy") };
    let CommitAnswer::Refused(refusal) = *answer else { panic!("a refusal: {answer:?}") };
    let starts: Vec<Timestamp> = refusal.alternatives.iter().map(|slot| slot.start).collect();
    assert_eq!(starts.len(), ALTERNATIVES_MAX);
    assert_eq!(starts.first(), Some(&hours(3, 4).start), "the nearest that is open: {starts:?}");
    assert!(!starts.contains(&hours(1, 2).start), "that is where it is: {starts:?}");
}
