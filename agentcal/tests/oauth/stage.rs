//! The program on a file of its own, the two providers, and a customer who asks.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use agentcal_engine::model::ProviderKind;
use agentcal_fake_google::FakeGoogle;
use agentcal_fake_kit::{Clock, Served, serve};
use agentcal_fake_microsoft::FakeGraph;
use agentcal_testkit::{Node, WAIT_MAX, wait_for};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use url::Url;

const BINARY: &str = env!("CARGO_BIN_EXE_agentcal");
const ENCRYPTION_KEYS: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// Who the installation is to both providers.
pub(crate) const CLIENT_ID: &str = "installation";
const CLIENT_SECRET: &str = "installation's secret";
/// Where browsers come back to. Nobody listens there.
pub(crate) const DONE: &str = "http://127.0.0.1:9/done";
pub(crate) const SARAH: &str = "sarah@example.com";

pub(crate) struct Stage {
    pub(crate) google: FakeGoogle,
    pub(crate) graph: FakeGraph,
    pub(crate) folder: TempDir,
    node: Node,
    variables: Vec<(String, String)>,
    organization: String,
    secret_key: String,
    account: Value,
    calendar: String,
    http: Client,
    browser: Client,
    _served: Served,
    /// Dropped last: the fakes live in it.
    pub(crate) runtime: Runtime,
}

/// Where a browser ended up.
#[derive(Debug)]
pub(crate) enum Landing {
    /// At the address it was to come back to.
    Done(Url),
    /// On a page of ours.
    Page(StatusCode, String),
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// The same with other settings besides, or instead.
    pub(crate) fn with(settings: &[(&str, String)]) -> Self {
        // A second installation of the provider is refused, and the first one is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (google, graph, served) = runtime.block_on(providers());
        let calendar = graph.add_mailbox(SARAH, "UTC");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut variables = variables(&folder, &served.base_url(), &graph);
        // The last one of a name counts.
        variables.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        said(&variables, &["migrate"], "");
        let organization = said(&variables, &["org", "create", "--name", "Consent"], "");
        let add = ["org", "redirect-url", "add", "--organization", &organization, DONE];
        said(&variables, &add, "");
        let secret_key = said(&variables, &["key", "create", "--organization", &organization, "--mode", "test"], "");
        let node = Node::start(BINARY, &variables);
        let http = Client::builder().timeout(Duration::from_secs(40)).build().expect("a client can be made");
        let stop = Policy::custom(|attempt| match attempt.url().as_str().starts_with(DONE) {
            true => attempt.stop(),
            false => attempt.follow(),
        });
        let browser = Client::builder().redirect(stop).build().expect("a client can be made");
        let mut stage = Self {
            google,
            graph,
            folder,
            node,
            variables,
            organization,
            secret_key,
            account: Value::Null,
            calendar,
            http,
            browser,
            _served: served,
            runtime,
        };
        stage.account = stage.done(&Method::POST, "/accounts", Some(&json!({"name": "Practice", "timezone": "UTC"})));
        stage
    }

    pub(crate) fn organization(&self) -> &str {
        &self.organization
    }

    pub(crate) fn account(&self) -> &str {
        text(&self.account, "id")
    }

    pub(crate) fn another_account(&self) -> String {
        let account = self.done(&Method::POST, "/accounts", Some(&json!({"name": "Another", "timezone": "UTC"})));
        text(&account, "id").to_owned()
    }

    pub(crate) fn of_account(&self, path: &str) -> String {
        format!("/accounts/{}/{path}", self.account())
    }

    /// When the test began, by the program's clock.
    pub(crate) fn began_at(&self) -> DateTime<Utc> {
        text(&self.account, "created_at").parse().expect("an instant")
    }

    /// Asks the program with the key.
    pub(crate) fn ask(&self, method: &Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let address = format!("{}/v1{path}", self.node.base_url());
        let request = self.http.request(method.clone(), address).bearer_auth(&self.secret_key);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        self.runtime.block_on(async {
            let response = request.send().await.expect("the program answers");
            let (status, text) = (response.status(), response.text().await.expect("a whole answer"));
            (status, serde_json::from_str(&text).unwrap_or(Value::Null))
        })
    }

    /// The same for what must be done.
    pub(crate) fn done(&self, method: &Method, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.ask(method, path, body);
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
        answer
    }

    /// What a counter stands at, over all series that carry these labels.
    pub(crate) fn counted(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let text = self.metrics();
        let of_counter = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
        let labelled = |carried: &str| {
            labels.iter().all(|(label, value)| carried.split(',').any(|one| one == format!("{label}=\"{value}\"")))
        };
        let wanted = of_counter.filter(|(carried, _)| labelled(carried));
        wanted.map(|(_, count)| count.parse::<u64>().expect("a counter counts")).sum()
    }

    /// All metrics, as they are told.
    pub(crate) fn metrics(&self) -> String {
        let address = format!("{}/metrics", self.node.internal_url());
        self.runtime.block_on(async {
            let response = self.http.get(address).send().await.expect("the program answers");
            response.text().await.expect("a whole answer")
        })
    }

    /// Posts to an address, as somebody who has no key.
    pub(crate) fn post(&self, url: &str, headers: &[(&str, &str)], body: &str) -> StatusCode {
        let request = headers.iter().fold(self.http.post(url), |request, (name, value)| request.header(*name, *value));
        self.runtime.block_on(async {
            let response = request.body(body.to_owned()).send().await.expect("the program answers");
            response.status()
        })
    }

    /// Grants that wait to be given back.
    pub(crate) fn revocations(&self) -> i64 {
        let path = self.folder.path().join("agentcal.db");
        self.runtime.block_on(async {
            let mut file = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("opened");
            let count = sqlx::query_scalar("SELECT count(*) FROM oauth_revocations");
            count.fetch_one(&mut file).await.expect("counted")
        })
    }

    /// What the program has logged.
    pub(crate) fn said(&self) -> String {
        self.node.said()
    }

    /// Waits for a condition.
    pub(crate) fn until<T>(&self, what: &str, condition: impl FnMut() -> Option<T>) -> T {
        wait_for(what, WAIT_MAX, condition)
    }

    /// Where somebody is to consent.
    pub(crate) fn consent_url(&self, provider: &str) -> Url {
        self.consent_url_for(self.account(), provider)
    }

    /// The same for an account nobody here has to do with.
    pub(crate) fn consent_url_of_another(&self) -> Url {
        self.consent_url_for(&self.another_account(), "google")
    }

    fn consent_url_for(&self, account: &str, provider: &str) -> Url {
        let done: String = url::form_urlencoded::byte_serialize(format!("{DONE}?session=7").as_bytes()).collect();
        let path = format!("/accounts/{account}/oauth/{provider}?redirect_url={done}");
        let answer = self.done(&Method::GET, &path, None);
        text(&answer, "url").parse().expect("a URL")
    }

    /// Goes to an address, and wherever that leads.
    pub(crate) fn walk(&self, url: &Url) -> Landing {
        self.runtime.block_on(async {
            let response = self.browser.get(url.clone()).send().await.expect("somebody answers");
            match response.headers().get("location") {
                Some(location) => {
                    assert_eq!(response.status(), StatusCode::SEE_OTHER);
                    let location = location.to_str().expect("an address is plain text");
                    assert!(location.starts_with(&format!("{DONE}?session=7&")), "{location}");
                    Landing::Done(location.parse().expect("an address"))
                }
                None => {
                    let status = response.status();
                    Landing::Page(status, response.text().await.expect("a whole page"))
                }
            }
        })
    }

    /// Sends Sarah to consent; the connection that comes of it.
    pub(crate) fn connect(&self, provider: &str) -> String {
        self.connect_for(self.account(), provider)
    }

    pub(crate) fn connect_for(&self, account: &str, provider: &str) -> String {
        let landing = self.walk(&self.consent_url_for(account, provider));
        landing.parameter("connection_id").unwrap_or_else(|| panic!("nothing was connected: {landing:?}"))
    }

    pub(crate) fn connection(&self, id: &str) -> Value {
        self.done(&Method::GET, &self.of_account(&format!("connections/{id}")), None)
    }

    /// The connection, when all its calendars have synced.
    pub(crate) fn active(&self, id: &str) -> Value {
        self.until("the connection to be active", || {
            let connection = self.connection(id);
            let calendars = connection["calendars"].as_array().expect("a list");
            let synced = calendars.iter().all(|calendar| !calendar["last_synced_at"].is_null());
            (connection["status"] == "active" && synced).then_some(connection)
        })
    }

    /// What a command says.
    pub(crate) fn command(&self, arguments: &[&str]) -> String {
        said(&self.variables, arguments, "")
    }

    /// The same for one that is told something.
    pub(crate) fn command_with(&self, arguments: &[&str], input: &str) -> String {
        said(&self.variables, arguments, input)
    }

    /// Sarah has something else to do, for an hour.
    pub(crate) fn someone_is_busy(&self, provider: ProviderKind, from: DateTime<Utc>) {
        let end = from + TimeDelta::hours(1);
        match provider {
            ProviderKind::Google => {
                let event = json!({
                    "summary": "Dentist", "start": {"dateTime": from.to_rfc3339()}, "end": {"dateTime": end.to_rfc3339()},
                });
                self.google.insert(SARAH, event);
            }
            _ => {
                let at = |at: DateTime<Utc>| json!({"dateTime": at.format("%Y-%m-%dT%H:%M:%S").to_string(), "timeZone": "UTC"});
                let event = json!({"subject": "Dentist", "start": at(from), "end": at(end)});
                let path = format!("/me/calendars/{}/events", self.calendar);
                let (status, body) = self.graph.act(SARAH, "POST", &path, event);
                assert_eq!(status, 201, "{body}");
            }
        }
    }

    /// What takes time in Sarah's own calendar.
    pub(crate) fn busy_at(
        &self,
        provider: ProviderKind,
        within: (DateTime<Utc>, DateTime<Utc>),
    ) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        match provider {
            ProviderKind::Google => self.google.busy(SARAH, within.0, within.1),
            _ => self.graph.busy(SARAH, &self.calendar, within),
        }
    }
}

impl Landing {
    /// A parameter the browser came back with.
    pub(crate) fn parameter(&self, wanted: &str) -> Option<String> {
        let Self::Done(url) = self else { return None };
        url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
    }
}

/// Google with Sarah and her three calendars, and Graph.
async fn providers() -> (FakeGoogle, FakeGraph, Served) {
    let clock = Clock::system();
    let google = FakeGoogle::new(clock.clone());
    google.add_client(CLIENT_ID, CLIENT_SECRET);
    google.add_user(SARAH, Tz::UTC);
    google.add_calendar(SARAH, "team@example.com", Tz::UTC, "writer");
    google.add_calendar(SARAH, "holidays@example.com", Tz::UTC, "reader");
    let served = serve(google.router(), 0).await;
    let graph = FakeGraph::start(clock, 0).await;
    graph.add_application(CLIENT_ID, CLIENT_SECRET);
    (google, graph, served)
}

fn variables(folder: &TempDir, google: &str, graph: &FakeGraph) -> Vec<(String, String)> {
    let database = format!("sqlite://{}", folder.path().join("agentcal.db").display());
    let variables = [
        ("AGENTCAL_DATABASE_URL", database.as_str()),
        ("AGENTCAL_ENCRYPTION_KEYS", ENCRYPTION_KEYS),
        ("AGENTCAL_OAUTH_ALLOW_LOOPBACK", "true"),
        ("AGENTCAL_GOOGLE_CLIENT_ID", CLIENT_ID),
        ("AGENTCAL_GOOGLE_CLIENT_SECRET", CLIENT_SECRET),
        ("AGENTCAL_GOOGLE_API_URL", google),
        ("AGENTCAL_GOOGLE_CONSENT_URL", google),
        ("AGENTCAL_GOOGLE_OAUTH_URL", google),
        ("AGENTCAL_MICROSOFT_CLIENT_ID", CLIENT_ID),
        ("AGENTCAL_MICROSOFT_CLIENT_SECRET", CLIENT_SECRET),
        ("AGENTCAL_MICROSOFT_GRAPH_URL", &graph.graph_url()),
        ("AGENTCAL_MICROSOFT_LOGIN_URL", &graph.base_url()),
        ("AGENTCAL_WEBHOOKS_ALLOW_LOOPBACK", "true"),
        ("AGENTCAL_WEBHOOKS_ALLOW_HTTP", "true"),
        ("AGENTCAL_WEBHOOKS_PORTS", "any"),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn said(variables: &[(String, String)], arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(BINARY);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AGENTCAL_")) {
        command.env_remove(name);
    }
    command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("it was asked for").write_all(input.as_bytes()).expect("it is read");
    let output = child.wait_with_output().expect("the program ends");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it prints UTF-8").trim().to_owned()
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {value}"))
}
