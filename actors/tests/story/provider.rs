//! A provider in memory: its calendars change as told, and it fails as told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ids::{BookingId, CalendarId};
use agentcal_engine::limits::ProviderLimits;
use agentcal_engine::model::{ConferenceKind, ProviderKind, Watch, WatchState};
use agentcal_engine::ports::{
    CalendarRef, Clock, ConferenceSeen, Credentials, Discovery, Doorbell, EventDelete, EventWrite, Oddities, Provider,
    ProviderError, ResourceChange, SyncCursor, SyncMode, SyncNext, SyncPage, SyncRequest, WatchHandle, Watched,
    WriteOutcome, WrittenEvent,
};
use agentcal_engine::signed::{CalendarBell, SIGNING_KEY_LEN, SigningKeys};
use agentcal_engine::time::TimeRange;
use async_trait::async_trait;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::stage::JumpingClock;

/// What doorbells are signed with in these tests.
pub(crate) fn signing_keys() -> SigningKeys {
    SigningKeys::new(Zeroizing::new([7; SIGNING_KEY_LEN]), [])
}

#[derive(Default)]
struct Events {
    instances: BTreeMap<String, ExternalInstance>,
    history: Vec<String>,
}

/// What was asked so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) full: usize,
    pub(crate) incremental: usize,
    pub(crate) writes: usize,
    pub(crate) deletes: usize,
    pub(crate) spot_checks: usize,
    pub(crate) conferences: usize,
}

/// How spot checks are answered.
#[derive(Clone)]
pub(crate) enum SpotChecks {
    /// With what is there.
    Told,
    /// The provider has no such question.
    Unknown,
    /// What is there cannot be told whole.
    Untold,
    /// Not at all.
    Failing(ProviderError),
}

#[derive(Default)]
struct Script {
    calendars: BTreeMap<CalendarId, Events>,
    sync_errors: VecDeque<ProviderError>,
    always: Option<ProviderError>,
    write_errors: VecDeque<ProviderError>,
    grants: Option<Grants>,
    watch_errors: VecDeque<ProviderError>,
    unwatch_errors: VecDeque<ProviderError>,
    watch_log: Vec<String>,
    conferences: VecDeque<Result<ConferenceSeen, ProviderError>>,
    wished: Vec<ConferenceKind>,
    asked: Asked,
    /// The kinds of requests that were answered, in turn.
    turns: Vec<&'static str>,
    slow_writes: Option<(Arc<JumpingClock>, Duration)>,
    busy: BTreeMap<CalendarId, u32>,
}

/// How watches are granted.
#[derive(Clone)]
struct Grants {
    lasts: Duration,
    clock: Arc<dyn Clock>,
}

/// Answers wait at it while it is shut.
struct Gate {
    passes: Semaphore,
    is_open: Mutex<bool>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { passes: Semaphore::new(0), is_open: Mutex::new(true) }
    }
}

impl Gate {
    fn shut(&self) {
        *self.is_open.lock().unwrap() = false;
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.passes.add_permits(1_000);
    }

    async fn pass(&self) {
        if !*self.is_open.lock().unwrap() {
            self.passes.acquire().await.unwrap().forget();
        }
    }
}

pub(crate) struct ScriptedProvider {
    kind: ProviderKind,
    script: Mutex<Script>,
    gate: Gate,
    watch_gate: Gate,
    limits: Mutex<ProviderLimits>,
    spot_checks: Mutex<SpotChecks>,
}

impl ScriptedProvider {
    pub(crate) fn new(kind: ProviderKind) -> Self {
        Self {
            kind,
            script: Mutex::default(),
            gate: Gate::default(),
            watch_gate: Gate::default(),
            limits: Mutex::default(),
            spot_checks: Mutex::new(SpotChecks::Unknown),
        }
    }

    /// How spot checks are answered from now on.
    pub(crate) fn answer_spot_checks(&self, how: SpotChecks) {
        *self.spot_checks.lock().unwrap() = how;
    }

    /// What is seen of conferences, look by look; after that each is ready.
    pub(crate) fn show_conferences(&self, seen: impl IntoIterator<Item = Result<ConferenceSeen, ProviderError>>) {
        self.script.lock().unwrap().conferences.extend(seen);
    }

    /// The conferences that events were written with, write by write.
    pub(crate) fn wished(&self) -> Vec<ConferenceKind> {
        self.script.lock().unwrap().wished.clone()
    }

    /// From now on calendars can be watched, each for so long.
    pub(crate) fn grant_watches(&self, lasts: Duration, clock: Arc<dyn Clock>) {
        self.script.lock().unwrap().grants = Some(Grants { lasts, clock });
    }

    pub(crate) fn fail_watches(&self, errors: impl IntoIterator<Item = ProviderError>) {
        self.script.lock().unwrap().watch_errors.extend(errors);
    }

    pub(crate) fn fail_unwatches(&self, errors: impl IntoIterator<Item = ProviderError>) {
        self.script.lock().unwrap().unwatch_errors.extend(errors);
    }

    /// What was asked about watches, in order.
    pub(crate) fn watch_log(&self) -> Vec<String> {
        self.script.lock().unwrap().watch_log.clone()
    }

    /// Somebody puts an event into a calendar, moves it, or with `None` deletes it.
    pub(crate) fn put(&self, calendar_id: CalendarId, name: &str, range: Option<TimeRange>) {
        let mut script = self.script.lock().unwrap();
        let events = script.calendars.entry(calendar_id).or_default();
        let booking_id = events.instances.get(name).and_then(|instance| instance.booking_id);
        match range {
            Some(range) => {
                events.instances.insert(name.into(), ExternalInstance { range, booking_id, blocks: true });
            }
            None => {
                events.instances.remove(name);
            }
        }
        events.history.push(name.into());
    }

    pub(crate) fn fail_syncs(&self, errors: impl IntoIterator<Item = ProviderError>) {
        self.script.lock().unwrap().sync_errors.extend(errors);
    }

    pub(crate) fn always_fail(&self, error: Option<ProviderError>) {
        self.script.lock().unwrap().always = error;
    }

    pub(crate) fn fail_writes(&self, errors: impl IntoIterator<Item = ProviderError>) {
        self.script.lock().unwrap().write_errors.extend(errors);
    }

    /// From now on it is to be asked no more often than this.
    pub(crate) fn limit(&self, limits: ProviderLimits) {
        *self.limits.lock().unwrap() = limits;
    }

    pub(crate) fn asked(&self) -> Asked {
        self.script.lock().unwrap().asked
    }

    /// The kinds of syncs and writes so far, in turn.
    pub(crate) fn turns(&self) -> Vec<&'static str> {
        self.script.lock().unwrap().turns.clone()
    }

    /// From now on a write takes so long by this clock.
    pub(crate) fn slow_down_writes(&self, clock: &Arc<JumpingClock>, takes: Duration) {
        self.script.lock().unwrap().slow_writes = Some((Arc::clone(clock), takes));
    }

    /// Events of ours in a calendar, by name.
    pub(crate) fn ours(&self, calendar_id: CalendarId) -> Vec<(String, TimeRange)> {
        let script = self.script.lock().unwrap();
        let Some(events) = script.calendars.get(&calendar_id) else { return Vec::new() };
        let ours = events.instances.iter().filter(|(_, instance)| instance.booking_id.is_some());
        ours.map(|(name, instance)| (name.clone(), instance.range)).collect()
    }

    /// From now on every sync waits at the gate after it read what it will answer.
    pub(crate) fn shut_gate(&self) {
        self.gate.shut();
    }

    pub(crate) fn open_gate(&self) {
        self.gate.open();
    }

    /// From now on every watch waits at its gate once it was granted.
    pub(crate) fn shut_watch_gate(&self) {
        self.watch_gate.shut();
    }

    pub(crate) fn open_watch_gate(&self) {
        self.watch_gate.open();
    }

    /// One request at a time in a calendar; anything else is a bug of the scheduler.
    fn enter(&self, calendar_id: CalendarId) -> Inside<'_> {
        let mut script = self.script.lock().unwrap();
        let busy = script.busy.entry(calendar_id).or_default();
        *busy += 1;
        assert_eq!(*busy, 1, "two requests at once in one calendar");
        Inside { provider: self, calendar_id }
    }

    fn grant(
        &self,
        calendar: &CalendarRef,
        doorbell: Option<&Doorbell>,
        previous: Option<&WatchHandle>,
    ) -> Result<Watched, ProviderError> {
        let mut script = self.script.lock().unwrap();
        let (Some(doorbell), Some(grants)) = (doorbell, script.grants.clone()) else { return Ok(Watched::POLLING) };
        let rings = CalendarBell { account_id: calendar.account_id, calendar_id: calendar.calendar_id };
        assert_eq!(CalendarBell::verify(&doorbell.secret, &signing_keys()), Some(rings));
        let number = 1 + script.watch_log.iter().filter(|line| line.starts_with("watch ")).count();
        let name = format!("w{number}");
        if let Some(error) = script.watch_errors.pop_front() {
            script.watch_log.push("failed".into());
            return Err(error);
        }
        let after = previous.map_or(String::new(), |previous| format!(" beside {}", previous.0));
        script.watch_log.push(format!("watch {name}{after}"));
        let watch = Watch { state: WatchState::Push, expires_at: Some(grants.clock.now() + grants.lasts) };
        Ok(Watched { watch, handle: Some(WatchHandle(name)), renewed: false })
    }

    fn read(&self, calendar_id: CalendarId, request: &SyncRequest) -> Result<SyncPage, ProviderError> {
        let mut script = self.script.lock().unwrap();
        script.turns.push("sync");
        match request.mode {
            SyncMode::Full => script.asked.full += 1,
            SyncMode::Incremental { .. } => script.asked.incremental += 1,
        }
        if let Some(error) = script.sync_errors.pop_front().or(script.always.clone()) {
            return Err(error);
        }
        let events = script.calendars.entry(calendar_id).or_default();
        let names: Vec<String> = match &request.mode {
            SyncMode::Full => events.instances.keys().cloned().collect(),
            SyncMode::Incremental { cursor } => events.history[cursor.0.parse::<usize>().unwrap()..].to_vec(),
        };
        let change = |name: String| ResourceChange {
            instances: events.instances.get(&name).copied_instance(),
            provider_event_id: name,
        };
        let changes = names.into_iter().map(change).collect();
        Ok(SyncPage {
            changes,
            next: SyncNext::Done { cursor: SyncCursor(events.history.len().to_string()) },
            oddities: Oddities::default(),
        })
    }
}

trait CopiedInstance {
    fn copied_instance(self) -> Vec<ExternalInstance>;
}

impl CopiedInstance for Option<&ExternalInstance> {
    fn copied_instance(self) -> Vec<ExternalInstance> {
        self.cloned().into_iter().collect()
    }
}

struct Inside<'a> {
    provider: &'a ScriptedProvider,
    calendar_id: CalendarId,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        *self.provider.script.lock().unwrap().busy.get_mut(&self.calendar_id).unwrap() -= 1;
    }
}

pub(crate) fn event_name(booking_id: BookingId) -> String {
    format!("ours {booking_id}")
}

#[async_trait]
impl Provider for ScriptedProvider {
    fn kind(&self) -> ProviderKind {
        self.kind
    }

    async fn discover(&self, _: &Credentials) -> Result<Discovery, ProviderError> {
        Err(ProviderError::Refused("nobody connects in these tests".into()))
    }

    async fn watch(
        &self,
        calendar: &CalendarRef,
        doorbell: Option<&Doorbell>,
        previous: Option<&WatchHandle>,
    ) -> Result<Watched, ProviderError> {
        let watched = self.grant(calendar, doorbell, previous);
        self.watch_gate.pass().await;
        watched
    }

    async fn unwatch(&self, _: &CalendarRef, handle: &WatchHandle) -> Result<(), ProviderError> {
        let mut script = self.script.lock().unwrap();
        if let Some(error) = script.unwatch_errors.pop_front() {
            script.watch_log.push(format!("{} is not ended", handle.0));
            return Err(error);
        }
        script.watch_log.push(format!("end {}", handle.0));
        Ok(())
    }

    async fn sync(&self, calendar: &CalendarRef, request: &SyncRequest) -> Result<SyncPage, ProviderError> {
        let _inside = self.enter(calendar.calendar_id);
        let page = self.read(calendar.calendar_id, request);
        self.gate.pass().await;
        page
    }

    fn can_spot_check(&self) -> bool {
        !matches!(*self.spot_checks.lock().unwrap(), SpotChecks::Unknown)
    }

    /// Beside whatever else is under way.
    async fn spot_check(
        &self,
        calendar: &CalendarRef,
        range: TimeRange,
    ) -> Result<Option<Vec<ExternalInstance>>, ProviderError> {
        let mut script = self.script.lock().unwrap();
        script.asked.spot_checks += 1;
        let events = script.calendars.entry(calendar.calendar_id).or_default();
        let found = events.instances.values().filter(|instance| instance.range.overlaps(&range)).cloned().collect();
        match self.spot_checks.lock().unwrap().clone() {
            SpotChecks::Told => Ok(Some(found)),
            SpotChecks::Unknown | SpotChecks::Untold => Ok(None),
            SpotChecks::Failing(error) => Err(error),
        }
    }

    async fn write_event(&self, calendar: &CalendarRef, write: &EventWrite) -> Result<WriteOutcome, ProviderError> {
        let _inside = self.enter(calendar.calendar_id);
        let name = event_name(write.booking_id);
        let mut script = self.script.lock().unwrap();
        script.asked.writes += 1;
        script.turns.push("write");
        if let Some((clock, takes)) = &script.slow_writes {
            clock.jump(*takes);
        }
        script.wished.extend(write.conference);
        let error = script.write_errors.pop_front();
        let events = script.calendars.entry(calendar.calendar_id).or_default();
        let instance = ExternalInstance { range: write.range, booking_id: Some(write.booking_id), blocks: true };
        // A time-out is the worst failure: the event was written, and nobody heard.
        events.instances.insert(name.clone(), instance);
        events.history.push(name.clone());
        match error {
            Some(error) => Err(error),
            None => Ok(WriteOutcome::Written(WrittenEvent { provider_event_id: name, etag: None })),
        }
    }

    async fn conference(&self, _: &CalendarRef, event: &WrittenEvent) -> Result<ConferenceSeen, ProviderError> {
        let mut script = self.script.lock().unwrap();
        script.asked.conferences += 1;
        let name = event.provider_event_id.trim_start_matches("ours ");
        let ready = || Ok(ConferenceSeen::Ready { join_url: format!("https://meet.example.com/{name}") });
        script.conferences.pop_front().unwrap_or_else(ready)
    }

    async fn delete_event(&self, calendar: &CalendarRef, delete: &EventDelete) -> Result<(), ProviderError> {
        let _inside = self.enter(calendar.calendar_id);
        let name = event_name(delete.booking_id);
        let mut script = self.script.lock().unwrap();
        script.asked.deletes += 1;
        let events = script.calendars.entry(calendar.calendar_id).or_default();
        events.instances.remove(&name);
        events.history.push(name);
        Ok(())
    }

    fn limits(&self, _: &Credentials) -> ProviderLimits {
        self.limits.lock().unwrap().clone()
    }

    fn poll_intervals(&self) -> (Duration, Duration) {
        (Duration::from_secs(10), Duration::from_secs(60))
    }
}
