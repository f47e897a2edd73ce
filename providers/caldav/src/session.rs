//! Requests with somebody's credentials.

use agentcal_engine::icalendar::TEXT_LEN_MAX;
use agentcal_engine::ports::{CalendarRef, Credentials, ProviderError};
use agentcal_provider_egress::{EgressClient, EgressError, EgressRequest, EgressResponse};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, FixedOffset};
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use http::{Method, StatusCode};
use url::Url;

use crate::error::{from_egress, from_status};
use crate::xml::{Multistatus, multistatus};

/// Most bytes of one answer. A page of fifty events is usually a thousandth of it.
pub(crate) const ANSWER_LEN_MAX: usize = 16 * 1024 * 1024;

const DEPTH: HeaderName = HeaderName::from_static("depth");

/// How deep a question goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    Resource,
    Members,
}

/// What a write is conditional on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing is there yet.
    Absent,
    /// What is there has this version; no condition where the server gave none.
    Version(Option<String>),
}

/// Requests with somebody's credentials, relative to a base.
#[derive(Clone)]
pub(crate) struct Session {
    client: EgressClient,
    authorization: HeaderValue,
    pub(crate) base: Url,
}

impl Session {
    pub(crate) fn new(client: EgressClient, credentials: &Credentials, base: Url) -> Result<Self, ProviderError> {
        Ok(Self { client, authorization: authorization(credentials)?, base })
    }

    pub(crate) fn of_calendar(client: EgressClient, calendar: &CalendarRef) -> Result<Self, ProviderError> {
        let base = Url::parse(&calendar.provider_calendar_id)
            .map_err(|error| ProviderError::Refused(format!("the calendar's address cannot be read: {error}")))?;
        Self::new(client, &calendar.credentials, base)
    }

    /// The same credentials, elsewhere.
    pub(crate) fn at(self, base: Url) -> Self {
        Self { base, ..self }
    }

    /// A PROPFIND, answered with a multistatus. The URL it came from is the one after redirects.
    pub(crate) async fn propfind(
        &self,
        url: &Url,
        depth: Depth,
        body: String,
    ) -> Result<(Url, Multistatus), ProviderError> {
        let response = self.dav("PROPFIND", url, depth, body).await?;
        let parsed = expect_multistatus(&response)?;
        Ok((response.url, parsed))
    }

    /// A REPORT on the base, answered with a multistatus.
    pub(crate) async fn report(&self, depth: Depth, body: String) -> Result<Multistatus, ProviderError> {
        expect_multistatus(&self.report_raw(depth, body).await?)
    }

    /// A REPORT on the base.
    pub(crate) async fn report_raw(&self, depth: Depth, body: String) -> Result<EgressResponse, ProviderError> {
        self.dav("REPORT", &self.base, depth, body).await
    }

    /// The same; `None` where the answer is longer than is read.
    pub(crate) async fn report_bounded(
        &self,
        depth: Depth,
        body: String,
    ) -> Result<Option<EgressResponse>, ProviderError> {
        match self.send_raw(dav_request("REPORT", &self.base, depth, body)).await {
            Err(EgressError::BodyTooLarge { .. }) => Ok(None),
            answer => answer.map(Some).map_err(from_egress),
        }
    }

    async fn dav(&self, method: &str, url: &Url, depth: Depth, body: String) -> Result<EgressResponse, ProviderError> {
        self.send(dav_request(method, url, depth, body)).await
    }

    /// A GET of one resource, whatever it comes to.
    pub(crate) async fn get_raw(&self, url: &Url) -> Result<EgressResponse, ProviderError> {
        self.send(EgressRequest::new(Method::GET, url.clone(), TEXT_LEN_MAX)).await
    }

    /// A GET; `None` when nothing is there.
    pub(crate) async fn get(&self, url: &Url) -> Result<Option<EgressResponse>, ProviderError> {
        let response = self.get_raw(url).await?;
        match response.status {
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
            status if status.is_success() => Ok(Some(response)),
            _ => Err(from_status(&response)),
        }
    }

    /// A PUT of an iCalendar object.
    pub(crate) async fn put(
        &self,
        url: &Url,
        condition: Condition,
        body: String,
    ) -> Result<EgressResponse, ProviderError> {
        let request = EgressRequest::new(Method::PUT, url.clone(), ANSWER_LEN_MAX)
            .header(CONTENT_TYPE, HeaderValue::from_static("text/calendar; charset=utf-8"))
            .body(body);
        let request = match condition {
            Condition::Absent => request.header(IF_NONE_MATCH, HeaderValue::from_static("*")),
            Condition::Version(Some(etag)) => request.header(IF_MATCH, header_value(&etag)?),
            Condition::Version(None) => request,
        };
        self.send(request).await
    }

    /// A DELETE; whether something was there.
    pub(crate) async fn delete(&self, url: &Url) -> Result<bool, ProviderError> {
        let response = self.send(EgressRequest::new(Method::DELETE, url.clone(), ANSWER_LEN_MAX)).await?;
        match response.status {
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(false),
            status if status.is_success() => Ok(true),
            _ => Err(from_status(&response)),
        }
    }

    async fn send(&self, request: EgressRequest) -> Result<EgressResponse, ProviderError> {
        self.send_raw(request).await.map_err(from_egress)
    }

    async fn send_raw(&self, request: EgressRequest) -> Result<EgressResponse, EgressError> {
        let method = request.method.clone();
        let request = request.header(AUTHORIZATION, self.authorization.clone());
        let response = self.client.send(request).await?;
        tracing::debug!(%method, status = response.status.as_u16(), bytes = response.body.len(), "caldav request");
        Ok(response)
    }
}

fn dav_request(method: &str, url: &Url, depth: Depth, body: String) -> EgressRequest {
    let method = Method::from_bytes(method.as_bytes()).expect("WebDAV's methods are tokens");
    let depth = match depth {
        Depth::Resource => "0",
        Depth::Members => "1",
    };
    EgressRequest::new(method, url.clone(), ANSWER_LEN_MAX)
        .header(DEPTH, HeaderValue::from_static(depth))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/xml; charset=utf-8"))
        .body(body)
}

fn expect_multistatus(response: &EgressResponse) -> Result<Multistatus, ProviderError> {
    match response.status {
        StatusCode::MULTI_STATUS => multistatus(&response.body),
        status if status.is_success() => {
            // A web page at the address answers 200 to everything.
            Err(ProviderError::Refused("the server does not speak WebDAV at this address".to_owned()))
        }
        _ => Err(from_status(response)),
    }
}

fn authorization(credentials: &Credentials) -> Result<HeaderValue, ProviderError> {
    let text = match credentials {
        Credentials::CaldavBasic { username, .. } if username.contains(':') => {
            return Err(ProviderError::Unauthorized("a user name with a colon cannot be sent".to_owned()));
        }
        Credentials::CaldavBasic { username, password, .. } => {
            format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}")))
        }
        Credentials::CaldavBearer { token, .. } => format!("Bearer {token}"),
        Credentials::Sandbox { .. } | Credentials::Oauth(_) => {
            return Err(ProviderError::Refused("these are no CalDAV credentials".to_owned()));
        }
    };
    let mut value = HeaderValue::from_str(&text)
        .map_err(|error| ProviderError::Unauthorized(format!("the token cannot be sent in a header: {error}")))?;
    value.set_sensitive(true);
    Ok(value)
}

fn header_value(text: &str) -> Result<HeaderValue, ProviderError> {
    HeaderValue::from_str(text).map_err(|error| ProviderError::Refused(format!("an ETag cannot be sent: {error}")))
}

/// The version an answer names; weak ones cannot guard a write.
pub(crate) fn etag_of(response: &EgressResponse) -> Option<String> {
    let etag = response.headers.get(ETAG)?.to_str().ok()?.trim();
    (!etag.is_empty() && !etag.starts_with("W/")).then(|| etag.to_owned())
}

/// The server's clock as of an answer.
pub(crate) fn date_of(response: &EgressResponse) -> Option<DateTime<FixedOffset>> {
    DateTime::parse_from_rfc2822(response.headers.get(DATE)?.to_str().ok()?).ok()
}
