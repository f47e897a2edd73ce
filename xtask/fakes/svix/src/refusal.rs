//! Errors in Svix's shapes: one for what is invalid, one for everything else.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    Unauthorized,
    NotFound,
    Conflict(&'static str),
    BadRequest(&'static str, String),
    /// A field of the body, and what is wrong with it.
    Invalid(&'static str, String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let standard = |status: StatusCode, code: &str, detail: &str| {
            (status, Json(json!({"code": code, "detail": detail}))).into_response()
        };
        match self {
            Self::Unauthorized => standard(StatusCode::UNAUTHORIZED, "authentication_failed", "Invalid token"),
            Self::NotFound => standard(StatusCode::NOT_FOUND, "not_found", "Entity not found"),
            Self::Conflict(detail) => standard(StatusCode::CONFLICT, "conflict", detail),
            Self::BadRequest(code, detail) => standard(StatusCode::BAD_REQUEST, code, &detail),
            Self::Invalid(field, msg) => {
                let item = json!({"loc": ["body", field], "msg": msg, "type": "value_error"});
                (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"detail": [item]}))).into_response()
            }
        }
    }
}

/// Whether a text may be a uid: of some characters, and not like an id.
pub(crate) fn check_uid(field: &'static str, uid: Option<&str>, id_prefix: &str) -> Result<(), Refusal> {
    let Some(uid) = uid else { return Ok(()) };
    check_text(field, uid, 256)?;
    if uid.starts_with(id_prefix) {
        let said = "Uids are not allowed to have the same prefix as the ID. Prefix with _?";
        return Err(Refusal::Invalid(field, said.to_owned()));
    }
    Ok(())
}

/// Whether a text is of the characters that uids, channels and names of event types have.
pub(crate) fn check_text(field: &'static str, text: &str, len_max: usize) -> Result<(), Refusal> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.len() > len_max || !text.chars().all(is_fine) {
        let said = format!("{text:?} must match the following pattern: [a-zA-Z0-9\\-_.], at most {len_max}.");
        return Err(Refusal::Invalid(field, said));
    }
    Ok(())
}
