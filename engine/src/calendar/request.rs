//! What a caller may ask of a booking commit, and what it may hear.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::commit::IdempotencyKey;
use crate::decision::Decision;
use crate::ids::{BookingId, EventTypeId, UserId};
use crate::model::{AdHocMeeting, Attendee, Booking, Tenant};
use crate::time::Timestamp;

/// Most alternatives a refusal offers.
pub const ALTERNATIVES_MAX: usize = 5;

/// What is to be booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// On the terms of an event type.
    EventType(EventTypeId),
    /// One user, one duration, every other term at its default.
    AdHoc(AdHocMeeting),
}

/// A new booking.
#[derive(Clone, Debug, PartialEq)]
pub struct BookRequest {
    /// The id the booking will have; minted where the request came in, so that repeating the request finds it.
    pub booking_id: BookingId,
    /// What.
    pub meeting: Meeting,
    /// With whom, where the caller named a host.
    pub user_id: Option<UserId>,
    /// When it begins.
    pub start: Timestamp,
    /// For whom.
    pub attendee: Attendee,
    /// The caller's own data.
    pub metadata: Map<String, Value>,
}

/// A change to bookings.
#[derive(Clone, Debug, PartialEq)]
pub enum CommitKind {
    /// Make one.
    Book(BookRequest),
    /// Move one to another start, same hosts. To the start it has: nothing changes, and that is a success.
    Reschedule {
        /// Which.
        booking_id: BookingId,
        /// When it shall begin.
        start: Timestamp,
    },
    /// Cancel one. Cancelling it again gives the same answer.
    Cancel {
        /// Which.
        booking_id: BookingId,
        /// Why, if said.
        reason: Option<String>,
    },
}

/// A change to bookings, and what must be known to make it once.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitRequest {
    /// Minted where the request came in; the same on every path and retry.
    pub commit_id: Uuid,
    /// Whose data it is.
    pub tenant: Tenant,
    /// What to do.
    pub kind: CommitKind,
    /// The caller's idempotency key, if it sent one.
    pub idempotency: Option<IdempotencyKey>,
    /// Until when the caller waits, by the node's clock. A request not begun by then is dropped.
    pub deadline: Timestamp,
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq)]
pub enum CommitAnswer {
    /// Durable, published; this is the booking as it now is.
    Committed(Booking),
    /// The idempotency key was used before with the same body; this is the booking as it was answered then.
    Replayed(Booking),
    /// The idempotency key was used before with another body.
    IdempotencyMismatch,
    /// The time is not bookable.
    Refused(Refusal),
    /// The request makes no sense for what is there.
    Rejected(Rejection),
    /// Cannot be decided now; trying again may help.
    Unavailable(UnavailableReason),
}

impl CommitAnswer {
    /// A short name, for metrics and logs.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Committed(_) => "committed",
            Self::Replayed(_) => "replayed",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::Refused(_) => "refused",
            Self::Rejected(_) => "rejected",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

/// Why a time is not bookable, and what is instead.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The verdict on every host asked.
    pub decision: Decision,
    /// Bookable times near the one asked for, nearest first, spread over days; at most [`ALTERNATIVES_MAX`].
    pub alternatives: Vec<Alternative>,
}

/// A bookable time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// When it begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// Who is free; for a collective, everybody.
    pub user_ids: Vec<UserId>,
}

/// Why a request makes no sense for what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// There is no such account.
    AccountMissing,
    /// There is no such event type.
    EventTypeMissing,
    /// There is no such user.
    UserMissing,
    /// The named user is no host of the event type.
    UserNotHost,
    /// A collective takes all hosts, so none may be named.
    UserNotAllowedForCollective,
    /// The event type has no host left.
    NoHosts,
    /// The start, or the end that follows from it, lies outside the instants the product knows.
    StartOutOfRange,
    /// There is no such booking.
    BookingMissing,
    /// The booking was cancelled.
    BookingCancelled,
    /// The booking has ended.
    BookingCompleted,
}

/// Why a request cannot be decided now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnavailableReason {
    /// The busy time of these hosts is not known, and without it nobody can be booked.
    FactsUnknown {
        /// Whose.
        user_ids: Vec<UserId>,
    },
    /// What is known of these hosts is too old to book on, and could not be renewed in time.
    FactsStale {
        /// Whose.
        user_ids: Vec<UserId>,
    },
    /// The store does not answer, or changed under every attempt.
    StoreUnavailable,
    /// Too many commits wait already.
    MailboxFull,
    /// The caller's deadline passed. The commit may still have been made: repeating the request finds out.
    Deadline,
    /// This process takes no more commits: it stops, or another one took over.
    ShuttingDown,
}

impl UnavailableReason {
    /// A short name, for metrics and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::FactsUnknown { .. } => "facts_unknown",
            Self::FactsStale { .. } => "facts_stale",
            Self::StoreUnavailable => "store_unavailable",
            Self::MailboxFull => "mailbox_full",
            Self::Deadline => "deadline",
            Self::ShuttingDown => "shutting_down",
        }
    }
}
