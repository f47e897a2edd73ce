//! People at work in their calendars: they put events in, move and delete them, and sometimes lay hands on ours.

use std::time::Duration;

use agentcal_engine::time::{DAY_US, HOUR_US, MINUTE_US, TimeRange, Timestamp};
use agentcal_sim_store::Dice;

use crate::node::Bells;
use crate::provider::{Cloud, Edit};
use crate::world::{HOT_US, World};

/// Most events of people in one calendar.
const EVENTS_MAX: usize = 25;

/// All of them.
pub(crate) struct People {
    dice: Dice,
    counter: u64,
    next_at: Timestamp,
    rush_at: Timestamp,
    /// Notifications that are late.
    late: Vec<(Timestamp, usize)>,
}

impl People {
    pub(crate) fn new(dice: Dice, start: Timestamp) -> Self {
        Self { dice, counter: 0, next_at: start, rush_at: start, late: Vec::new() }
    }

    /// Fills the calendars before the simulation begins.
    pub(crate) fn settle_in(&mut self, world: &World, cloud: &Cloud, now: Timestamp) {
        for place in &world.places {
            for _ in 0..8 {
                let edit = self.put(now);
                cloud.edit(&place.name, edit, Duration::ZERO);
            }
        }
    }

    /// Does what it is time to do; returns a time everybody wants from now on.
    pub(crate) fn act(&mut self, world: &World, cloud: &Cloud, bells: &Bells, now: Timestamp) -> Option<Timestamp> {
        self.edit_when_due(world, cloud, bells, now);
        if now < self.rush_at {
            return None;
        }
        self.rush_at = now + self.dice.seconds(10, 60);
        Some(self.popular_hour(now))
    }

    fn edit_when_due(&mut self, world: &World, cloud: &Cloud, bells: &Bells, now: Timestamp) {
        let due = self.late.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>();
        for (_, place) in due {
            bells.ring(world.places[place].calendar_id);
        }
        if now < self.next_at {
            return;
        }
        self.next_at = now + self.dice.seconds(5, 40);
        let place = self.dice.index(world.places.len());
        let edit = self.edit(&world.places[place].name, cloud, now);
        let Some(edit) = edit else { return };
        // Some providers tell what happened only after a while.
        let told_after = if self.dice.happens(150) { self.dice.seconds(1, 15) } else { Duration::ZERO };
        cloud.edit(&world.places[place].name, edit, told_after);
        match self.dice.below(10) {
            0..5 => bells.ring(world.places[place].calendar_id),
            5..7 => self.late.push((now + self.dice.seconds(1, 90), place)),
            _ => {}
        }
    }

    fn edit(&mut self, name: &str, cloud: &Cloud, now: Timestamp) -> Option<Edit> {
        let (theirs, ours) = cloud.look(name, |shelf| (shelf.names_of_people(), shelf.ours()))?;
        match self.dice.below(20) {
            0 if !ours.is_empty() => {
                let name = self.dice.pick(&ours).0.clone();
                Some(Edit::MoveOurs { name, range: self.some_time(now) })
            }
            1 if !ours.is_empty() => Some(Edit::Delete { name: self.dice.pick(&ours).0.clone() }),
            2..10 if theirs.len() < EVENTS_MAX => Some(self.put(now)),
            10..14 if !theirs.is_empty() => {
                let name = self.dice.pick(&theirs).clone();
                Some(Edit::Put { name, instances: vec![self.some_time(now)], blocks: true })
            }
            _ if !theirs.is_empty() => Some(Edit::Delete { name: self.dice.pick(&theirs).clone() }),
            _ => None,
        }
    }

    fn put(&mut self, now: Timestamp) -> Edit {
        self.counter += 1;
        let first = self.some_time(now);
        let weeks = if self.dice.happens(150) { 4 } else { 1 };
        let shifted = |week: i64| TimeRange {
            start: first.start.plus_micros(week * 7 * DAY_US),
            end: first.end.plus_micros(week * 7 * DAY_US),
        };
        let instances = (0..weeks).map(shifted).collect();
        Edit::Put { name: format!("theirs-{:04}", self.counter), instances, blocks: self.dice.happens(850) }
    }

    /// An hour that everybody is about to want.
    fn popular_hour(&self, now: Timestamp) -> Timestamp {
        let hours = u64::try_from(HOT_US / HOUR_US).unwrap_or(1);
        let ahead = i64::try_from(1 + self.dice.below(hours)).unwrap_or(1) * HOUR_US;
        Timestamp::from_micros((now.as_micros() + ahead) / HOUR_US * HOUR_US)
    }

    /// Mostly in the hours clients fight for, seldom on their grid.
    fn some_time(&self, now: Timestamp) -> TimeRange {
        let ahead_us = if self.dice.happens(700) { HOT_US } else { 10 * DAY_US };
        let minutes = self.dice.below(u64::try_from(ahead_us / MINUTE_US).unwrap_or(1));
        let start = now.plus_micros(i64::try_from(minutes).unwrap_or(0) * MINUTE_US);
        let start = Timestamp::from_micros(start.as_micros() / (5 * MINUTE_US) * (5 * MINUTE_US));
        let length = 5 * (1 + i64::try_from(self.dice.below(18)).unwrap_or(0));
        TimeRange { start, end: start.plus_micros(length * MINUTE_US) }
    }
}
