//! How a node tells the webhook endpoints its customers name.

use std::net::SocketAddr;
use std::time::Duration;

use agentcal_engine::webhooks::RETRY_WAITS;
use agentcal_provider_egress::EgressPolicy;

/// Ports messages are sent to.
const PORTS: [u16; 2] = [443, 8_443];
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
}

impl WebhooksConfig {
    /// That of `agentcal serve`: https to public addresses.
    pub(crate) fn in_production(dns_server: Option<SocketAddr>) -> Self {
        let policy = EgressPolicy { ports: PORTS.to_vec(), ..EgressPolicy::production() };
        Self { policy, dns_server, retry_waits: RETRY_WAITS.to_vec() }
    }

    /// That of `agentcal dev`: this machine may be spoken to, too, and retries come soon.
    pub(crate) fn in_dev() -> Self {
        let retry_waits = WAITS_IN_DEV.into_iter().map(Duration::from_secs).collect();
        Self { policy: EgressPolicy::development(), dns_server: None, retry_waits }
    }
}
