//! What befalls the nodes and their servers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agentcal_engine::time::Timestamp;
use agentcal_testkit::{WAIT_MAX, wait_for};
use tokio::runtime::Runtime;

use crate::cluster::Cluster;
use crate::draw::Draw;
use crate::wire::{Api, now};
use crate::world::World;

/// Longer than a node's lease, in which nobody else may be owner.
const SLEEP: Duration = Duration::from_millis(13_500);
/// How long a node is dead, and a server away.
const AWAY: Duration = Duration::from_millis(1500);
/// Answers that are waited for between one misfortune and the next.
const ANSWERS: u64 = 40;
/// Longest a node may take to answer when all is well.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A misfortune.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfortune {
    /// An owner ends as in a power cut.
    OwnerKilled,
    /// So does any node.
    AnyKilled,
    /// An owner hangs for longer than its lease, and goes on.
    OwnerHangs,
    /// An owner is asked to end.
    OwnerDrained,
    /// The cache forgets everything.
    CacheFlushed,
    /// The cache is away.
    CacheAway,
    /// The database ends as in a power cut.
    DatabaseCrashed,
}

/// All of them.
pub(crate) const MISFORTUNES: [Misfortune; 7] = [
    Misfortune::OwnerKilled,
    Misfortune::AnyKilled,
    Misfortune::OwnerHangs,
    Misfortune::OwnerDrained,
    Misfortune::CacheFlushed,
    Misfortune::CacheAway,
    Misfortune::DatabaseCrashed,
];

/// A misfortune that was.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) what: Misfortune,
    pub(crate) at: Timestamp,
    /// Accounts whose owner it befell.
    pub(crate) worlds: Vec<usize>,
    /// From its beginning until everything was well again.
    pub(crate) took: Duration,
}

/// Brings misfortune.
pub(crate) struct Nemesis<'r> {
    cluster: Cluster,
    runtime: &'r Runtime,
    worlds: Vec<Arc<World>>,
    apis: Vec<Api>,
    draw: Draw,
    http: reqwest::Client,
    acts: Vec<Act>,
}

impl<'r> Nemesis<'r> {
    pub(crate) fn new(
        cluster: Cluster,
        runtime: &'r Runtime,
        worlds: &[Arc<World>],
        apis: Vec<Api>,
        draw: Draw,
    ) -> Self {
        let http = reqwest::Client::builder().timeout(ANSWER_MAX).build().expect("a client");
        Self { cluster, runtime, worlds: worlds.to_vec(), apis, draw, http, acts: Vec::new() }
    }

    /// Brings every misfortune, and does so again until the time has passed; leaves everything well.
    pub(crate) fn torment(&mut self, time: Duration) {
        let began = Instant::now();
        let mut next: Vec<Misfortune> = Vec::new();
        self.peace();
        while began.elapsed() < time || !next.is_empty() && self.acts.len() < MISFORTUNES.len() {
            if next.is_empty() {
                next = MISFORTUNES.to_vec();
            }
            let what = next.swap_remove(self.draw.below(next.len()));
            self.bring(what);
            self.peace();
        }
    }

    /// The cluster, and what befell it.
    pub(crate) fn end(self) -> (Cluster, Vec<Act>) {
        (self.cluster, self.acts)
    }

    fn bring(&mut self, what: Misfortune) {
        let victim = self.victim(what);
        let owners: Vec<usize> = self.worlds.iter().map(|world| self.cluster.owner(world)).collect();
        let worlds = (0..owners.len()).filter(|&world| Some(owners[world]) == victim).collect();
        // A node is hidden before it ends, so that whoever loses it knows where else to ask.
        if let Some(victim) = victim {
            self.cluster.hide(victim);
        }
        let (at, began) = (now(), Instant::now());
        println!("{at:?} {what:?} of {worlds:?}, node {victim:?}, owners {owners:?}");
        match (what, victim) {
            (Misfortune::OwnerKilled | Misfortune::AnyKilled, Some(victim)) => {
                self.cluster.nodes[victim].kill9();
                pass(AWAY);
                self.cluster.nodes[victim].start_again();
            }
            (Misfortune::OwnerHangs, Some(victim)) => {
                self.cluster.nodes[victim].suspend();
                pass(SLEEP);
                self.cluster.nodes[victim].resume();
            }
            (Misfortune::OwnerDrained, Some(victim)) => {
                self.cluster.nodes[victim].drain();
                self.cluster.nodes[victim].start_again();
            }
            (Misfortune::CacheFlushed, _) => self.cluster.redis.flush(),
            (Misfortune::CacheAway, _) => {
                self.cluster.redis.stop();
                pass(AWAY);
                self.cluster.redis.start_again();
            }
            (Misfortune::DatabaseCrashed, _) => {
                self.cluster.postgres.crash();
                self.cluster.postgres.start_again();
            }
            (_, None) => unreachable!("a node is chosen for what befalls nodes"),
        }
        self.cluster.show_all();
        self.wait_until_well();
        self.acts.push(Act { what, at, worlds, took: began.elapsed() });
    }

    /// The node it befalls, if any.
    fn victim(&mut self, what: Misfortune) -> Option<usize> {
        match what {
            Misfortune::OwnerKilled | Misfortune::OwnerHangs | Misfortune::OwnerDrained => {
                let world = self.draw.below(self.worlds.len());
                Some(self.cluster.owner(&self.worlds[world]))
            }
            Misfortune::AnyKilled => Some(self.draw.below(self.cluster.nodes.len())),
            Misfortune::CacheFlushed | Misfortune::CacheAway | Misfortune::DatabaseCrashed => None,
        }
    }

    /// Lets clients ask for a while.
    fn peace(&mut self) {
        let enough = self.answered() + ANSWERS + self.draw.next() % ANSWERS;
        wait_for("answers to clients", WAIT_MAX, || (self.answered() >= enough).then_some(()));
    }

    fn answered(&self) -> u64 {
        self.apis.iter().map(Api::answered).sum()
    }

    /// Every node is ready, and answers for every account.
    fn wait_until_well(&mut self) {
        for index in 0..self.cluster.nodes.len() {
            let running = self.cluster.nodes[index].is_running();
            assert!(running, "node {index} ended by itself:\n{}", self.cluster.nodes[index].said());
            wait_for("a node that is well", WAIT_MAX, || {
                let node = &self.cluster.nodes[index];
                let base_url = node.base_url();
                (node.is_ready() && self.worlds.iter().all(|world| self.answers(&base_url, world))).then_some(())
            });
        }
    }

    fn answers(&self, base_url: &str, world: &World) -> bool {
        let ask = self.http.get(format!("{base_url}{}", world.at("/bookings?limit=1")));
        let ask = ask.bearer_auth(self.cluster.secret_key());
        let answer = self.runtime.block_on(async { ask.send().await });
        answer.is_ok_and(|answer| answer.status().as_u16() == 200)
    }
}

/// Lets time pass.
fn pass(time: Duration) {
    let began = Instant::now();
    wait_for("the end of a while", WAIT_MAX, || (began.elapsed() >= time).then_some(()));
}
