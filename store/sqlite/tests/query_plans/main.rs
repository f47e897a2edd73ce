//! Lesson: cost grows with the calendar's history, not with the window asked. Every statement the conformance suite makes
//! the store run is explained, and none may read a whole table or sort what it then cuts.

#[path = "../sqlite/common.rs"]
mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use agentcal_store_conformance::mail_settings::run_mail_settings_suite;
use agentcal_store_conformance::oauth::run_oauth_suite;
use agentcal_store_conformance::{Statements, TestClock, run_store_suite, run_webhook_suite};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

use common::make;

/// Statements that read a whole table because that is what was asked, by how they begin.
const WHOLE_TABLES: [&str; 2] = [
    // `agentcal org list`, and `doctor`.
    "SELECT organization_id, name, created_at FROM organizations ORDER BY",
    "SELECT wrapped_by FROM",
];

/// Statements that read everything of an account because it is small and asked for whole: its configuration.
const WHOLE_ACCOUNTS: [&str; 7] = [
    "SELECT account_id, user_id, name, email, timezone, calendar_id, home_calendar_id, rules, created_at FROM users",
    "SELECT account_id, event_type_id, name, slug, duration_minutes",
    "SELECT user_id, calendar_id FROM user_busy_calendars",
    "SELECT event_type_id, user_id FROM event_type_hosts",
    "SELECT c.account_id, c.calendar_id, c.connection_id",
    "DELETE FROM accounts",
    // Its grants, to give them back.
    "SELECT connection_id, provider, provider_subject, credentials FROM connections",
];

#[tokio::test]
async fn no_statement_costs_more_with_history() {
    let statements = Statements::listen();
    run_store_suite(make).await;
    run_webhook_suite(make).await;
    run_mail_settings_suite(make).await;
    run_oauth_suite(make).await;
    let statements: BTreeSet<String> = statements.take().into_iter().collect();
    let explained: Vec<_> = statements.iter().filter(|text| is_explained(text)).collect();
    assert!(explained.len() > 100, "only {} statements were heard", explained.len());

    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("plans.db");
    let store = common::open(&path, Arc::new(TestClock::at(agentcal_store_conformance::world::MORNING))).await;
    store.migrate().await.expect("migrated");
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("opened");
    let mut wrong = Vec::new();
    for statement in explained {
        let plan = explain(&mut connection, statement).await;
        wrong.extend(fault(statement, &plan).map(|fault| format!("{fault}: {statement}\n    {}", plan.join("\n    "))));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn is_explained(statement: &str) -> bool {
    let of_schema = statement.contains("_sqlx_migrations") || statement.contains("sqlite_master");
    !of_schema && ["SELECT", "UPDATE", "DELETE", "INSERT", "WITH"].iter().any(|verb| statement.starts_with(verb))
}

async fn explain(connection: &mut SqliteConnection, statement: &str) -> Vec<String> {
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let rows =
        sqlx::raw_sql(explain).fetch_all(connection).await.unwrap_or_else(|error| panic!("{error}: {statement}"));
    rows.iter().map(|row| row.get::<String, _>("detail")).collect()
}

/// What is wrong with a plan, if anything.
fn fault(statement: &str, plan: &[String]) -> Option<&'static str> {
    let begins = |known: &&str| statement.starts_with(*known);
    let sorts = plan.iter().any(|line| line.contains("TEMP B-TREE FOR ORDER BY"));
    let cuts = statement.contains("LIMIT");
    // What was found, or given, is walked through afterwards; how it was found is another line.
    let name_of = |line: &String| {
        ["CO-ROUTINE ", "MATERIALIZE "].iter().find_map(|&word| line.strip_prefix(word).map(str::to_owned))
    };
    let given: Vec<String> = plan.iter().filter_map(name_of).map(|name| format!("SCAN {name}")).collect();
    if plan.iter().any(|line| is_scan(line) && !given.contains(line)) && !WHOLE_TABLES.iter().any(begins) {
        return Some("reads a whole table");
    }
    let walks_in_order = cuts && !sorts;
    if plan.iter().any(|line| is_whole_account(line)) && !walks_in_order && !WHOLE_ACCOUNTS.iter().any(begins) {
        return Some("reads a whole account");
    }
    (sorts && cuts && !plan.iter().any(|line| is_waiting(line))).then_some("sorts what it then cuts")
}

/// Indexes that hold what waits and nothing that is done: reading all of one is no history.
const WAITING: [&str; 5] = [
    "INDEX writebacks_pending",
    "INDEX writebacks_due",
    "INDEX webhook_deliveries_pending",
    "INDEX events_new",
    "INDEX jobs_pending",
];

fn is_waiting(line: &str) -> bool {
    WAITING.iter().any(|index| line.contains(index))
}

fn is_scan(line: &str) -> bool {
    let of_rows_found = ["SCAN CONSTANT", "SCAN due", "SCAN alone", "SCAN waiting"];
    let is_history = !of_rows_found.iter().any(|known| line.starts_with(known)) && !line.contains("-ROW VALUES CLAUSE");
    line.starts_with("SCAN ") && is_history && !is_waiting(line)
}

/// A search by the account alone, in a table where that is not one row.
fn is_whole_account(line: &str) -> bool {
    let one_row = ["SEARCH accounts ", "SEARCH a ", "SEARCH account_keys "];
    line.starts_with("SEARCH ")
        && line.ends_with("(account_id=?)")
        && !one_row.iter().any(|known| line.starts_with(known))
}

#[test]
fn what_was_found_may_be_walked_through() {
    let check = |plan: &[&str], expected| {
        let plan: Vec<String> = plan.iter().map(|&line| line.to_owned()).collect();
        assert_eq!(fault("SELECT 1", &plan), expected, "{plan:?}");
    };
    check(&["CO-ROUTINE told", "SCAN CONSTANT ROW", "SCAN told"], None);
    check(&["MATERIALIZE told", "SCAN CONSTANT ROW", "SCAN told"], None);
    check(&["CO-ROUTINE (subquery-1)", "SEARCH d USING INDEX x (a=? AND b=?)", "SCAN (subquery-1)"], None);
    check(&["CO-ROUTINE told", "SCAN claims", "SCAN told"], Some("reads a whole table"));
    check(&["SCAN told"], Some("reads a whole table"));
}

#[test]
fn a_scan_is_a_fault() {
    let check = |statement: &str, line: &str, expected| {
        assert_eq!(fault(statement, &[line.to_owned()]), expected, "{line}");
    };
    check("SELECT 1 FROM claims", "SCAN claims", Some("reads a whole table"));
    check("SELECT 1 FROM claims", "SEARCH claims USING PRIMARY KEY (account_id=?)", Some("reads a whole account"));
    check("SELECT 1 FROM claims LIMIT 1", "USE TEMP B-TREE FOR ORDER BY", Some("sorts what it then cuts"));
    check("SELECT 1 FROM claims", "SEARCH claims USING PRIMARY KEY (account_id=? AND claim_id=?)", None);
    check("SELECT wrapped_by FROM account_keys", "SCAN account_keys", None);
}
