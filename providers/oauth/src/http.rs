//! The messages of `oauth2` over the guarded client.

use agentcal_provider_egress::{EgressClient, EgressError, EgressRequest};
use http::StatusCode;
use oauth2::{HttpRequest, HttpResponse};
use url::Url;

/// Most bytes of one answer; tokens are a few kilobytes at most.
const ANSWER_LEN_MAX: usize = 256 * 1024;

/// Why there is no answer to be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// The way there failed.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// The server is in trouble, or asked too often, and whatever it says is no message of the protocol.
    #[error("it answers {0}")]
    Status(StatusCode),
    /// The request is none.
    #[error("the request cannot be sent: {0}")]
    Invalid(#[from] http::Error),
    /// The address is none.
    #[error("the address cannot be read: {0}")]
    Address(#[from] url::ParseError),
}

/// Sends a message, and brings the answer.
pub(crate) async fn send(client: EgressClient, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let (parts, body) = request.into_parts();
    let url = Url::parse(&parts.uri.to_string())?;
    let mut outgoing = EgressRequest::new(parts.method, url, ANSWER_LEN_MAX).body(body);
    outgoing.headers = parts.headers;
    let answer = client.send(outgoing).await?;
    tracing::debug!(status = answer.status.as_u16(), "identity server request");
    if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS {
        return Err(HttpError::Status(answer.status));
    }
    let mut response = http::Response::builder().status(answer.status).body(answer.body)?;
    *response.headers_mut() = answer.headers;
    Ok(response)
}
