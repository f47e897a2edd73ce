//! Who consented, by a name that stays when people change their addresses.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// Longest subject (OpenID Connect Core 1.0, section 2).
const SUBJECT_LEN_MAX: usize = 255;

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

/// The subject of an ID token that came with an access token, straight from the server over TLS; then its signature need
/// not be looked at (OpenID Connect Core 1.0, section 3.1.3.7, item 6). `None` where it cannot be read.
pub(crate) fn subject_of(id_token: &str) -> Option<String> {
    let payload = id_token.split('.').nth(1)?;
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    let is_usable = !claims.sub.is_empty() && claims.sub.len() <= SUBJECT_LEN_MAX && claims.sub.is_ascii();
    is_usable.then_some(claims.sub)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subject_is_read_or_there_is_none() {
        let token = |claims: &str| format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims));
        let check = |token: &str, expected: Option<&str>| {
            assert_eq!(subject_of(token).as_deref(), expected, "{token}");
        };
        check(&token(r#"{"sub":"1084","email":"a@example.com"}"#), Some("1084"));
        check(&token(r#"{"sub":""}"#), None);
        check(&token(r#"{"email":"a@example.com"}"#), None);
        check(&token(&format!(r#"{{"sub":"{}"}}"#, "1".repeat(256))), None);
        check("e30", None);
        check("e30.!!.sig", None);
    }
}
