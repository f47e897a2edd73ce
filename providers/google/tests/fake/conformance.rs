//! What every provider is put through.

use std::collections::BTreeMap;
use std::sync::Mutex;

use agentcal_engine::ids::BookingId;
use agentcal_engine::ports::{CalendarRef, Provider, SyncCursor, WrittenEvent};
use agentcal_engine::time::TimeRange;
use agentcal_fake_kit::{Fault, Rule, When};
use agentcal_provider_conformance::{Event, Ground, Kind, NotHere, check};
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::support::{SARAH, Stage, id_of};

/// Sarah's calendar, and the ids of what she calls by name.
struct Sarah {
    stage: Stage,
    ids: Mutex<BTreeMap<String, String>>,
}

fn times(range: TimeRange) -> Value {
    let at = |instant: agentcal_engine::time::Timestamp| json!({"dateTime": instant.to_utc().to_rfc3339(), "timeZone": "UTC"});
    json!({"start": at(range.start), "end": at(range.end)})
}

fn body(event: &Event) -> Value {
    match event {
        Event::Single { range, kind } => {
            let mut body = times(*range);
            let answer = if *kind == Kind::Declined { "declined" } else { "accepted" };
            body["transparency"] = json!(if *kind == Kind::Free { "transparent" } else { "opaque" });
            body["status"] = json!(if *kind == Kind::Tentative { "tentative" } else { "confirmed" });
            body["attendees"] = json!([{"email": SARAH, "responseStatus": answer}]);
            body
        }
        Event::AllDay { date } => {
            let next = date.succ_opt().unwrap();
            json!({"start": {"date": date.to_string()}, "end": {"date": next.to_string()}})
        }
        Event::Daily { first, count, .. } => {
            let mut body = times(*first);
            body["recurrence"] = json!([format!("RRULE:FREQ=DAILY;COUNT={count}")]);
            body
        }
    }
}

impl Sarah {
    async fn new() -> Self {
        Self { stage: Stage::new().await, ids: Mutex::default() }
    }

    fn id(&self, name: &str) -> Option<String> {
        self.ids.lock().unwrap().get(name).cloned()
    }
}

#[async_trait]
impl Ground for Sarah {
    fn provider(&self) -> &dyn Provider {
        &self.stage.provider
    }

    fn calendar(&self) -> CalendarRef {
        self.stage.calendar.clone()
    }

    fn stranger(&self) -> Result<CalendarRef, NotHere> {
        Ok(self.stage.with_token("dead"))
    }

    async fn put(&self, name: &str, event: &Event) -> Result<(), NotHere> {
        let google = &self.stage.google;
        if let Some(id) = self.id(name) {
            google.patch(SARAH, &id, body(event));
            return Ok(());
        }
        let inserted = google.insert(SARAH, body(event));
        let id = id_of(&inserted).to_owned();
        if let Event::Daily { first, second, .. } = event {
            let of_day = |days: i64| {
                let start = first.start.to_utc() + chrono::TimeDelta::days(days);
                format!("{id}_{}", start.format("%Y%m%dT%H%M%SZ"))
            };
            google.patch(SARAH, &of_day(1), times(*second));
            google.delete(SARAH, &of_day(2));
        }
        self.ids.lock().unwrap().insert(name.to_owned(), id);
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), NotHere> {
        self.stage.google.delete(SARAH, &self.id(name).unwrap());
        Ok(())
    }

    async fn delete_ours(&self, _: BookingId, written: &WrittenEvent) -> Result<(), NotHere> {
        self.stage.google.delete(SARAH, &written.provider_event_id);
        Ok(())
    }

    async fn forget(&self, cursor: &SyncCursor) -> Result<SyncCursor, NotHere> {
        self.stage.google.forget_sync_tokens(SARAH);
        Ok(cursor.clone())
    }

    async fn throttle(&self) -> Result<(), NotHere> {
        let detail = json!({"domain": "usageLimits", "reason": "rateLimitExceeded", "message": "slow down"});
        let refusal = json!({"error": {"errors": [detail], "code": 429, "message": "slow down"}});
        self.stage.google.faults().add(Rule::new("GET", "/events", When::Nth(1), Fault::json(429, &refusal)));
        Ok(())
    }

    async fn page_len(&self) -> Result<usize, NotHere> {
        self.stage.google.set_page_len_max(5);
        Ok(5)
    }
}

#[tokio::test]
async fn the_port_is_kept_as_the_page_says() {
    check("Google", include_str!("../../../../docs/providers.md"), Sarah::new).await;
}
