//! A confirmed booking is durable before the caller hears of it (law 2): a child process commits and says so after each
//! commit, is killed in the middle, and everything it said is there, whole.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::commit::{CommitPlan, Outcome};
use agentcal_engine::ids::{AccountId, BookingId};
use agentcal_engine::model::Tenant;
use agentcal_engine::ports::{BookingFilter, BookingStore as _, PageRequest, WritebackStore as _};
use agentcal_store_conformance::world::{MORNING, idempotent};
use agentcal_store_conformance::{TestClock, World};
use agentcal_store_sqlite::SqliteStore;

const DATABASE: &str = "AGENTCAL_TEST_CRASH_DATABASE";
const ROUND: &str = "AGENTCAL_TEST_CRASH_ROUND";
const NAME: &str = "crash::acknowledged_commits_survive_a_kill";
const ROUNDS: u64 = 10;
const ACKNOWLEDGED: &str = "ACKNOWLEDGED ";

#[tokio::test]
async fn acknowledged_commits_survive_a_kill() {
    if let (Ok(database), Ok(round)) = (std::env::var(DATABASE), std::env::var(ROUND)) {
        commit_until_killed(Path::new(&database), round.parse().expect("a number")).await;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("agentcal.db");
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let heard = kill_after(&path, round, 3 + usize::try_from(round).expect("small"));
        assert!(heard.len() >= 3, "round {round} heard {heard:?}");
        acknowledged.extend(heard);
        let store = crate::common::open(&path, Arc::new(TestClock::at(MORNING))).await;
        for &(account_id, booking_id) in &acknowledged {
            let item = store.booking(account_id, booking_id).await.expect("readable");
            let item = item.unwrap_or_else(|| panic!("{booking_id} was acknowledged and is gone after round {round}"));
            assert_eq!(item.claim_count, 2, "{booking_id}");
        }
        store.close().await;
    }
    check_wholeness(&path, &acknowledged).await;
}

/// Bookings that nobody heard of may be there too, but only with all of their parts.
async fn check_wholeness(path: &Path, acknowledged: &[(AccountId, BookingId)]) {
    let store = crate::common::open(path, Arc::new(TestClock::at(MORNING))).await;
    let accounts: std::collections::BTreeSet<_> = acknowledged.iter().map(|(account_id, _)| *account_id).collect();
    for account_id in accounts {
        for booking in bookings(&store, account_id).await {
            let item = store.booking(account_id, booking).await.expect("readable").expect("was listed");
            assert_eq!(item.claim_count, 2, "{booking} without its claims");
            for host in item.booking.hosts {
                let calendar_id = host.calendar_id.expect("both hosts have one");
                let jobs = store.pending_writebacks(account_id, calendar_id, 1_000).await.expect("readable");
                assert!(jobs.iter().any(|job| job.booking.id == booking), "{booking} without its effects");
            }
        }
    }
}

async fn bookings(store: &SqliteStore, account_id: AccountId) -> Vec<BookingId> {
    let config = agentcal_engine::ports::ConfigStore::account_config(store, account_id).await;
    let account = config.expect("readable").expect("there").account;
    let tenant = Tenant { organization_id: account.organization_id, mode: account.mode, account_id };
    let page = PageRequest { limit: 100_000, after: None };
    let listed = store.list_bookings(&tenant, &BookingFilter::default(), MORNING, &page).await;
    listed.expect("readable").rows.into_iter().map(|booking| booking.id).collect()
}

/// Runs a child until it has acknowledged this many commits, kills it, and returns all it said by then.
fn kill_after(database: &Path, round: u64, acknowledgements: usize) -> Vec<(AccountId, BookingId)> {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", NAME, "--nocapture"])
        .env(DATABASE, database)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut heard = Vec::new();
    let stdout = child.stdout.take().expect("piped");
    for line in BufReader::new(stdout).lines() {
        let Ok(line) = line else { break };
        let Some((_, ids)) = line.split_once(ACKNOWLEDGED) else { continue };
        let (account_id, booking_id) = ids.split_once(' ').expect("two ids");
        heard.push((account_id.parse().expect("an id"), booking_id.parse().expect("an id")));
        if heard.len() == acknowledgements {
            child.kill().expect("killed");
        }
    }
    child.wait().expect("ended");
    heard
}

async fn commit_until_killed(database: &Path, round: u64) -> ! {
    let world = World::new(|clock: Arc<TestClock>| async move {
        // Ids derive from the clock, and every round needs its own.
        clock.advance(Duration::from_secs(round + 1));
        let store = crate::common::open(database, clock).await;
        store.migrate().await.expect("migrated");
        (store, ())
    })
    .await;
    let (_, calendars) = world.connect(2).await;
    let [one, two] = [world.user_on(calendars[0].id).await, world.user_on(calendars[1].id).await];
    for n in 0.. {
        let (booking, plan) = world.booking_plan(&[&one, &two], world.minutes(n * 60, n * 60 + 30));
        let scope = u8::try_from(n % 250).expect("small");
        let idempotency = (n < 250).then(|| idempotent(scope, 1, "answer"));
        let outcome = world.commit(&CommitPlan { idempotency, ..plan }).await;
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
        println!("{ACKNOWLEDGED}{} {}", world.tenant.account_id, booking.id);
    }
    unreachable!("the parent kills long before time ends")
}
