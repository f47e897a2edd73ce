//! The bodies that make and move bookings.

use agentcal_engine::calendar::request::Intent;
use agentcal_engine::ids::HoldId;
use agentcal_engine::model::Attendee;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::checks::{Checks, NAME_LEN_MAX};
use crate::error::{ApiError, FieldCode};
use crate::v1::wanted::{Named, TimeFields};
use crate::v1::wire::Sent;

/// Longest telephone number, in characters.
pub(super) const PHONE_LEN_MAX: usize = 40;

/// Who books.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAttendee {
    /// Name.
    #[serde(default)]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 200)]
    name: Sent<String>,
    /// E-mail address.
    #[schema(format = Email)]
    email: Option<String>,
    /// Telephone number.
    #[schema(max_length = 40, example = "+49 30 901820")]
    phone: Option<String>,
    /// IANA zone; the booking's instants are answered in it.
    timezone: Option<String>,
}

/// A new booking: the `slot_id` of an offer, or a `hold_id`; or an event type with a start; or, without an event type, a
/// user, a start and a duration.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBooking {
    /// The slot to book, as availability offered it. Other fields that name a time must agree with it.
    #[schema(example = "slot_AQIDAAGmrpABpq6uAXbQ0nqkzIL1TQ")]
    slot_id: Option<String>,
    /// The hold to confirm. Other fields that name a time must agree with it.
    hold_id: Option<String>,
    /// What to book.
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
    /// For whom.
    #[serde(default)]
    #[schema(value_type = NewAttendee, required = true)]
    attendee: Sent<NewAttendee>,
    /// The caller's own data, kept and answered, never read.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// Decide it and change nothing: 200 with the booking as it would be, its id and manage_url null.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    dry_run: Sent<bool>,
}

/// A move to another time: a start, or the `slot_id` of an offer.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BookingPatch {
    /// When it shall begin.
    #[serde(default)]
    #[schema(value_type = String, required = false, format = DateTime)]
    start_time: Sent<String>,
    /// The slot to move it to, as availability offered it.
    slot_id: Option<String>,
    /// Decide it and change nothing: 200 with the booking as it would be.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    dry_run: Sent<bool>,
}

/// A new booking as it was asked for. Its serialisation is the request in one spelling.
#[derive(Serialize)]
pub(super) struct BookingAsked {
    pub(super) named: Named,
    pub(super) hold_id: Option<HoldId>,
    pub(super) attendee: Attendee,
    pub(super) metadata: Map<String, Value>,
    #[serde(skip)]
    pub(super) intent: Intent,
}

/// A move as it was asked for. Its serialisation is the request in one spelling.
#[derive(Serialize)]
pub(super) struct MoveAsked {
    pub(super) named: Named,
    #[serde(skip)]
    pub(super) intent: Intent,
}

impl NewBooking {
    pub(super) fn read(&self) -> Result<BookingAsked, ApiError> {
        let mut checks = Checks::default();
        if self.hold_id.is_some() && self.slot_id.is_some() {
            checks.refuse("slot_id", FieldCode::NotTogether, "must be left out: the hold keeps its time already");
        }
        let fields = TimeFields {
            event_type_id: self.event_type_id.as_deref(),
            user_id: self.user_id.as_deref(),
            start_time: self.start_time.0.as_deref(),
            duration_minutes: self.duration_minutes,
            slot_id: self.slot_id.as_deref(),
        };
        let asked = BookingAsked {
            named: fields.read(self.hold_id.is_some(), &mut checks),
            hold_id: self.hold_id.as_ref().map(|id| checks.id("hold_id", id)),
            attendee: self.attendee(&mut checks),
            metadata: self.metadata.as_ref().map(|metadata| checks.metadata("metadata", metadata)).unwrap_or_default(),
            intent: intent(self.dry_run.0),
        };
        checks.finish().map(|()| asked)
    }

    fn attendee(&self, checks: &mut Checks) -> Attendee {
        let Some(body) = &self.attendee.0 else {
            checks.required("attendee");
            return Attendee { name: String::new(), email: None, phone: None, timezone: None };
        };
        if body.name.0.is_none() {
            checks.required("attendee.name");
        }
        Attendee {
            name: body
                .name
                .0
                .as_ref()
                .map_or_else(String::new, |name| checks.text("attendee.name", name, NAME_LEN_MAX)),
            email: body.email.as_ref().map(|email| checks.email("attendee.email", email)),
            phone: body.phone.as_ref().map(|phone| phone_number(phone, checks)),
            timezone: body.timezone.as_ref().map(|zone| checks.zone("attendee.timezone", zone)),
        }
    }
}

impl BookingPatch {
    pub(super) fn read(&self) -> Result<MoveAsked, ApiError> {
        let mut checks = Checks::default();
        if self.start_time.0.is_none() && self.slot_id.is_none() {
            checks.required("start_time");
        }
        let fields = TimeFields {
            event_type_id: None,
            user_id: None,
            start_time: self.start_time.0.as_deref(),
            duration_minutes: None,
            slot_id: self.slot_id.as_deref(),
        };
        let named = fields.read(true, &mut checks);
        checks.finish().map(|()| MoveAsked { named, intent: intent(self.dry_run.0) })
    }
}

/// What `dry_run` asks for.
pub(super) fn intent(dry_run: Option<bool>) -> Intent {
    if dry_run == Some(true) { Intent::DryRun } else { Intent::Commit }
}

fn phone_number(text: &str, checks: &mut Checks) -> String {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let allowed = text.chars().all(|c| c.is_ascii_digit() || " +-()./".contains(c));
    if text.chars().count() > PHONE_LEN_MAX || !allowed || !(3..=20).contains(&digits) {
        let detail = "must be a telephone number like `+49 30 901820`, with 3 to 20 digits";
        checks.refuse("attendee.phone", FieldCode::InvalidFormat, detail);
    }
    text.to_owned()
}
