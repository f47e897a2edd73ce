//! One commit's attempts: what an outcome means for the next.

use std::collections::{BTreeMap, BTreeSet};

use crate::commit::{DECISIONS_PER_COMMIT_MAX, Outcome, RevisionKey};
use crate::ids::UserId;

use super::request::{CommitAnswer, CommitKind, Made, UnavailableReason};

/// Times the store's constraint may refuse a host whose facts read free before the host counts as taken.
const OVERLAPS_UNTIL_LOST: u32 = 2;

/// What follows an outcome.
#[derive(Clone, Debug, PartialEq)]
pub enum After {
    /// Durable; the raised revisions.
    Committed(Vec<(RevisionKey, u64)>),
    /// Over.
    Answer(Box<CommitAnswer>),
    /// Read everything from the store and decide again.
    Again,
    /// The process no longer owns what it commits to.
    Fenced,
    /// Somebody else settled this very commit.
    UsedUp {
        /// Whether it was performed.
        is_performed: bool,
    },
}

/// The attempts of one commit.
#[derive(Clone, Debug, Default)]
pub struct Attempts {
    made: u32,
    overlaps: BTreeMap<UserId, u32>,
}

impl Attempts {
    /// Whether the next decision must rest on the store, because published facts have misled one before.
    pub fn reads_store(&self) -> bool {
        self.made > 0
    }

    /// A refusal rested on what was read before the commit's turn came: it must be decided again, on the store.
    pub fn handle_refusal_on_earlier_read(&mut self) {
        self.made += 1;
    }

    /// Hosts whose time is taken, whatever the facts say.
    pub fn lost(&self) -> BTreeSet<UserId> {
        let lost = self.overlaps.iter().filter(|&(_, &count)| count >= OVERLAPS_UNTIL_LOST);
        lost.map(|(&user_id, _)| user_id).collect()
    }

    /// The store answered a plan.
    pub fn handle_outcome(&mut self, kind: &CommitKind, outcome: Outcome) -> After {
        self.made += 1;
        match outcome {
            Outcome::Committed { revisions } => return After::Committed(revisions),
            Outcome::Replayed { answer } => return After::Answer(Box::new(replayed(kind, &answer))),
            Outcome::IdempotencyMismatch => return After::Answer(Box::new(CommitAnswer::IdempotencyMismatch)),
            Outcome::HoldLimit { limit } => return After::Answer(Box::new(CommitAnswer::HoldLimit(limit))),
            Outcome::Fenced => return After::Fenced,
            Outcome::UsedUp { is_performed } => return After::UsedUp { is_performed },
            Outcome::Overlap { user_id } => *self.overlaps.entry(user_id).or_default() += 1,
            Outcome::Stale => {}
        }
        if self.made < DECISIONS_PER_COMMIT_MAX {
            return After::Again;
        }
        After::Answer(Box::new(CommitAnswer::Unavailable(UnavailableReason::StoreUnavailable)))
    }
}

/// The answer kept under the idempotency key of a request.
pub fn replayed(kind: &CommitKind, answer: &[u8]) -> CommitAnswer {
    let made = match kind {
        CommitKind::Book(_) | CommitKind::Confirm(_) | CommitKind::Reschedule { .. } | CommitKind::Cancel { .. } => {
            serde_json::from_slice(answer).map(Made::Booking)
        }
        CommitKind::Hold(_) | CommitKind::Extend { .. } => serde_json::from_slice(answer).map(Made::Hold),
        CommitKind::Release(_) => serde_json::from_slice(answer).map(Made::Released),
    };
    match made {
        Ok(made) => CommitAnswer::Replayed(made),
        // Kept by something else than a commit: the key was used on another route, so the request is another one.
        Err(_) => CommitAnswer::IdempotencyMismatch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::fixtures::{booking, hours};
    use crate::calendar::request::ChangedBy;
    use crate::ids::BookingId;
    use uuid::Uuid;

    const CANCEL: CommitKind =
        CommitKind::Cancel { booking_id: BookingId::from_uuid(Uuid::nil()), reason: None, by: ChangedBy::Key };

    #[test]
    fn outcomes_lead_to_another_decision_until_there_were_enough() {
        let mut attempts = Attempts::default();
        assert!(!attempts.reads_store());
        for _ in 1..DECISIONS_PER_COMMIT_MAX {
            assert_eq!(attempts.handle_outcome(&CANCEL, Outcome::Stale), After::Again);
            assert!(attempts.reads_store());
        }
        let over = CommitAnswer::Unavailable(UnavailableReason::StoreUnavailable);
        assert_eq!(attempts.handle_outcome(&CANCEL, Outcome::Stale), After::Answer(Box::new(over)));
    }

    #[test]
    fn a_host_refused_twice_counts_as_taken() {
        let user_id = UserId::from_uuid(Uuid::from_u128(9));
        let mut attempts = Attempts::default();
        assert_eq!(attempts.handle_outcome(&CANCEL, Outcome::Overlap { user_id }), After::Again);
        assert_eq!(attempts.lost(), BTreeSet::new(), "reading again may show it");
        assert_eq!(attempts.handle_outcome(&CANCEL, Outcome::Overlap { user_id }), After::Again);
        assert_eq!(attempts.lost(), BTreeSet::from([user_id]));
    }

    #[test]
    fn a_kept_answer_is_the_booking_as_it_was() {
        let booking = booking(1, hours(1, 2));
        let kept = serde_json::to_vec(&booking).expect("a booking is JSON");
        assert_eq!(replayed(&CANCEL, &kept), CommitAnswer::Replayed(Made::Booking(Box::new(booking))));
        assert_eq!(replayed(&CANCEL, b"null"), CommitAnswer::IdempotencyMismatch);
    }
}
