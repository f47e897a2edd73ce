//! Looks at the store after every step: a small model of how its rows may change, and the engine's invariants.
//!
//! The history checker knows what clients were told; this knows what was committed, told or not.

use std::collections::BTreeMap;

use agentcal_engine::ids::{AccountId, EventTypeId, UserId};
use agentcal_engine::invariants::{claim_in_bounds, no_double_booking};
use agentcal_engine::model::{Booking, BookingStatus, Claim, ClaimOwner, Hold, HoldState};
use agentcal_engine::ports::AccountConfig;
use agentcal_engine::time::{DAY_US, MINUTE_US, TimeRange, Timestamp};
use agentcal_sim_store::{CommitNote, KeptAnswer, View};
use chrono::NaiveDate;

/// What is remembered of the last look.
pub(crate) struct Watch {
    account_id: AccountId,
    last: Option<View>,
    /// When the last look was, at whatever was the same.
    looked_at: Timestamp,
    /// States looked at.
    pub(crate) looks: u64,
    /// How many notes of writers were read.
    noted: u64,
    /// Notes of the last look.
    pub(crate) notes: Vec<CommitNote>,
}

impl Watch {
    pub(crate) fn new(account_id: AccountId) -> Self {
        Self { account_id, last: None, looked_at: Timestamp::EARLIEST, looks: 0, noted: 0, notes: Vec::new() }
    }

    /// Begins anew: whether what a crash took away was anybody's, clients know.
    pub(crate) fn forget(&mut self) {
        self.last = None;
        self.noted = 0;
    }

    /// What is wrong with this state, or with how it came from the last one.
    pub(crate) fn look(&mut self, view: View) -> Vec<String> {
        let looked_at = std::mem::replace(&mut self.looked_at, view.now());
        let superseded = self.read_notes(&view);
        if !superseded.is_empty() {
            return superseded;
        }
        if self.last.as_ref().is_some_and(|last| last.sold_the_same(self.account_id, &view)) {
            return Vec::new();
        }
        self.looks += 1;
        let mut wrong = standing(self.account_id, &view);
        if let Some(last) = &self.last {
            wrong.extend(changes(self.account_id, last, &view, looked_at));
        }
        self.last = Some(view);
        wrong
    }

    fn read_notes(&mut self, view: &View) -> Vec<String> {
        self.notes = view.notes(self.account_id, self.noted);
        self.noted = self.notes.last().map_or(self.noted, |note| note.number + 1);
        self.notes.iter().filter_map(superseded).collect()
    }
}

/// What is written under an ownership that is over.
fn superseded(note: &CommitNote) -> Option<String> {
    let is_over = note.epoch.is_some_and(|epoch| epoch != note.standing);
    is_over.then_some(format!("a write under an ownership that was over: {note:?}"))
}

/// What one state must be like.
fn standing(account_id: AccountId, view: &View) -> Vec<String> {
    let (claims, bookings, holds) = (view.claims(account_id), view.bookings(account_id), view.holds(account_id));
    let mut wrong: Vec<String> = Vec::new();
    wrong.extend(no_double_booking(&claims, view.now()).err().map(|error| error.to_string()));
    wrong.extend(claims.iter().filter_map(|claim| claim_in_bounds(claim).err()).map(|error| error.to_string()));
    wrong.extend(crowded(&claims, view.now()));
    if let Some(config) = view.config(account_id) {
        wrong.extend(over_limits(&claims, &config, view.now()));
    }
    let mut wanted = wanted_claims(&bookings, &holds, view.now());
    for claim in &claims {
        let is_wanted = wanted.remove(&(claim.owner, claim.user_id)) == Some(claim.range);
        if !is_wanted && claim.is_live(view.now()) {
            wrong.push(format!(
                "claim {} takes {:?} for {:?}, which does not have it",
                claim.id, claim.range, claim.owner
            ));
        }
    }
    wrong.extend(
        wanted.iter().map(|((owner, user_id), range)| format!("{owner:?} has no claim on {user_id} at {range:?}")),
    );
    wrong
}

/// Neighbours of one person leave at least the larger of the two buffers that face each other.
fn crowded(claims: &[Claim], now: Timestamp) -> Vec<String> {
    let mut live: Vec<&Claim> = claims.iter().filter(|claim| claim.is_live(now)).collect();
    live.sort_by_key(|claim| (claim.user_id, claim.range));
    let pairs = live.windows(2).filter(|pair| pair[0].user_id == pair[1].user_id);
    let crowded = pairs.filter(|pair| {
        let gap_us = pair[1].range.start.micros_since(pair[0].range.end);
        let wanted = pair[0].buffer_after_minutes.max(pair[1].buffer_before_minutes);
        gap_us < i64::from(wanted) * MINUTE_US
    });
    crowded.map(|pair| format!("claims {} and {} leave no room for their buffers", pair[0].id, pair[1].id)).collect()
}

/// Nobody has more claims of an event type on one day of its zone than the event type allows.
fn over_limits(claims: &[Claim], config: &AccountConfig, now: Timestamp) -> Vec<String> {
    let mut counts: BTreeMap<(UserId, EventTypeId, NaiveDate), u32> = BTreeMap::new();
    for claim in claims.iter().filter(|claim| claim.is_live(now)) {
        let user = config.users.iter().find(|(user, _)| user.id == claim.user_id).map(|(user, _)| user);
        if let (Some(user), Some(event_type_id)) = (user, claim.event_type_id) {
            let date = claim.range.start.to_utc().with_timezone(&user.timezone).date_naive();
            *counts.entry((user.id, event_type_id, date)).or_default() += 1;
        }
    }
    let limit = |id: EventTypeId| {
        let found = config.event_types.iter().find(|(event_type, _)| event_type.id == id);
        found.and_then(|(event_type, _)| event_type.max_bookings_per_day).unwrap_or(u32::MAX)
    };
    let over = counts.into_iter().filter(|((_, id, _), count)| *count > limit(*id));
    over.map(|((user_id, id, date), count)| format!("{user_id} has {count} claims of {id} on {date}")).collect()
}

fn wanted_claims(bookings: &[Booking], holds: &[Hold], now: Timestamp) -> BTreeMap<(ClaimOwner, UserId), TimeRange> {
    let mut wanted = BTreeMap::new();
    for booking in bookings.iter().filter(|booking| booking.status == BookingStatus::Confirmed) {
        let owner = ClaimOwner::Booking(booking.id);
        wanted.extend(booking.hosts.iter().map(|host| ((owner, host.user_id), booking.range)));
    }
    for hold in holds.iter().filter(|hold| hold.state_at(now) == HoldState::Active) {
        wanted.extend(hold.user_ids.iter().map(|&user_id| ((ClaimOwner::Hold(hold.id), user_id), hold.range)));
    }
    wanted
}

/// How one state may follow another.
fn changes(account_id: AccountId, before: &View, after: &View, looked_at: Timestamp) -> Vec<String> {
    let mut wrong = Vec::new();
    let bookings: BTreeMap<_, Booking> =
        after.bookings(account_id).into_iter().map(|booking| (booking.id, booking)).collect();
    for old in before.bookings(account_id) {
        match bookings.get(&old.id) {
            None => wrong.push(format!("booking {} vanished", old.id)),
            Some(new) => wrong.extend(booking_change(&old, new)),
        }
    }
    let holds: BTreeMap<_, Hold> = after.holds(account_id).into_iter().map(|hold| (hold.id, hold)).collect();
    for old in before.holds(account_id) {
        match holds.get(&old.id) {
            None if old.expires_at.plus_micros(DAY_US) > after.now() => wrong.push(format!("hold {} vanished", old.id)),
            None => {}
            Some(new) => wrong.extend(hold_change(&old, new, looked_at)),
        }
    }
    let claims: BTreeMap<_, Claim> = after.claims(account_id).into_iter().map(|claim| (claim.id, claim)).collect();
    for old in before.claims(account_id) {
        if let Some(new) = claims.get(&old.id).filter(|new| new.user_id != old.user_id) {
            wrong.push(format!("claim {} went from {} to {}", old.id, old.user_id, new.user_id));
        }
    }
    wrong.extend(answer_changes(&before.answers(account_id), &after.answers(account_id), after.now()));
    wrong
}

fn booking_change(old: &Booking, new: &Booking) -> Option<String> {
    let hosts = |booking: &Booking| booking.hosts.iter().map(|host| host.user_id).collect::<Vec<_>>();
    let is_same = hosts(old) == hosts(new)
        && (old.event_type_id, &old.attendee, &old.metadata, old.created_at)
            == (new.event_type_id, &new.attendee, &new.metadata, new.created_at);
    let is_changed = (old.range, old.status) != (new.range, new.status);
    let is_raised = if is_changed { new.sequence > old.sequence } else { new.sequence >= old.sequence };
    let is_revived = old.status == BookingStatus::Cancelled && is_changed;
    (!is_same || !is_raised || is_revived)
        .then(|| format!("booking {} changed as none may: {old:?} to {new:?}", old.id))
}

/// `looked_at`: an instant before the change at which the hold still was the old one.
fn hold_change(old: &Hold, new: &Hold, looked_at: Timestamp) -> Option<String> {
    let is_same = (old.range, &old.user_ids, &old.session_id, old.created_at)
        == (new.range, &new.user_ids, &new.session_id, new.created_at);
    let is_over = old.state_at(looked_at) != HoldState::Active;
    let is_changed = old.state != new.state || old.expires_at != new.expires_at;
    let is_confirmed_late = is_over && matches!(new.state, HoldState::Confirmed(_)) && is_changed;
    let is_final = old.state == HoldState::Active || !is_changed;
    (!is_same || !is_final || is_confirmed_late)
        .then(|| format!("hold {} changed as none may: {old:?} to {new:?}", old.id))
}

/// A kept answer stays as it is for a day.
fn answer_changes(before: &[KeptAnswer], after: &[KeptAnswer], now: Timestamp) -> Vec<String> {
    let after: BTreeMap<[u8; 32], &KeptAnswer> = after.iter().map(|answer| (answer.key.scope, answer)).collect();
    let young = before.iter().filter(|old| old.created_at.plus_micros(DAY_US) > now);
    let changed = young.filter(|old| after.get(&old.key.scope).is_none_or(|new| new.answer != old.answer));
    changed.map(|old| format!("the answer kept at {:?} is gone or another", old.created_at)).collect()
}
