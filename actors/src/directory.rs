//! Who is awake, and waking.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::shard::{Epoch, Shard};
use agentcal_engine::time::Timestamp;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use ractor::ActorId;

use crate::calendar;
use crate::context::Context;
use crate::metrics;
use crate::slot::Slot;

/// How long a calendar woken by the sweep stays awake if nobody asks about it.
const LINGER_AFTER_SWEEP: Duration = Duration::from_secs(60);

/// Why a calendar wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Somebody asks about it.
    Question,
    /// Its time has come.
    Sweep,
    /// Its actor died.
    Restart,
}

impl Cause {
    fn as_str(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Sweep => "sweep",
            Self::Restart => "restart",
        }
    }
}

#[derive(Default)]
pub(crate) struct Directory {
    slots: DashMap<CalendarId, Arc<Slot>>,
    by_actor: DashMap<ActorId, Arc<Slot>>,
}

impl Directory {
    /// The calendar's slot, if it is awake.
    pub(crate) fn peek(&self, calendar_id: CalendarId) -> Option<Arc<Slot>> {
        self.slots.get(&calendar_id).map(|slot| Arc::clone(&slot))
    }

    /// Everybody awake, ascending by calendar.
    pub(crate) fn awake(&self) -> Vec<Arc<Slot>> {
        self.awake_where(|_| true)
    }

    /// Those of an account that are awake, ascending by calendar.
    pub(crate) fn awake_of(&self, account_id: AccountId) -> Vec<Arc<Slot>> {
        self.awake_where(|slot| slot.account_id == account_id)
    }

    fn awake_where(&self, wanted: impl Fn(&Slot) -> bool) -> Vec<Arc<Slot>> {
        let found = self.slots.iter().filter(|entry| wanted(entry.value()));
        let mut slots: Vec<Arc<Slot>> = found.map(|entry| Arc::clone(entry.value())).collect();
        slots.sort_by_key(|slot| slot.calendar_id);
        slots
    }

    /// Takes a slot out, unless another took its place.
    pub(crate) fn remove(&self, slot: &Arc<Slot>) {
        self.slots.remove_if(&slot.calendar_id, |_, present| Arc::ptr_eq(present, slot));
        self.count();
    }

    /// Ends a calendar whose ownership is over.
    pub(crate) fn end(&self, slot: &Arc<Slot>) {
        slot.end();
        self.remove(slot);
    }

    pub(crate) fn register(&self, actor_id: ActorId, slot: Arc<Slot>) {
        self.by_actor.insert(actor_id, slot);
    }

    pub(crate) fn unregister(&self, actor_id: ActorId) -> Option<Arc<Slot>> {
        self.by_actor.remove(&actor_id).map(|(_, slot)| slot)
    }

    fn count(&self) {
        ::metrics::gauge!(metrics::AWAKE_CALENDARS).set(self.slots.len() as f64);
    }
}

impl Context {
    /// The calendar's slot, woken if it sleeps; `None` where this node does not own its shard.
    pub(crate) fn wake(
        self: &Arc<Self>,
        account_id: AccountId,
        calendar_id: CalendarId,
        cause: Cause,
    ) -> Option<Arc<Slot>> {
        let epoch = self.ownership.epoch_of(Shard::of(account_id))?;
        if let Some(slot) = self.directory.peek(calendar_id) {
            // A slot of another account keeps its place: a wrong name must not stop anybody's actor.
            match slot.is_gone() {
                true => self.directory.remove(&slot),
                false if slot.epoch != epoch && slot.account_id == account_id => self.directory.end(&slot),
                false => return Some(slot),
            }
        }
        let slot = match self.directory.slots.entry(calendar_id) {
            Entry::Occupied(entry) => return Some(Arc::clone(entry.get())),
            Entry::Vacant(entry) => {
                let slot = Arc::new(self.new_slot(account_id, calendar_id, epoch, cause));
                calendar::start(self, &slot, cause);
                Arc::clone(entry.insert(slot).value())
            }
        };
        self.directory.count();
        ::metrics::counter!(metrics::WAKES, "cause" => cause.as_str()).increment(1);
        Some(slot)
    }

    /// Rings a calendar of this node, and wakes it for that; false where it is another's.
    pub(crate) fn ring(self: &Arc<Self>, account_id: AccountId, calendar_id: CalendarId, ring: Ring) -> bool {
        loop {
            match self.wake(account_id, calendar_id, Cause::Question) {
                None => return false,
                Some(slot) if slot.pass_on(ring) => return true,
                Some(_gone) => {}
            }
        }
    }

    fn new_slot(&self, account_id: AccountId, calendar_id: CalendarId, epoch: Epoch, cause: Cause) -> Slot {
        let settings = &self.parts.settings;
        let now = self.store_now();
        let asked_at: Timestamp = match cause {
            Cause::Question | Cause::Restart => now,
            Cause::Sweep => now - settings.idle_after.saturating_sub(LINGER_AFTER_SWEEP),
        };
        Slot::new(account_id, calendar_id, epoch, settings.mailbox_len_max, asked_at)
    }
}
