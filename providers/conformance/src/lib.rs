//! What the [`Provider`] port means, in scenarios that every provider is put through.
//!
//! A provider's own tests give a [`Ground`]: the provider, the calendar it is connected to, and the hands of somebody else who
//! uses that calendar. What each scenario came to is compared with the provider's column in `docs/providers.md`, so that the
//! page says what is so, side by side.

mod document;
mod mirror;
mod scenarios;

use agentcal_engine::ids::BookingId;
use agentcal_engine::ports::{CalendarRef, Provider, SyncCursor, WrittenEvent};
use agentcal_engine::time::{HOUR_US, TimeRange, Timestamp};
use async_trait::async_trait;
use chrono::NaiveDate;

pub use document::column;

/// Noon of the Monday every scenario begins at: 2026-11-23T12:00:00Z.
pub const NOON: Timestamp = Timestamp::from_seconds(1_795_435_200);

/// Hours `from..to` after [`NOON`].
pub fn hours(from: i64, to: i64) -> TimeRange {
    TimeRange { start: NOON.plus_micros(from * HOUR_US), end: NOON.plus_micros(to * HOUR_US) }
}

/// What somebody puts into a calendar.
#[derive(Clone, Debug)]
pub enum Event {
    /// An event of its own.
    Single {
        /// When.
        range: TimeRange,
        /// What it says of the owner's time.
        kind: Kind,
    },
    /// A whole day.
    AllDay {
        /// Which.
        date: NaiveDate,
    },
    /// Something daily, of which the second time was moved and the third called off.
    Daily {
        /// The first time.
        first: TimeRange,
        /// How often.
        count: u32,
        /// Where the second time was moved.
        second: TimeRange,
    },
}

/// What an event says of the owner's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is taken.
    Busy,
    /// It is free all the same.
    Free,
    /// It may be taken.
    Tentative,
    /// It would be taken, had the owner not declined.
    Declined,
}

/// Why a scenario cannot be played on a ground, for the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotHere(pub &'static str);

/// A provider, a calendar, and somebody else who uses that.
#[async_trait]
pub trait Ground: Send + Sync {
    /// The provider.
    fn provider(&self) -> &dyn Provider;
    /// The calendar, empty but for what its provider puts there.
    fn calendar(&self) -> CalendarRef;
    /// The same with credentials that are refused.
    fn stranger(&self) -> Result<CalendarRef, NotHere>;
    /// Puts an event of this name into the calendar, in the place of one that is there.
    async fn put(&self, name: &str, event: &Event) -> Result<(), NotHere>;
    /// Deletes an event.
    async fn delete(&self, name: &str) -> Result<(), NotHere>;
    /// Deletes an event of ours.
    async fn delete_ours(&self, booking_id: BookingId, written: &WrittenEvent) -> Result<(), NotHere>;
    /// A cursor that is not known any more, in the place of one that was.
    async fn forget(&self, cursor: &SyncCursor) -> Result<SyncCursor, NotHere>;
    /// The next request is told to come later.
    async fn throttle(&self) -> Result<(), NotHere>;
    /// How many events a page holds at most, from now on.
    async fn page_len(&self) -> Result<usize, NotHere>;
}

/// Puts a provider through every scenario, on a new ground each time, and holds what they came to against its column in the
/// page.
///
/// # Panics
/// Where a scenario does not come to what the port says, or the page says something else.
pub async fn check<G: Ground>(name: &str, page: &str, new_ground: impl AsyncFn() -> G) {
    let mut found = Vec::new();
    for (title, scenario) in scenarios::ALL {
        let ground = new_ground().await;
        let came_to = match scenario(&ground).await {
            Ok(word) => word.to_owned(),
            Err(NotHere(why)) => format!("no: {why}"),
        };
        found.push(((*title).to_owned(), came_to));
    }
    let expected = column(page, name);
    let shown: Vec<String> = found.iter().map(|(title, came_to)| format!("{title} | {came_to}")).collect();
    assert_eq!(expected, found, "the page says otherwise of {name}; it should say:\n{}", shown.join("\n"));
}
