//! How soon a fresh `agentcal dev` answers, how soon one that has its data, and what it weighs when nobody asks.

use std::fmt;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Days, Utc};

use crate::program::{Program, Question};
use crate::summary::Summary;

const START_WITHIN: Duration = Duration::from_secs(60);
/// Distance of two looks at a starting program: the resolution of the figure.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Days the first question is about.
const DAYS: u64 = 14;
/// How long a program is left alone before it counts as idle.
const IDLE_AFTER: Duration = Duration::from_secs(3);

/// What was measured.
pub(crate) struct Report {
    binary: String,
    runs: u32,
    first_start_ms: Summary,
    restart_ms: Summary,
    idle_mib: Option<Summary>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({} runs)", self.binary, self.runs)?;
        writeln!(f, "start on an empty folder to first slots, ms   {}", self.first_start_ms)?;
        writeln!(f, "start on its data to first slots, ms          {}", self.restart_ms)?;
        match &self.idle_mib {
            Some(idle) => write!(f, "resident memory when idle, MiB                {idle}"),
            None => write!(f, "resident memory when idle: this system does not say"),
        }
    }
}

/// Starts the program twice a run: on an empty folder, then on what it left there.
pub(crate) fn measure(binary: &Path, runs: u32) -> Result<Report, String> {
    let (first_day, last_day) = days_from_today(DAYS);
    let (mut first_starts, mut restarts, mut idles) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        let (program, took) = start(binary, folder.path(), &first_day, &last_day)?;
        first_starts.push(took);
        drop(program);
        // The address in it is that of the program that just ended; the keys are kept elsewhere.
        fs::remove_file(folder.path().join("dev.json")).map_err(|error| format!("dev.json: {error}"))?;
        let (mut program, took) = start(binary, folder.path(), &first_day, &last_day)?;
        restarts.push(took);
        thread::sleep(IDLE_AFTER);
        if !program.runs() {
            return Err("the program ended by itself".into());
        }
        idles.extend(program.resident_mib());
    }
    let none = || "nothing was measured".to_owned();
    Ok(Report {
        binary: binary.display().to_string(),
        runs,
        first_start_ms: Summary::of(first_starts).ok_or_else(none)?,
        restart_ms: Summary::of(restarts).ok_or_else(none)?,
        idle_mib: Summary::of(idles),
    })
}

/// Starts the program; returns it with the milliseconds until it answered with slots.
pub(crate) fn start(binary: &Path, folder: &Path, first_day: &str, last_day: &str) -> Result<(Program, f64), String> {
    let ask = || Question::about(folder, first_day, last_day);
    let started = Instant::now();
    let mut program = Program::start(binary, folder).map_err(|error| format!("{}: {error}", binary.display()))?;
    while !ask().is_some_and(|question| question.is_answered()) {
        if !program.runs() {
            return Err(format!("{} dev ended instead of starting; run it to see why", binary.display()));
        }
        if started.elapsed() > START_WITHIN {
            return Err(format!("no answer within {START_WITHIN:?}"));
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok((program, started.elapsed().as_secs_f64() * 1_000.0))
}

/// Today, and the last of so many days that begin today, by UTC.
#[expect(clippy::disallowed_methods, reason = "the program under measurement runs on the real clock, so this does too")]
pub(crate) fn days_from_today(days: u64) -> (String, String) {
    let today = DateTime::<Utc>::from(SystemTime::now()).date_naive();
    (today.to_string(), (today + Days::new(days.saturating_sub(1))).to_string())
}
