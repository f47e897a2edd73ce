use agentcal_engine::oauth::RedirectTarget;
use agentcal_engine::ports::TakenAttempt;
use agentcal_engine::signed::ConsentState;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY};

use super::connect::{Failure, connect};
use super::page::page;
use super::{name, path_name};
use crate::app::AppState;
use crate::parts::OauthSettings;

/// Longest code or word of a provider's that is looked at.
const VALUE_LEN_MAX: usize = 8_192;

/// What a provider sends somebody back with. It may send more, which is nobody's business here.
#[derive(Debug, Default)]
struct Returned {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
}

impl Returned {
    /// The first of each name.
    fn read(query: &str) -> Self {
        let mut returned = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "state" => &mut returned.state,
                "code" => &mut returned.code,
                "error" => &mut returned.error,
                _ => continue,
            };
            if slot.is_none() && value.len() <= VALUE_LEN_MAX {
                *slot = Some(value.into_owned());
            }
        }
        returned
    }
}

/// Somebody comes back from consenting, or from not consenting.
pub(super) async fn come_back(
    State(app): State<AppState>,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    // A browser that goes away does not leave a grant behind that nobody keeps or gives back.
    let work = tokio::spawn(async move { handle(&app, &provider, &query.unwrap_or_default()).await });
    work.await.unwrap_or_else(|error| {
        tracing::error!(%error, "the return of a browser ended in a panic");
        page(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong here.")
    })
}

async fn handle(app: &AppState, provider: &str, query: &str) -> Response {
    let Some(oauth) = app.parts.oauth.clone() else {
        return page(StatusCode::NOT_FOUND, "There is nothing here.");
    };
    let returned = Returned::read(query);
    let state = returned.state.as_deref().and_then(|state| ConsentState::verify(state, &app.parts.signing));
    let Some(state) = state else {
        return page(StatusCode::BAD_REQUEST, "This address was not made here, or parts of it are missing.");
    };
    let taken = match oauth.store.take_attempt(state.account_id, state.attempt_id).await {
        Ok(taken) => taken,
        Err(error) => {
            tracing::warn!(%error, "an attempt to connect could not be read");
            return page(StatusCode::SERVICE_UNAVAILABLE, "This cannot be done just now.");
        }
    };
    let Some(taken) = taken else {
        return page(StatusCode::BAD_REQUEST, "This link was used before, or is too old.");
    };
    let target = RedirectTarget::parse(&taken.attempt.redirect_url);
    let outcome = connect_if_granted(app, &oauth, &taken, provider, returned).await;
    match (target, outcome) {
        (Ok(target), Ok(connection_id)) => see_other(&target.telling([("connection_id", connection_id.as_str())])),
        (Ok(target), Err(failure)) => {
            tracing::info!(provider, error = failure.code, "somebody came back without a connection");
            see_other(&target.telling([("error", failure.code), ("error_description", &failure.says)]))
        }
        (Err(error), outcome) => {
            tracing::error!(%error, is_connected = outcome.is_ok(), "an address that was checked cannot be read");
            page(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong here.")
        }
    }
}

/// The id of the connection, as text.
async fn connect_if_granted(
    app: &AppState,
    oauth: &OauthSettings,
    taken: &TakenAttempt,
    provider: &str,
    returned: Returned,
) -> Result<String, Failure> {
    let attempt = &taken.attempt;
    if taken.is_expired {
        return Err(Failure::new("expired", "consenting took longer than 15 minutes; begin again"));
    }
    if provider != path_name(attempt.provider) {
        return Err(Failure::new("invalid_request", "somebody else's provider sent the browser back; begin again"));
    }
    match (returned.error.as_deref(), returned.code) {
        (None, Some(code)) => connect(app, oauth, attempt, &code).await,
        (Some("access_denied" | "consent_required"), _) => {
            Err(Failure::new("access_denied", "the calendar's owner did not consent"))
        }
        (error, _) => {
            tracing::warn!(provider, error, "a provider sends somebody back with an error");
            let says = format!("{} sent the browser back without a code; begin again", name(attempt.provider));
            Err(Failure::new("provider_error", says))
        }
    }
}

fn see_other(target: &str) -> Response {
    let headers: [(HeaderName, HeaderValue); 2] = [
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // The address of this page holds a code.
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    match HeaderValue::from_str(target) {
        Ok(location) => (StatusCode::SEE_OTHER, headers, [(LOCATION, location)]).into_response(),
        Err(error) => {
            tracing::error!(%error, "an address cannot be sent in a header");
            page(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong here.")
        }
    }
}
