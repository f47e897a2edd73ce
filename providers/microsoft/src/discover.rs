//! Whose mailbox it is, and which calendars are in it.

use agentcal_engine::icalendar::timezone_named;
use agentcal_engine::ports::{Discovery, ProviderError, RemoteCalendar};
use agentcal_provider_egress::AtMost;
use chrono_tz::Tz;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::Answer;
use crate::batch::get_all;
use crate::error::of_reading;
use crate::session::Session;

/// Most calendars of one mailbox that are listed, and pages of such a list.
const CALENDARS_MAX: usize = 1_000;
const PAGES_MAX: usize = 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Me {
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    mail: Option<String>,
    #[serde(default)]
    user_principal_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MailboxSettings {
    #[serde(default)]
    time_zone: Value,
}

#[derive(Deserialize)]
struct CalendarPage {
    value: AtMost<Value, CALENDARS_MAX>,
    #[serde(default, rename = "@odata.nextLink")]
    next_link: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GraphCalendar {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    can_edit: bool,
}

pub(crate) async fn discover(session: &Session) -> Result<Discovery, ProviderError> {
    let questions = [session.urls.me()?, session.urls.calendars()?, session.urls.mailbox_settings()?];
    let answers = get_all(session, &questions).await?;
    let [me, calendars, settings] = answers.as_slice() else {
        return Err(ProviderError::Unavailable("Microsoft Graph leaves a question unanswered".to_owned()));
    };
    let me: Me = expect(me)?.read()?;
    let timezone = timezone_of(settings)?;
    let calendars = list(session, expect(calendars)?.read()?).await?;
    let addresses = [me.mail, me.user_principal_name].into_iter().flatten().map(|address| address.to_lowercase());
    let mut owner_addresses: Vec<String> = addresses.filter(|address| address.contains('@')).collect();
    owner_addresses.dedup();
    let display_name = owner_addresses.first().cloned().or(me.display_name).unwrap_or_default();
    let remote = |calendar: GraphCalendar| RemoteCalendar {
        name: calendar.name.unwrap_or_default(),
        provider_calendar_id: calendar.id,
        timezone,
        writable: calendar.can_edit,
    };
    Ok(Discovery { display_name, owner_addresses, calendars: calendars.into_iter().map(remote).collect() })
}

/// The mailbox's zone. Somebody who may not be asked for it has none, which is no reason not to read the calendar.
fn timezone_of(settings: &Answer) -> Result<Option<Tz>, ProviderError> {
    if matches!(settings.status.as_u16(), 403 | 404) {
        return Ok(None);
    }
    let settings: MailboxSettings = expect(settings)?.read()?;
    Ok(settings.time_zone.as_str().and_then(timezone_named))
}

async fn list(session: &Session, first: CalendarPage) -> Result<Vec<GraphCalendar>, ProviderError> {
    let (mut page, mut calendars) = (first, Vec::new());
    for _ in 0..PAGES_MAX {
        calendars.extend(page.value.0.iter().filter_map(read));
        if calendars.len() > CALENDARS_MAX {
            break;
        }
        let Some(link) = page.next_link else { return Ok(calendars) };
        let answer = session.get(session.urls.followed(&link)?).await?;
        page = expect(&answer)?.read()?;
    }
    Err(ProviderError::Refused(format!("the mailbox holds more than {CALENDARS_MAX} calendars")))
}

/// One entry that makes no sense does not hide the others.
fn read(entry: &Value) -> Option<GraphCalendar> {
    let calendar = GraphCalendar::deserialize(entry);
    calendar.inspect_err(|_| tracing::warn!("an entry in a list of calendars cannot be read")).ok()
}

fn expect(answer: &Answer) -> Result<&Answer, ProviderError> {
    if answer.status.is_success() { Ok(answer) } else { Err(of_reading(answer)) }
}
