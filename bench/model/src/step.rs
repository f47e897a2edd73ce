//! What may happen next, and what it does. One action is one step of one party.

use crate::Plan;
use crate::scenario::{Request, RequestIndex, Scenario};
use crate::store::{Stale, allows, changed};
use crate::world::{
    Answer, Basis, Entry, Examined, Facts, NODES, Node, PERFORMERS, Performer, Stage, Tick, Work, World,
};

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The store's clock moves on.
    Tick,
    /// The owner's lease runs out, because it was not renewed in time.
    LeaseRunsOut,
    /// A node takes the shard and raises its epoch.
    TakeOver(u8),
    /// A node loses everything in memory; its transaction is rolled back.
    Crash(u8),
    /// The caller's request reaches a performer, who decides on what it knows.
    Ask(RequestIndex, Performer),
    /// The same at a node whose clock is one tick ahead of the store's.
    AskByFastClock(RequestIndex, u8),
    /// Reads commit id, clock and facts from the store, in one statement, and decides.
    Read(Performer),
    /// Begins the transaction: the epoch is locked and compared. The owner-less path has no such step.
    Begin(Performer),
    /// Locks the revision, compares, reads the clock.
    Examine(Performer),
    /// Writes and commits.
    Commit(Performer),
    /// The store ends a transaction that was left open for too long.
    TimeOut(Performer),
    /// The commit succeeded, but the connection broke before the performer heard of it.
    LoseOutcome(Performer),
    /// The owner's facts show the commit, and then the caller hears yes. Nothing that others do could tell the two apart.
    Publish(Performer),
    /// The caller hears yes; of the owner-less path, which has no facts of its own to publish.
    Answer(Performer),
    /// The owner-less path writes into the store that the commit must not happen any more, and the caller hears no.
    Close,
    /// A fenced node stops believing that it owns the shard.
    StandDown(Performer),
}

/// Lists what may happen next.
pub fn possible(plan: &Plan, world: &World, actions: &mut Vec<Action>) {
    let scenario = plan.scenario(world);
    if world.store.clock < scenario.clock_max && clock_is_visible(world) {
        actions.push(Action::Tick);
    }
    if world.store.epoch < scenario.epoch_max {
        ownership(plan, world, actions);
    }
    for node in NODES {
        crashes(scenario, world, node, actions);
    }
    for performer in PERFORMERS {
        match world.work(performer) {
            Some(work) => onward(plan, world, performer, work, actions),
            None => scenario.indexes().for_each(|request| asks(scenario, world, request, performer, actions)),
        }
    }
}

/// While no hold lives and no transaction has read it, it makes no difference when the clock moves.
fn clock_is_visible(world: &World) -> bool {
    let in_transaction = |work: &Work| matches!(work.stage, Stage::Begun(..) | Stage::Examined(_));
    world.store.claims.iter().any(|claim| claim.expires_at.is_some())
        || world.works.iter().flatten().any(in_transaction)
}

fn ownership(plan: &Plan, world: &World, actions: &mut Vec<Action>) {
    if world.store.has_lease {
        actions.push(Action::LeaseRunsOut);
    } else if plan.faults.plain_select_fence || !world.epoch_is_locked() {
        actions.extend(NODES.map(Action::TakeOver));
    }
}

fn crashes(scenario: &Scenario, world: &World, index: u8, actions: &mut Vec<Action>) {
    let node = &world.nodes[usize::from(index)];
    if world.crashes < scenario.crashes_max && *node != Node::default() {
        actions.push(Action::Crash(index));
    }
}

/// An owner is asked only under a higher epoch than the last one; nobody is asked after the owner-less path was begun.
fn asks(scenario: &Scenario, world: &World, request: RequestIndex, performer: Performer, actions: &mut Vec<Action>) {
    let caller = world.caller(request);
    let heard = |earlier| matches!(world.caller(earlier).answer, Some(Answer::Yes(_)));
    let may_ask = match scenario.request(request) {
        Request::Confirm(earlier) | Request::Cancel(earlier) => heard(earlier),
        Request::Book(_) | Request::Hold(_) => true,
    };
    if caller.answer.is_some() || caller.went_ownerless || !may_ask {
        return;
    }
    let Performer::Node(index) = performer else {
        actions.push(Action::Ask(request, performer));
        return;
    };
    let node = &world.nodes[usize::from(index)];
    if node.epoch.is_none_or(|epoch| epoch <= caller.asked_epoch) {
        return;
    }
    actions.push(Action::Ask(request, performer));
    let yes_at = |now| node.facts.as_ref().is_some_and(|facts| allows(scenario, &facts.claims, request, now));
    if yes_at(world.store.clock + 1) && !yes_at(world.store.clock) {
        actions.push(Action::AskByFastClock(request, index));
    }
}

/// The next steps of a commit in flight.
fn onward(plan: &Plan, world: &World, performer: Performer, work: &Work, actions: &mut Vec<Action>) {
    match &work.stage {
        Stage::Reading => actions.push(Action::Read(performer)),
        Stage::Decided(_) => actions.push(Action::Begin(performer)),
        Stage::Begun(..) if plan.faults.overlooks_expired_holds || !world.revision_is_locked() => {
            actions.push(Action::Examine(performer));
        }
        Stage::Begun(..) => {}
        Stage::Examined(_) => actions.extend([Action::TimeOut(performer), Action::Commit(performer)]),
        Stage::Committed(_) if plan.faults.acknowledges_before_publishing => actions.push(Action::Answer(performer)),
        Stage::Committed(_) => actions.extend([Action::Publish(performer), Action::LoseOutcome(performer)]),
        Stage::AnsweredFirst(_) => actions.push(Action::Publish(performer)),
        Stage::Unheard => actions.push(Action::Answer(performer)),
        Stage::Refusing if !world.revision_is_locked() => actions.push(Action::Close),
        Stage::Refusing => {}
        Stage::Fenced => actions.push(Action::StandDown(performer)),
    }
}

/// Performs a step that [`possible`] listed.
pub fn perform(plan: &Plan, world: &mut World, action: Action) {
    match action {
        Action::Tick => world.store.clock += 1,
        Action::LeaseRunsOut => world.store.has_lease = false,
        Action::TakeOver(node) => take_over(world, node),
        Action::Crash(node) => crash(world, node),
        Action::Ask(request, performer) => ask(plan, world, request, performer, world.store.clock),
        Action::AskByFastClock(request, node) => {
            ask(plan, world, request, Performer::Node(node), world.store.clock + 1);
        }
        Action::Close => close(plan, world),
        Action::Read(performer)
        | Action::Begin(performer)
        | Action::Examine(performer)
        | Action::Commit(performer)
        | Action::TimeOut(performer)
        | Action::LoseOutcome(performer)
        | Action::Publish(performer)
        | Action::Answer(performer)
        | Action::StandDown(performer) => advance(plan, world, performer, action),
    }
}

fn take_over(world: &mut World, node: u8) {
    world.store.epoch += 1;
    world.store.has_lease = true;
    world.nodes[usize::from(node)] = Node { epoch: Some(world.store.epoch), facts: None };
}

fn crash(world: &mut World, node: u8) {
    world.crashes += 1;
    world.nodes[usize::from(node)] = Node::default();
    world.works[Performer::Node(node).index()] = None;
}

fn ask(plan: &Plan, world: &mut World, request: RequestIndex, performer: Performer, now: Tick) {
    let node = world.node_mut(performer).cloned().unwrap_or_default();
    let caller = &mut world.callers[usize::from(request)];
    match node.epoch {
        Some(epoch) => caller.asked_epoch = epoch,
        None => caller.went_ownerless = true,
    }
    let mut work = Work { request, epoch: node.epoch, stage: Stage::Reading, was_stale: false };
    if let Some(facts) = &node.facts {
        let decided_at = if now > world.store.clock { now } else { 0 };
        if allows(plan.scenario(world), &facts.claims, request, now) {
            work.stage = Stage::Decided(Basis { revision: facts.revision, decided_at });
        } else if plan.faults.refuses_from_cache {
            return refuse(plan, world, &work);
        }
    }
    world.works[performer.index()] = Some(work);
}

/// Takes a commit one step further. Its work is taken out and put back with its new stage, unless it is done.
fn advance(plan: &Plan, world: &mut World, performer: Performer, action: Action) {
    let Some(mut work) = world.works[performer.index()].take() else { return };
    let next = match (action, work.stage.clone()) {
        (Action::Read(_), _) => read(plan, world, performer, &work),
        (Action::Begin(_), Stage::Decided(basis)) => Some(begin(plan, world, performer, &work, basis)),
        (Action::Examine(_), Stage::Begun(basis, began_at)) => {
            let examined = world.store.examine(plan.faults, &work, basis, began_at);
            if examined.is_ok() && plan.faults.acknowledges_before_commit {
                hear_yes(world, performer, &work);
            }
            Some(or_read_again(examined.map(Stage::Examined), &mut work))
        }
        (Action::Commit(_), Stage::Examined(examined)) => {
            let committed = commit(plan, world, performer, &work, examined);
            Some(or_read_again(committed, &mut work))
        }
        (Action::Publish(_), Stage::Committed(facts)) => {
            publish(world, performer, &work, facts);
            hear_yes(world, performer, &work);
            None
        }
        (Action::Publish(_), Stage::AnsweredFirst(facts)) => {
            publish(world, performer, &work, facts);
            None
        }
        (Action::Answer(_), stage) => {
            hear_yes(world, performer, &work);
            if let Stage::Committed(facts) = stage { Some(Stage::AnsweredFirst(facts)) } else { None }
        }
        (Action::StandDown(_), _) => stand_down(world, performer, &work),
        _ => Some(Stage::Reading),
    };
    world.works[performer.index()] = next.map(|stage| Work { stage, ..work });
}

fn or_read_again(result: Result<Stage, Stale>, work: &mut Work) -> Stage {
    result.unwrap_or_else(|Stale| {
        work.was_stale = true;
        Stage::Reading
    })
}

/// Decides on fresh facts. Whether the commit was performed or closed already comes first.
fn read(plan: &Plan, world: &mut World, performer: Performer, work: &Work) -> Option<Stage> {
    let facts = world.store.facts();
    if let Some(node) = world.node_mut(performer) {
        node.facts = Some(facts.clone());
    }
    match world.store.entry(work.request) {
        Entry::Performed if !plan.faults.ignores_commit_id => {
            hear_yes(world, performer, work);
            return None;
        }
        Entry::Closed => return None,
        Entry::Open | Entry::Performed => {}
    }
    if allows(plan.scenario(world), &facts.claims, work.request, world.store.clock) {
        return Some(Stage::Decided(Basis { revision: facts.revision, decided_at: 0 }));
    }
    if performer == Performer::Ownerless && !plan.faults.leaves_refusals_open {
        return Some(Stage::Refusing);
    }
    refuse(plan, world, work);
    None
}

fn hear_yes(world: &mut World, performer: Performer, work: &Work) {
    world.callers[usize::from(work.request)].answer.get_or_insert(Answer::Yes(performer));
}

/// Tells the caller no, if it still listens to this performer.
fn refuse(plan: &Plan, world: &mut World, work: &Work) {
    let scenario = plan.scenario(world);
    let target = scenario.claim_of(work.request);
    let now = world.store.clock;
    let is_live_hold = matches!(scenario.request(work.request), Request::Confirm(_))
        && world.store.claims.iter().any(|claim| claim.by == target && !claim.is_booking() && claim.is_live(now));
    let caller = &mut world.callers[usize::from(work.request)];
    let listens = match work.epoch {
        Some(epoch) => caller.asked_epoch == epoch && !caller.went_ownerless,
        None => true,
    };
    if listens && caller.answer.is_none() {
        caller.answer = Some(Answer::No);
        world.store.marks.refused_live_hold |= is_live_hold;
    }
}

/// The owner-less path's no: a transaction that uses up the commit id, so that no other path performs it later.
fn close(plan: &Plan, world: &mut World) {
    let Some(work) = world.works[Performer::Ownerless.index()].take() else { return };
    if world.store.entry(work.request) == Entry::Performed {
        world.works[Performer::Ownerless.index()] = Some(Work { stage: Stage::Reading, ..work });
        return;
    }
    world.store.ledger[usize::from(work.request)] = Entry::Closed;
    refuse(plan, world, &work);
}

fn begin(plan: &Plan, world: &mut World, performer: Performer, work: &Work, basis: Basis) -> Stage {
    let present = world.node_mut(performer).and_then(|node| node.epoch);
    let compared = if plan.faults.fences_by_present_epoch { present } else { work.epoch };
    if compared.is_some_and(|epoch| epoch != world.store.epoch) {
        return Stage::Fenced;
    }
    let began_at = if plan.faults.clock_of_begin { world.store.clock } else { 0 };
    Stage::Begun(basis, began_at)
}

fn commit(
    plan: &Plan,
    world: &mut World,
    performer: Performer,
    work: &Work,
    examined: Examined,
) -> Result<Stage, Stale> {
    let scenario = plan.scenario(world);
    world.store.write(plan, scenario, work, examined)?;
    let revision = world.store.revision;
    let Some(node) = world.node_mut(performer) else { return Ok(Stage::Unheard) };
    let facts = node.facts.as_ref().and_then(|facts| {
        let claims = changed(plan, scenario, &facts.claims, work.request, examined.now)?;
        Some(Facts { revision, claims })
    });
    Ok(Stage::Committed(facts))
}

/// A node that has taken the shard again since then reads its facts afresh; what it publishes is of its old time.
fn publish(world: &mut World, performer: Performer, work: &Work, facts: Option<Facts>) {
    if let Some(node) = world.node_mut(performer)
        && node.epoch == work.epoch
    {
        node.facts = facts;
    }
}

fn stand_down(world: &mut World, performer: Performer, work: &Work) -> Option<Stage> {
    if let Some(node) = world.node_mut(performer)
        && node.epoch == work.epoch
    {
        *node = Node::default();
    }
    None
}
