//! From a code to a connection: exchange, look what was granted, find calendars, keep.

use std::borrow::Cow;

use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::{
    ConsentRequest, Consented, Credentials, Discovery, Mailbox, OauthAttempt, OauthClient, StoreError, TokenError,
};

use super::{callback_url, name};
use crate::app::AppState;
use crate::parts::OauthSettings;
use crate::v1::connections::found::{CALENDARS_MAX, connection_of, ring};
use crate::v1::wire::zone_of;

/// Why nobody is connected, as the page that sent the person hears of it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: &'static str,
    pub(super) says: Cow<'static, str>,
}

impl Failure {
    pub(super) fn new(code: &'static str, says: impl Into<Cow<'static, str>>) -> Self {
        Self { code, says: says.into() }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "a connection could not be kept");
        Self::new("server_error", "the connection could not be kept; begin again")
    }
}

/// The id of the connection that came of a code.
pub(super) async fn connect(
    app: &AppState,
    oauth: &OauthSettings,
    attempt: &OauthAttempt,
    code: &str,
) -> Result<String, Failure> {
    let consented = exchange(app, oauth, attempt, code).await?;
    match keep(app, attempt, &consented).await {
        Ok(id) => Ok(id),
        Err(failure) => {
            give_back(oauth, attempt, &consented).await;
            app.parts.scheduler.give_back();
            Err(failure)
        }
    }
}

async fn exchange(
    app: &AppState,
    oauth: &OauthSettings,
    attempt: &OauthAttempt,
    code: &str,
) -> Result<Consented, Failure> {
    let client = client(oauth, attempt).await?.ok_or_else(|| {
        Failure::new("server_error", "the OAuth client was changed while somebody consented; begin again")
    })?;
    let request = ConsentRequest {
        redirect_uri: callback_url(app, attempt.provider),
        state: String::new(),
        verifier: attempt.verifier.clone(),
    };
    oauth.issuer.exchange(attempt.provider, &client, &request, code).await.map_err(|error| {
        tracing::warn!(%error, "a code could not be exchanged");
        of_exchange(&error, attempt.provider)
    })
}

/// The client somebody was sent away by.
async fn client(oauth: &OauthSettings, attempt: &OauthAttempt) -> Result<Option<OauthClient>, StoreError> {
    let is_it = |client: &OauthClient| client.client_id == attempt.client_id;
    if let Some(own) = oauth.issuer.client(attempt.provider).filter(is_it) {
        return Ok(Some(own));
    }
    Ok(oauth.store.oauth_client(attempt.tenant.organization_id, attempt.provider).await?.filter(is_it))
}

async fn keep(app: &AppState, attempt: &OauthAttempt, consented: &Consented) -> Result<String, Failure> {
    if !consented.missing.is_empty() {
        let says = format!(
            "{} was asked for more than was granted; connect again and tick every box (missing: {})",
            name(attempt.provider),
            consented.missing.join(", ")
        );
        return Err(Failure::new("scopes_missing", says));
    }
    let account_id = attempt.tenant.account_id;
    let discovery = discover(app, attempt.provider, consented).await?;
    let config = app.parts.scheduler.config(account_id).await?;
    let config = config.ok_or_else(|| Failure::new("server_error", "the account is not there any more"))?;
    let zone = zone_of(&config.account);
    let (connection, calendars) = connection_of(app, account_id, attempt.provider, discovery, zone);
    let subject = consented.subject.clone().unwrap_or_else(|| connection.display_name.clone());
    let mailbox = Mailbox { connection, subject, grant: consented.grant.clone(), calendars };
    let connected = app.store().connect_mailbox(&attempt.tenant, &mailbox).await?;
    let (connection, calendars) =
        connected.ok_or_else(|| Failure::new("server_error", "the account is not there any more"))?;
    app.parts.scheduler.reconnected(account_id).await;
    ring(app, account_id, &calendars);
    Ok(connection.id.to_string())
}

async fn discover(app: &AppState, provider: ProviderKind, consented: &Consented) -> Result<Discovery, Failure> {
    let name = name(provider);
    let failed = |says: String| Failure::new("provider_error", says);
    let source = app.parts.providers.get(provider);
    let source = source.ok_or_else(|| failed(format!("this process does not speak to {name}")))?;
    let credentials = Credentials::Oauth(consented.grant.clone());
    let deadline = app.parts.settings.discover_deadline;
    let found = tokio::time::timeout(deadline, source.discover(&credentials)).await;
    let found = found.map_err(|elapsed| {
        tracing::info!(error = %elapsed, "a provider did not answer a discovery");
        failed(format!("{name} did not list the calendars in time; begin again"))
    })?;
    let discovery = found.map_err(|error| {
        tracing::warn!(%error, "a provider does not list calendars");
        failed(format!("{name} did not list the calendars: {error}"))
    })?;
    match discovery.calendars.len() {
        0..=CALENDARS_MAX => Ok(discovery),
        many => Err(failed(format!("the mailbox has {many} calendars, more than the {CALENDARS_MAX} one may have"))),
    }
}

/// What was granted for nothing is given back. Without knowing whose it is nobody could say whether it is in use elsewhere,
/// and then it stays.
async fn give_back(oauth: &OauthSettings, attempt: &OauthAttempt, consented: &Consented) {
    let Some(subject) = &consented.subject else { return };
    let queued = oauth.store.queue_revocation(&attempt.tenant, attempt.provider, subject, &consented.grant).await;
    if let Err(error) = queued {
        tracing::warn!(%error, "a grant that is of no use could not be given back");
    }
}

fn of_exchange(error: &TokenError, provider: ProviderKind) -> Failure {
    let name = name(provider);
    match error {
        TokenError::GrantRefused(_) => {
            Failure::new("exchange_failed", format!("{name} does not accept the code any more; begin again"))
        }
        TokenError::ClientRefused(_) => Failure::new(
            "exchange_failed",
            format!("{name} refuses the OAuth client; its administrator has to look at its id and secret"),
        ),
        TokenError::Unavailable(_) => {
            Failure::new("provider_error", format!("{name} could not be reached; begin again"))
        }
        TokenError::Refused(why) => Failure::new("exchange_failed", format!("{name} refuses the exchange: {why}")),
    }
}
