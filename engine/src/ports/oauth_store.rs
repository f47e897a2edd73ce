//! What is kept of connecting by consent: attempts under way, where they may lead back to, clients that organizations
//! brought, and grants that are to be given back.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::{OauthClient, OauthGrant, StoreError, Write};
use crate::ids::{AccountId, OrganizationId};
use crate::model::{ProviderKind, Tenant};
use crate::time::Timestamp;

/// Most attempts of one account that are under way; one more ends the oldest.
pub const ATTEMPTS_PER_ACCOUNT_MAX: u32 = 100;
/// Most addresses an organization lists for browsers to come back to.
pub const REDIRECT_URLS_MAX: u32 = 50;

/// Time between the end of a connection and that of its grant, in which its watches are ended.
pub const REVOCATION_GRACE: Duration = Duration::from_secs(10);

/// Somebody was sent to consent, and may come back once.
#[derive(Clone, PartialEq, Eq)]
pub struct OauthAttempt {
    /// Its name, part of the signed state.
    pub id: Uuid,
    /// For which account, organization and mode.
    pub tenant: Tenant,
    /// At which provider.
    pub provider: ProviderKind,
    /// As which client.
    pub client_id: String,
    /// Where the browser goes in the end.
    pub redirect_url: String,
    /// What proves at the exchange that it was us who asked (RFC 7636). Sealed where it is kept.
    pub verifier: String,
    /// Until when, by the store's clock.
    pub expires_at: Timestamp,
}

impl fmt::Debug for OauthAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OauthAttempt").field("id", &self.id).field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// An attempt somebody came back for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenAttempt {
    /// The attempt.
    pub attempt: OauthAttempt,
    /// Whether it came too late, by the store's clock.
    pub is_expired: bool,
}

/// A grant that is to be given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Its name.
    pub id: Uuid,
    /// At which provider.
    pub provider: ProviderKind,
    /// The grant.
    pub grant: OauthGrant,
    /// Tries so far, this one included.
    pub attempts: u32,
    /// Whether a connection lives by a grant of the same person to the same client. Taking back one would take back all.
    pub is_shared: bool,
}

/// What is kept of connecting by consent.
#[async_trait]
pub trait OauthStore: Send + Sync {
    /// Keeps an attempt, and forgets those of its account that are long over, or too many. [`Write::Missing`]: there is no
    /// such account.
    async fn begin_attempt(&self, attempt: &OauthAttempt) -> Result<Write, StoreError>;
    /// Takes an attempt away, so that nobody comes back for it again; `None` when somebody has, or there was none.
    async fn take_attempt(&self, account_id: AccountId, id: Uuid) -> Result<Option<TakenAttempt>, StoreError>;

    /// Addresses browsers may come back to, in the order of their text.
    async fn redirect_urls(&self, organization_id: OrganizationId) -> Result<Vec<String>, StoreError>;
    /// Lists an address; listed before, it stays. [`Write::Missing`]: there is no such organization; [`Write::Refused`]
    /// `redirect_urls`: it lists [`REDIRECT_URLS_MAX`].
    async fn add_redirect_url(&self, organization_id: OrganizationId, url: &str) -> Result<Write, StoreError>;
    /// Takes an address out of the list; false when it was not in it.
    async fn remove_redirect_url(&self, organization_id: OrganizationId, url: &str) -> Result<bool, StoreError>;

    /// The client an organization brought for a provider.
    async fn oauth_client(
        &self,
        organization_id: OrganizationId,
        provider: ProviderKind,
    ) -> Result<Option<OauthClient>, StoreError>;
    /// The same, for the organization of an account.
    async fn oauth_client_of_account(
        &self,
        account_id: AccountId,
        provider: ProviderKind,
    ) -> Result<Option<OauthClient>, StoreError>;
    /// Keeps the client an organization brings, sealed; false when there is no such organization.
    async fn put_oauth_client(
        &self,
        organization_id: OrganizationId,
        provider: ProviderKind,
        client: &OauthClient,
    ) -> Result<bool, StoreError>;
    /// Forgets it; false when there was none.
    async fn remove_oauth_client(
        &self,
        organization_id: OrganizationId,
        provider: ProviderKind,
    ) -> Result<bool, StoreError>;

    /// Has a grant given back that no connection was made of.
    async fn queue_revocation(
        &self,
        tenant: &Tenant,
        provider: ProviderKind,
        subject: &str,
        grant: &OauthGrant,
    ) -> Result<(), StoreError>;
    /// Takes grants in hand that are due to be given back, the longest due first. Each is due again when the lease is over.
    async fn claim_revocations(&self, limit: u32, lease: Duration) -> Result<Vec<Revocation>, StoreError>;
    /// Has a grant tried again after a wait; `None`: never, it is forgotten.
    async fn end_revocation(&self, id: Uuid, again: Option<Duration>) -> Result<(), StoreError>;
}
