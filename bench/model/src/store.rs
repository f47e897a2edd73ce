//! What the store does in its transactions, and the one decision that facts are judged by.

use crate::Plan;
use crate::faults::Faults;
use crate::scenario::{Request, RequestIndex, Scenario, Slot};
use crate::world::{Basis, Claim, Entry, Examined, Facts, Stage, Store, Tick, Work, World};

/// How long a hold lasts, in ticks.
const HOLD_TICKS: Tick = 1;

/// A transaction came to nothing: the commit was performed or closed before, what the decision rested on is no more, or
/// the constraint or a row count refused. Whichever it was is found by reading and deciding again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale;

/// Whether facts allow a request at an instant. The same function for an offer, a decision and an explanation.
#[must_use]
pub fn allows(scenario: &Scenario, claims: &[Claim], request: RequestIndex, now: Tick) -> bool {
    let target = scenario.claim_of(request);
    match scenario.request(request) {
        Request::Book(slot) | Request::Hold(slot) => is_free(claims, slot, now),
        Request::Confirm(_) => {
            claims.iter().any(|claim| claim.by == target && !claim.is_booking() && claim.is_live(now))
        }
        Request::Cancel(_) => claims.iter().any(|claim| claim.by == target && claim.is_booking()),
    }
}

/// Whether the rules allow a new claim of a time.
#[must_use]
pub fn is_free(claims: &[Claim], slot: Slot, now: Tick) -> bool {
    !claims.iter().any(|claim| claim.is_live(now) && claim.slot.is_too_close_to(slot))
}

/// What a claim change makes of a list of claims: of the store's in the transaction, of the owner's facts after it.
///
/// `None` where a row that must be there is not, or where the constraint refuses.
#[must_use]
pub fn changed(
    plan: &Plan,
    scenario: &Scenario,
    claims: &[Claim],
    request: RequestIndex,
    now: Tick,
) -> Option<Vec<Claim>> {
    let target = scenario.claim_of(request);
    match scenario.request(request) {
        Request::Book(slot) => with_claim(plan.faults, claims, Claim { by: request, slot, expires_at: None }, now),
        Request::Hold(slot) => {
            let expires_at = Some(now + HOLD_TICKS);
            with_claim(plan.faults, claims, Claim { by: request, slot, expires_at }, now)
        }
        Request::Confirm(_) => confirmed(plan.faults, claims, target, now),
        Request::Cancel(_) => without_booking(claims, target),
    }
}

/// Deletes expired holds that overlap, then inserts, past the constraint.
fn with_claim(faults: Faults, claims: &[Claim], new: Claim, now: Tick) -> Option<Vec<Claim>> {
    let mut after: Vec<Claim> = claims.to_vec();
    if !faults.overlooks_expired_holds {
        after.retain(|claim| claim.is_live(now) || !claim.slot.overlaps(new.slot));
    }
    let counts = |claim: &Claim| !faults.overlooks_expired_holds || claim.is_live(now);
    let meets = after.iter().any(|claim| counts(claim) && claim.slot.overlaps(new.slot));
    if meets && !faults.drops_constraint {
        return None;
    }
    after.push(new);
    after.sort_by_key(|claim| claim.by);
    Some(after)
}

/// An update of the hold's own row, if it is live, whose row count must be one.
fn confirmed(faults: Faults, claims: &[Claim], hold: RequestIndex, now: Tick) -> Option<Vec<Claim>> {
    let mut after = claims.to_vec();
    let is_right =
        |claim: &&mut Claim| claim.by == hold && !claim.is_booking() && (faults.skips_expiry || claim.is_live(now));
    match after.iter_mut().find(is_right) {
        Some(claim) => claim.expires_at = None,
        None if faults.skips_row_count => {}
        None => return None,
    }
    Some(after)
}

fn without_booking(claims: &[Claim], booking: RequestIndex) -> Option<Vec<Claim>> {
    let after: Vec<Claim> = claims.iter().filter(|claim| claim.by != booking || !claim.is_booking()).copied().collect();
    (after.len() + 1 == claims.len()).then_some(after)
}

impl Store {
    /// The person's claims as they are now, in one statement.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts { revision: self.revision, claims: self.claims.clone() }
    }

    /// What is known of a commit id.
    #[must_use]
    pub fn entry(&self, request: RequestIndex) -> Entry {
        self.ledger[usize::from(request)]
    }

    /// Compares, with the locks held, and reads the clock.
    pub fn examine(&self, faults: Faults, work: &Work, basis: Basis, began_at: Tick) -> Result<Examined, Stale> {
        let is_new = self.entry(work.request) == Entry::Open || faults.ignores_commit_id;
        let stands = basis.revision == self.revision || faults.skips_revision_check || faults.overlooks_expired_holds;
        let is_past = basis.decided_at <= self.clock || faults.trusts_fast_clocks;
        if !is_new || !stands || !is_past {
            return Err(Stale);
        }
        let now = if faults.clock_of_begin { began_at } else { self.clock };
        Ok(Examined { basis, now, locked_at: self.clock })
    }

    /// Writes and commits.
    pub fn write(&mut self, plan: &Plan, scenario: &Scenario, work: &Work, examined: Examined) -> Result<(), Stale> {
        let after = changed(plan, scenario, &self.claims, work.request, examined.now).ok_or(Stale)?;
        self.mark(scenario, work, examined);
        self.claims = after;
        self.ledger[usize::from(work.request)] = Entry::Performed;
        if work.epoch.is_some() || !plan.faults.ownerless_raises_nothing {
            self.revision += 1;
        }
        Ok(())
    }

    fn mark(&mut self, scenario: &Scenario, work: &Work, examined: Examined) {
        let is_superseded = work.epoch.is_some_and(|epoch| epoch != self.epoch);
        let target = scenario.claim_of(work.request);
        let is_late = matches!(scenario.request(work.request), Request::Confirm(_))
            && self.claims.iter().any(|claim| claim.by == target && !claim.is_live(examined.locked_at));
        self.marks.stale_epoch_write |= is_superseded;
        self.marks.confirmed_late |= is_late;
        self.marks.performed_twice |= self.entry(work.request) == Entry::Performed;
    }
}

impl World {
    /// Whether some transaction other than a performer's holds the lock on the person's revision.
    #[must_use]
    pub fn revision_is_locked(&self) -> bool {
        self.works.iter().flatten().any(|work| matches!(work.stage, Stage::Examined(_)))
    }

    /// Whether some transaction holds the shard's row in share mode, so that a takeover must wait.
    #[must_use]
    pub fn epoch_is_locked(&self) -> bool {
        let holds = |work: &Work| work.epoch.is_some() && matches!(work.stage, Stage::Begun(..) | Stage::Examined(_));
        self.works.iter().flatten().any(holds)
    }
}
