//! Requests with somebody's token.

use agentcal_engine::ports::{Credentials, ProviderError};
use agentcal_provider_egress::{EgressClient, EgressError, EgressRequest, EgressResponse};
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, IF_MATCH};
use serde_json::Value;
use url::Url;

use crate::answer::from_egress;

/// Most bytes of one answer. A page of 250 events is usually a fortieth of it.
pub(crate) const ANSWER_LEN_MAX: usize = 4 * 1024 * 1024;

/// Requests with somebody's token.
pub(crate) struct Session<'a> {
    client: &'a EgressClient,
    api_url: &'a Url,
    authorization: HeaderValue,
}

/// A request: what for, and with what.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    /// Below `calendar/v3/`.
    pub(crate) path: &'a [&'a str],
    pub(crate) query: &'a [(&'a str, &'a str)],
    /// Only if what is there has this version.
    pub(crate) if_match: Option<&'a str>,
    pub(crate) body: Option<Value>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: Method, path: &'a [&'a str], query: &'a [(&'a str, &'a str)]) -> Self {
        Self { method, path, query, if_match: None, body: None }
    }

    pub(crate) fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    pub(crate) fn if_match(self, etag: Option<&'a str>) -> Self {
        Self { if_match: etag, ..self }
    }
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        client: &'a EgressClient,
        api_url: &'a Url,
        credentials: &Credentials,
    ) -> Result<Self, ProviderError> {
        let Credentials::Oauth(grant) = credentials else {
            return Err(ProviderError::Refused("these are no credentials of Google's".to_owned()));
        };
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", grant.access_token))
            .map_err(|error| ProviderError::Unauthorized(format!("the token cannot be sent in a header: {error}")))?;
        authorization.set_sensitive(true);
        Ok(Self { client, api_url, authorization })
    }

    /// Asks, and takes whatever comes.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<EgressResponse, ProviderError> {
        self.send_raw(call).await?.map_err(from_egress)
    }

    /// The same, and leaves failures of the way as they are.
    pub(crate) async fn send_raw(&self, call: Call<'_>) -> Result<Result<EgressResponse, EgressError>, ProviderError> {
        let method = call.method.clone();
        let mut request = EgressRequest::new(call.method.clone(), self.url(&call)?, ANSWER_LEN_MAX)
            .header(AUTHORIZATION, self.authorization.clone());
        if let Some(etag) = call.if_match {
            let etag = HeaderValue::from_str(etag)
                .map_err(|error| ProviderError::Refused(format!("an ETag cannot be sent: {error}")))?;
            request = request.header(IF_MATCH, etag);
        }
        if let Some(body) = &call.body {
            request = request
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"))
                .body(body.to_string());
        }
        let answer = self.client.send(request).await;
        if let Ok(response) = &answer {
            tracing::debug!(%method, status = response.status.as_u16(), bytes = response.body.len(), "google request");
        }
        Ok(answer)
    }

    fn url(&self, call: &Call<'_>) -> Result<Url, ProviderError> {
        let mut url = self.api_url.clone();
        url.path_segments_mut()
            .map_err(|()| ProviderError::Refused("the address of Google's API cannot be extended".to_owned()))?
            .pop_if_empty()
            .extend(["calendar", "v3"])
            .extend(call.path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        Ok(url)
    }
}
