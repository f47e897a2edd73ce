//! Somebody with a calendar, who enters and deletes appointments without telling anybody.

use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use agentcal_engine::ids::{AccountId, UserId};
use agentcal_engine::time::{DAY_US, HOUR_US, TimeRange, Timestamp};
use agentcal_history::Truth;
use agentcal_testkit::Postgres;
use tokio::sync::watch;
use uuid::Uuid;

use crate::cluster::DATABASE;
use crate::draw::Draw;
use crate::wire::now;
use crate::world::World;

/// How the ids of these appointments begin.
pub(crate) const PREFIX: &str = "person-";
/// Appointments of one person at a time.
const APPOINTMENTS_MAX: usize = 6;

/// A person whose calendar is at the sandbox provider, which keeps it in the database.
pub(crate) struct Person {
    program: std::ffi::OsString,
    url: String,
    account_id: Uuid,
    user_id: UserId,
    calendar_id: String,
    draw: Draw,
    count: u64,
    /// What is in the calendar, by number.
    present: Vec<(u64, Truth)>,
    past: Vec<Truth>,
}

impl Person {
    /// The one person of the account with a calendar.
    pub(crate) fn of(world: &Arc<World>, postgres: &Postgres, draw: Draw) -> Self {
        let account_id: AccountId = world.account_id.parse().expect("the id of an account");
        let account_id = account_id.as_uuid();
        let select = format!(
            "SELECT user_id || ' ' || calendar_id FROM users WHERE account_id = '{account_id}' AND calendar_id IS NOT NULL"
        );
        let said = postgres.execute(DATABASE, &select);
        let (user_id, calendar_id) = said.split_once(' ').expect("one person with a calendar");
        Self {
            program: postgres.program("psql").get_program().to_owned(),
            url: postgres.superuser_url(DATABASE),
            account_id,
            user_id: UserId::from_uuid(user_id.parse().expect("an id")),
            calendar_id: calendar_id.to_owned(),
            draw,
            count: 0,
            present: Vec::new(),
            past: Vec::new(),
        }
    }

    /// Changes the calendar until told to stop, and returns what was in it when.
    pub(crate) fn live(mut self, stop: watch::Receiver<bool>) -> JoinHandle<Vec<Truth>> {
        std::thread::spawn(move || {
            while !*stop.borrow() {
                if self.present.len() < APPOINTMENTS_MAX && self.draw.percent(60) {
                    self.enter();
                } else if !self.present.is_empty() {
                    let index = self.draw.below(self.present.len());
                    self.delete(index);
                }
                // People take their time.
                std::thread::sleep(Duration::from_millis(500 + self.draw.next() % 1500));
            }
            self.past.into_iter().chain(self.present.into_iter().map(|(_, truth)| truth)).collect()
        })
    }

    /// Said to be there only from when the database said so.
    fn enter(&mut self) {
        self.count += 1;
        let day = i64::try_from(self.draw.below(50)).expect("few") + 3;
        let today = now().as_micros() / DAY_US * DAY_US;
        let hour = i64::try_from(self.draw.below(20)).expect("few");
        let start = Timestamp::from_micros(today + day * DAY_US + hour * HOUR_US);
        let range = TimeRange::new(start, start.plus_micros(2 * HOUR_US)).expect("ends after its start");
        let bounds = format!("{}, {}", range.start.as_micros(), range.end.as_micros());
        if self.write(self.count, &bounds) {
            let (user_id, since) = (self.user_id, now());
            self.present.push((self.count, Truth { user_id, range, since, until: None }));
        }
    }

    /// Said to be gone from before the database was told.
    fn delete(&mut self, index: usize) {
        let (number, truth) = self.present.swap_remove(index);
        self.past.push(Truth { until: Some(now()), ..truth });
        // Whether it went or not: nothing is said of it from here on.
        let _ = self.write(number, "NULL, NULL");
    }

    /// False: nobody knows whether it was done.
    fn write(&self, number: u64, bounds: &str) -> bool {
        let (account_id, calendar_id) = (self.account_id, &self.calendar_id);
        let of = format!("account_id = '{account_id}' AND calendar_id = '{calendar_id}'");
        let write = format!(
            "SELECT 1 FROM revisions WHERE account_id = '{account_id}' AND kind = 1 AND id = '{calendar_id}' \
             FOR NO KEY UPDATE; \
             INSERT INTO sandbox_events (account_id, calendar_id, event_id, start_at, end_at, blocks, change_number) \
             SELECT '{account_id}', '{calendar_id}', '{PREFIX}{number}', {bounds}, true, \
             (SELECT coalesce(max(change_number), 0) + 1 FROM sandbox_events WHERE {of}) \
             ON CONFLICT (account_id, calendar_id, event_id) DO UPDATE SET start_at = excluded.start_at, \
             end_at = excluded.end_at, change_number = excluded.change_number"
        );
        let mut command = Command::new(&self.program);
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.url, "-c", &write]);
        command.output().is_ok_and(|output| output.status.success())
    }
}
