//! A calendar at a provider that does as it is told.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentcal_actors::Providers;
use agentcal_engine::ids::{CalendarId, ConnectionId};
use agentcal_engine::model::{Calendar, Connection, ConnectionStatus, ProviderKind, Watch, WatchState};
use agentcal_engine::ports::{
    CalendarRef, ConnectionStore, Credentials, Discovery, Doorbell, EventDelete, EventWrite, Oddities, Provider,
    ProviderError, SyncCursor, SyncNext, SyncPage, SyncRequest, WatchHandle, Watched, Write, WriteOutcome,
};
use async_trait::async_trait;
use chrono_tz::Tz;
use tokio::time::sleep;

use crate::town::{Node, Outside, Person, Town, until};

/// How long the provider takes to answer.
const ANSWERS_AFTER: Duration = Duration::from_secs(1);

/// A provider that has the calendar only when told; what it has by then is what it answers. What is written to it hangs.
#[derive(Default)]
pub(crate) struct Desk(Mutex<State>);

#[derive(Default)]
struct State {
    has_calendar: bool,
    asked: u32,
    written: u32,
}

impl Desk {
    /// How often it was synced.
    pub(crate) fn asked(&self) -> u32 {
        self.0.lock().unwrap().asked
    }

    /// How often an event was to be written.
    pub(crate) fn written(&self) -> u32 {
        self.0.lock().unwrap().written
    }

    pub(crate) fn bring_calendar(&self) {
        self.0.lock().unwrap().has_calendar = true;
    }
}

#[async_trait]
impl Provider for Desk {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Sandbox
    }

    async fn discover(&self, _: &Credentials) -> Result<Discovery, ProviderError> {
        Err(ProviderError::Refused("nobody connects here".to_owned()))
    }

    async fn watch(
        &self,
        _: &CalendarRef,
        _: Option<&Doorbell>,
        _: Option<&WatchHandle>,
    ) -> Result<Watched, ProviderError> {
        Ok(Watched::POLLING)
    }

    async fn sync(&self, _: &CalendarRef, _: &SyncRequest) -> Result<SyncPage, ProviderError> {
        let has_calendar = {
            let mut state = self.0.lock().unwrap();
            state.asked += 1;
            state.has_calendar
        };
        sleep(ANSWERS_AFTER).await;
        if !has_calendar {
            return Err(ProviderError::CalendarGone);
        }
        let next = SyncNext::Done { cursor: SyncCursor("as ever".to_owned()) };
        Ok(SyncPage { changes: Vec::new(), next, oddities: Oddities::default() })
    }

    async fn write_event(&self, _: &CalendarRef, _: &EventWrite) -> Result<WriteOutcome, ProviderError> {
        self.0.lock().unwrap().written += 1;
        pending().await
    }

    async fn delete_event(&self, _: &CalendarRef, _: &EventDelete) -> Result<(), ProviderError> {
        Err(ProviderError::Refused("nobody books here".to_owned()))
    }

    fn poll_intervals(&self) -> (Duration, Duration) {
        (Duration::from_secs(3_600), Duration::from_secs(3_600))
    }
}

/// Somebody of the first of two nodes, who lives in a calendar of a connection.
pub(crate) struct Scene {
    pub(crate) town: Town,
    pub(crate) desk: Arc<Desk>,
    pub(crate) one: Node,
    pub(crate) other: Node,
    pub(crate) person: Person,
    connection_id: ConnectionId,
    pub(crate) calendar_id: CalendarId,
}

impl Scene {
    /// The provider does not have the calendar, and is just being asked.
    pub(crate) async fn set() -> Self {
        Self::at(Desk::default()).await
    }

    /// All is well.
    pub(crate) async fn well() -> Self {
        let desk = Desk::default();
        desk.bring_calendar();
        let scene = Self::at(desk).await;
        until("it is found well", || scene.shown() == (ConnectionStatus::Active, 0)).await;
        scene
    }

    async fn at(desk: Desk) -> Self {
        let (town, desk) = (Town::found().await, Arc::new(desk));
        let providers = Providers::new().with(Arc::clone(&desk) as _);
        let (one, other) = town.two_nodes_reaching(&Outside { providers, oauth: None }).await;
        let person = town.person_of(&one);
        let (now, account_id) = (town.disk.now(), person.tenant.account_id);
        let connection = Connection {
            id: ConnectionId::mint(now, &*town.ids),
            account_id,
            provider: ProviderKind::Sandbox,
            display_name: "host@example.com".to_owned(),
            owner_addresses: vec!["host@example.com".to_owned()],
            status: ConnectionStatus::Syncing,
            status_reason: None,
            created_at: now,
        };
        let calendar = Calendar {
            id: CalendarId::mint(now, &*town.ids),
            account_id,
            connection_id: Some(connection.id),
            provider: ProviderKind::Sandbox,
            provider_calendar_id: "primary".to_owned(),
            name: "Calendar".to_owned(),
            timezone: Tz::UTC,
            writable: true,
            watch: Watch { state: WatchState::None, expires_at: None },
            last_synced_at: None,
            created_at: now,
        };
        let (calendar_id, connection_id) = (calendar.id, connection.id);
        let credentials = Credentials::Sandbox { seed: 1 };
        let write = one.store.create_connection(&person.tenant, &connection, &credentials, &[calendar], None).await;
        assert_eq!(write.unwrap(), Write::Done);
        let person = town.move_to(&person, calendar_id).await;
        let scene = Self { town, desk, one, other, person, connection_id, calendar_id };
        until("the provider is asked", || scene.desk.asked() == 1).await;
        scene
    }

    /// As whoever owns the calendar says it.
    pub(crate) async fn say(&self, status: ConnectionStatus) {
        let account_id = self.person.tenant.account_id;
        let epoch = self.town.disk.view().epoch_of(account_id);
        let store = self.town.disk.connect();
        store.set_connection_status(account_id, self.connection_id, epoch, status, None).await.unwrap();
    }

    /// How the connection is shown, and how often in a row the calendar failed.
    pub(crate) fn shown(&self) -> (ConnectionStatus, u32) {
        let record = self.town.disk.view().calendar(self.person.tenant.account_id, self.calendar_id).unwrap();
        (record.connection.unwrap().status, record.sync.failures)
    }
}
