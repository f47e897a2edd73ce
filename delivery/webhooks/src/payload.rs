//! What is said of an event. `docs/webhooks.md` describes it to whoever receives it.

use agentcal_engine::ids::AccountId;
use agentcal_engine::model::{
    Booking, BookingHost, BookingStatus, ConferenceKind, ConferenceState, Connection, ConnectionStatus, EventSubject,
    ExternalState, WritebackState,
};
use agentcal_engine::ports::Told;
use agentcal_engine::time::{TimeRange, Timestamp};
use chrono_tz::Tz;
use serde::Serialize;
use serde_json::{Map, Value};

/// Longest message, in bytes.
pub const PAYLOAD_LEN_MAX: usize = 20_000;

/// What a message is called that only looks whether messages arrive.
pub(crate) const TEST: &str = "webhook.test";

#[derive(Serialize)]
struct Envelope<D> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<AccountId>,
    data: D,
}

#[derive(Serialize)]
struct BookingData<'a> {
    booking: BookingBody<'a>,
    sequence: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<Times>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes_before: Option<u32>,
}

#[derive(Serialize)]
struct Times {
    start_time: String,
    end_time: String,
}

#[derive(Serialize)]
struct BookingBody<'a> {
    id: String,
    status: &'static str,
    event_type_id: Option<String>,
    title: &'a str,
    location: Option<&'a str>,
    conference: Option<ConferenceBody<'a>>,
    start_time: String,
    end_time: String,
    timezone: &'static str,
    attendee: AttendeeBody<'a>,
    /// Left out, and named in `omitted`, where the message would be too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Map<String, Value>>,
    user_ids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hosts: Option<Vec<HostBody<'a>>>,
    cancel_reason: Option<&'a str>,
    created_at: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    omitted: &'static [&'static str],
}

#[derive(Serialize)]
struct ConferenceBody<'a> {
    r#type: ConferenceKind,
    state: ConferenceState,
    join_url: Option<&'a str>,
}

#[derive(Serialize)]
struct AttendeeBody<'a> {
    name: &'a str,
    email: Option<&'a str>,
    phone: Option<&'a str>,
    timezone: Option<&'static str>,
}

#[derive(Serialize)]
struct HostBody<'a> {
    user_id: String,
    writeback: Option<WritebackBody<'a>>,
    external_state: Option<&'static str>,
}

#[derive(Serialize)]
struct WritebackBody<'a> {
    state: &'static str,
    attempts: u32,
    last_error: Option<&'a str>,
}

#[derive(Serialize)]
struct ConnectionData<'a> {
    connection: ConnectionBody<'a>,
}

#[derive(Serialize)]
struct ConnectionBody<'a> {
    id: String,
    display_name: &'a str,
    status: &'static str,
    status_reason: Option<&'a str>,
    created_at: String,
}

/// What is left out of a message to keep it short, step by step.
const OMISSIONS: [&[&str]; 3] = [&[], &["metadata"], &["metadata", "hosts"]];

/// The body of a message, no longer than [`PAYLOAD_LEN_MAX`].
///
/// # Panics
/// Never in practice: what it says is made of what JSON can say.
pub fn render(told: &Told) -> Vec<u8> {
    let timestamp = utc(told.happened_at);
    let Some(event) = &told.event else {
        let data = Value::Object(Map::new());
        return to_json(&Envelope { kind: TEST, timestamp, account_id: None, data });
    };
    let (kind, account_id) = (event.kind.as_str(), Some(told.account_id));
    match &event.subject {
        EventSubject::Connection { connection } => {
            let data = ConnectionData { connection: connection_body(connection) };
            to_json(&Envelope { kind, timestamp, account_id, data })
        }
        EventSubject::Booking { booking, previous_range, minutes_before } => {
            let mut body = Vec::new();
            for omitted in OMISSIONS {
                let data =
                    BookingData { minutes_before: *minutes_before, ..booking_data(booking, *previous_range, omitted) };
                body = to_json(&Envelope { kind, timestamp: timestamp.clone(), account_id, data });
                if body.len() <= PAYLOAD_LEN_MAX {
                    break;
                }
            }
            body
        }
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("made of what JSON can say")
}

fn booking_data<'a>(
    booking: &'a Booking,
    previous_range: Option<TimeRange>,
    omitted: &'static [&'static str],
) -> BookingData<'a> {
    let zone = booking.timezone;
    let previous =
        previous_range.map(|range| Times { start_time: at(range.start, zone), end_time: at(range.end, zone) });
    BookingData { booking: booking_body(booking, omitted), sequence: booking.sequence, previous, minutes_before: None }
}

fn booking_body<'a>(booking: &'a Booking, omitted: &'static [&'static str]) -> BookingBody<'a> {
    let zone = booking.timezone;
    let is_said = |part: &str| !omitted.contains(&part);
    BookingBody {
        id: booking.id.to_string(),
        status: match booking.status {
            BookingStatus::Confirmed => "confirmed",
            BookingStatus::Cancelled => "cancelled",
            BookingStatus::Completed => "completed",
        },
        event_type_id: booking.event_type_id.map(|id| id.to_string()),
        title: &booking.title,
        location: booking.location.as_deref(),
        conference: booking.conference.as_ref().map(|conference| ConferenceBody {
            r#type: conference.kind,
            state: conference.state,
            join_url: conference.join_url.as_deref(),
        }),
        start_time: at(booking.range.start, zone),
        end_time: at(booking.range.end, zone),
        timezone: zone.name(),
        attendee: AttendeeBody {
            name: &booking.attendee.name,
            email: booking.attendee.email.as_deref(),
            phone: booking.attendee.phone.as_deref(),
            timezone: booking.attendee.timezone.map(Tz::name),
        },
        metadata: is_said("metadata").then_some(&booking.metadata),
        user_ids: booking.hosts.iter().map(|host| host.user_id.to_string()).collect(),
        hosts: is_said("hosts").then(|| booking.hosts.iter().map(host_body).collect()),
        cancel_reason: booking.cancel_reason.as_deref(),
        created_at: at(booking.created_at, zone),
        omitted,
    }
}

fn host_body(host: &BookingHost) -> HostBody<'_> {
    let writeback = host.writeback.as_ref().map(|writeback| WritebackBody {
        state: match writeback.state {
            WritebackState::Pending => "pending",
            WritebackState::Written => "written",
            WritebackState::Failed => "failed",
        },
        attempts: writeback.attempts,
        last_error: writeback.last_error.as_deref(),
    });
    let external_state = host.external_state.map(|state| match state {
        ExternalState::InSync => "in_sync",
        ExternalState::Moved => "moved",
        ExternalState::Deleted => "deleted",
        ExternalState::Conflict => "conflict",
    });
    HostBody { user_id: host.user_id.to_string(), writeback, external_state }
}

fn connection_body(connection: &Connection) -> ConnectionBody<'_> {
    ConnectionBody {
        id: connection.id.to_string(),
        display_name: &connection.display_name,
        status: match connection.status {
            ConnectionStatus::Syncing => "syncing",
            ConnectionStatus::Active => "active",
            ConnectionStatus::ReauthorizationRequired => "reauthorization_required",
            ConnectionStatus::Error => "error",
        },
        status_reason: connection.status_reason.as_deref(),
        created_at: utc(connection.created_at),
    }
}

fn at(instant: Timestamp, zone: Tz) -> String {
    instant.to_utc().with_timezone(&zone).to_rfc3339()
}

fn utc(instant: Timestamp) -> String {
    instant.to_utc().to_rfc3339()
}

#[cfg(test)]
mod tests;
