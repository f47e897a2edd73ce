//! The account everybody books in: who can be booked, and when.

use agentcal_engine::ids::UserId;
use agentcal_engine::time::{DAY_US, HOUR_US, MINUTE_US, TimeRange, Timestamp};
use agentcal_history::Wish;
use serde_json::{Value, json};

use crate::draw::Draw;
use crate::wire::{Api, now, text};

/// People everybody wants.
const HOT_LEN: usize = 3;
/// People with time for everybody.
const COLD_LEN: usize = 9;
/// Times everybody wants; each hot person has all of them.
const HOT_SLOTS: i64 = 3;
/// Days that can be booked, from the day after tomorrow.
const DAYS: usize = 55;
const SLOT_US: i64 = 30 * MINUTE_US;

/// An account with people who can be booked at all hours.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) account_id: String,
    /// One host, named or whoever is free.
    pub(crate) solo: String,
    /// The first two hot people together.
    pub(crate) pair: String,
    pub(crate) people: Vec<UserId>,
    first: Timestamp,
}

/// A time somebody wants, and how to ask for it.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    pub(crate) wish: Wish,
    pub(crate) body: Value,
}

impl World {
    /// Makes it. Half of the hot people have a calendar, so that bookings are written back, too.
    pub(crate) async fn make(api: &Api) -> Self {
        let account = api.make("/v1/accounts", json!({ "name": "Kills" })).await;
        let account_id = text(&account, "id").to_owned();
        let at = |rest: &str| format!("/v1/accounts/{account_id}{rest}");
        let connection = api.make(&at("/connections"), json!({ "provider": "sandbox" })).await;
        let calendar = connection["calendars"].as_array().and_then(|calendars| {
            let mut writable = calendars.iter().filter(|calendar| calendar["writable"] == true);
            writable.next().map(|calendar| text(calendar, "id").to_owned())
        });
        let calendar = calendar.expect("a sandbox has a calendar that can be written");
        let mut people = Vec::new();
        for index in 0..HOT_LEN + COLD_LEN {
            let mut body = json!({ "name": format!("P{index}"), "email": "p@example.com", "timezone": "UTC" });
            // The last hot person: the first two shall be free together at the hot times.
            if index == HOT_LEN - 1 {
                body["calendar_id"] = json!(calendar);
            }
            let user = api.make(&at("/users"), body).await;
            let all_day = |day: u8| json!({ "day_of_week": day, "start_time": "00:00", "end_time": "00:00" });
            let rules: Vec<Value> = (0..7).map(all_day).collect();
            let path = at(&format!("/users/{}/availability-rules", text(&user, "id")));
            api.put(&path, json!({ "timezone": "UTC", "rules": rules })).await;
            people.push(text(&user, "id").parse().expect("the id of a user"));
        }
        let solo = json!({
            "name": "Solo", "slug": "solo", "duration_minutes": 30, "user_ids": people, "booking_window_days": 365,
        });
        let pair = json!({
            "name": "Pair", "slug": "pair", "duration_minutes": 30, "user_ids": people[..2], "booking_window_days": 365,
            "scheduling_mode": "collective",
        });
        let solo = text(&api.make(&at("/event-types"), solo).await, "id").to_owned();
        let pair = text(&api.make(&at("/event-types"), pair).await, "id").to_owned();
        let today = now().as_micros() / DAY_US * DAY_US;
        Self { account_id, solo, pair, people, first: Timestamp::from_micros(today + 2 * DAY_US) }
    }

    pub(crate) fn at(&self, rest: &str) -> String {
        format!("/v1/accounts/{}{rest}", self.account_id)
    }

    /// The days on which everything happens, as dates; not more than one question may span.
    pub(crate) fn dates(&self) -> (String, String) {
        let date = |at: Timestamp| at.to_utc().date_naive().to_string();
        (date(self.first), date(self.first.plus_micros(DAY_US * i64::try_from(DAYS).expect("few days"))))
    }

    /// What a client wants next: often the same few times as all others.
    pub(crate) fn want(&self, draw: &mut Draw) -> Want {
        if draw.percent(10) {
            return self.of_pair(self.hot_time(draw));
        }
        if draw.percent(35) {
            return self.with(self.people[draw.below(HOT_LEN)], self.hot_time(draw));
        }
        if draw.percent(20) {
            return self.with_anybody(self.cold_time(draw));
        }
        self.with(self.people[draw.below(self.people.len())], self.cold_time(draw))
    }

    /// Another time, for somebody who has one.
    pub(crate) fn other_time(&self, draw: &mut Draw) -> TimeRange {
        if draw.percent(30) { self.hot_time(draw) } else { self.cold_time(draw) }
    }

    /// One of a few that nobody else wants.
    pub(crate) fn set_aside(&self, index: usize) -> Want {
        let hours = i64::try_from(index).expect("few");
        self.with(self.people[HOT_LEN + 1], slot(self.first.plus_micros(-DAY_US / 2 + hours * HOUR_US)))
    }

    fn with(&self, user_id: UserId, range: TimeRange) -> Want {
        let body = json!({ "event_type_id": self.solo, "user_id": user_id, "start_time": instant(range.start) });
        Want { wish: Wish { user_ids: vec![user_id], all: false, range }, body }
    }

    fn with_anybody(&self, range: TimeRange) -> Want {
        let body = json!({ "event_type_id": self.solo, "start_time": instant(range.start) });
        Want { wish: Wish { user_ids: self.people.clone(), all: false, range }, body }
    }

    fn of_pair(&self, range: TimeRange) -> Want {
        let body = json!({ "event_type_id": self.pair, "start_time": instant(range.start) });
        Want { wish: Wish { user_ids: self.people[..2].to_vec(), all: true, range }, body }
    }

    fn hot_time(&self, draw: &mut Draw) -> TimeRange {
        let index = i64::try_from(draw.below(usize::try_from(HOT_SLOTS).expect("few"))).expect("few");
        slot(self.first.plus_micros(10 * HOUR_US + index * SLOT_US))
    }

    fn cold_time(&self, draw: &mut Draw) -> TimeRange {
        let slots = DAYS * usize::try_from(DAY_US / SLOT_US).expect("few");
        let index = i64::try_from(draw.below(slots)).expect("few");
        slot(self.first.plus_micros(index * SLOT_US))
    }
}

fn slot(start: Timestamp) -> TimeRange {
    TimeRange::new(start, start.plus_micros(SLOT_US)).expect("ends after its start")
}

/// As requests spell it.
pub(crate) fn instant(at: Timestamp) -> String {
    at.to_utc().to_rfc3339()
}
