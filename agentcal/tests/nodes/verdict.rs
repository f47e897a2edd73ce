//! Whether all was well, in one line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use agentcal_engine::time::{SECOND_US, Timestamp};
use agentcal_history::{Allowances, Event, Final, FreshnessState, Operation, Outcome, Report, check};

use crate::audit::{self, Commits};
use crate::cluster::Cluster;
use crate::finale::Wrong;
use crate::lateness::Lateness;
use crate::nemesis::{Act, MISFORTUNES, Misfortune};
use crate::{keep, lateness, world_of};

/// How the nodes were built.
pub(crate) const BUILD: &str = if cfg!(debug_assertions) { "debug" } else { "release" };
/// Answers round instants to this at most, and all clocks are one.
const CLOCK_SLACK_US: i64 = SECOND_US;
/// For how long what was taken without its owner may be offered.
const OFFER_SLACK_US: i64 = 5 * SECOND_US;
/// Time until a booking after the death of an owner, in the middle of all deaths. Slower nodes have more of it, and still
/// less than the lease of the dead: nobody waits for that.
const RESUMED_MAX_US: i64 = if cfg!(debug_assertions) { 5 * SECOND_US } else { SECOND_US };
/// On a machine with much to do, a booking takes as long in peace: so many times what it then takes is added.
const RESUMED_TIMES: i64 = 3;

/// What happened.
pub(crate) struct Run<'r> {
    pub(crate) seed: u64,
    pub(crate) seconds: u64,
    pub(crate) history: &'r [Event],
    pub(crate) finale: &'r Final,
    pub(crate) acts: &'r [Act],
    pub(crate) wrong: Wrong,
}

/// Prints what came of it: the last line says whether all of it holds.
///
/// # Panics
/// When anything is wrong, or too little happened.
pub(crate) fn judge(run: &Run<'_>, cluster: &Cluster) {
    let allowances = Allowances {
        clock_slack_us: CLOCK_SLACK_US,
        offer_slack_us: OFFER_SLACK_US,
        // Who answers cannot know, short of asking the database at every question. It is counted, with its causes.
        late_is_stale: false,
        retries_are_through: true,
        ..Allowances::default()
    };
    let report = check(run.history, run.finale, &allowances);
    let commits = audit::commits(cluster.postgres());
    let resumed = Resumed::of(run);
    print(run, &report);
    let mut complaints = Vec::new();
    if !report.is_sound() {
        complaints.push(format!("{} violations", report.violations.len()));
    }
    if run.wrong != Wrong::default() {
        complaints.push(format!("the database counts what must not be: {:?}", run.wrong));
    }
    if !resumed.is_soon() {
        complaints.push(format!("no booking for {} ms after the death of an owner", millis(resumed.middle_us)));
    }
    complaints.extend(too_little(run, &report, commits));
    let kept = keep(run, &report, cluster);
    for complaint in &complaints {
        println!("VIOLATED {complaint}; see {}", kept.display());
    }
    println!("VERDICT {}", line(run, &report, commits, &resumed, complaints.is_empty()));
    assert_eq!(complaints, Vec::<String>::new(), "see {}", kept.display());
}

fn line(run: &Run<'_>, report: &Report, commits: Commits, resumed: &Resumed, holds: bool) -> String {
    let (counts, verdict) = (&report.counts, if holds { "holds" } else { "violated" });
    let of_kind = |name: &str| report.violations.iter().filter(|violation| kind(violation) == name).count();
    let effects =
        run.wrong.unwritten + run.wrong.strangers + i64::try_from(of_kind("shown_wrongly")).unwrap_or(i64::MAX);
    format!(
        "chaos seed={} seconds={} build={BUILD} misfortunes={} requests={} bookings={} holds={} in_doubt={} healed={} \
         commits={} ownerless={} moves={} overlaps={} lost={} superseded={} effects_astray={effects} \
         offered_taken={} {} violations={} resumed_ms={}/{}/{} usually_ms={} verdict={verdict}",
        run.seed,
        run.seconds,
        run.acts.len(),
        run.history.len(),
        counts.bookings_acknowledged,
        counts.holds_acknowledged,
        counts.in_doubt,
        counts.healed,
        commits.owned,
        commits.ownerless,
        commits.moves,
        run.wrong.overlaps,
        of_kind("booking_lost"),
        of_kind("written_by_superseded"),
        of_kind("offered_taken"),
        Lateness::of(report),
        report.violations.len(),
        millis(resumed.middle_us),
        millis(resumed.longest_us),
        resumed.count,
        millis(resumed.usual_us),
    )
}

fn print(run: &Run<'_>, report: &Report) {
    for ((status, code), count) in codes(run.history) {
        println!("{count} times {status} {code}");
    }
    for act in run.acts {
        let resumed = resumed_us(run.history, act).into_iter().map(millis).collect::<Vec<_>>();
        if !resumed.is_empty() {
            println!("{:?} {}: bookings after {resumed:?} ms", act.what, act.how);
        }
    }
    lateness::print(run.acts, report);
    println!("{} of answers complete; {}", complete(run.history), serde_json::to_string(&report.counts).unwrap());
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for violation in &report.violations {
        let count = kinds.entry(kind(violation)).or_default();
        *count += 1;
        if *count <= 5 {
            println!("VIOLATION {}", serde_json::to_string(violation).unwrap());
        }
    }
    if !kinds.is_empty() {
        println!("{kinds:?}");
    }
}

fn kind(violation: &agentcal_history::Violation) -> String {
    serde_json::to_value(violation).unwrap()["violation"].as_str().unwrap().to_owned()
}

/// How soon bookings were made again after the deaths of owners.
struct Resumed {
    count: usize,
    middle_us: i64,
    longest_us: i64,
    /// The same from any booking to the next that is asked for after it: what one in ten takes longer than.
    usual_us: i64,
}

impl Resumed {
    fn of(run: &Run<'_>) -> Self {
        let deaths = [Misfortune::OwnerKilled, Misfortune::AnyKilled];
        let acts = run.acts.iter().filter(|act| deaths.contains(&act.what));
        let mut all: Vec<i64> = acts.flat_map(|act| resumed_us(run.history, act)).collect();
        all.sort_unstable();
        let longest_us = all.last().copied().unwrap_or_default();
        Self { count: all.len(), middle_us: middle(all), longest_us, usual_us: usual_us(run.history) }
    }

    fn is_soon(&self) -> bool {
        self.count > 0 && self.middle_us <= RESUMED_MAX_US + RESUMED_TIMES * self.usual_us
    }
}

fn middle(mut numbers: Vec<i64>) -> i64 {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

fn usual_us(history: &[Event]) -> i64 {
    let mut by_world: BTreeMap<usize, Vec<(Timestamp, Timestamp)>> = BTreeMap::new();
    for event in history {
        if let Some(at) = taken_at(event) {
            by_world.entry(world_of(&event.client)).or_default().push((event.invoked_at, at));
        }
    }
    let mut waits = Vec::new();
    for taken in by_world.values_mut() {
        taken.sort_unstable();
        // From the last backwards: the soonest answer to what is asked for later than this.
        let mut soonest: Option<Timestamp> = None;
        for &(invoked_at, at) in taken.iter().rev() {
            waits.extend(soonest.map(|soonest| soonest.micros_since(invoked_at)));
            soonest = Some(soonest.map_or(at, |soonest| soonest.min(at)));
        }
    }
    waits.sort_unstable();
    waits.get(waits.len() * 9 / 10).copied().unwrap_or_default()
}

/// For each account it befell the owner of: from then to the first answer with a booking or hold that was asked for
/// afterwards; the whole rest of time where there was none.
fn resumed_us(history: &[Event], act: &Act) -> Vec<i64> {
    let of_world = |world: usize| {
        let answers = history.iter().filter(move |event| world_of(&event.client) == world);
        answers.filter(|event| act.at <= event.invoked_at).filter_map(taken_at).min()
    };
    act.worlds.iter().map(|&world| of_world(world).unwrap_or(Timestamp::LATEST).micros_since(act.at)).collect()
}

/// When somebody was told to have time that nobody had before.
fn taken_at(event: &Event) -> Option<Timestamp> {
    let answer = event.answer.as_ref().filter(|answer| !answer.replayed)?;
    let is_taken = matches!(
        (&event.operation, &answer.outcome),
        (Operation::Book { .. }, Outcome::Booking(_)) | (Operation::Hold { .. }, Outcome::Hold(_))
    );
    is_taken.then_some(answer.at)
}

fn millis(micros: i64) -> i64 {
    micros / 1000
}

/// How many of the answers with slots are complete, of how many.
fn complete(history: &[Event]) -> String {
    let answers = history.iter().filter_map(|event| match &event.answer.as_ref()?.outcome {
        Outcome::Slots(seen) => Some(seen.freshness.state),
        _ => None,
    });
    let (complete, others): (Vec<_>, Vec<_>) = answers.partition(|state| *state == FreshnessState::Complete);
    format!("{} of {}", complete.len(), complete.len() + others.len())
}

/// A run in which nothing happened would prove nothing.
fn too_little(run: &Run<'_>, report: &Report, commits: Commits) -> Vec<String> {
    let missed = MISFORTUNES.iter().filter(|&&what| run.acts.iter().all(|act| act.what != what));
    let mut complaints: Vec<String> = missed.map(|what| format!("{what:?} was not tried")).collect();
    let (counts, acts) = (&report.counts, run.acts.len());
    let count = |number: i64| usize::try_from(number).unwrap_or_default();
    for (what, found, least) in [
        ("bookings acknowledged", counts.bookings_acknowledged, 10 * acts),
        ("holds acknowledged", counts.holds_acknowledged, 10 * acts),
        ("holds confirmed", counts.holds_confirmed, 2 * acts),
        ("bookings cancelled", counts.cancels_acknowledged, acts),
        ("writes in doubt", counts.in_doubt, 2),
        ("requests healed by a retry", counts.healed, 1),
        ("answers replayed", run.history.iter().filter(|event| is_replay(event)).count(), acts),
        ("slots compared with taken time", counts.slots_beside_taken, 10 * acts),
        ("slots compared with calendars", counts.slots_beside_truth, 10 * acts),
        ("bookings in a calendar", counts.shown, acts),
        ("commits of owners seen by the database", count(commits.owned), 10 * acts),
        ("commits without an owner", count(commits.ownerless), 1),
        ("changes of a shard's owner", count(commits.moves), acts),
    ] {
        if found < least {
            complaints.push(format!("only {found} {what}, not {least}: this run proves too little"));
        }
    }
    let unexpected =
        codes(run.history).into_keys().filter(|(status, code)| *status == 500 || code.ends_with("_not_found"));
    complaints.extend(unexpected.map(|code| format!("{code:?} was answered, which nothing asked for explains")));
    complaints
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

/// Writes everything down for whoever has to find out.
fn keep(run: &Run<'_>, report: &Report, cluster: &Cluster) -> PathBuf {
    let lines: String = run.history.iter().map(|event| event.to_line() + "\n").collect();
    keep::write("history.jsonl", &lines);
    keep::write("final.json", &serde_json::to_string_pretty(run.finale).unwrap());
    keep::write("report.json", &serde_json::to_string_pretty(report).unwrap());
    keep::write("acts.txt", &run.acts.iter().map(|act| format!("{act:?}\n")).collect::<String>());
    cluster.keep_logs()
}
