//! `agentcal doctor`: a line for everything that was looked at, and failure if one of them is bad.

mod clocks;
mod nodes;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use agentcal_delivery_mail::SmtpTransport;
use agentcal_engine::ports::{CacheError, OauthClient};
use agentcal_provider_egress::Dns;
use agentcal_provider_oauth::OauthOptions;
use agentcal_store_redis::{RedisConfig, RedisFactCache};
use tokio::net::TcpListener;

use super::{CommandResult, Surroundings, say};
use crate::boot;
use crate::boot::skew::Skew;
use crate::config::{
    Config, ConfigError, DatabaseConfig, EncryptionConfig, MailConfig, SecretText, SvixConfig, VendorsConfig,
};
use crate::durable::Durable;

/// Longest wait for a server.
const SERVER_TIMEOUT: Duration = Duration::from_secs(5);
/// A name every name server has an answer to, if only that there is none.
const PROBE_NAME: &str = "example.com";

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    Warning,
    Bad,
}

/// One line.
#[derive(Debug)]
struct Finding {
    state: State,
    about: &'static str,
    says: String,
}

impl Finding {
    fn good(about: &'static str, says: impl Into<String>) -> Self {
        Self { state: State::Good, about, says: says.into() }
    }

    fn warning(about: &'static str, says: impl Into<String>) -> Self {
        Self { state: State::Warning, about, says: says.into() }
    }

    fn bad(about: &'static str, says: impl Into<String>) -> Self {
        Self { state: State::Bad, about, says: says.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Good => "ok  ",
            State::Warning => "warn",
            State::Bad => "BAD ",
        };
        write!(f, "{state}  {:<14}  {}", self.about, self.says)
    }
}

pub(super) async fn run(surroundings: &Surroundings) -> CommandResult {
    let findings = match surroundings.raw_config().and_then(|raw| raw.check()) {
        Ok(config) => examine(&config).await,
        Err(ConfigError::Problems(problems)) => {
            problems.iter().map(|problem| Finding::bad("configuration", problem.to_string())).collect()
        }
        Err(error @ ConfigError::NoFile(_)) => vec![Finding::bad("configuration", error.to_string())],
    };
    for finding in &findings {
        say(finding)?;
    }
    let bad = findings.iter().any(|finding| finding.state == State::Bad);
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = vec![Finding::good("configuration", "every setting can be used")];
    findings.push(public_url(config));
    findings.extend(database(config).await);
    findings.extend(redis(config).await);
    findings.push(listen("listen", config.server.listen).await);
    findings.push(listen("internal", config.server.internal_listen).await);
    findings.push(caldav(config));
    findings.extend(vendors(&config.vendors));
    findings.push(mail(config.mail.as_ref()).await);
    if let Some(svix) = &config.webhooks.svix {
        findings.push(webhooks(svix).await);
    }
    if let Some(server) = config.caldav.dns_server {
        findings.push(dns(server).await);
    }
    findings
}

fn public_url(config: &Config) -> Finding {
    match &config.server.public_url {
        None => Finding::warning("public URL", "AGENTCAL_PUBLIC_URL is not set; links will name the listening address"),
        Some(url) if url.scheme() == "http" => Finding::warning(
            "public URL",
            format!("{url} is not https: keys travel readable unless something in front encrypts"),
        ),
        Some(url) => Finding::good("public URL", url.as_str()),
    }
}

async fn database(config: &Config) -> Vec<Finding> {
    if let Err(error) = boot::require_database(&config.database) {
        return vec![Finding::bad("database", error.to_string())];
    }
    match Durable::open(&config.database, config.encryption.keyring.clone()).await {
        Err(error) => vec![Finding::bad("database", with_causes(error.as_ref()))],
        Ok(store) => {
            let mut findings = vec![writable(&config.database), schema(&store).await];
            if findings.iter().all(|finding| finding.state == State::Good) {
                findings.extend(durability(&store).await);
                findings.push(encryption(&store, &config.encryption).await);
                findings.extend(clock(&store).await);
                findings.extend(nodes::examine(&store, &config.peers, config.server.internal_listen).await);
            }
            store.close().await;
            findings
        }
    }
}

fn writable(database: &DatabaseConfig) -> Finding {
    let DatabaseConfig::Sqlite { path } = database else {
        return Finding::good("database", "PostgreSQL answers");
    };
    match std::fs::OpenOptions::new().append(true).open(path) {
        Ok(_) => Finding::good("database", format!("{} can be opened and written", path.display())),
        Err(error) => Finding::bad("database", format!("{} cannot be written: {error}", path.display())),
    }
}

async fn schema(store: &Durable) -> Finding {
    match boot::require_current_schema(store).await {
        Ok(()) => Finding::good("schema", "up to date"),
        Err(error) => Finding::bad("schema", with_causes(&error)),
    }
}

async fn durability(store: &Durable) -> Vec<Finding> {
    match store.durability().await {
        Err(error) => vec![Finding::bad("durability", with_causes(&error))],
        Ok(found) => {
            let fatal = found.fatal.into_iter().map(|problem| Finding::bad("durability", problem));
            let remarks = found.remarks.into_iter().map(|remark| Finding::warning("database", remark));
            let mut findings: Vec<Finding> = fatal.collect();
            if findings.is_empty() {
                findings.push(Finding::good("durability", "confirmed bookings survive a loss of power"));
            }
            findings.extend(remarks);
            findings
        }
    }
}

async fn encryption(store: &Durable, encryption: &EncryptionConfig) -> Finding {
    match boot::require_right_keys(store).await {
        Ok(()) => {
            let ids: Vec<&str> = encryption.keyring.key_ids().collect();
            Finding::good("encryption", format!("what is stored can be opened; keys: {}", ids.join(", ")))
        }
        Err(error) => Finding::bad("encryption", with_causes(&error)),
    }
}

/// A file has this machine's clock.
async fn clock(store: &Durable) -> Option<Finding> {
    match store.skew().await? {
        Ok(skew) => Some(clocks::database(skew)),
        Err(error) => Some(Finding::bad("clock", with_causes(&error))),
    }
}

/// Redis may be lost at any time, so nothing about it is fatal; without it questions only take longer.
async fn redis(config: &Config) -> Vec<Finding> {
    let Some(url) = config.redis_url.as_ref().and_then(SecretText::said) else {
        let several = matches!(config.database, DatabaseConfig::Postgres { .. });
        let says = "AGENTCAL_REDIS_URL is not set: nodes ask each other for what is busy, a hop for each question";
        return several.then(|| Finding::warning("Redis", says)).into_iter().collect();
    };
    let cache = match RedisFactCache::connect(&RedisConfig::at(url)) {
        Ok(cache) => cache,
        Err(error) => return vec![Finding::bad("Redis", with_causes(&error))],
    };
    let found = async {
        cache.ready(SERVER_TIMEOUT).await?;
        Ok::<_, CacheError>((cache.health().await?, Skew::measure(|| cache.server_now()).await?))
    };
    let found = found.await;
    cache.close().await;
    match found {
        Err(error) => vec![Finding::bad("Redis", with_causes(&error))],
        Ok((health, skew)) => {
            let says = format!("version {}, {:.1} ms away", health.version, health.round_trip.as_secs_f64() * 1e3);
            let remarks = health.remarks.into_iter().map(|remark| Finding::warning("Redis", remark));
            std::iter::once(Finding::good("Redis", says)).chain(remarks).chain(clocks::redis(skew)).collect()
        }
    }
}

/// A running node has its addresses in use, which is as it should be.
async fn listen(about: &'static str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address).await {
        Ok(_) => Finding::good(about, format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Finding::warning(about, format!("{address} is in use: by a running agentcal, or by another program"))
        }
        Err(error) => Finding::bad(about, format!("{address} cannot be listened on: {error}")),
    }
}

fn caldav(config: &Config) -> Finding {
    let policy = &config.caldav.policy;
    let opened = [
        (policy.allow_private, "private networks"),
        (policy.allow_loopback, "this machine"),
        (!policy.https_only, "plain http"),
    ];
    let opened: Vec<&str> = opened.into_iter().filter_map(|(open, name)| open.then_some(name)).collect();
    if opened.is_empty() {
        return Finding::good("CalDAV", "customers may name public https servers alone");
    }
    Finding::warning("CalDAV", format!("customers may also name servers over: {}", opened.join(", ")))
}

/// Who the installation is to vendors; asked for consent, they would say more.
fn vendors(config: &VendorsConfig) -> [Finding; 2] {
    let finding = |about, client: Option<&OauthClient>| match client {
        Some(client) => Finding::good(about, format!("the installation's OAuth client is {}", client.client_id)),
        None => Finding::good(about, "no OAuth client of the installation's: organizations bring their own"),
    };
    let OauthOptions { google_client, microsoft_client, .. } = &config.oauth;
    [finding("Google", google_client.as_ref()), finding("Microsoft 365", microsoft_client.as_ref())]
}

/// Connects, encrypts and logs in, and sends nothing.
async fn mail(config: Option<&MailConfig>) -> Finding {
    let Some(smtp) = config.and_then(|config| config.smtp.clone()) else {
        return Finding::warning("mail", "AGENTCAL_SMTP_URL is not set: nobody gets mail about bookings");
    };
    match tokio::time::timeout(SERVER_TIMEOUT, SmtpTransport::new(smtp).check()).await {
        Ok(Ok(())) => Finding::good("mail", "the server can be used"),
        Ok(Err(trouble)) => Finding::bad("mail", trouble.to_string()),
        Err(_) => Finding::bad("mail", format!("the server did not answer in {} s", SERVER_TIMEOUT.as_secs())),
    }
}

/// Asks something that changes nothing.
async fn webhooks(config: &SvixConfig) -> Finding {
    let svix = match boot::svix(config) {
        Ok(svix) => svix,
        Err(error) => return Finding::bad("Svix", with_causes(&error)),
    };
    match tokio::time::timeout(SERVER_TIMEOUT, svix.check()).await {
        Ok(Ok(())) => Finding::good("Svix", "it answers and knows the token"),
        Ok(Err(says)) => Finding::bad("Svix", says),
        Err(_) => Finding::bad("Svix", format!("it did not answer in {} s", SERVER_TIMEOUT.as_secs())),
    }
}

async fn dns(server: SocketAddr) -> Finding {
    let dns = Dns::new(Some(server));
    match tokio::time::timeout(SERVER_TIMEOUT, dns.texts(PROBE_NAME)).await {
        Ok(Ok(_)) => Finding::good("name server", format!("{server} answers")),
        Ok(Err(error)) => Finding::bad("name server", format!("{server}: {}", with_causes(&error))),
        Err(_) => Finding::bad("name server", format!("{server} did not answer in {} s", SERVER_TIMEOUT.as_secs())),
    }
}

fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    crate::Causes(error).to_string()
}
