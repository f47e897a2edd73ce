//! What clients asked and what they were told.

use agentcal_engine::ids::{BookingId, HoldId, UserId};
use agentcal_engine::model::BookingStatus;
use agentcal_engine::time::{TimeRange, Timestamp};
use serde::{Deserialize, Serialize};

/// One request of one client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Who asked.
    pub client: String,
    /// When the request went out.
    pub invoked_at: Timestamp,
    /// The answer; `None`: in doubt.
    pub answer: Option<Answer>,
    /// The `Idempotency-Key`, if one was sent. Unique in the history but for retries.
    pub idempotency_key: Option<String>,
    /// What was asked.
    pub operation: Operation,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// When it had come whole.
    pub at: Timestamp,
    /// Whether it was marked as the replay of an earlier answer.
    pub replayed: bool,
    /// What it said.
    pub outcome: Outcome,
}

/// A time somebody wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Whose time: candidates.
    pub user_ids: Vec<UserId>,
    /// Whether all of them are wanted, not one.
    pub all: bool,
    /// When.
    pub range: TimeRange,
}

impl Wish {
    /// Whether a booking or hold of this time and these hosts is what was wished for.
    pub(crate) fn fits(&self, range: TimeRange, user_ids: &[UserId]) -> bool {
        let count = if self.all { self.user_ids.len() } else { 1 };
        range == self.range && user_ids.len() == count && user_ids.iter().all(|user_id| self.user_ids.contains(user_id))
    }
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum Operation {
    /// When are they free?
    Ask {
        /// The people asked about.
        user_ids: Vec<UserId>,
        /// Oldest facts an answer called `complete` may rest on, in microseconds: `max_staleness_ms`, or what the node
        /// does without one. `None`: not checked.
        max_staleness_us: Option<i64>,
    },
    /// Keep a slot.
    Hold {
        /// Which.
        wish: Wish,
        /// The call it is placed for.
        session_id: Option<String>,
    },
    /// Keep it longer.
    Extend {
        /// Which hold.
        hold_id: HoldId,
    },
    /// Give a hold back.
    Release {
        /// Which hold.
        hold_id: HoldId,
    },
    /// Give back all holds of a call.
    ReleaseSession {
        /// Which call.
        session_id: String,
    },
    /// Book.
    Book {
        /// The name of the wish; stands in the booking's metadata.
        intent: String,
        /// What is wished for; with a hold, the time and hosts of the hold.
        wish: Wish,
        /// The hold to confirm.
        hold_id: Option<HoldId>,
    },
    /// Book, but not really.
    Rehearse {
        /// As it would stand in the booking's metadata. Used by no [`Operation::Book`].
        intent: String,
    },
    /// Move a booking.
    Move {
        /// Which.
        booking_id: BookingId,
        /// Where to.
        range: TimeRange,
    },
    /// Cancel a booking.
    Cancel {
        /// Which.
        booking_id: BookingId,
    },
    /// Read a booking.
    Read {
        /// Which.
        booking_id: BookingId,
    },
}

/// What an answer said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Slots, answered with 200.
    Slots(SlotsSeen),
    /// A hold.
    Hold(HoldSeen),
    /// A booking: made, moved, cancelled or read.
    Booking(BookingSeen),
    /// Done, without more words: 204, or the 200 of a rehearsal.
    Done,
    /// Refused for good: nothing was done (4xx).
    Refused {
        /// HTTP status.
        status: u16,
        /// The problem's code.
        code: String,
    },
    /// Not answered as asked (5xx). A write is in doubt.
    Failed {
        /// HTTP status.
        status: u16,
        /// The problem's code.
        code: String,
    },
}

/// An answer to a question for slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotsSeen {
    /// The slots.
    pub slots: Vec<SlotSeen>,
    /// What was said about the facts.
    pub freshness: FreshnessSeen,
}

/// A slot that was offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotSeen {
    /// When.
    pub range: TimeRange,
    /// Who is free.
    pub user_ids: Vec<UserId>,
}

/// How much an answer says it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FreshnessState {
    /// Everything, and fresh enough.
    Complete,
    /// Everything, but older than wanted.
    Stale,
    /// Some people are left out.
    Partial,
    /// Nobody's facts are known.
    Unavailable,
}

/// What an answer says about the facts it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreshnessSeen {
    /// How much is known.
    pub state: FreshnessState,
    /// As of when; `None` where nothing ages.
    pub as_of: Option<Timestamp>,
    /// People left out.
    pub left_out: Vec<UserId>,
}

/// A hold, as answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldSeen {
    /// Its id.
    pub hold_id: HoldId,
    /// When.
    pub range: TimeRange,
    /// Whose time.
    pub user_ids: Vec<UserId>,
    /// When it ends by itself, by the store's clock.
    pub expires_at: Timestamp,
}

/// A booking, as answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookingSeen {
    /// Its id.
    pub booking_id: BookingId,
    /// When.
    pub range: TimeRange,
    /// Its hosts.
    pub user_ids: Vec<UserId>,
    /// Its status. A booking whose end has passed is completed.
    pub status: BookingStatus,
    /// The whole answer as it came, where replays shall be compared to the byte.
    pub body: Option<String>,
}

/// Why a line is not an event.
#[derive(Debug, thiserror::Error)]
#[error("line {line} is not an event")]
pub struct ReadError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    #[source]
    pub source: serde_json::Error,
}

impl Event {
    /// The event as one line of JSON, without the line's end.
    ///
    /// # Panics
    /// Never: every field has a form in JSON.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("events have a form in JSON")
    }

    /// What was said, and when; `None` when nothing was.
    pub(crate) fn said(&self) -> Option<(Timestamp, &Outcome)> {
        self.answer.as_ref().map(|answer| (answer.at, &answer.outcome))
    }

    /// Whether it was refused for good, so that nothing was done.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.said(), Some((_, Outcome::Refused { .. })))
    }

    /// When it was acknowledged; `None` when refused or in doubt.
    pub(crate) fn acknowledged_at(&self) -> Option<Timestamp> {
        match self.said() {
            None | Some((_, Outcome::Refused { .. } | Outcome::Failed { .. })) => None,
            Some((at, _)) => Some(at),
        }
    }

    /// Whether the answer was marked as the replay of an earlier one.
    pub(crate) fn is_replay(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.replayed)
    }

    /// Whether nobody knows if it was done.
    pub(crate) fn is_in_doubt(&self) -> bool {
        matches!(self.said(), None | Some((_, Outcome::Failed { .. })))
    }
}

/// Reads lines written by [`Event::to_line`], skipping empty ones. An event that was first written without its answer and
/// then with it (same client, instant and operation) counts once, with the answer. A last line without an end, cut off by
/// a crash of the writer, is an error like any other.
pub fn read_events(lines: &str) -> Result<Vec<Event>, ReadError> {
    let mut events: Vec<Event> = Vec::new();
    for (index, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let event: Event = serde_json::from_str(line).map_err(|source| ReadError { line: index + 1, source })?;
        match events.iter_mut().rev().find(|earlier| is_announcement(earlier, &event)) {
            Some(announced) => *announced = event,
            None => events.push(event),
        }
    }
    Ok(events)
}

fn is_announcement(earlier: &Event, event: &Event) -> bool {
    earlier.answer.is_none()
        && event.answer.is_some()
        && earlier.invoked_at == event.invoked_at
        && earlier.client == event.client
        && earlier.operation == event.operation
}
