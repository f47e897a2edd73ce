//! The way out: through the guarded client, to the address its organization gave and nowhere else.

use std::net::SocketAddr;
use std::time::Duration;

use agentcal_engine::ports::{OutboundWebhook, WebhookAnswer, WebhookSender};
use agentcal_provider_egress::{EgressClient, EgressError, EgressOptions, EgressPolicy, EgressRequest};
use async_trait::async_trait;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use crate::payload::render;
use crate::sign::signature_header;

/// Longest time from sending a message to the end of the answer.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of an answer that are read; the rest is left.
pub const ANSWER_LEN_MAX: usize = 1_024;
/// Longest address of an endpoint.
const URL_LEN_MAX: usize = 2_048;
/// Unused connections kept per host. Endpoints of many organizations are at one host, where a service receives for them, and
/// each may have eight messages under way.
const IDLE_PER_HOST_MAX: usize = 256;
/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Where messages may go.
#[derive(Clone, Debug)]
pub struct WebhookSenderOptions {
    /// Which addresses.
    pub policy: EgressPolicy,
    /// The name server to ask; `None`: the system's.
    pub dns: Option<SocketAddr>,
}

/// Sends messages through the guarded client.
#[derive(Clone)]
pub struct HttpWebhookSender {
    client: EgressClient,
}

impl HttpWebhookSender {
    /// A sender.
    pub fn new(options: WebhookSenderOptions) -> Result<Self, EgressError> {
        let client = EgressClient::new(EgressOptions {
            policy: options.policy,
            dns: options.dns,
            connect_timeout: CONNECT_TIMEOUT,
            total_timeout: SEND_TIMEOUT,
            idle_per_host_max: IDLE_PER_HOST_MAX,
        })?;
        Ok(Self { client })
    }

    fn read_url(&self, url: &str) -> Result<Url, String> {
        if url.len() > URL_LEN_MAX {
            return Err(format!("must have at most {URL_LEN_MAX} characters"));
        }
        let url = Url::parse(url).map_err(|error| format!("is not an address: {error}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not carry a user name or a password; messages are signed instead".to_owned());
        }
        if url.fragment().is_some() {
            return Err("must not have a fragment".to_owned());
        }
        self.client.check_url(&url).map_err(|error| error.to_string())?;
        Ok(url)
    }
}

#[async_trait]
impl WebhookSender for HttpWebhookSender {
    fn check_url(&self, url: &str) -> Result<(), String> {
        self.read_url(url).map(drop)
    }

    async fn send(&self, message: OutboundWebhook) -> Result<WebhookAnswer, String> {
        let url = self.read_url(&message.url)?;
        let request = request(url, &message)?;
        let response = self.client.send_and_glance(request).await.map_err(|error| error.to_string())?;
        Ok(WebhookAnswer {
            status: response.status.as_u16(),
            retry_after: retry_after(&response.headers),
            answer: text_of(&response.body),
        })
    }
}

fn request(url: Url, message: &OutboundWebhook) -> Result<EgressRequest, String> {
    let body = message.told.body(render);
    let seconds = message.timestamp.as_micros().div_euclid(1_000_000);
    let secrets = message.secrets.iter().map(|secret| secret.as_slice());
    let signature = signature_header(message.id, seconds, body, secrets);
    let value = |text: String| HeaderValue::try_from(text).map_err(|error| error.to_string());
    Ok(EgressRequest::new(Method::POST, url, ANSWER_LEN_MAX)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(ID, value(message.id.to_string())?)
        .header(TIMESTAMP, HeaderValue::from(seconds))
        .header(SIGNATURE, value(signature)?)
        .body(body))
}

/// Seconds alone are heeded: a date would be judged by a clock that is not ours.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// What is kept of an answer: text that every store can hold.
fn text_of(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().filter(|&c| c != '\0').collect()
}
