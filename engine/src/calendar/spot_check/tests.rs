//! What a spot check says, of what, and when it is asked for.

use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::calendar::ask::{Ask, Stored, ask_of};
use crate::calendar::fixtures::{
    Zero, account, always, at, booking_id, calendar, config, event_type_id, hours, user, user_id,
};
use crate::calendar::request::{BookRequest, Choice, CommitKind, Meeting};
use crate::facts::PendingEcho;
use crate::ids::{BookingId, ClaimId};
use crate::limits::LimitKind;
use crate::model::{Attendee, Claim, ClaimOwner};
use crate::shard::Epoch;

const STALE: Knowledge = Knowledge::Synced { as_of: at(-9_000), window: hours(-48, 9_000), watched_until: None };

fn busy(range: TimeRange) -> ExternalInstance {
    ExternalInstance { range, booking_id: None, blocks: true }
}

fn ours(number: u128, range: TimeRange) -> ExternalInstance {
    ExternalInstance { booking_id: Some(booking_id(number)), ..busy(range) }
}

fn source(instances: Vec<ExternalInstance>) -> FactSource {
    FactSource {
        calendar_id: calendar(2),
        account_id: account(),
        epoch: Epoch(1),
        revision: 20,
        knowledge: STALE,
        instances,
        claims: Vec::new(),
        echoes: Vec::new(),
    }
}

fn check(range: TimeRange, instances: &[ExternalInstance]) -> SpotCheck {
    SpotCheck { range, asked_at: at(0), instances: instances.to_vec() }
}

fn claim(number: u128, range: TimeRange) -> Claim {
    Claim {
        id: ClaimId::from_uuid(Uuid::from_u128(number)),
        account_id: account(),
        user_id: user_id(2),
        home_calendar_id: calendar(2),
        owner: ClaimOwner::Booking(booking_id(number)),
        event_type_id: Some(event_type_id()),
        range,
        buffer_before_minutes: 0,
        buffer_after_minutes: 0,
        expires_at: None,
        session_id: None,
    }
}

#[test]
fn what_was_said_of_a_range_replaces_what_was_known_of_it_and_nothing_else() {
    let range = hours(10, 12);
    let check = |known: &[TimeRange], said: &[TimeRange], expected: &[TimeRange]| {
        let said: Vec<_> = said.iter().copied().map(busy).collect();
        let facts = check(range, &said).over(source(known.iter().copied().map(busy).collect()));
        assert_eq!(facts.external, expected, "{known:?} {said:?}");
        assert_eq!((facts.knowledge, facts.revision), (STALE, 20), "outside the range nothing is younger than it was");
    };
    check(&[], &[], &[]);
    check(&[hours(10, 11)], &[], &[]);
    check(&[hours(9, 13)], &[], &[hours(9, 10), hours(12, 13)]);
    check(&[hours(9, 11), hours(11, 13)], &[], &[hours(9, 10), hours(12, 13)]);
    check(&[hours(8, 10), hours(12, 14)], &[], &[hours(8, 10), hours(12, 14)]);
    check(&[], &[hours(11, 12)], &[hours(11, 12)]);
    check(&[hours(10, 11)], &[hours(9, 11)], &[hours(9, 11)]);
    check(&[hours(20, 21)], &[hours(11, 15)], &[hours(11, 15), hours(20, 21)]);
    // What lies elsewhere was not asked for, so it is not the whole of what is there.
    check(&[hours(20, 21)], &[hours(14, 15)], &[hours(20, 21)]);
}

#[test]
fn an_event_of_ours_is_looked_past_where_facts_would_look_past_it_and_nowhere_else() {
    let range = hours(10, 12);
    let displaced = |source: FactSource, said: &[ExternalInstance]| {
        let facts = check(range, said).over(source);
        assert_eq!(facts.external, []);
        facts.displaced
    };
    let claimed = || FactSource { claims: vec![claim(1, hours(10, 11))], ..source(Vec::new()) };
    assert_eq!(displaced(claimed(), &[ours(1, hours(10, 11))]), [], "it stands where its claim is");
    let moved = [(booking_id(1), hours(11, 12))];
    assert_eq!(displaced(claimed(), &[ours(1, hours(11, 12))]), moved, "somebody moved it");
    let stranger = [(booking_id(2), hours(10, 11))];
    assert_eq!(displaced(claimed(), &[ours(2, hours(10, 11))]), stranger, "no claim of it is known here");
    let echo = PendingEcho { booking_id: booking_id(3), range: hours(10, 11) };
    let echoing = FactSource { echoes: vec![echo], ..source(Vec::new()) };
    assert_eq!(displaced(echoing, &[ours(3, hours(10, 11))]), [], "its move waits to be written");
    let known = source(vec![ours(4, hours(9, 11)), ours(5, hours(13, 14))]);
    assert_eq!(displaced(known, &[]), [(booking_id(5), hours(13, 14))], "it is gone from the range, so it is gone");
}

#[test]
fn busy_time_that_merely_coincides_with_a_claim_is_not_ours() {
    let claimed = FactSource { claims: vec![claim(1, hours(10, 11))], ..source(Vec::new()) };
    assert_eq!(check(hours(10, 12), &[busy(hours(10, 11))]).over(claimed).external, [hours(10, 11)]);
}

#[test]
fn nothing_but_the_range_is_known_where_nothing_was() {
    let range = hours(10, 12);
    let knowledge = |reason| {
        let unknown = FactSource { knowledge: Knowledge::Unknown(reason), ..source(Vec::new()) };
        check(range, &[]).over(unknown).knowledge
    };
    let known = Knowledge::Synced { as_of: at(0), window: range, watched_until: None };
    for reason in [UnknownReason::NotSynced, UnknownReason::ProviderError, UnknownReason::DeadlineExceeded] {
        assert_eq!(knowledge(reason), known);
    }
    for reason in [UnknownReason::CalendarGone, UnknownReason::ReauthorizationRequired] {
        assert_eq!(knowledge(reason), Knowledge::Unknown(reason));
    }
}

/// A host who reads calendars of these numbers, each known so far.
fn host(number: u128, calendars: &[(u128, Knowledge)]) -> Host {
    let others: Vec<u128> = calendars.iter().map(|&(calendar, _)| calendar).filter(|&other| other != number).collect();
    let facts = calendars.iter().map(|&(number, knowledge)| {
        let source = FactSource { calendar_id: calendar(number), knowledge, ..source(Vec::new()) };
        Arc::new(CalendarFacts::assemble(source))
    });
    Host { facts: facts.collect(), user: Arc::new(user(number, &others)), rules: Arc::new(always().into()) }
}

fn ask(mode: SchedulingMode, hosts: &[Host]) -> DecideAsk {
    let users: Vec<_> = hosts.iter().map(|host| (*host.user).clone()).collect();
    let book = CommitKind::Book(BookRequest {
        booking_id: BookingId::from_uuid(Uuid::from_u128(1)),
        meeting: Meeting::EventType(event_type_id()),
        choice: Choice::Any,
        start: at(36_000),
        attendee: Attendee { name: "Ada".into(), email: None, phone: None, timezone: None },
        metadata: serde_json::Map::new(),
    });
    match ask_of(&book, &config(mode, &users), Stored::default(), at(0)) {
        Ask::Decide(ask) => *ask,
        other => panic!("a question: {other:?}"),
    }
}

#[test]
fn only_what_can_help_is_checked() {
    const FRESH: Knowledge = Knowledge::Synced { as_of: at(-5), window: hours(-48, 9_000), watched_until: None };
    const FAILING: Knowledge = Knowledge::Unknown(UnknownReason::ProviderError);
    const GONE: Knowledge = Knowledge::Unknown(UnknownReason::CalendarGone);
    use SchedulingMode::{Collective, Individual};
    // Calendar 9 is one whose provider cannot be asked.
    let check = |mode, hosts: &[Host], expected: &[u128]| {
        let user_ids = hosts.iter().map(|host| host.user.id).collect();
        let answer = CommitAnswer::Unavailable(UnavailableReason::FactsStale { user_ids });
        let is_old = |facts: &CalendarFacts| facts.as_of() == Some(at(-9_000));
        let wanted = wanted(&ask(mode, hosts), hosts, &answer, is_old, |id| id != calendar(9));
        let found: Vec<CalendarId> = wanted.into_iter().flat_map(|wanted| wanted.calendar_ids).collect();
        let expected: Vec<CalendarId> = expected.iter().map(|&number| calendar(number)).collect();
        assert_eq!(found, expected, "{mode:?} {hosts:?}");
    };
    check(Individual, &[host(2, &[(2, STALE)])], &[2]);
    check(Individual, &[host(2, &[(2, FAILING)])], &[2]);
    check(Individual, &[host(2, &[(2, FRESH), (3, STALE)])], &[3]);
    check(Individual, &[host(2, &[(2, STALE), (3, GONE)])], &[]);
    check(Individual, &[host(2, &[(2, STALE), (9, STALE)])], &[]);
    check(Individual, &[host(2, &[(2, STALE), (9, FRESH)])], &[2]);
    check(Individual, &[host(2, &[(2, Knowledge::Internal), (3, STALE)])], &[3]);
    check(Individual, &[host(2, &[(2, GONE)]), host(4, &[(4, STALE)])], &[4]);
    check(Collective, &[host(2, &[(2, GONE)]), host(4, &[(4, STALE)])], &[]);
    check(Collective, &[host(2, &[(2, STALE), (5, STALE)]), host(4, &[(4, FAILING), (5, STALE)])], &[2, 4, 5]);
    let crowd: Vec<Host> = (1..=9).map(|number| host(number, &[(number, STALE), (number + 100, STALE)])).collect();
    let of_eight: Vec<u128> =
        (1..=8).flat_map(|number| [number, number + 100]).collect::<BTreeSet<_>>().into_iter().collect();
    check(Individual, &crowd[..8], &of_eight);
    assert_eq!(of_eight.len(), SPOT_CHECKS_MAX);
    check(Collective, &crowd[..8], &of_eight);
    let other = host(10, &[(10, STALE)]);
    let nine: Vec<Host> = crowd[..8].iter().cloned().chain([other]).collect();
    check(Individual, &nine, &of_eight);
    check(Collective, &nine, &[]);
}

#[test]
fn the_range_that_is_checked_holds_the_buffers() {
    let hosts = [host(2, &[(2, STALE)])];
    let user_ids = vec![user_id(2)];
    let answer = CommitAnswer::Unavailable(UnavailableReason::FactsUnknown { user_ids });
    let wanted = wanted(&ask(SchedulingMode::Individual, &hosts), &hosts, &answer, |_| true, |_| true);
    // The event type of the fixtures wants five minutes before its hour, and ten after it.
    let range = TimeRange { start: at(36_000 - 300), end: at(36_000 + 3_600 + 600) };
    assert_eq!(wanted, Some(SpotChecksWanted { calendar_ids: [calendar(2)].into(), range }));
}

#[test]
fn nothing_is_checked_for_an_answer_that_knows() {
    let hosts = [host(2, &[(2, STALE)])];
    for reason in [UnavailableReason::StoreUnavailable, UnavailableReason::Deadline, UnavailableReason::MailboxFull] {
        let answer = CommitAnswer::Unavailable(reason);
        let wanted = wanted(&ask(SchedulingMode::Individual, &hosts), &hosts, &answer, |_| true, |_| true);
        assert_eq!(wanted, None, "{answer:?}");
    }
}

#[test]
fn a_provider_that_does_not_answer_is_left_alone_for_a_while() {
    let mut pace = SpotCheckPace::default();
    assert!(pace.may_ask(at(0)));
    let down = || Err(ProviderError::Unavailable("down".into()));
    pace.handle_answer(down(), at(0), &Zero);
    assert!(!pace.may_ask(at(0)));
    assert!(pace.may_ask(at(1)));
    pace.handle_answer(down(), at(1), &Zero);
    assert!(!pace.may_ask(at(2)));
    assert!(pace.may_ask(at(3)));
    for _ in 0..40 {
        pace.handle_answer(down(), at(10), &Zero);
    }
    assert!(pace.may_ask(at(70)), "never longer than a minute by itself");
    let limited = ProviderError::RateLimited { retry_after: Some(Duration::from_secs(300)), of: LimitKind::Mailbox };
    pace.handle_answer(Err(limited), at(70), &Zero);
    assert!(!pace.may_ask(at(369)));
    pace.handle_answer(Ok(()), at(370), &Zero);
    assert!(pace.may_ask(at(370)));
}
