//! What was found at a provider, as a connection with calendars.

use agentcal_engine::ids::{AccountId, CalendarId, ConnectionId};
use agentcal_engine::model::{Calendar, Connection, ConnectionStatus, ProviderKind, Watch, WatchState};
use agentcal_engine::ports::{Discovery, RemoteCalendar};
use chrono_tz::Tz;

use crate::app::App;

/// Most calendars of one connection.
pub(in crate::v1) const CALENDARS_MAX: usize = 250;
/// Longest name of a calendar that is kept, in characters.
const CALENDAR_NAME_LEN_MAX: usize = 200;

/// A connection and its calendars.
pub(in crate::v1) type Connected = (Connection, Vec<Calendar>);

/// A new connection of what was found. Calendars without a zone get the given one.
pub(in crate::v1) fn connection_of(
    app: &App,
    account_id: AccountId,
    kind: ProviderKind,
    discovery: Discovery,
    zone: Tz,
) -> Connected {
    let now = app.now();
    let status = if discovery.calendars.is_empty() { ConnectionStatus::Active } else { ConnectionStatus::Syncing };
    let connection = Connection {
        id: ConnectionId::mint(now, app.parts.entropy.as_ref()),
        account_id,
        provider: kind,
        display_name: discovery.display_name,
        owner_addresses: discovery.owner_addresses,
        status,
        status_reason: None,
        created_at: now,
    };
    let calendars = discovery.calendars.into_iter().map(|remote| calendar_of(app, &connection, remote, zone)).collect();
    (connection, calendars)
}

fn calendar_of(app: &App, connection: &Connection, remote: RemoteCalendar, zone: Tz) -> Calendar {
    Calendar {
        id: CalendarId::mint(connection.created_at, app.parts.entropy.as_ref()),
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

/// Has calendars asked about, at once.
pub(in crate::v1) fn ring(app: &App, account_id: AccountId, calendars: &[Calendar]) {
    for calendar in calendars {
        app.parts.scheduler.bell(account_id, calendar.id);
    }
}
