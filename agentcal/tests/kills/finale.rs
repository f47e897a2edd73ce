//! What the file holds when the program has ended, read without any of the program's code.

use std::path::Path;

use agentcal_engine::ids::{AccountId, BookingId, CalendarId, ClaimId, HoldId, UserId};
use agentcal_engine::model::{Attendee, Booking, BookingHost, BookingStatus, Claim, ClaimOwner, Hold, HoldState};
use agentcal_engine::time::{TimeRange, Timestamp};
use agentcal_history::{EventAtProvider, Final, ProviderFinal};
use chrono_tz::Tz;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, FromRow, SqliteConnection};
use uuid::Uuid;

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
        truth: Vec::new(),
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
    rows.into_iter()
        .map(|row| EventAtProvider {
            calendar_id: CalendarId::from_uuid(row.calendar_id),
            booking_id: BookingId::from_uuid(row.booking_id),
            range: range(row.start_at, row.end_at),
        })
        .collect()
}

#[derive(FromRow)]
struct EventRow {
    calendar_id: Uuid,
    booking_id: Uuid,
    start_at: i64,
    end_at: i64,
}

#[derive(FromRow)]
struct HostRow {
    booking_id: Uuid,
    user_id: Uuid,
    calendar_id: Option<Uuid>,
}

#[derive(FromRow)]
struct BookingRow {
    booking_id: Uuid,
    start_at: i64,
    end_at: i64,
    status: String,
    metadata: String,
    attendee_name: String,
    sequence: u32,
    created_at: i64,
}

impl BookingRow {
    fn booking(self, account_id: AccountId, hosts: &[HostRow]) -> Booking {
        let hosts = hosts.iter().filter(|host| host.booking_id == self.booking_id);
        let hosts = hosts.map(|host| BookingHost {
            user_id: UserId::from_uuid(host.user_id),
            calendar_id: host.calendar_id.map(CalendarId::from_uuid),
            provider_event_id: None,
            writeback: None,
            external_state: None,
        });
        Booking {
            id: BookingId::from_uuid(self.booking_id),
            account_id,
            event_type_id: None,
            title: String::new(),
            location: None,
            range: range(self.start_at, self.end_at),
            status: if self.status == "cancelled" { BookingStatus::Cancelled } else { BookingStatus::Confirmed },
            timezone: Tz::UTC,
            attendee: Attendee { name: self.attendee_name, email: None, phone: None, timezone: None },
            metadata: serde_json::from_str(&self.metadata).expect("metadata is JSON"),
            hosts: hosts.collect(),
            sequence: self.sequence,
            attendee_reschedules: 0,
            cancel_reason: None,
            created_at: Timestamp::from_micros(self.created_at),
        }
    }
}

#[derive(FromRow)]
struct ClaimRow {
    claim_id: Uuid,
    user_id: Uuid,
    home_calendar_id: Uuid,
    start_at: i64,
    end_at: i64,
    hold_id: Option<Uuid>,
    booking_id: Option<Uuid>,
    expires_at: Option<i64>,
    session_id: Option<String>,
}

impl ClaimRow {
    fn claim(self, account_id: AccountId) -> Claim {
        let owner = match (self.hold_id, self.booking_id) {
            (Some(hold_id), None) => ClaimOwner::Hold(HoldId::from_uuid(hold_id)),
            (None, Some(booking_id)) => ClaimOwner::Booking(BookingId::from_uuid(booking_id)),
            both => panic!("a claim belongs to {both:?}"),
        };
        Claim {
            id: ClaimId::from_uuid(self.claim_id),
            account_id,
            user_id: UserId::from_uuid(self.user_id),
            home_calendar_id: CalendarId::from_uuid(self.home_calendar_id),
            range: range(self.start_at, self.end_at),
            owner,
            event_type_id: None,
            buffer_before_minutes: 0,
            buffer_after_minutes: 0,
            expires_at: self.expires_at.map(Timestamp::from_micros),
            session_id: self.session_id,
        }
    }
}

#[derive(FromRow)]
struct HoldRow {
    hold_id: Uuid,
    start_at: i64,
    end_at: i64,
    user_ids: String,
    session_id: Option<String>,
    state: String,
    booking_id: Option<Uuid>,
    expires_at: i64,
    created_at: i64,
}

impl HoldRow {
    fn hold(self, account_id: AccountId) -> Hold {
        let state = match (self.state.as_str(), self.booking_id) {
            ("active", None) => HoldState::Active,
            ("released", None) => HoldState::Released,
            ("confirmed", Some(booking_id)) => HoldState::Confirmed(BookingId::from_uuid(booking_id)),
            other => panic!("a hold is {other:?}"),
        };
        Hold {
            id: HoldId::from_uuid(self.hold_id),
            account_id,
            event_type_id: None,
            range: range(self.start_at, self.end_at),
            user_ids: serde_json::from_str(&self.user_ids).expect("users are JSON"),
            session_id: self.session_id,
            state,
            expires_at: Timestamp::from_micros(self.expires_at),
            created_at: Timestamp::from_micros(self.created_at),
        }
    }
}

fn range(start_at: i64, end_at: i64) -> TimeRange {
    TimeRange::new(Timestamp::from_micros(start_at), Timestamp::from_micros(end_at)).expect("ends after its start")
}
