//! The commit, and the one law above all: no two claims of one person overlap.

use agentcal_engine::commit::{
    Access, BookingChange, ClaimChange, CommitPlan, Effect, ExpectedRevision, Outcome, RevisionKey,
};
use agentcal_engine::ids::{CalendarId, UserId};
use agentcal_engine::model::{Booking, BookingStatus, ClaimOwner, User};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::TimeRange;
use futures::future::join_all;

use crate::World;

/// Racers in a race for one slot.
const RACERS: usize = 64;

fn is_committed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Committed { .. })
}

async fn is_missing(world: &World, booking: &Booking) -> bool {
    world.store.booking(world.tenant.account_id, booking.id).await.expect("readable").is_none()
}

async fn claimed(world: &World, user: &User) -> Vec<TimeRange> {
    let claims = world.facts(user.home_calendar_id).await.claims;
    claims.iter().filter(|claim| claim.user_id == user.id).map(|claim| claim.range).collect()
}

/// A commit does all of its plan: claims as facts, the booking, and each raised revision in the answer.
pub async fn a_commit_is_whole(world: World) {
    let (_, calendars) = world.connect(2).await;
    let [one, two] = [world.user_on(calendars[0].id).await, world.user_on(calendars[1].id).await];
    let range = world.minutes(0, 30);
    let (booking, plan) = world.booking_plan(&[&one, &two], range);
    let Outcome::Committed { revisions } = world.commit(&plan).await else { panic!("not committed") };
    assert_eq!(
        revisions.iter().map(|(key, _)| *key).collect::<Vec<_>>(),
        plan.expected_revisions.iter().map(|e| e.key).collect::<Vec<_>>()
    );
    assert!(revisions.contains(&(RevisionKey::Calendar(calendars[0].id), world.facts(calendars[0].id).await.revision)));
    assert_eq!(world.booking(booking.id).await, booking);
    for (user, change) in [&one, &two].into_iter().zip(&plan.claims) {
        let ClaimChange::Insert(claim) = change else { panic!("the plan inserts") };
        assert_eq!(world.facts(user.home_calendar_id).await.claims, std::slice::from_ref(claim));
    }
    let item = world.store.booking(world.tenant.account_id, booking.id).await.expect("readable").expect("there");
    assert_eq!(item.claim_count, 2);
}

/// What must follow from a booking is of its transaction: where it cannot be noted, there is no booking.
pub async fn what_follows_stands_or_falls_with_its_booking(world: World) {
    let (_, calendars) = world.connect(1).await;
    let user = world.user_on(calendars[0].id).await;
    let (booking, mut plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    let (unheard_of, _) = world.booking_plan(&[&user], world.minutes(60, 90));
    plan.effects.push(Effect::Writeback { booking_id: unheard_of.id, calendar_id: calendars[0].id });
    assert_eq!(world.commit(&plan).await, Outcome::Stale, "an effect of a booking that is not there");
    assert!(is_missing(&world, &booking).await);
    assert_eq!(claimed(&world, &user).await, []);
    let pending = world.store.pending_writebacks(world.tenant.account_id, calendars[0].id, 10).await;
    assert_eq!(pending.expect("readable").len(), 0);
}

/// A plan decided on a revision that was raised since is stale, whichever row it is, and does nothing.
pub async fn stale_revisions_refuse(world: World) {
    let (_, calendars) = world.connect(2).await;
    let [user, other] = [world.user_on(calendars[0].id).await, world.user_on(calendars[1].id).await];
    let read = calendars[1].id;
    let expected = |key, revision| ExpectedRevision { key, revision: Some(revision), access: Access::Read };
    let before = [
        expected(RevisionKey::Config, world.config_revision(&world.tenant).await),
        expected(RevisionKey::Calendar(read), world.facts(read).await.revision),
    ];
    world.book(&[&other], world.minutes(0, 30)).await;
    world.user().await;
    for stale in before {
        let (booking, mut plan) = world.booking_plan(&[&user], world.minutes(0, 30));
        plan.expected_revisions.push(stale);
        plan.expected_revisions.sort();
        assert_eq!(world.commit(&plan).await, Outcome::Stale, "{stale:?}");
        assert!(is_missing(&world, &booking).await);
        assert_eq!(claimed(&world, &user).await, []);
    }
}

/// A revision without an expectation is locked and raised all the same; one that is only read is not raised.
pub async fn a_revision_without_expectation_is_raised(world: World) {
    let (_, calendars) = world.connect(2).await;
    let user = world.user_on(calendars[0].id).await;
    let [home, read] = [calendars[0].id, calendars[1].id];
    let before = (world.facts(home).await.revision, world.facts(read).await.revision);
    let (_, mut plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    let key = RevisionKey::Calendar(read);
    plan.expected_revisions.push(ExpectedRevision { key, revision: Some(before.1), access: Access::Read });
    plan.expected_revisions.sort();
    let Outcome::Committed { revisions } = world.commit(&plan).await else { panic!("not committed") };
    assert!(revisions.iter().all(|(raised, _)| *raised != key));
    assert_eq!((world.facts(home).await.revision, world.facts(read).await.revision), (before.0 + 1, before.1));
}

/// A row that is gone cannot be rested on, with an expected revision or without.
pub async fn a_missing_revision_refuses(world: World) {
    let user = world.user().await;
    let gone = [
        RevisionKey::Calendar(CalendarId::from_uuid(world.uuid())),
        RevisionKey::User(UserId::from_uuid(world.uuid())),
    ];
    for key in gone {
        for revision in [None, Some(1)] {
            let (booking, mut plan) = world.booking_plan(&[&user], world.minutes(0, 30));
            plan.expected_revisions.push(ExpectedRevision { key, revision, access: Access::Read });
            plan.expected_revisions.sort();
            assert_eq!(world.commit(&plan).await, Outcome::Stale, "{key:?} {revision:?}");
            assert!(is_missing(&world, &booking).await);
        }
    }
}

/// Lesson: the check is far from the insert, and two guests both book. The constraint refuses every kind of overlap, even
/// for plans that expect no revision, and the whole plan with it.
pub async fn claims_of_one_user_never_overlap(world: World) {
    let user = world.user().await;
    let taken = world.minutes(60, 120);
    world.book(&[&user], taken).await;
    let check = async |start, end| {
        let (booking, plan) = world.booking_plan(&[&user], world.minutes(start, end));
        assert_eq!(world.commit(&plan).await, Outcome::Overlap { user_id: user.id }, "{start}..{end}");
        assert!(is_missing(&world, &booking).await);
        assert_eq!(claimed(&world, &user).await, [taken]);
    };
    check(60, 120).await;
    check(30, 61).await;
    check(119, 150).await;
    check(80, 90).await;
    check(30, 150).await;
    check(60, 61).await;
    check(-1_300, 61).await;
    check(119, 1_559).await;
}

/// Ranges are half-open: neighbours that touch do not overlap; neither do the longest ones.
pub async fn neighbours_touch_without_overlap(world: World) {
    let user = world.user().await;
    world.book(&[&user], world.minutes(60, 120)).await;
    world.book(&[&user], world.minutes(30, 60)).await;
    world.book(&[&user], world.minutes(120, 120 + 1_440)).await;
    world.book(&[&user], world.minutes(30 - 1_440, 30)).await;
    assert_eq!(claimed(&world, &user).await.len(), 4);
}

/// A person's time is theirs alone: another user of the same calendar, and another account's, may take the same range.
pub async fn other_users_do_not_collide(world: World) {
    let (_, calendars) = world.connect(1).await;
    let range = world.minutes(0, 30);
    for _ in 0..2 {
        world.book(&[&world.user_on(calendars[0].id).await], range).await;
    }
    let elsewhere = world.another_account().await;
    let user = world.user_for(&elsewhere, None).await;
    let (_, plan) = world.booking_plan_for(&elsewhere, &[&user], range);
    assert!(is_committed(&world.commit(&plan).await));
}

/// One host whose time is taken refuses the booking of all, and says whose time it is.
pub async fn one_refused_host_refuses_all(world: World) {
    let users = [world.user().await, world.user().await, world.user().await];
    let range = world.minutes(0, 30);
    world.book(&[&users[1]], range).await;
    let (booking, plan) = world.booking_plan(&[&users[0], &users[1], &users[2]], range);
    assert_eq!(world.commit(&plan).await, Outcome::Overlap { user_id: users[1].id });
    assert!(is_missing(&world, &booking).await);
    assert_eq!(claimed(&world, &users[0]).await, []);
    assert_eq!(claimed(&world, &users[2]).await, []);
}

/// A leader whose epoch was superseded is fenced, however fresh its revisions are.
pub async fn a_superseded_leader_is_fenced(world: World) {
    let user = world.user().await;
    let (booking, plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    let newer = world.store.raise_epoch().await.expect("raised");
    assert_eq!(world.commit(&plan).await, Outcome::Fenced);
    let ahead = CommitPlan { epoch: Some(Epoch(newer.0 + 1)), ..plan.clone() };
    assert_eq!(world.commit(&ahead).await, Outcome::Fenced, "an epoch nobody was given");
    assert!(is_missing(&world, &booking).await);
    assert!(is_committed(&world.commit(&CommitPlan { epoch: Some(newer), ..plan }).await));
}

/// Without an epoch a plan is guarded by revisions and the constraint alone, and by those it is.
pub async fn a_leaderless_commit_needs_no_epoch(world: World) {
    let user = world.user().await;
    world.store.raise_epoch().await.expect("raised");
    let (_, plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    assert!(is_committed(&world.commit(&CommitPlan { epoch: None, ..plan }).await));
    let (_, plan) = world.booking_plan(&[&user], world.minutes(15, 45));
    let outcome = world.commit(&CommitPlan { epoch: None, ..plan }).await;
    assert_eq!(outcome, Outcome::Overlap { user_id: user.id });
}

/// A reschedule moves the claims of all hosts in place, or none of them.
pub async fn a_reschedule_moves_all_claims_or_none(world: World) {
    let users = [world.user().await, world.user().await];
    let both = [&users[0], &users[1]];
    let [before, free, taken] = [world.minutes(0, 30), world.minutes(60, 90), world.minutes(120, 150)];
    let booking = world.book(&both, before).await;
    world.book(&[&users[1]], taken).await;
    let ids = world.facts(users[0].home_calendar_id).await.claims[0].id;

    let refused = world.commit(&world.reschedule_plan(&booking, &both, taken)).await;
    assert_eq!(refused, Outcome::Overlap { user_id: users[1].id });
    assert_eq!(world.booking(booking.id).await, booking);
    assert_eq!(claimed(&world, &users[0]).await, [before]);

    assert!(is_committed(&world.commit(&world.reschedule_plan(&booking, &both, free)).await));
    assert_eq!(world.booking(booking.id).await, Booking { range: free, sequence: 1, ..booking });
    assert_eq!(claimed(&world, &users[0]).await, [free]);
    assert_eq!(claimed(&world, &users[1]).await, [free, taken]);
    assert_eq!(world.facts(users[0].home_calendar_id).await.claims[0].id, ids, "the same claim");
}

/// A booking may move to a time that overlaps its own.
pub async fn a_reschedule_may_overlap_itself(world: World) {
    let user = world.user().await;
    let booking = world.book(&[&user], world.minutes(0, 30)).await;
    let to = world.minutes(15, 45);
    assert!(is_committed(&world.commit(&world.reschedule_plan(&booking, &[&user], to)).await));
    assert_eq!(claimed(&world, &user).await, [to]);
}

/// How often the attendee has moved a booking is kept as the decision counted it, and moves by others leave it alone.
pub async fn moves_by_the_attendee_are_counted(world: World) {
    let user = world.user().await;
    let mut booking = world.book(&[&user], world.minutes(0, 30)).await;
    for (n, attendee_reschedules) in [(1, 1), (2, 2), (3, 2)] {
        let counted = Booking { attendee_reschedules, ..booking.clone() };
        let plan = world.reschedule_plan(&counted, &[&user], world.minutes(n * 60, n * 60 + 30));
        assert!(is_committed(&world.commit(&plan).await));
        booking = world.booking(booking.id).await;
        assert_eq!((booking.attendee_reschedules, booking.sequence), (attendee_reschedules, counted.sequence + 1));
    }
    assert!(is_committed(&world.commit(&world.cancel_plan(&booking, &[&user])).await));
    assert_eq!(world.booking(booking.id).await.attendee_reschedules, 2);
}

/// Cancelling deletes the claims; the time can be booked again at once, and the booking remembers why.
pub async fn a_cancellation_gives_the_time_back(world: World) {
    let user = world.user().await;
    let range = world.minutes(0, 30);
    let booking = world.book(&[&user], range).await;
    assert!(is_committed(&world.commit(&world.cancel_plan(&booking, &[&user])).await));
    assert_eq!(claimed(&world, &user).await, []);
    let cancelled = world.booking(booking.id).await;
    assert_eq!((cancelled.status, cancelled.sequence), (BookingStatus::Cancelled, 1));
    assert_eq!(cancelled.cancel_reason.as_deref(), Some("caller changed her mind"));
    world.book(&[&user], range).await;
    let again = CommitPlan { claims: Vec::new(), ..world.reschedule_plan(&cancelled, &[&user], range) };
    assert_eq!(world.commit(&again).await, Outcome::Stale, "a cancelled booking never moves");
}

/// Another count of claims than the decision saw makes the plan stale.
pub async fn row_counts_are_checked(world: World) {
    let user = world.user().await;
    let booking = world.book(&[&user], world.minutes(0, 30)).await;
    let owner = ClaimOwner::Booking(booking.id);
    let range = world.minutes(60, 90);
    let wrong = [
        ClaimChange::Move { owner, range, claim_count: 2 },
        ClaimChange::Move { owner, range, claim_count: 0 },
        ClaimChange::Delete { owner, claim_count: 2 },
        ClaimChange::Delete { owner, claim_count: 0 },
    ];
    for change in wrong {
        let plan = CommitPlan { claims: vec![change.clone()], ..world.empty_plan(&world.tenant, &[&user]) };
        assert_eq!(world.commit(&plan).await, Outcome::Stale, "{change:?}");
        assert_eq!(claimed(&world, &user).await, [booking.range]);
    }
}

/// A booking that changed since the decision saw it makes the plan stale, as does one that is not there, or there twice.
pub async fn a_sequence_that_moved_on_refuses(world: World) {
    let user = world.user().await;
    let booking = world.book(&[&user], world.minutes(0, 30)).await;
    let moved = world.commit(&world.reschedule_plan(&booking, &[&user], world.minutes(60, 90))).await;
    assert!(is_committed(&moved));
    let late = world.reschedule_plan(&booking, &[&user], world.minutes(120, 150));
    assert_eq!(world.commit(&late).await, Outcome::Stale);
    assert_eq!(world.commit(&world.cancel_plan(&booking, &[&user])).await, Outcome::Stale);
    let unknown = world.new_booking(&world.tenant, &[&user], world.minutes(200, 230));
    assert_eq!(world.commit(&world.cancel_plan(&unknown, &[&user])).await, Outcome::Stale);
    let twice = CommitPlan {
        booking: Some(BookingChange::Insert(Box::new(booking))),
        ..world.empty_plan(&world.tenant, &[&user])
    };
    assert_eq!(world.commit(&twice).await, Outcome::Stale);
    assert_eq!(claimed(&world, &user).await, [world.minutes(60, 90)]);
}

/// What a decision saw at a revision is what stands at that revision: of two plans decided on the same one, one commits.
pub async fn a_revision_moves_with_every_commit(world: World) {
    let user = world.user().await;
    let revision = world.facts(user.home_calendar_id).await.revision;
    let plan = |start| {
        let (_, mut plan) = world.booking_plan(&[&user], world.minutes(start, start + 30));
        for expected in &mut plan.expected_revisions {
            if expected.key == RevisionKey::Calendar(user.home_calendar_id) {
                expected.revision = Some(revision);
            }
        }
        plan
    };
    assert!(is_committed(&world.commit(&plan(0)).await));
    assert_eq!(world.commit(&plan(600)).await, Outcome::Stale);
}

/// Lesson: of 50 concurrent requests for one slot 50 succeeded. Of any number of racers one wins, the others are refused.
pub async fn racers_for_one_slot_have_one_winner(world: World) {
    let (_, calendars) = world.connect(1).await;
    let user = world.user_on(calendars[0].id).await;
    let plans: Vec<_> = (0..RACERS)
        .map(|n| world.booking_plan(&[&user], world.minutes(i64::try_from(n % 3).expect("small"), 30)).1)
        .collect();
    let outcomes = join_all(plans.iter().map(|plan| world.commit(plan))).await;
    let winners = outcomes.iter().filter(|outcome| is_committed(outcome)).count();
    let losers = outcomes.iter().filter(|outcome| **outcome == Outcome::Overlap { user_id: user.id }).count();
    assert_eq!((winners, losers), (1, RACERS - 1), "{outcomes:?}");
    assert_eq!(claimed(&world, &user).await.len(), 1);
}
