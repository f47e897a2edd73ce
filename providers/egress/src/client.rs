//! The guarded client itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Origin, Url};

use crate::dns::Dns;
use crate::error::EgressError;
use crate::policy::{EgressPolicy, Transport};

/// Most redirects of one request that are followed.
pub const REDIRECTS_MAX: usize = 5;
/// Longest URL that is asked for.
const URL_LEN_MAX: usize = 8_192;
/// Unused connections kept per host, unless said otherwise.
const IDLE_PER_HOST_MAX: usize = 4;
/// How long an unused connection is kept. Short, since the address behind it was checked when it was made.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How a client is to behave.
#[derive(Clone, Debug)]
pub struct EgressOptions {
    /// Which addresses it speaks to.
    pub policy: EgressPolicy,
    /// The name server it asks; `None`: whomever the system asks.
    pub dns: Option<SocketAddr>,
    /// How long a connection may take to stand.
    pub connect_timeout: Duration,
    /// How long a request may take, redirects and body included.
    pub total_timeout: Duration,
    /// How many unused connections are kept per host for the next request. Whoever has more requests under way to one host
    /// opens, and has the other side open, a new connection for the rest of them each time.
    pub idle_per_host_max: usize,
}

impl EgressOptions {
    /// Time-outs of 5 and 30 seconds, the system's name servers, four unused connections per host.
    pub fn new(policy: EgressPolicy) -> Self {
        let (connect_timeout, total_timeout) = (Duration::from_secs(5), Duration::from_secs(30));
        Self { policy, dns: None, connect_timeout, total_timeout, idle_per_host_max: IDLE_PER_HOST_MAX }
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct EgressRequest {
    /// Method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Headers; credentials among them travel to this origin alone.
    pub headers: HeaderMap,
    /// Body.
    pub body: Vec<u8>,
    /// Most bytes of an answer that are read.
    pub answer_len_max: usize,
}

impl EgressRequest {
    /// A request without headers and body.
    pub fn new(method: Method, url: Url, answer_len_max: usize) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Vec::new(), answer_len_max }
    }

    /// The same with a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same with a body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct EgressResponse {
    /// Where it came from, after redirects.
    pub url: Url,
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Vec<u8>,
}

/// The guarded client. Cheap to clone.
#[derive(Clone)]
pub struct EgressClient {
    policy: Arc<EgressPolicy>,
    dns: Dns,
    total_timeout: Duration,
    tls: reqwest::Client,
    /// A client of its own, because its resolver refuses public addresses.
    plain: reqwest::Client,
}

impl EgressClient {
    /// A client.
    pub fn new(options: EgressOptions) -> Result<Self, EgressError> {
        let policy = Arc::new(options.policy);
        let dns = Dns::new(options.dns);
        let build = |transport| {
            let resolver = GuardedResolver { policy: Arc::clone(&policy), dns: dns.clone(), transport };
            build_client(resolver, options.connect_timeout, options.idle_per_host_max)
        };
        let (tls, plain) = (build(Transport::Tls)?, build(Transport::Plain)?);
        Ok(Self { policy, dns, total_timeout: options.total_timeout, tls, plain })
    }

    /// Names and services, asked of the same name server.
    pub fn dns(&self) -> &Dns {
        &self.dns
    }

    /// Sends a request, follows redirects that stay on its origin, and reads the answer whole.
    pub async fn send(&self, request: EgressRequest) -> Result<EgressResponse, EgressError> {
        let answer = tokio::time::timeout(self.total_timeout, self.follow(request)).await;
        answer.map_err(|_elapsed| EgressError::TimedOut)?
    }

    /// Sends a request, follows nothing, and reads no more of the answer than wanted; a longer one is cut there.
    pub async fn send_and_glance(&self, request: EgressRequest) -> Result<EgressResponse, EgressError> {
        let glance = async {
            let (url, answer_len_max) = (request.url.clone(), request.answer_len_max);
            let response = self.send_once(request).await?;
            read_beginning(url, response, answer_len_max).await
        };
        let answer = tokio::time::timeout(self.total_timeout, glance).await;
        answer.map_err(|_elapsed| EgressError::TimedOut)?
    }

    /// Everything about an address that can be judged before its name is looked up.
    pub fn check_url(&self, url: &Url) -> Result<(), EgressError> {
        self.policy.check_url(url).map(drop)
    }

    async fn follow(&self, mut request: EgressRequest) -> Result<EgressResponse, EgressError> {
        for _ in 0..=REDIRECTS_MAX {
            let response = self.send_once(request.clone()).await?;
            match redirect_target(&request.url, &response)? {
                None => return read_whole(request.url, response, request.answer_len_max).await,
                Some(target) => {
                    if response.status() == StatusCode::SEE_OTHER {
                        request.method = Method::GET;
                        request.body.clear();
                    }
                    request.url = target;
                }
            }
        }
        Err(EgressError::BadRedirect(format!("more than {REDIRECTS_MAX} redirects")))
    }

    async fn send_once(&self, request: EgressRequest) -> Result<reqwest::Response, EgressError> {
        if request.url.as_str().len() > URL_LEN_MAX {
            return Err(EgressError::Invalid(format!("the URL is longer than {URL_LEN_MAX} bytes")));
        }
        let client = match self.policy.check_url(&request.url)? {
            Transport::Tls => &self.tls,
            Transport::Plain => &self.plain,
        };
        let mut url = request.url;
        url.set_fragment(None);
        // Credentials in the URL would overrule those in the headers.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::Invalid("credentials do not belong into the URL".to_owned()));
        }
        client
            .request(request.method, url)
            .headers(request.headers)
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
            .body(request.body)
            .send()
            .await
            .map_err(|error| from_reqwest(&error))
    }
}

fn build_client(
    resolver: GuardedResolver,
    connect_timeout: Duration,
    idle_per_host_max: usize,
) -> Result<reqwest::Client, EgressError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls_config()?)
        .dns_resolver(Arc::new(resolver))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(idle_per_host_max)
        .user_agent(concat!("AgentCal/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| EgressError::Invalid(format!("the client cannot be built: {error}")))
}

/// Ring as the provider, named here so that nothing depends on what a process installed as its default.
fn tls_config() -> Result<rustls::ClientConfig, EgressError> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| EgressError::Invalid(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Resolves a name and lets through what the policy allows; what it returns is what is connected to.
struct GuardedResolver {
    policy: Arc<EgressPolicy>,
    dns: Dns,
    transport: Transport,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, dns, transport) = (Arc::clone(&self.policy), self.dns.clone(), self.transport);
        Box::pin(async move {
            let found = dns.addresses(name.as_str()).await?;
            let mut refusal = None;
            let mut allowed = Vec::new();
            for address in found {
                match policy.check_address(address, transport) {
                    Ok(()) => allowed.push(SocketAddr::new(address, 0)),
                    Err(error) => refusal = Some(error),
                }
            }
            match refusal {
                Some(error) if allowed.is_empty() => Err(error.into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// Where a redirect leads, if the answer is one and stays on the origin.
fn redirect_target(from: &Url, response: &reqwest::Response) -> Result<Option<Url>, EgressError> {
    let redirects = [301, 302, 303, 307, 308];
    if !redirects.contains(&response.status().as_u16()) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(LOCATION) else {
        return Ok(None);
    };
    let location = location.to_str().map_err(|error| EgressError::BadRedirect(error.to_string()))?;
    let target = from.join(location).map_err(|error| EgressError::BadRedirect(error.to_string()))?;
    if target.origin() != from.origin() {
        return Err(EgressError::RedirectRefused(origin_text(&target.origin())));
    }
    Ok(Some(target))
}

fn origin_text(origin: &Origin) -> String {
    match origin {
        Origin::Tuple(..) => origin.ascii_serialization(),
        Origin::Opaque(_) => "something that is no server".to_owned(),
    }
}

async fn read_whole(url: Url, mut response: reqwest::Response, limit: usize) -> Result<EgressResponse, EgressError> {
    let encoding = response.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(EgressError::Compressed);
    }
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(EgressError::BodyTooLarge { limit });
    }
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| from_reqwest(&error))? {
        if body.len() + chunk.len() > limit {
            return Err(EgressError::BodyTooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(EgressResponse { url, status, headers, body })
}

/// Whoever says more than is wanted is not listened to: the connection is given up.
async fn read_beginning(
    url: Url,
    mut response: reqwest::Response,
    limit: usize,
) -> Result<EgressResponse, EgressError> {
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let mut body = Vec::new();
    while body.len() < limit {
        let Some(chunk) = response.chunk().await.map_err(|error| from_reqwest(&error))? else { break };
        let room = limit - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(EgressResponse { url, status, headers, body })
}

/// Finds our own refusal inside what the HTTP stack wraps round it; the rest is told apart by kind alone, because its
/// texts repeat URLs.
fn from_reqwest(error: &reqwest::Error) -> EgressError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut innermost = String::new();
    while let Some(current) = cause {
        if let Some(ours) = current.downcast_ref::<EgressError>() {
            return ours.clone();
        }
        innermost = current.to_string();
        cause = current.source();
    }
    if error.is_timeout() {
        return EgressError::TimedOut;
    }
    if error.is_builder() {
        return EgressError::Invalid(innermost);
    }
    EgressError::Connection(innermost)
}
