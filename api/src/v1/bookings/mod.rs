//! Bookings: made, moved, cancelled and read.

mod body;
mod cancel;
mod create;
mod get;
mod list;
mod outcome;
mod reschedule;
mod view;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;

pub(super) use cancel::cancel_for_owner;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create::create_booking, list::list_bookings)).routes(routes!(
        get::get_booking,
        reschedule::reschedule_booking,
        cancel::cancel_booking
    ))
}
