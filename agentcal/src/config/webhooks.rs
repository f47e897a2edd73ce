//! How a node tells the webhook endpoints its customers name.

use std::net::SocketAddr;
use std::time::Duration;

use agentcal_engine::webhooks::RETRY_WAITS;
use agentcal_provider_egress::EgressPolicy;
use serde::Deserialize;
use url::Url;

use super::egress;
use super::error::Problem;
use super::secret::SecretText;
use super::settings::{
    SVIX_TOKEN, SVIX_URL, WEBHOOKS_ALLOW_HTTP, WEBHOOKS_ALLOW_LOOPBACK, WEBHOOKS_ALLOW_PRIVATE, WEBHOOKS_PORTS,
    WEBHOOKS_RETRY_SECONDS,
};

/// Ports messages are sent to.
const PORTS: [u16; 2] = [443, 8_443];
/// Most waits between the tries of one delivery, and the longest: a week.
const WAITS_MAX: usize = 20;
const WAIT_MAX_SECONDS: u64 = 7 * 24 * 3_600;
/// Waits between the tries of one delivery in `agentcal dev`, in seconds: somebody sits there and waits.
const WAITS_IN_DEV: [u64; 9] = [1, 2, 3, 5, 10, 30, 60, 300, 600];

/// How a node tells webhook endpoints.
#[derive(Clone, Debug)]
pub(crate) struct WebhooksConfig {
    /// Which addresses.
    pub(crate) policy: EgressPolicy,
    /// The name server to ask, where not the system's.
    pub(crate) dns_server: Option<SocketAddr>,
    /// Waits between the tries of one delivery.
    pub(crate) retry_waits: Vec<Duration>,
    /// The service that delivers in our place; `None`: we do.
    pub(crate) svix: Option<SvixConfig>,
}

/// Where Svix is, and what it knows us by.
#[derive(Clone, Debug)]
pub(crate) struct SvixConfig {
    /// Its address.
    pub(crate) url: Url,
    /// The token of an environment.
    pub(crate) token: SecretText,
}

impl WebhooksConfig {
    /// That of `agentcal dev`: this machine may be spoken to, too, and retries come soon.
    pub(crate) fn in_dev() -> Self {
        let retry_waits = WAITS_IN_DEV.into_iter().map(Duration::from_secs).collect();
        Self { policy: EgressPolicy::development(), dns_server: None, retry_waits, svix: None }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    allow_private: bool,
    allow_loopback: bool,
    allow_http: bool,
    ports: Option<String>,
    retry_seconds: Option<String>,
    svix_url: Option<String>,
    svix_token: Option<SecretText>,
}

impl Raw {
    /// That of `agentcal serve`: https to public addresses, unless more is allowed.
    pub(super) fn check(&self) -> Result<WebhooksConfig, Vec<Problem>> {
        let ports = egress::ports(self.ports.as_deref()).map_err(|says| Problem::of(WEBHOOKS_PORTS, says));
        let waits = self.waits().map_err(|says| Problem::of(WEBHOOKS_RETRY_SECONDS, says));
        let is_of_use = self.allow_private || self.allow_loopback;
        let others = [&WEBHOOKS_ALLOW_PRIVATE, &WEBHOOKS_ALLOW_LOOPBACK];
        let transport = egress::check_http(self.allow_http, is_of_use, others);
        let transport = transport.map_err(|says| Problem::of(WEBHOOKS_ALLOW_HTTP, says));
        match (ports, waits, transport, self.svix()) {
            (Ok(ports), Ok(retry_waits), Ok(()), Ok(svix)) => {
                Ok(WebhooksConfig { policy: self.policy(ports), dns_server: None, retry_waits, svix })
            }
            (ports, waits, transport, svix) => {
                Err([ports.err(), waits.err(), transport.err(), svix.err()].into_iter().flatten().collect())
            }
        }
    }

    /// Both of its settings, or neither.
    fn svix(&self) -> Result<Option<SvixConfig>, Problem> {
        let url = self.svix_url.as_deref().filter(|url| !url.is_empty());
        let token = self.svix_token.clone().filter(|token| token.said().is_some());
        match (url, token) {
            (None, None) => Ok(None),
            (None, Some(_)) => {
                Err(Problem::of(SVIX_URL, "must be set with AGENTCAL_SVIX_TOKEN, as in https://api.eu.svix.com"))
            }
            (Some(_), None) => {
                Err(Problem::of(SVIX_TOKEN, "must be set with AGENTCAL_SVIX_URL, to a token of an environment"))
            }
            (Some(url), Some(token)) => {
                let says = "must be the address of a Svix server, as in https://api.eu.svix.com";
                let url = Url::parse(url).ok().filter(is_of_a_server).ok_or_else(|| Problem::of(SVIX_URL, says))?;
                Ok(Some(SvixConfig { url, token }))
            }
        }
    }

    fn policy(&self, ports: Option<Vec<u16>>) -> EgressPolicy {
        let mut policy = EgressPolicy::production();
        policy.allow_loopback = self.allow_loopback;
        policy.allow_private = self.allow_private;
        policy.https_only = !self.allow_http;
        policy.ports = ports.unwrap_or_else(|| PORTS.to_vec());
        policy
    }

    fn waits(&self) -> Result<Vec<Duration>, &'static str> {
        let Some(text) = self.retry_seconds.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(RETRY_WAITS.to_vec());
        };
        let seconds: Result<Vec<u64>, _> = text.split(',').map(|wait| wait.trim().parse()).collect();
        let is_fine = |waits: &Vec<u64>| {
            waits.len() <= WAITS_MAX && waits.iter().all(|wait| (1..=WAIT_MAX_SECONDS).contains(wait))
        };
        let waits = seconds
            .ok()
            .filter(is_fine)
            .ok_or("must be at most 20 numbers of seconds, 1 to 604800, as in 5,300,1800")?;
        Ok(waits.into_iter().map(Duration::from_secs).collect())
    }
}

fn is_of_a_server(url: &Url) -> bool {
    let is_bare =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    matches!(url.scheme(), "http" | "https") && url.has_host() && is_bare
}
