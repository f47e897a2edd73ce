//! One OAuth 2.0 server.

use std::time::Duration;

use agentcal_engine::ports::{Clock, ConsentRequest, Consented, OauthClient, OauthGrant, TokenError};
use agentcal_provider_egress::{EgressClient, EgressError, EgressOptions, EgressPolicy, EgressRequest};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    ExtraTokenFields, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, Scope as ScopeName,
    StandardRevocableToken, StandardTokenResponse, TokenResponse as _, TokenUrl,
};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::of_request;
use crate::http::{HttpError, send};
use crate::scopes::{OFFLINE, Scope, missing};
use crate::subject::subject_of;

/// How long a token is taken to count whose server does not say.
const LIFETIME_UNSAID: Duration = Duration::from_secs(600);
/// Most bytes of an answer to a revocation that are read.
const REVOCATION_LEN_MAX: usize = 16 * 1024;

/// Where a server is.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) consent: Url,
    pub(crate) token: Url,
    /// `None`: it takes nothing back.
    pub(crate) revocation: Option<Url>,
}

/// One OAuth 2.0 server.
pub(crate) struct Server {
    http: EgressClient,
    addresses: Addresses,
    scopes: &'static [Scope],
    /// Parameters of the consent that only this server knows.
    besides: &'static [(&'static str, &'static str)],
}

/// What comes with tokens of OpenID Connect.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct IdTokenField {
    id_token: Option<String>,
}

impl ExtraTokenFields for IdTokenField {}

type TokenAnswer = StandardTokenResponse<IdTokenField, BasicTokenType>;

type ReadyClient = Client<
    BasicErrorResponse,
    TokenAnswer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

impl Server {
    pub(crate) fn new(
        addresses: Addresses,
        scopes: &'static [Scope],
        besides: &'static [(&'static str, &'static str)],
        timeout: Duration,
    ) -> Result<Self, EgressError> {
        // The address is the operator's, not a customer's: one of this machine is meant where it is said.
        let policy = match addresses.token.scheme() {
            "http" => EgressPolicy::development(),
            _ => EgressPolicy { ports: Vec::new(), ..EgressPolicy::production() },
        };
        let options = EgressOptions { total_timeout: timeout, ..EgressOptions::new(policy) };
        Ok(Self { http: EgressClient::new(options)?, addresses, scopes, besides })
    }

    pub(crate) fn consent_url(&self, client: &OauthClient, request: &ConsentRequest) -> Result<String, TokenError> {
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(request.verifier.clone()));
        let client = self.client(client).set_redirect_uri(redirect(request)?);
        let state = CsrfToken::new(request.state.clone());
        let scopes = self.scopes.iter().map(|scope| ScopeName::new(scope.name.to_owned()));
        let mut asked = client.authorize_url(|| state).add_scopes(scopes).set_pkce_challenge(challenge);
        for (name, value) in self.besides {
            asked = asked.add_extra_param(*name, *value);
        }
        let (url, _state) = asked.url();
        Ok(url.into())
    }

    pub(crate) async fn exchange(
        &self,
        client: &OauthClient,
        request: &ConsentRequest,
        code: &str,
        clock: &dyn Clock,
    ) -> Result<Consented, TokenError> {
        let ready = self.client(client).set_redirect_uri(redirect(request)?);
        let verifier = PkceCodeVerifier::new(request.verifier.clone());
        let http = |request| send(self.http.clone(), request);
        let answer = ready.exchange_code(AuthorizationCode::new(code.to_owned())).set_pkce_verifier(verifier);
        let answer: TokenAnswer = answer.request_async(&http).await.map_err(of_request)?;
        let granted = answer.scopes().map(|scopes| scopes.iter().map(|scope| scope.as_str()));
        let mut missing = missing(self.scopes, granted);
        let refresh_token = answer.refresh_token().map(|token| token.secret().clone());
        if refresh_token.is_none() {
            missing.push(OFFLINE);
        }
        let grant = OauthGrant {
            client_id: client.client_id.clone(),
            access_token: answer.access_token().secret().clone(),
            expires_at: clock.now() + answer.expires_in().unwrap_or(LIFETIME_UNSAID),
            refresh_token: refresh_token.unwrap_or_default(),
        };
        let subject = answer.extra_fields().id_token.as_deref().and_then(subject_of);
        Ok(Consented { grant, subject, missing })
    }

    pub(crate) async fn refresh(
        &self,
        client: &OauthClient,
        grant: &OauthGrant,
        clock: &dyn Clock,
    ) -> Result<OauthGrant, TokenError> {
        let ready = self.client(client);
        let http = |request| send(self.http.clone(), request);
        let refresh_token = RefreshToken::new(grant.refresh_token.clone());
        let asked_at = clock.now();
        let answer: TokenAnswer =
            ready.exchange_refresh_token(&refresh_token).request_async(&http).await.map_err(of_request)?;
        Ok(OauthGrant {
            client_id: grant.client_id.clone(),
            access_token: answer.access_token().secret().clone(),
            expires_at: asked_at + answer.expires_in().unwrap_or(LIFETIME_UNSAID),
            // One that came along takes the place of the other, which may count no more (RFC 6749, section 6).
            refresh_token: answer
                .refresh_token()
                .map_or_else(|| grant.refresh_token.clone(), |token| token.secret().clone()),
        })
    }

    /// By hand: `oauth2` insists on https, which a server of this machine does not speak.
    pub(crate) async fn revoke(&self, grant: &OauthGrant) -> Result<(), TokenError> {
        let Some(url) = self.addresses.revocation.clone() else { return Ok(()) };
        let token = if grant.refresh_token.is_empty() { &grant.access_token } else { &grant.refresh_token };
        let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("token", token).finish();
        let request = EgressRequest::new(Method::POST, url, REVOCATION_LEN_MAX)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
            .body(form);
        let answer = self.http.send(request).await.map_err(|error| of_request(HttpError::Egress(error).into()))?;
        match answer.status {
            status if status.is_success() => Ok(()),
            // Taken back or run out before.
            StatusCode::BAD_REQUEST => Ok(()),
            status => Err(TokenError::Unavailable(format!("it answers {status} to a revocation"))),
        }
    }

    fn client(&self, client: &OauthClient) -> ReadyClient {
        Client::new(ClientId::new(client.client_id.clone()))
            .set_client_secret(ClientSecret::new(client.client_secret.clone()))
            .set_auth_uri(AuthUrl::from_url(self.addresses.consent.clone()))
            .set_token_uri(TokenUrl::from_url(self.addresses.token.clone()))
            // Microsoft and Google both take it in the body.
            .set_auth_type(AuthType::RequestBody)
    }
}

fn redirect(request: &ConsentRequest) -> Result<RedirectUrl, TokenError> {
    RedirectUrl::new(request.redirect_uri.clone())
        .map_err(|error| TokenError::Refused(format!("the address to come back to cannot be read: {error}")))
}
