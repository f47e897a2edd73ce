//! Connecting by consent, as rows: attempts, what organizations set for it, and grants that are to be given back.

use std::time::Duration;

use agentcal_engine::ids::{AccountId, OrganizationId, mint_uuid};
use agentcal_engine::model::{ProviderKind, Tenant};
use agentcal_engine::ports::{
    ATTEMPTS_PER_ACCOUNT_MAX, Credentials, OauthAttempt, OauthClient, OauthGrant, OauthStore, REDIRECT_URLS_MAX,
    REVOCATION_GRACE, Revocation, StoreError, TakenAttempt, Write,
};
use agentcal_engine::time::{DAY_US, Timestamp};
use agentcal_store_vault::{Binding, DataKey, KeyOwner, Purpose};
use async_trait::async_trait;
use uuid::Uuid;

use crate::answers::no_data_key;
use crate::db::{DbConnection, DbStore};
use crate::error::{Result, corrupt, sealed_error, store_error};
use crate::locks;
use crate::scope::Scope;
use crate::text::{Named, to_json, to_u32};
use crate::words;
use crate::work::has_tenant;

/// How long an attempt that is over is kept, so that whoever comes back too late is told so.
const OVER_KEPT_US: i64 = DAY_US;

#[async_trait]
impl OauthStore for DbStore {
    async fn begin_attempt(&self, attempt: &OauthAttempt) -> Result<Write, StoreError> {
        let account_id = attempt.tenant.account_id;
        let mut work = self.begin_write(Scope::Account(account_id)).await?;
        if !has_tenant(&mut work, &attempt.tenant).await? {
            return Ok(Write::Missing);
        }
        let now = self.now_on(&mut work).await?;
        forget_attempts(&mut work, account_id, now).await?;
        let key = self.key_of(&mut work, KeyOwner::Account(account_id)).await?;
        let verifier = attempt.verifier.as_bytes();
        let sealed = key.seal(&verifier_binding(account_id, &attempt.id), verifier, self.entropy.as_ref());
        let insert = sqlx::query(
            "INSERT INTO oauth_attempts (account_id, attempt_id, provider, client_id, redirect_url, verifier, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        );
        let insert = insert.bind(account_id.as_uuid()).bind(attempt.id).bind(attempt.provider.name());
        let insert = insert.bind(&attempt.client_id).bind(&attempt.redirect_url).bind(sealed);
        insert.bind(attempt.expires_at.as_micros()).execute(&mut *work).await.map_err(store_error)?;
        work.commit().await.map_err(store_error)?;
        Ok(Write::Done)
    }

    async fn take_attempt(&self, account_id: AccountId, id: Uuid) -> Result<Option<TakenAttempt>, StoreError> {
        let mut work = self.begin_write(Scope::Account(account_id)).await?;
        let delete = sqlx::query_as::<_, AttemptRow>(
            "DELETE FROM oauth_attempts WHERE account_id = $1 AND attempt_id = $2 \
             RETURNING provider, client_id, redirect_url, verifier, expires_at",
        );
        let delete = delete.bind(account_id.as_uuid()).bind(id);
        let Some(row) = delete.fetch_optional(&mut *work).await.map_err(store_error)? else { return Ok(None) };
        let Some(tenant) = tenant_of(&mut work, account_id).await? else { return Ok(None) };
        let now = self.now_on(&mut work).await?;
        let key = self.key_of(&mut work, KeyOwner::Account(account_id)).await?;
        let plain = key.open(&verifier_binding(account_id, &id), &row.verifier).map_err(sealed_error)?;
        let verifier = String::from_utf8(plain.to_vec()).or(Err(StoreError::Corrupt("a verifier".to_owned())))?;
        let expires_at = Timestamp::from_micros(row.expires_at);
        let attempt = OauthAttempt {
            id,
            tenant,
            provider: Named::named(&row.provider)?,
            client_id: row.client_id,
            redirect_url: row.redirect_url,
            verifier,
            expires_at,
        };
        work.commit().await.map_err(store_error)?;
        Ok(Some(TakenAttempt { attempt, is_expired: expires_at <= now }))
    }

    async fn redirect_urls(&self, organization_id: OrganizationId) -> Result<Vec<String>, StoreError> {
        let mut reader = self.reader(Scope::All).await?;
        urls_of(&mut reader, organization_id).await
    }

    async fn add_redirect_url(&self, organization_id: OrganizationId, url: &str) -> Result<Write, StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        if !has_organization(&mut work, organization_id).await? {
            return Ok(Write::Missing);
        }
        // Of two that add at once, one counts what the other added.
        locks::organization(&mut work, organization_id).await?;
        let listed = urls_of(&mut work, organization_id).await?;
        if listed.iter().any(|listed| listed == url) {
            return Ok(Write::Done);
        }
        if listed.len() >= usize::try_from(REDIRECT_URLS_MAX).unwrap_or(usize::MAX) {
            return Ok(Write::Refused("redirect_urls"));
        }
        let insert = sqlx::query("INSERT INTO organization_redirect_urls (organization_id, url) VALUES ($1, $2)");
        let insert = insert.bind(organization_id.as_uuid()).bind(url);
        insert.execute(&mut *work).await.map_err(store_error)?;
        work.commit().await.map_err(store_error)?;
        Ok(Write::Done)
    }

    async fn remove_redirect_url(&self, organization_id: OrganizationId, url: &str) -> Result<bool, StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let delete = sqlx::query("DELETE FROM organization_redirect_urls WHERE organization_id = $1 AND url = $2");
        let delete = delete.bind(organization_id.as_uuid()).bind(url);
        let was_there = delete.execute(&mut *work).await.map_err(store_error)?.rows_affected() == 1;
        work.commit().await.map_err(store_error)?;
        Ok(was_there)
    }

    async fn oauth_client(
        &self,
        organization_id: OrganizationId,
        provider: ProviderKind,
    ) -> Result<Option<OauthClient>, StoreError> {
        let mut reader = self.begin_read(Scope::All).await?;
        self.client_of(&mut reader, organization_id, provider).await
    }

    async fn oauth_client_of_account(
        &self,
        account_id: AccountId,
        provider: ProviderKind,
    ) -> Result<Option<OauthClient>, StoreError> {
        let mut reader = self.begin_read(Scope::Account(account_id)).await?;
        let Some(tenant) = tenant_of(&mut reader, account_id).await? else { return Ok(None) };
        self.client_of(&mut reader, tenant.organization_id, provider).await
    }

    async fn put_oauth_client(
        &self,
        organization_id: OrganizationId,
        provider: ProviderKind,
        client: &OauthClient,
    ) -> Result<bool, StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        if !has_organization(&mut work, organization_id).await? {
            return Ok(false);
        }
        let key = self.key_of(&mut work, KeyOwner::Organization(organization_id)).await?;
        let plain = to_json(client);
        let sealed = key.seal(&client_binding(organization_id, provider), plain.as_bytes(), self.entropy.as_ref());
        let insert = sqlx::query(
            "INSERT INTO organization_oauth_clients (organization_id, provider, client) VALUES ($1, $2, $3) \
             ON CONFLICT (organization_id, provider) DO UPDATE SET client = excluded.client",
        );
        let insert = insert.bind(organization_id.as_uuid()).bind(provider.name()).bind(sealed);
        insert.execute(&mut *work).await.map_err(store_error)?;
        work.commit().await.map_err(store_error)?;
        Ok(true)
    }

    async fn remove_oauth_client(
        &self,
        organization_id: OrganizationId,
        provider: ProviderKind,
    ) -> Result<bool, StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let delete = sqlx::query("DELETE FROM organization_oauth_clients WHERE organization_id = $1 AND provider = $2");
        let delete = delete.bind(organization_id.as_uuid()).bind(provider.name());
        let was_there = delete.execute(&mut *work).await.map_err(store_error)?.rows_affected() == 1;
        work.commit().await.map_err(store_error)?;
        Ok(was_there)
    }

    async fn queue_revocation(
        &self,
        tenant: &Tenant,
        provider: ProviderKind,
        subject: &str,
        grant: &OauthGrant,
    ) -> Result<(), StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let now = self.now_on(&mut work).await?;
        let of = Given { organization_id: tenant.organization_id, provider, subject };
        self.insert_revocation(&mut work, &of, grant, now).await?;
        work.commit().await.map_err(store_error)
    }

    async fn claim_revocations(&self, limit: u32, lease: Duration) -> Result<Vec<Revocation>, StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let now = self.now_on(&mut work).await?;
        let claim = sqlx::query_as::<_, RevocationRow>(words::CLAIM_REVOCATIONS);
        let claim = claim.bind(now.as_micros()).bind((now + lease).as_micros()).bind(i64::from(limit));
        let rows = claim.fetch_all(&mut *work).await.map_err(store_error)?;
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            let is_shared = sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM connections \
                 WHERE provider = $1 AND provider_subject = $2 AND oauth_client_id = $3)",
            );
            let is_shared = is_shared.bind(&row.provider).bind(&row.subject).bind(&row.client_id);
            let is_shared: bool = is_shared.fetch_one(&mut *work).await.map_err(store_error)?;
            let owner = KeyOwner::Organization(OrganizationId::from_uuid(row.organization_id));
            let key = self.key_of(&mut work, owner).await?;
            let binding = revocation_binding(owner, &row.revocation_id);
            let plain = key.open(&binding, &row.credentials).map_err(sealed_error)?;
            // The parser's own words could repeat a secret; where it stopped says enough.
            let grant = serde_json::from_slice(&plain).map_err(|error| corrupt("a grant at column", error.column()))?;
            claimed.push(Revocation {
                id: row.revocation_id,
                provider: Named::named(&row.provider)?,
                grant,
                attempts: to_u32(row.attempts)?,
                is_shared,
            });
        }
        work.commit().await.map_err(store_error)?;
        Ok(claimed)
    }

    async fn end_revocation(&self, id: Uuid, again: Option<Duration>) -> Result<(), StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let now = self.now_on(&mut work).await?;
        let query = match again {
            None => sqlx::query("DELETE FROM oauth_revocations WHERE revocation_id = $1").bind(id),
            Some(wait) => sqlx::query("UPDATE oauth_revocations SET due_at = $2 WHERE revocation_id = $1")
                .bind(id)
                .bind((now + wait).as_micros()),
        };
        query.execute(&mut *work).await.map_err(store_error)?;
        work.commit().await.map_err(store_error)
    }
}

/// Whose grant is given back.
pub(crate) struct Given<'a> {
    pub(crate) organization_id: OrganizationId,
    pub(crate) provider: ProviderKind,
    pub(crate) subject: &'a str,
}

impl DbStore {
    /// Has a grant given back, if its provider takes any, and if there is something to give.
    pub(crate) async fn insert_revocation(
        &self,
        connection: &mut DbConnection,
        of: &Given<'_>,
        grant: &OauthGrant,
        due_at: Timestamp,
    ) -> Result<()> {
        if !of.provider.takes_grants_back() {
            return Ok(());
        }
        let id = mint_uuid(due_at, self.entropy.as_ref());
        let owner = KeyOwner::Organization(of.organization_id);
        let key = self.key_of(connection, owner).await?;
        let sealed = key.seal(&revocation_binding(owner, &id), to_json(grant).as_bytes(), self.entropy.as_ref());
        let insert = sqlx::query(
            "INSERT INTO oauth_revocations (revocation_id, organization_id, provider, subject, client_id, credentials, \
             attempts, due_at) VALUES ($1, $2, $3, $4, $5, $6, 0, $7)",
        );
        let insert = insert.bind(id).bind(of.organization_id.as_uuid()).bind(of.provider.name()).bind(of.subject);
        let insert = insert.bind(&grant.client_id).bind(sealed).bind(due_at.as_micros());
        insert.execute(connection).await.map(drop).map_err(store_error)
    }

    /// Has the grants of an account given back, as its connections are about to go.
    pub(crate) async fn give_back_all(&self, connection: &mut DbConnection, tenant: &Tenant) -> Result<()> {
        let select = sqlx::query_as::<_, (Uuid, String, String, Vec<u8>)>(
            "SELECT connection_id, provider, provider_subject, credentials FROM connections \
             WHERE account_id = $1 AND provider_subject IS NOT NULL",
        );
        let select = select.bind(tenant.account_id.as_uuid());
        for (id, provider, subject, sealed) in select.fetch_all(&mut *connection).await.map_err(store_error)? {
            self.give_back(connection, tenant, id, (&provider, &subject), &sealed).await?;
        }
        Ok(())
    }

    /// Has the grant of a connection given back, as it is about to go; one without a grant has nothing to give.
    pub(crate) async fn give_back_one(
        &self,
        connection: &mut DbConnection,
        tenant: &Tenant,
        connection_id: Uuid,
    ) -> Result<()> {
        let select = sqlx::query_as::<_, (String, String, Vec<u8>)>(
            "SELECT provider, provider_subject, credentials FROM connections \
             WHERE account_id = $1 AND connection_id = $2 AND provider_subject IS NOT NULL",
        );
        let select = select.bind(tenant.account_id.as_uuid()).bind(connection_id);
        match select.fetch_optional(&mut *connection).await.map_err(store_error)? {
            Some((provider, subject, sealed)) => {
                self.give_back(connection, tenant, connection_id, (&provider, &subject), &sealed).await
            }
            None => Ok(()),
        }
    }

    async fn give_back(
        &self,
        connection: &mut DbConnection,
        tenant: &Tenant,
        connection_id: Uuid,
        (provider, subject): (&str, &str),
        sealed: &[u8],
    ) -> Result<()> {
        let opened = self.open_credentials(connection, tenant.account_id, &connection_id, sealed).await?;
        let Some(Credentials::Oauth(grant)) = opened else { return Ok(()) };
        let due_at = self.now_on(connection).await? + REVOCATION_GRACE;
        let of = Given { organization_id: tenant.organization_id, provider: Named::named(provider)?, subject };
        self.insert_revocation(connection, &of, &grant, due_at).await
    }

    async fn client_of(
        &self,
        connection: &mut DbConnection,
        organization_id: OrganizationId,
        provider: ProviderKind,
    ) -> Result<Option<OauthClient>> {
        let select = sqlx::query_scalar(
            "SELECT client FROM organization_oauth_clients WHERE organization_id = $1 AND provider = $2",
        );
        let select = select.bind(organization_id.as_uuid()).bind(provider.name());
        let sealed: Option<Vec<u8>> = select.fetch_optional(&mut *connection).await.map_err(store_error)?;
        let Some(sealed) = sealed else { return Ok(None) };
        let key = self.key_of(connection, KeyOwner::Organization(organization_id)).await?;
        let plain = key.open(&client_binding(organization_id, provider), &sealed).map_err(sealed_error)?;
        serde_json::from_slice(&plain).map(Some).map_err(|error| corrupt("an OAuth client at column", error.column()))
    }

    async fn key_of(&self, connection: &mut DbConnection, owner: KeyOwner) -> Result<DataKey> {
        self.data_key(connection, owner).await?.ok_or_else(no_data_key)
    }
}

#[derive(sqlx::FromRow)]
struct AttemptRow {
    provider: String,
    client_id: String,
    redirect_url: String,
    verifier: Vec<u8>,
    expires_at: i64,
}

#[derive(sqlx::FromRow)]
struct RevocationRow {
    revocation_id: Uuid,
    organization_id: Uuid,
    provider: String,
    subject: String,
    client_id: String,
    credentials: Vec<u8>,
    attempts: i64,
}

fn verifier_binding(account_id: AccountId, id: &Uuid) -> Binding<'_> {
    Binding { owner: KeyOwner::Account(account_id), purpose: Purpose::OauthVerifier, row: id.as_bytes() }
}

fn client_binding(organization_id: OrganizationId, provider: ProviderKind) -> Binding<'static> {
    let owner = KeyOwner::Organization(organization_id);
    Binding { owner, purpose: Purpose::OauthClient, row: provider.name().as_bytes() }
}

fn revocation_binding(owner: KeyOwner, id: &Uuid) -> Binding<'_> {
    Binding { owner, purpose: Purpose::OauthRevocation, row: id.as_bytes() }
}

/// Deletes attempts that were over long ago, and the oldest where there are as many as there may be.
async fn forget_attempts(connection: &mut DbConnection, account_id: AccountId, now: Timestamp) -> Result<()> {
    let delete = sqlx::query("DELETE FROM oauth_attempts WHERE account_id = $1 AND expires_at <= $2");
    let delete = delete.bind(account_id.as_uuid()).bind(now.as_micros() - OVER_KEPT_US);
    delete.execute(&mut *connection).await.map_err(store_error)?;
    let delete = sqlx::query(
        "DELETE FROM oauth_attempts WHERE account_id = $1 AND attempt_id IN (SELECT attempt_id FROM oauth_attempts \
         WHERE account_id = $1 ORDER BY expires_at DESC LIMIT $3 OFFSET $2)",
    );
    let delete = delete.bind(account_id.as_uuid()).bind(i64::from(ATTEMPTS_PER_ACCOUNT_MAX) - 1);
    let delete = delete.bind(i64::from(ATTEMPTS_PER_ACCOUNT_MAX));
    delete.execute(connection).await.map(drop).map_err(store_error)
}

async fn urls_of(connection: &mut DbConnection, organization_id: OrganizationId) -> Result<Vec<String>> {
    let select =
        sqlx::query_scalar("SELECT url FROM organization_redirect_urls WHERE organization_id = $1 ORDER BY url");
    select.bind(organization_id.as_uuid()).fetch_all(connection).await.map_err(store_error)
}

async fn has_organization(connection: &mut DbConnection, id: OrganizationId) -> Result<bool> {
    let select = sqlx::query_scalar("SELECT count(*) FROM organizations WHERE organization_id = $1");
    let count: i64 = select.bind(id.as_uuid()).fetch_one(connection).await.map_err(store_error)?;
    Ok(count == 1)
}

async fn tenant_of(connection: &mut DbConnection, account_id: AccountId) -> Result<Option<Tenant>> {
    let select =
        sqlx::query_as::<_, (Uuid, String)>("SELECT organization_id, mode FROM accounts WHERE account_id = $1");
    let row = select.bind(account_id.as_uuid()).fetch_optional(connection).await.map_err(store_error)?;
    let tenant = |(organization_id, mode): (Uuid, String)| {
        let organization_id = OrganizationId::from_uuid(organization_id);
        Ok(Tenant { organization_id, mode: Named::named(&mode)?, account_id })
    };
    row.map(tenant).transpose()
}
