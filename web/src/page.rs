//! From a template and what it shows to a response.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Stands in every page, so that a page is one request.
const STYLE: &str = include_str!("../templates/style.css");

/// Names end in `.html`, which is what makes everything that is filled in be escaped.
const TEMPLATES: [(&str, &str); 7] = [
    ("layout.html", include_str!("../templates/layout.html")),
    ("booking.html", include_str!("../templates/booking.html")),
    ("reschedule.html", include_str!("../templates/reschedule.html")),
    ("cancel.html", include_str!("../templates/cancel.html")),
    ("message.html", include_str!("../templates/message.html")),
    ("outbox.html", include_str!("../templates/outbox.html")),
    ("outbox_mail.html", include_str!("../templates/outbox_mail.html")),
];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
        .set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().expect("usual delimiters"));
    environment.add_global("style", Value::from_safe_string(STYLE.to_owned()));
    for (name, source) in TEMPLATES {
        environment.add_template(name, source).expect("a test renders every template");
    }
    environment
});

/// Nothing may be loaded, run or framed; the one style is known by its hash; forms go to us alone.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("base 64 is printable")
});

/// The same for a page that shows another of ours inside it.
static FRAMING_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = [POLICY.as_bytes(), b"; frame-src 'self'"].concat();
    HeaderValue::from_bytes(&policy).expect("both parts are printable")
});

/// Fills in a template. A template that fails is a mistake of ours: plain words and a 500.
pub(crate) fn html<C: Serialize>(status: StatusCode, template: &str, context: &C) -> Response {
    under(&POLICY, status, template, context)
}

/// The same, for a page that shows another of ours inside it.
pub(crate) fn framing_html<C: Serialize>(status: StatusCode, template: &str, context: &C) -> Response {
    under(&FRAMING_POLICY, status, template, context)
}

fn under<C: Serialize>(policy: &HeaderValue, status: StatusCode, template: &str, context: &C) -> Response {
    match ENVIRONMENT.get_template(template).and_then(|template| template.render(Serde(context))) {
        Ok(text) => {
            let content_type = HeaderValue::from_static("text/html; charset=utf-8");
            (status, [(CONTENT_TYPE, content_type), (CONTENT_SECURITY_POLICY, policy.clone())], text).into_response()
        }
        Err(error) => {
            tracing::error!(template, error = %error, "a page could not be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side.").into_response()
        }
    }
}
