//! The facts an actor publishes, kept in step with the store.
//!
//! Invariant: what is published equals the store's rows at the revision it names. A change that cannot be applied to
//! reach the next revision exactly is not applied: the facts are loaded again. Expired holds are the one exception: they
//! count for nothing, so it does not matter when they leave.

use std::sync::Arc;
use std::time::Duration;

use crate::commit::ClaimChange;
use crate::facts::{CalendarFacts, FactSource, Knowledge};
use crate::ids::UserId;
use crate::model::{Claim, ClaimOwner};
use crate::time::{TimeRange, Timestamp};

/// How long an expired hold's claims are kept in memory, so that a node's idea of the store's clock may be that wrong.
const EXPIRED_KEPT_FOR: Duration = Duration::from_secs(60);

/// What became of changes to claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Made; the facts stand at the new revision.
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

    /// A commit changed claims, and thereby made this revision. `now` is the store's clock, as far as it is known.
    pub fn handle_changes(&mut self, revision: u64, changes: &[ClaimChange], now: Timestamp) -> Applied {
        if revision <= self.revision() {
            return Applied::Known;
        }
        if revision != self.revision() + 1 {
            return Applied::NeedsLoad;
        }
        let mut claims = self.source.claims.clone();
        let found: usize = changes.iter().map(|change| apply(&mut claims, change)).sum();
        if found == 0 {
            // What the commit changed here is not among what was kept.
            return Applied::NeedsLoad;
        }
        let long_over = now - EXPIRED_KEPT_FOR;
        claims.retain(|claim| claim.is_live(long_over));
        self.source.claims = claims;
        self.source.revision = revision;
        self.facts = Arc::new(CalendarFacts::assemble(self.source.clone()));
        Applied::Done
    }
}

/// What facts will be once new claims were taken at the next revision; `None` where that is not all that changes, since
/// events that show other claims may be among the rows. Of claims just taken no calendar has an event yet.
pub fn foreseen(facts: &CalendarFacts, changes: &[ClaimChange]) -> Option<CalendarFacts> {
    let mut claims = facts.claims.clone();
    for change in changes {
        if !matches!(change, ClaimChange::Insert(_)) {
            return None;
        }
        apply(&mut claims, change);
    }
    claims.sort_by_key(CalendarFacts::order_of);
    Some(CalendarFacts { revision: facts.revision + 1, claims, ..facts.clone() })
}

/// What overlapped a claim the store took was an expired hold, which went for it.
fn make_room(claims: &mut Vec<Claim>, user_id: UserId, range: TimeRange) {
    claims.retain(|claim| claim.user_id != user_id || !claim.range.overlaps(&range));
}

/// Does to claims what the store did to its rows; how many it concerned.
fn apply(claims: &mut Vec<Claim>, change: &ClaimChange) -> usize {
    let of = |owner: ClaimOwner| move |claim: &&mut Claim| claim.owner == owner;
    match change {
        ClaimChange::Insert(claim) => {
            make_room(claims, claim.user_id, claim.range);
            claims.push(claim.clone());
            1
        }
        ClaimChange::Delete { owner, .. } => {
            let before = claims.len();
            claims.retain(|claim| claim.owner != *owner);
            before - claims.len()
        }
        ClaimChange::Move { owner, range, .. } => {
            let mut moved: Vec<Claim> = claims.extract_if(.., |claim| claim.owner == *owner).collect();
            for claim in &mut moved {
                claim.range = *range;
                make_room(claims, claim.user_id, *range);
            }
            let count = moved.len();
            claims.append(&mut moved);
            count
        }
        ClaimChange::Extend { hold_id, expires_at, .. } => {
            let held = claims.iter_mut().filter(of(ClaimOwner::Hold(*hold_id)));
            held.map(|claim| claim.expires_at = Some(*expires_at)).count()
        }
        ClaimChange::Confirm { hold_id, booking_id, .. } => {
            let held = claims.iter_mut().filter(of(ClaimOwner::Hold(*hold_id)));
            held.map(|claim| {
                claim.owner = ClaimOwner::Booking(*booking_id);
                claim.expires_at = None;
                claim.session_id = None;
            })
            .count()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::fixtures::{account, at, booking_id, calendar, hours};
    use crate::facts::ExternalInstance;
    use crate::ids::{ClaimId, HoldId};
    use crate::shard::Epoch;
    use uuid::Uuid;

    fn source(revision: u64) -> FactSource {
        FactSource {
            calendar_id: calendar(2),
            account_id: account(),
            epoch: Epoch(1),
            revision,
            knowledge: Knowledge::Synced { as_of: at(0), window: hours(-48, 1_000), watched_until: None },
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
    fn changes_are_made_only_where_they_make_the_next_revision() {
        let check = |revision: u64, expected: Applied, claims: usize, displaced: usize| {
            let mut keeper = FactsKeeper::new(source(7));
            let change = [ClaimChange::Insert(claim())];
            assert_eq!(keeper.handle_changes(revision, &change, at(0)), expected, "revision {revision}");
            let facts = keeper.facts();
            assert_eq!((facts.claims.len(), facts.displaced.len()), (claims, displaced), "revision {revision}");
        };
        check(6, Applied::Known, 0, 1);
        check(7, Applied::Known, 0, 1);
        check(8, Applied::Done, 1, 0);
        check(9, Applied::NeedsLoad, 0, 1);
    }

    fn hold_id(number: u128) -> HoldId {
        HoldId::from_uuid(Uuid::from_u128(number))
    }

    fn held(number: u128, range: TimeRange, expires_at: Timestamp) -> Claim {
        Claim {
            id: ClaimId::from_uuid(Uuid::from_u128(100 + number)),
            owner: ClaimOwner::Hold(hold_id(number)),
            range,
            expires_at: Some(expires_at),
            session_id: Some("call".into()),
            ..claim()
        }
    }

    /// Each change does to what is published what the store does to its rows; where it finds nothing, nothing is guessed.
    #[test]
    fn what_is_published_follows_the_store() {
        let (one, two) = (held(1, hours(1, 2), at(120)), held(2, hours(3, 4), at(120)));
        let check = |changes: &[ClaimChange], expected: Option<&[Claim]>| {
            let mut keeper =
                FactsKeeper::new(FactSource { claims: vec![two.clone(), one.clone(), claim()], ..source(7) });
            let applied = keeper.handle_changes(8, changes, at(0));
            match expected {
                Some(claims) => {
                    assert_eq!((applied, keeper.revision()), (Applied::Done, 8), "{changes:?}");
                    assert_eq!(keeper.facts().claims, claims, "{changes:?}");
                    let whole = FactSource { claims: claims.to_vec(), ..source(8) };
                    assert_eq!(**keeper.facts(), CalendarFacts::assemble(whole), "as if loaded");
                }
                None => assert_eq!((applied, keeper.revision()), (Applied::NeedsLoad, 7), "{changes:?}"),
            }
        };
        let confirm = |number, booking| ClaimChange::Confirm {
            hold_id: hold_id(number),
            booking_id: booking_id(booking),
            claim_count: 1,
        };
        let owner = ClaimOwner::Booking(booking_id(9));
        let booked = Claim { owner, expires_at: None, session_id: None, ..one.clone() };
        check(&[confirm(1, 9)], Some(&[booked, two.clone(), claim()]));
        check(&[confirm(3, 9)], None);
        let extend = |number| ClaimChange::Extend { hold_id: hold_id(number), expires_at: at(600), claim_count: 1 };
        let longer = Claim { expires_at: Some(at(600)), ..two.clone() };
        check(&[extend(2)], Some(&[one.clone(), longer, claim()]));
        check(&[extend(3)], None);
        let delete = |owner| ClaimChange::Delete { owner, claim_count: 1 };
        let (first, second) = (ClaimOwner::Hold(hold_id(1)), ClaimOwner::Hold(hold_id(2)));
        check(&[delete(first), delete(second)], Some(&[claim()]));
        check(&[delete(first), delete(ClaimOwner::Hold(hold_id(3)))], Some(&[two.clone(), claim()]));
        check(&[delete(ClaimOwner::Hold(hold_id(3)))], None);
        let own = ClaimOwner::Booking(booking_id(1));
        let to = |owner| ClaimChange::Move { owner, range: hours(7, 8), claim_count: 1 };
        check(&[to(own)], Some(&[one.clone(), two.clone(), Claim { range: hours(7, 8), ..claim() }]));
        check(&[to(owner)], None);
        check(&[], None);
    }

    /// What is foreseen of a booking is what is published once it is made.
    #[test]
    fn what_is_foreseen_comes_about() {
        let (live, over) = (held(1, hours(1, 2), at(120)), held(2, hours(6, 8), at(0)));
        let check = |inserted: &[TimeRange]| {
            let new = |(range, number): (&TimeRange, u128)| {
                let owner = ClaimOwner::Booking(booking_id(50 + number));
                let id = ClaimId::from_uuid(Uuid::from_u128(50 + number));
                ClaimChange::Insert(Claim { id, owner, range: *range, ..claim() })
            };
            let changes: Vec<ClaimChange> = inserted.iter().zip(0..).map(new).collect();
            let mut keeper = FactsKeeper::new(FactSource { claims: vec![over.clone(), live.clone()], ..source(7) });
            let foreseen = foreseen(keeper.facts(), &changes).expect("only claims are taken");
            assert_eq!(keeper.handle_changes(8, &changes, at(0)), Applied::Done);
            assert_eq!(**keeper.facts(), foreseen, "{inserted:?}");
        };
        check(&[hours(3, 4)]);
        check(&[hours(7, 9)]);
        check(&[hours(9, 10), hours(0, 1)]);
        let delete = ClaimChange::Delete { owner: live.owner, claim_count: 1 };
        assert_eq!(foreseen(&CalendarFacts::assemble(source(7)), &[delete]), None);
    }

    /// What a new claim overlaps was an expired hold of the same person, and went for it.
    #[test]
    fn a_claim_takes_the_place_of_what_expired() {
        let neighbour = UserId::from_uuid(Uuid::from_u128(2));
        let kept = [
            Claim { user_id: neighbour, ..held(3, hours(5, 6), at(0)) },
            held(4, hours(6, 7), at(0)),
            held(5, hours(4, 5), at(0)),
        ];
        let claims = [vec![held(1, hours(4, 6), at(0)), held(2, hours(5, 6), at(0))], kept.to_vec()].concat();
        let others = FactSource { claims, ..source(7) };
        let check = |source: &FactSource, change: ClaimChange| {
            let mut keeper = FactsKeeper::new(source.clone());
            assert_eq!(keeper.handle_changes(8, &[change], at(0)), Applied::Done);
            let owners: Vec<_> = keeper.facts().claims.iter().map(|claim| claim.owner).collect();
            let hold = |number| ClaimOwner::Hold(hold_id(number));
            assert_eq!(owners, [hold(5), ClaimOwner::Booking(booking_id(1)), hold(3), hold(4)]);
        };
        check(&others, ClaimChange::Insert(claim()));
        let mut moved = others.clone();
        moved.claims.push(Claim { range: hours(9, 10), ..claim() });
        let owner = ClaimOwner::Booking(booking_id(1));
        check(&moved, ClaimChange::Move { owner, range: hours(5, 6), claim_count: 1 });
    }

    /// Holds nobody confirms do not pile up, and none is dropped while a node's clock might be ahead of the store's.
    #[test]
    fn expired_holds_leave_after_a_while() {
        let check = |now: Timestamp, expected: usize| {
            let claims = (1..=5).map(|number| held(number, hours(10 + number as i64, 11 + number as i64), at(120)));
            let mut keeper = FactsKeeper::new(FactSource { claims: claims.collect(), ..source(7) });
            assert_eq!(keeper.handle_changes(8, &[ClaimChange::Insert(claim())], now), Applied::Done);
            assert_eq!(keeper.facts().claims.len(), expected, "{now:?}");
        };
        check(at(119), 6);
        check(at(179), 6);
        check(at(180), 1);
    }

    #[test]
    fn older_loads_and_renewals_change_nothing() {
        let later = Knowledge::Synced { as_of: at(60), window: hours(-48, 1_000), watched_until: None };
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
