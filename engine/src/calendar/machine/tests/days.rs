//! A calendar over many days, as its provider sees it: how often it is asked for what.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::time::DAY_US;

/// What a provider was asked within one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Asked {
    syncs: u32,
    watches: u32,
    ends: u32,
}

impl Asked {
    /// With another access token for each sync: tokens last an hour, and syncs are further apart.
    fn all(self) -> u32 {
        2 * self.syncs + self.watches + self.ends
    }
}

/// How watches are granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grants {
    /// A new one each time, beside the one before.
    Beside,
    /// The same one, for longer.
    InPlace,
    /// None: the provider fails at it.
    Never,
}

/// Chance that does not repeat itself.
#[derive(Default)]
struct Mixed(AtomicU64);

impl Entropy for Mixed {
    fn fill(&self, buffer: &mut [u8]) {
        let mixed = self.0.fetch_add(1, Ordering::Relaxed).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        buffer.iter_mut().zip(mixed.to_be_bytes()).for_each(|(byte, drawn)| *byte = drawn);
    }
}

struct Calendar {
    machine: CalendarMachine<u32>,
    entropy: Mixed,
    grants: Grants,
    lasts: Duration,
    asked: Asked,
}

impl Calendar {
    fn new(grants: Grants, days: u64) -> Self {
        let pace = Pace {
            fast: Duration::from_secs(5 * 60),
            slow: Duration::from_secs(15 * 60),
            swept: Duration::from_secs(6 * 60 * 60),
            asked: Duration::from_secs(150 * 60),
        };
        let account_id = AccountId::from_uuid(Uuid::from_u128(1));
        let calendar_id = CalendarId::from_uuid(Uuid::from_u128(2));
        let sync = SyncMachine::new(account_id, calendar_id, Epoch(1), pace, SyncState::default());
        let watch = WatchMachine::new(Some("https://cal.example.com".into()), WatchRecord::default());
        let machine = CalendarMachine::new(Some(sync), watch, 4, at(0));
        let lasts = Duration::from_secs(days * 24 * 3_600);
        Self { machine, entropy: Mixed::default(), grants, lasts, asked: Asked::default() }
    }

    /// Does what is due at an instant, and whatever follows from it at once.
    fn settle(&mut self, now: Timestamp) {
        self.machine.handle_due(now);
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                MachineEffect::Sync(effect) => self.sync(*effect, now),
                MachineEffect::Watch(effect) => self.watch(*effect, now),
                other => unreachable!("nobody books: {other:?}"),
            }
        }
    }

    fn sync(&mut self, effect: SyncEffect, now: Timestamp) {
        match effect {
            SyncEffect::Fetch(_) => {
                self.asked.syncs += 1;
                self.machine.handle_page(done(), now, &self.entropy);
            }
            SyncEffect::Save(_) => self.machine.handle_saved(Saved::Done, now),
            SyncEffect::Compare => self.machine.handle_compared(true, now),
            SyncEffect::Ended(_) => {}
            other => unreachable!("every sync succeeds: {other:?}"),
        }
    }

    fn watch(&mut self, effect: WatchEffect, now: Timestamp) {
        match effect {
            WatchEffect::Ask { previous } => {
                self.asked.watches += 1;
                let watch = Watch { state: WatchState::Push, expires_at: Some(now + self.lasts) };
                let name = format!("granted at {now:?}");
                let renewed = self.grants == Grants::InPlace && previous.is_some();
                let granted = Watched { watch, handle: Some(WatchHandle(name)), renewed };
                let away = ProviderError::Unavailable("away".into());
                let answer = if self.grants == Grants::Never { Err(away) } else { Ok(granted) };
                self.machine.handle_watched(answer, now, &self.entropy);
            }
            WatchEffect::Save(_) => self.machine.handle_watch_saved(Saved::Done, now),
            WatchEffect::End(_) => {
                self.asked.ends += 1;
                self.machine.handle_watch_ended(Ok(()), now);
            }
            WatchEffect::Abandon(_) => unreachable!("nothing is lost"),
        }
    }
}

/// Lesson: watches expire, and nobody notices. Over four weeks in which nothing ever rings, a calendar with a watch is asked
/// about fewer than fifteen times a day, renewals and access tokens included, and its watch stands all the time.
#[test]
fn a_watched_calendar_costs_fewer_than_fifteen_requests_a_day() {
    let check = |grants: Grants, days_granted: u64, watches: u32, ends: u32| {
        let mut calendar = Calendar::new(grants, days_granted);
        let mut all = Asked::default();
        let mut now = at(0);
        for day in 0..28i64 {
            calendar.asked = Asked::default();
            let end = at(0).plus_micros((day + 1) * DAY_US);
            while now < end {
                calendar.settle(now);
                let stands = calendar.machine.watch().standing(now).is_some();
                assert!(stands, "{grants:?}: no watch stands at {now:?}");
                now = calendar.machine.poll_timeout().expect("at rest").0;
            }
            assert!(calendar.asked.all() < 15, "{grants:?}, day {day}: {:?}", calendar.asked);
            all.watches += calendar.asked.watches;
            all.ends += calendar.asked.ends;
        }
        assert_eq!((all.watches, all.ends), (watches, ends), "{grants:?}");
    };
    check(Grants::Beside, 7, 7, 6);
    check(Grants::InPlace, 7, 7, 0);
    check(Grants::InPlace, 3, 16, 0);
}

/// Lesson: a provider that gives no watch is no reason to look less often, nor to ask it for one without end.
#[test]
fn a_calendar_without_a_watch_is_polled() {
    let mut calendar = Calendar::new(Grants::Never, 7);
    let mut now = at(0);
    while now < at(0).plus_micros(DAY_US) {
        calendar.settle(now);
        let (next, _) = calendar.machine.poll_timeout().expect("at rest");
        assert!(next <= now + Duration::from_secs(15 * 60), "{now:?}");
        now = next;
    }
    assert!(calendar.asked.syncs >= 96, "{:?}", calendar.asked);
    assert!((8..20).contains(&calendar.asked.watches), "{:?}", calendar.asked);
}
