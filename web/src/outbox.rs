//! Mails that were kept instead of sent, for whoever tries things out on their own machine.
//!
//! Whoever reaches these pages reads everybody's mails, so they are only served where that is nobody else, and only under
//! names that mean this machine: a page from elsewhere whose own name was made to mean it learns nothing.

use std::net::IpAddr;
use std::sync::Arc;

use agentcal_engine::ports::{MailShelf, ShelvedMail, StoreError};
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono_tz::Tz;
use http::header::{ALLOW, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::envelope::dress;
use crate::{page, words};

/// Most mails in the list.
const LISTED_MAX: usize = 100;

/// A mail by itself: nothing runs, nothing is sent and nothing is loaded but pictures; what is clicked opens elsewhere.
const MAIL_POLICY: HeaderValue = HeaderValue::from_static(
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; \
     img-src https: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
);
/// A file by itself.
const FILE_POLICY: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'");

type Shelf = Arc<dyn MailShelf>;

/// The routes of the outbox, all under `/outbox`. Has no fallback of its own, so that it can be merged into another router.
pub fn outbox_router(shelf: Shelf) -> Router {
    Router::new()
        .route("/outbox", get(list))
        .route("/outbox/{name}", get(show))
        .route("/outbox/{name}/page", get(framed))
        .route("/outbox/{name}/raw", get(raw))
        .method_not_allowed_fallback(|| async { Trouble::Method })
        .layer(map_response(|mut response: Response| async move {
            dress(&mut response);
            response
        }))
        .with_state(shelf)
}

/// Somebody at this machine.
struct Local;

impl<S: Sync> FromRequestParts<S> for Local {
    type Rejection = Trouble;

    async fn from_request_parts(request: &mut Parts, _: &S) -> Result<Self, Trouble> {
        let host = request.headers.get(HOST).and_then(|value| value.to_str().ok());
        let authority = host.and_then(|host| host.parse::<Authority>().ok());
        let is_local = authority.is_some_and(|authority| means_a_machine(authority.host()));
        if is_local { Ok(Self) } else { Err(Trouble::Elsewhere) }
    }
}

/// An address, or `localhost`: not a name that somebody may have made mean this machine.
fn means_a_machine(host: &str) -> bool {
    let is_address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    is_address || host.eq_ignore_ascii_case("localhost")
}

/// Why there is nothing to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// It was asked for under a name that may be anybody's.
    Elsewhere,
    /// There is no such mail.
    NotThere,
    /// The folder cannot be read.
    Unreadable,
    /// Looking is all one can do here.
    Method,
}

#[derive(Serialize)]
struct Message {
    title: &'static str,
    paragraphs: [&'static str; 1],
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (status, title, paragraph) = match self {
            Self::Elsewhere => (
                StatusCode::MISDIRECTED_REQUEST,
                "The outbox is for this machine",
                "Open it under localhost or an IP address.",
            ),
            Self::NotThere => (
                StatusCode::NOT_FOUND,
                "There is no such mail",
                "Only the last ones are kept. See the outbox for these.",
            ),
            Self::Unreadable => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "The outbox cannot be read",
                "The log says what is wrong with its folder.",
            ),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "This could not be understood", "Nothing was changed."),
        };
        let mut response = page::html(status, "message.html", &Message { title, paragraphs: [paragraph] });
        if self == Self::Method {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the outbox could not be read");
        Self::Unreadable
    }
}

/// A mail as pages name it.
#[derive(Serialize)]
struct Line {
    name: String,
    subject: String,
    to: String,
    at: String,
    machine_at: String,
}

impl From<&ShelvedMail> for Line {
    fn from(mail: &ShelvedMail) -> Self {
        Self {
            name: mail.name.clone(),
            subject: mail.subject.clone(),
            to: mail.to.join(", "),
            at: format!("{} UTC", words::instant(mail.at, Tz::UTC)),
            machine_at: words::machine(mail.at),
        }
    }
}

#[derive(Serialize)]
struct ListPage {
    mails: Vec<Line>,
}

async fn list(State(shelf): State<Shelf>, _: Local) -> Result<Response, Trouble> {
    let mails = shelf.list(LISTED_MAX).await?.iter().map(Line::from).collect();
    Ok(page::html(StatusCode::OK, "outbox.html", &ListPage { mails }))
}

#[derive(Serialize)]
struct MailPage {
    mail: Line,
    text: String,
    invitation: Option<String>,
}

type Name = Result<Path<String>, PathRejection>;

async fn show(State(shelf): State<Shelf>, _: Local, name: Name) -> Result<Response, Trouble> {
    let (mail, _) = find(&shelf, name).await?;
    let invitation = mail.invitation.as_deref().map(|text| text.replace("\r\n", "\n"));
    let context = MailPage { mail: Line::from(&mail), text: mail.text, invitation };
    Ok(page::framing_html(StatusCode::OK, "outbox_mail.html", &context))
}

async fn framed(State(shelf): State<Shelf>, _: Local, name: Name) -> Result<Response, Trouble> {
    let (mail, _) = find(&shelf, name).await?;
    let content_type = HeaderValue::from_static("text/html; charset=utf-8");
    Ok(([(CONTENT_TYPE, content_type), (CONTENT_SECURITY_POLICY, MAIL_POLICY)], mail.html).into_response())
}

async fn raw(State(shelf): State<Shelf>, _: Local, name: Name) -> Result<Response, Trouble> {
    let (mail, bytes) = find(&shelf, name).await?;
    let file = format!("attachment; filename=\"{}.eml\"", mail.name);
    // Names have nothing in them that a header could not hold.
    let file = HeaderValue::from_str(&file).unwrap_or(HeaderValue::from_static("attachment"));
    let content_type = HeaderValue::from_static("message/rfc822");
    let headers = [(CONTENT_TYPE, content_type), (CONTENT_DISPOSITION, file), (CONTENT_SECURITY_POLICY, FILE_POLICY)];
    Ok((headers, bytes).into_response())
}

async fn find(shelf: &Shelf, name: Name) -> Result<(ShelvedMail, Vec<u8>), Trouble> {
    let Ok(Path(name)) = name else { return Err(Trouble::NotThere) };
    shelf.read(&name).await?.ok_or(Trouble::NotThere)
}

#[cfg(test)]
mod tests {
    use super::means_a_machine;

    #[test]
    fn only_addresses_and_localhost_mean_a_machine() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "192.168.1.7", "[::1]"] {
            assert!(means_a_machine(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "1.evil"] {
            assert!(!means_a_machine(host), "{host}");
        }
    }
}
