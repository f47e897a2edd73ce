//! Requests with somebody's access token.

use std::sync::Arc;

use agentcal_engine::ports::{Credentials, ProviderError};
use agentcal_provider_egress::{EgressClient, EgressError, EgressRequest};
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, IF_MATCH};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::answer::Answer;
use crate::error::from_egress;
use crate::urls::Urls;

/// Most bytes of one answer. Rounds cannot be asked to leave out what events say, so a page may be large.
const ANSWER_LEN_MAX: usize = 16 * 1024 * 1024;

/// Events of one page of a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PageLen {
    #[default]
    Usual,
    /// What is in this calendar is long.
    Small,
}

impl PageLen {
    fn events(self) -> u32 {
        match self {
            Self::Usual => 100,
            Self::Small => 5,
        }
    }
}

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Ids that an event keeps wherever it is moved, and times that need no zone.
const PREFERENCES: &str = "IdType=\"ImmutableId\", outlook.timezone=\"UTC\"";

/// Requests with somebody's access token.
pub(crate) struct Session {
    client: EgressClient,
    authorization: HeaderValue,
    pub(crate) urls: Arc<Urls>,
}

impl Session {
    pub(crate) fn new(client: EgressClient, urls: Arc<Urls>, credentials: &Credentials) -> Result<Self, ProviderError> {
        let Credentials::Oauth(grant) = credentials else {
            return Err(ProviderError::Refused("these are no credentials of Microsoft 365".to_owned()));
        };
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", grant.access_token))
            .map_err(|error| ProviderError::Unauthorized(format!("the token cannot be sent in a header: {error}")))?;
        authorization.set_sensitive(true);
        Ok(Self { client, authorization, urls })
    }

    pub(crate) async fn get(&self, url: Url) -> Result<Answer, ProviderError> {
        self.send(self.request(Method::GET, url)).await.map_err(from_egress)
    }

    /// A page of events, of the wanted length or, where so many are too large, of a small one.
    pub(crate) async fn get_page(&self, url: &Url, len: PageLen) -> Result<(Answer, PageLen), ProviderError> {
        match self.send(self.page_of(url, len)).await {
            Err(EgressError::BodyTooLarge { .. }) if len == PageLen::Usual => {
                let answer = self.send(self.page_of(url, PageLen::Small)).await;
                answer.map(|answer| (answer, PageLen::Small)).map_err(from_egress)
            }
            answer => answer.map(|answer| (answer, len)).map_err(from_egress),
        }
    }

    pub(crate) async fn post(&self, url: Url, body: &Value) -> Result<Answer, ProviderError> {
        self.send(with_body(self.request(Method::POST, url), body)).await.map_err(from_egress)
    }

    /// A change of what has this version; of whatever is there, where none is known.
    pub(crate) async fn patch(&self, url: Url, etag: Option<&str>, body: &Value) -> Result<Answer, ProviderError> {
        let mut request = with_body(self.request(Method::PATCH, url), body);
        if let Some(etag) = etag {
            let value = HeaderValue::from_str(etag)
                .map_err(|error| ProviderError::Refused(format!("an ETag cannot be sent: {error}")))?;
            request = request.header(IF_MATCH, value);
        }
        self.send(request).await.map_err(from_egress)
    }

    pub(crate) async fn delete(&self, url: Url) -> Result<Answer, ProviderError> {
        self.send(self.request(Method::DELETE, url)).await.map_err(from_egress)
    }

    fn page_of(&self, url: &Url, len: PageLen) -> EgressRequest {
        let preferences = format!("{PREFERENCES}, odata.maxpagesize={}", len.events());
        let preferences = HeaderValue::from_str(&preferences).expect("preferences are plain text");
        self.request(Method::GET, url.clone()).header(PREFER, preferences)
    }

    fn request(&self, method: Method, url: Url) -> EgressRequest {
        EgressRequest::new(method, url, ANSWER_LEN_MAX)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(PREFER, HeaderValue::from_static(PREFERENCES))
    }

    async fn send(&self, request: EgressRequest) -> Result<Answer, EgressError> {
        let method = request.method.clone();
        let response = self.client.send(request).await?;
        tracing::debug!(%method, status = response.status.as_u16(), bytes = response.body.len(), "graph request");
        Ok(Answer::of(response))
    }
}

fn with_body(request: EgressRequest, body: &Value) -> EgressRequest {
    request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body.to_string())
}

/// What a request inside a batch prefers: it does not inherit that.
pub(crate) fn batch_headers() -> Value {
    serde_json::json!({ "Prefer": PREFERENCES })
}
