//! A hold as callers see it.

use agentcal_engine::ids::UserId;
use agentcal_engine::model::{Hold, HoldState};
use agentcal_engine::ports::AccountConfig;
use agentcal_engine::time::Timestamp;
use chrono_tz::Tz;
use serde::Serialize;
use utoipa::ToSchema;

use crate::instant::rfc3339;
use crate::v1::users::find_user;
use crate::v1::wire::zone_of;

/// Where a hold is in its life.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HoldStatus)]
pub(super) enum HoldStatusWire {
    /// Keeps the time.
    Active,
    /// Ran out.
    Expired,
    /// Was given back.
    Released,
    /// Became a booking.
    Confirmed,
}

/// A slot kept for somebody.
#[derive(Serialize, ToSchema)]
#[schema(as = Hold)]
pub(super) struct HoldView {
    /// Its id; book with it as `hold_id`.
    #[schema(example = "hold_01kaj2wz5rfv8t6xg3m9c1nq4d")]
    id: String,
    /// Where it is in its life.
    status: HoldStatusWire,
    /// What it keeps time for; null for a meeting without an event type.
    #[schema(required = true)]
    event_type_id: Option<String>,
    /// When it begins.
    #[schema(format = DateTime)]
    start_time: String,
    /// When it ends.
    #[schema(format = DateTime)]
    end_time: String,
    /// Whose time it keeps.
    user_ids: Vec<String>,
    /// When it runs out by itself.
    #[schema(format = DateTime)]
    expires_at: String,
    /// The call it belongs to.
    #[schema(required = true)]
    session_id: Option<String>,
    /// The booking it became.
    #[schema(required = true)]
    booking_id: Option<String>,
    /// When it was placed.
    #[schema(format = DateTime)]
    created_at: String,
}

impl HoldView {
    /// The hold at an instant of the store's clock.
    pub(super) fn at(hold: Hold, now: Timestamp, zone: Tz) -> Self {
        let state = hold.state_at(now);
        let booking_id = match state {
            HoldState::Confirmed(booking_id) => Some(booking_id.to_string()),
            HoldState::Active | HoldState::Released | HoldState::Expired => None,
        };
        Self {
            id: hold.id.to_string(),
            status: state.into(),
            event_type_id: hold.event_type_id.map(|id| id.to_string()),
            start_time: rfc3339(hold.range.start, zone),
            end_time: rfc3339(hold.range.end, zone),
            user_ids: hold.user_ids.iter().map(UserId::to_string).collect(),
            expires_at: rfc3339(hold.expires_at, zone),
            session_id: hold.session_id,
            booking_id,
            created_at: rfc3339(hold.created_at, zone),
        }
    }
}

impl From<HoldState> for HoldStatusWire {
    fn from(state: HoldState) -> Self {
        match state {
            HoldState::Active => Self::Active,
            HoldState::Expired => Self::Expired,
            HoldState::Released => Self::Released,
            HoldState::Confirmed(_) => Self::Confirmed,
        }
    }
}

/// The zone a hold is answered in: its host's where it has one, else the account's.
pub(super) fn zone_of_hold(hold: &Hold, config: &AccountConfig) -> Tz {
    let account = || zone_of(&config.account);
    match hold.user_ids[..] {
        [only] => find_user(config, only).map_or_else(|_gone| account(), |(user, _)| user.timezone),
        _ => account(),
    }
}
