//! What a caller may ask of a commit of bookings and holds, and what it may hear.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::commit::{HoldLimit, IdempotencyKey};
use crate::decision::Decision;
use crate::ids::{BookingId, DecisionId, EventTypeId, HoldId, UserId};
use crate::model::{AdHocMeeting, Attendee, Booking, Hold, Tenant};
use crate::time::Timestamp;

/// Most alternatives a refusal offers.
pub const ALTERNATIVES_MAX: usize = 5;

/// What is to be booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Meeting {
    /// On the terms of an event type.
    EventType(EventTypeId),
    /// One user, one duration, every other term at its default.
    AdHoc(AdHocMeeting),
}

/// Who may be taken, and how the caller came by the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Choice {
    /// Anybody of the event type; a bare start.
    Any,
    /// This host; a bare start.
    Named(UserId),
    /// One of those that were offered, in this order (for a collective: all of them), under a `slot_id` that was checked.
    Offered(Vec<UserId>),
}

/// A new booking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BookRequest {
    /// The id the booking will have; minted where the request came in, so that repeating the request finds it.
    pub booking_id: BookingId,
    /// What.
    pub meeting: Meeting,
    /// With whom.
    pub choice: Choice,
    /// When it begins.
    pub start: Timestamp,
    /// For whom.
    pub attendee: Attendee,
    /// The caller's own data.
    pub metadata: Map<String, Value>,
}

/// A booking to be made of a hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfirmRequest {
    /// The id the booking will have; minted where the request came in, so that repeating the request finds it.
    pub booking_id: BookingId,
    /// The hold.
    pub hold_id: HoldId,
    /// For whom.
    pub attendee: Attendee,
    /// The caller's own data.
    pub metadata: Map<String, Value>,
}

/// A slot to be kept for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRequest {
    /// The id the hold will have; minted where the request came in, so that repeating the request finds it.
    pub hold_id: HoldId,
    /// What.
    pub meeting: Meeting,
    /// With whom.
    pub choice: Choice,
    /// When it begins.
    pub start: Timestamp,
    /// For how long, in seconds.
    pub ttl_seconds: u32,
    /// The call it belongs to.
    pub session_id: Option<String>,
}

/// Which holds to give back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoldSelection {
    /// One. Giving it back again, or after it expired, is a success.
    One(HoldId),
    /// All of a call.
    Session(String),
}

/// Who changes a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangedBy {
    /// Somebody with a key.
    Key,
    /// The attendee, through the booking's link; bound by the event type's [`crate::model::AttendeePolicy`].
    Attendee,
}

/// A change to bookings and holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CommitKind {
    /// Make a booking.
    Book(BookRequest),
    /// Make a booking of a hold.
    Confirm(ConfirmRequest),
    /// Move a booking to another start, same hosts. To the start it has: nothing changes, and that is a success.
    Reschedule {
        /// Which.
        booking_id: BookingId,
        /// When it shall begin.
        start: Timestamp,
        /// Whether the start comes from a `slot_id` that was checked.
        offered: bool,
        /// Who asks.
        by: ChangedBy,
    },
    /// Cancel a booking. Cancelling it again gives the same answer.
    Cancel {
        /// Which.
        booking_id: BookingId,
        /// Why, if said.
        reason: Option<String>,
        /// Who asks.
        by: ChangedBy,
    },
    /// Keep a slot for a while.
    Hold(HoldRequest),
    /// Keep it for this many seconds from now on; never shorter than it is kept already, nor longer than the longest hold.
    Extend {
        /// Which.
        hold_id: HoldId,
        /// For how long, in seconds.
        ttl_seconds: u32,
    },
    /// Give slots back.
    Release(HoldSelection),
}

impl CommitKind {
    /// A short name, for metrics and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Book(_) => "book",
            Self::Confirm(_) => "confirm",
            Self::Reschedule { .. } => "reschedule",
            Self::Cancel { .. } => "cancel",
            Self::Hold(_) => "hold",
            Self::Extend { .. } => "extend",
            Self::Release(_) => "release",
        }
    }
}

/// Whether to do it, or only to say what would come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Intent {
    /// Do it.
    Commit,
    /// Decide it, and change nothing.
    DryRun,
}

/// A change to bookings, and what must be known to make it once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommitRequest {
    /// Minted where the request came in; the same on every path and retry.
    pub commit_id: Uuid,
    /// Whose data it is.
    pub tenant: Tenant,
    /// What to do.
    pub kind: CommitKind,
    /// Whether to do it, or only to say what would come of it.
    pub intent: Intent,
    /// The caller's idempotency key, if it sent one. A dry run has none.
    pub idempotency: Option<IdempotencyKey>,
    /// Until when the caller waits, by the node's clock. A request not begun by then is dropped.
    pub deadline: Timestamp,
}

/// What a commit makes or changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Made {
    /// A booking, as it now is.
    Booking(Box<Booking>),
    /// A hold, as it now is.
    Hold(Box<Hold>),
    /// Holds that were given back; those that had ended before are not among them.
    Released(Vec<HoldId>),
}

impl Made {
    /// The booking, unless something else was made.
    pub fn booking(&self) -> Option<&Booking> {
        match self {
            Self::Booking(booking) => Some(booking),
            Self::Hold(_) | Self::Released(_) => None,
        }
    }

    /// The hold, unless something else was made.
    pub fn hold(&self) -> Option<&Hold> {
        match self {
            Self::Hold(hold) => Some(hold),
            Self::Booking(_) | Self::Released(_) => None,
        }
    }
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CommitAnswer {
    /// Durable, published.
    Committed(Made),
    /// A dry run: this is what it would be. Nothing was done.
    WouldCommit(Made),
    /// The idempotency key was used before with the same body; this is what was answered then.
    Replayed(Made),
    /// The idempotency key was used before with another body.
    IdempotencyMismatch,
    /// The time is not bookable.
    Refused(Refusal),
    /// The request makes no sense for what is there.
    Rejected(Rejection),
    /// As many holds are live as may be.
    HoldLimit(HoldLimit),
    /// Cannot be decided now; trying again may help.
    Unavailable(UnavailableReason),
}

impl CommitAnswer {
    /// What was made, now or before; `None` where nothing was, or would only have been.
    pub fn made(&self) -> Option<&Made> {
        match self {
            Self::Committed(made) | Self::Replayed(made) => Some(made),
            _ => None,
        }
    }

    /// A short name, for metrics and logs.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Committed(_) => "committed",
            Self::WouldCommit(_) => "would_commit",
            Self::Replayed(_) => "replayed",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::Refused(_) => "refused",
            Self::Rejected(_) => "rejected",
            Self::HoldLimit(_) => "hold_limit",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

/// Why a time is not bookable, and what is instead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// The verdict on every host asked.
    pub decision: Decision,
    /// Bookable times near the one asked for, nearest first, spread over days; at most [`ALTERNATIVES_MAX`].
    pub alternatives: Vec<Alternative>,
    /// The record kept of it; `None` for a dry run.
    pub decision_id: Option<DecisionId>,
}

/// A bookable time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternative {
    /// When it begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// Who is free; for a collective, everybody.
    pub user_ids: Vec<UserId>,
}

/// Why a request makes no sense for what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The event type takes offered times only: a `slot_id` must be sent.
    SlotIdRequired,
    /// Somebody who was offered is no host any more, or not all of a collective were offered.
    OfferOutdated,
    /// There is no such hold.
    HoldMissing,
    /// The hold expired or was given back.
    HoldExpired,
    /// The hold was confirmed before, as this booking.
    HoldConfirmed(BookingId),
    /// The attendee may not do this, or not so late; a key may.
    TooLateForAttendee,
    /// The attendee has moved the booking as often as allowed.
    TooManyReschedules,
}

/// Why a request cannot be decided now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
