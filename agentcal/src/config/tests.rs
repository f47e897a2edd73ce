//! What configurations are taken for, and what is said of bad ones.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use agentcal_engine::commit::HoldLimits;

use super::settings::SETTINGS;
use super::{CONFIG_VARIABLE, Config, ConfigError, DatabaseConfig, RawConfig};

/// Base 64 of 32 bytes.
const KEY: &str = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn read(file: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("agentcal.toml");
    fs::write(&path, file).expect("a file");
    let variables = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    RawConfig::read(Some(&path), &variables)?.check()
}

/// The least a node must be told.
const LEAST: [(&str, &str); 2] = [("AGENTCAL_DATABASE_URL", "sqlite:///tmp/a.db"), ("AGENTCAL_ENCRYPTION_KEYS", KEY)];

fn sqlite(path: &str) -> DatabaseConfig {
    DatabaseConfig::Sqlite { path: path.into() }
}

#[test]
fn nodes_on_one_database_know_each_other() {
    const SECRETS: &str = "0123456789abcdef0123456789abcdef, fedcba9876543210fedcba9876543210";
    let variables = [
        ("AGENTCAL_DATABASE_URL", "postgres://u:hunter2@host/db"),
        ("AGENTCAL_REDIS_URL", "redis-sentinel://host:26379/0?sentinelServiceName=one"),
        ("AGENTCAL_ENCRYPTION_KEYS", KEY),
        ("AGENTCAL_PEER_SECRET", SECRETS),
        ("AGENTCAL_NODE_URL", "http://10.0.0.7:9090"),
    ];
    let config = read("", &variables).expect("a configuration");
    assert!(matches!(&config.database, DatabaseConfig::Postgres { connections_max: 16, .. }));
    assert!(config.redis_url.is_some());
    assert_eq!(config.peers.secrets.len(), 2, "a new one beside the old one");
    let listens: SocketAddr = "0.0.0.0:9090".parse().expect("an address");
    assert_eq!(
        (config.peers.address(listens), config.peers.nowhere(listens)),
        ("http://10.0.0.7:9090".to_owned(), None)
    );
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("fedcba98"), "{shown}");
}

/// An address to listen on is not always one to be reached at.
#[test]
fn an_address_that_is_nowhere_is_told() {
    let check = |url: &str, listens: &str, expected: Option<&str>| {
        let config = read("", &[&LEAST[..], &[("AGENTCAL_NODE_URL", url)]].concat()).expect("a configuration");
        let said = config.peers.nowhere(listens.parse().expect("an address"));
        assert_eq!(said.is_some(), expected.is_some(), "{url} {listens}: {said:?}");
        let said = said.unwrap_or_default();
        assert!(said.contains(expected.unwrap_or_default()), "{url} {listens}: {said}");
    };
    check("", "127.0.0.1:9090", None);
    check("", "10.0.0.7:9090", None);
    check("http://node-1:9090", "0.0.0.0:9090", None);
    check("http://[fd00::7]:9090", "[::]:9090", None);
    check("", "0.0.0.0:9090", Some("http://0.0.0.0:9090, where none can: set AGENTCAL_NODE_URL"));
    check("", "[::]:9090", Some("http://[::]:9090,"));
    check("http://0.0.0.0:9090", "10.0.0.7:9090", Some("http://0.0.0.0:9090,"));
    check("http://[::]:9090", "10.0.0.7:9090", Some("http://[::]:9090,"));
}

#[test]
fn the_least_is_enough() {
    let config = read("", &LEAST).expect("a configuration");
    assert_eq!(config.database, sqlite("/tmp/a.db"));
    assert_eq!(config.redis_url, None);
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(config.server.internal_listen.to_string(), "127.0.0.1:9090");
    assert_eq!(config.caldav.poll_min, Duration::from_secs(60));
    assert!(config.caldav.policy.https_only);
    assert_eq!(config.holds, HoldLimits::default());
}

#[test]
fn variables_go_before_the_file() {
    let file = format!(
        "[database]\nurl = \"sqlite://file.db\"\n[encryption]\nkeys = \"{KEY}\"\n[caldav]\npoll_seconds = 30\n\
         [server]\nlisten = \"127.0.0.1:1\"\n[holds]\nper_user_max = 5\nper_session_max = 2\n"
    );
    let variables = [("AGENTCAL_DATABASE_URL", "sqlite://variable.db"), ("AGENTCAL_HOLDS_PER_SESSION_MAX", "3")];
    let config = read(&file, &variables).expect("a configuration");
    assert_eq!(config.database, sqlite("variable.db"));
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:1");
    assert_eq!(config.caldav.poll_min, Duration::from_secs(30));
    assert_eq!(config.holds, HoldLimits { per_session: 3, per_user: 5, ..HoldLimits::default() });
}

#[test]
fn what_is_wrong_is_named_with_the_way_out() {
    let check = |file: &str, variable: (&str, &str), expected: &[&str]| {
        let mut variables = LEAST.to_vec();
        variables.retain(|(name, _)| *name != variable.0);
        variables.push(variable);
        let said = read(file, &variables).expect_err("nobody could work with this").to_string();
        for expected in expected {
            assert!(said.contains(expected), "{variable:?} {file:?}: {said} does not say {expected}");
        }
        assert!(variable.1.len() < 12 || !said.contains(variable.1), "values are not repeated: {said}");
    };
    check("", ("AGENTCAL_DATABASE_URL", ""), &["AGENTCAL_DATABASE_URL (database.url", "not set", "sqlite:///"]);
    check("", ("AGENTCAL_DATABASE_URL", "postgres://u:p@host/db"), &["AGENTCAL_PEER_SECRET", "openssl rand -hex 32"]);
    check("", ("AGENTCAL_DATABASE_URL", "mysql://u:p@host/database"), &["sqlite:///", "postgres://"]);
    check("", ("AGENTCAL_DATABASE_CONNECTIONS", "0"), &["AGENTCAL_DATABASE_CONNECTIONS", "1 to 500"]);
    check("", ("AGENTCAL_DATABASE_URL", "/var/lib/agentcal.db"), &["AGENTCAL_DATABASE_URL", "sqlite:///"]);
    check("", ("AGENTCAL_DATABASE_URL", "sqlite://a.db?mode=memory"), &["without parameters"]);
    check("", ("AGENTCAL_REDIS_URL", "http://localhost"), &["AGENTCAL_REDIS_URL", "must begin with redis://"]);
    check("", ("AGENTCAL_NODE_URL", "10.0.0.8:9090"), &["AGENTCAL_NODE_URL (peers.url", "http://10.0.0.7:9090"]);
    check("", ("AGENTCAL_NODE_URL", "https://10.0.0.8:9090"), &["AGENTCAL_NODE_URL (peers.url", "AGENTCAL_PEER_TLS"]);
    check("", ("AGENTCAL_PEER_SECRET", "too short a secret"), &["AGENTCAL_PEER_SECRET", "32 bytes", "openssl rand"]);
    check("", ("AGENTCAL_PEER_TLS_KEY", "/nowhere/key.pem"), &["AGENTCAL_PEER_TLS_CERTIFICATE", "go together"]);
    check("", ("AGENTCAL_ENCRYPTION_KEYS", ""), &["AGENTCAL_ENCRYPTION_KEYS", "openssl rand -base64 32"]);
    check("", ("AGENTCAL_ENCRYPTION_KEYS", "hunter2hunter2hunter2"), &["AGENTCAL_ENCRYPTION_KEYS", "openssl rand"]);
    check("", ("AGENTCAL_LISTEN", "8080"), &["AGENTCAL_LISTEN (server.listen", "0.0.0.0:8080"]);
    check("", ("AGENTCAL_INTERNAL_LISTEN", "0.0.0.0:8080"), &["AGENTCAL_INTERNAL_LISTEN", "must differ"]);
    check("", ("AGENTCAL_PUBLIC_URL", "calendar.example.org"), &["AGENTCAL_PUBLIC_URL", "https://cal.example.com"]);
    check("", ("AGENTCAL_CALDAV_POLL_SECONDS", "soon"), &["AGENTCAL_CALDAV_POLL_SECONDS"]);
    check("", ("AGENTCAL_CALDAV_POLL_SECONDS", "1"), &["5 to 3600"]);
    check("", ("AGENTCAL_CALDAV_ALLOW_HTTP", "true"), &["AGENTCAL_CALDAV_ALLOW_PRIVATE"]);
    check("", ("AGENTCAL_CALDAV_PORTS", "https"), &["AGENTCAL_CALDAV_PORTS", "443,8443"]);
    check(
        "",
        ("AGENTCAL_HOLDS_PER_USER_MAX", "0"),
        &["AGENTCAL_HOLDS_PER_USER_MAX (holds.per_user_max", "1 to 100000"],
    );
    check("", ("AGENTCAL_HOLDS_PER_SESSION_MAX", "few"), &["AGENTCAL_HOLDS_PER_SESSION_MAX"]);
    check("", ("AGENTCAL_LOG_FORMAT", "xml"), &["AGENTCAL_LOG_FORMAT", "`json`"]);
    check("", ("AGENTCAL_LISTN", "127.0.0.1:1"), &["AGENTCAL_LISTN: there is no such setting", "AGENTCAL_LISTEN"]);
    check("[server]\nlistn = 1", ("", ""), &["`server.listn` in the file", "no such setting", "listen"]);
    check("[sever]\n", ("", ""), &["`sever` in the file", "no such setting", "server"]);
    check("[server]\nlisten = 8080", ("", ""), &["AGENTCAL_LISTEN (server.listen", "must be a string"]);
    check("[server\n", ("", ""), &["the file"]);
}

/// Everything wrong is told at once.
#[test]
fn problems_come_together() {
    let variables = [("AGENTCAL_LISTEN", "x"), ("AGENTCAL_CALDAV_PORTS", "y")];
    let said = read("", &variables).expect_err("nobody could work with this").to_string();
    for name in ["AGENTCAL_DATABASE_URL", "AGENTCAL_ENCRYPTION_KEYS", "AGENTCAL_LISTEN", "AGENTCAL_CALDAV_PORTS"] {
        assert!(said.contains(name), "{said}");
    }
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let missing = std::path::Path::new("/nowhere/agentcal.toml");
    let said = RawConfig::read(Some(missing), &BTreeMap::new()).expect_err("no such file").to_string();
    assert_eq!(said, "there is no configuration file /nowhere/agentcal.toml");
}

#[test]
fn variables_of_tests_are_nobodys_business() {
    let variables = BTreeMap::from([("AGENTCAL_TEST_VENV".to_owned(), "x".to_owned())]);
    RawConfig::read(None, &variables).expect("nothing to complain about");
}

/// The example for administrators knows every setting, by both names.
#[test]
fn every_setting_is_documented() {
    let example = include_str!("../../../deploy/agentcal.env.example");
    for setting in SETTINGS {
        let line = format!("{}=", setting.variable);
        let documented = example.lines().any(|said| said.trim_start_matches('#').starts_with(&line));
        assert!(documented, "deploy/agentcal.env.example does not have {line}");
        let key = format!("{}.{}", setting.section, setting.key);
        assert!(example.contains(&key), "deploy/agentcal.env.example does not have {key}");
    }
    let named = example.lines().filter_map(|line| line.trim_start_matches('#').split_once('=')).map(|(name, _)| name);
    for name in named.filter(|name| name.starts_with("AGENTCAL_") && *name != CONFIG_VARIABLE) {
        assert!(SETTINGS.iter().any(|setting| setting.variable == name), "there is no setting {name}");
    }
}

#[test]
fn webhooks_go_to_public_addresses_unless_more_is_allowed() {
    let plain = read("", &LEAST).expect("a configuration").webhooks;
    assert!(plain.policy.https_only && !plain.policy.allow_private && !plain.policy.allow_loopback);
    assert_eq!((plain.policy.ports, plain.retry_waits.len()), (vec![443, 8_443], 9));
    let file = "[webhooks]\nallow_private = true\nallow_http = true\nports = \"any\"\nretry_seconds = \"1, 20\"\n";
    let wide = read(file, &LEAST).expect("a configuration").webhooks;
    assert!(!wide.policy.https_only && wide.policy.allow_private && !wide.policy.allow_loopback);
    assert_eq!((wide.policy.ports, wide.retry_waits), (vec![], [1, 20].map(Duration::from_secs).to_vec()));
    let check = |name: &str, value: &str, expected: &str| {
        let variables = [&LEAST[..], &[(name, value)]].concat();
        let said = read("", &variables).expect_err("a refusal").to_string();
        assert!(said.contains(name) && said.contains(expected), "{name}={value}: {said}");
    };
    check("AGENTCAL_WEBHOOKS_ALLOW_HTTP", "true", "AGENTCAL_WEBHOOKS_ALLOW_PRIVATE");
    check("AGENTCAL_WEBHOOKS_PORTS", "443,x", "port numbers");
    check("AGENTCAL_WEBHOOKS_RETRY_SECONDS", "5,0", "numbers of seconds");
    check("AGENTCAL_WEBHOOKS_RETRY_SECONDS", "5;7", "numbers of seconds");
}

#[test]
fn svix_delivers_where_both_of_its_settings_are_set() {
    assert!(read("", &LEAST).expect("a configuration").webhooks.svix.is_none());
    let (url, token) = (("AGENTCAL_SVIX_URL", "https://api.eu.svix.com"), ("AGENTCAL_SVIX_TOKEN", "testsk_1"));
    let both = read("", &[&LEAST[..], &[url, token]].concat()).expect("a configuration").webhooks.svix;
    let both = both.expect("Svix");
    assert_eq!((both.url.as_str(), both.token.said()), ("https://api.eu.svix.com/", Some("testsk_1")));
    let check = |variables: &[(&str, &str)], expected: &str| {
        let said = read("", &[&LEAST[..], variables].concat()).expect_err("a refusal").to_string();
        assert!(said.contains(expected) && !said.contains("testsk_1"), "{said}");
    };
    check(&[url], "AGENTCAL_SVIX_TOKEN");
    check(&[token], "AGENTCAL_SVIX_URL");
    for other in ["svix", "ftp://api.svix.com", "https://me:testsk_1@api.svix.com", "https://api.svix.com/?a=b"] {
        check(&[("AGENTCAL_SVIX_URL", other), token], "AGENTCAL_SVIX_URL");
    }
}
