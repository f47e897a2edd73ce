//! JSON bodies.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::faults::read_json;
use crate::error::{ApiError, Code};

/// Largest body that is read.
pub(crate) const BODY_LEN_MAX: usize = 64 * 1_024;
/// How much of a body that is too large is still taken off the wire, so that the caller, which may only begin to read
/// when it has written everything, sees the refusal and not a broken connection.
const DRAINED_LEN_MAX: usize = 8 * 1_024 * 1_024;
/// Time a body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// A JSON body of a known shape.
pub(crate) struct Body<T>(pub(crate) T);

/// A JSON body whose fields may all be left out, and then the body with them; null says as little.
pub(crate) struct MaybeBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Serialize> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let missing = || ApiError::new(Code::MalformedBody, "this route needs a JSON body");
        read(request).await?.map(Self).ok_or_else(missing)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Serialize + Default> FromRequest<S> for MaybeBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        read(request).await.map(|body: Option<Option<T>>| Self(body.flatten().unwrap_or_default()))
    }
}

async fn read<T: DeserializeOwned + Serialize>(request: Request) -> Result<Option<T>, ApiError> {
    let media_type = media_type(&request);
    let bytes = collect_within(BODY_DEADLINE, request).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    require_json(media_type.as_deref())?;
    let text = str::from_utf8(&bytes)
        .map_err(|error| ApiError::new(Code::MalformedBody, format!("the body must be UTF-8: {error}")))?;
    read_json(text).map(Some)
}

async fn collect_within(deadline: Duration, request: Request) -> Result<Vec<u8>, ApiError> {
    tokio::time::timeout(deadline, collect(request)).await.unwrap_or_else(|_elapsed| {
        Err(ApiError::new(Code::RequestTimeout, "the body did not arrive in time; send it faster"))
    })
}

async fn collect(request: Request) -> Result<Vec<u8>, ApiError> {
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let mut body = request.into_body();
    if declared.is_none_or(|len| len <= BODY_LEN_MAX) {
        match Limited::new(&mut body, BODY_LEN_MAX).collect().await {
            Ok(collected) => return Ok(collected.to_bytes().to_vec()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {}
            Err(error) => {
                let detail = format!("the body broke off: {error}");
                return Err(ApiError::new(Code::MalformedBody, detail));
            }
        }
    }
    drain(body).await;
    Err(ApiError::new(Code::BodyTooLarge, "send at most 64 KiB (65,536 bytes)"))
}

async fn drain(mut body: axum::body::Body) {
    let mut left = DRAINED_LEN_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len()));
        if left == 0 {
            return;
        }
    }
}

fn media_type(request: &Request) -> Option<String> {
    let value = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn require_json(media_type: Option<&str>) -> Result<(), ApiError> {
    match media_type {
        Some("application/json") => Ok(()),
        Some(other) if other.starts_with("application/") && other.ends_with("+json") => Ok(()),
        _ => Err(ApiError::new(Code::UnsupportedMediaType, "send the header `Content-Type: application/json`")),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body as RawBody, Bytes};
    use futures::{StreamExt, stream};

    use super::*;

    #[tokio::test]
    async fn a_body_that_does_not_arrive_is_given_up() {
        let begun = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]);
        let request = Request::new(RawBody::from_stream(begun.chain(stream::pending())));
        let refused = collect_within(Duration::from_millis(10), request).await.expect_err("nothing more comes");
        assert_eq!(refused.code(), Code::RequestTimeout);
    }

    #[tokio::test]
    async fn the_limit_holds_without_a_declared_length() {
        let check = async |len: usize| {
            let chunks = stream::iter((0..len).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 1_024]))));
            collect(Request::new(RawBody::from_stream(chunks)))
                .await
                .map(|body| body.len())
                .map_err(|error| error.code())
        };
        assert_eq!(check(64).await, Ok(BODY_LEN_MAX));
        assert_eq!(check(65).await, Err(Code::BodyTooLarge));
        assert_eq!(check(20_000).await, Err(Code::BodyTooLarge));
    }
}
