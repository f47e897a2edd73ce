//! What is in a calendar inside one range, now.
//!
//! A view of the calendar is read, event by event: `getSchedule` tells of a mailbox's default calendar alone, not of personal
//! accounts, and does not say which of the busy times are our own (docs/adr/0026-a-spot-check-is-the-last-resort.md).

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ports::{CalendarRef, ProviderError};
use agentcal_engine::time::{DAY_US, TimeRange};
use serde::Deserialize;

use crate::error::of_reading;
use crate::event::{GraphEvent, Traits};
use crate::session::Session;

/// Whole days begin when they begin in the calendar's zone, and Graph may know another one for it than we do: what is asked
/// for reaches so much further on both sides.
const MARGIN_US: i64 = DAY_US;

#[derive(Deserialize)]
struct View {
    value: Vec<GraphEvent>,
    #[serde(default, rename = "@odata.nextLink")]
    next_link: Option<String>,
}

pub(crate) async fn spot_check(
    session: &Session,
    calendar: &CalendarRef,
    range: TimeRange,
) -> Result<Option<Vec<ExternalInstance>>, ProviderError> {
    let asked = TimeRange { start: range.start.plus_micros(-MARGIN_US), end: range.end.plus_micros(MARGIN_US) };
    let answer = session.get(session.urls.view(&calendar.provider_calendar_id, &asked)?).await?;
    if !answer.status.is_success() {
        return Err(of_reading(&answer));
    }
    let view: View = answer.read()?;
    if view.next_link.is_some() {
        return Ok(None);
    }
    let events = view.value.iter().filter(|event| !event.is_removed());
    let read: Option<Vec<Vec<ExternalInstance>>> = events.map(|event| instances(event, calendar, range)).collect();
    Ok(read.map(|read| read.into_iter().flatten().collect()))
}

/// What of an event concerns us; `None` where it cannot be understood.
fn instances(event: &GraphEvent, calendar: &CalendarRef, range: TimeRange) -> Option<Vec<ExternalInstance>> {
    if event.is_series() || !event.has_times(calendar.timezone) {
        return None;
    }
    let traits = event.traits().unwrap_or(Traits::UNKNOWN);
    let instance = event.instance(traits, calendar.timezone, range);
    Some(instance.filter(|instance| instance.blocks || instance.booking_id.is_some()).into_iter().collect())
}
