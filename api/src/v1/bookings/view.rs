//! A booking as callers see it.

use agentcal_engine::ids::UserId;
use agentcal_engine::model::{
    Attendee, Booking, BookingHost, BookingStatus, Conference, ConferenceState, ExternalState, Writeback,
    WritebackState,
};
use agentcal_engine::signed::ManageLink;
use agentcal_engine::time::Timestamp;
use chrono_tz::Tz;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::App;
use crate::instant::rfc3339;
use crate::v1::event_types::ConferenceKindWire;

/// Where a booking is in its life.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BookingStatus)]
pub(super) enum StatusWire {
    /// Stands.
    Confirmed,
    /// Was cancelled.
    Cancelled,
    /// Stood until its end.
    Completed,
}

/// Where writing it to a calendar stands.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WritebackState)]
pub(super) enum WritebackStateWire {
    /// Not yet written as it now is.
    Pending,
    /// The calendar shows it as it now is.
    Written,
    /// Given up; `last_error` says why.
    Failed,
}

/// How the calendar's event compares to the booking.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ExternalState)]
pub(super) enum ExternalStateWire {
    /// As it was written.
    InSync,
    /// Somebody moved it in the calendar.
    Moved,
    /// Somebody deleted it in the calendar.
    Deleted,
    /// Another busy event covers its time.
    Conflict,
}

/// Writing a booking to a calendar.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Writeback)]
pub(super) struct WritebackView {
    /// Where it stands.
    state: WritebackStateWire,
    /// Tries since the booking last changed.
    attempts: u32,
    /// What went wrong last.
    #[schema(required = true)]
    last_error: Option<String>,
}

/// One host, and how the booking stands in that host's calendar; null where the host has none.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = BookingHost)]
pub(super) struct HostView {
    /// The host.
    user_id: String,
    /// The event's id at the provider, once written.
    #[schema(required = true)]
    calendar_event_id: Option<String>,
    /// Writing it.
    #[schema(required = true)]
    writeback: Option<WritebackView>,
    /// What was last seen of it.
    #[schema(required = true)]
    external_state: Option<ExternalStateWire>,
}

/// Who booked.
#[derive(Serialize, ToSchema)]
#[schema(as = Attendee)]
pub(super) struct AttendeeView {
    /// Name.
    name: String,
    /// E-mail address.
    #[schema(required = true)]
    email: Option<String>,
    /// Telephone number, as given.
    #[schema(required = true)]
    phone: Option<String>,
    /// IANA zone.
    #[schema(required = true)]
    timezone: Option<&'static str>,
}

/// Where making a conference stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ConferenceState)]
pub(super) enum ConferenceStateWire {
    /// Not made yet.
    Pending,
    /// It can be joined.
    Ready,
    /// There will be none.
    Failed,
}

/// The conference of a booking.
#[derive(Serialize, ToSchema)]
#[schema(as = Conference)]
pub(super) struct ConferenceView {
    /// The service.
    r#type: ConferenceKindWire,
    /// Where making it stands.
    state: ConferenceStateWire,
    /// Where to join; null until it is ready.
    #[schema(required = true)]
    join_url: Option<String>,
}

/// What a booking says besides its id and link. The top level repeats the first host.
#[derive(Serialize, ToSchema)]
pub(super) struct BookingBody {
    /// Where it is in its life.
    status: StatusWire,
    /// What was booked; null for a meeting without an event type.
    #[schema(required = true)]
    event_type_id: Option<String>,
    /// The first host.
    #[schema(required = true)]
    user_id: Option<String>,
    /// All hosts.
    user_ids: Vec<String>,
    /// When it begins.
    #[schema(format = DateTime)]
    start_time: String,
    /// When it ends.
    #[schema(format = DateTime)]
    end_time: String,
    /// The zone its instants are written in: the attendee's, else the first host's.
    timezone: &'static str,
    /// Who booked.
    attendee: AttendeeView,
    /// Its conference; null where its event type asked for none.
    #[schema(required = true)]
    conference: Option<ConferenceView>,
    /// The caller's own data.
    metadata: Map<String, Value>,
    /// How it stands with each host.
    hosts: Vec<HostView>,
    /// The first host's event at its provider, once written.
    #[schema(required = true)]
    calendar_event_id: Option<String>,
    /// Writing it to the first host's calendar.
    #[schema(required = true)]
    writeback: Option<WritebackView>,
    /// What was last seen of it in the first host's calendar.
    #[schema(required = true)]
    external_state: Option<ExternalStateWire>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

/// A booking.
#[derive(Serialize, ToSchema)]
#[schema(as = Booking)]
pub(super) struct BookingView {
    /// Its id.
    #[schema(example = "book_01kaj2wz5rfv8t6xg3m9c1nq4d")]
    id: String,
    #[serde(flatten)]
    body: BookingBody,
    /// Where the attendee can move or cancel it.
    manage_url: String,
}

/// A booking as it would be.
#[derive(Serialize, ToSchema)]
pub(super) struct BookingPreview {
    /// Always null: nothing was booked.
    #[schema(required = true)]
    id: Option<String>,
    #[serde(flatten)]
    body: BookingBody,
    /// Always null: there is nothing to manage.
    #[schema(required = true)]
    manage_url: Option<String>,
}

impl BookingView {
    /// The booking at an instant: one whose end has passed is completed.
    pub(super) fn at(app: &App, booking: Booking, now: Timestamp) -> Self {
        let link = ManageLink { account_id: booking.account_id, booking_id: booking.id };
        let manage_url = format!("{}/manage/{}", app.parts.settings.public_url, link.token(&app.parts.signing));
        Self { id: booking.id.to_string(), body: BookingBody::at(booking, now), manage_url }
    }
}

impl BookingPreview {
    pub(super) fn of(booking: Booking) -> Self {
        Self { id: None, body: BookingBody::at(booking, Timestamp::EARLIEST), manage_url: None }
    }
}

impl BookingBody {
    fn at(booking: Booking, now: Timestamp) -> Self {
        let zone = booking.timezone;
        let hosts: Vec<HostView> = booking.hosts.iter().map(HostView::from).collect();
        let first = hosts.first().cloned();
        Self {
            status: booking.status_at(now).into(),
            event_type_id: booking.event_type_id.map(|id| id.to_string()),
            user_id: first.as_ref().map(|host| host.user_id.clone()),
            user_ids: hosts.iter().map(|host| host.user_id.clone()).collect(),
            start_time: rfc3339(booking.range.start, zone),
            end_time: rfc3339(booking.range.end, zone),
            timezone: zone.name(),
            attendee: booking.attendee.into(),
            conference: booking.conference.map(ConferenceView::from),
            metadata: booking.metadata,
            calendar_event_id: first.as_ref().and_then(|host| host.calendar_event_id.clone()),
            writeback: first.as_ref().and_then(|host| host.writeback.clone()),
            external_state: first.as_ref().and_then(|host| host.external_state),
            hosts,
            created_at: rfc3339(booking.created_at, zone),
        }
    }
}

impl From<&BookingHost> for HostView {
    fn from(host: &BookingHost) -> Self {
        Self {
            user_id: UserId::to_string(&host.user_id),
            calendar_event_id: host.provider_event_id.clone(),
            writeback: host.writeback.clone().map(WritebackView::from),
            external_state: host.external_state.map(ExternalStateWire::from),
        }
    }
}

impl From<Writeback> for WritebackView {
    fn from(writeback: Writeback) -> Self {
        let state = match writeback.state {
            WritebackState::Pending => WritebackStateWire::Pending,
            WritebackState::Written => WritebackStateWire::Written,
            WritebackState::Failed => WritebackStateWire::Failed,
        };
        Self { state, attempts: writeback.attempts, last_error: writeback.last_error }
    }
}

impl From<Conference> for ConferenceView {
    fn from(conference: Conference) -> Self {
        let state = match conference.state {
            ConferenceState::Pending => ConferenceStateWire::Pending,
            ConferenceState::Ready => ConferenceStateWire::Ready,
            ConferenceState::Failed => ConferenceStateWire::Failed,
        };
        Self { r#type: conference.kind.into(), state, join_url: conference.join_url }
    }
}

impl From<ExternalState> for ExternalStateWire {
    fn from(state: ExternalState) -> Self {
        match state {
            ExternalState::InSync => Self::InSync,
            ExternalState::Moved => Self::Moved,
            ExternalState::Deleted => Self::Deleted,
            ExternalState::Conflict => Self::Conflict,
        }
    }
}

impl From<BookingStatus> for StatusWire {
    fn from(status: BookingStatus) -> Self {
        match status {
            BookingStatus::Confirmed => Self::Confirmed,
            BookingStatus::Cancelled => Self::Cancelled,
            BookingStatus::Completed => Self::Completed,
        }
    }
}

impl From<Attendee> for AttendeeView {
    fn from(attendee: Attendee) -> Self {
        let Attendee { name, email, phone, timezone } = attendee;
        Self { name, email, phone, timezone: timezone.map(Tz::name) }
    }
}
