//! A change of owner and a commit under the old epoch, one in flight while the other begins; and a writer that was paused
//! in the middle.

use std::task::Poll;
use std::time::{Duration, Instant};

use agentcal_engine::commit::{CommitPlan, Outcome};
use agentcal_engine::model::{Booking, ConnectionStatus, ExternalState, User, WritebackState};
use agentcal_engine::ports::{
    CommitStore as _, ConnectionStore as _, ExternalObservation, FactStore as _, NodeRecord, OwnershipStore as _,
    WritebackResult, WritebackStore as _, WrittenEvent,
};
use agentcal_engine::shard::{Epoch, NodeId, Shard};
use agentcal_store_conformance::World;
use agentcal_store_postgres::{OpenOptions, PostgresStore, StoreClock, Timeouts};
use agentcal_testkit::WAIT_MAX;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::common::{Database, options};

/// No lease of a test runs out by itself, however slow the machine.
const TTL: Duration = Duration::from_secs(600);
/// Longest that somebody may be in the way who was paused: far longer than a second, far shorter than for ever.
const BLOCKED_MAX: Duration = Duration::from_secs(30);
/// How often a poll is looked for that had to wait.
const LOOKS_MAX: usize = 1_000;

/// A node that owns the shard of a world's account, and one that wants it.
struct Scene {
    database: Database,
    store: PostgresStore,
    world: World,
    user: User,
    shard: Shard,
    owner: NodeRecord,
    other: NodeRecord,
    epoch: Epoch,
}

impl Scene {
    async fn new() -> Option<Self> {
        let database = Database::new()?;
        let store = database.open(StoreClock::Database).await;
        let same = store.clone();
        let world = World::new(|_| async move { (same, ()) }).await;
        let (user, shard) = (world.user().await, Shard::of(world.tenant.account_id));
        let node = |number| NodeRecord {
            id: NodeId(Uuid::from_u128(number)),
            address: String::new(),
            started_at: world.now(),
            is_draining: false,
        };
        let (owner, other) = (node(1), node(2));
        for node in [&owner, &other] {
            store.renew_lease(node, TTL, 0).await.expect("renewed");
        }
        let epoch = store.take_shards(owner.id, &[shard]).await.expect("asked")[0].1;
        store.end_lease(owner.id).await.expect("ended");
        Some(Self { database, store, world, user, shard, owner, other, epoch })
    }

    fn plan(&self, start: i64) -> CommitPlan {
        let (_, plan) = self.world.booking_plan(&[&self.user], self.world.minutes(start, start + 30));
        CommitPlan { epoch: Some(self.epoch), ..plan }
    }

    async fn raw(&self) -> PgConnection {
        PgConnection::connect(&self.database.url()).await.expect("connected")
    }

    /// Waits until so many sessions wait for a lock.
    async fn until_waiting(&self, count: usize) {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let began = Instant::now();
        while self.database.execute(waiting) != count.to_string() {
            assert!(began.elapsed() < WAIT_MAX, "nobody waits");
            tokio::task::yield_now().await;
        }
    }
}

async fn run(connection: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(connection).await.expect("done");
}

/// A plain read of the epoch would let the takeover in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_takeover_waits_for_a_commit_in_flight() {
    let Some(scene) = Scene::new().await else { return };
    // The commit is held up behind its fence, where it waits for the user's revision.
    let mut somebody = scene.raw().await;
    run(&mut somebody, "BEGIN; SET agentcal.all_accounts = 'on'; SELECT 1 FROM revisions FOR UPDATE").await;
    let (store, plan) = (scene.store.clone(), scene.plan(0));
    let commit = tokio::spawn(async move { store.commit(&plan).await.expect("answered") });
    scene.until_waiting(1).await;
    let (store, node, shard) = (scene.store.clone(), scene.other.id, scene.shard);
    let takeover = tokio::spawn(async move { store.take_shards(node, &[shard]).await.expect("asked") });
    scene.until_waiting(2).await;
    run(&mut somebody, "COMMIT").await;
    assert!(matches!(commit.await.expect("no panic"), Outcome::Committed { .. }), "it came first");
    let taken = takeover.await.expect("no panic");
    assert!(taken[0].1 > scene.epoch);
    assert_eq!(scene.world.commit(&scene.plan(60)).await, Outcome::Fenced);
}

/// A commit that reads the epoch while it is being raised waits, and sees the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_waits_for_a_takeover_in_flight() {
    let Some(scene) = Scene::new().await else { return };
    // The takeover is held up behind its locks, where it wants to tell the new version of the map.
    let mut somebody = scene.raw().await;
    run(&mut somebody, "BEGIN; SELECT 1 FROM cluster_state FOR UPDATE").await;
    let (store, node, shard) = (scene.store.clone(), scene.other.id, scene.shard);
    let takeover = tokio::spawn(async move { store.take_shards(node, &[shard]).await.expect("asked") });
    scene.until_waiting(1).await;
    let (store, plan) = (scene.store.clone(), scene.plan(0));
    let commit = tokio::spawn(async move { store.commit(&plan).await.expect("answered") });
    scene.until_waiting(2).await;
    run(&mut somebody, "COMMIT").await;
    assert_eq!(takeover.await.expect("no panic").len(), 1);
    assert_eq!(commit.await.expect("no panic"), Outcome::Fenced);
    assert_eq!(scene.store.take_shards(scene.owner.id, &[scene.shard]).await.expect("asked"), [], "it has no lease");
}

/// So does what an owner learned of a calendar: it was the owner when it learned it, and is none when it says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_learned_waits_for_a_takeover_in_flight() {
    let Some(scene) = Scene::new().await else { return };
    let (account_id, store) = (scene.world.tenant.account_id, &scene.store);
    let (connection, calendars) = scene.world.connect(1).await;
    let (calendar_id, user) = (calendars[0].id, scene.world.user_on(calendars[0].id).await);
    let book = async |start: i64| {
        let (booking, plan) = scene.world.booking_plan(&[&user], scene.world.minutes(start, start + 30));
        let outcome = scene.world.commit(&CommitPlan { epoch: Some(scene.epoch), ..plan }).await;
        assert!(matches!(outcome, Outcome::Committed { .. }));
        booking
    };
    let (waits, stands) = (book(0).await, book(60).await);
    let written = |booking: &Booking| WritebackResult {
        account_id,
        booking_id: booking.id,
        calendar_id,
        version: 1,
        state: WritebackState::Written,
        attempts: 1,
        due_at: scene.world.now(),
        last_error: None,
        written: Some((WrittenEvent { provider_event_id: "event-1".into(), etag: None }, booking.range)),
        external_state: Some(ExternalState::InSync),
        conference: None,
    };
    store.record_writeback(&written(&stands), scene.epoch).await.expect("answered");
    let seen = [ExternalObservation { booking_id: stands.id, state: ExternalState::Deleted }];
    let mut somebody = scene.raw().await;
    run(&mut somebody, "BEGIN; SELECT 1 FROM cluster_state FOR UPDATE").await;
    let takeover = async { store.take_shards(scene.other.id, &[scene.shard]).await.expect("asked").len() };
    let recorded = async {
        scene.until_waiting(1).await;
        store.record_writeback(&written(&waits), scene.epoch).await.expect("answered")
    };
    let observed = async {
        scene.until_waiting(2).await;
        store.observe_external(account_id, calendar_id, scene.epoch, &seen).await.expect("answered");
    };
    let marked = async {
        scene.until_waiting(3).await;
        let status = ConnectionStatus::Error;
        let marked = store.set_connection_status(account_id, connection.id, scene.epoch, status, Some("late")).await;
        marked.expect("answered");
    };
    let ended = async {
        scene.until_waiting(4).await;
        run(&mut somebody, "COMMIT").await;
    };
    let (taken, echoes, (), (), ()) = tokio::join!(takeover, recorded, observed, marked, ended);
    assert_eq!((taken, echoes), (1, None));
    let jobs = store.pending_writebacks(account_id, calendar_id, 10).await.expect("readable");
    assert_eq!(jobs.len(), 1, "the new owner finds out itself");
    assert_eq!(scene.world.booking(stands.id).await.hosts[0].external_state, Some(ExternalState::InSync));
    let (found, _) = store.connection(account_id, connection.id).await.expect("readable").expect("there");
    assert_eq!(found.status, connection.status);
}

/// A process that is stopped in the middle of a transaction keeps its locks; the server ends it after a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_transaction_blocks_nobody_for_long() {
    let Some(scene) = Scene::new().await else { return };
    let timeouts = Timeouts { acquire: WAIT_MAX, ..Timeouts::default() };
    let impatient = OpenOptions { timeouts, ..options(&scene.database.url()) };
    let paused = PostgresStore::open(impatient).await.expect("opened");
    let mut paused = paused.paused_transaction().await.expect("begun");
    run(&mut paused, "SET LOCAL agentcal.all_accounts = 'on'; SELECT 1 FROM revisions FOR UPDATE").await;
    let committed = tokio::time::timeout(BLOCKED_MAX, async {
        while !matches!(scene.world.commit(&scene.plan(0)).await, Outcome::Committed { .. }) {}
    });
    assert!(committed.await.is_ok(), "it is still in the way after {BLOCKED_MAX:?}");
    assert!(sqlx::query("SELECT 1").execute(&mut *paused).await.is_err(), "its transaction is over");
}

/// A connection whose transaction somebody began and did not wait for must not go back to the others with it: the server
/// would end it as idle, and whatever is said without a transaction would never be committed.
/// On one thread, so that hardly anything is answered between asking and dropping.
#[tokio::test]
async fn a_beginning_nobody_waits_for_leaves_nothing_behind() {
    let Some(database) = Database::new() else { return };
    let timeouts = Timeouts { idle_in_transaction: Duration::from_secs(60), ..options("").timeouts };
    let options = OpenOptions { timeouts, ..options(&database.url()) };
    let store = PostgresStore::open(options).await.expect("opened");
    // So that there is a connection, and beginning is the first that is asked of it.
    store.paused_transaction().await.expect("begun").rollback().await.expect("undone");
    let mut before = None;
    for _ in 0..LOOKS_MAX {
        before = Some(database.execute("SELECT clock_timestamp()"));
        let mut beginning = Box::pin(store.paused_transaction());
        let begun = std::future::poll_fn(|context| Poll::Ready(beginning.as_mut().poll(context))).await;
        // A server that was quicker than this thread has begun already; it is not always that quick.
        let Poll::Ready(begun) = begun else { break };
        begun.expect("begun").rollback().await.expect("undone");
        before = None;
    }
    let before = before.expect("beginning must be waited for at times");
    let over = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle' \
         AND query_start > '{before}' AND query NOT LIKE 'BEGIN%'"
    );
    let since = Instant::now();
    while database.execute(&over) == "0" {
        assert!(since.elapsed() < WAIT_MAX, "a transaction is left open");
        tokio::task::yield_now().await;
    }
}
