//! What every provider is put through.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use agentcal_engine::ids::BookingId;
use agentcal_engine::ports::{CalendarRef, Provider, SyncCursor, WrittenEvent};
use agentcal_engine::time::{TimeRange, Timestamp};
use agentcal_fake_kit::{Fault, Rule, When};
use agentcal_provider_conformance::{Event, Ground, Kind, NotHere, check};
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::support::{World, credentials, time};

/// Sarah's mailbox, and the ids of what she calls by name.
struct Sarah {
    world: World,
    ids: Mutex<BTreeMap<String, String>>,
}

fn stamp(instant: Timestamp) -> Value {
    time(&instant.to_utc().format("%Y-%m-%dT%H:%M:%S").to_string())
}

fn times(range: TimeRange) -> Value {
    json!({"subject": "Planted title", "start": stamp(range.start), "end": stamp(range.end)})
}

fn body(event: &Event) -> Value {
    match event {
        Event::Single { range, kind } => {
            let mut body = times(*range);
            body["showAs"] = json!(match kind {
                Kind::Busy | Kind::Declined => "busy",
                Kind::Free => "free",
                Kind::Tentative => "tentative",
            });
            body
        }
        Event::AllDay { date } => {
            let midnight = |day: chrono::NaiveDate| time(&format!("{day}T00:00:00"));
            let next = date.succ_opt().unwrap();
            json!({"subject": "Planted title", "isAllDay": true, "start": midnight(*date), "end": midnight(next)})
        }
        Event::Daily { first, count, .. } => {
            let mut body = times(*first);
            let date = first.start.to_utc().date_naive().to_string();
            body["recurrence"] = json!({
                "pattern": {"type": "daily", "interval": 1},
                "range": {"type": "numbered", "numberOfOccurrences": count, "startDate": date},
            });
            body
        }
    }
}

impl Sarah {
    async fn new() -> Self {
        Self { world: World::new().await, ids: Mutex::default() }
    }

    fn id(&self, name: &str) -> Option<String> {
        self.ids.lock().unwrap().get(name).cloned()
    }
}

#[async_trait]
impl Ground for Sarah {
    fn provider(&self) -> &dyn Provider {
        &self.world.provider
    }

    fn calendar(&self) -> CalendarRef {
        self.world.calendar.clone()
    }

    fn stranger(&self) -> Result<CalendarRef, NotHere> {
        let credentials = Arc::new(credentials("dead".to_owned()));
        Ok(CalendarRef { credentials, ..self.world.calendar.clone() })
    }

    async fn put(&self, name: &str, event: &Event) -> Result<(), NotHere> {
        let id = match self.id(name) {
            Some(id) => {
                self.world.act("PATCH", &format!("/events/{id}"), body(event));
                id
            }
            None => self.world.put(body(event)),
        };
        match event {
            Event::Single { kind: Kind::Declined, .. } => {
                self.world.act("POST", &format!("/events/{id}/decline"), json!({"sendResponse": false}));
            }
            Event::Daily { first, second, .. } => {
                let of_day = |days: i64| {
                    let date = first.start.to_utc().date_naive() + chrono::TimeDelta::days(days);
                    format!("/events/{id}_o{}", date.format("%Y%m%d"))
                };
                self.world.act("PATCH", &of_day(1), times(*second));
                self.world.act("DELETE", &of_day(2), Value::Null);
            }
            Event::Single { .. } | Event::AllDay { .. } => {}
        }
        self.ids.lock().unwrap().insert(name.to_owned(), id);
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), NotHere> {
        self.world.act("DELETE", &format!("/events/{}", self.id(name).unwrap()), Value::Null);
        Ok(())
    }

    async fn delete_ours(&self, _: BookingId, written: &WrittenEvent) -> Result<(), NotHere> {
        self.world.act("DELETE", &format!("/events/{}", written.provider_event_id), Value::Null);
        Ok(())
    }

    async fn forget(&self, cursor: &SyncCursor) -> Result<SyncCursor, NotHere> {
        self.world.fake.expire_rounds();
        Ok(cursor.clone())
    }

    async fn throttle(&self) -> Result<(), NotHere> {
        let refusal = json!({"error": {"code": "ApplicationThrottled", "message": "slow down"}});
        self.world.fake.faults().add(Rule::new("GET", "/calendarView", When::Nth(1), Fault::json(429, &refusal)));
        Ok(())
    }

    async fn page_len(&self) -> Result<usize, NotHere> {
        self.world.fake.behave(|behaviour| behaviour.page_len = (5, 5));
        Ok(5)
    }
}

#[tokio::test]
async fn the_port_is_kept_as_the_page_says() {
    check("Microsoft 365", include_str!("../../../../docs/providers.md"), Sarah::new).await;
}
