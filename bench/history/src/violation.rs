//! What can be wrong.

use agentcal_engine::ids::{BookingId, CalendarId, ClaimId, HoldId, UserId};
use agentcal_engine::model::{BookingStatus, ClaimOwner};
use agentcal_engine::time::{TimeRange, Timestamp};
use serde::Serialize;

/// Something no sound node does. `event` fields count the history's events from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "violation", rename_all = "snake_case")]
pub enum Violation {
    /// Two live claims of one person overlap in the store.
    #[error("claims {first} and {second} of {user_id} overlap")]
    ClaimsOverlap {
        /// Whose time was sold twice.
        user_id: UserId,
        /// The earlier claim.
        first: ClaimId,
        /// The later claim.
        second: ClaimId,
    },
    /// Two confirmed bookings of one host overlap in the store.
    #[error("bookings {first} and {second} of {user_id} overlap")]
    BookingsOverlap {
        /// Whose time was sold twice.
        user_id: UserId,
        /// The earlier booking.
        first: BookingId,
        /// The later booking.
        second: BookingId,
    },
    /// Two answers gave the same time of one person to two, and both stood at one instant.
    #[error("{user_id} was given to {first:?} and to {second:?} at once, around {range:?}")]
    SoldTwice {
        /// Whose time.
        user_id: UserId,
        /// Who had it.
        first: ClaimOwner,
        /// Who was told to have it, too.
        second: ClaimOwner,
        /// The time both have.
        range: TimeRange,
    },
    /// An acknowledged booking is not there.
    #[error("booking {booking_id}, acknowledged in event {event}, is lost")]
    BookingLost {
        /// The answer.
        event: usize,
        /// Which.
        booking_id: BookingId,
    },
    /// A booking is not what was acknowledged.
    #[error(
        "booking {booking_id} is {status:?} at {range:?} with {user_ids:?}, which no order of the answers explains"
    )]
    BookingAltered {
        /// Which.
        booking_id: BookingId,
        /// When it now is.
        range: TimeRange,
        /// Its hosts.
        user_ids: Vec<UserId>,
        /// Its status.
        status: BookingStatus,
    },
    /// An answer gave something else than was asked for.
    #[error("event {event} was answered with something else than was asked for")]
    NotAsAsked {
        /// The answer.
        event: usize,
    },
    /// More bookings for one intent than requests that can have made them.
    #[error("{found} bookings of intent {intent:?}, where {allowed} can be: {booking_ids:?}")]
    BookedTwice {
        /// Whose.
        intent: String,
        /// Bookings there are.
        found: usize,
        /// Keys and requests without a key that can have made one.
        allowed: usize,
        /// Them.
        booking_ids: Vec<BookingId>,
    },
    /// A booking nobody asked for, or that everybody who asked was refused.
    #[error("nobody asked for booking {booking_id} (intent {intent:?})")]
    BookingUnasked {
        /// Which.
        booking_id: BookingId,
        /// Its intent, if it has one.
        intent: Option<String>,
    },
    /// A booking was moved after its cancellation was acknowledged.
    #[error("booking {booking_id} was moved in event {event} after it was cancelled")]
    MovedAfterCancel {
        /// The answer to the move.
        event: usize,
        /// Which.
        booking_id: BookingId,
    },
    /// An acknowledged hold is not there.
    #[error("hold {hold_id}, acknowledged in event {event}, is lost")]
    HoldLost {
        /// The answer.
        event: usize,
        /// Which.
        hold_id: HoldId,
    },
    /// A hold is not in a state the answers explain.
    #[error("hold {hold_id} is in a state no order of the answers explains")]
    HoldAltered {
        /// Which.
        hold_id: HoldId,
    },
    /// A hold nobody asked for.
    #[error("nobody asked for hold {hold_id}")]
    HoldUnasked {
        /// Which.
        hold_id: HoldId,
    },
    /// A hold was confirmed after it had expired.
    #[error("hold {hold_id} was confirmed in event {event}, though it ended at {expires_at:?}")]
    ConfirmedExpired {
        /// The answer.
        event: usize,
        /// Which.
        hold_id: HoldId,
        /// When it had ended, at the latest.
        expires_at: Timestamp,
    },
    /// A hold was confirmed after it was given back.
    #[error("hold {hold_id} was confirmed in event {event} after it was released")]
    ConfirmedReleased {
        /// The answer.
        event: usize,
        /// Which.
        hold_id: HoldId,
    },
    /// One hold became two bookings.
    #[error("hold {hold_id} became {first} and {second}")]
    ConfirmedTwice {
        /// Which.
        hold_id: HoldId,
        /// A booking.
        first: BookingId,
        /// Another.
        second: BookingId,
    },
    /// A cancelled booking or an ended hold still takes time, or one takes other time than it has.
    #[error("claim {claim_id} takes {range:?} of {user_id} for {owner:?}, which does not have it")]
    ClaimAstray {
        /// Which.
        claim_id: ClaimId,
        /// Whose time.
        user_id: UserId,
        /// For whom.
        owner: ClaimOwner,
        /// The time.
        range: TimeRange,
    },
    /// A confirmed booking or a live hold does not take a host's time.
    #[error("{owner:?} has {range:?} of {user_id}, and no claim says so")]
    ClaimMissing {
        /// Whose time.
        user_id: UserId,
        /// For whom.
        owner: ClaimOwner,
        /// The time.
        range: TimeRange,
    },
    /// A booking or hold takes one host's time with two claims.
    #[error("{owner:?} has {count} claims on {user_id}")]
    ClaimTwice {
        /// Whose time.
        user_id: UserId,
        /// For whom.
        owner: ClaimOwner,
        /// How many.
        count: usize,
    },
    /// A slot was offered that was sold before the question was asked.
    #[error("event {event} offered {range:?} of {user_id}, which {owner:?} had since {since:?}")]
    OfferedTaken {
        /// The answer.
        event: usize,
        /// Whose time.
        user_id: UserId,
        /// The slot.
        range: TimeRange,
        /// Who had it.
        owner: ClaimOwner,
        /// Since when its answer was out.
        since: Timestamp,
    },
    /// A slot was offered that had just been sold without its owner, and the answer did not say that it may be so.
    #[error(
        "event {event} was called complete and offered {range:?} of {user_id}, which {owner:?} had since {since:?}"
    )]
    OfferedAsComplete {
        /// The answer.
        event: usize,
        /// Whose time.
        user_id: UserId,
        /// The slot.
        range: TimeRange,
        /// Who had it.
        owner: ClaimOwner,
        /// Since when its answer was out.
        since: Timestamp,
    },
    /// A slot was offered of somebody who was said to be left out.
    #[error("event {event} offered time of {user_id}, who was left out")]
    OfferedUnknown {
        /// The answer.
        event: usize,
        /// Who.
        user_id: UserId,
    },
    /// A read of a booking showed what was over before, or not there yet.
    #[error("event {event} read booking {booking_id} as it was not at that time")]
    ReadOutdated {
        /// The answer.
        event: usize,
        /// Which.
        booking_id: BookingId,
    },
    /// An answer was called complete and rested on facts older than allowed, or on none.
    #[error("event {event} was called complete, with facts as of {as_of:?}")]
    NotComplete {
        /// The answer.
        event: usize,
        /// As of when its facts were.
        as_of: Option<Timestamp>,
    },
    /// An answer offered time that the provider had told to be busy before the facts' instant.
    #[error("event {event} offered {range:?} of {user_id} as of {as_of:?}, busy at the provider since {since:?}")]
    FactsMissed {
        /// The answer.
        event: usize,
        /// Whose time.
        user_id: UserId,
        /// The slot.
        range: TimeRange,
        /// As of when the answer said its facts were.
        as_of: Timestamp,
        /// Since when the provider knew better.
        since: Timestamp,
    },
    /// Time was booked or held that the provider had told to be busy longer ago than facts may be old.
    #[error("event {event} took time of {user_id} that is busy at the provider since {since:?}")]
    BookedOverBusy {
        /// The answer.
        event: usize,
        /// Whose time.
        user_id: UserId,
        /// Since when the provider knew better.
        since: Timestamp,
    },
    /// Nobody's facts were known, and the answer was an empty 200.
    #[error("event {event} answered 200 though nobody's time was known")]
    EmptyForUnknown {
        /// The answer.
        event: usize,
    },
    /// Two answers under one idempotency key differ.
    #[error("events {first} and {second} share a key and differ in their answers")]
    ReplayDiffers {
        /// The earlier answer.
        first: usize,
        /// The later one.
        second: usize,
    },
    /// A request was done, and refused when it was repeated under its key.
    #[error("event {second} was refused, though event {first} with the same key and request was done before")]
    ReplayRefused {
        /// The answer that said it is done.
        first: usize,
        /// The refusal.
        second: usize,
    },
    /// Two requests under one key were both done, neither marked as a replay.
    #[error("events {first} and {second} share a key and were both done")]
    DoneTwice {
        /// The earlier answer.
        first: usize,
        /// The later one.
        second: usize,
    },
    /// A key was answered for another request than the one it was first used with.
    #[error("events {first} and {second} share a key, ask for different things and were both answered")]
    KeyMixedUp {
        /// The earlier answer.
        first: usize,
        /// The later one.
        second: usize,
    },
    /// A request with a key was never answered, however often it was sent.
    #[error("event {event}, the last with the key {key}, is not answered either")]
    NotHealed {
        /// The last try.
        event: usize,
        /// Its key.
        key: String,
    },
    /// A node wrote as the owner of a shard that was another's.
    #[error("{writer} wrote {what} as owner at {at:?}, when the epoch {epoch} was another's")]
    WrittenBySuperseded {
        /// What was written.
        what: String,
        /// Who wrote.
        writer: String,
        /// The epoch that stood.
        epoch: i64,
        /// When it committed.
        at: Timestamp,
    },
    /// A calendar does not show a booking where it is, or shows one that is not.
    #[error("calendar {calendar_id} shows booking {booking_id} at {shown:?}; it should be {wanted:?}")]
    ShownWrongly {
        /// Where.
        calendar_id: CalendarId,
        /// Which.
        booking_id: BookingId,
        /// Where it shows it.
        shown: Vec<TimeRange>,
        /// Where it should.
        wanted: Option<TimeRange>,
    },
}
