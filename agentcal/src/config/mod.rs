//! Configuration: a TOML file if one is named, over it the `AGENTCAL_*` variables. Read once, checked whole, handed down.

mod caldav;
mod database;
mod egress;
mod encryption;
mod error;
mod holds;
mod limits;
mod log;
mod mail;
mod peers;
mod secret;
mod server;
mod settings;
mod vendors;
mod webhooks;

use std::collections::BTreeMap;
use std::path::Path;

use agentcal_engine::commit::HoldLimits;
use figment::Figment;
use figment::providers::{Format, Toml};
use serde::Deserialize;

pub(crate) use caldav::CaldavConfig;
pub(crate) use database::DatabaseConfig;
pub(crate) use encryption::EncryptionConfig;
pub(crate) use error::{ConfigError, Problem};
pub(crate) use limits::LimitsConfig;
pub(crate) use log::{LogConfig, LogFormat};
pub(crate) use mail::MailConfig;
pub(crate) use peers::PeersConfig;
pub(crate) use secret::SecretText;
pub(crate) use server::ServerConfig;
pub(crate) use settings::CONFIG_VARIABLE;
pub(crate) use vendors::VendorsConfig;
pub(crate) use webhooks::{SvixConfig, WebhooksConfig};

/// Everything a production node is told.
#[derive(Debug)]
pub(crate) struct Config {
    /// The durable store.
    pub(crate) database: DatabaseConfig,
    /// The Redis server facts are cached on; `None`: in the process.
    pub(crate) redis_url: Option<SecretText>,
    /// How it and other nodes know each other.
    pub(crate) peers: PeersConfig,
    /// Where it listens and what it is called.
    pub(crate) server: ServerConfig,
    /// Keys that protect stored secrets.
    pub(crate) encryption: EncryptionConfig,
    /// How it speaks to CalDAV servers.
    pub(crate) caldav: CaldavConfig,
    /// Most live holds.
    pub(crate) holds: HoldLimits,
    /// How often keys may ask.
    pub(crate) limits: LimitsConfig,
    /// How mails leave; `None`: not at all.
    pub(crate) mail: Option<MailConfig>,
    /// How it speaks to webhook endpoints.
    pub(crate) webhooks: WebhooksConfig,
    /// Google and Microsoft 365.
    pub(crate) vendors: VendorsConfig,
}

/// What commands need that touch nothing but the store.
#[derive(Debug)]
pub(crate) struct StoreConfig {
    /// The durable store.
    pub(crate) database: DatabaseConfig,
    /// Keys that protect stored secrets.
    pub(crate) encryption: EncryptionConfig,
}

/// What was said, before anything is checked. Each section knows its own keys, and no others.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawConfig {
    database: database::Raw,
    cache: database::RawCache,
    server: server::Raw,
    encryption: encryption::Raw,
    caldav: caldav::Raw,
    holds: holds::Raw,
    limits: limits::Raw,
    mail: mail::Raw,
    webhooks: webhooks::Raw,
    peers: peers::Raw,
    google: vendors::RawGoogle,
    microsoft: vendors::RawMicrosoft,
    oauth: vendors::Raw,
    log: log::Raw,
}

impl RawConfig {
    /// Reads the file, if one is named, and the variables.
    pub(crate) fn read(file: Option<&Path>, variables: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let environment = settings::Environment(variables);
        let unknown: Vec<_> = environment.unknown().map(Problem::unknown_variable).collect();
        if !unknown.is_empty() {
            return Err(ConfigError::Problems(unknown));
        }
        let mut figment = Figment::new();
        if let Some(file) = file {
            if !file.is_file() {
                return Err(ConfigError::NoFile(file.to_owned()));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        Ok(figment.merge(environment).extract_lossy()?)
    }

    /// Checks everything and reports everything that is wrong.
    pub(crate) fn check(&self) -> Result<Config, ConfigError> {
        let mut problems = Vec::new();
        let database = keep(self.database.check(), &mut problems);
        let redis_url = keep(self.cache.check(), &mut problems);
        let peers = keep(self.peers.check(database.as_ref()), &mut problems);
        let server = keep(self.server.check(), &mut problems);
        let encryption = keep(self.encryption.check(), &mut problems);
        let caldav = keep(self.caldav.check(), &mut problems);
        let holds = keep(self.holds.check(), &mut problems).zip(keep(self.limits.check(), &mut problems));
        let mail = keep(self.mail.check(), &mut problems).zip(keep(self.webhooks.check(), &mut problems));
        let vendors = keep(vendors::check(&self.google, &self.microsoft, &self.oauth, false), &mut problems);
        keep(self.log.check(), &mut problems);
        let store = database.zip(redis_url).zip(peers).zip(mail).zip(vendors);
        match (store, server, encryption, caldav, holds) {
            (Some(store), Some(server), Some(encryption), Some(caldav), Some((holds, limits)))
                if problems.is_empty() =>
            {
                let ((((database, redis_url), peers), (mail, webhooks)), vendors) = store;
                // One name server is asked about all servers that customers name.
                let webhooks = WebhooksConfig { dns_server: caldav.dns_server, ..webhooks };
                Ok(Config {
                    database,
                    redis_url,
                    peers,
                    server,
                    encryption,
                    caldav,
                    holds,
                    limits,
                    mail,
                    webhooks,
                    vendors,
                })
            }
            _ => Err(ConfigError::Problems(problems)),
        }
    }

    /// Checks what the store needs.
    pub(crate) fn check_store(&self) -> Result<StoreConfig, ConfigError> {
        let mut problems = Vec::new();
        let database = keep(self.database.check(), &mut problems);
        let encryption = keep(self.encryption.check(), &mut problems);
        match (database, encryption) {
            (Some(database), Some(encryption)) => Ok(StoreConfig { database, encryption }),
            _ => Err(ConfigError::Problems(problems)),
        }
    }

    /// Checks how many live holds there may be.
    pub(crate) fn check_holds(&self) -> Result<HoldLimits, ConfigError> {
        self.holds.check().map_err(ConfigError::Problems)
    }

    /// Checks how often keys may ask.
    pub(crate) fn check_limits(&self) -> Result<LimitsConfig, ConfigError> {
        self.limits.check().map_err(ConfigError::Problems)
    }

    /// Checks where Google and Microsoft 365 are, for `agentcal dev`.
    pub(crate) fn check_vendors_in_dev(&self) -> Result<VendorsConfig, ConfigError> {
        vendors::check(&self.google, &self.microsoft, &self.oauth, true).map_err(ConfigError::Problems)
    }

    /// Checks how to log.
    pub(crate) fn check_log(&self) -> Result<LogConfig, ConfigError> {
        self.log.check().map_err(ConfigError::Problems)
    }
}

fn keep<T>(checked: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    checked.map_err(|found| problems.extend(found)).ok()
}

#[cfg(test)]
mod tests;
