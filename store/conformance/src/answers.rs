//! Idempotency: repeating a request repeats its answer and not the deed.

use std::time::Duration;

use agentcal_engine::commit::{CommitPlan, Outcome};
use agentcal_engine::model::{AvailabilityRules, User};
use agentcal_engine::ports::Write;
use chrono_tz::Tz;
use futures::future::join_all;

use crate::World;
use crate::world::idempotent;

/// Requests that carry one key at the same time.
const DUPLICATES: usize = 16;

/// The same key with the same body replays the kept answer, even where the plan could no longer be performed.
pub async fn a_repeated_commit_replays(world: World) {
    let user = world.user().await;
    let (_, plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    let plan = CommitPlan { idempotency: Some(idempotent(1, 1, "first answer")), ..plan };
    assert!(matches!(world.commit(&plan).await, Outcome::Committed { .. }));
    let (_, again) = world.booking_plan(&[&user], world.minutes(0, 30));
    let again = CommitPlan { idempotency: Some(idempotent(1, 1, "second answer")), epoch: None, ..again };
    let replayed = Outcome::Replayed { answer: b"first answer".to_vec() };
    assert_eq!(world.commit(&again).await, replayed);
    world.store.raise_epoch().await.expect("raised");
    assert_eq!(world.commit(&plan).await, replayed, "a superseded leader still replays");
    assert_eq!(world.facts(user.home_calendar_id).await.claims.len(), 1);

    let key = idempotent(1, 1, "").key;
    let tenant = world.tenant;
    let kept = world.store.kept_answer(tenant.organization_id, Some(tenant.account_id), &key).await;
    assert_eq!(kept.expect("readable"), Write::Replayed(b"first answer".to_vec()));
}

/// A request that had nothing to do keeps its answer by a plan without changes and revisions, whoever makes it.
pub async fn what_does_nothing_keeps_its_answer(world: World) {
    for (number, epoch) in [(1, Some(world.epoch)), (2, None)] {
        let plan = |answer: &str, fingerprint| {
            let idempotency = Some(idempotent(number, fingerprint, answer));
            CommitPlan { idempotency, epoch, ..world.empty_plan(&world.tenant, &[]) }
        };
        assert_eq!(world.commit(&plan("first answer", 1)).await, Outcome::Committed { revisions: Vec::new() });
        let replayed = Outcome::Replayed { answer: b"first answer".to_vec() };
        assert_eq!(world.commit(&plan("second answer", 1)).await, replayed);
        assert_eq!(world.commit(&plan("third answer", 2)).await, Outcome::IdempotencyMismatch);
    }
}

/// Lesson: idempotency that does not compare the body. The same key with another body is told so, and nothing is done.
pub async fn another_body_is_a_mismatch(world: World) {
    let user = world.user().await;
    let plan = |start, idempotency| {
        let (_, plan) = world.booking_plan(&[&user], world.minutes(start, start + 30));
        CommitPlan { idempotency: Some(idempotency), ..plan }
    };
    let first = plan(0, idempotent(1, 1, "a"));
    assert!(matches!(world.commit(&first).await, Outcome::Committed { .. }));
    assert_eq!(world.commit(&plan(60, idempotent(1, 2, "b"))).await, Outcome::IdempotencyMismatch);
    assert!(matches!(world.commit(&plan(60, idempotent(2, 2, "c"))).await, Outcome::Committed { .. }));
    assert_eq!(world.facts(user.home_calendar_id).await.claims.len(), 2);
}

/// Lesson: a key poisoned by a failure. A refusal keeps no answer, so the repeated request is decided afresh.
pub async fn a_refused_commit_keeps_no_answer(world: World) {
    let user = world.user().await;
    let booking = world.book(&[&user], world.minutes(0, 30)).await;
    let (_, plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    let plan = CommitPlan { idempotency: Some(idempotent(1, 1, "answer")), ..plan };
    assert_eq!(world.commit(&plan).await, Outcome::Overlap { user_id: user.id });
    world.commit(&world.cancel_plan(&booking, &[&user])).await;
    assert!(matches!(world.commit(&plan).await, Outcome::Committed { .. }));
}

/// Of duplicates that arrive together one does the deed and the others replay its answer.
pub async fn concurrent_duplicates_do_one_deed(world: World) {
    let user = world.user().await;
    let plan = |n: usize| {
        let start = i64::try_from(n).expect("small") * 60;
        let (_, plan) = world.booking_plan(&[&user], world.minutes(start, start + 30));
        CommitPlan { idempotency: Some(idempotent(1, 1, &format!("answer {n}"))), ..plan }
    };
    let plans: Vec<_> = (0..DUPLICATES).map(plan).collect();
    let outcomes = join_all(plans.iter().map(|plan| world.commit(plan))).await;
    let winner = outcomes.iter().position(|outcome| matches!(outcome, Outcome::Committed { .. }));
    let winner = winner.expect("one commits");
    let answer = format!("answer {winner}").into_bytes();
    for (n, outcome) in outcomes.into_iter().enumerate() {
        if n != winner {
            assert_eq!(outcome, Outcome::Replayed { answer: answer.clone() });
        }
    }
    assert_eq!(world.facts(user.home_calendar_id).await.claims.len(), 1);
}

/// Writes to configuration replay, mismatch, and keep nothing when they were not done.
pub async fn config_writes_replay(world: World) {
    let rules = AvailabilityRules::office_hours(Tz::UTC);
    let create = async |user: &User, fingerprint, answer: &str| {
        let idempotency = idempotent(1, fingerprint, answer);
        world.store.create_user(&world.tenant, user, &rules, Some(&idempotency)).await.expect("answered")
    };
    let refused = world.new_user(&world.tenant, Some(agentcal_engine::ids::CalendarId::from_uuid(world.uuid())));
    assert_eq!(create(&refused, 9, "refused").await, Write::Missing);
    assert_eq!(create(&world.new_user(&world.tenant, None), 1, "one").await, Write::Done);
    assert_eq!(create(&world.new_user(&world.tenant, None), 1, "two").await, Write::Replayed(b"one".to_vec()));
    assert_eq!(create(&world.new_user(&world.tenant, None), 2, "three").await, Write::IdempotencyMismatch);
    let config = world.store.account_config(world.tenant.account_id).await.expect("readable").expect("there");
    assert_eq!(config.users.len(), 1);
    let revision = config.config_revision;
    let replay = idempotent(1, 1, "four");
    let update = world.store.update_user(&world.tenant, &config.users[0].0, revision + 7, Some(&replay)).await;
    assert_eq!(update.expect("answered"), Write::Replayed(b"one".to_vec()), "the answer comes before the revision");
}

/// An answer is kept for a day; then the key is new again, and the row can go.
pub async fn an_answer_is_forgotten_after_a_day(world: World) {
    let day = Duration::from_secs(24 * 60 * 60);
    let user = world.user().await;
    let plan = |start, answer: &str| {
        let (_, plan) = world.booking_plan(&[&user], world.minutes(start, start + 30));
        CommitPlan { idempotency: Some(idempotent(1, 1, answer)), ..plan }
    };
    let kept = async || {
        let key = idempotent(1, 1, "").key;
        let account_id = Some(world.tenant.account_id);
        world.store.kept_answer(world.tenant.organization_id, account_id, &key).await.expect("readable")
    };
    world.commit(&plan(0, "old")).await;
    world.clock.advance(day - Duration::from_micros(1));
    assert_eq!(world.store.forget_old_answers(10).await.expect("done"), 0);
    assert_eq!(kept().await, Write::Replayed(b"old".to_vec()));
    world.clock.advance(Duration::from_micros(1));
    assert_eq!(kept().await, Write::Missing);
    assert!(matches!(world.commit(&plan(60, "new")).await, Outcome::Committed { .. }), "the key is new again");
    assert_eq!(kept().await, Write::Replayed(b"new".to_vec()));
    world.clock.advance(day);
    assert_eq!(world.store.forget_old_answers(10).await.expect("done"), 1);
    assert_eq!(world.store.forget_old_answers(10).await.expect("done"), 0);
}

/// Routes above accounts keep their answers too, that of an account's own deletion included.
pub async fn an_account_is_created_and_deleted_once(world: World) {
    let organization_id = world.tenant.organization_id;
    let [first, second] = [0, 1].map(|_| world.new_account(organization_id, world.tenant.mode));
    let create = async |account, answer: &str| {
        world.store.create_account(account, Some(&idempotent(1, 1, answer))).await.expect("answered")
    };
    assert_eq!(create(&first, "made").await, Write::Done);
    assert_eq!(create(&second, "again").await, Write::Replayed(b"made".to_vec()));
    let read = async |id| world.store.account(organization_id, world.tenant.mode, id).await.expect("readable");
    assert!(read(first.id).await.is_some());
    assert_eq!(read(second.id).await, None);

    let tenant = agentcal_engine::model::Tenant { account_id: first.id, ..world.tenant };
    let delete = async |answer: &str| {
        world.store.delete_account(&tenant, Some(&idempotent(2, 2, answer))).await.expect("answered")
    };
    assert_eq!(delete("gone").await, Write::Done);
    assert_eq!(delete("twice").await, Write::Replayed(b"gone".to_vec()));
    let key = idempotent(2, 2, "").key;
    for account_id in [None, Some(first.id)] {
        let kept = world.store.kept_answer(organization_id, account_id, &key).await.expect("readable");
        assert_eq!(kept, Write::Replayed(b"gone".to_vec()));
    }
}
