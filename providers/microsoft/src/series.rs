//! What rounds leave out about series.

use std::collections::BTreeMap;

use agentcal_engine::calendar::INSTANCES_PER_RESOURCE_MAX;
use agentcal_engine::ports::{CalendarRef, ProviderError};
use agentcal_engine::time::TimeRange;
use agentcal_provider_egress::AtMost;
use http::StatusCode;
use serde::Deserialize;
use url::Url;

use crate::answer::Answer;
use crate::batch::get_all;
use crate::error::of_reading;
use crate::event::{GraphEvent, Listed, Traits};
use crate::session::Session;

/// Most instances of a page, whatever was asked for.
const PAGE_LEN_MAX: usize = 1_000;

#[derive(Deserialize)]
struct EventPage {
    value: AtMost<Listed, PAGE_LEN_MAX>,
    #[serde(default, rename = "@odata.nextLink")]
    next_link: Option<String>,
}

/// What occurrences of these series take from them.
pub(crate) async fn traits(
    session: &Session,
    calendar: &CalendarRef,
    series: &[&str],
) -> Result<BTreeMap<String, Traits>, ProviderError> {
    let urls: Result<Vec<Url>, ProviderError> =
        series.iter().map(|id| session.urls.event_read(&calendar.provider_calendar_id, id)).collect();
    let answers = get_all(session, &urls?).await?;
    series.iter().zip(&answers).map(|(id, answer)| Ok(((*id).to_owned(), traits_in(answer)?))).collect()
}

fn traits_in(answer: &Answer) -> Result<Traits, ProviderError> {
    match answer.status {
        status if status.is_success() => Ok(answer.read::<GraphEvent>()?.traits().unwrap_or(Traits::UNKNOWN)),
        // Deleted meanwhile; the next round says so of each occurrence.
        StatusCode::NOT_FOUND => Ok(Traits::UNKNOWN),
        _ => Err(of_reading(answer)),
    }
}

/// The instances of series inside a window, each with what it takes from its series.
pub(crate) async fn instances(
    session: &Session,
    calendar: &CalendarRef,
    series: &[(&str, Traits)],
    window: &TimeRange,
) -> Result<Vec<(Traits, GraphEvent)>, ProviderError> {
    let id = &calendar.provider_calendar_id;
    let urls: Result<Vec<Url>, ProviderError> =
        series.iter().map(|(series, _)| session.urls.instances(id, series, window)).collect();
    let answers = get_all(session, &urls?).await?;
    let mut found = Vec::new();
    for ((_, traits), answer) in series.iter().zip(answers) {
        for instance in all_pages(session, answer).await? {
            found.push((*traits, instance));
        }
    }
    Ok(found)
}

async fn all_pages(session: &Session, first: Answer) -> Result<Vec<GraphEvent>, ProviderError> {
    let (mut answer, mut found) = (first, Vec::new());
    loop {
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(found);
        }
        if !answer.status.is_success() {
            return Err(of_reading(&answer));
        }
        let page: EventPage = answer.read()?;
        let empty = page.value.0.is_empty();
        found.extend(page.value.0.into_iter().map(|Listed(event)| event));
        if found.len() > INSTANCES_PER_RESOURCE_MAX {
            return Err(ProviderError::CursorGone);
        }
        match page.next_link.filter(|_| !empty) {
            Some(link) => answer = session.get(session.urls.followed(&link)?).await?,
            None => return Ok(found),
        }
    }
}
