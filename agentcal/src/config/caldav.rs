//! How a node speaks to the CalDAV servers its customers name.

use std::net::SocketAddr;
use std::time::Duration;

use agentcal_provider_egress::EgressPolicy;
use serde::Deserialize;

use super::egress;
use super::error::Problem;
use super::settings::{
    CALDAV_ALLOW_HTTP, CALDAV_ALLOW_LOOPBACK, CALDAV_ALLOW_PRIVATE, CALDAV_POLL_SECONDS, CALDAV_PORTS, DNS_SERVER,
};

/// Time between two polls of a calendar that changes now, unless said otherwise.
const POLL_DEFAULT: Duration = Duration::from_secs(60);
/// The same in `agentcal dev`, where somebody sits and waits.
const POLL_IN_DEV: Duration = Duration::from_secs(10);
/// A quiet calendar is polled this much less often, and never less than once an hour.
const QUIET_FACTOR: u32 = 15;
const QUIET_MAX: Duration = Duration::from_secs(3_600);

/// How a node speaks to CalDAV servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CaldavConfig {
    /// Which addresses.
    pub(crate) policy: EgressPolicy,
    /// The name server to ask, where not the system's.
    pub(crate) dns_server: Option<SocketAddr>,
    /// Time between two polls of a calendar that changes now.
    pub(crate) poll_min: Duration,
    /// Time between two polls of a calendar that has long been quiet.
    pub(crate) poll_max: Duration,
}

impl CaldavConfig {
    /// That of `agentcal dev`: this machine may be spoken to, and every calendar is polled often.
    pub(crate) fn in_dev() -> Self {
        let policy = EgressPolicy::development();
        Self { policy, dns_server: None, poll_min: POLL_IN_DEV, poll_max: POLL_IN_DEV }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    poll_seconds: Option<u64>,
    allow_private: bool,
    allow_loopback: bool,
    allow_http: bool,
    ports: Option<String>,
    dns_server: Option<String>,
}

impl Raw {
    pub(super) fn check(&self) -> Result<CaldavConfig, Vec<Problem>> {
        let poll = self.poll().map_err(|says| Problem::of(CALDAV_POLL_SECONDS, says));
        let ports = egress::ports(self.ports.as_deref()).map_err(|says| Problem::of(CALDAV_PORTS, says));
        let dns_server = self.dns_server().map_err(|says| Problem::of(DNS_SERVER, says));
        let is_of_use = self.allow_private || self.allow_loopback;
        let others = [&CALDAV_ALLOW_PRIVATE, &CALDAV_ALLOW_LOOPBACK];
        let transport = egress::check_http(self.allow_http, is_of_use, others);
        let transport = transport.map_err(|says| Problem::of(CALDAV_ALLOW_HTTP, says));
        match (poll, ports, dns_server, transport) {
            (Ok(poll), Ok(ports), Ok(dns_server), Ok(())) => {
                let poll_max = (poll * QUIET_FACTOR).min(QUIET_MAX);
                Ok(CaldavConfig { policy: self.policy(ports), dns_server, poll_min: poll, poll_max })
            }
            (poll, ports, dns, http) => {
                Err([poll.err(), ports.err(), dns.err(), http.err()].into_iter().flatten().collect())
            }
        }
    }

    fn policy(&self, ports: Option<Vec<u16>>) -> EgressPolicy {
        let mut policy = EgressPolicy::production();
        policy.allow_loopback = self.allow_loopback;
        policy.allow_private = self.allow_private;
        policy.https_only = !self.allow_http;
        policy.ports = ports.unwrap_or(policy.ports);
        policy
    }

    fn poll(&self) -> Result<Duration, &'static str> {
        match self.poll_seconds {
            None => Ok(POLL_DEFAULT),
            Some(seconds @ 5..=3_600) => Ok(Duration::from_secs(seconds)),
            Some(_) => Err("must be 5 to 3600 seconds"),
        }
    }

    fn dns_server(&self) -> Result<Option<SocketAddr>, &'static str> {
        let Some(text) = self.dns_server.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        text.parse().map(Some).or(Err("must be an address and a port, as in 192.0.2.53:53"))
    }
}
