//! What an OAuth 2.0 server does for those who act on somebody's behalf, in words no single provider owns.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::OauthGrant;
use crate::model::ProviderKind;

/// How we present ourselves to an OAuth 2.0 server: as the installation, or as an organization that brought its own.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OauthClient {
    /// Its name at the server.
    pub client_id: String,
    /// What proves it.
    pub client_secret: String,
}

impl fmt::Debug for OauthClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OauthClient").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// What goes to the server with whoever is to consent, and must be the same when the code that comes back is exchanged.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsentRequest {
    /// Where the server sends the browser afterwards.
    pub redirect_uri: String,
    /// Comes back as it is.
    pub state: String,
    /// Known to us alone until the code is exchanged (RFC 7636); 43 to 128 characters.
    pub verifier: String,
}

impl fmt::Debug for ConsentRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsentRequest").field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}

/// What somebody consented to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consented {
    /// What requests are made with.
    pub grant: OauthGrant,
    /// Who consented, by a name the provider never changes; `None` where it did not say.
    pub subject: Option<String>,
    /// Scopes that are needed and were not granted, as their owner was shown them.
    pub missing: Vec<&'static str>,
}

/// Why there is no token. Texts name no person and repeat no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The grant was taken back, has run out or was used up: only its owner can help, by consenting again.
    #[error("the grant counts no more: {0}")]
    GrantRefused(String),
    /// The server does not know the client, or not by this secret: only its administrator can help.
    #[error("the identity server refuses the OAuth client: {0}")]
    ClientRefused(String),
    /// May work later.
    #[error("the identity server is unavailable: {0}")]
    Unavailable(String),
    /// Will not work later either.
    #[error("the identity server refuses: {0}")]
    Refused(String),
}

/// OAuth 2.0 servers, one for each provider that has any. Calls are bounded in time by the implementation.
#[async_trait]
pub trait TokenIssuer: Send + Sync {
    /// The installation's client at a provider, where it has one.
    fn client(&self, provider: ProviderKind) -> Option<OauthClient>;

    /// Where somebody goes to consent.
    fn consent_url(
        &self,
        provider: ProviderKind,
        client: &OauthClient,
        request: &ConsentRequest,
    ) -> Result<String, TokenError>;

    /// What the code stands for that somebody came back with.
    async fn exchange(
        &self,
        provider: ProviderKind,
        client: &OauthClient,
        request: &ConsentRequest,
        code: &str,
    ) -> Result<Consented, TokenError>;

    /// The grant with a fresh access token, and with another refresh token where the server gave one.
    async fn refresh(
        &self,
        provider: ProviderKind,
        client: &OauthClient,
        grant: &OauthGrant,
    ) -> Result<OauthGrant, TokenError>;

    /// Gives a grant back. One that no longer counts is given back already. Where a provider knows no such thing, nothing
    /// is done.
    async fn revoke(&self, provider: ProviderKind, grant: &OauthGrant) -> Result<(), TokenError>;
}
