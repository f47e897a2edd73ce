//! What stands in the way of a healthy database is found, and said by its kind.

use std::error::Error as _;

use agentcal_engine::commit::Outcome;
use agentcal_engine::ports::FactStore as _;
use agentcal_store_conformance::World;
use agentcal_store_postgres::{DurabilityProblem, OpenError, OpenOptions, PostgresStore, StoreClock};
use agentcal_testkit::{Durability, postgres};

use crate::common::{Database, options, server};

async fn problems(store: &PostgresStore) -> Vec<DurabilityProblem> {
    store.durability_check().await.expect("answered")
}

#[tokio::test]
async fn a_database_as_in_production_has_no_problem() {
    let Some(server) = postgres(Durability::Full) else { return };
    server.create_database("whole");
    let store = PostgresStore::open(options(&server.url("whole"))).await.expect("opened");
    let guard = DurabilityProblem::MissingConstraint("claims_no_overlap");
    assert_eq!(problems(&store).await, [guard], "nothing is migrated");
    let before = store.schema_state().await.expect("readable");
    assert!(before.applied == 0 && before.pending.len() >= 4, "{before:?}");
    store.migrate().await.expect("migrated");
    assert_eq!(problems(&store).await, []);
    let after = store.schema_state().await.expect("readable");
    assert!(after.is_current() && after.applied == before.pending.len());
    store.migrate().await.expect("nothing to do");
}

#[tokio::test]
async fn what_loses_commits_is_named() {
    let Some(database) = Database::new() else { return };
    let off = |name| DurabilityProblem::Setting(name, "off".to_owned());
    let store = database.open(StoreClock::Database).await;
    assert_eq!(problems(&store).await, [off("fsync"), off("full_page_writes")]);
    database.execute(
        "ALTER DATABASE current SET synchronous_commit = off; ALTER TABLE claims DROP CONSTRAINT claims_no_overlap; \
         ALTER TABLE decisions SET UNLOGGED"
            .replace("current", database.name())
            .as_str(),
    );
    let store = PostgresStore::open(options(&database.superuser_url())).await.expect("opened");
    let found = problems(&store).await;
    for expected in [
        off("synchronous_commit"),
        DurabilityProblem::MissingConstraint("claims_no_overlap"),
        DurabilityProblem::UnloggedTable("decisions".to_owned()),
        DurabilityProblem::WalksThroughWalls("postgres".to_owned()),
    ] {
        assert!(found.contains(&expected), "{expected:?} is not in {found:?}");
    }
}

/// The server's own refusals of a write, where everything can still be read.
#[tokio::test]
async fn a_server_that_takes_no_writes_is_found_by_writing() {
    let Some(database) = Database::new() else { return };
    let check = async |state: &str, expected: DurabilityProblem| {
        refuse_temporary_tables(&database, state);
        let store = database.open(StoreClock::Database).await;
        let found = problems(&store).await;
        assert!(found.contains(&expected), "{state}: {expected:?} is not in {found:?}");
        store.close().await;
    };
    check("53100", DurabilityProblem::Full).await;
    check("25006", DurabilityProblem::ReadOnly).await;
    database.execute("DROP EVENT TRIGGER refuse");
    database.execute(&format!("REVOKE TEMPORARY ON DATABASE {} FROM public, agentcal", database.name()));
    let store = database.open(StoreClock::Database).await;
    let found = problems(&store).await;
    assert!(found.contains(&DurabilityProblem::Untried) && !DurabilityProblem::Untried.is_fatal(), "{found:?}");
}

/// The trial leaves no row, no table and no page behind.
#[tokio::test]
async fn a_trial_leaves_nothing() {
    let Some(database) = Database::new() else { return };
    let store = database.open(StoreClock::Database).await;
    let tables = "SELECT count(*) FROM pg_class WHERE relkind = 'r'";
    let before = database.execute(tables);
    let found = problems(&store).await;
    assert!(found.iter().all(|problem| matches!(problem, DurabilityProblem::Setting(..))), "{found:?}");
    assert_eq!(database.execute(tables), before);
}

/// A commit that finds no room says so in words, beside what the server said.
#[tokio::test]
async fn a_commit_on_a_full_disk_says_so() {
    let Some(database) = Database::new() else { return };
    let same = database.open(StoreClock::Database).await;
    let world = World::new(|_| async move { (same, ()) }).await;
    let user = world.user().await;
    let full = "RAISE EXCEPTION ''could not extend file'' USING ERRCODE = ''53100''";
    database.execute(&format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {full}; END'; \
         CREATE TRIGGER refuse BEFORE INSERT ON bookings FOR EACH ROW EXECUTE FUNCTION refuse()"
    ));
    let (_, plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    let refused = world.store.commit(&plan).await.expect_err("there is no room");
    let mut causes = vec![refused.to_string()];
    let mut cause = refused.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    assert_eq!(causes[..2], ["the store is unavailable", "failed to write to the database: its disk is full"]);
    assert!(causes.last().is_some_and(|cause| cause.contains("could not extend file")), "{causes:?}");
}

/// Migrations need the extension; whoever looks before they are made is told.
#[tokio::test]
async fn a_missing_extension_is_told_before_migrating() {
    let Some(database) = Database::empty() else { return };
    let missing = async || {
        let store = database.open(StoreClock::Database).await;
        let missing = store.schema_state().await.expect("readable").missing_extension;
        store.close().await;
        missing
    };
    assert_eq!(missing().await, None, "the owner of a database may make a trusted extension");
    database.execute(&format!("ALTER DATABASE {} OWNER TO postgres", database.name()));
    assert_eq!(missing().await, Some("btree_gist"), "anybody else may not");
    database.execute("CREATE EXTENSION btree_gist");
    assert_eq!(missing().await, None, "it is there");
    database.execute("DROP EXTENSION btree_gist");
    database.execute(&format!("ALTER DATABASE {} OWNER TO agentcal", database.name()));
    // The server's own list is found after this one.
    database.execute(&format!(
        "CREATE VIEW public.pg_available_extension_versions AS \
         SELECT * FROM pg_catalog.pg_available_extension_versions WHERE name <> 'btree_gist'; \
         GRANT SELECT ON public.pg_available_extension_versions TO public; \
         ALTER DATABASE {} SET search_path = public, pg_catalog",
        database.name()
    ));
    assert_eq!(missing().await, Some("btree_gist"), "it is not installed on the server");
}

/// Has the server refuse new tables made of a query with this state, as it would where it has no room for them.
fn refuse_temporary_tables(database: &Database, state: &str) {
    database.execute(&format!(
        "DROP EVENT TRIGGER IF EXISTS refuse; \
         CREATE OR REPLACE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS \
         'BEGIN RAISE EXCEPTION ''refused'' USING ERRCODE = ''{state}''; END'; \
         CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE TABLE AS') EXECUTE FUNCTION refuse()"
    ));
}

#[tokio::test]
async fn a_newer_schema_is_noticed() {
    let Some(database) = Database::new() else { return };
    let store = database.open(StoreClock::Database).await;
    database.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (99991231000000, 'from the future', true, '', 0)",
    );
    assert_eq!(store.schema_state().await.expect("readable").unknown, [99_991_231_000_000]);
}

#[tokio::test]
async fn what_keeps_a_store_closed_is_named() {
    let Some(server) = server() else { return };
    let open = async |url: String| PostgresStore::open(options(&url)).await.map(drop).expect_err("refused");
    let wrong = server.url("postgres").replace("correct", "wrong");
    assert!(matches!(open(wrong).await, OpenError::Login(_)));
    assert!(matches!(open(server.url("nowhere")).await, OpenError::NoDatabase(_)));
    assert!(matches!(open("postgres://localhost:1/nobody".to_owned()).await, OpenError::Database(_)));
    assert!(matches!(open("no url".to_owned()).await, OpenError::Url(_)));
}

#[tokio::test]
async fn what_keeps_a_schema_from_being_made_is_named() {
    let Some(database) = Database::empty() else { return };
    let migrate = async || database.open(StoreClock::Database).await.migrate().await.expect_err("refused");
    database.execute(&format!("ALTER DATABASE {} OWNER TO postgres", database.name()));
    assert!(matches!(migrate().await, OpenError::MissingExtension { name: "btree_gist", .. }));
    database.execute("CREATE EXTENSION btree_gist; GRANT ALL ON SCHEMA public TO agentcal");
    database.execute(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name()));
    assert!(matches!(migrate().await, OpenError::ReadOnly(_)));
    let store = database.open(StoreClock::Database).await;
    assert!(problems(&store).await.contains(&DurabilityProblem::ReadOnly));
}

/// A restored database: every epoch it ever gave out is below the next.
#[tokio::test]
async fn a_restored_database_fences_everybody() {
    let Some(database) = Database::new() else { return };
    let store = database.open(StoreClock::Database).await;
    let same = store.clone();
    let world = World::new(|_| async move { (same, ()) }).await;
    let user = world.user().await;
    database.execute("UPDATE shards SET epoch = epoch + shard");
    let raised = store.raise_epoch().await.expect("raised");
    assert!(raised.0 > world.epoch.0 + 4_095);
    assert_eq!(database.execute("SELECT min(epoch) = max(epoch) FROM shards"), "t");
    let (_, plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    assert_eq!(world.commit(&plan).await, Outcome::Fenced);
}

#[test]
fn options_say_nothing_of_the_password() {
    let shown = format!("{:?}", OpenOptions { ..options("postgres://a:secret@b/c") });
    assert!(!shown.contains("secret"), "{shown}");
}
