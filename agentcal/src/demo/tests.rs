//! The demo always has something to offer, whenever it is started.

use std::sync::Arc;

use agentcal_engine::decision::{Host, Question, Terms, slots};
use agentcal_engine::facts::{CalendarFacts, ExternalInstance, FactSource, Knowledge};
use agentcal_engine::ids::{AccountId, CalendarId, EventTypeId, UserId};
use agentcal_engine::model::SchedulingMode;
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::{DAY_US, HOUR_US, TimeRange, Timestamp};
use agentcal_provider_sandbox::seeded_events;
use uuid::Uuid;

use super::people::{OFFERS, PEOPLE, Person};

/// 2026-01-01T00:00:00Z, and a little over three years of days from it.
const FIRST_DAY: Timestamp = Timestamp::from_seconds(1_767_225_600);
const DAYS: i64 = 1_150;
/// Hours of the day at which the demo is started.
const HOURS: [i64; 3] = [0, 13, 23];

fn after_days(days: i64) -> Timestamp {
    FIRST_DAY.plus_micros(days * DAY_US)
}

fn facts(person: &Person, seed: u64, calendar_id: CalendarId, account_id: AccountId) -> CalendarFacts {
    let window = TimeRange { start: after_days(-2), end: after_days(DAYS + 40) };
    let events = seeded_events(seed, person.work_calendar, person.timezone, window);
    let instances = events
        .into_iter()
        .map(|event| ExternalInstance { range: event.range, booking_id: None, blocks: true })
        .collect();
    CalendarFacts::assemble(FactSource {
        calendar_id,
        account_id,
        epoch: Epoch(1),
        revision: 1,
        knowledge: Knowledge::Synced { as_of: FIRST_DAY, window, watched_until: None },
        instances,
        claims: Vec::new(),
        echoes: Vec::new(),
    })
}

fn hosts(seeds: [u64; 3]) -> Vec<Host> {
    let account_id = AccountId::from_uuid(Uuid::from_u128(1));
    let mut hosts = Vec::new();
    for (number, (person, seed)) in PEOPLE.iter().zip(seeds).enumerate() {
        let uuid = Uuid::from_u128(number as u128);
        let calendar_id = CalendarId::from_uuid(uuid);
        hosts.push(Host {
            user: Arc::new(person.user(UserId::from_uuid(uuid), account_id, calendar_id, FIRST_DAY)),
            rules: Arc::new(person.rules().into()),
            facts: vec![Arc::new(facts(person, seed, calendar_id, account_id))],
        });
    }
    hosts
}

fn count(terms: &Terms, hosts: &[Host], now: Timestamp, days: i64) -> usize {
    let midnight = Timestamp::from_micros(now.as_micros() / DAY_US * DAY_US);
    let range = TimeRange { start: now, end: midnight.plus_micros(days * DAY_US) };
    let search = slots(&Question { terms, hosts, now, ignoring: None }, range, usize::MAX);
    assert_eq!(search.unknown, Vec::new());
    search.slots.len()
}

/// Each person has 40 open slots in 14 days, and all three share 60 in 30 days.
#[test]
fn there_is_always_something_to_book() {
    let demo_seeds = PEOPLE.map(|person| person.seed);
    for (seeds, step) in [(demo_seeds, 1), ([11, 12, 13], 5), ([1_001, 1_002, 1_003], 5), ([0, u64::MAX, 42], 5)] {
        let hosts = hosts(seeds);
        let account_id = hosts[0].user.account_id;
        let event_type = OFFERS[0].event_type(EventTypeId::from_uuid(Uuid::nil()), account_id, Vec::new(), FIRST_DAY);
        let alone = Terms::of_event_type(&event_type, None);
        let together = Terms { scheduling_mode: SchedulingMode::Collective, ..alone.clone() };
        for day in (0..DAYS).step_by(step) {
            let now = after_days(day).plus_micros(HOURS[(day % 3) as usize] * HOUR_US);
            for host in &hosts {
                let open = count(&alone, std::slice::from_ref(host), now, 14);
                assert!(open >= 40, "{}: {open} slots from {now:?}, seeds {seeds:?}", host.user.name);
            }
            let shared = count(&together, &hosts, now, 30);
            assert!(shared >= 60, "{shared} shared slots from {now:?}, seeds {seeds:?}");
        }
    }
}
