//! The OAuth 2.0 servers of calendar providers (RFC 6749, RFC 7636): consent, tokens, and giving them back.
//!
//! The crate `oauth2` makes and reads the messages; they leave through the guarded client of `agentcal-provider-egress`.
//! What is asked for, and why, is in `docs/oauth.md`.

mod error;
mod http;
mod scopes;
mod server;
mod subject;

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::{Clock, ConsentRequest, Consented, OauthClient, OauthGrant, TokenError, TokenIssuer};
use agentcal_provider_egress::EgressError;
use async_trait::async_trait;
use url::Url;

use crate::server::{Addresses, Server};

/// Where Google asks people for consent.
pub const GOOGLE_CONSENT_URL: &str = "https://accounts.google.com/";
/// Where Google gives tokens, and takes them back.
pub const GOOGLE_OAUTH_URL: &str = "https://oauth2.googleapis.com/";
/// Where Microsoft does both, for everybody but national clouds.
pub const MICROSOFT_LOGIN_URL: &str = "https://login.microsoftonline.com/";
/// The tenant that means people of any organization, and of none.
pub const MICROSOFT_TENANT: &str = "common";

/// Longest wait for a server.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Which servers, and who we are to them.
#[derive(Clone, Debug)]
pub struct OauthOptions {
    /// Where Google asks for consent; `o/oauth2/v2/auth` follows.
    pub google_consent_url: Url,
    /// Where Google gives tokens; `token` and `revoke` follow.
    pub google_oauth_url: Url,
    /// The installation's client at Google.
    pub google_client: Option<OauthClient>,
    /// Where Microsoft is; the tenant and `oauth2/v2.0/..` follow.
    pub microsoft_login_url: Url,
    /// Whose people may consent: a tenant's id or domain, `organizations`, `consumers` or `common`.
    pub microsoft_tenant: String,
    /// The installation's client at Microsoft.
    pub microsoft_client: Option<OauthClient>,
}

/// Why the servers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OauthError {
    /// The way out could not be made.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// An address is none requests can be made from.
    #[error("the address of an identity server must be a base URL such as {GOOGLE_OAUTH_URL}")]
    BadAddress,
}

/// The OAuth 2.0 servers of Google and Microsoft.
pub struct OauthServers {
    google: Server,
    microsoft: Server,
    google_client: Option<OauthClient>,
    microsoft_client: Option<OauthClient>,
    clock: Arc<dyn Clock>,
}

impl OauthServers {
    /// The servers. The clock says until when a token counts that is good for so many seconds.
    pub fn new(options: OauthOptions, clock: Arc<dyn Clock>) -> Result<Self, OauthError> {
        let google = Addresses {
            consent: below(&options.google_consent_url, &["o", "oauth2", "v2", "auth"])?,
            token: below(&options.google_oauth_url, &["token"])?,
            revocation: Some(below(&options.google_oauth_url, &["revoke"])?),
        };
        let tenant = options.microsoft_tenant.as_str();
        let microsoft = Addresses {
            consent: below(&options.microsoft_login_url, &[tenant, "oauth2", "v2.0", "authorize"])?,
            token: below(&options.microsoft_login_url, &[tenant, "oauth2", "v2.0", "token"])?,
            revocation: None,
        };
        Ok(Self {
            google: Server::new(google, scopes::GOOGLE, &[("access_type", "offline"), ("prompt", "consent")], TIMEOUT)?,
            microsoft: Server::new(microsoft, scopes::MICROSOFT, &[("prompt", "select_account")], TIMEOUT)?,
            google_client: options.google_client,
            microsoft_client: options.microsoft_client,
            clock,
        })
    }

    fn server(&self, provider: ProviderKind) -> Result<&Server, TokenError> {
        match provider {
            ProviderKind::Google => Ok(&self.google),
            ProviderKind::Microsoft => Ok(&self.microsoft),
            ProviderKind::Sandbox | ProviderKind::Caldav | ProviderKind::Internal => {
                Err(TokenError::Refused("this provider has no identity server".to_owned()))
            }
        }
    }
}

#[async_trait]
impl TokenIssuer for OauthServers {
    fn client(&self, provider: ProviderKind) -> Option<OauthClient> {
        match provider {
            ProviderKind::Google => self.google_client.clone(),
            ProviderKind::Microsoft => self.microsoft_client.clone(),
            ProviderKind::Sandbox | ProviderKind::Caldav | ProviderKind::Internal => None,
        }
    }

    fn consent_url(
        &self,
        provider: ProviderKind,
        client: &OauthClient,
        request: &ConsentRequest,
    ) -> Result<String, TokenError> {
        self.server(provider)?.consent_url(client, request)
    }

    async fn exchange(
        &self,
        provider: ProviderKind,
        client: &OauthClient,
        request: &ConsentRequest,
        code: &str,
    ) -> Result<Consented, TokenError> {
        self.server(provider)?.exchange(client, request, code, &*self.clock).await
    }

    async fn refresh(
        &self,
        provider: ProviderKind,
        client: &OauthClient,
        grant: &OauthGrant,
    ) -> Result<OauthGrant, TokenError> {
        self.server(provider)?.refresh(client, grant, &*self.clock).await
    }

    async fn revoke(&self, provider: ProviderKind, grant: &OauthGrant) -> Result<(), TokenError> {
        self.server(provider)?.revoke(grant).await
    }
}

fn below(base: &Url, path: &[&str]) -> Result<Url, OauthError> {
    let mut url = base.clone();
    let usable = url.has_host() && url.query().is_none() && url.fragment().is_none();
    let mut segments = url.path_segments_mut().ok().filter(|_| usable).ok_or(OauthError::BadAddress)?;
    segments.pop_if_empty().extend(path);
    drop(segments);
    Ok(url)
}

#[cfg(test)]
mod tests;
