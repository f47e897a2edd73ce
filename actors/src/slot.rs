//! A calendar's place in the directory: its published facts, and the door to its actor.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentcal_engine::calendar::request::{CommitAnswer, CommitRequest};
use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::Timestamp;
use arc_swap::ArcSwapOption;
use ractor::ActorRef;
use tokio::sync::{Semaphore, oneshot};

use crate::bulletin::{Bulletin, Reader};
use crate::calendar::Msg;
use crate::commit::{Before, Footing};
use crate::jobs::{CommitJob, Waiting};

/// What happened to a calendar so far, for those who wait for something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) doors: u64,
    pub(crate) published: u64,
    pub(crate) syncs_ended: u64,
    pub(crate) syncs_failed: u64,
}

/// The way to the actor.
enum Door {
    /// Messages reach it.
    Open(ActorRef<Msg>),
    /// It is starting again, or about to leave; a bell is remembered.
    Shut { rung: bool },
    /// It left; whoever needs the calendar wakes it anew.
    Gone,
}

/// Why a commit did not reach the actor.
pub(crate) enum NotSent {
    /// Too many are on their way.
    Full,
    /// The door is shut; wait for a change.
    Shut,
    /// The slot is over; wake the calendar again.
    Gone,
}

pub(crate) struct Slot {
    pub(crate) account_id: AccountId,
    pub(crate) calendar_id: CalendarId,
    /// The ownership it was woken under.
    pub(crate) epoch: Epoch,
    pub(crate) crashes: AtomicU32,
    pub(crate) started_at: AtomicI64,
    facts: ArcSwapOption<CalendarFacts>,
    withdrawals: AtomicU64,
    changes: Bulletin<Changes>,
    mailbox: Arc<Semaphore>,
    door: Mutex<Door>,
    asked_at: AtomicI64,
    syncing: AtomicBool,
    bell_sent: AtomicBool,
    due_sent: AtomicBool,
}

impl Slot {
    pub(crate) fn new(
        account_id: AccountId,
        calendar_id: CalendarId,
        epoch: Epoch,
        mailbox_len_max: usize,
        asked_at: Timestamp,
    ) -> Self {
        Self {
            account_id,
            calendar_id,
            epoch,
            crashes: AtomicU32::new(0),
            started_at: AtomicI64::new(0),
            facts: ArcSwapOption::empty(),
            withdrawals: AtomicU64::new(0),
            changes: Bulletin::default(),
            mailbox: Arc::new(Semaphore::new(mailbox_len_max)),
            door: Mutex::new(Door::Shut { rung: false }),
            asked_at: AtomicI64::new(asked_at.as_micros()),
            syncing: AtomicBool::new(false),
            bell_sent: AtomicBool::new(false),
            due_sent: AtomicBool::new(false),
        }
    }

    /// The published facts.
    pub(crate) fn facts(&self) -> Option<Arc<CalendarFacts>> {
        self.facts.load_full()
    }

    /// Publishes facts that rest on a load which began after so many withdrawals; false, and nothing is published, where
    /// there was another since.
    pub(crate) fn publish(&self, facts: Arc<CalendarFacts>, withdrawals: u64) -> bool {
        let door = self.door();
        if self.withdrawals() != withdrawals {
            return false;
        }
        if !matches!(*door, Door::Gone) {
            self.facts.store(Some(facts));
        }
        drop(door);
        self.note(|changes| changes.published += 1);
        true
    }

    /// Takes the facts back: nobody knows whether they still stand, nor any that a load brings which began before.
    pub(crate) fn withdraw(&self) {
        let _door = self.door();
        self.withdrawals.fetch_add(1, Ordering::SeqCst);
        self.facts.store(None);
    }

    /// How often facts were taken back.
    pub(crate) fn withdrawals(&self) -> u64 {
        self.withdrawals.load(Ordering::SeqCst)
    }

    pub(crate) fn note(&self, change: impl FnOnce(&mut Changes)) {
        self.changes.change(change);
    }

    pub(crate) fn watch(&self) -> Reader<Changes> {
        self.changes.reader()
    }

    /// Somebody asks about the calendar.
    pub(crate) fn touch(&self, now: Timestamp) {
        self.asked_at.store(now.as_micros(), Ordering::Relaxed);
    }

    pub(crate) fn asked_at(&self) -> Timestamp {
        Timestamp::from_micros(self.asked_at.load(Ordering::Relaxed))
    }

    /// Notes whether a sync is under way; says whether that is news.
    pub(crate) fn set_syncing(&self, syncing: bool) -> bool {
        self.syncing.swap(syncing, Ordering::Relaxed) != syncing
    }

    pub(crate) fn is_syncing(&self) -> bool {
        self.syncing.load(Ordering::Relaxed)
    }

    /// Opens the door to an actor; says whether a bell rang while it was shut.
    pub(crate) fn open(&self, actor: ActorRef<Msg>) -> bool {
        self.take_bell();
        self.take_due();
        let before = std::mem::replace(&mut *self.door(), Door::Open(actor));
        self.note(|changes| changes.doors += 1);
        matches!(before, Door::Shut { rung: true })
    }

    /// Shuts the door; bells are remembered.
    pub(crate) fn shut(&self) {
        let mut door = self.door();
        if matches!(*door, Door::Open(_)) {
            *door = Door::Shut { rung: false };
        }
    }

    /// Leaves for good, unless somebody rang; says whether it did.
    pub(crate) fn leave(&self) -> bool {
        let mut door = self.door();
        if matches!(*door, Door::Shut { rung: true }) {
            return false;
        }
        *door = Door::Gone;
        drop(door);
        self.facts.store(None);
        self.note(|changes| changes.doors += 1);
        true
    }

    /// Leaves for good, whoever rang.
    pub(crate) fn leave_at_once(&self) {
        *self.door() = Door::Gone;
        self.note(|changes| changes.doors += 1);
    }

    /// The ownership it was woken under is over: its actor stops, and nothing of it is served any more.
    pub(crate) fn end(&self) {
        let mut door = self.door();
        if let Door::Open(actor) = &*door {
            // One that has died already needs no stopping.
            let _ = actor.send_message(Msg::Stop);
        }
        *door = Door::Gone;
        drop(door);
        self.facts.store(None);
        self.note(|changes| changes.doors += 1);
    }

    pub(crate) fn is_gone(&self) -> bool {
        matches!(*self.door(), Door::Gone)
    }

    /// Sends a message; false when it did not reach the actor.
    pub(crate) fn send(&self, message: Msg) -> bool {
        match &*self.door() {
            Door::Open(actor) => actor.send_message(message).is_ok(),
            Door::Shut { .. } | Door::Gone => false,
        }
    }

    /// Rings; a shut door remembers it. False when the slot is over. One bell is on its way at most, since any number of
    /// them says no more than one.
    pub(crate) fn ring(&self) -> bool {
        let mut door = self.door();
        match &mut *door {
            Door::Open(actor) => {
                if !self.bell_sent.swap(true, Ordering::SeqCst) {
                    // An actor that just died does not hear it; its successor begins with a bell.
                    let _ = actor.send_message(Msg::Bell);
                }
                true
            }
            Door::Shut { rung } => {
                *rung = true;
                true
            }
            Door::Gone => false,
        }
    }

    /// Rings as the provider did. What it says of a watch is lost while the door is shut; the look at the calendar is not.
    pub(crate) fn pass_on(&self, ring: Ring) -> bool {
        if ring != Ring::Changed && self.send(Msg::Ring(ring)) { true } else { self.ring() }
    }

    /// The actor heard the bell: the next one is news again.
    pub(crate) fn take_bell(&self) {
        self.bell_sent.store(false, Ordering::SeqCst);
    }

    /// The sweep came by. `write_wanted`: a writeback is due, too.
    pub(crate) fn send_due(&self, write_wanted: bool) {
        if !self.due_sent.swap(true, Ordering::SeqCst) {
            self.send(Msg::Due { write_wanted });
        }
    }

    /// The actor heard of the sweep.
    pub(crate) fn take_due(&self) {
        self.due_sent.store(false, Ordering::SeqCst);
    }

    /// Hands a commit to the actor. Its answer may never come if the actor dies or is fenced: then ask again.
    pub(crate) fn commit(
        &self,
        request: Arc<CommitRequest>,
        before: Before,
        footing: Footing,
    ) -> Result<Answer, NotSent> {
        let permit = match Arc::clone(&self.mailbox).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_full) => return Err(NotSent::Full),
        };
        let (reply, answer) = oneshot::channel();
        let job = CommitJob { request, before, footing, reply, waiting: Some(Waiting::count()) };
        match &*self.door() {
            Door::Open(actor) if actor.send_message(Msg::Commit(Box::new(job), permit)).is_ok() => Ok(answer),
            Door::Open(_) | Door::Shut { .. } => Err(NotSent::Shut),
            Door::Gone => Err(NotSent::Gone),
        }
    }

    fn door(&self) -> MutexGuard<'_, Door> {
        // No code that can panic runs under this lock.
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) type Answer = oneshot::Receiver<CommitAnswer>;

#[cfg(test)]
mod tests {
    use agentcal_engine::facts::UnknownReason;
    use uuid::Uuid;

    use super::*;
    use crate::supervisor::unknown;

    /// A load may be held back between its reading and its answer for however long, and be withdrawn from meanwhile.
    #[test]
    fn what_was_read_before_facts_were_taken_back_is_not_published() {
        let (account_id, calendar_id) = (AccountId::from_uuid(Uuid::nil()), CalendarId::from_uuid(Uuid::nil()));
        let slot = Slot::new(account_id, calendar_id, Epoch(1), 1, Timestamp::from_seconds(0));
        let facts = || Arc::new(unknown(&slot, UnknownReason::NotSynced));
        let read_first = slot.withdrawals();
        assert!(slot.publish(facts(), read_first) && slot.facts().is_some());
        slot.withdraw();
        assert!(!slot.publish(facts(), read_first) && slot.facts().is_none());
        assert!(slot.publish(facts(), slot.withdrawals()) && slot.facts().is_some());
    }
}
