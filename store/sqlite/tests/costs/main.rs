//! What commits cost, in statements: a hold no more than a booking, a hold and its confirmation no more than two.

#[path = "../sqlite/common.rs"]
mod common;

use std::time::{Duration, Instant};

use agentcal_engine::commit::{Access, CommitPlan, ExpectedRevision, Outcome, RevisionKey};
use agentcal_engine::model::{DecisionRecord, User};
use agentcal_store_conformance::world::NO_LIMITS;
use agentcal_store_conformance::{Statements, World};

use common::make;

const TTL: Duration = Duration::from_secs(120);
/// Rounds of the measurement of time.
const ROUNDS: i64 = 400;

struct Place {
    world: World,
    user: User,
}

impl Place {
    async fn new() -> Self {
        let world = World::new(make).await;
        let (_, calendars) = world.connect(1).await;
        let user = world.user_on(calendars[0].id).await;
        Self { world, user }
    }

    /// A plan as a decision makes it: resting on configuration and facts, with its record.
    async fn decided(&self, plan: CommitPlan) -> CommitPlan {
        let world = &self.world;
        let home = RevisionKey::Calendar(self.user.home_calendar_id);
        let facts = world.facts(self.user.home_calendar_id).await.revision;
        let config = Some(world.config_revision(&world.tenant).await);
        let mut plan = plan;
        plan.expected_revisions.push(ExpectedRevision {
            key: RevisionKey::Config,
            revision: config,
            access: Access::Read,
        });
        for expected in plan.expected_revisions.iter_mut().filter(|expected| expected.key == home) {
            expected.revision = Some(facts);
        }
        plan.expected_revisions.sort();
        let record = world.new_decision(&world.tenant, &self.user, world.minutes(0, 30));
        plan.decision = Some(Box::new(DecisionRecord { chosen: vec![self.user.id], ..record }));
        plan
    }

    async fn booking(&self, n: i64) -> CommitPlan {
        let (_, plan) = self.world.booking_plan(&[&self.user], self.world.minutes(n * 30, n * 30 + 30));
        self.decided(plan).await
    }

    async fn hold(&self, n: i64) -> (agentcal_engine::model::Hold, CommitPlan) {
        let (world, users) = (&self.world, &[&self.user]);
        let hold = world.new_hold(&world.tenant, users, world.minutes(n * 30, n * 30 + 30), world.now() + TTL);
        let plan = self.decided(world.place_plan(&world.tenant, users, &hold, NO_LIMITS)).await;
        (hold, plan)
    }

    async fn confirm(&self, hold: &agentcal_engine::model::Hold) -> CommitPlan {
        self.decided(self.world.confirm_plan(hold, &[&self.user]).1).await
    }

    async fn commit(&self, plan: &CommitPlan) {
        let outcome = self.world.commit(plan).await;
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_hold_asks_no_more_of_the_store_than_a_booking() {
    let statements = Statements::listen();
    let place = Place::new().await;
    let booking = place.booking(0).await;
    statements.take();
    place.commit(&booking).await;
    let book = statements.take().len();
    let (hold, holding) = place.hold(1).await;
    statements.take();
    place.commit(&holding).await;
    let hold_cost = statements.take().len();
    place.world.hold_item(hold.id).await.expect("it is there");
    let read = statements.take().len();
    let confirming = place.confirm(&hold).await;
    statements.take();
    place.commit(&confirming).await;
    let confirm = statements.take().len();
    println!("statements: book {book}, hold {hold_cost}, read {read}, confirm {confirm}");
    assert!(book > 5, "statements are heard: {book}");
    assert!(hold_cost <= book, "hold {hold_cost}, book {book}");
    assert_eq!(read, 1, "one read before it is confirmed");
    assert!(
        hold_cost + read + confirm <= 2 * book + 1,
        "hold {hold_cost}, read {read}, confirm {confirm}, book {book}"
    );
}

/// Prints how long a hold, and a hold with its confirmation, take against a booking; interleaved, in one run.
#[tokio::test]
#[ignore = "a measurement, not a test: cargo test -p agentcal-store-sqlite --test costs -- --ignored --nocapture"]
async fn time_of_holds_against_bookings() {
    let place = Place::new().await;
    let (mut book, mut hold, mut confirm) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for n in 0..ROUNDS {
        let booking = place.booking(2 * n).await;
        let began = Instant::now();
        place.commit(&booking).await;
        book += began.elapsed();
        let (held, holding) = place.hold(2 * n + 1).await;
        let began = Instant::now();
        place.commit(&holding).await;
        hold += began.elapsed();
        let confirming = place.confirm(&held).await;
        let began = Instant::now();
        place.world.hold_item(held.id).await.expect("it is there");
        place.commit(&confirming).await;
        confirm += began.elapsed();
    }
    let each = |total: Duration| total.as_secs_f64() * 1e6 / ROUNDS as f64;
    let ratio = |total: Duration| total.as_secs_f64() / book.as_secs_f64();
    println!(
        "book {:.0} us, hold {:.0} us ({:.2}), confirm {:.0} us, both {:.2}",
        each(book),
        each(hold),
        ratio(hold),
        each(confirm),
        ratio(hold + confirm)
    );
}
