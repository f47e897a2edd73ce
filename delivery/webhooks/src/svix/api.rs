//! Requests to Svix, and what goes wrong with them.

use std::time::Duration;

use agentcal_engine::ports::RelayError;
use agentcal_provider_egress::{EgressClient, EgressError, EgressOptions, EgressPolicy, EgressRequest};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;
use zeroize::Zeroizing;

use super::SvixOptions;
use super::wire::{Detail, ErrorOut};
use crate::sender::retry_after;

/// How long an answer may take, and a connection to stand.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer: a page of messages with what they say.
const ANSWER_LEN_MAX: usize = 8 * 1_024 * 1_024;
/// Characters of what Svix says that are passed on.
const SAID_LEN_MAX: usize = 300;

/// Requests to one server, in the name of one environment.
pub(super) struct Api {
    client: EgressClient,
    /// Ends with a slash.
    base: Url,
    authorization: Zeroizing<String>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("{says}")]
    Away { says: String, retry_after: Option<Duration> },
    #[error("it does not know what was named")]
    Missing,
    #[error("it is there already")]
    Conflict,
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    /// What is there already need not be made.
    pub(super) fn or_there_already(self) -> Result<(), Self> {
        if self == Self::Conflict { Ok(()) } else { Err(self) }
    }

    fn away(says: impl Into<String>) -> Self {
        Self::Away { says: says.into(), retry_after: None }
    }
}

impl From<EgressError> for Failure {
    fn from(error: EgressError) -> Self {
        Self::away(error.to_string())
    }
}

impl From<Failure> for RelayError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Away { says, retry_after } => Self::Away { says, retry_after },
            Failure::Missing => Self::Missing,
            // Something else was made under the same id at the same time: the next try finds it.
            Failure::Conflict => Self::Away { says: "it is being made by somebody else".to_owned(), retry_after: None },
            Failure::Refused(says) => Self::Refused(says),
        }
    }
}

impl Api {
    pub(super) fn new(options: SvixOptions) -> Result<Self, EgressError> {
        // The operator names it, so it may be anywhere; but the token does not travel readable through public networks.
        let policy = EgressPolicy { allow_loopback: true, allow_private: true, https_only: false, ports: Vec::new() };
        let client = EgressClient::new(EgressOptions {
            connect_timeout: CONNECT_TIMEOUT,
            total_timeout: TOTAL_TIMEOUT,
            ..EgressOptions::new(policy)
        })?;
        client.check_url(&options.url)?;
        let base = format!("{}/api/v1/", options.url.as_str().trim_end_matches('/'));
        let base = Url::parse(&base).map_err(|error| EgressError::Invalid(error.to_string()))?;
        Ok(Self { client, base, authorization: Zeroizing::new(format!("Bearer {}", options.token)) })
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, Failure> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        read(&self.ask(Method::GET, url, Vec::new()).await?)
    }

    pub(super) async fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Failure> {
        read(&self.ask(Method::POST, self.url(path)?, written(body)?).await?)
    }

    /// The same where nothing of the answer is wanted.
    pub(super) async fn post_for_nothing(&self, path: &str, body: &impl Serialize) -> Result<(), Failure> {
        self.ask(Method::POST, self.url(path)?, written(body)?).await.map(drop)
    }

    pub(super) async fn put(&self, path: &str, body: &impl Serialize) -> Result<(), Failure> {
        self.ask(Method::PUT, self.url(path)?, written(body)?).await.map(drop)
    }

    pub(super) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.ask(Method::DELETE, self.url(path)?, Vec::new()).await.map(drop)
    }

    fn url(&self, path: &str) -> Result<Url, Failure> {
        self.base.join(path).map_err(|error| Failure::Refused(error.to_string()))
    }

    async fn ask(&self, method: Method, url: Url, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let mut authorization = HeaderValue::try_from(self.authorization.as_str())
            .map_err(|error| Failure::away(format!("the token cannot be sent: {error}")))?;
        authorization.set_sensitive(true);
        let request = EgressRequest::new(method, url, ANSWER_LEN_MAX)
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        let answer = self.client.send(request).await?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        Err(match answer.status {
            StatusCode::NOT_FOUND => Failure::Missing,
            StatusCode::CONFLICT => Failure::Conflict,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::away("it refuses our token"),
            status if is_for_now(status) => {
                Failure::Away { says: format!("it answered {status}"), retry_after: retry_after(&answer.headers) }
            }
            status => Failure::Refused(said(status, &answer.body)),
        })
    }
}

/// Whether the same request may be answered otherwise later.
fn is_for_now(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// What an error says that is worth passing on.
fn said(status: StatusCode, body: &[u8]) -> String {
    let said = match serde_json::from_slice::<ErrorOut>(body).map(|error| error.detail) {
        Ok(Detail::Text(text)) => text,
        Ok(Detail::Items(items)) => items.into_iter().map(|item| item.msg).collect::<Vec<_>>().join("; "),
        Err(_) => String::new(),
    };
    let said: String = said.chars().filter(|c| !c.is_control()).take(SAID_LEN_MAX).collect();
    if said.is_empty() { format!("it answered {status}") } else { format!("it answered {status}: {said}") }
}

fn written(body: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(body).map_err(|error| Failure::Refused(error.to_string()))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::away(format!("its answer cannot be read: {error}")))
}
