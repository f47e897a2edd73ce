//! An identity server that says yes to whoever comes with the code `code`.

use std::sync::atomic::{AtomicBool, Ordering};

use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::{ConsentRequest, Consented, OauthClient, OauthGrant, TokenError, TokenIssuer};
use async_trait::async_trait;

use super::START;

/// Knows the installation's clients, until it is told to forget them, and everybody's.
#[derive(Default)]
pub(crate) struct ScriptedIssuer {
    has_forgotten: AtomicBool,
}

impl ScriptedIssuer {
    /// From now on the installation has no client anywhere.
    pub(crate) fn forget_clients(&self) {
        self.has_forgotten.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl TokenIssuer for ScriptedIssuer {
    fn client(&self, _: ProviderKind) -> Option<OauthClient> {
        let client = OauthClient { client_id: "client".to_owned(), client_secret: "secret".to_owned() };
        (!self.has_forgotten.load(Ordering::SeqCst)).then_some(client)
    }

    fn consent_url(
        &self,
        _: ProviderKind,
        client: &OauthClient,
        request: &ConsentRequest,
    ) -> Result<String, TokenError> {
        let (id, back, state) = (&client.client_id, &request.redirect_uri, &request.state);
        Ok(format!("https://consent.example/?client_id={id}&redirect_uri={back}&state={state}"))
    }

    async fn exchange(
        &self,
        _: ProviderKind,
        client: &OauthClient,
        _: &ConsentRequest,
        code: &str,
    ) -> Result<Consented, TokenError> {
        if code != "code" {
            return Err(TokenError::GrantRefused("invalid_grant".to_owned()));
        }
        let grant = OauthGrant {
            client_id: client.client_id.clone(),
            access_token: "access".to_owned(),
            expires_at: START,
            refresh_token: "refresh".to_owned(),
        };
        Ok(Consented { grant, subject: Some("subject".to_owned()), missing: Vec::new() })
    }

    async fn refresh(&self, _: ProviderKind, _: &OauthClient, grant: &OauthGrant) -> Result<OauthGrant, TokenError> {
        Ok(grant.clone())
    }

    async fn revoke(&self, _: ProviderKind, _: &OauthGrant) -> Result<(), TokenError> {
        Ok(())
    }
}
