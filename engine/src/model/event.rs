//! What happened, for those outside who want to hear of it.

use serde::{Deserialize, Serialize};

use crate::ids::{BookingId, ConnectionId, EventId};
use crate::time::TimeRange;

use super::{Booking, Connection};

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// A booking was made.
    #[serde(rename = "booking.created")]
    BookingCreated,
    /// A booking was moved to another time.
    #[serde(rename = "booking.rescheduled")]
    BookingRescheduled,
    /// A booking was cancelled.
    #[serde(rename = "booking.cancelled")]
    BookingCancelled,
    /// A booking begins soon.
    #[serde(rename = "booking.reminder")]
    BookingReminder,
    /// A booking's time is over, and it was not cancelled.
    #[serde(rename = "booking.completed")]
    BookingCompleted,
    /// Writing a booking to a host's calendar was given up.
    #[serde(rename = "booking.writeback_failed")]
    BookingWritebackFailed,
    /// A busy event of somebody else now covers a booking's time.
    #[serde(rename = "booking.conflict")]
    BookingConflict,
    /// A provider refuses a connection's credentials: somebody must connect it again.
    #[serde(rename = "connection.reauthorization_required")]
    ConnectionReauthorizationRequired,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::BookingCreated,
        Self::BookingRescheduled,
        Self::BookingCancelled,
        Self::BookingReminder,
        Self::BookingCompleted,
        Self::BookingWritebackFailed,
        Self::BookingConflict,
        Self::ConnectionReauthorizationRequired,
    ];

    /// Its name outside.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BookingCreated => "booking.created",
            Self::BookingRescheduled => "booking.rescheduled",
            Self::BookingCancelled => "booking.cancelled",
            Self::BookingReminder => "booking.reminder",
            Self::BookingCompleted => "booking.completed",
            Self::BookingWritebackFailed => "booking.writeback_failed",
            Self::BookingConflict => "booking.conflict",
            Self::ConnectionReauthorizationRequired => "connection.reauthorization_required",
        }
    }

    /// The kind of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What it happened to, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventSubject {
    /// A booking.
    Booking {
        /// As it was after the change.
        booking: Box<Booking>,
        /// When it was before, where it was moved.
        previous_range: Option<TimeRange>,
        /// For how many minutes before its start this reminder was set, where it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minutes_before: Option<u32>,
    },
    /// A connection.
    Connection {
        /// As it was after the change.
        connection: Box<Connection>,
    },
}

/// Something that happened. One row, written by the transaction in which it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// What kind of thing.
    pub kind: EventKind,
    /// To what.
    pub subject: EventSubject,
}

impl EventSubject {
    /// A booking, where nothing more is to be said of it.
    pub fn booking(booking: Booking) -> Self {
        Self::Booking { booking: Box::new(booking), previous_range: None, minutes_before: None }
    }
}

impl Event {
    /// The booking it is about.
    pub fn booking_id(&self) -> Option<BookingId> {
        match &self.subject {
            EventSubject::Booking { booking, .. } => Some(booking.id),
            EventSubject::Connection { .. } => None,
        }
    }

    /// The connection it is about.
    pub fn connection_id(&self) -> Option<ConnectionId> {
        match &self.subject {
            EventSubject::Connection { connection } => Some(connection.id),
            EventSubject::Booking { .. } => None,
        }
    }

    /// How often the booking it is about had changed.
    pub fn sequence(&self) -> Option<u32> {
        match &self.subject {
            EventSubject::Booking { booking, .. } => Some(booking.sequence),
            EventSubject::Connection { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_the_name_it_is_written_as() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::of_name(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).expect("a text"), kind.as_str());
        }
        assert_eq!(EventKind::of_name("booking.exploded"), None);
    }
}
