//! Whether all was well, in one line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use agentcal_engine::time::{SECOND_US, Timestamp};
use agentcal_history::{Allowances, Event, Final, FreshnessState, Operation, Outcome, Report, check};

use crate::cluster::Cluster;
use crate::finale::Wrong;
use crate::nemesis::{Act, MISFORTUNES, Misfortune};
use crate::world_of;

/// Answers round instants to this at most, and all clocks are one.
const CLOCK_SLACK_US: i64 = SECOND_US;
/// For how long a node that is not the owner may offer what was taken.
const OFFER_SLACK_US: i64 = 5 * SECOND_US;
/// Longest time without a booking after the death of an owner. One second is what is aimed at; the rest is for machines
/// with much to do.
const RESUMED_MAX_US: i64 = 3 * SECOND_US;

/// Prints what came of it.
///
/// # Panics
/// When anything is wrong, or too little happened.
pub(crate) fn judge(history: &[Event], finale: &Final, acts: &[Act], wrong: Wrong, cluster: &Cluster, seed: u64) {
    let allowances =
        Allowances { clock_slack_us: CLOCK_SLACK_US, offer_slack_us: OFFER_SLACK_US, ..Allowances::default() };
    let report = check(history, finale, &allowances);
    let strict = check(history, finale, &Allowances { offer_slack_us: 0, ..allowances });
    let late = strict.violations.len().saturating_sub(report.violations.len());
    let resumed = |whats: &[Misfortune]| {
        let those = acts.iter().filter(|act| whats.contains(&act.what));
        those.flat_map(|act| resumed_us(history, act)).max()
    };
    let killed = resumed(&[Misfortune::OwnerKilled, Misfortune::AnyKilled]);
    let hung = resumed(&[Misfortune::OwnerHangs]);
    for ((status, code), count) in codes(history) {
        println!("{count} times {status} {code}");
    }
    for act in acts {
        println!(
            "{:?} of {:?}: bookings after {:?} us, well after {:?}",
            act.what,
            act.worlds,
            resumed_us(history, act),
            act.took
        );
    }
    for violation in report.violations.iter().take(20) {
        println!("VIOLATION {}", serde_json::to_string(violation).unwrap());
    }
    let kept = keep(history, finale, &report, cluster);
    println!(
        "VERDICT seed {seed}, {} misfortunes, {} violations, {wrong:?}, {late} offers of what was taken less than 5 s \
         before, bookings resumed after the death of their owner within {killed:?} us and after its sleep began within \
         {hung:?} us, {} of answers complete, {}",
        acts.len(),
        report.violations.len(),
        complete(history),
        serde_json::to_string(&report.counts).unwrap(),
    );
    assert!(report.is_sound(), "{} violations, in {}", report.violations.len(), kept.display());
    assert_eq!(wrong, Wrong::default(), "the database counts what must not be; in {}", kept.display());
    let within = killed.is_some_and(|longest| longest <= RESUMED_MAX_US);
    assert!(within, "no booking for {killed:?} us after the death of an owner; in {}", kept.display());
    assert_enough_happened(history, &report, acts);
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

/// How many of the answers with slots are complete, of how many.
fn complete(history: &[Event]) -> String {
    let answers = history.iter().filter_map(|event| match &event.answer.as_ref()?.outcome {
        Outcome::Slots(seen) => Some(seen.freshness.state),
        _ => None,
    });
    let (complete, others): (Vec<_>, Vec<_>) = answers.partition(|state| *state == FreshnessState::Complete);
    format!("{} of {}", complete.len(), complete.len() + others.len())
}

/// A test in which nothing happened would prove nothing.
fn assert_enough_happened(history: &[Event], report: &Report, acts: &[Act]) {
    let missed = MISFORTUNES.iter().find(|&&what| acts.iter().all(|act| act.what != what));
    assert_eq!(missed, None, "a misfortune that was not tried");
    let (counts, acts) = (&report.counts, acts.len());
    for (what, found, least) in [
        ("bookings acknowledged", counts.bookings_acknowledged, 10 * acts),
        ("holds acknowledged", counts.holds_acknowledged, 10 * acts),
        ("holds confirmed", counts.holds_confirmed, 2 * acts),
        ("bookings cancelled", counts.cancels_acknowledged, acts),
        ("writes in doubt", counts.in_doubt, 2),
        ("answers replayed", history.iter().filter(|event| is_replay(event)).count(), acts),
        ("slots compared with taken time", counts.slots_beside_taken, 10 * acts),
        ("bookings in a calendar", counts.shown, acts),
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

/// Writes everything down for whoever has to find out.
fn keep(history: &[Event], finale: &Final, report: &Report, cluster: &Cluster) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nodes");
    std::fs::create_dir_all(&folder).unwrap();
    let lines: String = history.iter().map(|event| event.to_line() + "\n").collect();
    std::fs::write(folder.join("history.jsonl"), lines).unwrap();
    std::fs::write(folder.join("final.json"), serde_json::to_string_pretty(finale).unwrap()).unwrap();
    std::fs::write(folder.join("report.json"), serde_json::to_string_pretty(report).unwrap()).unwrap();
    for (index, node) in cluster.nodes.iter().enumerate() {
        std::fs::write(folder.join(format!("node-{index}.log")), node.said()).unwrap();
    }
    folder
}
