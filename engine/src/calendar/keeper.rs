//! The facts an actor publishes, kept in step with the store.
//!
//! Invariant: what is published equals the store's rows at the revision it names. A change that cannot be applied to
//! reach the next revision exactly is not applied: the facts are loaded again.

use std::sync::Arc;

use crate::facts::{CalendarFacts, FactSource, Knowledge};
use crate::model::Claim;

/// What became of claims that were to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Added; the facts stand at the new revision.
    Done,
    /// The facts stand at that revision, or later, already.
    Known,
    /// Something between is missing: load the facts.
    NeedsLoad,
}

/// The keeper of one calendar's facts.
#[derive(Clone, Debug)]
pub struct FactsKeeper {
    source: FactSource,
    facts: Arc<CalendarFacts>,
}

impl FactsKeeper {
    /// A keeper of facts just loaded.
    pub fn new(source: FactSource) -> Self {
        let facts = Arc::new(CalendarFacts::assemble(source.clone()));
        Self { source, facts }
    }

    /// The facts to publish.
    pub fn facts(&self) -> &Arc<CalendarFacts> {
        &self.facts
    }

    /// The revision they equal.
    pub fn revision(&self) -> u64 {
        self.facts.revision
    }

    /// Facts were loaded. Older ones than those kept change nothing.
    pub fn handle_loaded(&mut self, source: FactSource) {
        if source.revision >= self.revision() {
            *self = Self::new(source);
        }
    }

    /// A sync found nothing new: the facts are true as of later.
    pub fn handle_renewed(&mut self, revision: u64, knowledge: Knowledge) {
        if revision != self.revision() {
            return;
        }
        self.source.knowledge = knowledge;
        self.facts = Arc::new(CalendarFacts { knowledge, ..(*self.facts).clone() });
    }

    /// A commit added claims, and thereby made this revision.
    pub fn handle_claims(&mut self, revision: u64, claims: &[Claim]) -> Applied {
        if revision <= self.revision() {
            return Applied::Known;
        }
        if revision != self.revision() + 1 {
            return Applied::NeedsLoad;
        }
        self.source.claims.extend(claims.iter().cloned());
        self.source.revision = revision;
        self.facts = Arc::new(CalendarFacts::assemble(self.source.clone()));
        Applied::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::fixtures::{account, at, booking_id, calendar, hours};
    use crate::facts::ExternalInstance;
    use crate::ids::{ClaimId, UserId};
    use crate::model::ClaimOwner;
    use crate::shard::Epoch;
    use uuid::Uuid;

    fn source(revision: u64) -> FactSource {
        FactSource {
            calendar_id: calendar(2),
            account_id: account(),
            epoch: Epoch(1),
            revision,
            knowledge: Knowledge::Synced { as_of: at(0), window: hours(-48, 1_000) },
            instances: vec![ExternalInstance { range: hours(5, 6), booking_id: Some(booking_id(1)), blocks: true }],
            claims: Vec::new(),
            echoes: Vec::new(),
        }
    }

    fn claim() -> Claim {
        Claim {
            id: ClaimId::from_uuid(Uuid::from_u128(1)),
            account_id: account(),
            user_id: UserId::from_uuid(Uuid::from_u128(1)),
            home_calendar_id: calendar(2),
            range: hours(5, 6),
            owner: ClaimOwner::Booking(booking_id(1)),
            event_type_id: None,
            buffer_before_minutes: 0,
            buffer_after_minutes: 0,
            expires_at: None,
            session_id: None,
        }
    }

    #[test]
    fn claims_are_added_only_where_they_make_the_next_revision() {
        let check = |revision: u64, expected: Applied, claims: usize, displaced: usize| {
            let mut keeper = FactsKeeper::new(source(7));
            assert_eq!(keeper.handle_claims(revision, &[claim()]), expected, "revision {revision}");
            let facts = keeper.facts();
            assert_eq!((facts.claims.len(), facts.displaced.len()), (claims, displaced), "revision {revision}");
        };
        check(6, Applied::Known, 0, 1);
        check(7, Applied::Known, 0, 1);
        check(8, Applied::Done, 1, 0);
        check(9, Applied::NeedsLoad, 0, 1);
    }

    #[test]
    fn older_loads_and_renewals_change_nothing() {
        let later = Knowledge::Synced { as_of: at(60), window: hours(-48, 1_000) };
        let mut keeper = FactsKeeper::new(source(7));
        keeper.handle_renewed(6, later);
        assert_eq!(keeper.facts().as_of(), Some(at(0)));
        keeper.handle_renewed(7, later);
        assert_eq!(keeper.facts().as_of(), Some(at(60)));
        keeper.handle_loaded(source(6));
        assert_eq!((keeper.revision(), keeper.facts().as_of()), (7, Some(at(60))));
        keeper.handle_loaded(source(9));
        assert_eq!(keeper.revision(), 9);
    }
}
