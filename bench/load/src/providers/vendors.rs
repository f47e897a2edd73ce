//! Google and Microsoft, as fakes in this process: they count what they are asked, and how long they take over it.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::OauthGrant;
use agentcal_engine::time::Timestamp;
use agentcal_fake_google::{ALL_SCOPES, FakeGoogle};
use agentcal_fake_kit::{Clock, Fault, Rule, Served, When, serve};
use agentcal_fake_microsoft::FakeGraph;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::data::{Connected, Mailbox};

/// Who the installation is to both.
const CLIENT_ID: &str = "bench";
/// In a path, what stands before a calendar's name.
const CALENDARS: &str = "calendars";

/// Time spent over requests, by calendar.
#[derive(Clone, Default)]
struct Clocked(Arc<Mutex<HashMap<String, Duration>>>);

/// Both, on threads of their own; gone on drop.
pub(super) struct Vendors {
    pub(super) google: FakeGoogle,
    pub(super) graph: FakeGraph,
    clocked: Clocked,
    /// Whose calendars at Microsoft are whose.
    owners: Mutex<HashMap<String, String>>,
    google_url: String,
    _served: Served,
    /// Dropped last: the others live in it.
    runtime: Runtime,
}

impl Vendors {
    /// Starts both, without anybody in them. They ring nobody who is not rung by the measurement.
    pub(super) fn start() -> Result<Self, String> {
        // Somebody else's is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
        let clocked = Clocked::default();
        let google = FakeGoogle::new(Clock::system());
        let (served, graph) = runtime.block_on(async {
            let served = serve(behind(clocked.clone(), google.router()), 0).await;
            let front = clocked.clone();
            (served, FakeGraph::start_behind(Clock::system(), 0, |router| behind(front, router)).await)
        });
        for bells in [google.bells(), graph.bells()] {
            bells.add(Rule::new("POST", "", When::Always, Fault::Drop));
        }
        Ok(Self {
            google,
            graph,
            clocked,
            owners: Mutex::default(),
            google_url: served.base_url(),
            _served: served,
            runtime,
        })
    }

    /// Adds so many mailboxes at each of the two, with so many calendars each.
    pub(super) fn mailboxes(&self, each: usize, calendars_each: usize) -> Vec<Mailbox> {
        let numbers = || (0..each).map(|number| format!("person-{number}@example.com"));
        let of_google = numbers().map(|address| self.google_mailbox(&address, calendars_each));
        let of_graph = numbers().map(|address| self.graph_mailbox(&address, calendars_each));
        // In turn, so that whoever takes them in their order takes as many of either.
        of_google.zip(of_graph).flat_map(|(one, other)| [one, other]).collect()
    }

    fn google_mailbox(&self, address: &str, calendars: usize) -> Mailbox {
        self.google.add_user(address, Tz::UTC);
        let mut names = vec![address.to_owned()];
        for number in 1..calendars {
            let name = format!("{number}-{address}");
            self.google.add_calendar(address, &name, Tz::UTC, "owner");
            names.push(name);
        }
        let token = self.google.token_with(address, CLIENT_ID, &ALL_SCOPES);
        Mailbox { provider: ProviderKind::Google, grant: self.grant(token), calendars: names }
    }

    fn graph_mailbox(&self, address: &str, calendars: usize) -> Mailbox {
        let mut names = vec![self.graph.add_mailbox(address, "UTC")];
        for number in 1..calendars {
            let made = self.act(address, "POST", "/me/calendars", json!({ "name": format!("Calendar {number}") }));
            names.push(made["id"].as_str().expect("a calendar that was made has an id").to_owned());
        }
        self.owners().extend(names.iter().map(|name| (name.clone(), address.to_owned())));
        let token = self.graph.token(address, CLIENT_ID);
        Mailbox { provider: ProviderKind::Microsoft, grant: self.grant(token), calendars: names }
    }

    fn grant(&self, access_token: String) -> OauthGrant {
        let expires_at = Timestamp::from(self.google.clock().now() + TimeDelta::minutes(59));
        let refresh_token = "never used".to_owned();
        OauthGrant { client_id: CLIENT_ID.to_owned(), access_token, expires_at, refresh_token }
    }

    /// Somebody has something to do for half an hour.
    pub(super) fn meet(&self, whom: &Connected, from: DateTime<Utc>) {
        let end = from + TimeDelta::minutes(30);
        match whom.provider {
            ProviderKind::Google => {
                let at = |at: DateTime<Utc>| json!({ "dateTime": at.to_rfc3339() });
                self.google.insert(&whom.name, json!({ "summary": "Meeting", "start": at(from), "end": at(end) }));
            }
            _ => {
                let address = self.owners().get(&whom.name).cloned().expect("its mailbox was added");
                let at = |at: DateTime<Utc>| json!({ "dateTime": at.format("%Y-%m-%dT%H:%M:%S").to_string(), "timeZone": "UTC" });
                let event = json!({ "subject": "Meeting", "start": at(from), "end": at(end) });
                self.act(&address, "POST", &format!("/me/calendars/{}/events", whom.name), event);
            }
        }
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<String, String>> {
        // Every change is one step, so a panic beside the lock left nothing half done.
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What somebody does in Outlook.
    fn act(&self, address: &str, method: &str, path: &str, body: Value) -> Value {
        // What it would ring for is told on its threads.
        let _on = self.runtime.enter();
        let (status, answer) = self.graph.act(address, method, path, body);
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    /// What leads a program to them, that is reached itself at `address`.
    pub(super) fn settings(&self, address: SocketAddr) -> Vec<(&'static str, String)> {
        vec![
            ("AGENTCAL_LISTEN", address.to_string()),
            ("AGENTCAL_PUBLIC_URL", format!("http://{address}")),
            ("AGENTCAL_OAUTH_ALLOW_LOOPBACK", "true".to_owned()),
            ("AGENTCAL_GOOGLE_API_URL", self.google_url.clone()),
            ("AGENTCAL_MICROSOFT_GRAPH_URL", self.graph.graph_url()),
        ]
    }

    /// Time they have spent over requests about a calendar so far.
    pub(super) fn took(&self, calendar: &str) -> Duration {
        self.clocked.times().get(calendar).copied().unwrap_or_default()
    }
}

/// An address nobody listens at.
pub(super) fn spare_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    listener.map_err(|error| format!("no spare port: {error}"))
}

impl Clocked {
    fn times(&self) -> MutexGuard<'_, HashMap<String, Duration>> {
        // Every change is one step, so a panic beside the lock left nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn behind(clocked: Clocked, router: Router) -> Router {
    router.layer(from_fn_with_state(clocked, clock))
}

async fn clock(State(clocked): State<Clocked>, request: Request, next: Next) -> Response {
    let calendar = calendar_in(request.uri().path()).map(str::to_owned);
    let begun = Instant::now();
    let answer = next.run(request).await;
    if let Some(calendar) = calendar {
        *clocked.times().entry(calendar).or_default() += begun.elapsed();
    }
    answer
}

fn calendar_in(path: &str) -> Option<&str> {
    path.split('/').skip_while(|part| *part != CALENDARS).nth(1)
}

#[test]
fn requests_name_their_calendar() {
    let check = |path: &str, expected: Option<&str>| assert_eq!(calendar_in(path), expected, "{path}");
    check("/calendar/v3/calendars/a@example.com/events", Some("a@example.com"));
    check("/v1.0/me/calendars/AAkAC1/calendarView/delta", Some("AAkAC1"));
    check("/v1.0/me", None);
    check("/v1.0/me/calendars", None);
}
