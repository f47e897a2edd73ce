//! Leases and shards, in a store that several nodes share.

use std::time::Duration;

use agentcal_engine::commit::{CommitPlan, Outcome};
use agentcal_engine::ports::{Membership, NodeRecord, ShardMap, TOUCHED_FOR};
use agentcal_engine::shard::{Epoch, NodeId, SHARD_COUNT, Shard};
use futures::future::join_all;
use uuid::Uuid;

use crate::World;

const TTL: Duration = Duration::from_secs(10);
const INSTANT: Duration = Duration::from_micros(1);

fn node(world: &World, number: u128) -> NodeRecord {
    NodeRecord {
        id: NodeId(Uuid::from_u128(number)),
        address: format!("http://10.0.0.{number}:7001"),
        started_at: world.now(),
        is_draining: false,
    }
}

async fn renew(world: &World, node: &NodeRecord) -> Membership {
    world.store.renew_lease(node, TTL, 0).await.expect("renewed")
}

async fn map(world: &World, node: &NodeRecord) -> ShardMap {
    renew(world, node).await.map.expect("version 0 is nobody's")
}

async fn take(world: &World, node: &NodeRecord, shards: &[Shard]) -> Vec<(Shard, Epoch)> {
    world.store.take_shards(node.id, shards).await.expect("asked")
}

fn shards(numbers: &[u16]) -> Vec<Shard> {
    numbers.iter().map(|&number| Shard::from_number(number).expect("a shard")).collect()
}

fn of<T: Copy>(pairs: &[(Shard, T)]) -> Vec<Shard> {
    pairs.iter().map(|&(shard, _)| shard).collect()
}

/// A lease lasts from its last renewal, by the store's clock, to the microsecond.
pub async fn a_lease_lasts_from_its_renewal(world: World) {
    let [one, two] = [node(&world, 1), node(&world, 2)];
    assert_eq!(renew(&world, &one).await.nodes, std::slice::from_ref(&one));
    world.clock.advance(TTL - INSTANT);
    assert_eq!(renew(&world, &two).await.nodes, [one.clone(), two.clone()]);
    world.clock.advance(INSTANT);
    assert_eq!(renew(&world, &two).await.nodes, std::slice::from_ref(&two));
    let draining = NodeRecord { is_draining: true, ..two.clone() };
    assert_eq!(renew(&world, &draining).await.nodes, [draining], "as it last presented itself");
    world.store.end_lease(two.id).await.expect("ended");
    assert_eq!(renew(&world, &one).await.nodes, [one]);
    assert_eq!(renew(&world, &node(&world, 1)).await.store_now, world.now());
}

/// The map comes whole, and only to those who do not have it.
pub async fn the_map_comes_when_it_changed(world: World) {
    let one = node(&world, 1);
    let first = map(&world, &one).await;
    assert_eq!(first.shards.len(), usize::from(SHARD_COUNT));
    assert!(first.shards.iter().all(|ownership| ownership.owner.is_none()));
    let again = world.store.renew_lease(&one, TTL, first.version).await.expect("renewed");
    assert_eq!(again.map, None);
    let taken = take(&world, &one, &shards(&[7])).await;
    let second = world.store.renew_lease(&one, TTL, first.version).await.expect("renewed").map.expect("changed");
    assert!(second.version > first.version);
    assert_eq!((second.shards[7].owner, second.shards[7].epoch), (Some(one.id), taken[0].1));
    assert_eq!(second.shards[8], first.shards[8]);
}

/// What a living node owns cannot be taken; what a dead one left goes under a higher epoch, once.
pub async fn only_what_nobody_alive_owns_is_taken(world: World) {
    let [one, two] = [node(&world, 1), node(&world, 2)];
    renew(&world, &one).await;
    renew(&world, &two).await;
    let before = take(&world, &one, &shards(&[5, 3])).await;
    let mut got = of(&before);
    got.sort();
    assert_eq!(got, shards(&[3, 5]));
    assert_eq!(take(&world, &one, &shards(&[3])).await, [], "its own already");
    assert_eq!(of(&take(&world, &two, &shards(&[3, 4, 5])).await), shards(&[4]));
    world.clock.advance(TTL);
    assert_eq!(take(&world, &two, &shards(&[3])).await, [], "its own lease has run out, too");
    renew(&world, &two).await;
    let after = take(&world, &two, &shards(&[3])).await;
    let epoch_before = before.iter().find(|(shard, _)| shard.number() == 3).expect("it had it").1;
    assert!(after[0].1 > epoch_before);
    let present = map(&world, &two).await;
    assert_eq!((present.shards[3].owner, present.shards[5].owner), (Some(two.id), Some(one.id)));
}

/// Shards are handed over by their owner alone, to the living alone.
pub async fn shards_are_handed_over_to_the_living(world: World) {
    let [one, two, dead] = [node(&world, 1), node(&world, 2), node(&world, 3)];
    renew(&world, &dead).await;
    world.clock.advance(TTL);
    renew(&world, &one).await;
    renew(&world, &two).await;
    take(&world, &one, &shards(&[1, 2, 3])).await;
    let [a, b, c] = [1, 2, 9].map(|number| Shard::from_number(number).expect("a shard"));
    let before = map(&world, &one).await;
    let went = world.store.hand_over(one.id, &[(a, two.id), (b, dead.id), (c, two.id)]).await.expect("asked");
    assert_eq!(went, [a]);
    let after = map(&world, &one).await;
    assert_eq!(after.shards[1].owner, Some(two.id));
    assert!(after.shards[1].epoch > before.shards[1].epoch);
    assert_eq!((after.shards[2], after.shards[9]), (before.shards[2], before.shards[9]));
    assert_eq!(world.store.hand_over(one.id, &[(a, one.id)]).await.expect("asked"), [], "not its own any more");
}

/// A takeover fences what was decided before it, on this shard and on no other.
pub async fn a_takeover_fences_its_shard_alone(world: World) {
    let user = world.user().await;
    let own = Shard::of(world.tenant.account_id);
    let other = Shard::all().find(|&shard| shard != own).expect("there is more than one");
    let [one, two] = [node(&world, 1), node(&world, 2)];
    renew(&world, &one).await;
    let epoch = take(&world, &one, &[own]).await[0].1;
    world.clock.advance(TTL);
    renew(&world, &two).await;
    take(&world, &two, &[other]).await;
    let (_, plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    let plan = CommitPlan { epoch: Some(epoch), ..plan };
    assert!(matches!(world.commit(&plan).await, Outcome::Committed { .. }), "a lease is not a fence");
    take(&world, &two, &[own]).await;
    let (_, plan) = world.booking_plan(&[&user], world.minutes(60, 90));
    assert_eq!(world.commit(&CommitPlan { epoch: Some(epoch), ..plan }).await, Outcome::Fenced);
}

/// A commit without an epoch is told to the shard's owner, and to nobody else, for as long as it says.
pub async fn an_owner_hears_of_commits_without_it(world: World) {
    let user = world.user().await;
    let own = Shard::of(world.tenant.account_id);
    let [owner, other] = [node(&world, 1), node(&world, 2)];
    let touched = async |node: &NodeRecord| renew(&world, node).await.touched;
    renew(&world, &owner).await;
    let epoch = take(&world, &owner, &[own]).await[0].1;
    let (_, plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    world.commit(&CommitPlan { epoch: Some(epoch), ..plan }).await;
    assert_eq!(touched(&owner).await, [], "it made this one itself");
    let (_, plan) = world.booking_plan(&[&user], world.minutes(60, 90));
    world.commit(&CommitPlan { epoch: None, ..plan }).await;
    assert_eq!(touched(&other).await, []);
    world.clock.advance(TOUCHED_FOR - INSTANT);
    assert_eq!(touched(&owner).await, [world.tenant.account_id]);
    world.clock.advance(INSTANT);
    assert_eq!(touched(&owner).await, []);
}

/// What is due is told to the owner of its shard.
pub async fn due_calendars_are_their_owners(world: World) {
    let (_, calendars) = world.connect(1).await;
    let user = world.user_on(calendars[0].id).await;
    world.book(&[&user], world.minutes(0, 30)).await;
    let [owner, other] = [node(&world, 1), node(&world, 2)];
    renew(&world, &owner).await;
    take(&world, &owner, &[Shard::of(world.tenant.account_id)]).await;
    for (asked, count) in [(None, 1), (Some(owner.id), 1), (Some(other.id), 0)] {
        let due = world.store.due_calendars(asked, world.now(), 10).await.expect("read");
        assert_eq!(due.len(), count, "{asked:?}");
        let due = world.store.calendars_with_due_writebacks(asked, world.now(), 10).await.expect("read");
        assert_eq!(due.len(), count, "{asked:?}");
    }
}

/// Two nodes that reach for the same shards get each of them once.
pub async fn racers_for_shards_share_them(world: World) {
    let nodes: Vec<NodeRecord> = (1..=4).map(|number| node(&world, number)).collect();
    for node in &nodes {
        renew(&world, node).await;
    }
    let wanted: Vec<Shard> = Shard::all().take(64).collect();
    let backwards: Vec<Shard> = wanted.iter().rev().copied().collect();
    let takers = nodes.iter().enumerate().map(|(n, node)| {
        let wanted = if n % 2 == 0 { &wanted } else { &backwards };
        take(&world, node, wanted)
    });
    let mut taken: Vec<Shard> = join_all(takers).await.iter().flat_map(|taken| of(taken)).collect();
    taken.sort();
    assert_eq!(taken, wanted);
}
