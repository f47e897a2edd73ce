//! What must always hold, and what must be able to happen so that the former says something.

use stateright::Property;

use crate::Plan;
use crate::scenario::{Request, RequestIndex};
use crate::world::{Answer, Claim, Entry, NODES, Performer, Stage, Work, World};

/// No two live claims overlap.
pub const NO_OVERLAP: &str = "no two live claims overlap";
/// The rules that only the decision knows are kept too.
pub const RULES_KEPT: &str = "no two live claims are closer than the rules allow";
/// Nothing is written on a decision of a superseded owner.
pub const NO_STALE_EPOCH_WRITE: &str = "no row is written under a superseded epoch";
/// What a caller was told is durable.
pub const ACKNOWLEDGED_IS_DURABLE: &str = "an acknowledged booking is in the store until it is cancelled";
/// A confirmation finds its hold live, by the store's clock under its locks.
pub const CONFIRMED_WAS_LIVE: &str = "a confirmed hold was live when it was confirmed";
/// A confirmation that was performed changed a row.
pub const GONE_IS_NEVER_CONFIRMED: &str = "a hold that is gone is never confirmed";
/// Read your writes, at the owner.
pub const OWNER_READS_ITS_WRITES: &str = "an owner never offers what its own commit took";
/// One revision, one content.
pub const FACTS_MATCH_REVISION: &str = "facts at the store's revision are the store's";
/// A request happens once, however many paths try it.
pub const PERFORMED_ONCE: &str = "a request is performed at most once";
/// No is final.
pub const REFUSED_IS_NEVER_PERFORMED: &str = "a request that was refused is never performed";
/// A live hold is honoured.
pub const LIVE_HOLD_IS_HONOURED: &str = "a live hold is never refused its confirmation";

type Condition = fn(&Plan, &World) -> bool;

const ALWAYS: [(&str, Condition); 11] = [
    (NO_OVERLAP, |_, world| every_two_live(world, |one, other| !one.slot.overlaps(other.slot))),
    (RULES_KEPT, |_, world| every_two_live(world, |one, other| !one.slot.is_too_close_to(other.slot))),
    (NO_STALE_EPOCH_WRITE, |_, world| !world.store.marks.stale_epoch_write),
    (ACKNOWLEDGED_IS_DURABLE, acknowledged_is_durable),
    (CONFIRMED_WAS_LIVE, |_, world| !world.store.marks.confirmed_late),
    (GONE_IS_NEVER_CONFIRMED, gone_is_never_confirmed),
    (OWNER_READS_ITS_WRITES, owner_reads_its_writes),
    (FACTS_MATCH_REVISION, facts_match_revision),
    (PERFORMED_ONCE, |_, world| !world.store.marks.performed_twice),
    (REFUSED_IS_NEVER_PERFORMED, refused_is_never_performed),
    (LIVE_HOLD_IS_HONOURED, |_, world| !world.store.marks.refused_live_hold),
];

const SOMETIMES: [(&str, Condition); 10] = [
    ("a takeover comes between a decision and its transaction", |_, world| {
        any_work(world, |work| is_superseded(world, work) && matches!(work.stage, Stage::Decided(_)))
    }),
    ("a commit is fenced", |_, world| any_work(world, |work| work.stage == Stage::Fenced)),
    ("a takeover waits for a commit", |_, world| !world.store.has_lease && world.epoch_is_locked()),
    ("an owner-less commit succeeds", |_, world| {
        world.work(Performer::Ownerless).is_some_and(|work| work.stage == Stage::Unheard)
    }),
    ("both paths are in a transaction for one request", both_paths_at_once),
    ("a late commit finds itself refused", late_commit_finds_itself_refused),
    ("a hold expires and its time goes to another", expired_and_sold),
    ("a hold is confirmed", |plan, world| {
        let is_hold = |claim: &Claim| matches!(plan.scenario(world).request(claim.by), Request::Hold(_));
        world.store.claims.iter().any(|claim| claim.is_booking() && is_hold(claim))
    }),
    ("a stale commit is decided again and succeeds", |_, world| {
        any_work(world, |work| work.was_stale && matches!(work.stage, Stage::Committed(_)))
    }),
    ("an owner is behind the store", |_, world| {
        world.nodes.iter().any(|node| {
            node.epoch == Some(world.store.epoch)
                && node.facts.as_ref().is_some_and(|facts| facts.revision < world.store.revision)
        }) && world.works.iter().all(Option::is_none)
    }),
];

/// Every property of the plan.
#[must_use]
pub fn all() -> Vec<Property<Plan>> {
    let always = ALWAYS.map(|(name, condition)| Property::always(name, condition));
    let sometimes = SOMETIMES.map(|(name, condition)| Property::sometimes(name, condition));
    always.into_iter().chain(sometimes).collect()
}

/// Names of what must always hold.
pub fn always() -> impl Iterator<Item = &'static str> {
    ALWAYS.iter().map(|(name, _)| *name)
}

/// Names of what must be able to happen.
pub fn sometimes() -> impl Iterator<Item = &'static str> {
    SOMETIMES.iter().map(|(name, _)| *name)
}

fn every_two_live(world: &World, holds: fn(&Claim, &Claim) -> bool) -> bool {
    let live: Vec<&Claim> = world.store.claims.iter().filter(|claim| claim.is_live(world.store.clock)).collect();
    let mut pairs =
        live.iter().enumerate().flat_map(|(index, one)| live[..index].iter().map(move |other| (one, other)));
    pairs.all(|(one, other)| holds(one, other))
}

fn acknowledged_is_durable(plan: &Plan, world: &World) -> bool {
    let scenario = plan.scenario(world);
    let is_booking = |request| matches!(scenario.request(request), Request::Book(_) | Request::Confirm(_));
    let mut acknowledged = scenario.indexes().filter(|request| is_booking(*request) && heard_yes(world, *request));
    acknowledged.all(|request| is_booked(plan, world, request))
}

fn gone_is_never_confirmed(plan: &Plan, world: &World) -> bool {
    let scenario = plan.scenario(world);
    let is_confirmed = |request: &RequestIndex| {
        matches!(scenario.request(*request), Request::Confirm(_)) && world.store.entry(*request) == Entry::Performed
    };
    scenario.indexes().filter(is_confirmed).all(|request| is_booked(plan, world, request))
}

/// Whether the booking a request made is there, or was cancelled.
fn is_booked(plan: &Plan, world: &World, request: RequestIndex) -> bool {
    let scenario = plan.scenario(world);
    let target = scenario.claim_of(request);
    let is_cancelled = scenario.indexes().any(|other| {
        matches!(scenario.request(other), Request::Cancel(_))
            && scenario.claim_of(other) == target
            && world.store.entry(other) == Entry::Performed
    });
    is_cancelled || world.store.claims.iter().any(|claim| claim.by == target && claim.is_booking())
}

/// What the owner-less path made of a claim since then is not the owner's own, and may stay unknown to it for a while: a
/// hold that is confirmed past its owner looks expired there.
fn owner_reads_its_writes(plan: &Plan, world: &World) -> bool {
    let scenario = plan.scenario(world);
    let now = world.store.clock;
    let made = |request: RequestIndex, claim: &Claim| {
        let makes_booking = !matches!(scenario.request(request), Request::Hold(_));
        scenario.claim_of(request) == claim.by && makes_booking == claim.is_booking()
    };
    let hides = |request: RequestIndex, claim: &Claim| {
        let Some(Answer::Yes(Performer::Node(node))) = world.caller(request).answer else { return false };
        let facts = &world.nodes[usize::from(node)].facts;
        facts.as_ref().is_some_and(|facts| crate::store::is_free(&facts.claims, claim.slot, now))
    };
    let mut live = world.store.claims.iter().filter(|claim| claim.is_live(now));
    live.all(|claim| !scenario.indexes().any(|request| made(request, claim) && hides(request, claim)))
}

fn facts_match_revision(_: &Plan, world: &World) -> bool {
    let mut known = world.nodes.iter().filter_map(|node| node.facts.as_ref());
    known.all(|facts| facts.revision != world.store.revision || facts.claims == world.store.claims)
}

fn refused_is_never_performed(plan: &Plan, world: &World) -> bool {
    let is_refused = |request: &RequestIndex| world.caller(*request).answer == Some(Answer::No);
    plan.scenario(world).indexes().filter(is_refused).all(|request| world.store.entry(request) != Entry::Performed)
}

fn both_paths_at_once(_: &Plan, world: &World) -> bool {
    let in_transaction = |work: &&Work| matches!(work.stage, Stage::Begun(..) | Stage::Examined(_));
    let ownerless = world.work(Performer::Ownerless).filter(in_transaction);
    let owners = NODES.iter().filter_map(|node| world.work(Performer::Node(*node))).filter(in_transaction);
    ownerless.is_some_and(|ownerless| owners.into_iter().any(|owner| owner.request == ownerless.request))
}

fn late_commit_finds_itself_refused(_: &Plan, world: &World) -> bool {
    any_work(world, |work| world.store.entry(work.request) == Entry::Closed && matches!(work.stage, Stage::Begun(..)))
}

fn expired_and_sold(plan: &Plan, world: &World) -> bool {
    let scenario = plan.scenario(world);
    let is_gone = |request: RequestIndex| {
        world.store.entry(request) == Entry::Performed && world.store.claims.iter().all(|claim| claim.by != request)
    };
    scenario.indexes().any(|request| match scenario.request(request) {
        Request::Hold(slot) if is_gone(request) => {
            world.store.claims.iter().any(|claim| claim.is_booking() && claim.slot.overlaps(slot))
        }
        _ => false,
    })
}

fn is_superseded(world: &World, work: &Work) -> bool {
    work.epoch.is_some_and(|epoch| epoch < world.store.epoch)
}

fn any_work(world: &World, is: impl Fn(&Work) -> bool) -> bool {
    world.works.iter().flatten().any(is)
}

fn heard_yes(world: &World, request: RequestIndex) -> bool {
    matches!(world.caller(request).answer, Some(Answer::Yes(_)))
}
