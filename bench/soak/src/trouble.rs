//! What goes wrong, and when.

use std::fmt;
use std::io;

use agentcal_engine::model::ProviderKind;
use agentcal_engine::time::Timestamp;
use agentcal_fake_kit::{Fault, Rule, When};
use agentcal_sim_store::Dice;
use serde_json::json;

use crate::cloud::Cloud;
use crate::node::Cluster;
use crate::world::World;

/// Minutes between two troubles.
const GAP: (u64, u64) = (60, 300);
/// Minutes a trouble lasts that lasts.
const LENGTH: (u64, u64) = (5, 50);
/// Calendars that are struck at once where single ones are.
const STRUCK_AT_ONCE: usize = 8;

/// How often each happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Orderly ends of a node, with a new start.
    pub restarts: u32,
    /// Crashes.
    pub crashes: u32,
    /// Times the cache that nodes share forgot everything.
    pub flushes: u32,
    /// Times all access tokens of a provider died.
    pub tokens: u32,
    /// Times cursors died.
    pub cursors: u32,
    /// Times watches ended, with a word or without.
    pub watches: u32,
    /// Times a provider put up with little.
    pub quotas: u32,
    /// Times a provider failed, or broke connections.
    pub storms: u32,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { restarts, crashes, flushes, tokens, cursors, watches, quotas, storms } = self;
        write!(f, "restarts={restarts} crashes={crashes} flushes={flushes} ")?;
        write!(f, "tokens_died={tokens} cursors_died={cursors} ")?;
        write!(f, "watches_ended={watches} quotas={quotas} storms={storms}")
    }
}

/// Makes things go wrong.
pub(crate) struct Troubles {
    dice: Dice,
    next_at: Timestamp,
    /// When the one that lasts is over.
    over_at: Option<Timestamp>,
    /// When nodes that are down come back.
    back_at: Option<Timestamp>,
    pub(crate) tally: Tally,
}

impl Troubles {
    pub(crate) fn new(dice: Dice, now: Timestamp) -> Self {
        let next_at = now + dice.minutes(GAP.0, GAP.1);
        Self { dice, next_at, over_at: None, back_at: None, tally: Tally::default() }
    }

    /// When there is next something to do.
    pub(crate) fn due_at(&self) -> Timestamp {
        self.over_at.into_iter().chain(self.back_at).fold(self.next_at, Timestamp::min)
    }

    /// Nothing goes wrong until this instant at least, and nobody is down any more.
    pub(crate) async fn rest(&mut self, cloud: &Cloud, cluster: &mut Cluster, until: Timestamp) -> io::Result<()> {
        (self.over_at, self.back_at) = (None, None);
        cloud.heal();
        self.next_at = self.next_at.max(until);
        cluster.start_all().await
    }

    /// Does what it is time to do.
    pub(crate) async fn act(
        &mut self,
        now: Timestamp,
        world: &World,
        cloud: &Cloud,
        cluster: &mut Cluster,
    ) -> io::Result<()> {
        if self.over_at.is_some_and(|over_at| over_at <= now) {
            self.over_at = None;
            cloud.heal();
        }
        if self.back_at.is_some_and(|back_at| back_at <= now) {
            self.back_at = None;
            cluster.start_all().await?;
        }
        if now < self.next_at {
            return Ok(());
        }
        self.next_at = now + self.dice.minutes(GAP.0, GAP.1);
        self.strike(now, world, cloud, cluster).await
    }

    async fn strike(&mut self, now: Timestamp, world: &World, cloud: &Cloud, cluster: &mut Cluster) -> io::Result<()> {
        let provider = if self.dice.happens(500) { ProviderKind::Google } else { ProviderKind::Microsoft };
        match self.dice.below(if cluster.is_shared() { 13 } else { 12 }) {
            0 | 1 => {
                let living = cluster.living();
                let number = *self.dice.pick(&living);
                cluster.stop(number).await;
                self.tally.restarts += 1;
                self.bring_back(now, number, cluster).await?;
            }
            2 | 3 => {
                let living = cluster.living();
                let number = *self.dice.pick(&living);
                cluster.crash(number);
                self.tally.crashes += 1;
                self.bring_back(now, number, cluster).await?;
            }
            4 => {
                cloud.expire_tokens(provider);
                self.tally.tokens += 1;
            }
            5 | 6 => {
                self.some_of(world).for_each(|person| cloud.forget_cursors(&world.people[person].place));
                self.tally.cursors += 1;
            }
            7 => {
                let struck: Vec<usize> = self.some_of(world).collect();
                struck.into_iter().for_each(|person| cloud.end_watches(&world.people[person].place, &self.dice));
                self.tally.watches += 1;
            }
            12 => {
                cluster.flush_cache();
                self.tally.flushes += 1;
            }
            8 | 9 => {
                cloud.tighten(provider, &self.dice);
                self.over_at = Some(now + self.dice.minutes(LENGTH.0, LENGTH.1));
                self.tally.quotas += 1;
            }
            _ => {
                self.storm(provider, cloud);
                self.over_at = Some(now + self.dice.minutes(LENGTH.0, LENGTH.1));
                self.tally.storms += 1;
            }
        }
        Ok(())
    }

    /// The only node, and half of the others, is back at once; the rest when they have been missed for a while.
    async fn bring_back(&mut self, now: Timestamp, number: usize, cluster: &mut Cluster) -> io::Result<()> {
        if cluster.living().is_empty() || self.dice.happens(500) {
            return cluster.start(number).await;
        }
        self.back_at = Some(now + self.dice.minutes(LENGTH.0, LENGTH.1));
        Ok(())
    }

    fn some_of(&self, world: &World) -> impl Iterator<Item = usize> {
        let count = world.people.len();
        (0..STRUCK_AT_ONCE.min(count)).map(move |_| self.dice.index(count))
    }

    /// Some requests fail, some are not done, and of some that are done the answer is lost.
    fn storm(&self, provider: ProviderKind, cloud: &Cloud) {
        let away = Fault::json(503, &json!({ "error": { "code": 503, "message": "Backend Error" } }));
        for fault in [away, Fault::Drop, Fault::LoseAnswer] {
            let share = u16::try_from(self.dice.below(400)).unwrap_or(0);
            let when = When::PerMille { share, seed: self.dice.below(u64::MAX) };
            cloud.faults(provider).add(Rule { method: None, path_contains: String::new(), when, fault });
        }
    }
}
