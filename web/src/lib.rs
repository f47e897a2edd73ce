//! Pages for people: where attendees see, move and cancel their bookings.
//!
//! A page belongs to one booking and is reached through its signed link, which is all the permission there is. Pages are
//! plain HTML made here: no script, nothing loaded from elsewhere, readable without the style. Getting a page changes
//! nothing, so that programs which follow links to preview them do no harm; changes are forms that are sent.

mod book;
mod cancel;
mod envelope;
mod outbox;
mod outcome;
mod page;
mod parts;
mod reschedule;
mod times;
mod trouble;
mod visit;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::get;

pub use outbox::outbox_router;
pub use parts::{WebParts, WebSettings};

use trouble::Trouble;

/// Longest form, in bytes.
const FORM_LEN_MAX: usize = 16 * 1_024;

/// The pages' routes, all under `/manage/`. Has no fallback of its own, so that it can be merged into another router.
pub fn router(parts: WebParts) -> Router {
    let parts = Arc::new(parts);
    Router::new()
        .route("/manage/{token}", get(book::show))
        .route("/manage/{token}/reschedule", get(reschedule::choose).post(reschedule::reschedule))
        .route("/manage/{token}/cancel", get(cancel::ask).post(cancel::cancel))
        .method_not_allowed_fallback(|| async { Trouble::Method })
        .layer(DefaultBodyLimit::max(FORM_LEN_MAX))
        .layer(from_fn_with_state(Arc::clone(&parts), envelope::wrap))
        .with_state(parts)
}
