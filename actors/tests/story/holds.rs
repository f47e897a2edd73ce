//! Holds.

use std::collections::BTreeSet;
use std::time::Duration;

use agentcal_engine::calendar::request::{
    ChangedBy, Choice, CommitAnswer, CommitKind, CommitRequest, ConfirmRequest, HoldRequest, HoldSelection, Intent,
    Made, Meeting, Rejection, UnavailableReason,
};
use agentcal_engine::commit::{HoldLimit, HoldLimits};
use agentcal_engine::decision::Reason;
use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::{BookingId, CalendarId, HoldId, UserId};
use agentcal_engine::model::{Attendee, ClaimKind, Hold, HoldState, OnStale, SchedulingMode};
use agentcal_engine::ports::{
    Clock, ConfigStore, DecisionFilter, DecisionStore, FactStore, HoldStore, PageRequest, ProviderError, Write,
};
use agentcal_engine::time::Timestamp;
use futures::future::join_all;

use super::stage::with_key;
use super::{Stage, Terms, hours, wait_for};

const TTL_SECONDS: u32 = 120;
const TTL: Duration = Duration::from_secs(120);

impl Stage {
    fn hold_request(&self, start: Timestamp, choice: Choice, session_id: Option<&str>) -> CommitRequest {
        self.request(CommitKind::Hold(HoldRequest {
            hold_id: HoldId::mint(self.clock.now(), &*self.chance),
            meeting: Meeting::EventType(self.event_type.id),
            choice,
            start,
            ttl_seconds: TTL_SECONDS,
            session_id: session_id.map(str::to_owned),
        }))
    }

    async fn hold(&self, start: Timestamp) -> CommitAnswer {
        self.scheduler.commit(self.hold_request(start, Choice::Any, None)).await
    }

    async fn held(&self, start: Timestamp) -> Hold {
        match self.hold(start).await {
            CommitAnswer::Committed(Made::Hold(hold)) => *hold,
            other => panic!("not held: {other:?}"),
        }
    }

    fn confirm_request(&self, hold_id: HoldId) -> CommitRequest {
        self.request(CommitKind::Confirm(ConfirmRequest {
            booking_id: BookingId::mint(self.clock.now(), &*self.chance),
            hold_id,
            attendee: Attendee { name: "Ada".into(), email: None, phone: None, timezone: None },
            metadata: serde_json::Map::new(),
        }))
    }

    async fn confirm(&self, hold_id: HoldId) -> CommitAnswer {
        self.scheduler.commit(self.confirm_request(hold_id)).await
    }

    async fn extend(&self, hold_id: HoldId) -> CommitAnswer {
        self.scheduler.commit(self.request(CommitKind::Extend { hold_id, ttl_seconds: 600 })).await
    }

    async fn release(&self, selection: HoldSelection) -> CommitAnswer {
        self.scheduler.commit(self.request(CommitKind::Release(selection))).await
    }

    async fn hold_state(&self, hold_id: HoldId) -> HoldState {
        self.store.hold(self.account_id(), hold_id).await.unwrap().unwrap().state()
    }

    /// The published facts, whose claims must be those the store has. A writeback may have raised the revision meanwhile.
    async fn facts_as_stored(&self, calendar_id: CalendarId) -> CalendarFacts {
        let published = self.facts(calendar_id).await;
        let source = self.store.load_facts(self.account_id(), calendar_id).await.unwrap().unwrap();
        let stored = CalendarFacts::assemble(source);
        assert_eq!(published.claims, stored.claims, "read your writes");
        assert!(published.revision <= stored.revision);
        stored
    }
}

fn is_committed(answer: &CommitAnswer) -> bool {
    matches!(answer, CommitAnswer::Committed(_))
}

fn winners(answers: &[CommitAnswer]) -> usize {
    answers.iter().filter(|answer| is_committed(answer)).count()
}

/// Lesson: a hold two visitors both get.
#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_concurrent_holds_of_one_slot_one_wins() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    for round in 0..10 {
        let start = hours(24 + round, 25 + round).start;
        let answers = join_all((0..50).map(|_| stage.hold(start))).await;
        assert_eq!(winners(&answers), 1, "round {round}: {answers:?}");
        let refused = answers.iter().filter(|answer| matches!(answer, CommitAnswer::Refused(_))).count();
        assert_eq!(refused, 49, "round {round}");
        let facts = stage.facts_as_stored(stage.calendars()[0]).await;
        let taken = facts.claims.iter().filter(|claim| claim.range.start == start).count();
        assert_eq!(taken, 1, "published before the answer");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_holds_and_bookings_of_one_slot_one_wins() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    for round in 0..10 {
        let start = hours(24 + round, 25 + round).start;
        let holds = join_all((0..10).map(|_| stage.hold(start)));
        let bookings = join_all((0..10).map(|_| stage.book(start, None)));
        let (holds, bookings) = tokio::join!(holds, bookings);
        assert_eq!(winners(&holds) + winners(&bookings), 1, "round {round}: {holds:?} {bookings:?}");
    }
}

/// Lesson: a hold confirmed and its slot sold to another at the moment of expiry.
#[tokio::test(flavor = "multi_thread")]
async fn at_the_moment_of_expiry_one_wins_at_most() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    for round in 0..20 {
        let start = hours(24 + round, 25 + round).start;
        let hold = stage.held(start).await;
        let left = hold.expires_at.saturating_since(stage.clock.now());
        stage.clock.jump(left.saturating_sub(Duration::from_micros(400 * round.unsigned_abs())));
        let confirmed = stage.confirm(hold.id);
        let booked = join_all((0..6).map(|_| stage.book(start, None)));
        let (confirmed, booked) = tokio::join!(confirmed, booked);
        let won = winners(std::slice::from_ref(&confirmed)) + winners(&booked);
        assert!(won <= 1, "round {round}: {confirmed:?} {booked:?}");
        if !is_committed(&confirmed) {
            assert_eq!(confirmed, CommitAnswer::Rejected(Rejection::HoldExpired), "round {round}");
            let late = stage.book(start, None).await;
            assert_eq!(is_committed(&late), won == 0, "round {round}: {late:?}");
        }
        let facts = stage.facts_as_stored(stage.calendars()[0]).await;
        let taken = facts.claims.iter().filter(|claim| claim.range.start == start && claim.expires_at.is_none());
        assert_eq!(taken.count(), 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_confirmed_by_fifty_is_one_booking() {
    let stage = Stage::set(2, SchedulingMode::Collective).await;
    let hold = stage.held(hours(24, 25).start).await;
    let answers = join_all((0..50).map(|_| stage.confirm(hold.id))).await;
    let booking = answers.iter().find_map(|answer| match answer {
        CommitAnswer::Committed(made) => made.booking(),
        _ => None,
    });
    let booking = booking.expect("one of them wins");
    assert_eq!(winners(&answers), 1, "{answers:?}");
    let told = CommitAnswer::Rejected(Rejection::HoldConfirmed(booking.id));
    assert_eq!(answers.iter().filter(|answer| **answer == told).count(), 49, "{answers:?}");
    assert_eq!(stage.stored(booking.id).await.hosts.len(), 2);
    for calendar_id in stage.calendars() {
        assert_eq!(stage.facts_as_stored(calendar_id).await.claims.len(), 1);
    }
    assert_eq!(stage.hold_state(hold.id).await, HoldState::Confirmed(booking.id));
    assert_eq!(stage.extend(hold.id).await, told);
    assert_eq!(stage.release(HoldSelection::One(hold.id)).await, told);
}

/// Lesson: voice platforms repeat a failed tool call twice. The same request makes one thing and hears one answer, with a
/// key and, by its ids, without.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_repeats_its_hold_and_its_booking() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    let placing = with_key(stage.hold_request(hours(24, 25).start, Choice::Any, None), 1, 1);
    let check = |answers: &[CommitAnswer]| {
        let first = answers.iter().find_map(|answer| match answer {
            CommitAnswer::Committed(made) => Some(made.clone()),
            _ => None,
        });
        let first = first.expect("one of them does it");
        let replayed = CommitAnswer::Replayed(first.clone());
        assert_eq!(answers.iter().filter(|answer| **answer == replayed).count(), 9, "{answers:?}");
        first
    };
    let placed = check(&join_all((0..10).map(|_| stage.scheduler.commit(placing.clone()))).await);
    let hold_id = placed.hold().expect("a hold").id;
    let confirming = with_key(stage.confirm_request(hold_id), 2, 1);
    let made = check(&join_all((0..10).map(|_| stage.scheduler.commit(confirming.clone()))).await);
    assert_eq!(stage.scheduler.commit(placing).await, CommitAnswer::Replayed(placed), "though it is a booking by now");
    let without_key = CommitRequest { idempotency: None, ..confirming };
    let CommitAnswer::Committed(again) = stage.scheduler.commit(without_key).await else {
        panic!("found, not refused")
    };
    assert_eq!(again.booking().map(|booking| booking.id), made.booking().map(|booking| booking.id));
    let other = with_key(stage.hold_request(hours(30, 31).start, Choice::Any, None), 1, 2);
    assert_eq!(stage.scheduler.commit(other).await, CommitAnswer::IdempotencyMismatch);
    assert_eq!(stage.facts_as_stored(stage.calendars()[0]).await.claims.len(), 1);
}

/// After each step, before anybody hears of it, what is published is what the store has.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_did_is_what_everybody_reads() {
    let stage = Stage::set(2, SchedulingMode::Collective).await;
    let check = async |expires_at: Option<Timestamp>, kind: ClaimKind| {
        for calendar_id in stage.calendars() {
            let claims = stage.facts_as_stored(calendar_id).await.claims;
            assert_eq!((claims.len(), claims[0].expires_at, claims[0].kind()), (1, expires_at, kind));
        }
    };
    let hold = stage.held(hours(24, 25).start).await;
    check(Some(hold.expires_at), ClaimKind::Hold).await;
    let CommitAnswer::Committed(Made::Hold(extended)) = stage.extend(hold.id).await else { panic!("it is live") };
    assert!(extended.expires_at > hold.expires_at);
    check(Some(extended.expires_at), ClaimKind::Hold).await;
    let CommitAnswer::Committed(Made::Booking(booking)) = stage.confirm(hold.id).await else { panic!("it is live") };
    check(None, ClaimKind::Booking).await;
    let cancel = CommitKind::Cancel { booking_id: booking.id, reason: None, by: ChangedBy::Key };
    assert!(is_committed(&stage.scheduler.commit(stage.request(cancel)).await));
    let hold = stage.held(hours(24, 25).start).await;
    check(Some(hold.expires_at), ClaimKind::Hold).await;
    let released = stage.release(HoldSelection::One(hold.id)).await;
    assert_eq!(released, CommitAnswer::Committed(Made::Released(vec![hold.id])));
    for calendar_id in stage.calendars() {
        assert_eq!(stage.facts_as_stored(calendar_id).await.claims, []);
    }
    let again = stage.release(HoldSelection::One(hold.id)).await;
    assert_eq!(again, CommitAnswer::Committed(Made::Released(Vec::new())));
    assert_eq!(stage.confirm(hold.id).await, CommitAnswer::Rejected(Rejection::HoldExpired));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_freed_whole_over_several_homes() {
    let stage = Stage::set(3, SchedulingMode::Individual).await;
    let mut held = Vec::new();
    for (n, user) in (0i64..).zip(&stage.users) {
        let choice = Choice::Named(user.id);
        let request = stage.hold_request(hours(24 + n, 25 + n).start, choice, Some("call"));
        let answer = stage.scheduler.commit(request).await;
        let CommitAnswer::Committed(Made::Hold(hold)) = answer else { panic!("it is free: {answer:?}") };
        held.push(hold.id);
    }
    let others = stage.held(hours(40, 41).start).await;
    let freed = stage.release(HoldSelection::Session("call".into())).await;
    assert_eq!(freed, CommitAnswer::Committed(Made::Released(held.clone())));
    let mut left = Vec::new();
    for calendar_id in stage.calendars() {
        left.extend(stage.facts_as_stored(calendar_id).await.claims.into_iter().map(|claim| claim.range));
    }
    assert_eq!(left, [others.range]);
    for hold_id in held {
        assert_eq!(stage.hold_state(hold_id).await, HoldState::Released);
    }
    let again = stage.release(HoldSelection::Session("call".into())).await;
    assert_eq!(again, CommitAnswer::Committed(Made::Released(Vec::new())));
}

/// What expired is free, with no timer having run, and what it was can be told.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_holds_slot_is_free_without_any_timer() {
    let stage = Stage::set_unsynced(1, SchedulingMode::Individual, |settings| {
        settings.sweep_interval = Duration::from_secs(3_600);
    })
    .await;
    stage.ring_and_sync(stage.calendars()[0]).await;
    let start = hours(24, 25).start;
    let hold = stage.held(start).await;
    assert!(matches!(stage.hold(start).await, CommitAnswer::Refused(_)));
    stage.clock.jump(TTL);
    let second = stage.held(start).await;
    stage.clock.jump(TTL);
    stage.booked(start).await;
    for hold_id in [hold.id, second.id] {
        assert_eq!(stage.confirm(hold_id).await, CommitAnswer::Rejected(Rejection::HoldExpired));
        assert_eq!(stage.extend(hold_id).await, CommitAnswer::Rejected(Rejection::HoldExpired));
        assert_eq!(stage.hold_state(hold_id).await, HoldState::Expired);
    }
}

/// Lesson: a team hold that holds one host.
#[tokio::test(flavor = "multi_thread")]
async fn a_collective_hold_holds_all_or_none() {
    let stage = Stage::set(3, SchedulingMode::Collective).await;
    let busy = stage.calendars()[2];
    stage.provider.put(busy, "dentist", Some(hours(24, 25)));
    stage.ring_and_sync(busy).await;
    let CommitAnswer::Refused(refusal) = stage.hold(hours(24, 25).start).await else { panic!("one host is busy") };
    assert_eq!(refusal.decision.verdicts[2].reasons, [Reason::Busy]);
    for calendar_id in stage.calendars() {
        assert_eq!(stage.facts_as_stored(calendar_id).await.claims, []);
    }
    assert_eq!(stage.held(hours(26, 27).start).await.user_ids.len(), 3);
    for calendar_id in stage.calendars() {
        assert_eq!(stage.facts_as_stored(calendar_id).await.claims.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_robin_hold_goes_on_to_the_next_host() {
    let stage = Stage::set(4, SchedulingMode::RoundRobin).await;
    let answers = join_all((0..12).map(|_| stage.hold(hours(24, 25).start))).await;
    let hosts: BTreeSet<UserId> = answers
        .iter()
        .filter_map(|answer| match answer {
            CommitAnswer::Committed(made) => made.hold().map(|hold| hold.user_ids[0]),
            _ => None,
        })
        .collect();
    assert_eq!((winners(&answers), hosts.len()), (4, 4), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collective_moves_past_no_hold_and_never_in_part() {
    let stage = Stage::set(2, SchedulingMode::Collective).await;
    let booking = stage.booked(hours(24, 25).start).await;
    let hold = stage.held(hours(30, 31).start).await;
    let start = hours(30, 31).start;
    let moving = || {
        let by = ChangedBy::Key;
        stage.scheduler.commit(stage.request(CommitKind::Reschedule {
            booking_id: booking.id,
            start,
            offered: false,
            by,
        }))
    };
    let CommitAnswer::Refused(refusal) = moving().await else { panic!("the time is held") };
    assert!(refusal.decision.verdicts.iter().all(|verdict| verdict.reasons == [Reason::Held]));
    let check = async |expected| {
        for calendar_id in stage.calendars() {
            let claims = stage.facts_as_stored(calendar_id).await.claims;
            let booked: Vec<_> = claims.iter().filter(|claim| claim.booking_id() == Some(booking.id)).collect();
            assert_eq!((booked.len(), booked[0].range), (1, expected));
        }
    };
    check(hours(24, 25)).await;
    stage.release(HoldSelection::One(hold.id)).await;
    assert!(is_committed(&moving().await));
    check(hours(30, 31)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_can_be_read() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    let hold = stage.held(hours(24, 25).start).await;
    let page = PageRequest { limit: 10, after: None };
    let of_hold = DecisionFilter { hold_id: Some(hold.id), booking_id: None };
    let listed = stage.store.list_decisions(&stage.tenant, &of_hold, &page).await.unwrap().rows;
    assert_eq!((listed.len(), listed[0].chosen.as_slice()), (1, &hold.user_ids[..]), "there with the answer");
    let CommitAnswer::Refused(refusal) = stage.book(hours(24, 25).start, None).await else { panic!("it is held") };
    let decision_id = refusal.decision_id.expect("a refusal is recorded");
    let read = || stage.store.decision(stage.account_id(), decision_id);
    wait_for("the refusal is written", || async { read().await.unwrap().is_some() }).await;
    let record = read().await.unwrap().unwrap();
    assert_eq!((record.decision.verdicts[0].reasons.as_slice(), record.is_accepted()), (&[Reason::Held][..], false));
    let dry = CommitRequest { intent: Intent::DryRun, ..stage.book_request(hours(24, 25).start, None) };
    let CommitAnswer::Refused(refusal) = stage.scheduler.commit(dry).await else { panic!("it is held") };
    assert_eq!(refusal.decision_id, None);
    let dry = CommitRequest { intent: Intent::DryRun, ..stage.confirm_request(hold.id) };
    assert!(matches!(stage.scheduler.commit(dry).await, CommitAnswer::WouldCommit(Made::Booking(_))));
    assert_eq!(stage.hold_state(hold.id).await, HoldState::Active, "nothing was done");
    assert!(is_committed(&stage.confirm(hold.id).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runaway_agent_is_stopped_by_its_session() {
    let limits = HoldLimits { per_session: 3, ..HoldLimits::default() };
    let stage = Stage::set_unsynced(1, SchedulingMode::Individual, |settings| settings.hold_limits = limits).await;
    stage.ring_and_sync(stage.calendars()[0]).await;
    let place =
        |n: i64| stage.scheduler.commit(stage.hold_request(hours(24 + n, 25 + n).start, Choice::Any, Some("call")));
    let answers = join_all((0..10).map(place)).await;
    let limited = CommitAnswer::HoldLimit(HoldLimit::Session);
    let stopped = answers.iter().filter(|answer| **answer == limited).count();
    assert_eq!((winners(&answers), stopped), (3, 7), "{answers:?}");
    stage.clock.jump(TTL);
    assert!(is_committed(&place(11).await), "until they expire");
}

/// A hold of a calendar whose facts are old obeys the event type.
#[tokio::test(flavor = "multi_thread")]
async fn old_facts_are_renewed_before_a_hold_or_it_is_not_placed() {
    let check = |on_stale: OnStale, fails: bool| async move {
        let terms = Terms { mode: SchedulingMode::Individual, on_stale };
        let stage = Stage::set_unsynced(1, terms, |settings| settings.sweep_batch_max = 0).await;
        let calendar_id = stage.calendars()[0];
        stage.ring_and_sync(calendar_id).await;
        stage.provider.put(calendar_id, "dentist", Some(hours(24, 25)));
        stage.clock.jump(Duration::from_secs(1_000));
        if fails {
            stage.provider.always_fail(Some(ProviderError::Unavailable("down".into())));
        }
        stage.hold(hours(24, 25).start).await
    };
    let busy = check(OnStale::Verify, false).await;
    assert!(
        matches!(&busy, CommitAnswer::Refused(refusal) if refusal.decision.verdicts[0].reasons == [Reason::Busy]),
        "{busy:?}"
    );
    for (on_stale, fails) in [(OnStale::Verify, true), (OnStale::Refuse, false)] {
        let stale = check(on_stale, fails).await;
        assert!(matches!(stale, CommitAnswer::Unavailable(UnavailableReason::FactsStale { .. })), "{stale:?}");
    }
    assert!(is_committed(&check(OnStale::Accept, false).await));
}

/// A hold lives in the store: another process confirms it.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_survives_its_process() {
    let mut stage = Stage::set(1, SchedulingMode::Individual).await;
    let start = hours(24, 25).start;
    let hold = stage.held(start).await;
    stage.restart().await;
    assert!(matches!(stage.book(start, None).await, CommitAnswer::Refused(_)));
    assert!(is_committed(&stage.confirm(hold.id).await));
}

/// A host that goes takes the holds on it along, and its fellow hosts are free again at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_host_frees_its_fellow_hosts() {
    let stage = Stage::set(2, SchedulingMode::Collective).await;
    let start = hours(24, 25).start;
    let hold = stage.held(start).await;
    let [gone, stays] = [stage.users[0].id, stage.users[1].id];
    let write = stage.store.delete_user(&stage.tenant, gone, stage.clock.now(), None).await.unwrap();
    assert_eq!(write, Write::Done);
    stage.scheduler.config_changed(stage.account_id()).await;
    assert_eq!(stage.facts_as_stored(stage.calendars()[1]).await.claims, []);
    assert_eq!(stage.confirm(hold.id).await, CommitAnswer::Rejected(Rejection::HoldExpired));
    assert_eq!(stage.booked(start).await.hosts[0].user_id, stays);
}
