//! What is kept of connecting by consent: nothing, where everybody consented before a simulation begins, to the installation's
//! own client, and nobody takes anything back.

use std::time::Duration;

use agentcal_engine::ids::{AccountId, OrganizationId};
use agentcal_engine::model::{ProviderKind, Tenant};
use agentcal_engine::ports::{
    OauthAttempt, OauthClient, OauthGrant, OauthStore, Revocation, StoreError, TakenAttempt, Write,
};
use async_trait::async_trait;
use uuid::Uuid;

/// A store of nobody's clients.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoClients;

#[async_trait]
impl OauthStore for NoClients {
    async fn begin_attempt(&self, _: &OauthAttempt) -> Result<Write, StoreError> {
        Ok(Write::Missing)
    }

    async fn take_attempt(&self, _: AccountId, _: Uuid) -> Result<Option<TakenAttempt>, StoreError> {
        Ok(None)
    }

    async fn redirect_urls(&self, _: OrganizationId) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    async fn add_redirect_url(&self, _: OrganizationId, _: &str) -> Result<Write, StoreError> {
        Ok(Write::Missing)
    }

    async fn remove_redirect_url(&self, _: OrganizationId, _: &str) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn oauth_client(&self, _: OrganizationId, _: ProviderKind) -> Result<Option<OauthClient>, StoreError> {
        Ok(None)
    }

    async fn oauth_client_of_account(&self, _: AccountId, _: ProviderKind) -> Result<Option<OauthClient>, StoreError> {
        Ok(None)
    }

    async fn put_oauth_client(&self, _: OrganizationId, _: ProviderKind, _: &OauthClient) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn remove_oauth_client(&self, _: OrganizationId, _: ProviderKind) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn queue_revocation(&self, _: &Tenant, _: ProviderKind, _: &str, _: &OauthGrant) -> Result<(), StoreError> {
        Ok(())
    }

    async fn claim_revocations(&self, _: u32, _: Duration) -> Result<Vec<Revocation>, StoreError> {
        Ok(Vec::new())
    }

    async fn end_revocation(&self, _: Uuid, _: Option<Duration>) -> Result<(), StoreError> {
        Ok(())
    }
}
