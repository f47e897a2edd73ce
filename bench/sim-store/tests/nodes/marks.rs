//! Connections whose provider fails, as the store shows them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentcal_actors::Providers;
use agentcal_engine::calendar::FAILURES_UNTIL_ERROR;
use agentcal_engine::ids::{CalendarId, ConnectionId};
use agentcal_engine::model::{Calendar, Connection, ConnectionStatus, ProviderKind, Watch, WatchState};
use agentcal_engine::ports::{
    CalendarRef, ConnectionStore, Credentials, Discovery, Doorbell, EventDelete, EventWrite, Oddities, Provider,
    ProviderError, SyncCursor, SyncNext, SyncPage, SyncRequest, WatchHandle, Watched, Write, WriteOutcome,
};
use async_trait::async_trait;
use chrono_tz::Tz;
use tokio::time::{Instant, sleep};

use crate::links::Way;
use crate::town::{Node, Outside, Person, Town, until};

/// How long the provider takes to answer.
const ANSWERS_AFTER: Duration = Duration::from_secs(1);

/// A provider that has the calendar only when told; what it has by then is what it answers.
#[derive(Default)]
struct Desk(Mutex<State>);

#[derive(Default)]
struct State {
    has_calendar: bool,
    asked: u32,
}

impl Desk {
    fn asked(&self) -> u32 {
        self.0.lock().unwrap().asked
    }

    fn bring_calendar(&self) {
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
        Err(ProviderError::Refused("nobody books here".to_owned()))
    }

    async fn delete_event(&self, _: &CalendarRef, _: &EventDelete) -> Result<(), ProviderError> {
        Err(ProviderError::Refused("nobody books here".to_owned()))
    }

    fn poll_intervals(&self) -> (Duration, Duration) {
        (Duration::from_secs(60), Duration::from_secs(300))
    }
}

/// Somebody of the first of two nodes with a calendar that its provider does not have, at the moment it is first asked.
struct Scene {
    town: Town,
    desk: Arc<Desk>,
    one: Node,
    other: Node,
    person: Person,
    calendar_id: CalendarId,
}

impl Scene {
    async fn set() -> Self {
        let town = Town::found().await;
        let desk = Arc::new(Desk::default());
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
        let (calendar_id, credentials) = (calendar.id, Credentials::Sandbox { seed: 1 });
        let write = one.store.create_connection(&person.tenant, &connection, &credentials, &[calendar], None).await;
        assert_eq!(write.unwrap(), Write::Done);
        let scene = Self { town, desk, one, other, person, calendar_id };
        until("the provider is asked", || scene.desk.asked() == 1).await;
        scene
    }

    /// How the connection is shown, and how often in a row the calendar failed.
    fn shown(&self) -> (ConnectionStatus, u32) {
        let record = self.town.disk.view().calendar(self.person.tenant.account_id, self.calendar_id).unwrap();
        (record.connection.unwrap().status, record.sync.failures)
    }
}

/// Another calendar of the connection that succeeds looks for one that fails. Where it found the connection marked and no
/// failure yet, it would call it well, and the failure that comes after would go unseen.
#[tokio::test(start_paused = true)]
async fn a_connection_is_marked_when_the_failure_is_kept() {
    let scene = Scene::set().await;
    scene.town.disk.adjust(|settings| settings.latency = agentcal_sim_store::Span::millis(40, 40));
    let began = Instant::now();
    loop {
        let (status, failures) = scene.shown();
        if failures >= FAILURES_UNTIL_ERROR && status == ConnectionStatus::Error {
            break;
        }
        assert_eq!(status, ConnectionStatus::Syncing, "marked after {failures} failures");
        assert!(began.elapsed() < Duration::from_secs(10), "nobody is told");
        sleep(Duration::from_millis(1)).await;
    }
}

/// A node that hangs over the answer it had to its last question: meanwhile the calendar has another owner, for whom it is
/// there again.
#[tokio::test(start_paused = true)]
async fn who_lost_a_calendar_while_its_request_failed_marks_nothing() {
    let scene = Scene::set().await;
    scene.one.store.hold();
    scene.town.links.set(&scene.one.scheduler, Way::Cut);
    scene.desk.bring_calendar();
    until("the shard is taken over", || scene.other.owns(&scene.person)).await;
    scene.other.scheduler.bell(scene.person.tenant.account_id, scene.calendar_id);
    until("the heir finds it well", || scene.shown() == (ConnectionStatus::Active, 0)).await;
    scene.one.store.resume();
    let resumed = Instant::now();
    while resumed.elapsed() < Duration::from_secs(10) {
        assert_eq!(scene.shown(), (ConnectionStatus::Active, 0));
        sleep(Duration::from_millis(1)).await;
    }
}
