//! Lesson: cost grows with the calendar's history, not with the window asked. Every statement the conformance suite makes
//! the store run is explained as the server would run it for anybody, and none may read a whole table, or a whole account
//! in order to throw most of it away.

#[path = "../postgres/common.rs"]
mod common;
#[path = "../postgres/operator.rs"]
mod operator;

use std::collections::BTreeSet;
use std::time::Duration;

use agentcal_engine::commit::CommitPlan;
use agentcal_store_conformance::mail_settings::run_mail_settings_suite;
use agentcal_store_conformance::oauth::run_oauth_suite;
use agentcal_store_conformance::{Statements, World, run_store_suite, run_webhook_suite, world::idempotent};
use agentcal_store_postgres::StoreClock;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use common::{Database, is_available, make};

/// Statements that read a whole table because that is what was asked, or because it never grows, by what they contain.
const WHOLE_TABLES: [&str; 5] = [
    // `agentcal org list`, and `doctor`.
    "SELECT organization_id, name, created_at FROM organizations ORDER BY",
    "SELECT wrapped_by FROM",
    "SELECT DISTINCT wrapped_by",
    // Each of the shards, and there are never more.
    "FROM shards ORDER BY shard FOR NO KEY UPDATE",
    "max(epoch)",
];

/// Statements with lists of rows, whose types the server cannot guess and the program says: what they contain, the types of
/// the parameters before the list, and those of a row. What comes after is guessed.
const LISTS: [(&str, &[&str], &[&str]); 5] = [
    ("INSERT INTO webhook_attempts", &[], &["uuid", "uuid", "bigint", "bigint", "bigint", "bigint", "text", "text"]),
    ("AS wanted JOIN events", &[], &["uuid", "uuid"]),
    ("AS wanted (endpoint_id, room)", &["bigint"], &["uuid", "bigint"]),
    ("UPDATE webhook_deliveries SET attempts = attempts - 1", &["bigint"], &["uuid", "uuid", "bigint"]),
    ("UPDATE webhook_deliveries SET state = told.column3", &[], &["uuid", "uuid", "text", "bigint", "bigint"]),
];

#[tokio::test]
async fn no_statement_costs_more_with_history() {
    if !is_available() {
        return;
    }
    let statements = Statements::listen();
    run_store_suite(make).await;
    run_webhook_suite(make).await;
    run_mail_settings_suite(make).await;
    run_oauth_suite(make).await;
    let statements: BTreeSet<String> = statements.take().into_iter().collect();
    let explained: Vec<_> = statements.iter().filter(|text| is_explained(text)).collect();
    assert!(explained.len() > 100, "only {} statements were heard", explained.len());

    let database = Database::new().expect("asked before");
    // As large as it must be for the planner to care, and never sequential where there is another way.
    database.execute(&format!("ALTER DATABASE {} SET enable_seqscan = off", database.name()));
    database.execute(&format!("ALTER DATABASE {} SET plan_cache_mode = force_generic_plan", database.name()));
    let mut connection = PgConnection::connect(&database.superuser_url()).await.expect("connected");
    let mut wrong = Vec::new();
    for statement in explained {
        let plan = explain(&mut connection, statement).await;
        wrong.extend(fault(statement, &plan).map(|fault| format!("{fault}: {statement}\n    {}", plan.join("\n    "))));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What functions do, the server explains as they run, into its log. Tables that never grow are no matter.
#[tokio::test]
async fn no_function_costs_more_with_history() {
    let Some(database) = Database::new() else { return };
    for (name, value) in [
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_nested_statements", "on"),
        ("enable_seqscan", "off"),
        ("plan_cache_mode", "force_generic_plan"),
    ] {
        database.execute(&format!("ALTER DATABASE {} SET {name} = '{value}'", database.name()));
    }
    let store = database.open(StoreClock::Database).await;
    let world = World::new(|_| async move { (store, ()) }).await;
    let before = database.server.said().len();
    let users = [world.user().await, world.user().await];
    let everybody = [&users[0], &users[1]];
    let (_, plan) = world.booking_plan(&everybody, world.minutes(0, 30));
    let shared = CommitPlan { idempotency: Some(idempotent(1, 1, "yes")), is_shared: true, epoch: None, ..plan };
    world.commit(&shared).await;
    let expires_at = world.store.store_now().await.expect("answered") + Duration::from_secs(60);
    let hold = world.new_hold(&world.tenant, &everybody, world.minutes(60, 90), expires_at);
    world.place(&everybody, &hold).await;
    world.commit(&world.confirm_plan(&hold, &everybody).1).await;
    let said = database.server.said()[before..].to_owned();
    let of_functions = said.lines().filter(|line| line.contains("PL/pgSQL function agentcal_")).count();
    assert!(of_functions > 10, "the server explained {of_functions} statements of functions");
    let scans: Vec<&str> = said.lines().filter(|line| is_scan(line)).collect();
    assert!(scans.is_empty(), "{scans:#?}\n{said}");
}

fn is_explained(statement: &str) -> bool {
    let of_schema = statement.contains("_sqlx_migrations") || statement.contains("pg_");
    !of_schema && ["SELECT", "UPDATE", "DELETE", "INSERT", "WITH"].iter().any(|verb| statement.starts_with(verb))
}

async fn explain(connection: &mut PgConnection, statement: &str) -> Vec<String> {
    let run = async |connection: &mut PgConnection, text: String| {
        let rows = sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(connection).await;
        rows.unwrap_or_else(|error| panic!("{error}: {statement}"))
    };
    run(connection, "DEALLOCATE ALL".to_owned()).await;
    let prepare = AssertSqlSafe(format!("PREPARE explained {} AS {statement}", types(statement)));
    if let Err(error) = sqlx::raw_sql(prepare).execute(&mut *connection).await {
        return vec![format!("{REFUSED}{error}")];
    }
    let count = "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'explained'";
    let count: i32 = sqlx::query_scalar(count).persistent(false).fetch_one(&mut *connection).await.expect("prepared");
    let nulls = vec!["NULL"; usize::try_from(count).expect("not negative")].join(", ");
    let nulls = if count == 0 { String::new() } else { format!("({nulls})") };
    let rows = run(connection, format!("EXPLAIN (COSTS OFF) EXECUTE explained{nulls}")).await;
    rows.iter().map(|row| row.get::<String, _>(0)).collect()
}

/// The types of parameters, where they must be said.
fn types(statement: &str) -> String {
    let Some((_, before, row)) = LISTS.iter().find(|(known, ..)| statement.contains(known)) else {
        return String::new();
    };
    let numbers = statement.split('$').skip(1).map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    let count = numbers.filter_map(|number| number?.parse::<usize>().ok()).max().unwrap_or_default();
    let rows = (count - before.len()) / row.len();
    let all: Vec<&str> = before.iter().chain(std::iter::repeat_n(*row, rows).flatten()).copied().collect();
    format!("({})", all.join(", "))
}

/// What is wrong with a plan, if anything.
fn fault(statement: &str, plan: &[String]) -> Option<&'static str> {
    if plan.iter().any(|line| line.starts_with(REFUSED)) {
        return Some("cannot be prepared without types");
    }
    let is_wanted = WHOLE_TABLES.iter().any(|known| statement.contains(known));
    if plan.iter().any(|line| is_scan(line)) && !is_wanted {
        return Some("reads a whole table");
    }
    let sorts = plan.iter().any(|line| line.trim_start().trim_start_matches("->").trim_start().starts_with("Sort"));
    // Attempts to connect are few for each account, which the statement that sorts them sees to.
    let is_of_few = ["'pending'", "'new'", "FROM oauth_attempts"].iter().any(|words| statement.contains(words));
    (sorts && statement.contains("LIMIT") && !is_of_few).then_some("sorts what it then cuts")
}

/// Before what the server says to a statement whose parameters it cannot guess the types of.
const REFUSED: &str = "refused: ";

/// Tables of one row, or of one for each node.
const SMALL: [&str; 3] = ["store_state", "cluster_state", "nodes"];

fn is_scan(line: &str) -> bool {
    line.split_once("Seq Scan on ").is_some_and(|(_, table)| !SMALL.iter().any(|small| table.starts_with(small)))
}

#[test]
fn a_scan_is_a_fault() {
    let check = |statement: &str, line: &str, expected| {
        assert_eq!(fault(statement, &[line.to_owned()]), expected, "{line}");
    };
    check("SELECT 1 FROM claims", "  ->  Seq Scan on claims", Some("reads a whole table"));
    check("SELECT 1 FROM claims LIMIT 1", "  ->  Sort", Some("sorts what it then cuts"));
    check("SELECT 1 FROM claims", "Index Scan using claims_by_user on claims", None);
    check("SELECT 1 FROM store_state", "Seq Scan on store_state", None);
}
