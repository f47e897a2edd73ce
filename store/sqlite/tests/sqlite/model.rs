//! The claims of the store agree with a small, obvious model of them, whatever is asked in whatever order.

use std::collections::BTreeMap;
use std::time::Duration;

use agentcal_engine::commit::{CommitPlan, Outcome};
use agentcal_engine::ids::UserId;
use agentcal_engine::model::{Booking, ClaimOwner, Hold, User};
use agentcal_engine::time::{TimeRange, Timestamp};
use agentcal_store_conformance::World;
use agentcal_store_conformance::world::NO_LIMITS;
use proptest::prelude::*;

use crate::common::make;

const USERS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Book { users: Vec<usize>, start: i64, minutes: i64 },
    Hold { users: Vec<usize>, start: i64, minutes: i64, seconds: u64 },
    Confirm { hold: usize },
    Extend { hold: usize, seconds: u64 },
    Release { hold: usize },
    Move { booking: usize, start: i64 },
    Cancel { booking: usize },
    Wait { seconds: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let users = proptest::sample::subsequence(vec![0, 1, 2], 1..=USERS);
    let (start, minutes) = (0..40i64, 1..20i64);
    let step = prop_oneof![
        4 => (users.clone(), start.clone(), minutes.clone())
            .prop_map(|(users, start, minutes)| Step::Book { users, start, minutes }),
        4 => (users, start.clone(), minutes, 1..120u64)
            .prop_map(|(users, start, minutes, seconds)| Step::Hold { users, start, minutes, seconds }),
        3 => (0..6usize).prop_map(|hold| Step::Confirm { hold }),
        2 => (0..6usize, 1..120u64).prop_map(|(hold, seconds)| Step::Extend { hold, seconds }),
        2 => (0..6usize).prop_map(|hold| Step::Release { hold }),
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

    /// Whether an owner takes a person's time now.
    fn is_live(&self, user: UserId, owner: ClaimOwner, now: Timestamp) -> bool {
        let lives = |entry: &Entry| entry.owner == owner && entry.expires_at.is_none_or(|expires_at| now < expires_at);
        self.0.get(&user).is_some_and(|taken| taken.values().any(lives))
    }

    fn change(&mut self, user: UserId, owner: ClaimOwner, change: impl Fn(&mut Entry)) {
        self.0.entry(user).or_default().values_mut().filter(|entry| entry.owner == owner).for_each(change);
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
    holds: Vec<(Hold, Vec<User>)>,
}

impl Run {
    async fn new() -> Self {
        let world = World::new(make).await;
        let mut users = Vec::new();
        for _ in 0..USERS {
            users.push(world.user().await);
        }
        Self { world, users, model: Model::default(), bookings: Vec::new(), holds: Vec::new() }
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Book { users, start, minutes } => self.book(users, self.world.minutes(*start, start + minutes)).await,
            Step::Hold { users, start, minutes, seconds } => {
                self.hold(users, self.world.minutes(*start, start + minutes), *seconds).await;
            }
            Step::Confirm { hold } => self.confirm(*hold).await,
            Step::Extend { hold, seconds } => self.extend(*hold, *seconds).await,
            Step::Release { hold } => self.release(*hold).await,
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

    async fn hold(&mut self, users: &[usize], range: TimeRange, seconds: u64) {
        let users: Vec<User> = users.iter().map(|&n| self.users[n].clone()).collect();
        let hosts: Vec<&User> = users.iter().collect();
        let expires_at = self.world.now() + Duration::from_secs(seconds);
        let hold = self.world.new_hold(&self.world.tenant, &hosts, range, expires_at);
        let plan = self.world.place_plan(&self.world.tenant, &hosts, &hold, NO_LIMITS);
        let outcome = self.world.commit(&plan).await;
        if self.judge(&outcome, &users, range, ClaimOwner::Hold(hold.id), Some(expires_at)) {
            self.holds.push((hold, users));
        }
    }

    async fn confirm(&mut self, hold: usize) {
        let Some((hold, users)) = self.holds.get(hold).cloned() else { return };
        let (booking, plan) = self.world.confirm_plan(&hold, &users.iter().collect::<Vec<_>>());
        let owner = ClaimOwner::Booking(booking.id);
        let become_booking = |entry: &mut Entry| *entry = Entry { owner, expires_at: None, ..*entry };
        if self.change_hold(&plan, &hold, &users, become_booking).await {
            self.bookings.push((booking, users));
        }
    }

    async fn extend(&mut self, hold: usize, seconds: u64) {
        let Some((hold, users)) = self.holds.get(hold).cloned() else { return };
        let expires_at = self.world.now() + Duration::from_secs(seconds);
        let plan = self.world.extend_plan(&hold, &users.iter().collect::<Vec<_>>(), expires_at);
        self.change_hold(&plan, &hold, &users, |entry| entry.expires_at = Some(expires_at)).await;
    }

    async fn release(&mut self, hold: usize) {
        let Some((hold, users)) = self.holds.get(hold).cloned() else { return };
        let plan = self.world.release_plan(&hold, &users.iter().collect::<Vec<_>>());
        if self.change_hold(&plan, &hold, &users, |_| {}).await {
            users.iter().for_each(|user| self.model.release(user.id, ClaimOwner::Hold(hold.id)));
        }
    }

    /// A plan that changes a hold is performed exactly while the hold lives.
    async fn change_hold(
        &mut self,
        plan: &CommitPlan,
        hold: &Hold,
        users: &[User],
        change: impl Fn(&mut Entry),
    ) -> bool {
        let (owner, now) = (ClaimOwner::Hold(hold.id), self.world.now());
        let lives = users.iter().all(|user| self.model.is_live(user.id, owner, now));
        match self.world.commit(plan).await {
            Outcome::Committed { .. } => assert!(lives, "{hold:?} had ended"),
            Outcome::Stale => assert!(!lives, "{hold:?} lives"),
            other => panic!("{other:?}"),
        }
        if lives {
            users.iter().for_each(|user| self.model.change(user.id, owner, &change));
        }
        lives
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
