//! What a booking commit asks of a store, and what the store may answer.
//!
//! A [`CommitPlan`] is decided from facts at certain revisions. The store performs it whole or not at all, in one
//! transaction, and only while those revisions still stand. On [`Outcome::Stale`] the caller reads again and decides
//! again. Last guard of law 1 is the store's own constraint, not anything in here.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{BookingId, CalendarId, HoldId, UserId};
use crate::model::{Booking, Claim, ClaimOwner, DecisionRecord, Event, Hold, Tenant};
use crate::shard::{Epoch, Shard};
use crate::time::{TimeRange, Timestamp};

/// Times a commit is decided again after [`Outcome::Stale`] before it gives up with a 503.
pub const DECISIONS_PER_COMMIT_MAX: u32 = 8;

/// A row whose revision is raised by whatever changes what it stands for. The order of the variants, then of the ids, is
/// the order in which every writer locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RevisionKey {
    /// Users, rules and event types of the plan's account.
    Config,
    /// A calendar's facts: external busy time, claims published with it, knowledge.
    Calendar(CalendarId),
    /// A user's claims, wherever they are published.
    User(UserId),
}

/// How a commit touches a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Access {
    /// Read: must still stand (`FOR SHARE` where the engine has it).
    Read,
    /// Changed: must still stand, and is raised (`FOR NO KEY UPDATE`).
    Write,
}

/// A revision a plan was decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExpectedRevision {
    /// Which row.
    pub key: RevisionKey,
    /// The revision the decision saw; `None` locks and raises without comparing, for rows whose content the decision saw
    /// through another expected revision.
    pub revision: Option<u64>,
    /// How the plan touches it.
    pub access: Access,
}

/// Names one request of a caller, so that repeating it repeats the answer and not the deed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IdempotencyKey {
    /// SHA-256 over organization, mode, account, method, path and the caller's key.
    pub scope: [u8; 32],
    /// SHA-256 over the body as parsed, so that two spellings of one instant are one body.
    pub fingerprint: [u8; 32],
}

/// An idempotency key together with the answer to keep under it, written in the transaction it guards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotentAnswer {
    /// Which request.
    pub key: IdempotencyKey,
    /// The engine value the answer is rendered from, as JSON. The store encrypts it.
    pub answer: Vec<u8>,
}

/// A change to claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClaimChange {
    /// Take time. Expired holds of the same user that overlap are deleted first, by the store's clock.
    Insert(Claim),
    /// Move every claim of an owner to another time, in place.
    Move {
        /// Whose claims.
        owner: ClaimOwner,
        /// The new time.
        range: TimeRange,
        /// How many claims that must be; any other count makes the plan stale.
        claim_count: u32,
    },
    /// Give time back: every claim of an owner.
    Delete {
        /// Whose claims.
        owner: ClaimOwner,
        /// How many claims that must be; any other count makes the plan stale.
        claim_count: u32,
    },
    /// A hold's claims become a booking's, in place. Only live ones, by the store's clock: an expired hold can never be
    /// confirmed.
    Confirm {
        /// Whose claims.
        hold_id: HoldId,
        /// Whose they become.
        booking_id: BookingId,
        /// How many live claims that must be; any other count makes the plan stale.
        claim_count: u32,
    },
    /// A hold's claims end later, or sooner. Only live ones, by the store's clock.
    Extend {
        /// Whose claims.
        hold_id: HoldId,
        /// When they end, by the store's clock.
        expires_at: Timestamp,
        /// How many live claims that must be; any other count makes the plan stale.
        claim_count: u32,
    },
}

/// A change to a hold's own row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoldChange {
    /// A new hold. Counted against the limits first, over the active holds that have not expired by the store's clock.
    Insert {
        /// The hold.
        hold: Box<Hold>,
        /// Most live holds there may be, this one included.
        limits: HoldLimits,
    },
    /// Ends later, or sooner. A hold that is not active any more makes the plan stale.
    Extend {
        /// Which hold.
        hold_id: HoldId,
        /// When it ends, by the store's clock.
        expires_at: Timestamp,
    },
    /// Became a booking. A hold that is not active any more makes the plan stale.
    Confirm {
        /// Which hold.
        hold_id: HoldId,
        /// What it became.
        booking_id: BookingId,
    },
    /// Was given back. A hold that is not active any more makes the plan stale.
    Release {
        /// Which hold.
        hold_id: HoldId,
    },
}

/// Most live holds at once, so that a runaway agent cannot block a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldLimits {
    /// Of one organization, over all its accounts of one mode.
    pub per_organization: u32,
    /// Of one session in one account.
    pub per_session: u32,
    /// On one host.
    pub per_user: u32,
}

impl Default for HoldLimits {
    fn default() -> Self {
        Self { per_organization: 1_000, per_session: 10, per_user: 20 }
    }
}

/// Which limit a hold met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldLimit {
    /// Of the organization.
    Organization,
    /// Of the session.
    Session,
    /// Of a host.
    User(UserId),
}

/// A change to a booking's own row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BookingChange {
    /// A new booking with its hosts.
    Insert(Box<Booking>),
    /// Another time. Raises the booking's sequence.
    Reschedule {
        /// Which booking.
        booking_id: BookingId,
        /// The sequence the decision saw; any other makes the plan stale.
        sequence: u32,
        /// The new time.
        range: TimeRange,
        /// How often the attendee has moved it, this move included.
        attendee_reschedules: u32,
    },
    /// No longer. Raises the booking's sequence.
    Cancel {
        /// Which booking.
        booking_id: BookingId,
        /// The sequence the decision saw; any other makes the plan stale.
        sequence: u32,
        /// Why, if said.
        reason: Option<String>,
    },
}

/// What must happen outside because of a commit; a row of the same transaction (law 2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Effect {
    /// Make the calendar show the booking as it then is. One row per booking and calendar; a later change makes the same
    /// row pending again.
    Writeback {
        /// Which booking.
        booking_id: BookingId,
        /// In which calendar.
        calendar_id: CalendarId,
    },
}

/// Everything one commit does, to be done whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitPlan {
    /// Minted where the request came in; the same on every path and retry of this commit.
    pub commit_id: Uuid,
    /// Whose data it is.
    pub tenant: Tenant,
    /// The shard of the account; part of every claim's key.
    pub shard: Shard,
    /// The ownership the leader acts under; `None` on the owner-less path.
    pub epoch: Option<Epoch>,
    /// Whether another node may be performing the same commit: then the plan uses its id up, and finds it used.
    pub is_shared: bool,
    /// The latest end among holds that the decision took for expired. The plan is stale until the store's clock is past
    /// it: the constraint does not see buffers, so nothing else would keep a fast clock from booking next to a live hold.
    pub expired_until: Option<Timestamp>,
    /// What the decision rested on, ascending by key, none twice.
    pub expected_revisions: Vec<ExpectedRevision>,
    /// Changes to claims, in order.
    pub claims: Vec<ClaimChange>,
    /// The change to the booking.
    pub booking: Option<BookingChange>,
    /// Changes to holds' rows.
    pub holds: Vec<HoldChange>,
    /// What was decided and on what, to be kept with it; `None` where nobody's time was asked for.
    pub decision: Option<Box<DecisionRecord>>,
    /// What must happen outside.
    pub effects: Vec<Effect>,
    /// What happened, for those outside who want to hear of it: one row, however many they are.
    pub event: Option<Box<Event>>,
    /// The caller's idempotency key, if it sent one.
    pub idempotency: Option<IdempotentAnswer>,
}

/// What a store made of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Durable. Carries each raised revision as it now is.
    Committed {
        /// Raised revisions, ascending by key.
        revisions: Vec<(RevisionKey, u64)>,
    },
    /// The idempotency key was used before with the same body; this is the kept answer. Nothing was done.
    Replayed {
        /// As in [`IdempotentAnswer::answer`].
        answer: Vec<u8>,
    },
    /// The idempotency key was used before with another body. Nothing was done.
    IdempotencyMismatch,
    /// The commit's id was used up before: it was performed, or it was refused for good. Nothing was done.
    UsedUp {
        /// Whether it was performed.
        is_performed: bool,
    },
    /// A revision or row count was not as the decision saw it, or the engine asked to try again. Nothing was done.
    Stale,
    /// The constraint refused a claim: the user's time is taken. Nothing was done.
    Overlap {
        /// Whose time.
        user_id: UserId,
    },
    /// As many holds are live as may be. Nothing was done.
    HoldLimit {
        /// Which limit.
        limit: HoldLimit,
    },
    /// The leader no longer owns the shard. Nothing was done.
    Fenced,
}
