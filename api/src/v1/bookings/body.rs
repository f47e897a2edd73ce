//! The bodies that make and move bookings.

use agentcal_engine::calendar::request::{BookRequest, Choice, Meeting};
use agentcal_engine::ids::{BookingId, EventTypeId, UserId};
use agentcal_engine::model::{AdHocMeeting, Attendee, DURATION_MINUTES_MAX};
use agentcal_engine::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::checks::{Checks, NAME_LEN_MAX};
use crate::error::{ApiError, FieldCode};
use crate::v1::wire::Sent;

/// Longest telephone number, in characters.
const PHONE_LEN_MAX: usize = 40;

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
    #[schema(example = "+49 30 901820")]
    phone: Option<String>,
    /// IANA zone; the booking's instants are answered in it.
    timezone: Option<String>,
}

/// A new booking: an event type with a start; or, without an event type, a user, a start and a duration.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBooking {
    /// What to book.
    event_type_id: Option<String>,
    /// With whom. By default the event type's scheduling mode decides.
    user_id: Option<String>,
    /// When it begins: the start of a slot.
    #[serde(default)]
    #[schema(value_type = String, required = true, format = DateTime)]
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
    #[schema(ignore)]
    slot_id: Option<Value>,
    #[schema(ignore)]
    hold_id: Option<Value>,
    #[schema(ignore)]
    dry_run: Option<Value>,
}

/// A move to another time.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BookingPatch {
    /// When it shall begin.
    #[serde(default)]
    #[schema(value_type = String, required = true, format = DateTime)]
    start_time: Sent<String>,
    #[schema(ignore)]
    slot_id: Option<Value>,
    #[schema(ignore)]
    dry_run: Option<Value>,
}

impl NewBooking {
    /// The event type named, where it can be one; who may see it is judged before anything else.
    pub(super) fn event_type_id(&self) -> Option<EventTypeId> {
        self.event_type_id.as_ref()?.parse().ok()
    }

    pub(super) fn read(&self, booking_id: BookingId) -> Result<BookRequest, ApiError> {
        let mut checks = Checks::default();
        checks.not_supported("slot_id", self.slot_id.as_ref());
        checks.not_supported("hold_id", self.hold_id.as_ref());
        checks.not_supported("dry_run", self.dry_run.as_ref());
        let user_id: Option<UserId> = self.user_id.as_ref().map(|id| checks.id("user_id", id));
        let meeting = self.meeting(user_id, &mut checks);
        let start = start(&self.start_time, self.slot_id.is_some() || self.hold_id.is_some(), &mut checks);
        let attendee = self.attendee(&mut checks);
        let metadata = self.metadata.as_ref().map(|metadata| checks.metadata("metadata", metadata));
        checks.finish()?;
        let choice = user_id.map_or(Choice::Any, Choice::Named);
        Ok(BookRequest { booking_id, meeting, choice, start, attendee, metadata: metadata.unwrap_or_default() })
    }

    fn meeting(&self, user_id: Option<UserId>, checks: &mut Checks) -> Meeting {
        let duration =
            self.duration_minutes.map(|minutes| checks.whole("duration_minutes", minutes, 1..=DURATION_MINUTES_MAX));
        if let Some(id) = &self.event_type_id {
            if duration.is_some() {
                checks.refuse("duration_minutes", FieldCode::NotTogether, "follows from the event type; leave it out");
            }
            return Meeting::EventType(checks.id("event_type_id", id));
        }
        match (user_id, duration) {
            (Some(user_id), Some(duration_minutes)) => Meeting::AdHoc(AdHocMeeting { user_id, duration_minutes }),
            (None, None) if self.slot_id.is_some() || self.hold_id.is_some() => nothing_to_book(),
            (None, None) => {
                checks.required("event_type_id");
                nothing_to_book()
            }
            (None, Some(_)) => {
                checks.required("user_id");
                nothing_to_book()
            }
            (Some(_), None) => {
                checks.required("duration_minutes");
                nothing_to_book()
            }
        }
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
    pub(super) fn read(&self) -> Result<Timestamp, ApiError> {
        let mut checks = Checks::default();
        checks.not_supported("slot_id", self.slot_id.as_ref());
        checks.not_supported("dry_run", self.dry_run.as_ref());
        let start = start(&self.start_time, self.slot_id.is_some(), &mut checks);
        checks.finish().map(|()| start)
    }
}

/// What was asked, in one spelling: the same instant with another offset is the same request.
pub(super) fn normalized(request: &BookRequest) -> Value {
    let meeting = match request.meeting {
        Meeting::EventType(id) => json!({"event_type_id": id}),
        Meeting::AdHoc(meeting) => json!({"duration_minutes": meeting.duration_minutes}),
    };
    json!({
        "meeting": meeting,
        "user_id": named(&request.choice),
        "start": request.start,
        "attendee": request.attendee,
        "metadata": request.metadata,
    })
}

/// The host a caller named.
pub(super) fn named(choice: &Choice) -> Option<UserId> {
    match choice {
        Choice::Named(user_id) => Some(*user_id),
        Choice::Any | Choice::Offered(_) => None,
    }
}

fn start(sent: &Sent<String>, named_otherwise: bool, checks: &mut Checks) -> Timestamp {
    match &sent.0 {
        Some(text) => checks.instant("start_time", text),
        None => {
            if !named_otherwise {
                checks.required("start_time");
            }
            Timestamp::EARLIEST
        }
    }
}

/// Stands in where the request is refused anyway.
fn nothing_to_book() -> Meeting {
    Meeting::EventType(EventTypeId::from_uuid(uuid::Uuid::nil()))
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
