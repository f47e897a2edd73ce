//! The soak itself: busy times and quiet points.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use agentcal_actors::{Freshness, Scheduler};
use agentcal_engine::facts::{CalendarFacts, MaxAge};
use agentcal_engine::ids::CalendarId;
use agentcal_engine::ports::{Clock, ConfigStore};
use agentcal_engine::time::Timestamp;
use agentcal_sim_store::{Dice, Disk, Settings, SimStore, Span};
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::brake::Brake;
use crate::caller::Callers;
use crate::clock::VirtualClock;
use crate::cloud::Cloud;
use crate::consent;
use crate::figures::{CALLS_PER_DAY_MAX, Figures, Requests};
use crate::judge::{CALM_MAX, Judge};
use crate::ledger::Ledger;
use crate::node::{Cluster, NodeParts, providers};
use crate::people::People;
use crate::plan::{Plan, Planted};
use crate::provider::{Leash, Writes};
use crate::trouble::Troubles;
use crate::world::{Founder, World};

/// 2027-03-15T00:00Z: clocks change thirteen days later.
const START: Timestamp = Timestamp::from_seconds(1_805_068_800);
/// From one quiet point to the end of what follows it.
const ROUND: Duration = Duration::from_secs(24 * 3_600);
/// Mean time between two edits of one person, and between two calls about one.
const EDIT_MS: u64 = 26 * 3_600 * 1_000;
const CALL_MS: u64 = 52 * 3_600 * 1_000;
/// Fewer than so many edits, and so many calls, are under way when trouble comes; for fewer than so many turns of the runtime.
const HURRIED_MAX: u64 = 5;
/// One more may be under way for so many people.
const PEOPLE_PER_HURRIED: u64 = 10;
const TURNS_MAX: u64 = 400;
/// Time between two looks at every calendar.
const LOOK_EVERY: Duration = Duration::from_secs(2 * 3_600);
/// Time between two looks whether everything is at rest.
const REST_LOOK: Duration = Duration::from_secs(5 * 60);
/// Most findings that are printed.
const PRINTED_MAX: usize = 20;
/// Longest time for the first syncs of everybody.
const FIRST_SYNCS_MAX: Duration = Duration::from_secs(3_600);
/// Days after which it is judged what a calendar costs: the first has the beginning of every watch in it.
const COST_DAYS_MIN: u32 = 3;
/// Time between two looks whether everybody's calendar has an owner.
const OWNERS_LOOK: Duration = Duration::from_secs(5);
/// Longest wait for facts as a node has them.
const FACTS_DEADLINE: Duration = Duration::from_secs(10);

/// What came of a soak.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What is wrong; nothing, if all is well.
    pub findings: Vec<String>,
    /// What happened.
    pub figures: Figures,
}

impl Verdict {
    /// Whether nothing was found.
    pub fn holds(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Runs a plan, and writes what happens.
///
/// # Errors
/// When `out` does not take it, or the world could not be set up.
pub fn run(plan: &Plan, out: &mut dyn Write) -> io::Result<Verdict> {
    // Somebody else in this process may have been first, and that one is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    let verdict = runtime.block_on(async {
        writeln!(
            out,
            "soak seed={} days={} calendars=2x{} nodes={}",
            plan.seed, plan.days, plan.calendars, plan.nodes
        )?;
        Stage::set(plan).await?.play(plan, out).await
    })?;
    for line in verdict.figures.lines() {
        writeln!(out, "{line}")?;
    }
    for finding in verdict.findings.iter().take(PRINTED_MAX) {
        writeln!(out, "found: {finding}")?;
    }
    let word = if verdict.holds() { "holds" } else { "violated" };
    let Plan { seed, days, calendars, nodes, .. } = plan;
    write!(out, "VERDICT soak seed={seed} days={days} calendars=2x{calendars} nodes={nodes} ")?;
    writeln!(out, "{} verdict={word}", verdict.figures)?;
    Ok(verdict)
}

struct Stage {
    clock: Arc<VirtualClock>,
    brake: Brake,
    disk: Disk,
    store: SimStore,
    cloud: Arc<Cloud>,
    world: Arc<World>,
    cluster: Cluster,
    people: People,
    troubles: Troubles,
    callers: Callers,
    ledger: Ledger,
    dice: Dice,
    calls: JoinSet<()>,
    promised: BTreeMap<CalendarId, MaxAge>,
    figures: Figures,
    began_at: Timestamp,
}

impl Stage {
    async fn set(plan: &Plan) -> io::Result<Self> {
        let seed = plan.seed;
        let (clock, brake) = (VirtualClock::at(START), Brake::default());
        let disk = Disk::new(Arc::clone(&clock) as _, Arc::new(Dice::new(seed, "disk")));
        let cloud = Arc::new(Cloud::open(clock.for_fakes(), &brake, seed).await);
        let world = found(plan, &clock, &brake, &disk, &cloud).await?;
        let people = People::settle_in(Dice::new(seed, "people"), &world, &cloud, clock.now());
        disk.adjust(|settings| {
            settings.latency = Span::millis(0, 8);
            settings.planted.extend(lost_facts(plan.planted));
        });
        let parts = NodeParts {
            disk: disk.clone(),
            cloud: Arc::clone(&cloud),
            clock: Arc::clone(&clock),
            brake: brake.clone(),
            dice: Arc::new(Dice::new(seed, "node")),
            planted: plan.planted,
        };
        let mut cluster = Cluster::new(parts, plan.nodes).await;
        cluster.start_all().await?;
        let (world, ledger) = (Arc::new(world), Ledger::default());
        let callers = Callers {
            front: cluster.front.clone(),
            world: Arc::clone(&world),
            clock: Arc::clone(&clock),
            ledger: ledger.clone(),
            dice: Arc::new(Dice::new(seed, "callers")),
            counter: Arc::new(AtomicU64::new(0)),
        };
        Ok(Self {
            store: disk.connect(),
            troubles: Troubles::new(Dice::new(seed, "troubles"), clock.now()),
            dice: Dice::new(seed, "director"),
            calls: JoinSet::new(),
            promised: BTreeMap::new(),
            figures: Figures { calendars: plan.calendars * 2, ..Figures::default() },
            began_at: clock.now(),
            clock,
            brake,
            disk,
            cloud,
            world,
            cluster,
            people,
            callers,
            ledger,
        })
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn play(&mut self, plan: &Plan, out: &mut dyn Write) -> io::Result<Verdict> {
        let mut findings = self.first_syncs().await?;
        for _ in 0..plan.days {
            if !findings.is_empty() {
                break;
            }
            let round_ends_at = self.now() + ROUND;
            findings.extend(self.busy(round_ends_at.plus_micros(-micros(CALM_MAX))).await?);
            if findings.is_empty() {
                findings.extend(self.calm().await?);
            }
            self.count();
            writeln!(out, "at={:?} {}", self.now(), self.figures)?;
            out.flush()?;
            if findings.is_empty() {
                sleep(round_ends_at.saturating_since(self.now())).await;
            }
        }
        self.count();
        let (calls, tokens) = (self.figures.calls_per_day(), self.figures.tokens_per_day());
        if findings.is_empty() && plan.days >= COST_DAYS_MIN && calls + tokens >= CALLS_PER_DAY_MAX {
            findings.push(format!("a calendar costs {calls:.1} requests a day, and {tokens:.1} for tokens"));
        }
        match self.brake.gave_way() {
            0 => {}
            times => findings.push(format!("something was stuck {times} times")),
        }
        Ok(Verdict { findings, figures: self.figures.clone() })
    }

    /// Everybody's calendar is read, and from then on requests are counted.
    async fn first_syncs(&mut self) -> io::Result<Vec<String>> {
        let Some(scheduler) = self.cluster.schedulers().next() else {
            return Ok(vec!["no node is up".to_owned()]);
        };
        let until = self.now() + FIRST_SYNCS_MAX;
        for &account_id in &self.world.accounts {
            let of_account = self.world.people.iter().filter(|person| person.account_id == account_id);
            let ids: Vec<CalendarId> = of_account.map(|person| person.calendar_id).collect();
            // While shards find their owners, some are nobody's for a moment.
            while !scheduler.synced(account_id, &ids, FIRST_SYNCS_MAX).await {
                if until < self.now() {
                    return Ok(vec![format!("the calendars of {account_id} have not been read")]);
                }
                sleep(OWNERS_LOOK).await;
            }
            let config = match self.store.account_config(account_id).await {
                Ok(Some(config)) => config,
                other => {
                    return Ok(vec![format!("the configuration of {account_id} could not be read: {other:?}")]);
                }
            };
            let ages = ids.iter().filter_map(|&id| Some((id, scheduler.stale_after(&config, &[id])?)));
            self.promised.extend(ages);
        }
        let findings = self.calm().await?;
        (self.figures.quiet_points, self.began_at) = (0, self.now());
        self.cloud.calls().into_iter().for_each(|(_, calls)| calls.reset());
        Ok(findings)
    }

    /// People edit, callers call, and things go wrong.
    async fn busy(&mut self, until: Timestamp) -> io::Result<Vec<String>> {
        let count = self.world.people.len() as u64;
        let (mut edit_at, mut call_at) = (self.now(), self.now());
        let mut look_at = self.now() + LOOK_EVERY;
        loop {
            let at = edit_at.min(call_at).min(look_at).min(self.troubles.due_at()).min(until);
            sleep(at.saturating_since(self.now())).await;
            let now = self.now();
            if until <= now {
                return Ok(Vec::new());
            }
            if edit_at <= now {
                self.edit();
                edit_at = now + self.dice.wait(EDIT_MS / count);
            }
            if call_at <= now {
                self.call();
                call_at = now + self.dice.wait(CALL_MS / count);
            }
            if self.troubles.due_at() <= now {
                self.hurry().await;
                self.troubles.act(now, &self.world, &self.cloud, &mut self.cluster).await?;
            }
            if look_at <= now {
                let findings = self.look().await;
                if !findings.is_empty() {
                    return Ok(findings);
                }
                look_at = now + LOOK_EVERY;
            }
        }
    }

    fn edit(&mut self) {
        self.people.edit(&self.world, &self.cloud, &self.ledger, &self.disk.view());
    }

    fn call(&mut self) {
        self.calls.spawn(self.callers.clone().call());
        while self.calls.try_join_next().is_some() {}
    }

    /// Trouble comes while much is under way: requests take no virtual time, so that it would hardly ever meet one.
    async fn hurry(&mut self) {
        // Where few live, as much trouble comes as where many do, and shall not make up most of what is done.
        let most = (self.world.people.len() as u64 / PEOPLE_PER_HURRIED).clamp(2, HURRIED_MAX);
        (0..self.dice.below(most)).for_each(|_| self.edit());
        (0..self.dice.below(most)).for_each(|_| self.call());
        for _ in 0..self.dice.below(TURNS_MAX) {
            yield_now().await;
        }
    }

    async fn look(&mut self) -> Vec<String> {
        let in_hand = {
            let book = self.ledger.open();
            book.entries.values().filter(|entry| entry.is_in_hand).map(|entry| entry.person).collect()
        };
        let settings = self.at_once();
        let judge = Judge {
            world: &self.world,
            cloud: &self.cloud,
            store: &self.store,
            people: &self.people,
            writes: &self.cluster.writes,
            view: self.disk.view(),
        };
        let findings = judge.look(&self.promised, in_hand, &mut self.figures).await;
        self.disk.set(settings);
        findings
    }

    /// Has the store take no time, so that everything is seen as it is at one instant; how it was before.
    fn at_once(&self) -> Settings {
        let settings = self.disk.settings();
        self.disk.adjust(|settings| settings.latency = Span::ZERO);
        settings
    }

    /// Nobody does anything and nothing fails any more, until everything is at rest; then everything is compared.
    async fn calm(&mut self) -> io::Result<Vec<String>> {
        let since = self.now();
        self.troubles.rest(&self.cloud, &mut self.cluster, since + CALM_MAX).await?;
        loop {
            while self.calls.try_join_next().is_some() {}
            let unrest = match self.calls.len() {
                0 => self.unrest().await,
                calls => Some(format!("{calls} callers wait")),
            };
            match unrest {
                None => break,
                Some(unrest) if since + CALM_MAX < self.now() => return Ok(vec![format!("no rest: {unrest}")]),
                Some(_) => sleep(REST_LOOK).await,
            }
        }
        self.figures.longest_calm = self.figures.longest_calm.max(self.now().saturating_since(since));
        self.figures.quiet_points += 1;
        let judge = self.judge();
        Ok(judge.bookings(&self.ledger.open()))
    }

    fn judge(&self) -> Judge<'_> {
        Judge {
            world: &self.world,
            cloud: &self.cloud,
            store: &self.store,
            people: &self.people,
            writes: &self.cluster.writes,
            view: self.disk.view(),
        }
    }

    async fn unrest(&self) -> Option<String> {
        if self.cluster.is_short() {
            return Some("a node is down".to_owned());
        }
        for scheduler in self.cluster.schedulers() {
            let known = self.known_at(scheduler).await;
            let settings = self.at_once();
            let unrest = self.judge().unrest(&known).await;
            self.disk.set(settings);
            if unrest.is_some() {
                return unrest;
            }
        }
        None
    }

    /// The facts of everybody's calendar as one node has them: of its own in memory, of others' from the cache or its owner.
    async fn known_at(&self, scheduler: &Scheduler) -> Vec<CalendarFacts> {
        let mut known: Vec<CalendarFacts> = Vec::new();
        for person in &self.world.people {
            let need = Freshness { max_age: None, deadline: FACTS_DEADLINE };
            let facts = scheduler.facts(person.account_id, &[person.calendar_id], need).await;
            known.extend(facts.iter().map(|facts| (**facts).clone()));
        }
        known
    }

    fn count(&mut self) {
        let book = self.ledger.open();
        let figures = &mut self.figures;
        figures.lasted = self.clock.now().saturating_since(self.began_at);
        (figures.edits, figures.exceptions) = (self.people.edits, self.people.exceptions);
        figures.touches = self.people.touches;
        figures.bookings = book.entries.len() as u64;
        (figures.acknowledged, figures.repeated) = (book.acknowledged, book.repeated);
        figures.unanswered = book.unanswered;
        figures.bells_struck = self.cloud.bells_struck();
        figures.refused = self.cloud.refused();
        figures.tally = self.troubles.tally;
        figures.requests = Requests::of(&self.cloud);
    }
}

async fn found(plan: &Plan, clock: &Arc<VirtualClock>, brake: &Brake, disk: &Disk, cloud: &Cloud) -> io::Result<World> {
    let dice = Arc::new(Dice::new(plan.seed, "world"));
    let leash = Leash {
        brake: brake.clone(),
        clock: Arc::clone(clock),
        writes: Writes::default(),
        death: CancellationToken::new(),
        planted: None,
    };
    let port = Arc::clone(clock) as Arc<dyn Clock>;
    let founder = Founder {
        store: &disk.connect(),
        cloud,
        providers: &providers(cloud, &port, &dice, &leash)?,
        servers: &consent::servers(cloud, clock).map_err(io::Error::other)?,
        clock: &port,
        brake,
        dice: &dice,
    };
    founder.found(plan.calendars).await
}

/// What the store does wrong, where that is planted.
fn lost_facts(planted: Option<Planted>) -> Option<agentcal_sim_store::Planted> {
    (planted == Some(Planted::CursorWithoutFacts)).then_some(agentcal_sim_store::Planted::CursorWithoutFacts)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
