//! What goes wrong, and when.

use std::fmt;
use std::time::Duration;

use agentcal_engine::model::ProviderKind;
use agentcal_engine::time::Timestamp;
use agentcal_history::LateCause;
use agentcal_sim_store::{CommitNote, Dice, Disk, Manner, Settings, Span, Way};

use crate::cluster::{Cluster, Direction, Estrangements, LinkState, Network};
use crate::node::name_of;
use crate::plan::Plan;
use crate::provider::{Cloud, Mood};

/// Hosts clients live on.
pub(crate) const CLIENT_HOSTS: [&str; 2] = ["east", "west"];

/// A fault that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Down(usize),
    Paused(usize),
    /// Ended in order.
    Left(usize),
    Estranged(usize, Estranged),
    SlowDisk,
    StoreAway,
    StoreInDoubt,
    Cut(&'static str, usize),
    Cache(Ailment),
    BadDay(ProviderKind),
}

/// From what a node is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Estranged {
    peers: Option<Direction>,
    store: Way,
    cache: Way,
}

/// What the cache suffers from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ailment {
    Down,
    Slow,
    Loses,
}

impl Fault {
    /// The node it befalls.
    fn node(self) -> Option<usize> {
        match self {
            Self::Down(node)
            | Self::Paused(node)
            | Self::Left(node)
            | Self::Estranged(node, _)
            | Self::Cut(_, node) => Some(node),
            _ => None,
        }
    }

    /// What it adds to the state of a link.
    fn on_link(self, first: &str, second: &str, state: LinkState) -> LinkState {
        let ends = [first, second];
        match self {
            Self::Paused(node) if ends.contains(&name_of(node)) => LinkState { is_held: true, ..state },
            Self::Cut(host, node) if ends.contains(&host) && ends.contains(&name_of(node)) => {
                LinkState { loses_there: true, loses_back: true, ..state }
            }
            Self::Estranged(node, Estranged { peers: Some(direction), .. })
                if ends.contains(&name_of(node)) && !ends.iter().any(|end| CLIENT_HOSTS.contains(end)) =>
            {
                let is_first = first == name_of(node);
                let (loses_in, loses_out) = (direction != Direction::Out, direction != Direction::In);
                let (there, back) = if is_first { (loses_out, loses_in) } else { (loses_in, loses_out) };
                LinkState { loses_there: state.loses_there || there, loses_back: state.loses_back || back, ..state }
            }
            _ => state,
        }
    }

    /// Whether both are of one kind, or befall one node.
    fn excludes(self, other: Self) -> bool {
        match (self.node(), other.node()) {
            (None, None) => {
                std::mem::discriminant(&self) == std::mem::discriminant(&other) && !self.may_stand_beside(other)
            }
            (node, other) => node == other,
        }
    }

    /// Two providers may have a bad day at once.
    fn may_stand_beside(self, other: Self) -> bool {
        matches!((self, other), (Self::BadDay(kind), Self::BadDay(other)) if kind != other)
    }
}

/// How often each happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Nodes that crashed.
    pub crashes: u32,
    /// Nodes that were paused.
    pub pauses: u32,
    /// Nodes that ended in order.
    pub drains: u32,
    /// Nodes that were cut off from other nodes, store or cache.
    pub estranged: u32,
    /// Times the cache forgot everything, or served badly.
    pub cache_faults: u32,
    /// Times the store served badly, or started anew.
    pub disk_faults: u32,
    /// Clients that were cut off.
    pub cuts: u32,
    /// Providers that served badly.
    pub bad_days: u32,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { crashes, pauses, drains, estranged, cache_faults, disk_faults, cuts, bad_days } = self;
        write!(f, "crashes={crashes} pauses={pauses} drains={drains} estranged={estranged} ")?;
        write!(f, "cache_faults={cache_faults} disk_faults={disk_faults} cuts={cuts} bad_days={bad_days}")
    }
}

/// What the director works with.
pub(crate) struct Scene<'a, 's> {
    pub(crate) sim: &'a mut turmoil::Sim<'s>,
    pub(crate) cluster: &'a Cluster,
    pub(crate) cloud: &'a Cloud,
    pub(crate) now: Timestamp,
}

impl Scene<'_, '_> {
    fn disk(&self) -> &Disk {
        &self.cluster.disk
    }
}

/// Makes things go wrong.
pub(crate) struct Director {
    dice: Dice,
    settings: Settings,
    running: Vec<(Timestamp, Fault)>,
    next_at: Timestamp,
    /// A crash that waits for a moment at which it hurts.
    crash_by: Option<(Timestamp, usize)>,
    estrangements: Estrangements,
    network: Network,
    pub(crate) tally: Tally,
}

impl Director {
    pub(crate) fn new(dice: Dice, plan: &Plan, start: Timestamp) -> Self {
        let clock_offset_us = *dice.pick(&[0, 0, 400_000, -700_000]);
        let settings = Settings {
            latency: Span::millis(1, if plan.nodes == 1 { 60 } else { 25 }),
            doubt_per_mille: 2,
            clock_offset_us,
            planted: plan.planted.clone(),
            ..Settings::default()
        };
        Self {
            dice,
            settings,
            running: Vec::new(),
            next_at: start + Duration::from_secs(60),
            crash_by: None,
            estrangements: Estrangements::default(),
            network: Network::default(),
            tally: Tally::default(),
        }
    }

    /// The disk on a good day.
    pub(crate) fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// Why readers may hear late of a commit, if they may.
    pub(crate) fn excuse(&self, note: &CommitNote) -> Option<LateCause> {
        self.estrangements.excuse(note, self.settings.clock_offset_us)
    }

    /// Does what it is time to do; whether what was not durable is lost. `answered`: clients heard of something done just
    /// now.
    pub(crate) fn act(&mut self, scene: &mut Scene<'_, '_>, answered: bool) -> bool {
        let now = scene.now;
        for (_, fault) in self.running.extract_if(.., |(until, _)| *until <= now).collect::<Vec<_>>() {
            self.end(fault, scene);
        }
        if let Some((_, node)) = self.crash_by.take_if(|(by, _)| answered || *by <= now) {
            self.crash(node, scene);
            return scene.cluster.is_alone();
        }
        if now < self.next_at {
            return false;
        }
        let longest = if scene.cluster.is_alone() { 200 } else { 90 };
        self.next_at = now + self.dice.seconds(20, longest);
        self.begin(scene)
    }

    /// Everything is well again.
    pub(crate) fn heal(&mut self, scene: &mut Scene<'_, '_>) {
        for (_, fault) in std::mem::take(&mut self.running) {
            self.end(fault, scene);
        }
        self.crash_by = None;
        scene.disk().adjust(|settings| settings.doubt_per_mille = 0);
    }

    /// Things may go wrong again.
    pub(crate) fn resume(&mut self, disk: &Disk, now: Timestamp) {
        disk.set(self.settings());
        self.next_at = now + self.dice.seconds(5, 60);
    }

    fn begin(&mut self, scene: &mut Scene<'_, '_>) -> bool {
        let kind = *self.dice.pick(&[ProviderKind::Google, ProviderKind::Caldav]);
        let node = self.victim(scene.cluster);
        let drawn = self.dice.below(if scene.cluster.is_alone() { 12 } else { 30 });
        let fault = match drawn {
            0..3 => Fault::Down(node),
            3 | 4 => Fault::SlowDisk,
            5 => Fault::StoreAway,
            6 | 7 => Fault::StoreInDoubt,
            8 => Fault::Cut(CLIENT_HOSTS[self.dice.index(CLIENT_HOSTS.len())], node),
            9..12 => Fault::BadDay(kind),
            12..17 => Fault::Paused(node),
            17 | 18 => Fault::Left(node),
            19..25 => Fault::Estranged(node, self.estrangement()),
            25 | 26 => Fault::Cache(*self.dice.pick(&[Ailment::Down, Ailment::Slow, Ailment::Loses])),
            27 | 28 => return self.flush(scene),
            _ => return self.restart_store(scene),
        };
        if !self.running.iter().any(|(_, running)| running.excludes(fault)) {
            self.start(fault, scene);
        }
        false
    }

    /// The owner more often than others: it has most to lose.
    fn victim(&self, cluster: &Cluster) -> usize {
        if cluster.is_alone() {
            return 0;
        }
        let any = self.dice.index(cluster.count());
        if self.dice.happens(400) { cluster.owner().unwrap_or(any) } else { any }
    }

    fn estrangement(&self) -> Estranged {
        let ways = [Way::Open, Way::Open, Way::Cut, Way::Mute];
        let peers = [None, None, Some(Direction::Both), Some(Direction::In), Some(Direction::Out)];
        let drawn =
            Estranged { peers: *self.dice.pick(&peers), store: *self.dice.pick(&ways), cache: *self.dice.pick(&ways) };
        let is_none = drawn.peers.is_none() && drawn.store == Way::Open && drawn.cache == Way::Open;
        if is_none { Estranged { peers: Some(Direction::Both), ..drawn } } else { drawn }
    }

    fn flush(&mut self, scene: &Scene<'_, '_>) -> bool {
        scene.cluster.cache.flush();
        self.tally.cache_faults += 1;
        false
    }

    /// The store's process ends and starts again: what is under way is in doubt.
    fn restart_store(&mut self, scene: &mut Scene<'_, '_>) -> bool {
        scene.disk().crash();
        self.start(Fault::StoreAway, scene);
        true
    }

    fn start(&mut self, fault: Fault, scene: &mut Scene<'_, '_>) {
        let (dice, disk, now) = (&self.dice, scene.disk(), scene.now);
        let until = match fault {
            // It crashes when it hurts: right after somebody was told that something is done.
            Fault::Down(node) => return self.crash_by = Some((now + dice.seconds(0, 60), node)),
            Fault::Paused(node) => {
                // The process does not run. Its sockets stand, and what comes to them waits; what it was about to do happens
                // when it runs again. What is held is all that goes in or out; inside it comes to rest by itself.
                scene.cluster.nodes[node].lines().into_iter().for_each(|line| line.set(Way::Held));
                // Some sleep through their lease.
                if dice.happens(400) { dice.millis(500, 9_000) } else { dice.seconds(10, 45) }
            }
            Fault::Left(node) => {
                scene.cluster.nodes[node].stop();
                dice.seconds(12, 60)
            }
            Fault::Estranged(node, from) => {
                scene.cluster.nodes[node].reach(from.store, from.cache);
                if from.cache != Way::Open {
                    self.estrangements.begin(Some(node), now);
                }
                dice.seconds(1, 45)
            }
            Fault::SlowDisk => {
                let latency = Span::millis(50, 100 + dice.below(1_400));
                disk.adjust(|settings| settings.latency = latency);
                dice.seconds(5, 60)
            }
            Fault::StoreAway => {
                let per_mille = if dice.happens(500) { 1_000 } else { 300 };
                disk.adjust(|settings| settings.unavailable_per_mille = per_mille);
                dice.seconds(2, 20)
            }
            Fault::StoreInDoubt => {
                disk.adjust(|settings| settings.doubt_per_mille = 300);
                dice.seconds(5, 60)
            }
            Fault::Cut(..) => dice.seconds(1, 20),
            Fault::Cache(ailment) => {
                scene.cluster.cache.set(ailment.manner());
                self.estrangements.begin(None, now);
                dice.seconds(2, 60)
            }
            Fault::BadDay(kind) => {
                scene.cloud.set_mood(kind, Mood::bad(dice));
                dice.seconds(10, 180)
            }
        };
        self.count(fault);
        self.running.push((now + until, fault));
        self.settle_network(scene);
    }

    fn settle_network(&mut self, scene: &Scene<'_, '_>) {
        let running = &self.running;
        let wanted = |first, second| {
            running.iter().fold(LinkState::default(), |state, (_, fault)| fault.on_link(first, second, state))
        };
        self.network.settle(scene.sim, &scene.cluster.hosts(), wanted);
    }

    fn count(&mut self, fault: Fault) {
        let tally = &mut self.tally;
        let counter = match fault {
            Fault::Down(_) => &mut tally.crashes,
            Fault::Paused(_) => &mut tally.pauses,
            Fault::Left(_) => &mut tally.drains,
            Fault::Estranged(..) => &mut tally.estranged,
            Fault::Cache(_) => &mut tally.cache_faults,
            Fault::Cut(..) => &mut tally.cuts,
            Fault::BadDay(_) => &mut tally.bad_days,
            Fault::SlowDisk | Fault::StoreAway | Fault::StoreInDoubt => &mut tally.disk_faults,
        };
        *counter += 1;
    }

    fn crash(&mut self, node: usize, scene: &mut Scene<'_, '_>) {
        let fault = Fault::Down(node);
        if self.running.iter().any(|(_, running)| running.excludes(fault)) {
            return;
        }
        scene.sim.crash(name_of(node));
        scene.cluster.nodes[node].forget();
        if scene.cluster.is_alone() {
            scene.disk().crash();
        }
        self.count(fault);
        self.running.push((scene.now + self.dice.millis(300, 30_000), fault));
    }

    fn end(&mut self, fault: Fault, scene: &mut Scene<'_, '_>) {
        let (usual, disk) = (self.settings.clone(), scene.disk());
        match fault {
            Fault::Down(node) | Fault::Left(node) => scene.sim.bounce(name_of(node)),
            Fault::Paused(node) => scene.cluster.nodes[node].lines().into_iter().for_each(|line| line.set(Way::Open)),
            Fault::Estranged(node, _) => {
                scene.cluster.nodes[node].reach(Way::Open, Way::Open);
                self.estrangements.end(Some(node), scene.now);
            }
            Fault::SlowDisk => disk.adjust(|settings| settings.latency = usual.latency),
            Fault::StoreAway => disk.adjust(|settings| settings.unavailable_per_mille = usual.unavailable_per_mille),
            Fault::StoreInDoubt => disk.adjust(|settings| settings.doubt_per_mille = usual.doubt_per_mille),
            Fault::Cut(..) => {}
            Fault::Cache(_) => {
                scene.cluster.cache.set(Manner::default());
                self.estrangements.end(None, scene.now);
            }
            Fault::BadDay(kind) => scene.cloud.set_mood(kind, Mood::default()),
        }
        self.settle_network(scene);
    }
}

impl Ailment {
    fn manner(self) -> Manner {
        let usual = Manner::default();
        match self {
            Self::Down => Manner { is_down: true, ..usual },
            Self::Slow => Manner { latency_ms: (30, 250), ..usual },
            Self::Loses => Manner { lost_per_mille: 300, ..usual },
        }
    }
}
