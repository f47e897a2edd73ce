//! What befalls the nodes, their servers and the links between them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agentcal_engine::time::Timestamp;
use agentcal_testkit::{WAIT_MAX, wait_for};
use tokio::runtime::Runtime;

use crate::cluster::{Cluster, NODES};
use crate::draw::Draw;
use crate::link::CUTS;
use crate::wire::{Api, now};
use crate::world::World;

/// Longer than a node's lease, in which nobody else may be owner.
const SLEEP: Duration = Duration::from_millis(13_500);
/// How long a node is dead, a server away, a link cut at least.
const AWAY: Duration = Duration::from_millis(1500);
/// How much longer a link may be cut.
const LONGER_MS: u64 = 3_000;
/// Answers that are waited for between one misfortune and the next.
const ANSWERS: u64 = 20;
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
    /// An owner is not reached by the others; at times it does not reach them either.
    OwnerCutOff,
    /// One node does not reach another.
    LinkCut,
    /// One node does not reach the cache.
    CacheCut,
    /// One node does not reach the database; at times for longer than its lease.
    DatabaseCut,
    /// The cache forgets everything.
    CacheFlushed,
    /// The cache is away.
    CacheAway,
    /// The database ends as in a power cut.
    DatabaseCrashed,
}

/// All of them.
pub(crate) const MISFORTUNES: [Misfortune; 11] = [
    Misfortune::OwnerKilled,
    Misfortune::AnyKilled,
    Misfortune::OwnerHangs,
    Misfortune::OwnerDrained,
    Misfortune::OwnerCutOff,
    Misfortune::LinkCut,
    Misfortune::CacheCut,
    Misfortune::DatabaseCut,
    Misfortune::CacheFlushed,
    Misfortune::CacheAway,
    Misfortune::DatabaseCrashed,
];
/// Brought once more in each round, because how long it takes is judged.
const ONCE_MORE: Misfortune = Misfortune::OwnerKilled;

/// A misfortune that was.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) what: Misfortune,
    /// Whom and how, in words.
    pub(crate) how: String,
    pub(crate) at: Timestamp,
    /// When it was over, though not yet overcome.
    pub(crate) until: Timestamp,
    /// Nodes it befell.
    pub(crate) nodes: Vec<usize>,
    /// Accounts whose owner it befell.
    pub(crate) worlds: Vec<usize>,
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
        while began.elapsed() < time || self.acts.len() <= MISFORTUNES.len() {
            if next.is_empty() {
                next = MISFORTUNES.into_iter().chain([ONCE_MORE]).collect();
            }
            let what = next.swap_remove(self.draw.below(next.len()));
            self.bring(what, began);
            self.peace();
        }
    }

    /// The cluster, and what befell it.
    pub(crate) fn end(self) -> (Cluster, Vec<Act>) {
        (self.cluster, self.acts)
    }

    fn bring(&mut self, what: Misfortune, beginning: Instant) {
        let owners: Vec<usize> = self.worlds.iter().map(|world| self.cluster.owner(world)).collect();
        let victim = self.victim(what, &owners);
        let worlds: Vec<usize> = (0..owners.len()).filter(|&world| Some(owners[world]) == victim).collect();
        // A node is hidden before it ends, so that whoever loses it knows where else to ask.
        if let Some(victim) = victim.filter(|_| what.ends_node()) {
            self.cluster.hide(victim);
        }
        let (at, began) = (now(), Instant::now());
        let how = self.suffer(what, victim);
        let until = now();
        self.cluster.links.mend();
        self.cluster.show_all();
        self.wait_until_well();
        let (took, second) = (began.elapsed(), beginning.elapsed().as_secs());
        println!("{second:>5} s  {what:?} {how}, owners {owners:?}: well after {} ms", took.as_millis());
        self.acts.push(Act { what, how, at, until, nodes: victim.into_iter().collect(), worlds });
    }

    /// Does it, and undoes it where that is needed. Says in words what was done.
    fn suffer(&mut self, what: Misfortune, victim: Option<usize>) -> String {
        let Some(victim) = victim else {
            self.suffer_servers(what);
            return String::new();
        };
        let how = match what {
            Misfortune::OwnerKilled | Misfortune::AnyKilled => {
                self.cluster.kill(victim);
                pass(AWAY);
                self.cluster.start_again(victim);
                String::new()
            }
            Misfortune::OwnerHangs => {
                self.cluster.nodes[victim].suspend();
                pass(SLEEP);
                self.cluster.nodes[victim].resume();
                String::new()
            }
            Misfortune::OwnerDrained => {
                self.cluster.drain(victim);
                self.cluster.start_again(victim);
                String::new()
            }
            _ => self.cut(what, victim),
        };
        format!("of node {victim}{how}")
    }

    fn suffer_servers(&mut self, what: Misfortune) {
        match what {
            Misfortune::CacheFlushed => self.cluster.redis.flush(),
            Misfortune::CacheAway => {
                self.cluster.redis.stop();
                pass(AWAY);
                self.cluster.redis.start_again();
            }
            Misfortune::DatabaseCrashed => {
                self.cluster.postgres.crash();
                self.cluster.postgres.start_again();
            }
            other => unreachable!("{other:?} befalls a node"),
        }
    }

    /// Cuts links for a while.
    fn cut(&mut self, what: Misfortune, victim: usize) -> String {
        let link = *self.draw.pick(&CUTS).expect("there are some");
        let others: Vec<usize> = (0..NODES).filter(|&other| other != victim).collect();
        let (other, both) = (*self.draw.pick(&others).expect("there are others"), self.draw.percent(50));
        let mut time = AWAY + Duration::from_millis(self.draw.next() % LONGER_MS);
        let links = &self.cluster.links;
        let whom = match what {
            Misfortune::OwnerCutOff => {
                for &other in &others {
                    links.peers[victim].set(other, link);
                    if both {
                        links.peers[other].set(victim, link);
                    }
                }
                if both { "and the others" } else { "for the others" }.to_owned()
            }
            Misfortune::LinkCut => {
                links.peers[victim].set(other, link);
                format!("for node {other}")
            }
            Misfortune::CacheCut => {
                links.caches[victim].set(0, link);
                "and Redis".to_owned()
            }
            _ => {
                links.databases[victim].set(0, link);
                if both {
                    time = SLEEP;
                }
                "and PostgreSQL".to_owned()
            }
        };
        pass(time);
        format!(" {whom}: {link:?} for {} ms", time.as_millis())
    }

    /// The node it befalls, if any.
    fn victim(&mut self, what: Misfortune, owners: &[usize]) -> Option<usize> {
        match what {
            Misfortune::CacheFlushed | Misfortune::CacheAway | Misfortune::DatabaseCrashed => None,
            Misfortune::AnyKilled => Some(self.draw.below(NODES)),
            _ => self.draw.pick(owners).copied(),
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

impl Misfortune {
    /// Whether the node it befalls answers nobody meanwhile.
    fn ends_node(self) -> bool {
        matches!(self, Self::OwnerKilled | Self::AnyKilled | Self::OwnerHangs | Self::OwnerDrained)
    }
}

/// Lets time pass.
fn pass(time: Duration) {
    let began = Instant::now();
    wait_for("the end of a while", WAIT_MAX, || (began.elapsed() >= time).then_some(()));
}
