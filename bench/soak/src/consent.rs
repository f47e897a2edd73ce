//! Somebody consents, and what that grants is kept.

use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::{ConsentRequest, OauthClient, OauthGrant, TokenIssuer};
use agentcal_provider_oauth::{OauthError, OauthOptions, OauthServers};
use reqwest::redirect::Policy;
use std::sync::Arc;
use url::Url;

use crate::brake::Brake;
use crate::clock::VirtualClock;
use crate::cloud::{CLIENT_ID, CLIENT_SECRET, Cloud};

/// Where browsers come back to; nobody listens there.
const DONE: &str = "http://127.0.0.1:9/done";

/// The identity servers of both fakes.
pub(crate) fn servers(cloud: &Cloud, clock: &Arc<VirtualClock>) -> Result<OauthServers, OauthError> {
    let client = OauthClient { client_id: CLIENT_ID.to_owned(), client_secret: CLIENT_SECRET.to_owned() };
    let options = OauthOptions {
        google_consent_url: cloud.google_url.clone(),
        google_oauth_url: cloud.google_url.clone(),
        google_client: Some(client.clone()),
        microsoft_login_url: Url::parse(&cloud.graph.base_url()).map_err(|_not_a_url| OauthError::BadAddress)?,
        microsoft_tenant: agentcal_provider_oauth::MICROSOFT_TENANT.to_owned(),
        microsoft_client: Some(client),
    };
    OauthServers::new(options, Arc::clone(clock) as _)
}

/// Somebody's browser.
pub(crate) struct Browser {
    http: reqwest::Client,
    brake: Brake,
}

impl Browser {
    pub(crate) fn new(brake: Brake) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build()?;
        Ok(Self { http, brake })
    }

    /// Sends somebody to consent; what is granted.
    pub(crate) async fn consent(
        &self,
        servers: &OauthServers,
        provider: ProviderKind,
        address: &str,
    ) -> Result<OauthGrant, String> {
        let _held = self.brake.hold();
        let client = servers.client(provider).ok_or("no client")?;
        let request =
            ConsentRequest { redirect_uri: DONE.to_owned(), state: "state".to_owned(), verifier: "v".repeat(43) };
        let url = servers.consent_url(provider, &client, &request).map_err(|error| error.to_string())?;
        let mut url = Url::parse(&url).map_err(|error| error.to_string())?;
        url.query_pairs_mut().append_pair("login_hint", address);
        let answer = self.http.get(url).send().await.map_err(|error| error.to_string())?;
        let location = answer.headers().get("location").and_then(|value| value.to_str().ok());
        let location = Url::parse(location.ok_or("nobody is sent back")?).map_err(|error| error.to_string())?;
        let code = location.query_pairs().find(|(name, _)| name == "code").map(|(_, code)| code.into_owned());
        let code = code.ok_or_else(|| format!("no code in {location}"))?;
        let consented = servers.exchange(provider, &client, &request, &code).await;
        let consented = consented.map_err(|error| error.to_string())?;
        match consented.missing.as_slice() {
            [] => Ok(consented.grant),
            missing => Err(format!("not granted: {missing:?}")),
        }
    }
}
