//! The other commands, as an administrator meets them.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::support::{Caller, Running, Said, cramped_program, program, run, run_to_end};
use agentcal_testkit::{WAIT_MAX, status_of, wait_for};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

const KEYS: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_KEYS: &str = "k1:HxAREhMUFRYXGBkaGxwdHh8AAQIDBAUGBwgJCgsMDQ4=";

struct Installation {
    folder: TempDir,
}

impl Installation {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn migrated() -> Self {
        let installation = Self::new();
        installation.run_ok(&["migrate"]);
        installation
    }

    fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("agentcal.db")
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AGENTCAL_DATABASE_URL", format!("sqlite://{}", self.database().display())),
            ("AGENTCAL_ENCRYPTION_KEYS", KEYS.to_owned()),
            ("AGENTCAL_LISTEN", "127.0.0.1:0".to_owned()),
            ("AGENTCAL_INTERNAL_LISTEN", "127.0.0.1:0".to_owned()),
            ("AGENTCAL_PUBLIC_URL", "https://cal.example.com".to_owned()),
        ]
    }

    fn run_with(&self, arguments: &[&str], changed: &[(&'static str, &str)]) -> Said {
        let mut variables = self.variables();
        variables.retain(|(name, _)| changed.iter().all(|(other, _)| other != name));
        variables.extend(changed.iter().map(|&(name, value)| (name, value.to_owned())));
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        run(arguments, &variables)
    }

    fn run_ok(&self, arguments: &[&str]) -> String {
        let said = self.run_with(arguments, &[]);
        assert!(said.success, "{arguments:?}: {} {}", said.out, said.err);
        said.out
    }

    fn serve(&self) -> Serving {
        let log = self.folder.path().join("log");
        let file = fs::File::options().create(true).append(true).open(&log).expect("a log");
        let before = fs::read_to_string(&log).expect("the log").lines().count();
        let mut command = program(&["serve"]);
        command.envs(self.variables()).env("AGENTCAL_LOG_FORMAT", "json");
        command.stdout(Stdio::null()).stderr(file);
        let mut process = Running::start(command);
        let ready = wait_for("a node that is ready", WAIT_MAX, || {
            let said = fs::read_to_string(&log).expect("the log");
            let ended = process.ended();
            assert!(ended.is_none(), "it ended with {ended:?}:\n{said}");
            let mut lines = said.lines().skip(before).filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.find(|line| line["message"] == "ready")
        });
        let address = |field: &str| ready[field].as_str().and_then(|text| text.parse().ok()).expect("an address");
        Serving { process, address: address("address"), internal_address: address("internal_address") }
    }
}

struct Serving {
    process: Running,
    address: std::net::SocketAddr,
    internal_address: std::net::SocketAddr,
}

/// Every epoch there may have been is below the next, though the backup knows of none of them.
#[test]
fn a_restored_database_is_nobodys_under_a_higher_epoch() {
    let installation = Installation::migrated();
    let backup = fs::read(installation.database()).expect("the database");
    let epoch = || {
        let said = installation.run_ok(&["restored"]);
        let (_, rest) = said.split_once("under epoch ").expect("an epoch");
        rest.split_once(';').and_then(|(number, _)| number.parse::<u64>().ok()).expect("a number")
    };
    let before = [epoch(), epoch()];
    assert!(before[0] < before[1]);
    fs::write(installation.database(), backup).expect("restored");
    assert!(epoch() > before[1]);
    let refused = Installation::new().run_with(&["restored"], &[]);
    assert!(!refused.success && refused.err.contains("agentcal migrate"), "{}", refused.err);
}

/// From nothing to an answer, the way production is set up.
#[tokio::test]
async fn an_administrator_sets_up_a_node() {
    let installation = Installation::migrated();
    let organization = installation.run_ok(&["org", "create", "--name", "Example Ltd"]);
    assert!(organization.starts_with("org_"), "{organization}");
    assert!(installation.run_ok(&["org", "list"]).contains("Example Ltd"));
    installation.run_ok(&["org", "update", &organization, "--email", "ops@example.com"]);
    assert!(installation.run_ok(&["org", "list"]).ends_with("Example Ltd  ops@example.com"));
    installation.run_ok(&["org", "update", &organization, "--no-email"]);
    assert!(installation.run_ok(&["org", "list"]).ends_with("Example Ltd"));
    let told = installation.run_ok(&["org", "create", "--name", "Told Ltd", "--email", "told@example.com"]);
    assert!(installation.run_ok(&["org", "list"]).contains(&format!("{told}  Told Ltd  told@example.com")));
    let mut serving = installation.serve();
    // Made beside the running node, which has never heard of it.
    let key = installation.run_ok(&["key", "create", "--organization", &organization, "--mode", "live"]);
    assert!(key.starts_with("sk_live_"), "{key}");
    let caller = Caller::new(&format!("http://{}", serving.address), &key);
    let (status, account) = caller.post("/v1/accounts", json!({ "name": "First customer" })).await;
    assert_eq!(status, StatusCode::CREATED, "{account}");

    assert_eq!(status_of(serving.address, "/readyz"), Some(200));
    let (status, page) = caller.get("/manage/no-link").await;
    let page = page.as_str().is_some_and(|page| page.contains("<html"));
    assert!(status == StatusCode::NOT_FOUND && page, "attendees' pages are served for people");
    assert_eq!(status_of(serving.internal_address, "/metrics"), Some(200));
    assert_eq!(status_of(serving.address, "/metrics"), Some(404), "metrics are not for the world");
    serving.process.signal("TERM");
    assert!(serving.process.wait_for_end().success());

    let serving = installation.serve();
    let caller = Caller::new(&format!("http://{}", serving.address), &key);
    let path = format!("/v1/accounts/{}", account["id"].as_str().expect("an id"));
    assert_eq!(caller.get_ok(&path).await["name"], "First customer");
}

#[test]
fn what_cannot_be_served_is_refused_with_the_way_out() {
    let check = |installation: &Installation, changed: &[(&'static str, &str)], expected: &[&str]| {
        let said = installation.run_with(&["serve"], changed);
        assert!(!said.success, "{changed:?}");
        for expected in expected {
            assert!(said.err.contains(expected), "{changed:?}: {} does not say {expected}", said.err);
        }
    };
    let (empty, migrated) = (Installation::new(), Installation::migrated());
    check(&empty, &[], &["there is no database", "agentcal migrate"]);
    fs::write(empty.database(), "").expect("an empty file");
    check(&empty, &[], &["lacks", "agentcal migrate"]);
    fs::write(empty.database(), "this is no database, and it is long enough to tell".repeat(50)).expect("a file");
    check(&empty, &[], &["failed to open the database"]);
    let nowhere = ("AGENTCAL_DATABASE_URL", "postgres://agentcal@127.0.0.1:1/agentcal");
    check(&migrated, &[nowhere], &["AGENTCAL_PEER_SECRET", "openssl rand -hex 32"]);
    let secret = ("AGENTCAL_PEER_SECRET", "0123456789abcdef0123456789abcdef");
    check(&migrated, &[nowhere, secret], &["failed to reach the database"]);
    check(&migrated, &[("AGENTCAL_REDIS_URL", "http://cache")], &["AGENTCAL_REDIS_URL", "must begin with redis://"]);
    check(&migrated, &[("AGENTCAL_ENCRYPTION_KEYS", "")], &["AGENTCAL_ENCRYPTION_KEYS", "openssl rand -base64 32"]);
    check(&migrated, &[("AGENTCAL_LISTENN", "x")], &["AGENTCAL_LISTENN: there is no such setting"]);
    check(&migrated, &[("AGENTCAL_LISTEN", "192.0.2.1:1")], &["failed to listen on 192.0.2.1:1"]);
    check(&migrated, &[("AGENTCAL_CONFIG", "/nowhere.toml")], &["there is no configuration file /nowhere.toml"]);
}

#[test]
fn a_file_configures_too() {
    let installation = Installation::migrated();
    let file = installation.folder.path().join("agentcal.toml");
    let url = format!("sqlite://{}", installation.database().display());
    fs::write(&file, format!("[database]\nurl = \"{url}\"\n[encryption]\nkeys = \"{KEYS}\"\n")).expect("a file");
    let listed = run(&["org", "list", "--config", file.to_str().expect("a plain name")], &[]);
    assert!(listed.success, "{}", listed.err);
}

/// The same keys that sealed the data must open it; a mistake shows before anything is served.
#[test]
fn keys_that_do_not_open_the_data_are_refused() {
    let installation = Installation::migrated();
    installation.run_ok(&["org", "create", "--name", "Example Ltd"]);
    for keys in [OTHER_KEYS, &KEYS.replace("k1:", "k2:")] {
        let said = installation.run_with(&["serve"], &[("AGENTCAL_ENCRYPTION_KEYS", keys)]);
        assert!(!said.success && said.err.contains("AGENTCAL_ENCRYPTION_KEYS"), "{}", said.err);
        let said = installation.run_with(&["doctor"], &[("AGENTCAL_ENCRYPTION_KEYS", keys)]);
        assert!(!said.success && said.out.contains("BAD   encryption"), "{}", said.out);
    }
}

#[test]
fn one_node_at_a_time_serves_a_database() {
    let installation = Installation::migrated();
    let serving = installation.serve();
    let second = installation.run_with(&["serve"], &[]);
    assert!(!second.success && second.err.contains("another agentcal already serves from"), "{}", second.err);
    assert_eq!(status_of(serving.address, "/readyz"), Some(200), "the first one goes on");
}

#[test]
fn the_doctor_tells_what_is_wrong() {
    let check = |installation: &Installation, changed: &[(&'static str, &str)], healthy: bool, expected: &[&str]| {
        let said = installation.run_with(&["doctor"], changed);
        assert_eq!(said.success, healthy, "{changed:?}: {}", said.out);
        for expected in expected {
            assert!(said.out.contains(expected), "{changed:?}: {} does not say {expected}", said.out);
        }
    };
    let (empty, migrated) = (Installation::new(), Installation::migrated());
    check(&migrated, &[], true, &["ok    configuration", "ok    schema", "ok    durability", "ok    encryption"]);
    check(&empty, &[], false, &["BAD   database", "agentcal migrate"]);
    check(&migrated, &[("AGENTCAL_PUBLIC_URL", "")], true, &["warn  public URL"]);
    check(&migrated, &[("AGENTCAL_CALDAV_ALLOW_PRIVATE", "true")], true, &["warn  CalDAV", "private networks"]);
    check(&migrated, &[("AGENTCAL_DNS_SERVER", "127.0.0.1:1")], false, &["BAD   name server"]);
    let two = [("AGENTCAL_LISTEN", "x"), ("AGENTCAL_DATABASE_URL", "y")];
    check(&migrated, &two, false, &["BAD   configuration", "AGENTCAL_LISTEN", "AGENTCAL_DATABASE_URL"]);
}

/// SQLite needs room for files beside its own before it can be asked anything.
#[test]
fn a_disk_without_room_for_a_file_is_told_of() {
    let installation = Installation::migrated();
    let says = format!("failed to open the database {}: its disk is full", installation.database().display());
    let variables = installation.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let doctor = run_to_end(cramped_program(&["doctor"]), &variables);
    assert!(!doctor.success && doctor.out.contains(&format!("BAD   database        {says}")), "{}", doctor.out);
    let serve = run_to_end(cramped_program(&["serve"]), &variables);
    assert!(!serve.success && serve.err.contains(&says), "{}", serve.err);
    assert!(run(&["doctor"], &variables).success, "with room all is well");
}

#[test]
fn migrating_twice_does_nothing() {
    let installation = Installation::new();
    assert!(installation.run_ok(&["migrate"]).contains("applied"));
    assert!(installation.run_ok(&["migrate"]).contains("nothing to do"));
}

#[test]
fn the_document_is_printed_without_any_configuration() {
    let said = run(&["openapi"], &[]);
    assert!(said.success, "{}", said.err);
    let document: Value = serde_json::from_str(&said.out).expect("JSON");
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    assert!(document["paths"]["/v1/accounts/{account_id}/bookings"]["post"].is_object());
}

#[test]
fn bad_arguments_are_named() {
    let installation = Installation::migrated();
    let organization = installation.run_ok(&["org", "create", "--name", "Example Ltd"]);
    let check = |arguments: &[&str], expected: &str| {
        let said = installation.run_with(arguments, &[]);
        assert!(!said.success && said.err.contains(expected), "{arguments:?}: {} does not say {expected}", said.err);
    };
    let create = ["key", "create", "--mode", "live", "--organization"];
    check(&[&create[..], &["org_00000000000000000000000001"]].concat(), "there is no organization");
    check(&[&create[..], &["acct_00000000000000000000000001"]].concat(), "must begin with `org_`");
    check(&[&create[..], &[&organization, "--kind", "publishable"]].concat(), "needs at least one --origin");
    check(&[&create[..], &[&organization, "--origin", "https://example.com"]].concat(), "--origin is for publishable");
    check(&["key", "create", "--organization", &organization], "--mode");
    check(&["key", "revoke", "key_00000000000000000000000001"], "there is no key");
    check(&["org", "create", "--name", " "], "--name must have");
    check(&["org", "create", "--name", "A", "--email", "nobody"], "--email is no address");
    check(&["org", "update", &organization, "--email", "a@b\r\nc"], "--email is no address");
    check(&["org", "update", &organization], "--email");
    check(&["org", "update", "org_00000000000000000000000001", "--no-email"], "there is no organization");
    check(&["org", "list", "--data-dir", "/nowhere"], "there is no database in /nowhere");
    assert!(!Path::new("/nowhere").exists());
}
