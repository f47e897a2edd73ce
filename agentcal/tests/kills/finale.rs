//! What the file holds when the program has ended, read without any of the program's code.

use std::path::Path;

use agentcal_engine::ids::AccountId;
use agentcal_history::{EventAtProvider, Final, ProviderFinal};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, FromRow, SqliteConnection};

use crate::rows::{BookingRow, ClaimRow, EventRow, HoldRow, HostRow};
use crate::wire::now;

/// Name of the database in a data folder.
const DATABASE_FILE: &str = "agentcal.db";

/// Everything in the file that belongs to an account.
///
/// # Panics
/// When SQLite finds the file damaged, or a row that points nowhere.
pub(crate) async fn read(data_dir: &Path, account_id: AccountId) -> Final {
    let options = SqliteConnectOptions::new().filename(data_dir.join(DATABASE_FILE));
    let mut file = options.connect().await.expect("the file is a database");
    is_whole(&mut file).await;
    let hosts: Vec<HostRow> =
        all(&mut file, "SELECT * FROM booking_hosts WHERE account_id = $1 ORDER BY position", account_id).await;
    let bookings: Vec<BookingRow> = all(&mut file, "SELECT * FROM bookings WHERE account_id = $1", account_id).await;
    let claims: Vec<ClaimRow> = all(&mut file, "SELECT * FROM claims WHERE account_id = $1", account_id).await;
    let holds: Vec<HoldRow> = all(&mut file, "SELECT * FROM holds WHERE account_id = $1", account_id).await;
    Final {
        at: now(),
        claims: claims.into_iter().map(|row| row.claim(account_id)).collect(),
        bookings: bookings.into_iter().map(|row| row.booking(account_id, &hosts)).collect(),
        holds: holds.into_iter().map(|row| row.hold(account_id)).collect(),
        is_whole: true,
        provider: Some(ProviderFinal { events: shown(&mut file, account_id).await, touched: Vec::new() }),
        ..Final::default()
    }
}

/// Writebacks that calendars do not show yet.
pub(crate) async fn pending_writebacks(data_dir: &Path) -> i64 {
    let options = SqliteConnectOptions::new().filename(data_dir.join(DATABASE_FILE)).read_only(true);
    let mut file = options.connect().await.expect("the file is a database");
    let count = sqlx::query_scalar("SELECT count(*) FROM writebacks WHERE state = 'pending'");
    count.fetch_one(&mut file).await.expect("a count")
}

async fn is_whole(file: &mut SqliteConnection) {
    let said: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut *file).await.expect("a check");
    assert_eq!(said, ["ok"], "SQLite finds the file damaged");
    let astray = sqlx::query("PRAGMA foreign_key_check").fetch_all(file).await.expect("a check");
    assert_eq!(astray.len(), 0, "rows point nowhere");
}

async fn all<T>(file: &mut SqliteConnection, select: &'static str, account_id: AccountId) -> Vec<T>
where
    T: for<'r> FromRow<'r, sqlx::sqlite::SqliteRow> + Send + Unpin,
{
    sqlx::query_as(select).bind(account_id.as_uuid()).fetch_all(file).await.expect("rows that can be read")
}

/// Events written for bookings. Sandbox calendars lie in the same file; an event that was deleted has no time.
async fn shown(file: &mut SqliteConnection, account_id: AccountId) -> Vec<EventAtProvider> {
    let select = "SELECT e.calendar_id, w.booking_id, e.start_at, e.end_at FROM sandbox_events e \
                  JOIN writebacks w ON w.account_id = e.account_id AND w.calendar_id = e.calendar_id \
                  AND w.written_event_id = e.event_id WHERE e.account_id = $1 AND e.start_at IS NOT NULL";
    let rows: Vec<EventRow> = all(file, select, account_id).await;
    rows.into_iter().map(EventRow::event).collect()
}
