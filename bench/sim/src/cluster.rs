//! All nodes, as the director lays hands on them.

use std::collections::BTreeMap;

use agentcal_engine::ids::AccountId;
use agentcal_engine::shard::Shard;
use agentcal_engine::time::Timestamp;
use agentcal_history::LateCause;
use agentcal_sim_store::{CommitNote, Disk, SharedCache};

use crate::director::CLIENT_HOSTS;
use crate::node::{NodeHandle, name_of, node_at};

/// Longest time from a commit's instant until the cache should have heard of it.
const PUBLISHED_US_MAX: i64 = 5_000_000;

/// Nodes and what they share. Clones are one.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<NodeHandle>,
    pub(crate) cache: SharedCache,
    pub(crate) disk: Disk,
    pub(crate) account_id: AccountId,
}

impl Cluster {
    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.nodes.len() == 1
    }

    /// The node that owns the account, as the store has it.
    pub(crate) fn owner(&self) -> Option<usize> {
        let (shards, live) = self.disk.view().ownership();
        let owner = shards[usize::from(Shard::of(self.account_id).number())].owner?;
        node_at(&live.iter().find(|node| node.id == owner)?.address)
    }

    /// All hosts there are.
    pub(crate) fn hosts(&self) -> Vec<&'static str> {
        (0..self.count()).map(name_of).chain(CLIENT_HOSTS).collect()
    }
}

/// What is lost between nodes, as seen from one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Both,
    /// What others send to it.
    In,
    /// What it sends to others.
    Out,
}

/// How the link between two hosts is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkState {
    /// What is sent waits.
    pub(crate) is_held: bool,
    /// What the first sends to the second is lost.
    pub(crate) loses_there: bool,
    /// What the second sends to the first is lost.
    pub(crate) loses_back: bool,
}

/// All links that are not as they should be.
#[derive(Debug, Default)]
pub(crate) struct Network(BTreeMap<(&'static str, &'static str), LinkState>);

impl Network {
    /// Makes every link as it is wanted.
    pub(crate) fn settle(
        &mut self,
        sim: &turmoil::Sim<'_>,
        hosts: &[&'static str],
        wanted: impl Fn(&'static str, &'static str) -> LinkState,
    ) {
        for (index, &first) in hosts.iter().enumerate() {
            for &second in &hosts[index + 1..] {
                let wanted = wanted(first, second);
                let present = self.0.insert((first, second), wanted).unwrap_or_default();
                if present != wanted {
                    change(sim, (first, second), present, wanted);
                }
            }
        }
    }
}

fn change(sim: &turmoil::Sim<'_>, (first, second): (&str, &str), present: LinkState, wanted: LinkState) {
    if present.is_held {
        sim.release(first, second);
    } else if present.loses_there || present.loses_back {
        sim.repair(first, second);
    }
    match wanted {
        LinkState { is_held: true, .. } => sim.hold(first, second),
        LinkState { loses_there: true, loses_back: true, .. } => sim.partition(first, second),
        LinkState { loses_there: true, .. } => sim.partition_oneway(first, second),
        LinkState { loses_back: true, .. } => sim.partition_oneway(second, first),
        _ => {}
    }
}

/// When nodes could not write to the cache.
#[derive(Debug, Default)]
pub(crate) struct Estrangements(Vec<Estrangement>);

#[derive(Clone, Copy, Debug)]
struct Estrangement {
    /// Which node; `None`: all.
    node: Option<usize>,
    from: Timestamp,
    /// `None`: still.
    until: Option<Timestamp>,
}

impl Estrangements {
    pub(crate) fn begin(&mut self, node: Option<usize>, from: Timestamp) {
        self.0.push(Estrangement { node, from, until: None });
    }

    pub(crate) fn end(&mut self, node: Option<usize>, until: Timestamp) {
        let open = self.0.iter_mut().filter(|one| one.node == node && one.until.is_none());
        open.for_each(|one| one.until = Some(until));
    }

    /// Why readers may hear late of a commit, if they may: it was made without its owner, or by one that could not write to
    /// the cache.
    pub(crate) fn excuse(&self, note: &CommitNote, store_offset_us: i64) -> Option<LateCause> {
        let at = note.at.plus_micros(-store_offset_us);
        let meets = |one: &Estrangement| {
            one.node.is_none_or(|node| usize::try_from(note.writer) == Ok(node))
                && one.from <= at.plus_micros(PUBLISHED_US_MAX)
                && one.until.is_none_or(|until| at <= until)
        };
        match note.epoch {
            None => Some(LateCause::Ownerless),
            Some(_) => self.0.iter().any(meets).then_some(LateCause::Uncached),
        }
    }
}
