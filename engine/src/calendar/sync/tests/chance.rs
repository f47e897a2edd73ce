//! A provider, a store and a clock driven by chance. At rest the facts equal the provider's truth; two requests are never
//! open at once; no bell is lost.

use super::*;

const SEEDS: u64 = 400;
const STEPS: u32 = 250;
const NAMES: u64 = 6;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

type Rows = BTreeMap<String, ResourceChange>;

/// A calendar at a provider: its truth, and the order in which things changed.
#[derive(Default)]
struct Server {
    truth: Rows,
    history: Vec<String>,
    oldest_cursor: usize,
}

impl Server {
    fn change(&mut self, dice: &mut Dice) {
        let name = format!("event {}", dice.roll(NAMES));
        match dice.roll(4) {
            0 => drop(self.truth.remove(&name)),
            _ => drop(self.truth.insert(name.clone(), change(&name, &[dice.roll(1_000) as i64]))),
        }
        self.history.push(name);
    }

    fn now_of(&self, name: &str) -> ResourceChange {
        self.truth.get(name).cloned().unwrap_or_else(|| change(name, &[]))
    }

    /// Pages name where they continue as `cursor:last name`. Between two pages the truth may move on; the cursor is taken at
    /// the first, so that the next sync brings what a page no longer could.
    fn answer(&self, request: &SyncRequest) -> Result<SyncPage, ProviderError> {
        let (cursor, after) = match &request.page {
            None => (self.history.len(), String::new()),
            Some(page) => {
                let (cursor, after) = page.split_once(':').expect("a page of ours");
                (cursor.parse().expect("a number"), after.to_owned())
            }
        };
        let names: Vec<String> = match &request.mode {
            SyncMode::Full => self.truth.keys().cloned().collect(),
            SyncMode::Incremental { cursor: SyncCursor(since) } => {
                let since: usize = since.parse().expect("a cursor of ours");
                if since < self.oldest_cursor {
                    return Err(ProviderError::CursorGone);
                }
                let mut names = self.history[since..cursor].to_vec();
                names.sort();
                names.dedup();
                names
            }
        };
        let rest: Vec<String> = names.into_iter().filter(|name| *name > after).collect();
        let changes = rest.iter().take(2).map(|name| self.now_of(name)).collect();
        let next = match rest.get(1) {
            Some(last) if rest.len() > 2 => SyncNext::Page(format!("{cursor}:{last}")),
            _ => SyncNext::Done { cursor: SyncCursor(cursor.to_string()) },
        };
        Ok(SyncPage { changes, next, oddities: Oddities::default() })
    }
}

/// What the store port promises of `save_sync`.
#[derive(Default)]
struct Shelf {
    generations: BTreeMap<u64, Rows>,
    state: SyncState,
}

impl Shelf {
    fn save(&mut self, save: &SaveSync) {
        if save.begins_shadow {
            self.generations.insert(save.generation, Rows::new());
        }
        let rows = self.generations.entry(save.generation).or_default();
        for change in &save.changes {
            rows.insert(change.provider_event_id.clone(), change.clone());
        }
        rows.retain(|_, change| !change.instances.is_empty());
        if let Some(state) = &save.finish {
            self.state = state.clone();
            self.generations.retain(|&generation, _| generation == state.generation);
        }
    }

    fn facts(&self) -> Rows {
        self.generations.get(&self.state.generation).cloned().unwrap_or_default()
    }
}

struct World {
    dice: Dice,
    server: Server,
    shelf: Shelf,
    machine: SyncMachine,
    open: Option<SyncEffect>,
    now: i64,
    calm: bool,
    bell_unanswered: Option<i64>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            dice: Dice(seed),
            server: Server::default(),
            shelf: Shelf::default(),
            machine: machine(SyncState::default()),
            open: None,
            now: 0,
            calm: false,
            bell_unanswered: None,
        }
    }

    fn trouble(&mut self, one_in: u64) -> bool {
        !self.calm && self.dice.roll(one_in) == 0
    }

    fn step(&mut self) {
        match self.dice.roll(10) {
            0 | 1 => self.server.change(&mut self.dice),
            2 => self.ring(),
            3 => self.now += self.dice.roll(40) as i64,
            4 if self.trouble(6) => self.server.oldest_cursor = self.server.history.len(),
            5 if self.trouble(20) => self.crash(),
            _ => self.turn(),
        }
        self.collect();
    }

    fn ring(&mut self) {
        self.machine.handle_bell(at(self.now));
        self.bell_unanswered.get_or_insert(self.now);
    }

    /// The process dies: what was open is lost, and a new machine starts from what is saved. It owes nobody a bell.
    fn crash(&mut self) {
        self.open = None;
        self.bell_unanswered = None;
        self.machine = machine(self.shelf.state.clone());
    }

    fn turn(&mut self) {
        match self.open.take() {
            Some(effect) => self.close(effect),
            None if self.machine.wants_run(at(self.now)).is_some() => self.machine.start(at(self.now)),
            None => self.now += 1,
        }
    }

    fn close(&mut self, effect: SyncEffect) {
        let now = at(self.now);
        match effect {
            SyncEffect::Fetch(_) if self.trouble(8) => {
                let error = match self.dice.roll(3) {
                    0 => ProviderError::RateLimited {
                        retry_after: Some(Duration::from_secs(30)),
                        of: LimitKind::Mailbox,
                    },
                    1 => ProviderError::CursorGone,
                    _ => ProviderError::Unavailable("time-out".into()),
                };
                self.machine.handle_page(Err(error), now, &Zero);
            }
            SyncEffect::Fetch(request) => self.machine.handle_page(self.server.answer(&request), now, &Zero),
            SyncEffect::Save(_) if self.trouble(12) => self.machine.handle_saved(Saved::Failed, now),
            SyncEffect::Save(save) => {
                self.shelf.save(&save);
                self.machine.handle_saved(Saved::Done, now);
            }
            SyncEffect::SaveFailure(failure) => {
                self.shelf.state = failure.state;
                self.machine.handle_failure_saved(Saved::Done, now);
            }
            SyncEffect::Compare => self.machine.handle_compared(true),
            SyncEffect::Mark { .. } | SyncEffect::Ended(_) => unreachable!("needs no answer"),
        }
    }

    fn collect(&mut self) {
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                SyncEffect::Mark { .. } => {}
                SyncEffect::Ended(end) => self.note(end),
                request => {
                    assert!(self.open.is_none(), "two requests at once: {:?} and {request:?}", self.open);
                    self.open = Some(request);
                }
            }
        }
    }

    fn note(&mut self, end: SyncEnd) {
        if end.outcome != SyncOutcome::Failed && self.bell_unanswered.is_some_and(|bell| at(bell) <= end.began_at) {
            self.bell_unanswered = None;
        }
    }

    /// No more trouble and no more change: it must come to rest by itself, before the next poll but one.
    fn settle(&mut self) {
        self.calm = true;
        self.now += 1;
        self.machine.handle_bell(at(self.now));
        self.bell_unanswered = Some(self.now);
        for _ in 0..2_000 {
            if self.open.is_none() && self.bell_unanswered.is_none() {
                return;
            }
            self.turn();
            self.collect();
        }
        panic!("a bell was never answered: {:?}", self.machine);
    }
}

#[test]
fn at_rest_the_facts_equal_the_providers_truth_whatever_happened() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.settle();
        assert_eq!(world.shelf.facts(), world.server.truth, "seed {seed}");
    }
}
