//! Time that was certainly taken: from the answer that gave it to the first request that may have ended it.

use std::collections::BTreeMap;

use agentcal_engine::ids::UserId;
use agentcal_engine::model::ClaimOwner;
use agentcal_engine::time::{TimeRange, Timestamp};

use crate::ledger::{BookingLife, HoldLife, Ledger, Span};
use crate::timeline::Timelines;
use crate::{Allowances, Final, LateCause};

/// Time of one person that was certainly taken between two instants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) owner: ClaimOwner,
    pub(crate) from: Timestamp,
    /// `None`: to this day.
    pub(crate) until: Option<Timestamp>,
    /// Why readers may see it late, if they may.
    pub(crate) late: Option<LateCause>,
}

impl Taken {
    /// Whether it was taken all the time between two instants.
    pub(crate) fn lasts(&self, from: Timestamp, to: Timestamp) -> bool {
        self.from <= from && self.until.is_none_or(|until| to < until)
    }

    fn last_instant(&self) -> Timestamp {
        self.until.unwrap_or(Timestamp::LATEST)
    }

    /// Whether both were taken at one instant.
    pub(crate) fn coexists(&self, other: &Self) -> bool {
        self.from.max(other.from) < self.last_instant().min(other.last_instant())
    }
}

/// All of it, by person.
#[derive(Debug, Default)]
pub(crate) struct Certain(pub(crate) Timelines<Taken>, BTreeMap<(ClaimOwner, TimeRange), LateCause>);

impl Certain {
    pub(crate) fn of(ledger: &Ledger, finale: &Final, allowances: &Allowances) -> Self {
        let late = finale.late.iter().map(|late| ((late.owner, late.range), late.cause)).collect();
        let mut certain = Self(Timelines::default(), late);
        for (&booking_id, life) in &ledger.bookings {
            certain.enter_booking(ClaimOwner::Booking(booking_id), life);
        }
        for (&hold_id, life) in &ledger.holds {
            certain.enter_hold(ClaimOwner::Hold(hold_id), life, allowances);
        }
        certain.0.sort();
        certain
    }

    fn enter_booking(&mut self, owner: ClaimOwner, life: &BookingLife) {
        for (index, (span, range)) in life.places.iter().enumerate() {
            let others = life.places.iter().enumerate().filter(|&(other, _)| other != index).map(|(_, (span, _))| span);
            let ends: Vec<&Span> = others.chain(&life.cancels).collect();
            self.enter(&life.user_ids, owner, *range, span, &ends, None);
        }
    }

    fn enter_hold(&mut self, owner: ClaimOwner, life: &HoldLife, allowances: &Allowances) {
        let Some((span, range)) = &life.made else { return };
        let ends: Vec<&Span> = life.releases.iter().chain(life.confirms.iter().map(|(span, _)| span)).collect();
        // Extensions may shorten as well as lengthen: the soonest end that was ever said is certain.
        let soonest = life.ends.iter().map(|(_, end)| *end).min();
        let expires_at = soonest.map(|end| end.plus_micros(-allowances.clock_slack_us));
        self.enter(&life.user_ids, owner, *range, span, &ends, expires_at);
    }

    fn enter(
        &mut self,
        user_ids: &[UserId],
        owner: ClaimOwner,
        range: TimeRange,
        made: &Span,
        ends: &[&Span],
        expires_at: Option<Timestamp>,
    ) {
        let Some(from) = made.acknowledged_at else { return };
        // What was over before this began cannot end it.
        let after = ends.iter().filter(|end| !end.is_before(made)).map(|end| end.invoked_at);
        let until = after.chain(expires_at).min();
        if until.is_none_or(|until| from < until) {
            let late = self.1.get(&(owner, range)).copied();
            for &user_id in user_ids {
                self.0.insert(user_id, range, Taken { owner, from, until, late });
            }
        }
    }
}
