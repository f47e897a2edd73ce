//! Quiet points: nobody asks, nothing fails, everything comes to rest; then what there is must be exactly right.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agentcal_engine::cluster::{candidates, rightful_owner};
use agentcal_engine::decision::{Host, Terms};
use agentcal_engine::facts::{CalendarFacts, ExternalInstance, FactSource, Knowledge};
use agentcal_engine::ids::CalendarId;
use agentcal_engine::model::{ClaimKind, User, WritebackState};
use agentcal_engine::ports::{AccountConfig, FactStore};
use agentcal_engine::reference::{Reference, ReferenceSlot, WallClock};
use agentcal_engine::shard::Shard;
use agentcal_engine::time::{DAY_US, MINUTE_US, TimeRange, Timestamp};
use agentcal_history::{EventAtProvider, Final, FreshnessState, Late, ProviderFinal, SlotsSeen, Truth};
use agentcal_sim_store::{Disk, View};
use tokio::runtime::Runtime;

use crate::cluster::Cluster;
use crate::node::{NodeHandle, name_of};
use crate::provider::{Cloud, Shelf};
use crate::world::{Place, Thing, World};

/// Longest time until everything is at rest. Credentials that were refused are tried again within the hour.
pub(crate) const CALM_MAX: Duration = Duration::from_secs(75 * 60);
/// How far ahead facts are compared.
const AHEAD_US: i64 = 20 * DAY_US;
/// Slots that begin sooner may be over by the time they are compared.
const SOON_US: i64 = 10 * MINUTE_US;

/// What is asked of the auditor, and what it saw.
#[derive(Clone, Default)]
pub(crate) struct Audit(Arc<Mutex<AuditState>>);

#[derive(Default)]
struct AuditState {
    wanted: bool,
    seen: Option<Vec<Option<SlotsSeen>>>,
}

impl Audit {
    pub(crate) fn request(&self) {
        *self.lock() = AuditState { wanted: true, seen: None };
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.lock().wanted
    }

    /// What each node said of each thing that can be booked.
    pub(crate) fn deliver(&self, seen: Vec<Option<SlotsSeen>>) {
        *self.lock() = AuditState { wanted: false, seen: Some(seen) };
    }

    pub(crate) fn take(&self) -> Option<Vec<Option<SlotsSeen>>> {
        self.lock().seen.take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, AuditState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything as it truly is, for comparing.
pub(crate) struct Truths<'a> {
    pub(crate) world: &'a World,
    pub(crate) cloud: &'a Cloud,
    pub(crate) cluster: &'a Cluster,
    pub(crate) view: View,
}

impl Truths<'_> {
    /// What is not yet at rest; `None` when everything is.
    pub(crate) fn unrest(&self, disk: &Disk, runtime: &Runtime) -> Option<String> {
        let account_id = self.world.account_id();
        if let Some(unrest) = self.unrest_of_nodes() {
            return Some(unrest);
        }
        if self
            .view
            .claims(account_id)
            .iter()
            .any(|claim| claim.kind() == ClaimKind::Hold && claim.is_live(self.view.now()))
        {
            return Some("a hold has not expired".into());
        }
        let bookings = self.view.bookings(account_id);
        let mut pending = bookings.iter().filter(|booking| {
            let states = booking.hosts.iter().filter_map(|host| host.writeback.as_ref());
            states.into_iter().any(|writeback| writeback.state == WritebackState::Pending)
        });
        if let Some(booking) = pending.next() {
            return Some(format!("booking {} is not written to its calendars: {:?}", booking.id, booking.hosts));
        }
        let store = disk.connect();
        self.world.places.iter().find_map(|place| {
            let stored = runtime.block_on(store.load_facts(account_id, place.calendar_id));
            let facts = match stored {
                Ok(Some(source)) => CalendarFacts::assemble(source),
                other => return Some(format!("the facts of {} could not be read: {other:?}", place.name)),
            };
            let truth = self.facts_of(place, Knowledge::Internal);
            let window = self.window();
            let near = |ranges: &[TimeRange]| -> Vec<TimeRange> {
                ranges.iter().filter_map(|range| range.intersection(&window)).collect()
            };
            let is_known = matches!(facts.knowledge, Knowledge::Synced { .. });
            let is_same = near(&facts.external) == near(&truth.external) && facts.displaced == truth.displaced;
            (!is_known || !is_same).then(|| {
                format!(
                    "the store knows {} as {:?}, {:?} and {:?}; it is {:?} and {:?}",
                    place.name,
                    facts.knowledge,
                    near(&facts.external),
                    facts.displaced,
                    near(&truth.external),
                    truth.displaced
                )
            })
        })
    }

    /// Every node lives, every shard is where it should be, and every node knows.
    fn unrest_of_nodes(&self) -> Option<String> {
        if self.cluster.is_alone() {
            return None;
        }
        let (shards, live) = self.view.ownership();
        if live.len() != self.cluster.count() || live.iter().any(|node| node.is_draining) {
            return Some(format!("there are other nodes than there should be: {live:?}"));
        }
        let candidates = candidates(&live);
        let astray = Shard::all().zip(&shards).find(|(shard, row)| row.owner != rightful_owner(*shard, &candidates));
        if let Some((shard, row)) = astray {
            return Some(format!("shard {} is {row:?}", shard.number()));
        }
        let is_behind =
            |handle: &NodeHandle| handle.scheduler().is_none_or(|scheduler| scheduler.shard_map().shards != shards);
        let behind = self.cluster.nodes.iter().position(is_behind);
        behind.map(|node| format!("{} knows another shard map", name_of(node)))
    }

    fn window(&self) -> TimeRange {
        let now = self.view.now();
        TimeRange { start: now, end: now.plus_micros(AHEAD_US) }
    }

    /// A calendar's facts as the provider and the claims have them.
    fn facts_of(&self, place: &Place, knowledge: Knowledge) -> CalendarFacts {
        let instances = self.cloud.look(&place.name, instances_of).unwrap_or_default();
        self.assemble(place.calendar_id, knowledge, instances)
    }

    fn assemble(
        &self,
        calendar_id: CalendarId,
        knowledge: Knowledge,
        instances: Vec<ExternalInstance>,
    ) -> CalendarFacts {
        let account_id = self.world.account_id();
        let mut claims = self.view.claims(account_id);
        claims.retain(|claim| claim.home_calendar_id == calendar_id);
        CalendarFacts::assemble(FactSource {
            calendar_id,
            account_id,
            epoch: self.view.epoch_of(account_id),
            revision: 0,
            knowledge,
            instances,
            claims,
            echoes: Vec::new(),
        })
    }

    /// Everything the history is compared with.
    pub(crate) fn finale(&self, is_settled: bool, late: &[Late]) -> Final {
        let account_id = self.world.account_id();
        Final {
            at: self.view.now(),
            claims: self.view.claims(account_id),
            bookings: self.view.bookings(account_id),
            holds: self.view.holds(account_id),
            is_whole: true,
            provider: is_settled.then(|| self.shown()),
            truth: self.truth(),
            late: late.to_vec(),
            ..Final::default()
        }
    }

    fn shown(&self) -> ProviderFinal {
        let mut shown = ProviderFinal::default();
        for place in &self.world.places {
            self.cloud.look(&place.name, |shelf| {
                let calendar_id = place.calendar_id;
                shown.events.extend(shelf.ours().into_iter().map(|(_, (booking_id, range))| EventAtProvider {
                    calendar_id,
                    booking_id,
                    range,
                }));
                shown.touched.extend(shelf.touched());
            });
        }
        shown
    }

    fn truth(&self) -> Vec<Truth> {
        let mut truth = Vec::new();
        for place in &self.world.places {
            let spans = self.cloud.look(&place.name, |shelf| shelf.truth().to_vec()).unwrap_or_default();
            for user_id in self.world.readers_of(&place.name) {
                let of_user = |span: &crate::provider::BusySpan| Truth {
                    user_id,
                    range: span.range,
                    since: span.since,
                    until: span.until,
                };
                truth.extend(spans.iter().map(of_user));
            }
        }
        truth
    }

    /// What each node offered the auditor against what the slow calculator finds in the truth.
    pub(crate) fn compare(&self, seen: &[Option<SlotsSeen>]) -> Vec<String> {
        let Some(config) = self.view.config(self.world.account_id()) else { return vec!["no account".into()] };
        let wall_clock = self.wall_clock(&config);
        let things = &self.world.things;
        let of_nodes = seen.chunks(things.len()).enumerate();
        let pairs =
            of_nodes.flat_map(|(node, seen)| things.iter().zip(seen).map(move |(thing, seen)| (node, thing, seen)));
        let wrong = pairs.filter_map(|(node, thing, seen)| {
            let wrong = self.compare_one(thing, seen.as_ref(), &config, &wall_clock)?;
            Some(format!("{}: {wrong}", name_of(node)))
        });
        wrong.collect()
    }

    fn wall_clock(&self, config: &AccountConfig) -> WallClock {
        let zones: Vec<_> = config.users.iter().flat_map(|(user, rules)| [user.timezone, rules.timezone]).collect();
        let now = self.view.now();
        let spare = 100 * DAY_US;
        WallClock::watch(&zones, TimeRange { start: now.plus_micros(-spare), end: now.plus_micros(spare) })
    }

    fn compare_one(
        &self,
        thing: &Thing,
        seen: Option<&SlotsSeen>,
        config: &AccountConfig,
        wall_clock: &WallClock,
    ) -> Option<String> {
        let Some(seen) = seen else { return Some(format!("{} could not be asked about in peace", thing.id)) };
        if seen.freshness.state != FreshnessState::Complete {
            return Some(format!("{} was answered as {:?} in peace", thing.id, seen.freshness));
        }
        let (event_type, rules) = config.event_types.iter().find(|(event_type, _)| event_type.id == thing.id)?;
        let terms = Terms::of_event_type(event_type, rules.clone());
        let hosts: Vec<Host> = thing.user_ids.iter().filter_map(|id| self.host(*id, config)).collect();
        let now = self.view.now();
        let question = agentcal_engine::decision::Question { terms: &terms, hosts: &hosts, now, ignoring: None };
        let range = audited(now);
        let (expected, _) = Reference::new(question, wall_clock).slots(range);
        let found: Vec<ReferenceSlot> = seen
            .slots
            .iter()
            .filter(|slot| range.contains(slot.range.start))
            .map(|slot| ReferenceSlot {
                start: slot.range.start,
                end: slot.range.end,
                hosts: places_of(&slot.user_ids, &thing.user_ids),
            })
            .collect();
        let wrong = expected.iter().filter(|slot| !found.contains(slot)).map(|slot| format!("missing {slot:?}"));
        let wrong =
            wrong.chain(found.iter().filter(|slot| !expected.contains(slot)).map(|slot| format!("too much {slot:?}")));
        wrong.take(3).reduce(|all, one| format!("{all}; {one}")).map(|wrong| format!("{}: {wrong}", thing.id))
    }

    fn host(&self, user_id: agentcal_engine::ids::UserId, config: &AccountConfig) -> Option<Host> {
        let (user, rules) = config.users.iter().find(|(user, _)| user.id == user_id)?;
        let facts = user.calendars_read().into_iter().map(|id| Arc::new(self.facts_by_id(user, id))).collect();
        Some(Host { user: Arc::clone(user), rules: Arc::clone(rules), facts })
    }

    fn facts_by_id(&self, _user: &User, calendar_id: CalendarId) -> CalendarFacts {
        let now = self.view.now();
        let window = TimeRange { start: now.plus_micros(-DAY_US), end: now.plus_micros(400 * DAY_US) };
        match self.world.places.iter().find(|place| place.calendar_id == calendar_id) {
            Some(place) => self.facts_of(place, Knowledge::Synced { as_of: now, window, watched_until: None }),
            None => self.assemble(calendar_id, Knowledge::Internal, Vec::new()),
        }
    }
}

/// The time the auditor's answers are compared in: from soon on to the end of tomorrow.
fn audited(now: Timestamp) -> TimeRange {
    let day = now.as_micros().div_euclid(DAY_US);
    let minute = now.plus_micros(SOON_US).as_micros() / MINUTE_US * MINUTE_US;
    TimeRange { start: Timestamp::from_micros(minute), end: Timestamp::from_micros((day + 2) * DAY_US) }
}

fn places_of(user_ids: &[agentcal_engine::ids::UserId], among: &[agentcal_engine::ids::UserId]) -> Vec<usize> {
    let mut places: Vec<usize> =
        user_ids.iter().filter_map(|id| among.iter().position(|candidate| candidate == id)).collect();
    places.sort_unstable();
    places
}

fn instances_of(shelf: &Shelf) -> Vec<ExternalInstance> {
    let people = shelf.truth().iter().filter(|span| span.until.is_none());
    let people = people.map(|span| ExternalInstance { range: span.range, booking_id: None, blocks: true });
    let ours = shelf.ours().into_iter().map(|(_, (booking_id, range))| ExternalInstance {
        range,
        booking_id: Some(booking_id),
        blocks: true,
    });
    people.chain(ours).collect()
}
