//! Names to addresses, and to the services a domain announces.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};

use crate::error::EgressError;

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 16;
/// Most services of one domain that are considered.
const SERVICES_MAX: usize = 8;
/// How long one DNS question may take.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a domain says one of its services is (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceTarget {
    /// Host name.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Asks the system's name servers, or one that is given.
#[derive(Clone)]
pub struct Dns {
    server: Option<SocketAddr>,
}

impl Dns {
    /// Asks `server`, or whomever the system asks.
    pub fn new(server: Option<SocketAddr>) -> Self {
        Self { server }
    }

    /// The addresses of a name, unchecked.
    pub(crate) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, EgressError> {
        let found: Vec<IpAddr> = if self.server.is_none() {
            let lookup = tokio::net::lookup_host((name, 0));
            let answer =
                tokio::time::timeout(QUESTION_TIMEOUT, lookup).await.map_err(|_elapsed| EgressError::TimedOut)?;
            answer.map_err(|error| not_resolved(&error))?.map(|address| address.ip()).take(ADDRESSES_MAX).collect()
        } else {
            let answer = self.resolver()?.lookup_ip(fully_qualified(name)).await;
            answer.map_err(|error| not_resolved(&error))?.iter().take(ADDRESSES_MAX).collect()
        };
        if found.is_empty() { Err(EgressError::Connection("the name has no address".to_owned())) } else { Ok(found) }
    }

    /// Where a domain says a service is, best first (lowest priority, then heaviest weight). Empty when it does not say;
    /// a single target of "." means it is expressly not offered, which is empty too.
    pub async fn services(&self, name: &str) -> Result<Vec<ServiceTarget>, EgressError> {
        let mut targets = Vec::new();
        for record in self.records(name, RecordType::SRV).await? {
            if let RData::SRV(srv) = record {
                let host = srv.target.to_utf8().trim_end_matches('.').to_owned();
                targets.push((srv.priority, u16::MAX - srv.weight, ServiceTarget { host, port: srv.port }));
            }
        }
        targets.sort_by_key(|&(priority, lightness, _)| (priority, lightness));
        let named = targets.into_iter().map(|(_, _, target)| target).filter(|target| !target.host.is_empty());
        Ok(named.take(SERVICES_MAX).collect())
    }

    /// The texts a name carries.
    pub async fn texts(&self, name: &str) -> Result<Vec<String>, EgressError> {
        let records = self.records(name, RecordType::TXT).await?.into_iter();
        Ok(records
            .filter_map(|record| match record {
                RData::TXT(txt) => {
                    let bytes: Vec<u8> = txt.txt_data.iter().flat_map(|part| part.iter().copied()).collect();
                    String::from_utf8(bytes).ok()
                }
                _ => None,
            })
            .take(SERVICES_MAX)
            .collect())
    }

    async fn records(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, EgressError> {
        let question = self.resolver()?;
        let answer = tokio::time::timeout(QUESTION_TIMEOUT, question.lookup(fully_qualified(name), kind)).await;
        match answer.map_err(|_elapsed| EgressError::TimedOut)? {
            Ok(lookup) => Ok(lookup.answers().iter().map(|record| record.data.clone()).collect()),
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(not_resolved(&error)),
        }
    }

    /// A resolver per question: questions are rare, and an answer kept here would outlive the domain's own wish.
    fn resolver(&self) -> Result<TokioResolver, EgressError> {
        let builder = match self.server {
            None => TokioResolver::builder_tokio().map_err(|error| not_resolved(&error))?,
            Some(server) => Resolver::builder_with_config(config_of(server), TokioRuntimeProvider::default()),
        };
        builder.build().map_err(|error| not_resolved(&error))
    }
}

fn config_of(server: SocketAddr) -> ResolverConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = server.port();
    }
    let name_server = NameServerConfig::new(server.ip(), true, connections);
    ResolverConfig::from_parts(None, Vec::new(), vec![name_server])
}

/// Names come from URLs and mail addresses, never from a person's shell: no search list applies.
fn fully_qualified(name: &str) -> String {
    if name.ends_with('.') { name.to_owned() } else { format!("{name}.") }
}

fn not_resolved(error: &dyn std::error::Error) -> EgressError {
    tracing::debug!(%error, "a name was not resolved");
    EgressError::Connection("the name cannot be resolved".to_owned())
}
