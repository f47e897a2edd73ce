//! Two nodes and one grant, whose refresh token counts once: a shard changes hands while its owner has asked for an access
//! token. Whichever of them the server hears first, the connection goes on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentcal_actors::{Freshness, Oauth, Providers};
use agentcal_engine::facts::Knowledge;
use agentcal_engine::ids::{CalendarId, ConnectionId};
use agentcal_engine::model::{Calendar, Connection, ConnectionStatus, ProviderKind, Watch, WatchState};
use agentcal_engine::ports::{
    CalendarRef, Clock, ConnectionStore, ConsentRequest, Consented, Credentials, Discovery, Doorbell, EventDelete,
    EventWrite, OauthClient, OauthGrant, Oddities, Provider, ProviderError, SyncCursor, SyncNext, SyncPage,
    SyncRequest, TokenError, TokenIssuer, WatchHandle, Watched, Write, WriteOutcome,
};
use agentcal_engine::time::{HOUR_US, Timestamp};
use agentcal_sim_store::NoClients;
use async_trait::async_trait;
use chrono_tz::Tz;
use tokio::time::{Instant, sleep};

use crate::town::{Node, Outside, Person, Town, until};

const CLIENT_ID: &str = "installation";
/// How long what is slow is on its way.
const SLOWLY: Duration = Duration::from_secs(5);

/// What of the first request to the server is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slow {
    /// The way there: the server hears the second one first.
    Request,
    /// The way back: the server has used the refresh token up, and nobody knows what it gave for it.
    Answer,
}

/// An identity server that takes each refresh token once.
struct Server {
    clock: Arc<dyn Clock>,
    slow: Slow,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Requests that were sent.
    sent: u32,
    /// Refresh tokens in the order in which they were shown, and whether each counted.
    shown: Vec<(String, bool)>,
    /// How many were given out for another one.
    given: u32,
    /// Whether nothing counts any more.
    is_revoked: bool,
}

impl Server {
    fn new(town: &Town, slow: Slow) -> Arc<Self> {
        Arc::new(Self { clock: Arc::clone(&town.clock) as _, slow, state: Mutex::default() })
    }

    fn sent(&self) -> u32 {
        self.state.lock().unwrap().sent
    }

    fn shown(&self) -> Vec<(String, bool)> {
        self.state.lock().unwrap().shown.clone()
    }

    /// What is granted with the refresh token of a number.
    fn granted(&self, number: u32, expires_at: Timestamp) -> OauthGrant {
        OauthGrant {
            client_id: CLIENT_ID.to_owned(),
            access_token: format!("access {number}"),
            expires_at,
            refresh_token: format!("refresh {number}"),
        }
    }

    fn take(&self, refresh_token: &str) -> Result<u32, TokenError> {
        let mut state = self.state.lock().unwrap();
        let counts = !state.is_revoked && refresh_token == format!("refresh {}", state.given);
        state.shown.push((refresh_token.to_owned(), counts));
        if !counts {
            return Err(TokenError::GrantRefused("invalid_grant".to_owned()));
        }
        state.given += 1;
        Ok(state.given)
    }
}

#[async_trait]
impl TokenIssuer for Server {
    fn client(&self, _: ProviderKind) -> Option<OauthClient> {
        Some(OauthClient { client_id: CLIENT_ID.to_owned(), client_secret: "secret".to_owned() })
    }

    fn consent_url(&self, _: ProviderKind, _: &OauthClient, _: &ConsentRequest) -> Result<String, TokenError> {
        Err(TokenError::Refused("nobody consents here".to_owned()))
    }

    async fn exchange(
        &self,
        _: ProviderKind,
        _: &OauthClient,
        _: &ConsentRequest,
        _: &str,
    ) -> Result<Consented, TokenError> {
        Err(TokenError::Refused("nobody consents here".to_owned()))
    }

    async fn refresh(&self, _: ProviderKind, _: &OauthClient, grant: &OauthGrant) -> Result<OauthGrant, TokenError> {
        let is_first = {
            let mut state = self.state.lock().unwrap();
            state.sent += 1;
            state.sent == 1
        };
        if is_first && self.slow == Slow::Request {
            sleep(SLOWLY).await;
        }
        let number = self.take(&grant.refresh_token)?;
        if is_first && self.slow == Slow::Answer {
            sleep(SLOWLY).await;
        }
        Ok(self.granted(number, self.clock.now().plus_micros(HOUR_US)))
    }

    async fn revoke(&self, _: ProviderKind, _: &OauthGrant) -> Result<(), TokenError> {
        Ok(())
    }
}

/// A provider with empty calendars, which remembers the tokens it was asked with.
#[derive(Default)]
struct Desk(Mutex<Vec<String>>);

#[async_trait]
impl Provider for Desk {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Google
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

    async fn sync(&self, calendar: &CalendarRef, _: &SyncRequest) -> Result<SyncPage, ProviderError> {
        let Credentials::Oauth(grant) = &*calendar.credentials else {
            return Err(ProviderError::Unauthorized("no grant".to_owned()));
        };
        self.0.lock().unwrap().push(grant.access_token.clone());
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

/// A town whose two nodes reach a provider and its identity server, and somebody of the first one's with a calendar there, of
/// which the access token has run out.
struct Scene {
    server: Arc<Server>,
    desk: Arc<Desk>,
    one: Node,
    other: Node,
    person: Person,
    connection_id: ConnectionId,
    calendar_id: CalendarId,
}

impl Scene {
    async fn set(slow: Slow) -> Self {
        let town = Town::found().await;
        let (server, desk) = (Server::new(&town, slow), Arc::new(Desk::default()));
        let oauth = Oauth { store: Arc::new(NoClients), issuer: Arc::clone(&server) as _ };
        let providers = Providers::new().with(Arc::clone(&desk) as _);
        let (one, other) = town.two_nodes_reaching(&Outside { providers, oauth: Some(oauth) }).await;
        let person = town.person_of(&one);
        let (now, account_id) = (town.clock.now(), person.tenant.account_id);
        let connection = Connection {
            id: ConnectionId::mint(now, &*town.ids),
            account_id,
            provider: ProviderKind::Google,
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
            provider: ProviderKind::Google,
            provider_calendar_id: "primary".to_owned(),
            name: "Calendar".to_owned(),
            timezone: Tz::UTC,
            writable: true,
            watch: Watch { state: WatchState::None, expires_at: None },
            last_synced_at: None,
            created_at: now,
        };
        let (connection_id, calendar_id) = (connection.id, calendar.id);
        let credentials = Credentials::Oauth(server.granted(0, now));
        let write = one.store.create_connection(&person.tenant, &connection, &credentials, &[calendar], None).await;
        assert_eq!(write.unwrap(), Write::Done);
        Self { server, desk, one, other, person, connection_id, calendar_id }
    }

    /// The first node asks for a token and leaves, before there is an answer; the second one takes over, and asks for one too.
    async fn hand_over_in_the_middle(&self) {
        until("the first one asks", || self.server.sent() == 1).await;
        let leaver = self.one.scheduler.clone();
        let leaving = tokio::spawn(async move { leaver.shutdown().await });
        until("the second one owns", || self.other.owns(&self.person)).await;
        self.other.scheduler.bell(self.person.tenant.account_id, self.calendar_id);
        until("the second one asks", || self.server.sent() == 2).await;
        self.watch_until_synced().await;
        leaving.await.unwrap();
    }

    async fn status(&self) -> ConnectionStatus {
        let connection = self.other.store.connection(self.person.tenant.account_id, self.connection_id).await;
        connection.unwrap().unwrap().0.status
    }

    /// Nobody is told to consent again, not even for a moment, until some time after the calendar is read.
    async fn watch_until_synced(&self) {
        let began = Instant::now();
        let mut synced_at = None;
        while synced_at.is_none_or(|at: Instant| at.elapsed() < Duration::from_secs(60)) {
            assert!(began.elapsed() < Duration::from_secs(180), "it is never read");
            assert_ne!(self.status().await, ConnectionStatus::ReauthorizationRequired, "{:?}", self.server.shown());
            let need = Freshness { max_age: None, deadline: Duration::from_millis(100) };
            let facts = self.other.scheduler.facts(self.person.tenant.account_id, &[self.calendar_id], need).await;
            if synced_at.is_none() && matches!(facts[0].knowledge, Knowledge::Synced { .. }) {
                synced_at = Some(Instant::now());
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

fn check(scene: &Scene) {
    let shown = scene.server.shown();
    let first = || "refresh 0".to_owned();
    assert_eq!(shown, [(first(), true), (first(), false)], "one grant is used, and it is used once");
    let tokens = scene.desk.0.lock().unwrap().clone();
    assert!(!tokens.is_empty() && tokens.iter().all(|token| token == "access 1"), "{tokens:?}");
}

/// The one that leaves was first, and keeps what it was given when the one that came was refused already.
#[tokio::test(start_paused = true)]
async fn whoever_comes_waits_for_what_the_leaver_was_given() {
    let scene = Scene::set(Slow::Answer).await;
    scene.hand_over_in_the_middle().await;
    check(&scene);
}

/// The one that comes was first, and the one that leaves is refused.
#[tokio::test(start_paused = true)]
async fn a_leaver_that_was_slower_spoils_nothing() {
    let scene = Scene::set(Slow::Request).await;
    scene.hand_over_in_the_middle().await;
    check(&scene);
}

/// Without a rival a refusal is what it says, and is not asked for twice.
#[tokio::test(start_paused = true)]
async fn a_grant_that_was_taken_back_is_given_up() {
    let scene = Scene::set(Slow::Answer).await;
    scene.server.state.lock().unwrap().is_revoked = true;
    let began = Instant::now();
    while scene.status().await != ConnectionStatus::ReauthorizationRequired {
        assert!(began.elapsed() < Duration::from_secs(60), "nobody is told");
        sleep(Duration::from_millis(100)).await;
    }
    sleep(Duration::from_secs(2 * 3_600)).await;
    assert_eq!(scene.server.shown(), [("refresh 0".to_owned(), false)]);
    assert!(scene.desk.0.lock().unwrap().is_empty());
}
