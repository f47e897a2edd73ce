//! Failures, doubt and crashes.

use std::time::Duration;

use agentcal_engine::ports::{StoreError, TenantStore};
use agentcal_sim_store::{Disk, Fate, Settings, SimStore, SlowPhases, Span};
use agentcal_store_conformance::World;
use tokio::time::{Instant, timeout};

use crate::common::{is_committed, world_on_disk};

/// Longer than any answer takes here.
const EVER: Duration = Duration::from_secs(3_600);
const ATTEMPTS: usize = 400;

/// Books the next half hour, and says whether the caller heard yes.
async fn book(world: &World, user: &agentcal_engine::model::User, attempt: usize) -> Result<bool, StoreError> {
    let start = i64::try_from(attempt).unwrap() * 30;
    let (_, plan) = world.booking_plan(&[user], world.minutes(start, start + 30));
    world.store.commit(&plan).await.map(|outcome| is_committed(&outcome))
}

fn kept(disk: &Disk, world: &World) -> usize {
    disk.view().bookings(world.tenant.account_id).len()
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_did_nothing() {
    let (world, disk) = world_on_disk().await;
    let user = world.user().await;
    disk.set(Settings { unavailable_per_mille: 300, ..Settings::default() });
    let mut heard = 0;
    for attempt in 0..ATTEMPTS {
        heard += usize::from(book(&world, &user, attempt).await.unwrap_or(false));
    }
    assert!((ATTEMPTS / 2..ATTEMPTS).contains(&heard), "{heard} of {ATTEMPTS}");
    assert_eq!(kept(&disk, &world), heard);
}

#[tokio::test]
async fn of_writes_in_doubt_some_are_there_and_some_are_not() {
    let (world, disk) = world_on_disk().await;
    let user = world.user().await;
    disk.set(Settings { doubt_per_mille: 500, ..Settings::default() });
    let (mut heard, mut failed) = (0, 0);
    for attempt in 0..ATTEMPTS {
        match book(&world, &user, attempt).await {
            Ok(committed) => heard += usize::from(committed),
            Err(StoreError::Unavailable(_)) => failed += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(heard + failed, ATTEMPTS, "nothing stands in the way of anything");
    let unheard = kept(&disk, &world) - heard;
    assert!((failed / 4..failed * 3 / 4).contains(&unheard), "{unheard} of {failed} were performed");
}

#[tokio::test]
async fn a_write_ends_as_it_is_told_to() {
    let (world, disk) = world_on_disk().await;
    let user = world.user().await;
    let mut attempt = 0;
    let mut check = async |fate: Fate, performed: usize| {
        let before = kept(&disk, &world);
        disk.next_write(fate);
        attempt += 1;
        assert!(matches!(book(&world, &user, attempt).await, Err(StoreError::Unavailable(_))), "{fate:?}");
        assert_eq!(kept(&disk, &world) - before, performed, "{fate:?}");
    };
    check(Fate::Unavailable, 0).await;
    check(Fate::DoubtPerformed, 1).await;
    check(Fate::DoubtLost, 0).await;
    assert!(book(&world, &user, 0).await.unwrap(), "and the one after it as ever");
}

#[tokio::test(start_paused = true)]
async fn transactions_take_their_time() {
    let (world, disk) = world_on_disk().await;
    let check = async |settings: Settings, shortest: u64, longest: u64| {
        disk.set(settings);
        for _ in 0..50 {
            let began = Instant::now();
            world.store.store_now().await.unwrap();
            let took = began.elapsed();
            let span = Duration::from_millis(shortest)..=Duration::from_millis(longest + 2);
            assert!(span.contains(&took), "{took:?}");
        }
    };
    check(Settings { latency: Span::millis(5, 5), ..Settings::default() }, 5, 5).await;
    check(Settings { latency: Span::millis(0, 40), ..Settings::default() }, 0, 40).await;
    let always = SlowPhases { gap: Span::ZERO, length: Span::millis(100_000, 100_000), latency: Span::millis(70, 80) };
    disk.set(Settings { slow: Some(always), ..Settings::default() });
    world.clock.advance(Duration::from_millis(10));
    world.store.store_now().await.unwrap();
    world.clock.advance(Duration::from_millis(10));
    check(Settings { slow: Some(always), ..Settings::default() }, 70, 80).await;
}

#[tokio::test]
async fn the_store_has_a_clock_of_its_own() {
    let (world, disk) = world_on_disk().await;
    disk.adjust(|settings| settings.clock_offset_us = -1_500_000);
    let behind = world.now().micros_since(world.store.store_now().await.unwrap());
    assert_eq!((behind, disk.now()), (1_500_000, disk.view().now()));
}

/// What was answered is there after a crash, through a new connection; the old one never answers again.
#[tokio::test(start_paused = true)]
async fn a_crash_keeps_what_was_committed() {
    let (world, disk) = world_on_disk().await;
    let user = world.user().await;
    let booking = world.book(&[&user], world.minutes(0, 30)).await;
    disk.crash();
    assert!(timeout(EVER, world.store.store_now()).await.is_err(), "a dead connection answers");
    assert!(timeout(EVER, book(&world, &user, 5)).await.is_err(), "a dead connection writes");
    let reborn = disk.connect();
    assert!(organizations(&reborn).await > 0);
    assert_eq!(disk.view().booking(world.tenant.account_id, booking.id), Some(booking));
    assert_eq!(kept(&disk, &world), 1);
}

async fn organizations(store: &SimStore) -> usize {
    store.list_organizations().await.unwrap().len()
}

/// A transaction under way when the disk crashes is there whole, or not at all, and its caller never hears.
#[tokio::test(start_paused = true)]
async fn a_crash_lets_those_under_way_hear_nothing() {
    let (mut there, mut lost) = (0, 0);
    for _ in 0..40 {
        let (world, disk) = world_on_disk().await;
        let users = [world.user().await, world.user().await];
        let range = world.minutes(0, 30);
        let (_, plan) = world.booking_plan(&[&users[0], &users[1]], range);
        // The entropy of every disk is the same here, so another moment of the crash is another draw.
        disk.set(Settings { latency: Span::millis(100, 100), ..Settings::default() });
        let crash_after = Duration::from_millis(2 + 2 * (there + lost));
        tokio::select! {
            biased;
            _ = world.store.commit(&plan) => panic!("answered"),
            () = async { tokio::time::sleep(crash_after).await; disk.crash(); std::future::pending().await } => {}
            () = tokio::time::sleep(EVER) => {}
        }
        let view = disk.view();
        let claims = view.claims(world.tenant.account_id).len();
        assert!(claims == 0 || claims == 2, "{claims} of 2 claims");
        assert_eq!(view.bookings(world.tenant.account_id).len() * 2, claims);
        if claims == 2 { there += 1 } else { lost += 1 }
    }
    assert!(there > 0 && lost > 0, "{there} there, {lost} lost");
}

/// The same entropy and the same requests are the same run.
#[tokio::test(start_paused = true)]
async fn a_seed_replays() {
    async fn run() -> Vec<(bool, u128)> {
        let (world, disk) = world_on_disk().await;
        let user = world.user().await;
        let slow = SlowPhases { gap: Span::millis(1, 90), length: Span::millis(1, 90), latency: Span::millis(5, 70) };
        disk.set(Settings {
            latency: Span::millis(0, 9),
            slow: Some(slow),
            unavailable_per_mille: 100,
            doubt_per_mille: 100,
            ..Settings::default()
        });
        let mut seen = Vec::new();
        for attempt in 0..100 {
            let began = Instant::now();
            let committed = book(&world, &user, attempt).await.unwrap_or(false);
            seen.push((committed, began.elapsed().as_micros()));
        }
        seen
    }
    assert_eq!(run().await, run().await);
}
