//! What goes wrong, and when.

use std::time::Duration;

use agentcal_engine::model::ProviderKind;
use agentcal_engine::time::Timestamp;
use agentcal_sim_store::{Disk, Settings, Span};

use crate::chance::Dice;
use crate::plan::Plan;
use crate::provider::{Cloud, Mood};
use crate::wire::NODE;

/// Hosts clients live on.
pub(crate) const CLIENT_HOSTS: [&str; 2] = ["east", "west"];

/// A fault that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    NodeDown,
    SlowDisk,
    StoreAway,
    StoreInDoubt,
    Cut(&'static str),
    BadDay(ProviderKind),
}

/// How often each happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) crashes: u32,
    pub(crate) disk_faults: u32,
    pub(crate) cuts: u32,
    pub(crate) bad_days: u32,
}

/// Makes things go wrong.
pub(crate) struct Director {
    dice: Dice,
    settings: Settings,
    running: Vec<(Timestamp, Fault)>,
    next_at: Timestamp,
    /// A crash that waits for a moment at which it hurts.
    crash_by: Option<Timestamp>,
    pub(crate) tally: Tally,
}

impl Director {
    pub(crate) fn new(dice: Dice, plan: &Plan, start: Timestamp) -> Self {
        let clock_offset_us = *dice.pick(&[0, 0, 400_000, -700_000]);
        let settings = Settings {
            latency: Span::millis(1, 60),
            doubt_per_mille: 2,
            clock_offset_us,
            planted: plan.planted.clone(),
            ..Settings::default()
        };
        let next_at = start + Duration::from_secs(60);
        Self { dice, settings, running: Vec::new(), next_at, crash_by: None, tally: Tally::default() }
    }

    /// The disk on a good day.
    pub(crate) fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// Does what it is time to do. `answered`: clients heard of something done just now.
    pub(crate) fn act(
        &mut self,
        sim: &mut turmoil::Sim<'_>,
        disk: &Disk,
        cloud: &Cloud,
        (now, answered): (Timestamp, bool),
    ) -> bool {
        for (_, fault) in self.running.extract_if(.., |(until, _)| *until <= now).collect::<Vec<_>>() {
            self.end(fault, sim, disk, cloud);
        }
        let crashes = self.crash_by.is_some_and(|by| answered || by <= now);
        if crashes {
            self.crash_by = None;
            self.crash(sim, disk, now);
        } else if self.next_at <= now {
            self.next_at = now + self.dice.seconds(20, 200);
            self.begin(sim, disk, cloud, now);
        }
        crashes
    }

    /// Everything is well again.
    pub(crate) fn heal(&mut self, sim: &mut turmoil::Sim<'_>, disk: &Disk, cloud: &Cloud) {
        for (_, fault) in std::mem::take(&mut self.running) {
            self.end(fault, sim, disk, cloud);
        }
        self.crash_by = None;
        disk.adjust(|settings| settings.doubt_per_mille = 0);
    }

    /// Things may go wrong again.
    pub(crate) fn resume(&mut self, disk: &Disk, now: Timestamp) {
        disk.set(self.settings());
        self.next_at = now + self.dice.seconds(5, 60);
    }

    fn begin(&mut self, sim: &mut turmoil::Sim<'_>, disk: &Disk, cloud: &Cloud, now: Timestamp) {
        let kind = *self.dice.pick(&[ProviderKind::Google, ProviderKind::Caldav]);
        let fault = match self.dice.below(12) {
            0..3 => Fault::NodeDown,
            3 | 4 => Fault::SlowDisk,
            5 => Fault::StoreAway,
            6 | 7 => Fault::StoreInDoubt,
            8 => Fault::Cut(CLIENT_HOSTS[self.dice.index(CLIENT_HOSTS.len())]),
            _ => Fault::BadDay(kind),
        };
        if self.running.iter().any(|(_, running)| *running == fault) {
            return;
        }
        let dice = &self.dice;
        let until = match fault {
            Fault::NodeDown => {
                // It crashes when it hurts: right after somebody was told that something is done.
                self.crash_by = Some(now + dice.seconds(0, 60));
                return;
            }
            Fault::SlowDisk => {
                let latency = Span::millis(50, 100 + dice.below(1_400));
                disk.adjust(|settings| settings.latency = latency);
                dice.seconds(5, 60)
            }
            Fault::StoreAway => {
                let per_mille = if dice.happens(500) { 1_000 } else { 300 };
                disk.adjust(|settings| settings.unavailable_per_mille = per_mille);
                dice.seconds(2, 20)
            }
            Fault::StoreInDoubt => {
                disk.adjust(|settings| settings.doubt_per_mille = 300);
                dice.seconds(5, 60)
            }
            Fault::Cut(host) => {
                sim.partition(host, NODE);
                dice.seconds(1, 20)
            }
            Fault::BadDay(kind) => {
                cloud.set_mood(kind, Mood::bad(dice));
                dice.seconds(10, 180)
            }
        };
        match fault {
            Fault::Cut(_) => self.tally.cuts += 1,
            Fault::BadDay(_) => self.tally.bad_days += 1,
            _ => self.tally.disk_faults += 1,
        }
        self.running.push((now + until, fault));
    }

    fn crash(&mut self, sim: &mut turmoil::Sim<'_>, disk: &Disk, now: Timestamp) {
        if self.running.iter().any(|(_, fault)| *fault == Fault::NodeDown) {
            return;
        }
        sim.crash(NODE);
        disk.crash();
        self.tally.crashes += 1;
        self.running.push((now + self.dice.millis(300, 30_000), Fault::NodeDown));
    }

    fn end(&mut self, fault: Fault, sim: &mut turmoil::Sim<'_>, disk: &Disk, cloud: &Cloud) {
        let usual = self.settings.clone();
        match fault {
            Fault::NodeDown => sim.bounce(NODE),
            Fault::SlowDisk => disk.adjust(|settings| settings.latency = usual.latency),
            Fault::StoreAway => disk.adjust(|settings| settings.unavailable_per_mille = usual.unavailable_per_mille),
            Fault::StoreInDoubt => disk.adjust(|settings| settings.doubt_per_mille = usual.doubt_per_mille),
            Fault::Cut(host) => sim.repair(host, NODE),
            Fault::BadDay(kind) => cloud.set_mood(kind, Mood::default()),
        }
    }
}
