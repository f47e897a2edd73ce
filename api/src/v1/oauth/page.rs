//! What a browser is shown that cannot be sent anywhere: the page of whoever sent it is not known.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use crate::lifecycle::ForPeople;

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// A page with one sentence of ours, and what to do. Nothing of the request is repeated in it.
pub(super) fn page(status: StatusCode, says: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    let mut response = (status, headers, html(says)).into_response();
    response.extensions_mut().insert(ForPeople);
    response
}

fn html(says: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>No calendar was connected</title>\
         <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}}</style>\
         </head>\n<body><main><h1>No calendar was connected</h1>\n<p>{says}</p>\n<p>Go back to the application you came \
         from, and connect the calendar there again.</p></main></body>\n</html>\n"
    )
}
