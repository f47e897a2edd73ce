//! Connections: credentials at a calendar provider, and the calendars they bring.

mod body;
mod create;
mod delete;
pub(super) mod found;
mod get;
mod list;

use agentcal_engine::model::{Calendar, Connection, ConnectionStatus, ProviderKind, WatchState};
use agentcal_engine::time::Timestamp;
use chrono_tz::Tz;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;
use crate::instant::rfc3339;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create::create_connection, list::list_connections))
        .routes(routes!(get::get_connection, delete::delete_connection))
}

/// How a connection is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ConnectionStatus)]
pub(super) enum StatusWire {
    /// First syncs are under way.
    Syncing,
    /// Current.
    Active,
    /// The provider refuses the credentials: connect again.
    ReauthorizationRequired,
    /// It keeps failing; `status_reason` says why.
    Error,
}

/// How changes of a calendar are noticed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WatchState)]
pub(super) enum WatchStateWire {
    /// By asking at intervals.
    Polling,
    /// By notifications, with a sweep behind them.
    Push,
    /// Not at all: not yet, or it fails.
    None,
}

/// How changes of a calendar are noticed, and until when.
#[derive(Serialize, ToSchema)]
#[schema(as = Watch)]
pub(super) struct WatchView {
    /// How.
    state: WatchStateWire,
    /// When notifications end unless they are renewed; null where there are none.
    #[schema(required = true, format = DateTime)]
    expires_at: Option<String>,
}

/// A calendar.
#[derive(Serialize, ToSchema)]
#[schema(as = Calendar)]
pub(super) struct CalendarView {
    /// Its id.
    #[schema(example = "cal_01kaj2wz5rfv8t6xg3m9c1nq4d")]
    id: String,
    /// Its name at the provider.
    name: String,
    /// Its IANA zone.
    timezone: &'static str,
    /// Whether bookings can be written to it.
    writable: bool,
    /// As of when its busy time is known; null before the first sync.
    #[schema(required = true, format = DateTime)]
    last_synced_at: Option<String>,
    /// How changes are noticed.
    watch: WatchView,
}

/// A connection to a calendar provider.
#[derive(Serialize, ToSchema)]
#[schema(as = Connection)]
pub(super) struct ConnectionView {
    /// Its id.
    #[schema(example = "conn_01kaj2wz5rfv8t6xg3m9c1nq4d")]
    id: String,
    /// The provider: `caldav` or `sandbox`.
    provider: &'static str,
    /// Who it is at the provider.
    display_name: String,
    /// How it is.
    status: StatusWire,
    /// Why, when it is not well.
    #[schema(required = true)]
    status_reason: Option<String>,
    /// Its calendars.
    calendars: Vec<CalendarView>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

impl ConnectionView {
    /// Instants are answered in the zone of the account. A watch that has run out is shown as none.
    fn of((connection, calendars): (Connection, Vec<Calendar>), zone: Tz, now: Timestamp) -> Self {
        Self {
            id: connection.id.to_string(),
            provider: provider_name(connection.provider),
            display_name: connection.display_name,
            status: connection.status.into(),
            status_reason: connection.status_reason,
            calendars: calendars.into_iter().map(|calendar| CalendarView::of(calendar, zone, now)).collect(),
            created_at: rfc3339(connection.created_at, zone),
        }
    }
}

impl CalendarView {
    fn of(calendar: Calendar, zone: Tz, now: Timestamp) -> Self {
        let watch = calendar.watch.at(now);
        let state = match watch.state {
            WatchState::Polling => WatchStateWire::Polling,
            WatchState::Push => WatchStateWire::Push,
            WatchState::None => WatchStateWire::None,
        };
        let expires_at = watch.expires_at.map(|instant| rfc3339(instant, zone));
        Self {
            id: calendar.id.to_string(),
            name: calendar.name,
            timezone: calendar.timezone.name(),
            writable: calendar.writable,
            last_synced_at: calendar.last_synced_at.map(|instant| rfc3339(instant, zone)),
            watch: WatchView { state, expires_at },
        }
    }
}

impl From<ConnectionStatus> for StatusWire {
    fn from(status: ConnectionStatus) -> Self {
        match status {
            ConnectionStatus::Syncing => Self::Syncing,
            ConnectionStatus::Active => Self::Active,
            ConnectionStatus::ReauthorizationRequired => Self::ReauthorizationRequired,
            ConnectionStatus::Error => Self::Error,
        }
    }
}

fn provider_name(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::Sandbox => "sandbox",
        ProviderKind::Caldav => "caldav",
        ProviderKind::Google => "google",
        ProviderKind::Microsoft => "microsoft",
        ProviderKind::Internal => "internal",
    }
}
