//! Credentials for requests, and the access tokens among them: renewed ahead of their end, one at a time for a connection,
//! by whoever owns its calendars. When is decided by `agentcal_engine::tokens`.
//!
//! Between nodes the version of what is kept is the fence: whoever was slower throws its token away and uses the winner's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agentcal_engine::ids::{AccountId, ConnectionId};
use agentcal_engine::model::{ConnectionStatus, ProviderKind};
use agentcal_engine::ports::{
    Credentials, KeptCredentials, OauthClient, OauthGrant, ProviderError, StoreError, TokenError,
};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::Timestamp;
use agentcal_engine::tokens::{Need, TokenHealth, is_due};
use tokio::time::{Instant, sleep};

use crate::calendar::Msg;
use crate::context::Context;
use crate::metrics;
use crate::parts::Oauth;

/// Connections whose health is remembered; beyond that, of those in use alone.
const REMEMBERED_MAX: usize = 50_000;
/// Tries to keep a token that was just given, before it is lost.
const KEEP_TRIES: u32 = 3;
/// How long another node may take to keep what it was given for a grant that was refused here, and how often that is looked
/// for: a server's answer can be on its way for as long as one waits for it.
const RIVAL_PATIENCE: Duration = Duration::from_secs(15);
const RIVAL_LOOK: Duration = Duration::from_millis(500);

/// How the grants of connections fare. Whoever holds the lock of one may ask for a token.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<BTreeMap<ConnectionId, Arc<tokio::sync::Mutex<TokenHealth>>>>);

impl Tokens {
    fn of(&self, id: ConnectionId) -> Arc<tokio::sync::Mutex<TokenHealth>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_MAX {
            // What is forgotten costs a question more, if it comes to that.
            known.retain(|_, health| Arc::strong_count(health) > 1);
        }
        Arc::clone(known.entry(id).or_default())
    }
}

/// A connection, as far as its credentials are concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bearer {
    pub(crate) account_id: AccountId,
    pub(crate) connection_id: ConnectionId,
    /// The ownership that what becomes of them is told under.
    pub(crate) epoch: Epoch,
    pub(crate) provider: ProviderKind,
}

/// Credentials that requests may be made with.
#[derive(Clone)]
pub(crate) struct Usable {
    pub(crate) credentials: Arc<Credentials>,
    version: u64,
}

impl Usable {
    /// Whether they should be looked at again before they are used.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        matches!(&*self.credentials, Credentials::Oauth(grant) if is_due(grant, now))
    }
}

impl From<KeptCredentials> for Usable {
    fn from(kept: KeptCredentials) -> Self {
        Self { credentials: Arc::new(kept.credentials), version: kept.version }
    }
}

/// A grant in hand, under the lock of its connection.
struct Held<'a> {
    oauth: &'a Oauth,
    of: Bearer,
    grant: &'a OauthGrant,
    version: u64,
    /// Whether a provider refused its token.
    after_refusal: bool,
}

impl Context {
    /// Credentials of a connection, good for requests.
    pub(crate) async fn usable_credentials(&self, of: Bearer) -> Result<Usable, ProviderError> {
        if !of.provider.needs_consent() {
            return self.kept_credentials(of).await.map(Usable::from);
        }
        let health = self.tokens.of(of.connection_id);
        let mut health = health.lock().await;
        // Read under the lock: whoever held it before has perhaps done what is to be done.
        let kept = self.kept_credentials(of).await?;
        let (Some(oauth), Credentials::Oauth(grant)) = (&self.parts.oauth, &kept.credentials) else {
            return Ok(kept.into());
        };
        let now = self.store_now();
        match health.need(grant, kept.version, now) {
            Need::Nothing => Ok(kept.into()),
            Need::GiveUp(word) => Err(refused(&word)),
            Need::Wait(error) => Err(ProviderError::Unavailable(error)),
            Need::Refresh => {
                let held = Held { oauth, of, grant, version: kept.version, after_refusal: false };
                match self.refresh(&held, &mut health).await {
                    // There was time, and there still is.
                    Err(ProviderError::Unavailable(_)) if now < grant.expires_at => Ok(kept.into()),
                    refreshed => refreshed,
                }
            }
        }
    }

    /// A provider refused credentials that should have been good. What that means instead, where it is no matter of the
    /// credentials; the next request finds other ones.
    pub(crate) async fn after_refusal(&self, of: Bearer, used: &Usable) -> Option<ProviderError> {
        let oauth = self.parts.oauth.as_ref()?;
        let Credentials::Oauth(_) = &*used.credentials else { return None };
        let health = self.tokens.of(of.connection_id);
        let mut health = health.lock().await;
        let kept = match self.kept_credentials(of).await {
            Ok(kept) => kept,
            Err(error) => return Some(error),
        };
        let Credentials::Oauth(grant) = &kept.credentials else { return None };
        if kept.version != used.version {
            return Some(ProviderError::Unavailable("the access token was replaced while it was used".to_owned()));
        }
        match health.need_after_refusal(kept.version, self.store_now()) {
            Need::Nothing | Need::GiveUp(_) => None,
            Need::Wait(error) => Some(ProviderError::Unavailable(error)),
            Need::Refresh => {
                let held = Held { oauth, of, grant, version: kept.version, after_refusal: true };
                let refreshed = self.refresh(&held, &mut health).await;
                Some(refreshed.err().unwrap_or_else(|| {
                    ProviderError::Unavailable("the access token was refused; there is another one now".to_owned())
                }))
            }
        }
    }

    async fn kept_credentials(&self, of: Bearer) -> Result<KeptCredentials, ProviderError> {
        let kept = self.parts.store.credentials(of.account_id, of.connection_id).await.map_err(unavailable)?;
        kept.ok_or_else(|| ProviderError::Unauthorized("no credentials are kept".to_owned()))
    }

    async fn refresh(&self, held: &Held<'_>, health: &mut TokenHealth) -> Result<Usable, ProviderError> {
        let Held { oauth, of, grant, version, after_refusal } = *held;
        let asked = match self.client_of(oauth, of, grant).await.map_err(unavailable)? {
            Some(client) => oauth.issuer.refresh(of.provider, &client, grant).await,
            None => Err(TokenError::ClientRefused("its secret is not kept here any more".to_owned())),
        };
        count(of.provider, &asked);
        match asked {
            Ok(newer) => {
                let credentials = Credentials::Oauth(newer);
                if self.keep(of, version, &credentials).await.map_err(unavailable)? {
                    let version = version + 1;
                    health.handle_refreshed(version, after_refusal, self.store_now());
                    return Ok(Usable { credentials: Arc::new(credentials), version });
                }
                self.kept_credentials(of).await.map(Usable::from)
            }
            Err(TokenError::GrantRefused(word)) => {
                if let Some(latest) = self.kept_by_rival(of, version).await? {
                    // Another node was faster, and what was shown here had been used up by that.
                    return Ok(latest.into());
                }
                tracing::warn!(connection_id = %of.connection_id, word, "a grant is refused by its server");
                let error = refused(&word);
                health.handle_refused(version, word);
                self.mark_refused(of, &error).await;
                Err(error)
            }
            Err(error) => {
                tracing::warn!(connection_id = %of.connection_id, %error, "an access token could not be renewed");
                health.handle_failed(error.to_string(), self.store_now(), &*self.parts.entropy);
                Err(ProviderError::Unavailable(error.to_string()))
            }
        }
    }

    /// Who the grant was given to: the installation, or the organization by its own client.
    async fn client_of(
        &self,
        oauth: &Oauth,
        of: Bearer,
        grant: &OauthGrant,
    ) -> Result<Option<OauthClient>, StoreError> {
        let own = oauth.issuer.client(of.provider).filter(|client| client.client_id == grant.client_id);
        if own.is_some() {
            return Ok(own);
        }
        let brought = oauth.store.oauth_client_of_account(of.account_id, of.provider).await?;
        Ok(brought.filter(|client| client.client_id == grant.client_id))
    }

    /// What another node put in the place of what was kept. One that was renewing as its shard went to this node may have its
    /// answer still to come. A node that is alone has no rival.
    async fn kept_by_rival(&self, of: Bearer, version: u64) -> Result<Option<KeptCredentials>, ProviderError> {
        let until = Instant::now() + if self.ownership.is_alone() { Duration::ZERO } else { RIVAL_PATIENCE };
        loop {
            let latest = self.kept_credentials(of).await?;
            if latest.version != version {
                return Ok(Some(latest));
            }
            if until <= Instant::now() {
                return Ok(None);
            }
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => {
                    return Err(ProviderError::Unavailable("this node ends, and another one may know better".to_owned()));
                }
                () = sleep(RIVAL_LOOK) => {}
            }
        }
    }

    /// A server may have used up the old token with giving the new one, so the store is asked more than once.
    async fn keep(&self, of: Bearer, version: u64, credentials: &Credentials) -> Result<bool, StoreError> {
        let store = &self.parts.store;
        let mut tries = 1;
        loop {
            match store.replace_credentials(of.account_id, of.connection_id, version, credentials).await {
                Err(error) if tries < KEEP_TRIES => {
                    tracing::warn!(connection_id = %of.connection_id, %error, "a token could not be kept; again");
                    tries += 1;
                }
                kept => return kept,
            }
        }
    }

    /// Says at once that somebody has to consent again, and does not wait for the next sync to find out.
    async fn mark_refused(&self, of: Bearer, error: &ProviderError) {
        let (status, reason) = (ConnectionStatus::ReauthorizationRequired, error.to_string());
        let marked = {
            let _one = self.statuses.lock().await;
            self.parts
                .store
                .set_connection_status(of.account_id, of.connection_id, of.epoch, status, Some(&reason))
                .await
        };
        match marked {
            Ok(()) => {
                self.delivery_bell.notify_one();
                for slot in self.directory.awake_of(of.account_id) {
                    slot.send(Msg::Reload { done: None });
                }
            }
            Err(error) => {
                tracing::warn!(connection_id = %of.connection_id, %error, "a connection's status could not be saved");
            }
        }
    }
}

fn refused(word: &str) -> ProviderError {
    ProviderError::Unauthorized(format!("{word}; its owner has to connect again"))
}

fn unavailable(error: StoreError) -> ProviderError {
    ProviderError::Unavailable(error.to_string())
}

fn count(provider: ProviderKind, asked: &Result<OauthGrant, TokenError>) {
    let provider = match provider {
        ProviderKind::Google => "google",
        ProviderKind::Microsoft => "microsoft",
        ProviderKind::Sandbox | ProviderKind::Caldav | ProviderKind::Internal => "none",
    };
    let outcome = match asked {
        Ok(_) => "ok",
        Err(TokenError::GrantRefused(_)) => "grant_refused",
        Err(TokenError::ClientRefused(_)) => "client_refused",
        Err(TokenError::Unavailable(_)) => "unavailable",
        Err(TokenError::Refused(_)) => "refused",
    };
    ::metrics::counter!(metrics::TOKEN_REFRESHES, "provider" => provider, "outcome" => outcome).increment(1);
}
