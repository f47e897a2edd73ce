//! People, who edit their calendars, and now and then lay hands on events of ours.

use agentcal_engine::model::WritebackState;
use agentcal_engine::time::{DAY_US, HOUR_US, MINUTE_US, TimeRange, Timestamp};
use agentcal_sim_store::{Dice, View};

use crate::cloud::{Cloud, Kind, Wish};
use crate::ledger::{Ledger, Touch};
use crate::world::World;

/// Events of each person before the soak begins.
const EVENTS_FIRST: usize = 8;
/// Most events of one person; beyond them people tidy up.
const EVENTS_MAX: usize = 30;
/// Days ahead people plan.
const DAYS_AHEAD: u64 = 18;
/// How long an event of ours is left alone before and after somebody wants something of it.
const LEFT_ALONE_US: i64 = 2 * HOUR_US;
/// Edits in a thousand that lay hands on an event of ours.
const TOUCHES: u64 = 60;

/// All of them.
pub(crate) struct People {
    dice: Dice,
    /// What each has in the calendar, and when that last changed.
    known: Vec<(Vec<Known>, Timestamp)>,
    pub(crate) edits: u64,
    pub(crate) exceptions: u64,
    pub(crate) touches: u64,
}

struct Known {
    event_id: String,
    wish: Wish,
}

impl People {
    /// Everybody, with a few events each.
    pub(crate) fn settle_in(dice: Dice, world: &World, cloud: &Cloud, now: Timestamp) -> Self {
        let known = world.people.iter().map(|_| (Vec::new(), now)).collect();
        let mut people = Self { dice, known, edits: 0, exceptions: 0, touches: 0 };
        for person in 0..world.people.len() {
            for _ in 0..EVENTS_FIRST {
                people.put(person, world, cloud, now);
            }
        }
        people
    }

    /// When somebody last changed a calendar by hand.
    pub(crate) fn changed_at(&self, person: usize) -> Timestamp {
        self.known[person].1
    }

    /// Somebody edits a calendar.
    pub(crate) fn edit(&mut self, world: &World, cloud: &Cloud, ledger: &Ledger, view: &View) {
        let now = view.now();
        if self.dice.happens(TOUCHES) && self.touch(world, cloud, ledger, view) {
            self.touches += 1;
            return;
        }
        self.edits += 1;
        let person = self.dice.index(world.people.len());
        let count = self.known[person].0.len();
        match self.dice.below(100) {
            _ if count > EVENTS_MAX => self.delete(person, world, cloud, now),
            0..55 => self.put(person, world, cloud, now),
            _ if count == 0 => self.put(person, world, cloud, now),
            55..72 => self.shift(person, world, cloud, now),
            72..84 => self.except(person, world, cloud, now),
            _ => self.delete(person, world, cloud, now),
        }
    }

    fn put(&mut self, person: usize, world: &World, cloud: &Cloud, now: Timestamp) {
        let wish = self.wish(now);
        let event_id = cloud.put(&world.people[person].place, wish);
        self.known[person].0.push(Known { event_id, wish });
        self.known[person].1 = now;
    }

    fn shift(&mut self, person: usize, world: &World, cloud: &Cloud, now: Timestamp) {
        let index = self.dice.index(self.known[person].0.len());
        let wish = self.shifted(self.known[person].0[index].wish, now);
        let (known, changed_at) = &mut self.known[person];
        known[index].wish = wish;
        cloud.shift(&world.people[person].place, &known[index].event_id, wish);
        *changed_at = now;
    }

    /// Moves or deletes one occurrence of a series, on its day.
    fn except(&mut self, person: usize, world: &World, cloud: &Cloud, now: Timestamp) {
        let place = &world.people[person].place;
        let known = &self.known[person].0;
        let all = known.iter().flat_map(|known| cloud.occurrences(place, &known.event_id, known.wish));
        let ahead: Vec<(String, Timestamp)> = all.filter(|(_, start)| *start > now).collect();
        let Some((event_id, start)) = ahead.get(self.dice.index(ahead.len())) else { return };
        if self.dice.happens(500) {
            cloud.delete(place, event_id);
        } else {
            let range = self.range_on(start.as_micros().div_euclid(DAY_US), Kind::Busy);
            cloud.shift(place, event_id, Wish { range, kind: Kind::Busy });
        }
        self.exceptions += 1;
        self.known[person].1 = now;
    }

    fn delete(&mut self, person: usize, world: &World, cloud: &Cloud, now: Timestamp) {
        let index = self.dice.index(self.known[person].0.len());
        let (known, changed_at) = &mut self.known[person];
        let gone = known.swap_remove(index);
        cloud.delete(&world.people[person].place, &gone.event_id);
        *changed_at = now;
    }

    /// Moves or deletes an event of ours that has long been left alone; whether there was one.
    fn touch(&mut self, world: &World, cloud: &Cloud, ledger: &Ledger, view: &View) -> bool {
        let now = view.now();
        let mut book = ledger.open();
        let is_left_alone = |account, id| {
            let booking = view.booking(account, id);
            let hosts = booking.iter().flat_map(|booking| &booking.hosts);
            let mut states = hosts.filter_map(|host| host.writeback.as_ref()).map(|writeback| writeback.state);
            states.all(|state| state == WritebackState::Written)
        };
        let candidates: Vec<_> = book
            .entries
            .iter()
            .filter(|(_, entry)| !entry.is_cancelled && !entry.is_in_hand && entry.touch.is_none())
            .filter(|(_, entry)| entry.range.start > now.plus_micros(LEFT_ALONE_US))
            .filter(|(_, entry)| entry.asked_at < now.plus_micros(-LEFT_ALONE_US))
            .filter(|(id, entry)| is_left_alone(world.people[entry.person].account_id, **id))
            .map(|(id, _)| *id)
            .collect();
        let Some(id) = candidates.get(self.dice.index(candidates.len())) else { return false };
        let Some(entry) = book.entries.get_mut(id) else { return false };
        let place = &world.people[entry.person].place;
        let Some(own) = cloud.own(place).into_iter().find(|own| own.booking_id == *id) else { return false };
        entry.touch = Some(if self.dice.happens(400) {
            cloud.delete(place, &own.event_id);
            Touch::Deleted
        } else {
            let by = self.between_us(90, 300);
            let range = moved(entry.range, by);
            cloud.shift(place, &own.event_id, Wish { range, kind: Kind::Busy });
            Touch::Moved(range)
        });
        self.known[entry.person].1 = now;
        true
    }

    fn wish(&self, now: Timestamp) -> Wish {
        let day = now.as_micros().div_euclid(DAY_US) + self.signed(DAYS_AHEAD);
        let kind = match self.dice.below(100) {
            0..70 => Kind::Busy,
            70..78 => Kind::Free,
            78..86 => Kind::AllDay,
            _ => Kind::Weekly(2 + u32::try_from(self.dice.below(5)).unwrap_or(0)),
        };
        Wish { range: self.range_on(day, kind), kind }
    }

    /// The same at another time; a series on the same days of the week.
    fn shifted(&self, wish: Wish, now: Timestamp) -> Wish {
        let day = match wish.kind {
            Kind::Weekly(_) => wish.range.start.as_micros().div_euclid(DAY_US),
            _ => now.as_micros().div_euclid(DAY_US) + self.signed(DAYS_AHEAD),
        };
        Wish { range: self.range_on(day, wish.kind), kind: wish.kind }
    }

    fn range_on(&self, day: i64, kind: Kind) -> TimeRange {
        let (start, len_us) = match kind {
            Kind::AllDay => (12 * HOUR_US, DAY_US * (1 + self.signed(2))),
            _ => (self.between_us(7 * 60, 17 * 60) / (5 * MINUTE_US) * (5 * MINUTE_US), self.between_us(15, 150)),
        };
        let start = Timestamp::from_micros(day * DAY_US + start);
        let end = start.plus_micros(len_us / MINUTE_US * MINUTE_US);
        TimeRange::new(start, end).expect("an event has a length")
    }

    /// Microseconds between two numbers of minutes, in whole minutes.
    fn between_us(&self, shortest: u64, longest: u64) -> i64 {
        i64::try_from(self.dice.minutes(shortest, longest).as_micros()).unwrap_or(0) / MINUTE_US * MINUTE_US
    }

    fn signed(&self, limit: u64) -> i64 {
        i64::try_from(self.dice.below(limit)).unwrap_or(0)
    }
}

fn moved(range: TimeRange, by_us: i64) -> TimeRange {
    TimeRange { start: range.start.plus_micros(by_us), end: range.end.plus_micros(by_us) }
}
