//! Holds: slots kept for somebody while a caller thinks.

mod body;
mod create;
mod extend;
mod get;
mod release;
mod view;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;

pub(super) use get::{HoldPlace, stored_hold};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create::create_hold, release::release_session))
        .routes(routes!(get::get_hold, release::release_hold))
        .routes(routes!(extend::extend_hold))
}
