//! What a refusal means to the rest of the program.

use agentcal_engine::ports::TokenError;
use oauth2::basic::{BasicErrorResponse, BasicErrorResponseType};
use oauth2::{RequestTokenError, StandardErrorResponse};

use crate::http::HttpError;

/// Longest word of a server's that is repeated.
const WORD_LEN_MAX: usize = 64;

/// Descriptions may name people, and answers that cannot be read may hold tokens: neither is repeated.
pub(crate) fn of_request(error: RequestTokenError<HttpError, BasicErrorResponse>) -> TokenError {
    match error {
        RequestTokenError::ServerResponse(refusal) => of_refusal(&refusal),
        RequestTokenError::Request(error @ (HttpError::Egress(_) | HttpError::Status(_))) => {
            TokenError::Unavailable(error.to_string())
        }
        RequestTokenError::Request(error) => TokenError::Refused(error.to_string()),
        RequestTokenError::Parse(error, _) => {
            TokenError::Unavailable(format!("its answer cannot be read at `{}`", error.path()))
        }
        RequestTokenError::Other(_) => TokenError::Unavailable("its answer makes no sense".to_owned()),
    }
}

fn of_refusal(refusal: &StandardErrorResponse<BasicErrorResponseType>) -> TokenError {
    let word = refusal.error().to_string();
    let is_word = word.len() <= WORD_LEN_MAX && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let word = if is_word { word } else { "an error of its own".to_owned() };
    match refusal.error() {
        BasicErrorResponseType::InvalidGrant => TokenError::GrantRefused(word),
        BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => {
            TokenError::ClientRefused(word)
        }
        // Microsoft's words for a grant whose owner has to come by again (learn.microsoft.com/entra/identity-platform/
        // reference-error-codes).
        BasicErrorResponseType::Extension(name)
            if ["interaction_required", "consent_required", "login_required"].contains(&name.as_str()) =>
        {
            TokenError::GrantRefused(word)
        }
        BasicErrorResponseType::Extension(name)
            if ["temporarily_unavailable", "server_error"].contains(&name.as_str()) =>
        {
            TokenError::Unavailable(word)
        }
        _ => TokenError::Refused(word),
    }
}
