//! The program is killed, again and again, while clients hold and book; nothing that was acknowledged is lost, and nothing
//! is sold twice.
//!
//! Lessons: the check is far from the insert, and two guests book; a hold is confirmed and its slot sold to another; an
//! idempotency key is written outside the booking's transaction.

#![expect(clippy::unwrap_used, reason = "a failed test may say so")]

mod client;
mod draw;
mod finale;
mod rows;
mod wire;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agentcal_engine::ids::HoldId;
use agentcal_engine::time::SECOND_US;
use agentcal_history::{Allowances, Event, Final, INTENT, Operation, Outcome, Report, check};
use agentcal_testkit::{Dev, WAIT_MAX, wait_for};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::client::{Client, Shared, TTL_SECONDS};
use crate::draw::Draw;
use crate::wire::{Api, Request, now};
use crate::world::World;

const BINARY: &str = env!("CARGO_BIN_EXE_agentcal");
/// Names how often the program is killed, in place of [`KILLS`].
const KILLS_VARIABLE: &str = "AGENTCAL_KILLS";
const KILLS: u64 = 50;
/// Names the seed, in place of 1.
const SEED_VARIABLE: &str = "AGENTCAL_KILLS_SEED";
const CLIENTS: u64 = 10;
/// Most answers that are waited for after a restart, so that something happens on a slow machine, too.
const ANSWERS_MAX: u64 = 16;
/// How long the program lives after that.
const LIFE_MS: std::ops::RangeInclusive<u64> = 5..=120;
/// Holds that are placed before the first kill and never touched until they have run out.
const SET_ASIDE: usize = 5;
/// Answers round instants to this at most, and all clocks are one.
const CLOCK_SLACK_US: i64 = SECOND_US;

/// The program with the clients it has to do with.
struct Kills {
    dev: Dev,
    runtime: Runtime,
    base_url: watch::Sender<Option<String>>,
    api: Api,
    world: Arc<World>,
    took: Vec<Duration>,
}

#[test]
fn kills_lose_nothing_and_sell_nothing_twice() {
    let (kills, seed) = (number(KILLS_VARIABLE, KILLS), number(SEED_VARIABLE, 1));
    println!("{kills} kills, seed {seed}");
    let mut stage = Kills::begin();
    let mut history = stage.set_aside();
    history.extend(stage.kill_under_load(kills, seed));
    history.extend(stage.confirm_too_late(&history));
    // Clients hand in one after the other; it happened all at once.
    history.sort_by_key(|event| event.invoked_at);
    stage.wait_for_writebacks();
    let listed = stage.runtime.block_on(list_bookings(&mut stage.api.clone(), &stage.world));
    stage.dev.stop();
    let finale = stage.runtime.block_on(finale::read(stage.dev.data_dir(), stage.world.account_id.parse().unwrap()));
    let stored: BTreeMap<_, _> =
        finale.bookings.iter().map(|booking| (booking.id, (booking.range, booking.status))).collect();
    assert_eq!(listed, stored, "the api lists other bookings than the file holds");
    let allowances = Allowances { clock_slack_us: CLOCK_SLACK_US, retries_are_through: true, ..Allowances::default() };
    let report = check(&history, &finale, &allowances);
    print(&history, &report, &stage.took);
    assert!(
        report.is_sound(),
        "{} violations, in {}",
        report.violations.len(),
        keep(&history, &finale, &report).display()
    );
    assert_enough_happened(&history, &report, kills);
}

fn number(variable: &str, default: u64) -> u64 {
    let said = std::env::var(variable).ok();
    said.map_or(default, |said| said.parse().unwrap_or_else(|_| panic!("{variable} must be a number")))
}

impl Kills {
    fn begin() -> Self {
        let limits = ["PER_ORGANIZATION", "PER_SESSION", "PER_USER"].map(|what| format!("AGENTCAL_HOLDS_{what}_MAX"));
        // A dead client's holds stand until they run out; none of the limits shall be what stops the others.
        let variables = limits.each_ref().map(|name| (name.as_str(), "100000"));
        let dev = Dev::start_with(BINARY, &variables);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (base_url, seen) = watch::channel(Some(dev.base_url().to_owned()));
        let api = Api::new(&dev.info().secret_key, seen);
        let world = Arc::new(runtime.block_on(World::make(&api)));
        Self { dev, runtime, base_url, api, world, took: Vec::new() }
    }

    /// Holds that nobody will confirm in time.
    fn set_aside(&self) -> Vec<Event> {
        let mut api = self.api.clone();
        let requests = (0..SET_ASIDE).map(|index| {
            let want = self.world.set_aside(index);
            let mut body = want.body;
            body["ttl_seconds"] = json!(TTL_SECONDS);
            let operation = Operation::Hold { wish: want.wish, session_id: None };
            Request { operation, method: Method::POST, path: self.world.at("/holds"), body: Some(body), key: None }
        });
        let events = requests.map(|request| self.runtime.block_on(api.perform("patient", &request)).unwrap().event);
        events.collect()
    }

    /// Lets clients ask, and kills the program under them so many times. They end when it lives once more.
    fn kill_under_load(&mut self, kills: u64, seed: u64) -> Vec<Event> {
        let (stop, stopping) = watch::channel(false);
        let bookings = Shared::default();
        let clients: Vec<_> = (1..=CLIENTS)
            .map(|number| {
                let (api, world) = (self.api.clone(), Arc::clone(&self.world));
                let client = Client::new(number, seed, api, world, Arc::clone(&bookings));
                self.runtime.spawn(client.run(stopping.clone()))
            })
            .collect();
        let mut draw = Draw::of(seed, 0);
        for _ in 0..kills {
            let enough = self.api.answered() + 1 + draw.next() % ANSWERS_MAX;
            wait_for("answers after a restart", WAIT_MAX, || (self.api.answered() >= enough).then_some(()));
            let span = usize::try_from(LIFE_MS.end() - LIFE_MS.start() + 1).unwrap();
            let life = LIFE_MS.start() + u64::try_from(draw.below(span)).unwrap();
            std::thread::sleep(Duration::from_millis(life));
            self.dev.kill9();
            self.base_url.send_replace(None);
            let killed = Instant::now();
            self.dev.restart();
            self.took.push(killed.elapsed());
            self.base_url.send_replace(Some(self.dev.base_url().to_owned()));
        }
        stop.send_replace(true);
        clients.into_iter().flat_map(|client| self.runtime.block_on(client).expect("no client panics")).collect()
    }

    /// Confirms what was set aside, as soon as the last of it has run out. Clients are gone and no tidying is waited for.
    fn confirm_too_late(&self, history: &[Event]) -> Vec<Event> {
        let held: Vec<(HoldId, &Event)> = history
            .iter()
            .filter(|event| event.client == "patient")
            .filter_map(|event| match &event.answer.as_ref()?.outcome {
                Outcome::Hold(seen) => Some((seen.hold_id, event)),
                _ => None,
            })
            .collect();
        assert_eq!(held.len(), SET_ASIDE, "everything could be set aside");
        wait_for("holds to run out", WAIT_MAX, || history_is_older(history).then_some(()));
        let mut api = self.api.clone();
        let confirms = held.into_iter().enumerate().map(|(index, (hold_id, event))| {
            let Operation::Hold { wish, .. } = &event.operation else { panic!("only holds are set aside") };
            let intent = format!("late-{index}");
            let body = json!({
                "hold_id": hold_id, "attendee": { "name": "Late" }, "metadata": { INTENT: intent },
            });
            let operation = Operation::Book { intent, wish: wish.clone(), hold_id: Some(hold_id) };
            let path = self.world.at("/bookings");
            let request = Request { operation, method: Method::POST, path, body: Some(body), key: None };
            let event = self.runtime.block_on(api.perform("patient", &request)).unwrap().event;
            let outcome = &event.answer.as_ref().unwrap().outcome;
            let expired = Outcome::Refused { status: 409, code: "hold_expired".into() };
            assert_eq!(outcome, &expired, "a hold that ran out was confirmed");
            event
        });
        confirms.collect()
    }

    fn wait_for_writebacks(&self) {
        wait_for("the last writeback", WAIT_MAX, || {
            let pending = self.runtime.block_on(finale::pending_writebacks(self.dev.data_dir()));
            (pending == 0).then_some(())
        });
    }
}

/// Whether everything that was set aside has run out.
fn history_is_older(history: &[Event]) -> bool {
    let ends = history.iter().filter(|event| event.client == "patient").filter_map(|event| {
        let Outcome::Hold(seen) = &event.answer.as_ref()?.outcome else { return None };
        Some(seen.expires_at)
    });
    ends.max().is_some_and(|last| last < now())
}

type Listed = BTreeMap<
    agentcal_engine::ids::BookingId,
    (agentcal_engine::time::TimeRange, agentcal_engine::model::BookingStatus),
>;

/// All bookings, page by page.
async fn list_bookings(api: &mut Api, world: &World) -> Listed {
    let (mut listed, mut cursor) = (Listed::new(), String::new());
    loop {
        let page = api.get(&world.at(&format!("/bookings?limit=100{cursor}"))).await;
        for booking in page["data"].as_array().unwrap() {
            let seen = wire::booking(booking);
            let before = listed.insert(seen.booking_id, (seen.range, seen.status));
            assert!(before.is_none(), "{} is listed twice", seen.booking_id);
        }
        match &page["next_cursor"] {
            Value::Null => return listed,
            next => cursor = format!("&cursor={}", next.as_str().unwrap()),
        }
    }
}

/// A test in which nothing happened would prove nothing.
fn assert_enough_happened(history: &[Event], report: &Report, kills: u64) {
    let counts = &report.counts;
    let kills = usize::try_from(kills).unwrap();
    for (what, found, least) in [
        ("bookings acknowledged", counts.bookings_acknowledged, kills),
        ("holds acknowledged", counts.holds_acknowledged, kills),
        ("holds confirmed", counts.holds_confirmed, kills / 2),
        ("bookings moved", counts.moves_acknowledged, kills / 5),
        ("bookings cancelled", counts.cancels_acknowledged, kills / 5),
        ("writes in doubt", counts.in_doubt, kills),
        ("answers replayed", history.iter().filter(|event| is_replay(event)).count(), kills / 10),
        ("slots compared with taken time", counts.slots_beside_taken, kills),
        ("bookings in a calendar", counts.shown, kills / 50),
    ] {
        assert!(found >= least, "only {found} {what}, not {least}: this run proves too little");
    }
    let unexpected = codes(history).into_keys().find(|(status, code)| *status == 500 || code.ends_with("_not_found"));
    assert_eq!(unexpected, None, "no client asks for what it has not seen, and nothing goes wrong inside");
}

fn is_replay(event: &Event) -> bool {
    event.answer.as_ref().is_some_and(|answer| answer.replayed)
}

/// How often each refusal and each failure was answered.
fn codes(history: &[Event]) -> BTreeMap<(u16, String), usize> {
    let mut codes = BTreeMap::new();
    for event in history {
        if let Some(Outcome::Refused { status, code } | Outcome::Failed { status, code }) =
            event.answer.as_ref().map(|answer| &answer.outcome)
        {
            *codes.entry((*status, code.clone())).or_default() += 1;
        }
    }
    codes
}

fn print(history: &[Event], report: &Report, took: &[Duration]) {
    println!("{}", serde_json::to_string(&report.counts).unwrap());
    println!("replayed {}", history.iter().filter(|event| is_replay(event)).count());
    for ((status, code), count) in codes(history) {
        println!("{count} times {status} {code}");
    }
    let mut took = took.to_vec();
    took.sort_unstable();
    println!("restarts took {:?} in the middle, {:?} at most", took.get(took.len() / 2), took.last());
    for violation in report.violations.iter().take(20) {
        println!("VIOLATION {}", serde_json::to_string(violation).unwrap());
    }
}

/// Writes everything down for whoever has to find out.
fn keep(history: &[Event], finale: &Final, report: &Report) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kills");
    std::fs::create_dir_all(&folder).unwrap();
    let lines: String = history.iter().map(|event| event.to_line() + "\n").collect();
    std::fs::write(folder.join("history.jsonl"), lines).unwrap();
    std::fs::write(folder.join("final.json"), serde_json::to_string_pretty(finale).unwrap()).unwrap();
    std::fs::write(folder.join("report.json"), serde_json::to_string_pretty(report).unwrap()).unwrap();
    folder
}
