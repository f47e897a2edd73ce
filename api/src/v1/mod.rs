//! The public surface, version 1: a module per resource, a file per operation, and the wire types, which live nowhere
//! else.

mod accounts;
mod answer;
mod availability;
mod availability_rules;
mod bookings;
mod commits;
mod config_write;
mod connections;
mod decisions;
mod event_types;
mod holds;
mod jobs;
mod lists;
mod mail;
pub(crate) mod notifications;
pub(crate) mod oauth;
mod users;
mod wanted;
mod webhooks;
mod wire;

use utoipa_axum::router::OpenApiRouter;

use crate::app::AppState;

/// Every route of this version.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(accounts::routes())
        .merge(connections::routes())
        .merge(oauth::routes())
        .merge(users::routes())
        .merge(availability_rules::routes())
        .merge(event_types::routes())
        .merge(availability::routes())
        .merge(holds::routes())
        .merge(bookings::routes())
        .merge(decisions::routes())
        .merge(webhooks::routes())
        .merge(mail::routes())
        .merge(jobs::routes())
}
