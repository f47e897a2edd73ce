//! What other people wrote into their calendars, and what opens those, is kept nowhere: database, cache and log are searched
//! for it, byte by byte, after everything that usually happens to a connection has happened.

use std::fs;
use std::path::Path;

use agentcal_engine::model::ProviderKind;
use agentcal_fake_kit::{Fault, Rule, When};
use agentcal_testkit::{Durability, Postgres, Redis, Reply, postgres, redis};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{SARAH, Stage};
use crate::{is_of_use, noon, own_calendar};

pub(crate) const TITLE: &str = "Zanzibar merger";
pub(crate) const TEXT: &str = "bring the ostrich contract";
pub(crate) const PLACE: &str = "Quagmire Tower";
pub(crate) const GUEST: &str = "marmaduke@guests.example.net";
pub(crate) const GUEST_NAME: &str = "Marmaduke Featherstone";
const DATABASE: &str = "private";
/// How tokens and codes of both fakes begin, and what else opens something.
const SECRETS: [&str; 7] =
    ["ya29-", "1//refresh-", "4/0code-", "fake-access-", "fake-refresh-", "fake-code-", "installation's secret"];

/// Somewhere bytes stay; what of them reads as text, in lower case.
struct Trace {
    place: String,
    text: String,
}

impl Trace {
    fn of(place: impl Into<String>, bytes: impl AsRef<[u8]>) -> Self {
        let mut text = String::from_utf8_lossy(bytes.as_ref()).into_owned();
        text.make_ascii_lowercase();
        Self { place: place.into(), text }
    }

    fn has(&self, word: &str) -> bool {
        self.text.contains(&word.to_ascii_lowercase())
    }
}

/// Somebody else's event, with everything in it that is nobody's business.
pub(crate) fn plant(stage: &Stage, provider: ProviderKind, from: DateTime<Utc>) {
    let end = from + TimeDelta::hours(1);
    if provider == ProviderKind::Google {
        let event = json!({
            "summary": TITLE, "description": TEXT, "location": PLACE,
            "attendees": [{"email": GUEST, "displayName": GUEST_NAME}],
            "start": {"dateTime": from.to_rfc3339()}, "end": {"dateTime": end.to_rfc3339()},
        });
        stage.google.insert(SARAH, event);
        return;
    }
    let at = |at: DateTime<Utc>| json!({"dateTime": at.format("%Y-%m-%dT%H:%M:%S").to_string(), "timeZone": "UTC"});
    let event = json!({
        "subject": TITLE, "body": {"contentType": "text", "content": TEXT}, "location": {"displayName": PLACE},
        "attendees": [{"type": "required", "emailAddress": {"address": GUEST, "name": GUEST_NAME}}],
        "start": at(from), "end": at(end),
    });
    let (status, body) = stage.graph.act(SARAH, "POST", "/me/events", event);
    assert_eq!(status, 201, "{body}");
}

/// Connects, syncs, books, hears of a change, meets errors that quote what they are about, and is refused in the end.
fn live(stage: &Stage, provider: ProviderKind) {
    let name = if provider == ProviderKind::Google { "google" } else { "microsoft" };
    let at = noon(stage);
    plant(stage, provider, at);
    let id = stage.connect(name);
    let connection = stage.active(&id);
    is_of_use(stage, &connection, provider, at);

    let faults = if provider == ProviderKind::Google { stage.google.faults() } else { stage.graph.faults() };
    let quoting = json!({"error": {"code": 500, "message": format!("{TITLE} of {GUEST} cannot be listed")}});
    faults.add(Rule::new("GET", "", When::Always, Fault::json(500, &quoting)));
    look_until(stage, "errors to be met", || (faults.struck() > 1).then_some(()));
    faults.clear();
    match provider {
        ProviderKind::Google => {
            stage.google.expire_access_tokens();
            stage.google.revoke_user(SARAH);
        }
        _ => {
            stage.graph.expire_access_tokens();
            stage.graph.revoke(SARAH);
        }
    }
    look_until(stage, "the grant to be refused", || {
        (stage.connection(&id)["status"] == "reauthorization_required").then_some(())
    });
    // A calendar that is seen is one that was looked at; its id leads to the facts of it.
    assert!(!own_calendar(&connection).is_empty());
}

/// Waits for what becomes of it that somebody asks for what is new.
fn look_until(stage: &Stage, what: &str, mut condition: impl FnMut() -> Option<()>) {
    let users = stage.done(&Method::GET, &stage.of_account("users"), None);
    let users: Vec<String> = users["data"].as_array().into_iter().flatten().filter_map(id_of).collect();
    let date = noon(stage).date_naive();
    stage.until(what, || {
        for user in &users {
            let query = format!(
                "availability?user_id={user}&duration_minutes=30&start_date={date}&end_date={date}&max_staleness_ms=1"
            );
            stage.ask(&Method::GET, &stage.of_account(&query), None);
        }
        condition()
    });
}

fn id_of(value: &Value) -> Option<String> {
    value["id"].as_str().map(str::to_owned)
}

/// All of a folder's files, and those in folders within.
fn files(folder: &Path, place: &str, found: &mut Vec<Trace>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, place, found);
        } else if let Ok(bytes) = fs::read(&path) {
            // A server writes while this reads, and may take a file away.
            found.push(Trace::of(format!("{place}: {}", path.display()), bytes));
        }
    }
}

fn rows_and_log(postgres: &Postgres, database: &str) -> Vec<Trace> {
    postgres.execute("postgres", "CHECKPOINT");
    let folder = postgres.execute("postgres", "SHOW data_directory");
    let oid = postgres.execute("postgres", &format!("SELECT oid FROM pg_database WHERE datname = '{database}'"));
    let mut found = Vec::new();
    for part in [format!("base/{}", oid.trim()), "pg_wal".to_owned()] {
        files(&Path::new(folder.trim()).join(part), "PostgreSQL", &mut found);
    }
    found.push(Trace::of("PostgreSQL's log", postgres.said()));
    found
}

fn everything(redis: &Redis) -> Vec<Trace> {
    // Otherwise words in long values would not be found.
    redis.command(&["CONFIG", "SET", "rdbcompression", "no"]);
    let Reply::Many(keys) = redis.command(&["KEYS", "*"]) else { panic!("keys are a list") };
    let dump = |key: &Reply| {
        let Reply::Bytes(key) = key else { panic!("a key is a text: {key:?}") };
        match redis.command_of_bytes(&[b"DUMP", key]) {
            Reply::Bytes(value) => Some(Trace::of("Redis", [&key[..], &value].concat())),
            // It ran out meanwhile.
            _ => None,
        }
    };
    keys.iter().filter_map(dump).collect()
}

/// Nothing of it is there, and what must be there is, so that this was no search in the wrong place.
fn search(traces: &[Trace], stores: &str) {
    for word in [TITLE, TEXT, PLACE, GUEST, GUEST_NAME, "Marmaduke"].into_iter().chain(SECRETS) {
        let places: Vec<&str> =
            traces.iter().filter(|trace| trace.has(word)).map(|trace| trace.place.as_str()).collect();
        assert!(places.is_empty(), "`{word}` is in {places:?}");
    }
    let is_found =
        |place: &str, word: &str| traces.iter().any(|trace| trace.place.starts_with(place) && trace.has(word));
    assert!(is_found(stores, SARAH), "whose mailbox it is, is kept");
    assert!(is_found("the program's log", "a grant is refused by its server"), "what went wrong is logged");
}

#[test]
fn nothing_of_other_peoples_events_is_kept_in_a_file_or_a_log() {
    let stage = Stage::with(&[("AGENTCAL_LOG", "debug".to_owned())]);
    live(&stage, ProviderKind::Google);
    live(&stage, ProviderKind::Microsoft);
    let mut traces = vec![Trace::of("the program's log", stage.said())];
    files(stage.folder.path(), "SQLite", &mut traces);
    search(&traces, "SQLite");
}

#[test]
fn nothing_of_other_peoples_events_is_kept_in_servers() {
    let Some((postgres, redis)) = postgres(Durability::Full).zip(redis()) else { return };
    postgres.create_database(DATABASE);
    let stage = Stage::with(&[
        ("AGENTCAL_DATABASE_URL", postgres.url(DATABASE)),
        ("AGENTCAL_REDIS_URL", redis.url()),
        ("AGENTCAL_PEER_SECRET", "0123456789abcdef0123456789abcdef0123".to_owned()),
        ("AGENTCAL_LOG", "debug".to_owned()),
    ]);
    live(&stage, ProviderKind::Google);
    live(&stage, ProviderKind::Microsoft);
    let cached = everything(&redis);
    assert!(!cached.is_empty(), "the cache holds something");
    let mut traces = vec![Trace::of("the program's log", stage.said()), Trace::of("Redis' log", redis.said())];
    traces.extend(cached);
    traces.extend(rows_and_log(&postgres, DATABASE));
    search(&traces, "PostgreSQL");
}
