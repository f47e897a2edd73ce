//! Availability: when somebody can be booked, and how old what is known of it is.

mod explain;
mod explanation;
mod freshness;
mod get;
mod query;
mod render;
mod subject;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get::get_availability)).routes(routes!(explain::explain_availability))
}

/// How much of what matters is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum FreshnessState {
    /// Everything, and recently enough.
    Complete,
    /// Everything, but some of it is older than asked for.
    Stale,
    /// Not of everybody: those listed are left out.
    Partial,
    /// Of nobody. Only in problems with the code `availability_unavailable`.
    Unavailable,
}

/// Somebody left out, and why.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct LeftOut {
    /// Who.
    pub(super) user_id: String,
    /// Why the user's time is not known: `not_synced`, `calendar_gone`, `reauthorization_required`, `provider_error`,
    /// `outside_synced_window` or `deadline_exceeded`.
    pub(super) reason: &'static str,
}

/// How fresh an answer is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Freshness {
    /// How much is known.
    pub(super) state: FreshnessState,
    /// Everything used was true then; the oldest calendar decides.
    #[schema(format = DateTime, required = true)]
    pub(super) as_of: Option<String>,
    /// Those left out.
    pub(super) users: Vec<LeftOut>,
}

/// A time that can be booked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Slot {
    /// When it begins.
    #[schema(format = DateTime)]
    pub(super) start_time: String,
    /// When it ends.
    #[schema(format = DateTime)]
    pub(super) end_time: String,
    /// Who is free; for a collective event type, everybody.
    pub(super) user_ids: Vec<String>,
    /// Stands for this slot as it is offered here: book or hold by it, and you get this time with one of these people or
    /// are told that it is gone. Counts for 30 minutes, and only while the rules behind it stand.
    #[schema(example = "slot_ARH7DAGdngABlIvAAdWxr1u8Yqv0VAM")]
    pub(super) slot_id: String,
}

/// When somebody can be booked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Availability {
    /// The event type asked about; null where none was named.
    #[schema(required = true)]
    pub(super) event_type_id: Option<String>,
    /// The zone of the dates asked for and of every instant here.
    pub(super) timezone: &'static str,
    /// Bookable times, ascending.
    pub(super) slots: Vec<Slot>,
    /// How fresh this is.
    pub(super) freshness: Freshness,
    /// The first bookable time after the dates asked for, where they have none.
    #[schema(format = DateTime, required = true)]
    pub(super) next_available: Option<String>,
}
