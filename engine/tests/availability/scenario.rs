//! Turns a drawn case into people, rules, calendars and claims.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentcal_engine::busy::BusySet;
use agentcal_engine::civil;
use agentcal_engine::decision::{Host, Terms};
use agentcal_engine::facts::{CalendarFacts, Knowledge, UnknownReason};
use agentcal_engine::ids::{AccountId, BookingId, CalendarId, ClaimId, EventTypeId, HoldId, UserId};
use agentcal_engine::model::{
    AvailabilityRules, BufferMode, CivilTime, CivilWindow, Claim, ClaimOwner, DateOverride, SchedulingMode, User,
    WeeklyRule,
};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::{MINUTE_US, TimeRange, Timestamp};
use chrono::Days;
use chrono_tz::Tz;
use uuid::Uuid;

use crate::draw::{Case, RawCalendar, RawClaim, RawHost, RawKnowledge, RawOwner, RawRules};
use crate::era::Era;

/// A case, ready to be asked about.
pub(crate) struct Scenario {
    pub(crate) terms: Terms,
    pub(crate) hosts: Vec<Host>,
    pub(crate) now: Timestamp,
    pub(crate) range: TimeRange,
    pub(crate) ignoring: Option<ClaimOwner>,
    pub(crate) probes: Vec<Timestamp>,
}

const ACCOUNT: AccountId = AccountId::from_uuid(Uuid::from_u128(7));

fn uuid(kind: u128, number: usize) -> Uuid {
    Uuid::from_u128(kind << 64 | number as u128)
}

fn calendar_id(number: usize) -> CalendarId {
    CalendarId::from_uuid(uuid(1, number))
}

fn booking_id(number: usize) -> BookingId {
    BookingId::from_uuid(uuid(2, number))
}

fn event_type_id(number: usize) -> EventTypeId {
    EventTypeId::from_uuid(uuid(3, number))
}

fn hold_id(number: usize) -> HoldId {
    HoldId::from_uuid(uuid(6, number))
}

fn claim_number(user: usize, number: usize) -> usize {
    user * 100 + number
}

impl Scenario {
    pub(crate) fn build(case: &Case, era: &Era) -> Self {
        let moment = era.moments[case.moment % era.moments.len()];
        let base = moment.plus_micros(-case.lead_minutes * MINUTE_US);
        let at = |minutes: i64| base.plus_micros(minutes * MINUTE_US);
        let builder = Builder { era, base };
        let start = at(case.range.0).plus_micros(case.odd_micros / 2);
        Self {
            terms: builder.terms(case),
            hosts: builder.hosts(case),
            now: base.plus_micros(case.odd_micros),
            range: TimeRange { start, end: start.plus_micros(case.range.1 * MINUTE_US) },
            ignoring: case.ignoring.map(|owner| match owner {
                RawOwner::Booking(number) => ClaimOwner::Booking(booking_id(number)),
                RawOwner::Hold(host, number) => ClaimOwner::Hold(hold_id(claim_number(host, number))),
            }),
            probes: case
                .probes
                .iter()
                .map(|&(minutes, odd)| at(case.range.0 + minutes).plus_micros(odd.into()))
                .collect(),
        }
    }
}

struct Builder<'e> {
    era: &'e Era,
    base: Timestamp,
}

impl Builder<'_> {
    fn at(&self, minutes: i64) -> Timestamp {
        self.base.plus_micros(minutes * MINUTE_US)
    }

    fn range(&self, start: i64, length: i64) -> TimeRange {
        TimeRange { start: self.at(start), end: self.at(start + length) }
    }

    fn zone(&self, number: usize) -> Tz {
        // Half of all cases keep to the first few zones, so that people often share one.
        self.era.zones[if number < 20 { number % self.era.zones.len() } else { number % 3 % self.era.zones.len() }]
    }

    fn terms(&self, case: &Case) -> Terms {
        let raw = &case.terms;
        Terms {
            event_type_id: Some(event_type_id(1)),
            duration_minutes: raw.duration,
            slot_interval_minutes: raw.interval,
            buffer_before_minutes: raw.buffers.0,
            buffer_after_minutes: raw.buffers.1,
            buffer_mode: if raw.sum { BufferMode::Sum } else { BufferMode::Larger },
            min_notice_hours: raw.notice_hours,
            booking_window_days: raw.window_days,
            max_bookings_per_day: raw.per_day,
            scheduling_mode: match raw.mode {
                0 => SchedulingMode::Individual,
                1 => SchedulingMode::RoundRobin,
                _ => SchedulingMode::Collective,
            },
            rules: case.rules.as_ref().map(|rules| Arc::new(self.rules(rules).into())),
        }
    }

    fn rules(&self, raw: &RawRules) -> AvailabilityRules {
        let timezone = self.zone(raw.zone);
        let today = civil::date_of(self.base, timezone);
        let date = |days: i64| match u64::try_from(days) {
            Ok(days) => today + Days::new(days),
            Err(_) => today - Days::new(days.unsigned_abs()),
        };
        let weekly = raw
            .weekly
            .iter()
            .map(|&(day_of_week, start, end)| WeeklyRule { day_of_week, window: civil_window(start, end) });
        let overrides: BTreeMap<_, _> = raw
            .overrides
            .iter()
            .map(|(days, windows)| {
                let windows = windows.iter().map(|&(start, end)| civil_window(start, end)).collect();
                (date(*days), DateOverride { windows })
            })
            .collect();
        AvailabilityRules { timezone, weekly: weekly.collect(), overrides }
    }

    fn hosts(&self, case: &Case) -> Vec<Host> {
        // Everybody's claims lie on the first of the own calendars, and those drawn so on the shared one too.
        let mut shared_claims = Vec::new();
        let mut hosts: Vec<Host> = Vec::new();
        for (index, raw) in case.hosts.iter().enumerate() {
            let claims = self.claims(index, &raw.claims);
            shared_claims
                .extend(claims.iter().zip(&raw.claims).filter(|(_, raw)| raw.twice).map(|(claim, _)| claim.0.clone()));
            let claims = claims.into_iter().filter_map(|(claim, kept)| kept.then_some(claim)).collect();
            hosts.push(self.host(index, raw, claims, case.shared.is_some()));
        }
        if let Some(raw) = &case.shared {
            let live: Vec<Claim> = shared_claims.into_iter().filter(|claim| hosts_have(&hosts, claim)).collect();
            let shared = Arc::new(self.facts(99, raw, live));
            hosts.iter_mut().for_each(|host| host.facts.push(Arc::clone(&shared)));
        }
        for (host, raw) in hosts.iter_mut().zip(&case.hosts) {
            if raw.forgets_calendar {
                host.facts.pop();
            }
        }
        hosts
    }

    fn host(&self, index: usize, raw: &RawHost, claims: Vec<Claim>, has_shared: bool) -> Host {
        let own: Vec<CalendarId> = (0..raw.calendars.len()).map(|number| calendar_id(index * 10 + number)).collect();
        let mut busy_calendar_ids = own.clone();
        busy_calendar_ids.extend(has_shared.then(|| calendar_id(99)));
        let user = User {
            id: UserId::from_uuid(uuid(4, index)),
            account_id: ACCOUNT,
            name: format!("host {index}"),
            email: format!("host{index}@example.org"),
            timezone: self.zone(raw.zone),
            calendar_id: Some(own[0]),
            home_calendar_id: own[0],
            busy_calendar_ids,
            created_at: Timestamp::EARLIEST,
        };
        let mut claims = Some(claims);
        let facts = raw
            .calendars
            .iter()
            .enumerate()
            .map(|(number, raw)| Arc::new(self.facts(index * 10 + number, raw, claims.take().unwrap_or_default())));
        Host { facts: facts.collect(), user: Arc::new(user), rules: Arc::new(self.rules(&raw.rules).into()) }
    }

    fn facts(&self, number: usize, raw: &RawCalendar, mut claims: Vec<Claim>) -> CalendarFacts {
        let block = |&(start, length, odd): &(i64, i64, bool)| {
            let range = self.range(start, length);
            TimeRange {
                start: range.start.plus_micros(if odd { 1 } else { 0 }),
                end: range.end.plus_micros(if odd { 30_000_001 } else { 0 }),
            }
        };
        let mut displaced: Vec<_> = raw
            .displaced
            .iter()
            .map(|&(booking, start, length)| (booking_id(booking), self.range(start, length)))
            .collect();
        displaced.sort_by_key(|&(booking_id, range)| (range, booking_id));
        claims.sort_by_key(|claim| (claim.range.start, claim.id));
        CalendarFacts {
            calendar_id: calendar_id(number),
            account_id: ACCOUNT,
            epoch: Epoch(1),
            revision: 1,
            knowledge: self.knowledge(raw.knowledge),
            external: raw.blocks.iter().map(block).collect::<BusySet>().into_ranges(),
            displaced,
            claims,
        }
    }

    fn knowledge(&self, raw: RawKnowledge) -> Knowledge {
        match raw {
            RawKnowledge::Internal => Knowledge::Internal,
            RawKnowledge::Synced(from, to) => {
                let window = TimeRange { start: self.at(from), end: self.at(to) };
                Knowledge::Synced { as_of: self.base, window, watched_until: None }
            }
            RawKnowledge::Unknown(number) => Knowledge::Unknown(
                [
                    UnknownReason::NotSynced,
                    UnknownReason::CalendarGone,
                    UnknownReason::ReauthorizationRequired,
                    UnknownReason::ProviderError,
                    UnknownReason::OutsideSyncedWindow,
                    UnknownReason::DeadlineExceeded,
                ][usize::from(number) % 6],
            ),
        }
    }

    /// The claims of one user, each with whether it may stand: law 1 holds in every case.
    fn claims(&self, user: usize, raw: &[RawClaim]) -> Vec<(Claim, bool)> {
        let mut taken: Vec<TimeRange> = Vec::new();
        let mut claims = Vec::new();
        for (number, raw) in raw.iter().enumerate() {
            let claim = self.claim(user, number, raw);
            let is_free = !taken.iter().any(|range| range.overlaps(&claim.range));
            taken.extend(is_free.then_some(claim.range));
            claims.push((claim, is_free));
        }
        claims
    }

    fn claim(&self, user: usize, number: usize, raw: &RawClaim) -> Claim {
        let id = claim_number(user, number);
        Claim {
            id: ClaimId::from_uuid(uuid(5, id)),
            account_id: ACCOUNT,
            user_id: UserId::from_uuid(uuid(4, user)),
            home_calendar_id: calendar_id(user * 10),
            range: self.range(raw.start, raw.length),
            owner: match raw.booking {
                Some(number) => ClaimOwner::Booking(booking_id(number)),
                None => ClaimOwner::Hold(hold_id(id)),
            },
            event_type_id: match raw.event_type {
                0 => None,
                1 => Some(event_type_id(2)),
                _ => Some(event_type_id(1)),
            },
            buffer_before_minutes: raw.buffers.0,
            buffer_after_minutes: raw.buffers.1,
            expires_at: raw.booking.is_none().then(|| self.at(raw.expires)),
            session_id: None,
        }
    }
}

fn hosts_have(hosts: &[Host], claim: &Claim) -> bool {
    hosts.iter().flat_map(|host| &host.facts).any(|facts| facts.claims.contains(claim))
}

fn civil_window(start: u16, end: u16) -> CivilWindow {
    let time = |minute| CivilTime::from_minutes(minute).expect("at most 24:00");
    CivilWindow { civil_start: time(start), civil_end: time(end) }
}
