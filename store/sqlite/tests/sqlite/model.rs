//! The claims of the store agree with a small, obvious model of them, whatever is asked in whatever order.

use std::collections::BTreeMap;
use std::time::Duration;

use agentcal_engine::commit::{ClaimChange, Outcome};
use agentcal_engine::ids::UserId;
use agentcal_engine::model::{Booking, ClaimOwner, User};
use agentcal_engine::time::{TimeRange, Timestamp};
use agentcal_store_conformance::World;
use proptest::prelude::*;

use crate::common::make;

const USERS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Book { users: Vec<usize>, start: i64, minutes: i64 },
    Hold { user: usize, start: i64, minutes: i64, seconds: u64 },
    Move { booking: usize, start: i64 },
    Cancel { booking: usize },
    Wait { seconds: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let users = proptest::sample::subsequence(vec![0, 1, 2], 1..=USERS);
    let (start, minutes) = (0..40i64, 1..20i64);
    let step = prop_oneof![
        4 => (users, start.clone(), minutes.clone()).prop_map(|(users, start, minutes)| Step::Book { users, start, minutes }),
        3 => (0..USERS, start.clone(), minutes, 1..120u64)
            .prop_map(|(user, start, minutes, seconds)| Step::Hold { user, start, minutes, seconds }),
        3 => (0..8usize, start).prop_map(|(booking, start)| Step::Move { booking, start }),
        1 => (0..8usize).prop_map(|booking| Step::Cancel { booking }),
        2 => (1..90u64).prop_map(|seconds| Step::Wait { seconds }),
    ];
    proptest::collection::vec(step, 1..30)
}

/// One person's taken time, by start.
type Taken = BTreeMap<Timestamp, Entry>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    end: Timestamp,
    owner: ClaimOwner,
    expires_at: Option<Timestamp>,
}

/// The model: nothing but ranges that must not overlap.
#[derive(Default)]
struct Model(BTreeMap<UserId, Taken>);

impl Model {
    /// Whether an owner could take a range, past what has expired and what is its own.
    fn is_free(&self, user: UserId, range: TimeRange, owner: ClaimOwner, now: Timestamp) -> bool {
        let in_the_way = |(start, entry): (&Timestamp, &Entry)| {
            let expired = entry.expires_at.is_some_and(|expires_at| expires_at <= now);
            *start < range.end && range.start < entry.end && !expired && entry.owner != owner
        };
        !self.0.get(&user).is_some_and(|taken| taken.iter().any(in_the_way))
    }

    fn take(&mut self, user: UserId, range: TimeRange, owner: ClaimOwner, expires_at: Option<Timestamp>) {
        self.release(user, owner);
        let taken = self.0.entry(user).or_default();
        taken.retain(|start, entry| *start >= range.end || range.start >= entry.end);
        taken.insert(range.start, Entry { end: range.end, owner, expires_at });
    }

    fn release(&mut self, user: UserId, owner: ClaimOwner) {
        self.0.entry(user).or_default().retain(|_, entry| entry.owner != owner);
    }
}

struct Run {
    world: World,
    users: Vec<User>,
    model: Model,
    bookings: Vec<(Booking, Vec<User>)>,
}

impl Run {
    async fn new() -> Self {
        let world = World::new(make).await;
        let mut users = Vec::new();
        for _ in 0..USERS {
            users.push(world.user().await);
        }
        Self { world, users, model: Model::default(), bookings: Vec::new() }
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Book { users, start, minutes } => self.book(users, self.world.minutes(*start, start + minutes)).await,
            Step::Hold { user, start, minutes, seconds } => {
                self.hold(*user, self.world.minutes(*start, start + minutes), *seconds).await;
            }
            Step::Move { booking, start } => self.move_to(*booking, *start).await,
            Step::Cancel { booking } => self.cancel(*booking).await,
            Step::Wait { seconds } => self.world.clock.advance(Duration::from_secs(*seconds)),
        }
        self.compare().await;
    }

    async fn book(&mut self, users: &[usize], range: TimeRange) {
        let users: Vec<User> = users.iter().map(|&n| self.users[n].clone()).collect();
        let (booking, plan) = self.world.booking_plan(&users.iter().collect::<Vec<_>>(), range);
        let outcome = self.world.commit(&plan).await;
        if self.judge(&outcome, &users, range, ClaimOwner::Booking(booking.id), None) {
            self.bookings.push((booking, users));
        }
    }

    async fn hold(&mut self, user: usize, range: TimeRange, seconds: u64) {
        let user = self.users[user].clone();
        let expires_at = self.world.now() + Duration::from_secs(seconds);
        let plan = self.world.hold_plan(&user, range, expires_at);
        let [ClaimChange::Insert(claim)] = &plan.claims[..] else { panic!("a hold is one claim") };
        let outcome = self.world.commit(&plan).await;
        self.judge(&outcome, &[user], range, claim.owner, Some(expires_at));
    }

    async fn move_to(&mut self, booking: usize, start: i64) {
        let Some((booking, users)) = self.bookings.get(booking).cloned() else { return };
        let minutes = booking.range.len_micros() / 60_000_000;
        let range = self.world.minutes(start, start + minutes);
        let plan = self.world.reschedule_plan(&booking, &users.iter().collect::<Vec<_>>(), range);
        let outcome = self.world.commit(&plan).await;
        if self.judge(&outcome, &users, range, ClaimOwner::Booking(booking.id), None) {
            let kept = self.bookings.iter_mut().find(|(kept, _)| kept.id == booking.id).expect("it was there");
            kept.0 = self.world.booking(booking.id).await;
        }
    }

    async fn cancel(&mut self, booking: usize) {
        if booking >= self.bookings.len() {
            return;
        }
        let (booking, users) = self.bookings.remove(booking);
        let plan = self.world.cancel_plan(&booking, &users.iter().collect::<Vec<_>>());
        let outcome = self.world.commit(&plan).await;
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
        for user in users {
            self.model.release(user.id, ClaimOwner::Booking(booking.id));
        }
    }

    /// Whether the store did what the model says it must; the model follows.
    fn judge(
        &mut self,
        outcome: &Outcome,
        users: &[User],
        range: TimeRange,
        owner: ClaimOwner,
        expires_at: Option<Timestamp>,
    ) -> bool {
        let now = self.world.now();
        let taken: Vec<_> =
            users.iter().filter(|user| !self.model.is_free(user.id, range, owner, now)).map(|user| user.id).collect();
        match outcome {
            Outcome::Committed { .. } => assert_eq!(taken, [], "{range:?} was sold twice"),
            Outcome::Overlap { user_id } => assert!(taken.contains(user_id), "{range:?} of {user_id} is free"),
            other => panic!("{other:?}"),
        }
        if taken.is_empty() {
            users.iter().for_each(|user| self.model.take(user.id, range, owner, expires_at));
        }
        taken.is_empty()
    }

    async fn compare(&self) {
        for user in &self.users {
            let claims = self.world.facts(user.home_calendar_id).await.claims;
            let entry = |claim: &agentcal_engine::model::Claim| {
                let entry = Entry { end: claim.range.end, owner: claim.owner, expires_at: claim.expires_at };
                (claim.range.start, entry)
            };
            let kept: Taken = claims.iter().map(entry).collect();
            assert_eq!(kept, self.model.0.get(&user.id).cloned().unwrap_or_default());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn claims_agree_with_the_model(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut run = Run::new().await;
            for step in &steps {
                run.step(step).await;
            }
        });
    }
}
