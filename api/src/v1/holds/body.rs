//! The bodies that place and extend holds.

use agentcal_engine::model::{HOLD_TTL_SECONDS_DEFAULT, HOLD_TTL_SECONDS_MAX, HOLD_TTL_SECONDS_MIN};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::checks::Checks;
use crate::error::ApiError;
use crate::v1::wanted::{Named, TimeFields};
use crate::v1::wire::Sent;

/// Longest session id, in characters.
pub(super) const SESSION_ID_LEN_MAX: usize = 255;

/// A new hold: the `slot_id` of an offer; or an event type with a start; or a user, a start and a duration.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewHold {
    /// The slot to keep, as availability offered it. Other fields that name a time must agree with it.
    #[schema(example = "slot_AQIDAAGmrpABpq6uAXbQ0nqkzIL1TQ")]
    slot_id: Option<String>,
    /// What to keep time for.
    event_type_id: Option<String>,
    /// With whom. By default the event type's scheduling mode decides.
    user_id: Option<String>,
    /// When it begins: the start of a slot.
    #[serde(default)]
    #[schema(value_type = String, required = false, format = DateTime)]
    start_time: Sent<String>,
    /// Length of the meeting, without an event type only.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1440)]
    duration_minutes: Option<i64>,
    /// How long to keep it, in seconds. Default 120.
    #[serde(default)]
    #[schema(value_type = u32, required = false, minimum = 30, maximum = 900)]
    ttl_seconds: Sent<i64>,
    /// The call this belongs to: all its holds can be released at once.
    #[schema(min_length = 1, max_length = 255)]
    session_id: Option<String>,
}

/// For how much longer.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldExtension {
    /// How long to keep it from now on, in seconds. Default 120.
    #[serde(default)]
    #[schema(value_type = u32, required = false, minimum = 30, maximum = 900)]
    ttl_seconds: Sent<i64>,
}

/// A new hold as it was asked for. Its serialisation is the request in one spelling.
#[derive(Serialize)]
pub(super) struct HoldAsked {
    pub(super) named: Named,
    pub(super) ttl_seconds: u32,
    pub(super) session_id: Option<String>,
}

impl NewHold {
    pub(super) fn read(&self) -> Result<HoldAsked, ApiError> {
        let mut checks = Checks::default();
        let fields = TimeFields {
            event_type_id: self.event_type_id.as_deref(),
            user_id: self.user_id.as_deref(),
            start_time: self.start_time.0.as_deref(),
            duration_minutes: self.duration_minutes,
            slot_id: self.slot_id.as_deref(),
        };
        let asked = HoldAsked {
            named: fields.read(false, &mut checks),
            ttl_seconds: ttl(self.ttl_seconds.0, &mut checks),
            session_id: self.session_id.as_ref().map(|id| checks.text("session_id", id, SESSION_ID_LEN_MAX)),
        };
        checks.finish().map(|()| asked)
    }
}

impl HoldExtension {
    pub(super) fn read(&self) -> Result<u32, ApiError> {
        let mut checks = Checks::default();
        let ttl_seconds = ttl(self.ttl_seconds.0, &mut checks);
        checks.finish().map(|()| ttl_seconds)
    }
}

fn ttl(sent: Option<i64>, checks: &mut Checks) -> u32 {
    let read = |seconds| checks.whole("ttl_seconds", seconds, HOLD_TTL_SECONDS_MIN..=HOLD_TTL_SECONDS_MAX);
    sent.map_or(HOLD_TTL_SECONDS_DEFAULT, read)
}
