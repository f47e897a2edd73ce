//! Every setting by its two names: the variable, and its key in the file.

use std::collections::BTreeMap;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The section of the file.
    pub(crate) section: &'static str,
    /// The key in its section.
    pub(crate) key: &'static str,
    /// The variable.
    pub(crate) variable: &'static str,
}

const fn setting(variable: &'static str, section: &'static str, key: &'static str) -> Setting {
    Setting { section, key, variable }
}

pub(crate) const DATABASE_URL: Setting = setting("AGENTCAL_DATABASE_URL", "database", "url");
pub(crate) const DATABASE_CONNECTIONS: Setting =
    setting("AGENTCAL_DATABASE_CONNECTIONS", "database", "connections_max");
pub(crate) const REDIS_URL: Setting = setting("AGENTCAL_REDIS_URL", "cache", "redis_url");
pub(crate) const LISTEN: Setting = setting("AGENTCAL_LISTEN", "server", "listen");
pub(crate) const INTERNAL_LISTEN: Setting = setting("AGENTCAL_INTERNAL_LISTEN", "server", "internal_listen");
pub(crate) const PUBLIC_URL: Setting = setting("AGENTCAL_PUBLIC_URL", "server", "public_url");
pub(crate) const ENCRYPTION_KEYS: Setting = setting("AGENTCAL_ENCRYPTION_KEYS", "encryption", "keys");
pub(crate) const NODE_URL: Setting = setting("AGENTCAL_NODE_URL", "peers", "url");
pub(crate) const PEER_SECRET: Setting = setting("AGENTCAL_PEER_SECRET", "peers", "secret");
pub(crate) const PEER_TLS_CERTIFICATE: Setting = setting("AGENTCAL_PEER_TLS_CERTIFICATE", "peers", "tls_certificate");
pub(crate) const PEER_TLS_KEY: Setting = setting("AGENTCAL_PEER_TLS_KEY", "peers", "tls_key");
pub(crate) const PEER_TLS_AUTHORITY: Setting = setting("AGENTCAL_PEER_TLS_AUTHORITY", "peers", "tls_authority");
pub(crate) const CALDAV_POLL_SECONDS: Setting = setting("AGENTCAL_CALDAV_POLL_SECONDS", "caldav", "poll_seconds");
pub(crate) const CALDAV_ALLOW_PRIVATE: Setting = setting("AGENTCAL_CALDAV_ALLOW_PRIVATE", "caldav", "allow_private");
pub(crate) const CALDAV_ALLOW_LOOPBACK: Setting = setting("AGENTCAL_CALDAV_ALLOW_LOOPBACK", "caldav", "allow_loopback");
pub(crate) const CALDAV_ALLOW_HTTP: Setting = setting("AGENTCAL_CALDAV_ALLOW_HTTP", "caldav", "allow_http");
pub(crate) const CALDAV_PORTS: Setting = setting("AGENTCAL_CALDAV_PORTS", "caldav", "ports");
pub(crate) const DNS_SERVER: Setting = setting("AGENTCAL_DNS_SERVER", "caldav", "dns_server");
pub(crate) const GOOGLE_CLIENT_ID: Setting = setting("AGENTCAL_GOOGLE_CLIENT_ID", "google", "client_id");
pub(crate) const GOOGLE_CLIENT_SECRET: Setting = setting("AGENTCAL_GOOGLE_CLIENT_SECRET", "google", "client_secret");
pub(crate) const GOOGLE_API_ADDRESS: Setting = setting("AGENTCAL_GOOGLE_API_URL", "google", "api_url");
pub(crate) const GOOGLE_CONSENT_ADDRESS: Setting = setting("AGENTCAL_GOOGLE_CONSENT_URL", "google", "consent_url");
pub(crate) const GOOGLE_OAUTH_ADDRESS: Setting = setting("AGENTCAL_GOOGLE_OAUTH_URL", "google", "oauth_url");
pub(crate) const MICROSOFT_CLIENT_ID: Setting = setting("AGENTCAL_MICROSOFT_CLIENT_ID", "microsoft", "client_id");
pub(crate) const MICROSOFT_CLIENT_SECRET: Setting =
    setting("AGENTCAL_MICROSOFT_CLIENT_SECRET", "microsoft", "client_secret");
pub(crate) const MICROSOFT_TENANT_NAME: Setting = setting("AGENTCAL_MICROSOFT_TENANT", "microsoft", "tenant");
pub(crate) const MICROSOFT_GRAPH_ADDRESS: Setting = setting("AGENTCAL_MICROSOFT_GRAPH_URL", "microsoft", "graph_url");
pub(crate) const MICROSOFT_LOGIN_ADDRESS: Setting = setting("AGENTCAL_MICROSOFT_LOGIN_URL", "microsoft", "login_url");
pub(crate) const OAUTH_ALLOW_LOOPBACK: Setting = setting("AGENTCAL_OAUTH_ALLOW_LOOPBACK", "oauth", "allow_loopback");
pub(crate) const OAUTH_REDIRECT_URLS: Setting = setting("AGENTCAL_OAUTH_REDIRECT_URLS", "oauth", "redirect_urls");
pub(crate) const HOLDS_PER_ORGANIZATION_MAX: Setting =
    setting("AGENTCAL_HOLDS_PER_ORGANIZATION_MAX", "holds", "per_organization_max");
pub(crate) const HOLDS_PER_SESSION_MAX: Setting = setting("AGENTCAL_HOLDS_PER_SESSION_MAX", "holds", "per_session_max");
pub(crate) const HOLDS_PER_USER_MAX: Setting = setting("AGENTCAL_HOLDS_PER_USER_MAX", "holds", "per_user_max");
pub(crate) const LIMIT_KEY_PER_MINUTE: Setting = setting("AGENTCAL_LIMIT_KEY_PER_MINUTE", "limits", "key_per_minute");
pub(crate) const LIMIT_KEY_BURST: Setting = setting("AGENTCAL_LIMIT_KEY_BURST", "limits", "key_burst");
pub(crate) const SMTP_URL: Setting = setting("AGENTCAL_SMTP_URL", "mail", "smtp_url");
pub(crate) const SMTP_AUTHORITY: Setting = setting("AGENTCAL_SMTP_AUTHORITY", "mail", "smtp_authority");
pub(crate) const MAIL_FROM: Setting = setting("AGENTCAL_MAIL_FROM", "mail", "from");
pub(crate) const MAIL_OUTBOX: Setting = setting("AGENTCAL_MAIL_OUTBOX", "mail", "outbox");
pub(crate) const WEBHOOKS_ALLOW_PRIVATE: Setting =
    setting("AGENTCAL_WEBHOOKS_ALLOW_PRIVATE", "webhooks", "allow_private");
pub(crate) const WEBHOOKS_ALLOW_LOOPBACK: Setting =
    setting("AGENTCAL_WEBHOOKS_ALLOW_LOOPBACK", "webhooks", "allow_loopback");
pub(crate) const WEBHOOKS_ALLOW_HTTP: Setting = setting("AGENTCAL_WEBHOOKS_ALLOW_HTTP", "webhooks", "allow_http");
pub(crate) const WEBHOOKS_PORTS: Setting = setting("AGENTCAL_WEBHOOKS_PORTS", "webhooks", "ports");
pub(crate) const WEBHOOKS_RETRY_SECONDS: Setting =
    setting("AGENTCAL_WEBHOOKS_RETRY_SECONDS", "webhooks", "retry_seconds");
pub(crate) const SVIX_URL: Setting = setting("AGENTCAL_SVIX_URL", "webhooks", "svix_url");
pub(crate) const SVIX_TOKEN: Setting = setting("AGENTCAL_SVIX_TOKEN", "webhooks", "svix_token");
pub(crate) const LOG: Setting = setting("AGENTCAL_LOG", "log", "filter");
pub(crate) const LOG_FORMAT: Setting = setting("AGENTCAL_LOG_FORMAT", "log", "format");

/// All of them.
pub(crate) const SETTINGS: [Setting; 48] = [
    DATABASE_URL,
    DATABASE_CONNECTIONS,
    REDIS_URL,
    LISTEN,
    INTERNAL_LISTEN,
    PUBLIC_URL,
    ENCRYPTION_KEYS,
    NODE_URL,
    PEER_SECRET,
    PEER_TLS_CERTIFICATE,
    PEER_TLS_KEY,
    PEER_TLS_AUTHORITY,
    CALDAV_POLL_SECONDS,
    CALDAV_ALLOW_PRIVATE,
    CALDAV_ALLOW_LOOPBACK,
    CALDAV_ALLOW_HTTP,
    CALDAV_PORTS,
    DNS_SERVER,
    GOOGLE_CLIENT_ID,
    GOOGLE_CLIENT_SECRET,
    GOOGLE_API_ADDRESS,
    GOOGLE_CONSENT_ADDRESS,
    GOOGLE_OAUTH_ADDRESS,
    MICROSOFT_CLIENT_ID,
    MICROSOFT_CLIENT_SECRET,
    MICROSOFT_TENANT_NAME,
    MICROSOFT_GRAPH_ADDRESS,
    MICROSOFT_LOGIN_ADDRESS,
    OAUTH_ALLOW_LOOPBACK,
    OAUTH_REDIRECT_URLS,
    HOLDS_PER_ORGANIZATION_MAX,
    HOLDS_PER_SESSION_MAX,
    HOLDS_PER_USER_MAX,
    LIMIT_KEY_PER_MINUTE,
    LIMIT_KEY_BURST,
    SMTP_URL,
    SMTP_AUTHORITY,
    MAIL_FROM,
    MAIL_OUTBOX,
    WEBHOOKS_ALLOW_PRIVATE,
    WEBHOOKS_ALLOW_LOOPBACK,
    WEBHOOKS_ALLOW_HTTP,
    WEBHOOKS_PORTS,
    WEBHOOKS_RETRY_SECONDS,
    SVIX_URL,
    SVIX_TOKEN,
    LOG,
    LOG_FORMAT,
];

/// Names the configuration file; read by the commands, not a setting.
pub(crate) const CONFIG_VARIABLE: &str = "AGENTCAL_CONFIG";
/// What begins like this is ours to know.
const PREFIX: &str = "AGENTCAL_";
/// Except what begins like this, which concerns tests.
const TEST_PREFIX: &str = "AGENTCAL_TEST_";

/// The variables that are set, as figment reads them. Everything is text; numbers and truth values are read out of it.
pub(crate) struct Environment<'a>(pub(crate) &'a BTreeMap<String, String>);

impl Environment<'_> {
    /// Variables that look like ours and are none.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|name| {
            let ours = name.starts_with(PREFIX) && !name.starts_with(TEST_PREFIX) && *name != CONFIG_VARIABLE;
            ours && SETTINGS.iter().all(|setting| setting.variable != *name)
        })
    }
}

impl Provider for Environment<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut sections = Dict::new();
        for setting in SETTINGS {
            let Some(text) = self.0.get(setting.variable) else { continue };
            let section = sections.entry(setting.section.to_owned()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, section) = section {
                section.insert(setting.key.to_owned(), Value::from(text.clone()));
            }
        }
        Ok(Map::from([(Profile::Default, sections)]))
    }
}
