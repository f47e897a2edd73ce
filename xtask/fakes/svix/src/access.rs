//! Who may ask.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::FakeSvix;
use crate::refusal::Refusal;

/// Refuses whoever does not name the token.
pub(crate) async fn require_token(State(svix): State<FakeSvix>, request: Request, next: Next) -> Response {
    let said = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if said.and_then(|text| text.strip_prefix("Bearer ")) == Some(svix.0.token.as_str()) {
        return next.run(request).await;
    }
    Refusal::Unauthorized.into_response()
}
