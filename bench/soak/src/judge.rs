//! What is known beside what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agentcal_engine::busy::BusySet;
use agentcal_engine::facts::{CalendarFacts, Knowledge, MaxAge};
use agentcal_engine::ids::{BookingId, CalendarId};
use agentcal_engine::model::{Booking, BookingStatus, WritebackState};
use agentcal_engine::ports::FactStore;
use agentcal_engine::time::{DAY_US, TimeRange, Timestamp};
use agentcal_sim_store::{SimStore, View};

use crate::cloud::{Cloud, Own};
use crate::figures::Figures;
use crate::ledger::{Book, Entry, Touch};
use crate::people::People;
use crate::provider::Writes;
use crate::world::{Person, World};

/// How far ahead facts are compared.
const AHEAD_US: i64 = 21 * DAY_US;

/// Everything, for comparing.
pub(crate) struct Judge<'a> {
    pub(crate) world: &'a World,
    pub(crate) cloud: &'a Cloud,
    pub(crate) store: &'a SimStore,
    pub(crate) people: &'a People,
    pub(crate) writes: &'a Writes,
    pub(crate) view: View,
}

impl Judge<'_> {
    fn now(&self) -> Timestamp {
        self.view.now()
    }

    /// Looks at every calendar in the middle of everything: none is older than is promised, and what its facts are said to be
    /// true of, they are true of.
    pub(crate) async fn look(
        &self,
        promised: &BTreeMap<CalendarId, MaxAge>,
        book: Vec<usize>,
        figures: &mut Figures,
    ) -> Vec<String> {
        let mut findings = Vec::new();
        let pending = self.pending();
        figures.looks += 1;
        for (index, person) in self.world.people.iter().enumerate() {
            let facts = match self.stored(person).await {
                Ok(facts) => facts,
                Err(error) => {
                    findings.push(error);
                    continue;
                }
            };
            let Knowledge::Synced { as_of, watched_until, .. } = facts.knowledge else {
                figures.unknown += 1;
                continue;
            };
            let now = self.now();
            let age = now.saturating_since(as_of);
            let is_watched = watched_until.is_some_and(|until| now < until);
            let oldest = if is_watched { &mut figures.oldest_watched } else { &mut figures.oldest_polled };
            *oldest = age.max(*oldest);
            let promised = promised.get(&person.calendar_id);
            if promised.is_none_or(|promised| facts.is_older_than(*promised, now)) {
                let minutes = age.as_secs() / 60;
                findings.push(format!(
                    "the facts of {} are {minutes} minutes old, {promised:?} are promised",
                    person.place.address
                ));
            }
            let changed_at = self.people.changed_at(index).max(self.writes.last(person.calendar_id));
            let is_still = changed_at < as_of && !pending.contains(&person.calendar_id) && !book.contains(&index);
            if is_still {
                figures.compared += 1;
                findings.extend(self.compare(person, &facts).map(|wrong| format!("as of {as_of:?} {wrong}")));
            }
        }
        findings
    }

    /// What is not yet at rest; `None` when everything is.
    pub(crate) async fn unrest(&self, known: &[CalendarFacts]) -> Option<String> {
        if let Some(calendar_id) = self.pending().first() {
            return Some(format!("a booking is still to be written to {calendar_id}"));
        }
        for (person, facts) in self.world.people.iter().zip(known) {
            if !matches!(facts.knowledge, Knowledge::Synced { .. }) {
                return Some(format!("of {} nothing is known: {:?}", person.place.address, facts.knowledge));
            }
            if let Some(wrong) = self.compare(person, facts) {
                return Some(wrong);
            }
            match self.stored(person).await.map(|facts| self.compare(person, &facts)) {
                Ok(None) => {}
                Ok(Some(wrong)) => return Some(format!("in the store, {wrong}")),
                Err(error) => return Some(error),
            }
        }
        None
    }

    /// Bookings as callers know them, as the store has them, and as calendars show them.
    pub(crate) fn bookings(&self, book: &Book) -> Vec<String> {
        let mut findings: Vec<String> = book.oddities.clone();
        let stored = self.all_bookings();
        let unknown = stored.keys().filter(|id| !book.entries.contains_key(id));
        findings.extend(unknown.map(|id| format!("nobody asked for {id}")));
        for (id, entry) in &book.entries {
            let Some(booking) = stored.get(id) else {
                findings.push(format!("{id} is lost"));
                continue;
            };
            let is_cancelled = booking.status == BookingStatus::Cancelled;
            if is_cancelled != entry.is_cancelled || booking.range != entry.range {
                findings
                    .push(format!("{id} is {:?} at {:?}; its caller knows {entry:?}", booking.status, booking.range));
            }
        }
        for (index, person) in self.world.people.iter().enumerate() {
            findings.extend(self.shown(index, person, book));
        }
        findings
    }

    /// Each booking exactly once in its calendar, where it should be, and nothing else of ours.
    fn shown(&self, index: usize, person: &Person, book: &Book) -> Vec<String> {
        let mut own: BTreeMap<BookingId, Vec<TimeRange>> = BTreeMap::new();
        for Own { booking_id, range, .. } in self.cloud.own(&person.place) {
            own.entry(booking_id).or_default().push(range);
        }
        let mut findings = Vec::new();
        for (id, entry) in book.entries.iter().filter(|(_, entry)| entry.person == index) {
            let (expected, shown) = (expected(entry), own.remove(id).unwrap_or_default());
            if shown != expected {
                findings.push(format!(
                    "{} shows {id} at {shown:?}, and should at {expected:?}: {entry:?}",
                    person.place.address
                ));
            }
        }
        findings.extend(own.keys().map(|id| format!("{} shows {id}, which is nobody's", person.place.address)));
        findings
    }

    fn all_bookings(&self) -> BTreeMap<BookingId, Booking> {
        self.view.all_bookings().into_iter().map(|booking| (booking.id, booking)).collect()
    }

    /// Calendars to which something is still to be written.
    fn pending(&self) -> BTreeSet<CalendarId> {
        let bookings = self.view.all_bookings();
        let hosts = bookings.iter().flat_map(|booking| &booking.hosts);
        let is_pending = |state| state == WritebackState::Pending;
        hosts
            .filter(|host| host.writeback.as_ref().is_some_and(|writeback| is_pending(writeback.state)))
            .filter_map(|host| host.calendar_id)
            .collect()
    }

    async fn stored(&self, person: &Person) -> Result<CalendarFacts, String> {
        match self.store.load_facts(person.account_id, person.calendar_id).await {
            Ok(Some(source)) => Ok(CalendarFacts::assemble(source)),
            other => Err(format!("the facts of {} could not be read: {other:?}", person.place.address)),
        }
    }

    /// Busy time as it is known beside busy time as it is. What our claims take counts as taken in both.
    fn compare(&self, person: &Person, facts: &CalendarFacts) -> Option<String> {
        let now = self.now();
        let within = TimeRange { start: now, end: now.plus_micros(AHEAD_US) };
        let ahead = BusySet::from_ranges([within]);
        let claims = BusySet::from_ranges(facts.claims.iter().map(|claim| claim.range));
        let displaced = facts.displaced.iter().map(|(_, range)| *range);
        let known = BusySet::from_ranges(facts.external.iter().copied().chain(displaced));
        let known = known.union(&claims).intersect(&ahead);
        let truth = self.cloud.busy(&person.place, within).union(&claims).intersect(&ahead);
        if known == truth {
            return None;
        }
        let (missing, surplus) = (truth.subtract(&known).into_ranges(), known.subtract(&truth).into_ranges());
        Some(format!("of {} {missing:?} is taken and not known, {surplus:?} known and not taken", person.place.address))
    }
}

fn expected(entry: &Entry) -> Vec<TimeRange> {
    match entry.touch {
        _ if entry.is_cancelled => Vec::new(),
        None => vec![entry.range],
        Some(Touch::Moved(range)) => vec![range],
        Some(Touch::Deleted) => Vec::new(),
    }
}

/// Time after which a watched calendar is looked at even if nobody rings, and its retries.
pub(crate) const CALM_MAX: Duration = Duration::from_secs(400 * 60);
