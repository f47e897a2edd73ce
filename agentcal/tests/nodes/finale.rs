//! What the database holds at the end, read without any of the program's code.

use std::sync::Arc;

use agentcal_engine::ids::AccountId;
use agentcal_history::{Final, ProviderFinal, Truth};
use agentcal_testkit::{Postgres, WAIT_MAX, wait_for};
use serde::de::DeserializeOwned;

use crate::audit::{self, Trouble};
use crate::cluster::DATABASE;
use crate::rows::{BookingRow, ClaimRow, EventRow, HoldRow, HostRow};
use crate::wire::now;
use crate::world::World;

/// Live claims of one person that overlap.
const OVERLAPS: &str = "SELECT count(*) FROM claims a JOIN claims b ON a.account_id = b.account_id \
    AND a.user_id = b.user_id AND a.claim_id < b.claim_id AND a.start_at < b.end_at AND b.start_at < a.end_at";
/// Bookings that stand, and are not in a calendar of theirs at their time exactly once.
const UNWRITTEN: &str = "SELECT count(*) FROM booking_hosts h JOIN bookings b USING (account_id, booking_id) \
    WHERE b.status = 'confirmed' AND h.calendar_id IS NOT NULL AND 1 <> (SELECT count(*) FROM sandbox_events e \
    JOIN writebacks w ON w.account_id = e.account_id AND w.calendar_id = e.calendar_id \
    AND w.written_event_id = e.event_id WHERE w.account_id = h.account_id AND w.calendar_id = h.calendar_id \
    AND w.booking_id = h.booking_id AND w.state = 'written' AND e.start_at = b.start_at AND e.end_at = b.end_at)";
/// Events in calendars that are not those of a booking that stands, nor of the calendar's person.
const STRANGERS: &str = "SELECT count(*) FROM sandbox_events e WHERE e.start_at IS NOT NULL \
    AND e.event_id NOT LIKE 'person-%' AND NOT EXISTS (\
    SELECT FROM writebacks w JOIN bookings b USING (account_id, booking_id) WHERE w.account_id = e.account_id \
    AND w.calendar_id = e.calendar_id AND w.written_event_id = e.event_id AND b.status = 'confirmed')";
const PENDING: &str = "SELECT count(*) FROM writebacks WHERE state <> 'written'";

/// What the database counts by itself; all of it shall be 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Wrong {
    pub(crate) overlaps: i64,
    pub(crate) unwritten: i64,
    pub(crate) strangers: i64,
}

/// Events in calendars that are no booking's.
pub(crate) fn strangers(postgres: &Postgres) -> i64 {
    count(postgres, STRANGERS)
}

/// Counts what is wrong; so many events in calendars were there before.
pub(crate) fn counts(postgres: &Postgres, strangers_before: i64) -> Wrong {
    let strangers = strangers(postgres) - strangers_before;
    Wrong { overlaps: count(postgres, OVERLAPS), unwritten: count(postgres, UNWRITTEN), strangers }
}

/// Waits until calendars show everything.
pub(crate) fn wait_for_writebacks(postgres: &Postgres) {
    wait_for("the last writeback", WAIT_MAX, || (count(postgres, PENDING) == 0).then_some(()));
}

/// Everything that belongs to the accounts, beside what people had in their calendars and what befell the nodes.
pub(crate) fn read(postgres: &Postgres, worlds: &[Arc<World>], truth: Vec<Truth>, troubles: &[Trouble]) -> Final {
    audit::judge(postgres);
    let (late, superseded) = (audit::late(postgres, troubles), audit::superseded(postgres));
    let mut finale = Final { at: now(), is_whole: true, truth, late, superseded, ..Final::default() };
    let mut provider = ProviderFinal::default();
    for world in worlds {
        let account_id: AccountId = world.account_id.parse().unwrap();
        let of_account = format!("WHERE account_id = '{}'", account_id.as_uuid());
        let hosts: Vec<HostRow> =
            rows(postgres, &format!("SELECT * FROM booking_hosts {of_account} ORDER BY position"));
        let bookings: Vec<BookingRow> = rows(postgres, &format!("SELECT * FROM bookings {of_account}"));
        let claims: Vec<ClaimRow> = rows(postgres, &format!("SELECT * FROM claims {of_account}"));
        let holds: Vec<HoldRow> = rows(postgres, &format!("SELECT * FROM holds {of_account}"));
        let events: Vec<EventRow> = rows(
            postgres,
            &format!(
                "SELECT calendar_id, booking_id, start_at, end_at FROM sandbox_events e \
                 JOIN writebacks w USING (account_id, calendar_id) {of_account} AND w.written_event_id = e.event_id \
                 AND start_at IS NOT NULL"
            ),
        );
        finale.bookings.extend(bookings.into_iter().map(|row| row.booking(account_id, &hosts)));
        finale.claims.extend(claims.into_iter().map(|row| row.claim(account_id)));
        finale.holds.extend(holds.into_iter().map(|row| row.hold(account_id)));
        provider.events.extend(events.into_iter().map(EventRow::event));
    }
    finale.provider = Some(provider);
    finale
}

fn count(postgres: &Postgres, select: &str) -> i64 {
    postgres.execute(DATABASE, select).parse().expect("a count")
}

fn rows<T: DeserializeOwned>(postgres: &Postgres, select: &str) -> Vec<T> {
    let said = postgres.execute(DATABASE, &format!("SELECT coalesce(json_agg(t), '[]') FROM ({select}) t"));
    serde_json::from_str(&said).expect("rows that can be read")
}
