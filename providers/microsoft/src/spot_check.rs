//! What is in a calendar inside one range, now.
//!
//! A view of the calendar is read, event by event: `getSchedule` tells of a mailbox's default calendar alone, not of personal
//! accounts, and does not say which of the busy times are our own (docs/adr/0026-a-spot-check-is-the-last-resort.md).

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ports::{CalendarRef, ProviderError};
use agentcal_engine::time::{DAY_US, TimeRange};
use agentcal_provider_egress::AtMost;
use serde::Deserialize;

use crate::error::of_reading;
use crate::event::{GraphEvent, Listed, Traits};
use crate::session::Session;

/// Whole days begin when they begin in the calendar's zone, and Graph may know another one for it than we do: what is asked
/// for reaches so much further on both sides.
const MARGIN_US: i64 = DAY_US;

/// Most events of an answer, whatever was asked for.
const EVENTS_MAX: usize = 1_000;

#[derive(Deserialize)]
struct View {
    value: AtMost<Listed, EVENTS_MAX>,
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
    let events = view.value.0.iter().map(|Listed(event)| event).filter(|event| !event.is_removed());
    let read: Option<Vec<Vec<ExternalInstance>>> = events.map(|event| instances(event, calendar, range)).collect();
    Ok(read.map(|read| read.into_iter().flatten().collect()))
}

/// What of an event concerns us; `None` where it cannot be understood.
fn instances(event: &GraphEvent, calendar: &CalendarRef, range: TimeRange) -> Option<Vec<ExternalInstance>> {
    let traits = event.traits().unwrap_or(Traits::UNKNOWN);
    let placed = event.placed(traits, calendar.timezone, range);
    if event.is_series() || placed.is_guess {
        return None;
    }
    Some(placed.instance.filter(|instance| instance.blocks || instance.booking_id.is_some()).into_iter().collect())
}
