//! What a first sync takes in memory: a page, and the facts in the end; not as much as the calendar.

use std::path::Path;

use agentcal_engine::model::ProviderKind;
use chrono::{DateTime, TimeDelta, Utc};

use super::stage::Stage;
use super::vendors::Vendors;
use crate::connection::Connection;
use crate::data::FirstSync;
use crate::drive::runtime;
use crate::process::{at_rest, forget_peak, peak_resident_mib};
use crate::progress::Progress;
use crate::report::{Row, Target};
use crate::run::{Effort, wait_until};
use crate::summary::Summary;

/// Events of a calendar, and of one that is compared with it.
const EVENTS: usize = 10_000;
const FEW_EVENTS: usize = 1_000;
/// With ten times as many events a node weighs at most so many times as much.
const PEAK_AT_MOST: f64 = 1.2;

/// A provider, what its row is called, and what was measured, in MiB.
struct Measured {
    provider: ProviderKind,
    name: &'static str,
    many: Vec<f64>,
    few: Vec<f64>,
}

/// Has calendars synced one after the other, and weighs the node each time.
pub(super) fn measure(binary: &Path, effort: Effort, progress: &Progress) -> Result<Vec<Row>, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    progress.step(format!("filling calendars with up to {EVENTS} events"));
    let vendors = Vendors::start()?;
    let mailboxes = vendors.mailboxes(2 * effort.rounds as usize, 1);
    let stage = Stage::build(binary, folder.path(), vendors, (&mailboxes, FirstSync::WhenRung))?;
    let day = stage.data.first_day.to_utc();
    let mut measured = [
        Measured { provider: ProviderKind::Google, name: "first_sync_google_10k", many: Vec::new(), few: Vec::new() },
        Measured {
            provider: ProviderKind::Microsoft,
            name: "first_sync_microsoft_10k",
            many: Vec::new(),
            few: Vec::new(),
        },
    ];
    for round in 0..effort.rounds {
        for measured in &mut measured {
            let of_provider = |whom: &usize| stage.people[*whom].provider == measured.provider;
            let mut next = (0..stage.people.len()).filter(of_provider).skip(2 * round as usize);
            let mut next = || next.next().ok_or("there are too few calendars");
            progress.step(format!("round {}: first syncs, {}", round + 1, measured.name));
            let (few, many) = (next()?, next()?);
            measured.few.push(stage.weighs(few, FEW_EVENTS, day).map_err(|error| stage.told(error))?);
            measured.many.push(stage.weighs(many, EVENTS, day).map_err(|error| stage.told(error))?);
        }
    }
    measured.into_iter().map(Measured::row).collect()
}

impl Measured {
    fn row(self) -> Result<Row, String> {
        let of = |values: Vec<f64>| Summary::of(values).ok_or("nothing was measured");
        let target = Some(Target::AtMost(PEAK_AT_MOST));
        Ok(Row { name: self.name, value: of(self.many)?, unit: "MiB", ceiling: Some(of(self.few)?), target })
    }
}

impl Stage {
    /// The most a node weighs while a calendar with so many events syncs for the first time.
    fn weighs(&self, whom: usize, events: usize, day: DateTime<Utc>) -> Result<f64, String> {
        for hour in 0..events {
            self.vendors.meet(&self.people[whom], day + TimeDelta::hours(hour as i64));
        }
        at_rest(self.node.target().pid)?;
        forget_peak(self.node.target().pid)?;
        let runtime = runtime()?;
        let mut connection = runtime
            .block_on(Connection::open(self.node.target().address))
            .map_err(|error| format!("the program takes no connection: {error}"))?;
        runtime.block_on(self.notify(&mut connection, whom))?;
        wait_until("a calendar did not sync in time", || {
            let known = runtime.block_on(self.is_known(&mut connection, whom, day));
            known.is_ok_and(|known| known).then_some(())
        })?;
        let peak = peak_resident_mib(self.node.target().pid);
        peak.ok_or_else(|| "the system does not say what a process weighs".to_owned())
    }
}
