use agentcal_engine::ids::{AccountId, CalendarId, ConnectionId};
use agentcal_engine::model::{Calendar, Connection, ConnectionStatus, ProviderKind, Watch, WatchState};
use agentcal_engine::ports::{Credentials, Discovery, RemoteCalendar};
use chrono_tz::Tz;
use http::StatusCode;

use super::ConnectionView;
use super::body::NewConnection;
use crate::caller::Cx;
use crate::error::{ApiError, FieldCode};
use crate::extract::{Body, NamedParam, Query};
use crate::idempotency::{Settled, keep};
use crate::refusals::of_connecting;
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;
use crate::v1::wire::zone_of;

/// Most calendars of one connection.
const CALENDARS_MAX: usize = 250;
/// Longest name of a calendar that is kept, in characters.
const CALENDAR_NAME_LEN_MAX: usize = 200;

type Connected = (Connection, Vec<Calendar>);

/// Connect calendars without OAuth.
///
/// Credentials are tried before the answer. Every calendar found begins to sync at once, used by a user or not.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/connections", tag = "connections", params(("account_id" = String, Path)),
    request_body = NewConnection, responses((status = 201, description = "The connection", body = ConnectionView))
)]
pub(super) async fn create_connection(
    cx: Cx,
    _: Query<NoQuery>,
    Body(body): Body<NewConnection>,
) -> Result<Answer<ConnectionView>, ApiError> {
    let (zone, now) = (zone_of(&cx.config().await?.account), cx.app.now());
    let answer =
        |settled| Answer::settled(StatusCode::CREATED, settled, |connected| ConnectionView::of(connected, zone, now));
    let key = cx.idempotency(&body);
    if let Some(kept) = cx.replay::<Connected>(key.as_ref()).await? {
        return Ok(answer(kept));
    }
    let (kind, credentials) = body.read(cx.app.parts.entropy.as_ref())?;
    let discovery = discover(&cx, kind, &credentials).await?;
    let connected = connection_of(&cx, kind, discovery, zone);
    let kept = keep(key, &connected)?;
    let (connection, calendars) = &connected;
    let store = cx.app.store();
    let write = store.create_connection(&cx.tenant, connection, &credentials, calendars, kept.as_ref()).await?;
    let settled = Settled::of(write, connected, AccountId::KIND)?;
    if !settled.replayed {
        begin(&cx, &settled.value.1).await;
    }
    Ok(answer(settled))
}

async fn discover(cx: &Cx, kind: ProviderKind, credentials: &Credentials) -> Result<Discovery, ApiError> {
    let provider =
        cx.app.parts.providers.get(kind).ok_or_else(|| {
            ApiError::field("provider", FieldCode::UnknownValue, "is not offered by this installation")
        })?;
    let deadline = cx.app.parts.settings.discover_deadline;
    let discovery = tokio::time::timeout(deadline, provider.discover(credentials)).await.map_err(|elapsed| {
        tracing::info!(error = %elapsed, deadline_s = deadline.as_secs(), "a provider did not answer a discovery");
        ApiError::field("server_url", FieldCode::Unreachable, "did not answer in time")
    })?;
    let discovery = discovery.map_err(|error| of_connecting(&error))?;
    if discovery.calendars.len() > CALENDARS_MAX {
        let detail = format!(
            "offers {} calendars, more than the {CALENDARS_MAX} one connection may have",
            discovery.calendars.len()
        );
        return Err(ApiError::field("server_url", FieldCode::TooLong, detail));
    }
    Ok(discovery)
}

fn connection_of(cx: &Cx, kind: ProviderKind, discovery: Discovery, zone: Tz) -> Connected {
    let now = cx.app.now();
    let status = if discovery.calendars.is_empty() { ConnectionStatus::Active } else { ConnectionStatus::Syncing };
    let connection = Connection {
        id: ConnectionId::mint(now, cx.app.parts.entropy.as_ref()),
        account_id: cx.account_id(),
        provider: kind,
        display_name: discovery.display_name,
        owner_addresses: discovery.owner_addresses,
        status,
        status_reason: None,
        created_at: now,
    };
    let calendars = discovery.calendars.into_iter().map(|remote| calendar_of(cx, &connection, remote, zone)).collect();
    (connection, calendars)
}

fn calendar_of(cx: &Cx, connection: &Connection, remote: RemoteCalendar, zone: Tz) -> Calendar {
    Calendar {
        id: CalendarId::mint(connection.created_at, cx.app.parts.entropy.as_ref()),
        account_id: connection.account_id,
        connection_id: Some(connection.id),
        provider: connection.provider,
        provider_calendar_id: remote.provider_calendar_id,
        name: remote.name.chars().filter(|c| !c.is_control()).take(CALENDAR_NAME_LEN_MAX).collect(),
        timezone: remote.timezone.unwrap_or(zone),
        writable: remote.writable,
        watch: Watch { state: WatchState::None, expires_at: None },
        last_synced_at: None,
        created_at: connection.created_at,
    }
}

async fn begin(cx: &Cx, calendars: &[Calendar]) {
    let scheduler = &cx.app.parts.scheduler;
    scheduler.config_changed(cx.account_id()).await;
    for calendar in calendars {
        scheduler.bell(cx.account_id(), calendar.id);
    }
}
