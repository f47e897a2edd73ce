//! What every provider is put through.

use agentcal_engine::ids::BookingId;
use agentcal_engine::ports::{CalendarRef, Provider, SyncCursor, WrittenEvent};
use agentcal_engine::time::{TimeRange, Timestamp};
use agentcal_provider_conformance::{Event, Ground, Kind, NotHere, check};
use agentcal_testkit::{ServerKind, USERNAME};
use async_trait::async_trait;

use crate::support::{Bench, basic, calendar, resource};

/// As an iCalendar instant in UTC.
fn stamp(instant: Timestamp) -> String {
    instant.to_utc().format("%Y%m%dT%H%M%SZ").to_string()
}

fn times(range: TimeRange) -> [String; 2] {
    [format!("DTSTART:{}", stamp(range.start)), format!("DTEND:{}", stamp(range.end))]
}

fn text(name: &str, event: &Event) -> String {
    let as_lines = |lines: &[String]| lines.to_vec();
    let (master, exception): (Vec<String>, Vec<String>) = match event {
        Event::Single { range, kind } => {
            let mut lines = as_lines(&times(*range));
            lines.extend(match kind {
                Kind::Busy => vec!["TRANSP:OPAQUE".to_owned()],
                Kind::Free => vec!["TRANSP:TRANSPARENT".to_owned()],
                Kind::Tentative => vec!["STATUS:TENTATIVE".to_owned()],
                Kind::Declined => vec![
                    "ORGANIZER:mailto:boss@example.com".to_owned(),
                    "ATTENDEE;PARTSTAT=DECLINED:mailto:alice@example.com".to_owned(),
                ],
            });
            (lines, Vec::new())
        }
        Event::AllDay { date } => (vec![format!("DTSTART;VALUE=DATE:{}", date.format("%Y%m%d"))], Vec::new()),
        Event::Daily { first, count, second } => {
            let of_day = |days: i64| stamp(first.start.plus_micros(days * agentcal_engine::time::DAY_US));
            let mut lines = as_lines(&times(*first));
            lines.extend([format!("RRULE:FREQ=DAILY;COUNT={count}"), format!("EXDATE:{}", of_day(2))]);
            let mut moved = vec![format!("RECURRENCE-ID:{}", of_day(1))];
            moved.extend(times(*second));
            (lines, moved)
        }
    };
    let [master, exception] = [&master, &exception].map(|lines| lines.iter().map(String::as_str).collect::<Vec<_>>());
    match exception.is_empty() {
        true => resource(name, &[&master]),
        false => resource(name, &[&master, &exception]),
    }
}

#[async_trait]
impl Ground for Bench {
    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    fn calendar(&self) -> CalendarRef {
        Self::calendar(self)
    }

    fn stranger(&self) -> Result<CalendarRef, NotHere> {
        match self.server.kind() {
            ServerKind::Radicale => {
                Ok(calendar(self.collection.as_str(), basic(&self.server.url(), USERNAME, "not the password")))
            }
            ServerKind::Xandikos => Err(NotHere("the server asks for none")),
        }
    }

    async fn put(&self, name: &str, event: &Event) -> Result<(), NotHere> {
        Self::put(self, name, &text(name, event)).await;
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), NotHere> {
        Self::delete(self, name).await;
        Ok(())
    }

    async fn delete_ours(&self, _: BookingId, written: &WrittenEvent) -> Result<(), NotHere> {
        let url = self.collection.join(&written.provider_event_id).unwrap();
        let answer = self.raw(USERNAME, "DELETE", url, &[], "").await;
        assert!(answer.status.is_success(), "{}", answer.status);
        Ok(())
    }

    async fn forget(&self, cursor: &SyncCursor) -> Result<SyncCursor, NotHere> {
        Ok(SyncCursor(cursor.0.replace(|character: char| character.is_ascii_digit(), "f")))
    }

    async fn throttle(&self) -> Result<(), NotHere> {
        Err(NotHere("the server never does"))
    }

    async fn page_len(&self) -> Result<usize, NotHere> {
        Ok(50)
    }
}

async fn check_on(kind: ServerKind, name: &str) {
    // Without the server there is nothing to check.
    if Bench::new(kind).await.is_none() {
        return;
    }
    let page = include_str!("../../../../docs/providers.md");
    check(name, page, async || Bench::new(kind).await.unwrap()).await;
}

#[tokio::test]
async fn the_port_is_kept_on_radicale_as_the_page_says() {
    check_on(ServerKind::Radicale, "CalDAV on Radicale").await;
}

#[tokio::test]
async fn the_port_is_kept_on_xandikos_as_the_page_says() {
    check_on(ServerKind::Xandikos, "CalDAV on Xandikos").await;
}
