//! Migrations on a database that is in use, or that others migrate as well.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use agentcal_engine::model::{JobKind, JobState};
use agentcal_engine::ports::{EndpointOwner, JobStore as _, PageRequest};
use agentcal_store_conformance::World;
use agentcal_store_postgres::{PostgresStore, StoreClock};
use agentcal_testkit::WAIT_MAX;
use sqlx::migrate::{Migrate as _, Migrator};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::common::{Database, server};

const MIGRATIONS: &str = "../../migrations/postgres";
/// The last before writebacks were given columns for jobs, and the last before those were filled.
const BEFORE_COLUMNS: i64 = 20_261_122_020_000;
const BEFORE_JOBS: i64 = 20_261_122_080_000;
/// Who migrates at once, and how often that is tried.
const MIGRATING: usize = 8;
const ROUNDS: usize = 4;
/// A migration that forgot to say whose rows it was about, and was followed by one that did.
const FORGETFUL: &str = "20261122030000_given_up_writebacks.sql";

impl Database {
    /// One without a schema; `None` when there is no server.
    pub(crate) fn empty() -> Option<Self> {
        let database = Self::named(server()?);
        database.server.create_database(&database.name);
        Some(database)
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.expect("connected")
    }

    /// A schema as an older program left it.
    async fn migrated_to(version: i64) -> Option<Self> {
        let database = Self::empty()?;
        let mut connection = database.connect().await;
        run(&mut connection, "CREATE EXTENSION btree_gist").await;
        let migrator = Migrator::new(Path::new(MIGRATIONS)).await.expect("migrations");
        migrator.run_to(version, &mut connection).await.expect("migrated");
        Some(database)
    }
}

async fn run(connection: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection).await.expect("done");
}

/// Older programs knew nothing of jobs as they gave up a writeback.
#[tokio::test]
async fn what_older_nodes_gave_up_becomes_a_job() {
    let Some(database) = Database::migrated_to(BEFORE_JOBS).await else { return };
    let store = database.open(StoreClock::Database).await;
    let same = store.clone();
    let world = World::new(|_| async move { (same, ()) }).await;
    let (_, calendars) = world.connect(1).await;
    let user = world.user_on(calendars[0].id).await;
    let mut bookings = Vec::new();
    for minute in [0, 60, 120] {
        bookings.push(world.book(&[&user], world.minutes(minute, minute + 30)).await.id);
    }
    for (booking, attempts, error) in
        [(bookings[0], 20, "403 read only"), (bookings[1], 3, "the calendar was disconnected")]
    {
        database.execute(&format!(
            "UPDATE writebacks SET state = 'failed', attempts = {attempts}, last_error = '{error}' \
             WHERE booking_id = '{}'",
            booking.as_uuid()
        ));
    }
    let owner = EndpointOwner { organization_id: world.tenant.organization_id, mode: world.tenant.mode };
    let page = PageRequest { limit: 10, after: None };
    let jobs = async || store.list_jobs(owner, Some(JobKind::Writeback), None, &page).await.expect("readable").rows;
    assert_eq!(jobs().await, []);
    store.migrate().await.expect("migrated");
    let [job] = <[_; 1]>::try_from(jobs().await).expect("one job: what waits is none, what was disconnected neither");
    assert_eq!((job.booking_id, job.account_id), (Some(bookings[0]), world.tenant.account_id));
    assert_eq!((job.state, job.last_outcome.as_deref()), (JobState::Dead, Some("403 read only")));
}

/// An extension cannot be made by two at once, even where it may be there already.
#[tokio::test]
async fn any_number_may_migrate_an_empty_database_at_once() {
    for _ in 0..ROUNDS {
        let Some(database) = Database::empty() else { return };
        let (tasks, mut migrating) = (LocalSet::new(), Vec::new());
        for _ in 0..MIGRATING {
            let store = database.open(StoreClock::Database).await;
            migrating.push(tasks.spawn_local(async move { store.migrate().await }));
        }
        tasks.await;
        for migrated in migrating {
            migrated.await.expect("no panic").expect("migrated");
        }
        let store = database.open(StoreClock::Database).await;
        assert!(store.schema_state().await.expect("readable").is_current());
    }
}

/// Whoever reads a whole table, as a dump does, keeps a migration waiting, and must not keep bookings waiting behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_waits_for_a_table_lets_bookings_pass() {
    let Some(database) = Database::migrated_to(BEFORE_COLUMNS).await else { return };
    let (mut dump, mut booking) = (database.connect().await, database.connect().await);
    run(&mut dump, "BEGIN; LOCK TABLE writebacks IN ACCESS SHARE MODE").await;
    let store = database.open(StoreClock::Database).await;
    let was_told = AtomicBool::new(false);
    let tell = |_: &str| was_told.store(true, Ordering::SeqCst);
    let beside = async {
        // Far longer than a migration may wait, whatever the machine does meanwhile.
        run(&mut booking, "SET lock_timeout = '30s'").await;
        while !was_told.load(Ordering::SeqCst) {
            run(&mut booking, "BEGIN; LOCK TABLE writebacks IN ROW EXCLUSIVE MODE; COMMIT").await;
        }
        run(&mut dump, "COMMIT").await;
    };
    let (migrated, ()) = tokio::join!(store.migrate_telling(&tell), beside);
    migrated.expect("migrated");
    assert!(store.schema_state().await.expect("readable").is_current());
}

/// What nodes behind a pooler are given by their role, a migration has to do without.
#[tokio::test]
async fn a_migration_waits_whatever_times_the_role_is_given() {
    let Some(database) = Database::migrated_to(BEFORE_COLUMNS).await else { return };
    let mut dump = database.connect().await;
    for name in ["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"] {
        let within = format!("ALTER ROLE CURRENT_USER IN DATABASE {} SET {name} = '500ms'", database.name);
        run(&mut dump, &within).await;
    }
    run(&mut dump, "BEGIN; LOCK TABLE writebacks IN ACCESS SHARE MODE").await;
    let store = database.open(StoreClock::Database).await;
    let told = migrate_until_told(&store, run(&mut dump, "COMMIT")).await;
    assert!(told[0].ends_with("another session holds a table it needs: trying again"), "{told:?}");
    assert!(store.schema_state().await.expect("readable").is_current());
}

/// Waiting in silence looks like hanging.
#[tokio::test]
async fn whoever_waits_for_another_to_migrate_says_so_once() {
    let Some(database) = Database::migrated_to(BEFORE_COLUMNS).await else { return };
    let mut other = database.connect().await;
    other.lock().await.expect("nobody else migrates");
    let store = database.open(StoreClock::Database).await;
    let told = migrate_until_told(&store, async { other.unlock().await.expect("held") }).await;
    let turn = told.iter().filter(|news| news.contains("somebody else is migrating this database"));
    assert_eq!(turn.count(), 1, "{told:?}");
    assert!(store.schema_state().await.expect("readable").is_current());
}

/// Migrates, and lets whoever is in the way go once it was told of; all that was told.
async fn migrate_until_told(store: &PostgresStore, let_go: impl Future<Output = ()>) -> Vec<String> {
    let (told, was_told) = (Mutex::new(Vec::new()), Notify::new());
    let tell = |news: &str| {
        told.lock().expect("not poisoned").push(news.to_owned());
        was_told.notify_one();
    };
    let migrated = async {
        let migrated = timeout(WAIT_MAX, store.migrate_telling(&tell)).await;
        // Nobody waits for news from one that is over.
        was_told.notify_one();
        migrated
    };
    let beside = async {
        was_told.notified().await;
        let_go.await;
    };
    let (migrated, ()) = tokio::join!(migrated, beside);
    migrated.expect("in time").expect("migrated");
    told.into_inner().expect("not poisoned")
}

/// Without it a statement on a table with a wall finds no rows, and nothing says so.
#[tokio::test]
async fn migrations_that_change_rows_behind_a_wall_say_whose() {
    let Some(database) = Database::new() else { return };
    let walled = "SELECT relname::text FROM pg_class WHERE relrowsecurity";
    let walled: Vec<String> = sqlx::query_scalar(walled).fetch_all(&mut database.connect().await).await.expect("read");
    let migrator = Migrator::new(Path::new(MIGRATIONS)).await.expect("migrations");
    let forgetful = migrator.iter().filter(|migration| forgets_the_wall(migration.sql.as_str(), &walled));
    let forgetful: Vec<String> = forgetful
        .map(|migration| format!("{}_{}.sql", migration.version, migration.description.replace(' ', "_")))
        .collect();
    assert_eq!(forgetful, [FORGETFUL], "say SET LOCAL agentcal.all_accounts = 'on' first");
}

/// How a statement on rows begins.
const ON_ROWS: [&str; 6] = ["UPDATE", "INSERT", "DELETE", "MERGE", "SELECT", "WITH"];

/// Whether a migration reads or changes rows of such tables without having said that it is about all accounts.
fn forgets_the_wall(migration: &str, walled: &[String]) -> bool {
    // Every second part is a function's body, whose caller says so.
    let outside: String = migration.split("$$").step_by(2).collect();
    let lines = outside.lines().map(|line| line.split("--").next().unwrap_or_default());
    let statements = lines.collect::<Vec<_>>().join(" ");
    let mut statements = statements.split(';').map(|statement| words(statement).collect::<Vec<_>>());
    let mut has_said_so = false;
    statements.any(|words| {
        has_said_so |= words.starts_with(&["SET", "LOCAL", "agentcal", "all_accounts"]) && words.last() == Some(&"on");
        let is_about_rows = words.first().is_some_and(|first| ON_ROWS.contains(first));
        !has_said_so && is_about_rows && words.iter().any(|word| walled.iter().any(|table| table == word))
    })
}

fn words(statement: &str) -> impl Iterator<Item = &str> {
    statement.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty())
}
