//! One case: an account on a store of its own, and the scheduler that serves it.

use std::sync::Arc;
use std::time::Duration;

use agentcal_actors::{Freshness, Providers, Scheduler, SchedulerParts, SchedulerSettings};
use agentcal_engine::calendar::ask::{event_type_in, user_in};
use agentcal_engine::calendar::request::{
    BookRequest, Choice, CommitAnswer, CommitKind, CommitRequest, ConfirmRequest, HoldRequest, Intent, Meeting,
};
use agentcal_engine::decision::{Host, Question, Slot, SlotSearch, Terms, slots};
use agentcal_engine::ids::{BookingId, HoldId, UserId, mint_uuid};
use agentcal_engine::model::{AdHocMeeting, Attendee, AvailabilityRules, EventType, Tenant, User};
use agentcal_engine::ports::{AccountConfig, Clock};
use agentcal_engine::signed::{
    OFFER_TTL_SECONDS, Offer, OfferTerms, OfferWriter, SIGNING_KEY_LEN, SigningKeys, UnverifiedOffer,
};
use agentcal_engine::time::{DAY_US, MINUTE_US, TimeRange, Timestamp};
use agentcal_sim_store::{Disk, Seeded};
use agentcal_store_memory::{MemoryFactCache, MemoryQuotas};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::dice::Dice;
use crate::draw::minutes;
use crate::people::Writer;
use crate::provider::QuietProvider;

/// Most slots looked at.
pub(crate) const SLOTS_MAX: usize = 300;
/// How much longer a range becomes in which nothing was found.
const WIDER_US: i64 = 10 * DAY_US;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// Begins at the case's present, and runs with tokio's clock.
struct VirtualClock {
    present: Timestamp,
    began: Instant,
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.present + self.began.elapsed()
    }
}

pub(crate) struct Scene {
    pub(crate) scheduler: Scheduler,
    pub(crate) disk: Disk,
    pub(crate) meeting: Meeting,
    pub(crate) is_strict: bool,
    tenant: Tenant,
    range: TimeRange,
    clock: Arc<dyn Clock>,
    ids: Arc<Seeded>,
    keys: SigningKeys,
}

/// What was offered, and on what.
pub(crate) struct Look {
    pub(crate) search: SlotSearch,
    pub(crate) user_ids: Vec<UserId>,
    pub(crate) terms: Terms,
    config: Arc<AccountConfig>,
    hosts: Vec<Host>,
    now: Timestamp,
}

impl Scene {
    pub(crate) async fn set(dice: &mut Dice, moments: &[Timestamp]) -> Self {
        let odd_micros = if dice.percent(50) { 0 } else { dice.between(1, MINUTE_US) };
        let present = dice.pick(moments).plus_micros(-dice.between(0, 8_000) * MINUTE_US - odd_micros);
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock { present, began: Instant::now() });
        let ids = Arc::new(Seeded::new(dice.any()));
        let disk = Disk::new(Arc::clone(&clock), Arc::new(Seeded::new(dice.any())));
        let store = disk.connect();
        let mut writer = Writer { dice, store: &store, ids: &ids, now: present };
        let tenant = writer.tenant().await;
        let calendars = writer.calendars(&tenant).await;
        let users = writer.users(&tenant, &calendars).await;
        let event_type = writer.event_type(&tenant, &users).await;
        let bookings = writer.past(&tenant, &users, &event_type).await;
        let events = writer.sync(&calendars, &bookings).await;
        let parts = SchedulerParts {
            store: Arc::new(store),
            cache: Arc::new(MemoryFactCache::default()),
            quotas: Arc::new(MemoryQuotas::new(Arc::clone(&clock))),
            providers: Providers::new().with(Arc::new(QuietProvider(events))),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&ids) as _,
            doorbells: None,
            peers: None,
            webhooks: None,
            jobs: None,
            oauth: None,
            settings: SchedulerSettings::default(),
        };
        let scheduler = Scheduler::start(parts).await.unwrap();
        let (meeting, is_strict) = meeting(dice, &users, &event_type);
        let from = if dice.percent(85) { dice.between(0, 3_000) } else { dice.between(-1_000, 9_000) };
        let range = minutes(present, from, dice.between(30, 3_500));
        let keys = SigningKeys::new(Zeroizing::new([7; SIGNING_KEY_LEN]), []);
        Self { scheduler, disk, meeting, is_strict, tenant, range, clock, ids, keys }
    }

    /// Asks for slots, as whoever answers questions does.
    pub(crate) async fn look(&self) -> Look {
        let config = self.scheduler.config(self.tenant.account_id).await.unwrap().unwrap();
        let (terms, user_ids) = self.terms(&config);
        let read: Vec<_> = people(&config, &user_ids).flat_map(|(user, _)| user.calendars_read()).collect();
        let max_age = self.scheduler.stale_after(&config, &read);
        let hosts = self.scheduler.hosts(&config, &user_ids, Freshness { max_age, deadline: PATIENCE }).await;
        let now = self.scheduler.store_now().await;
        let question = Question { terms: &terms, hosts: &hosts, now, ignoring: None };
        let search = slots(&question, self.range, SLOTS_MAX);
        Look { search, user_ids, terms, config, hosts, now }
    }

    fn terms(&self, config: &AccountConfig) -> (Terms, Vec<UserId>) {
        match self.meeting {
            Meeting::EventType(id) => {
                let (event_type, rules) = event_type_in(config, id).unwrap();
                (Terms::of_event_type(event_type, rules.clone()), event_type.user_ids.clone())
            }
            Meeting::AdHoc(meeting) => (Terms::ad_hoc(meeting.duration_minutes), vec![meeting.user_id]),
        }
    }

    fn offer_terms(&self, config: &AccountConfig) -> OfferTerms {
        match self.meeting {
            Meeting::EventType(id) => {
                let (event_type, rules) = event_type_in(config, id).unwrap();
                let hosts: Vec<_> = people(config, &event_type.user_ids).collect();
                OfferTerms::of_event_type(event_type, rules.as_ref().map(|rules| rules.rules()), &hosts)
            }
            Meeting::AdHoc(meeting) => {
                let (user, rules) = people(config, &[meeting.user_id]).next().unwrap();
                OfferTerms::ad_hoc(meeting, user, rules)
            }
        }
    }

    /// The slot id a caller would be given.
    pub(crate) fn slot_id(&self, look: &Look, slot: &Slot) -> String {
        let expires_at = look.now + Duration::from_secs(OFFER_TTL_SECONDS.into());
        let mut id = Vec::new();
        OfferWriter::new(&self.offer_terms(&look.config), &self.keys, expires_at)
            .write(slot.start, slot.hosts, &mut id);
        String::from_utf8(id).unwrap()
    }

    /// What a slot id that comes back stands for, by the terms as they now are.
    pub(crate) async fn verified(&self, slot_id: &str) -> Option<Offer> {
        let config = self.scheduler.config(self.tenant.account_id).await.unwrap().unwrap();
        let terms = self.offer_terms(&config);
        let now = self.scheduler.store_now().await;
        UnverifiedOffer::parse(slot_id)?.verify(&terms, &self.keys, now).ok()
    }

    pub(crate) async fn commit(&self, kind: CommitKind, intent: Intent) -> CommitAnswer {
        let now = self.clock.now();
        let commit_id = mint_uuid(now, &*self.ids);
        let (tenant, deadline) = (self.tenant, now + PATIENCE);
        self.scheduler.commit(CommitRequest { commit_id, tenant, kind, intent, idempotency: None, deadline }).await
    }

    pub(crate) fn booking(&self, choice: Choice, start: Timestamp) -> CommitKind {
        CommitKind::Book(BookRequest {
            booking_id: BookingId::mint(self.clock.now(), &*self.ids),
            meeting: self.meeting,
            choice,
            start,
            attendee: ada(),
            metadata: serde_json::Map::new(),
        })
    }

    pub(crate) fn hold(&self, choice: Choice, start: Timestamp, ttl_seconds: u32) -> CommitKind {
        CommitKind::Hold(HoldRequest {
            hold_id: HoldId::mint(self.clock.now(), &*self.ids),
            meeting: self.meeting,
            choice,
            start,
            ttl_seconds,
            session_id: Some("call".into()),
        })
    }

    pub(crate) fn confirmation(&self, hold_id: HoldId) -> CommitKind {
        CommitKind::Confirm(ConfirmRequest {
            booking_id: BookingId::mint(self.clock.now(), &*self.ids),
            hold_id,
            attendee: ada(),
            metadata: serde_json::Map::new(),
        })
    }
}

impl Look {
    /// The question that was asked, for words when something is wrong.
    pub(crate) fn question(&self) -> Question<'_> {
        Question { terms: &self.terms, hosts: &self.hosts, now: self.now, ignoring: None }
    }

    /// Who is offered at a start.
    pub(crate) fn offered_at(&self, start: Timestamp) -> Vec<UserId> {
        let slot = self.search.slots.iter().find(|slot| slot.start == start);
        slot.map(|slot| self.users_of(slot)).unwrap_or_default()
    }

    pub(crate) fn users_of(&self, slot: &Slot) -> Vec<UserId> {
        slot.hosts.iter().map(|index| self.user_ids[index]).collect()
    }

    /// The starts that were looked at: all of those asked for, or up to the last that was listed.
    pub(crate) fn covered(&self, range: TimeRange) -> TimeRange {
        match self.search.slots.last() {
            Some(last) if self.search.slots.len() == SLOTS_MAX => TimeRange { start: range.start, end: last.start },
            _ => range,
        }
    }
}

impl Scene {
    /// The starts that are asked about.
    pub(crate) fn range(&self) -> TimeRange {
        self.range
    }

    /// Asks about more of them from now on.
    pub(crate) fn widen(&mut self) {
        self.range.end = self.range.end.plus_micros(WIDER_US);
    }
}

fn people<'c>(
    config: &'c AccountConfig,
    user_ids: &[UserId],
) -> impl Iterator<Item = (&'c User, &'c AvailabilityRules)> {
    user_ids.iter().filter_map(|&id| user_in(config, id)).map(|(user, rules)| (&**user, rules.rules()))
}

fn meeting(dice: &mut Dice, users: &[User], event_type: &EventType) -> (Meeting, bool) {
    if dice.percent(15) {
        let user_id = dice.pick(users).id;
        let duration_minutes = dice.pick(&[5, 15, 30, 45, 60, 240]);
        return (Meeting::AdHoc(AdHocMeeting { user_id, duration_minutes }), false);
    }
    (Meeting::EventType(event_type.id), event_type.require_slot_id)
}

fn ada() -> Attendee {
    Attendee { name: "Ada".into(), email: None, phone: None, timezone: None }
}
