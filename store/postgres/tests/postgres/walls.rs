//! Row-level security: what a query without the application's filter sees.

use agentcal_store_conformance::World;
use agentcal_store_postgres::StoreClock;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::common::Database;

/// Tables with rows of accounts, by the catalogue, so that a new one is not forgotten.
const OF_ACCOUNTS: &str = "SELECT c.relname::text FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid \
     WHERE c.relkind = 'r' AND a.attname = 'account_id' AND c.relnamespace = 'public'::regnamespace ORDER BY 1";

async fn count(connection: &mut PgConnection, table: &str) -> i64 {
    let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    sqlx::query_scalar(count).fetch_one(connection).await.expect("counted")
}

async fn tables(connection: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(OF_ACCOUNTS).fetch_all(connection).await.expect("the catalogue")
}

#[tokio::test]
async fn without_a_filter_nothing_of_others_is_seen() {
    let Some(database) = Database::new() else { return };
    let store = database.open(StoreClock::Database).await;
    let world = World::new(|_| async move { (store, ()) }).await;
    let other = world.another_organization().await;
    for tenant in [&world.tenant, &other] {
        let (_, calendars) = world.connect_for(tenant, 1).await;
        let user = world.user_for(tenant, Some(calendars[0].id)).await;
        let (_, plan) = world.booking_plan_for(tenant, &[&user], world.minutes(0, 30));
        world.commit(&plan).await;
    }
    let mut raw = PgConnection::connect(&database.url()).await.expect("connected");
    let tables = tables(&mut raw).await;
    assert!(tables.len() >= 20, "{tables:?}");
    for table in &tables {
        assert_eq!(count(&mut raw, table).await, 0, "{table} shows rows to a session that says nothing");
    }
    let tell = "SELECT set_config('agentcal.account_id', $1, false)";
    let own = other.account_id.as_uuid();
    sqlx::query(tell).bind(own.to_string()).execute(&mut raw).await.expect("told");
    for table in ["accounts", "users", "calendars", "bookings", "claims", "revisions", "writebacks"] {
        let select = AssertSqlSafe(format!("SELECT DISTINCT account_id FROM {table}"));
        let seen: Vec<uuid::Uuid> = sqlx::query_scalar(select).fetch_all(&mut raw).await.expect("read");
        assert_eq!(seen, [own], "{table}");
    }
    let theirs = world.tenant.account_id.as_uuid();
    let update = sqlx::query("UPDATE claims SET end_at = end_at + 1 WHERE account_id = $1").bind(theirs);
    assert_eq!(update.execute(&mut raw).await.expect("answered").rows_affected(), 0);
    let insert =
        sqlx::query("INSERT INTO revisions (account_id, kind, id, revision) VALUES ($1, 2, $1, 1)").bind(theirs);
    let error = insert.execute(&mut raw).await.expect_err("refused");
    let code = error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
    assert_eq!(code.as_deref(), Some("42501"), "{error}");
}

#[tokio::test]
async fn every_table_of_accounts_has_the_wall() {
    let Some(database) = Database::new() else { return };
    let mut raw = PgConnection::connect(&database.url()).await.expect("connected");
    let walled = "SELECT relname::text FROM pg_class AS c WHERE relrowsecurity AND relforcerowsecurity \
                  AND EXISTS (SELECT 1 FROM pg_policy WHERE polrelid = c.oid) ORDER BY 1";
    let walled: Vec<String> = sqlx::query_scalar(walled).fetch_all(&mut raw).await.expect("the catalogue");
    assert_eq!(walled, tables(&mut raw).await);
}
