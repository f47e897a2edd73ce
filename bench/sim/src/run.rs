//! The simulation from its first step to its verdict.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use agentcal_actors::Providers;
use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::Clock;
use agentcal_engine::time::Timestamp;
use agentcal_history::{Allowances, Counts, Event, Late, SlotsSeen, Violation, check};
use agentcal_sim_store::{Dice, Disk, SharedCache};
use tokio::runtime::Runtime;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::client::{Client, Surroundings};
use crate::clock::SimClock;
use crate::cluster::Cluster;
use crate::director::{CLIENT_HOSTS, Director, Scene, Tally};
use crate::journal::Journal;
use crate::node::{Bells, NodeHandle, NodeParts, live, name_of};
use crate::people::People;
use crate::plan::Plan;
use crate::provider::{Cloud, SimProvider};
use crate::quiet::{Audit, CALM_MAX, Truths};
use crate::watch::Watch;
use crate::world::{World, start_of};

/// How far one step goes. Steps cost real time, whatever happens in them; messages travel between them.
const TICK: Duration = Duration::from_millis(100);
/// The same where nodes ask each other: a commit by another node takes four messages, and an owner counts as silent after
/// 300 ms.
const TICK_AMONG_NODES: Duration = Duration::from_millis(30);
/// Longest time of a message between two nodes.
const PEER_LATENCY_MAX: Duration = Duration::from_millis(15);
/// Most segments on their way to one socket: those of half a minute, for a node that was paused.
const TCP_CAPACITY: usize = 4_096;
/// Time between two quiet points.
const BUSY: Duration = Duration::from_secs(50 * 60);
/// Clients on each of their hosts.
const CLIENTS_PER_HOST: usize = 4;
/// Longest time until nodes hear of what was sold past them, in microseconds.
const HEARD_WITHIN_US: i64 = 5_000_000;
/// Most characters of a request that is printed with a finding.
const EVENT_CHARS_MAX: usize = 700;
/// Findings that are printed.
const PRINTED_MAX: usize = 10;

/// What a simulation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What was found, at the first moment at which anything was found.
    pub findings: Vec<String>,
    /// How much the history checker looked at, at the last quiet point.
    pub counts: Counts,
    /// Quiet points that were reached.
    pub quiet_points: u32,
    /// What went wrong, how often.
    pub tally: Tally,
    /// Commits that were made without their owner.
    pub ownerless: u64,
    /// Watches that providers granted, and those that were ended before they ran out.
    pub watches: (u64, u64),
}

impl Verdict {
    /// Whether nothing was found.
    pub fn is_pass(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Runs a plan, and writes what happens. The same plan writes the same bytes.
///
/// # Errors
/// When `out` does not take them, or the simulated world could not be set up.
pub fn run(plan: &Plan, out: &mut dyn Write) -> io::Result<Verdict> {
    let mut stage = Stage::set(plan)?;
    writeln!(
        out,
        "sim seed={} hours={} nodes={} start={:?} zone={}",
        plan.seed, plan.hours, plan.nodes, stage.start, stage.zone
    )?;
    let verdict = stage.play(plan, out)?;
    print_verdict(plan, &stage, &verdict, out)?;
    Ok(verdict)
}

fn print_verdict(plan: &Plan, stage: &Stage<'_>, verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    for finding in verdict.findings.iter().take(PRINTED_MAX) {
        writeln!(out, "found: {finding}")?;
    }
    if !verdict.is_pass() {
        writeln!(out, "replay: {}", plan.command())?;
    }
    let counts = &verdict.counts;
    writeln!(
        out,
        "sim seed={} hours={} nodes={} requests={} bookings={} holds={} confirmed={} moves={} cancels={} in_doubt={} replays={} \
         slots={} late={} called_complete={} ownerless={} watches={}/{} {} quiet_points={} states={} digest={:016x} verdict={}",
        plan.seed,
        plan.hours,
        plan.nodes,
        counts.events,
        counts.bookings_acknowledged,
        counts.holds_acknowledged,
        counts.holds_confirmed,
        counts.moves_acknowledged,
        counts.cancels_acknowledged,
        counts.in_doubt,
        counts.replays,
        counts.slots,
        counts.offered_late,
        counts.offered_late_as_complete,
        verdict.ownerless,
        verdict.watches.0,
        verdict.watches.1,
        verdict.tally,
        verdict.quiet_points,
        stage.watch.looks,
        stage.journal.digest(),
        if verdict.is_pass() { "pass" } else { "fail" },
    )
}

/// Where the simulation is.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Busy { until: Timestamp },
    Calming { since: Timestamp },
    Auditing { since: Timestamp },
}

struct Stage<'s> {
    sim: turmoil::Sim<'s>,
    start: Timestamp,
    zone: chrono_tz::Tz,
    clock: Arc<SimClock>,
    disk: Disk,
    cloud: Cloud,
    world: Arc<World>,
    bells: Bells,
    cluster: Cluster,
    journal: Journal,
    audit: Audit,
    people: People,
    director: Director,
    watch: Watch,
    /// What readers may hear late of.
    late: Vec<Late>,
    ownerless: u64,
    is_strict: bool,
    phase: Phase,
    runtime: Runtime,
    quiet_points: u32,
    counts: Counts,
    acknowledged: u64,
    looked_at: Timestamp,
    traced: usize,
}

impl Stage<'_> {
    fn set(plan: &Plan) -> io::Result<Self> {
        let seed = plan.seed;
        let (start, zone) = start_of(&Dice::new(seed, "start"));
        let clock = Arc::new(SimClock::new(start));
        let disk = Disk::new(Arc::clone(&clock) as _, Arc::new(Dice::new(seed, "disk")));
        let cloud = Cloud::new(Arc::clone(&clock) as _);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let dice = Dice::new(seed, "world");
        let founded = runtime.block_on(World::found(&disk.connect(), &cloud, &dice, start, zone));
        let world = Arc::new(founded.map_err(io::Error::other)?);
        let mut people = People::new(Dice::new(seed, "people"), start);
        people.settle_in(&world, &cloud, start);
        let director = Director::new(Dice::new(seed, "director"), plan, start);
        disk.set(director.settings());
        let is_alone = plan.nodes == 1;
        let sim = turmoil::Builder::new()
            .rng_seed(seed)
            .tick_duration(if is_alone { TICK } else { TICK_AMONG_NODES })
            .tcp_capacity(TCP_CAPACITY)
            .simulation_duration(Duration::from_secs(u64::MAX / 4))
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(200))
            .build();
        let cluster = Cluster {
            nodes: (0..plan.nodes).map(|_| NodeHandle::default()).collect(),
            cache: SharedCache::default(),
            disk: disk.clone(),
            account_id: world.account_id(),
        };
        let mut stage = Self {
            sim,
            start,
            zone,
            clock,
            disk,
            cloud,
            watch: Watch::new(world.account_id()),
            world,
            bells: Bells::new(plan.nodes),
            cluster,
            journal: Journal::default(),
            audit: Audit::default(),
            people,
            director,
            late: Vec::new(),
            ownerless: 0,
            is_strict: plan.is_strict,
            phase: Phase::Busy { until: start + BUSY },
            runtime,
            quiet_points: 0,
            counts: Counts::default(),
            acknowledged: 0,
            looked_at: start,
            traced: 0,
        };
        stage.populate(seed);
        Ok(stage)
    }

    /// Puts nodes and clients on their hosts.
    fn populate(&mut self, seed: u64) {
        for number in 0..self.cluster.count() {
            let parts = self.node_parts(seed, number);
            self.sim.host(name_of(number), move || live(parts.clone()));
        }
        for (index, host) in CLIENT_HOSTS.into_iter().enumerate() {
            self.populate_clients(seed, index, host);
        }
        for (first, second) in (0..self.cluster.count()).flat_map(|first| (0..first).map(move |second| (first, second)))
        {
            self.sim.set_link_max_message_latency(name_of(first), name_of(second), PEER_LATENCY_MAX);
        }
    }

    fn node_parts(&self, seed: u64, number: usize) -> NodeParts {
        let handle = self.cluster.nodes[number].clone();
        let named = |what: &str| if number == 0 { what.to_owned() } else { format!("{what}{number}") };
        let provider = |kind, name: &str| {
            let (dice, [_, _, line]) = (Dice::new(seed, &named(name)), handle.lines());
            Arc::new(SimProvider { kind, cloud: self.cloud.clone(), dice, line: line.clone() })
        };
        let providers = Providers::new()
            .with(provider(ProviderKind::Google, "google"))
            .with(provider(ProviderKind::Caldav, "caldav"));
        NodeParts {
            number,
            disk: self.disk.clone(),
            providers,
            clock: Arc::clone(&self.clock),
            dice: Arc::new(Dice::new(seed, &named("node"))),
            bells: self.bells.clone(),
            account_id: self.world.account_id(),
            cache: (!self.cluster.is_alone()).then(|| self.cluster.cache.clone()),
            handle,
        }
    }

    fn populate_clients(&mut self, seed: u64, index: usize, host: &'static str) {
        let (world, clock, journal) = (Arc::clone(&self.world), Arc::clone(&self.clock), self.journal.clone());
        let surroundings = Surroundings { world, clock, journal };
        let (audit, nodes) = (self.audit.clone(), self.cluster.count());
        self.sim.host(host, move || {
            let client = |name| Client::new(name, seed, nodes, surroundings.clone());
            for number in 0..CLIENTS_PER_HOST {
                tokio::spawn(client(format!("{host}{number}")).run());
            }
            if index == 0 {
                tokio::spawn(client("auditor".into()).audit_when_asked(audit.clone()));
            }
            std::future::pending()
        });
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn play(&mut self, plan: &Plan, out: &mut dyn Write) -> io::Result<Verdict> {
        let end = self.start + Duration::from_secs(u64::from(plan.hours) * 3_600);
        loop {
            let mut findings = match self.sim.step() {
                Ok(_) => Vec::new(),
                Err(error) => vec![format!("a host ended: {error}")],
            };
            self.clock.advance(self.sim.elapsed());
            if plan.is_traced {
                self.trace(out)?;
            }
            findings.extend(self.watch.look(self.disk.view()));
            self.note_late();
            findings.extend(self.journal.oddities());
            let is_over = self.direct(end, &mut findings, out)?;
            if is_over || !findings.is_empty() {
                let (counts, quiet_points, tally, ownerless) =
                    (self.counts, self.quiet_points, self.director.tally, self.ownerless);
                let watches = self.cloud.watches();
                return Ok(Verdict { findings, counts, quiet_points, tally, ownerless, watches });
            }
        }
    }

    /// Keeps what the last step sold in a way of which readers may hear late.
    fn note_late(&mut self) {
        for note in &self.watch.notes {
            self.ownerless += u64::from(note.epoch.is_none());
            let Some(cause) = self.director.excuse(note) else { continue };
            self.late.extend(note.took.map(|(owner, range)| Late { owner, range, cause }));
        }
    }

    /// Moves everything that is no host; says whether the simulation is over.
    fn direct(&mut self, end: Timestamp, findings: &mut Vec<String>, out: &mut dyn Write) -> io::Result<bool> {
        let now = self.now();
        match self.phase {
            Phase::Busy { until } => {
                let acknowledged = self.journal.acknowledged();
                let answered = std::mem::replace(&mut self.acknowledged, acknowledged) < acknowledged;
                if let Some(start) = self.people.act(&self.world, &self.cloud, &self.bells, now) {
                    self.journal.rush(start);
                }
                let mut scene = Scene { sim: &mut self.sim, cluster: &self.cluster, cloud: &self.cloud, now };
                if self.director.act(&mut scene, answered) {
                    self.watch.forget();
                }
                if until.min(end) <= now {
                    self.calm(now);
                }
            }
            Phase::Calming { since } => self.wait_for_rest(since, now, findings),
            Phase::Auditing { since } => {
                if let Some(seen) = self.audit.take() {
                    findings.extend(self.judge(&seen, out)?);
                    if end <= now {
                        return Ok(true);
                    }
                    self.resume(now);
                } else if since + CALM_MAX < now {
                    findings.push("the auditor was not answered".into());
                }
            }
        }
        Ok(false)
    }

    fn calm(&mut self, now: Timestamp) {
        self.journal.pause(true);
        let mut scene = Scene { sim: &mut self.sim, cluster: &self.cluster, cloud: &self.cloud, now };
        self.director.heal(&mut scene);
        self.phase = Phase::Calming { since: now };
        self.looked_at = now;
    }

    fn resume(&mut self, now: Timestamp) {
        self.journal.pause(false);
        self.director.resume(&self.disk, now);
        self.phase = Phase::Busy { until: now + BUSY };
    }

    /// Looks once every simulated half minute whether everything is at rest.
    fn wait_for_rest(&mut self, since: Timestamp, now: Timestamp, findings: &mut Vec<String>) {
        if now < self.looked_at + Duration::from_secs(30) {
            return;
        }
        self.looked_at = now;
        if !self.journal.is_idle() {
            return;
        }
        match self.unrest() {
            None => {
                self.audit.request();
                self.phase = Phase::Auditing { since: now };
            }
            Some(unrest) if since + CALM_MAX < now => findings.push(format!("no rest: {unrest}")),
            // Whoever was told to come back in an hour is told that it may come now.
            Some(_) => self.world.places.iter().for_each(|place| self.bells.ring(place.calendar_id)),
        }
    }

    /// The store is asked from outside, where no time passes: so it must take none for that moment.
    fn unrest(&self) -> Option<String> {
        let settings = self.disk.settings();
        self.disk.adjust(|settings| settings.latency = agentcal_sim_store::Span::ZERO);
        let unrest = self.truths().unrest(&self.disk, &self.runtime);
        self.disk.set(settings);
        unrest
    }

    fn truths(&self) -> Truths<'_> {
        Truths { world: &self.world, cloud: &self.cloud, cluster: &self.cluster, view: self.disk.view() }
    }

    /// Compares everything with everything at a quiet point.
    fn judge(&mut self, seen: &[Option<SlotsSeen>], out: &mut dyn Write) -> io::Result<Vec<String>> {
        let truths = self.truths();
        let allowances = Allowances {
            clock_slack_us: 3_000_000,
            offer_slack_us: HEARD_WITHIN_US,
            late_is_stale: self.is_strict,
            ..Allowances::default()
        };
        let events = self.journal.events();
        let report = check(&events, &truths.finale(true, &self.late), &allowances);
        let mut findings: Vec<String> = report.violations.iter().map(|violation| explain(violation, &events)).collect();
        findings.extend(truths.compare(seen));
        drop(truths);
        self.counts = report.counts;
        self.quiet_points += 1;
        let tally = self.director.tally;
        writeln!(
            out,
            "at={:?} requests={} bookings={} stored={} slots_beside_truth={} late={} ownerless={} {tally} digest={:016x}",
            self.now(),
            report.counts.events,
            report.counts.bookings_acknowledged,
            report.counts.bookings,
            report.counts.slots_beside_truth,
            report.counts.offered_late,
            self.ownerless,
            self.journal.digest(),
        )?;
        Ok(findings)
    }

    fn trace(&mut self, out: &mut dyn Write) -> io::Result<()> {
        for event in self.journal.answered_since(&mut self.traced) {
            writeln!(out, "{}", event.to_line())?;
        }
        Ok(())
    }
}

/// What is wrong, with the requests it speaks of.
fn explain(violation: &Violation, events: &[Event]) -> String {
    let fields = serde_json::to_value(violation).unwrap_or_default();
    let numbers = ["event", "first", "second"].iter().filter_map(|field| fields[field].as_u64());
    let spoken_of = numbers.filter_map(|number| events.get(usize::try_from(number).ok()?));
    let lines = spoken_of.map(|event| event.to_line().chars().take(EVENT_CHARS_MAX).collect::<String>());
    lines.fold(violation.to_string(), |all, line| format!("{all}\n       {line}"))
}

/// A number that stands for everything written down.
pub(crate) fn digest_of(before: u64, line: &str) -> u64 {
    xxh3_64_with_seed(line.as_bytes(), before)
}
