//! The IO of one calendar's sync: what its actor has done beside it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentcal_engine::calendar::FAILURES_UNTIL_ERROR;
use agentcal_engine::calendar::compare::observations;
use agentcal_engine::calendar::sync::{Saved, SyncEnd, SyncKind, SyncOutcome};
use agentcal_engine::facts::{CalendarFacts, FactSource, Knowledge, UnknownReason};
use agentcal_engine::ids::{AccountId, CalendarId, ConnectionId};
use agentcal_engine::model::{Calendar, ConnectionStatus, ExternalState, ProviderKind};
use agentcal_engine::ports::{
    CalendarRecord, CalendarRef, Oddities, Provider, ProviderError, SaveSync, StoreError, SyncFailure, SyncMode,
    SyncRequest,
};
use agentcal_engine::shard::Epoch;
use chrono_tz::Tz;
use tokio::time::{Instant, timeout};

use crate::calendar::Msg;
use crate::context::Context;
use crate::metrics;
use crate::outbound::{Asker, Operation};
use crate::slot::Slot;
use crate::supervisor::unknown;
use crate::tokens::{Bearer, Usable};

/// Longest wait for one answer of a provider, whatever the provider itself allows.
const PROVIDER_DEADLINE: Duration = Duration::from_secs(90);

/// All it takes to speak to a calendar's provider.
pub(crate) struct Access {
    pub(crate) account_id: AccountId,
    pub(crate) calendar_id: CalendarId,
    /// The ownership that whatever is done here is kept under.
    pub(crate) epoch: Epoch,
    pub(crate) timezone: Tz,
    connection_id: Option<ConnectionId>,
    pub(crate) kind: ProviderKind,
    provider: Option<Arc<dyn Provider>>,
    provider_calendar_id: String,
    owner_addresses: Vec<String>,
    credentials: Mutex<Option<Usable>>,
}

impl Access {
    pub(crate) fn new(context: &Context, record: &CalendarRecord, epoch: Epoch) -> Self {
        let calendar = &record.calendar;
        let of_connection = record.connection.as_ref().map(|connection| connection.owner_addresses.clone());
        let owner_addresses = match of_connection {
            Some(addresses) if !addresses.is_empty() => addresses,
            _ => record.user_emails.iter().map(|email| email.to_lowercase()).collect(),
        };
        Self {
            account_id: calendar.account_id,
            calendar_id: calendar.id,
            epoch,
            timezone: calendar.timezone,
            connection_id: calendar.connection_id,
            kind: calendar.provider,
            provider: context.parts.providers.get(calendar.provider).cloned(),
            provider_calendar_id: calendar.provider_calendar_id.clone(),
            owner_addresses,
            credentials: Mutex::default(),
        }
    }

    /// The addresses that are the calendar's owner.
    pub(crate) fn owner_addresses(&self) -> &[String] {
        &self.owner_addresses
    }

    /// Asks the provider something, bounded in time, and counts it.
    pub(crate) async fn ask<T, F>(
        &self,
        context: &Context,
        operation: Operation,
        question: impl FnOnce(Arc<dyn Provider>, CalendarRef) -> F + Send,
    ) -> Result<T, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>> + Send,
    {
        let Some(provider) = &self.provider else {
            return Err(ProviderError::Unavailable("this process does not have the provider".into()));
        };
        let bearer = self.bearer()?;
        let usable = self.usable_credentials(context, bearer).await?;
        let calendar = self.calendar_ref(bearer, &usable);
        let asker = Asker {
            provider: self.kind,
            connection_id: calendar.connection_id,
            limits: provider.limits(&calendar.credentials),
            urgency: operation.urgency(),
        };
        let waiting = Instant::now();
        let turn = context.turn(&asker).await;
        let waited = waiting.elapsed();
        ::metrics::histogram!(metrics::TURN_WAIT, "provider" => kind_name(self.kind)).record(waited.as_secs_f64());
        let _turn = turn?;
        let began = Instant::now();
        let answer = timeout(PROVIDER_DEADLINE, question(Arc::clone(provider), calendar)).await;
        let answer = answer.unwrap_or_else(|_late| Err(ProviderError::Unavailable("no answer in time".into())));
        self.count(operation, &answer, began.elapsed());
        if let Err(ProviderError::RateLimited { retry_after, of }) = &answer {
            context.slow_down(&asker, *retry_after, *of).await;
        }
        if let Err(ProviderError::Unauthorized(_)) = &answer
            && let Some(instead) = context.after_refusal(bearer, &usable).await
        {
            *self.last_credentials() = None;
            return Err(instead);
        }
        answer
    }

    fn count<T>(&self, operation: Operation, answer: &Result<T, ProviderError>, took: Duration) {
        let labels = [("provider", kind_name(self.kind)), ("operation", operation.as_str())];
        ::metrics::histogram!(metrics::PROVIDER_LATENCY, &labels).record(took.as_secs_f64());
        let status = answer.as_ref().map_or_else(status_name, |_| "ok");
        let labels = [("provider", kind_name(self.kind)), ("operation", operation.as_str()), ("status", status)];
        ::metrics::counter!(metrics::PROVIDER_REQUESTS, &labels).increment(1);
    }

    /// Reads the credentials, so that they are at hand when they are gone from the store.
    pub(crate) async fn prepare(&self, context: &Context) -> Result<(), ProviderError> {
        self.usable_credentials(context, self.bearer()?).await.map(drop)
    }

    fn bearer(&self) -> Result<Bearer, ProviderError> {
        let connection_id = self.connection_id.ok_or(ProviderError::CalendarGone)?;
        Ok(Bearer { account_id: self.account_id, connection_id, epoch: self.epoch, provider: self.kind })
    }

    fn calendar_ref(&self, bearer: Bearer, usable: &Usable) -> CalendarRef {
        CalendarRef {
            account_id: self.account_id,
            connection_id: bearer.connection_id,
            calendar_id: self.calendar_id,
            provider_calendar_id: self.provider_calendar_id.clone(),
            timezone: self.timezone,
            owner_addresses: self.owner_addresses.clone(),
            credentials: Arc::clone(&usable.credentials),
        }
    }

    /// The credentials last used, while they are good.
    async fn usable_credentials(&self, context: &Context, bearer: Bearer) -> Result<Usable, ProviderError> {
        let known = self.last_credentials().clone();
        if let Some(known) = known.filter(|known| !known.is_due(context.store_now())) {
            return Ok(known);
        }
        let usable = context.usable_credentials(bearer).await?;
        *self.last_credentials() = Some(usable.clone());
        Ok(usable)
    }

    fn last_credentials(&self) -> MutexGuard<'_, Option<Usable>> {
        self.credentials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One page from the provider.
pub(crate) async fn fetch(context: Arc<Context>, access: Arc<Access>, request: SyncRequest) -> Msg {
    let operation = match request.mode {
        SyncMode::Full => Operation::FullSync,
        SyncMode::Incremental { .. } => Operation::IncrementalSync,
    };
    let ask = move |provider: Arc<dyn Provider>, calendar| async move { provider.sync(&calendar, &request).await };
    let answer = access.ask(&context, operation, ask).await;
    match &answer {
        Ok(page) => count_oddities(access.kind, page.oddities),
        Err(error) => {
            tracing::warn!(calendar_id = %access.calendar_id, operation = operation.as_str(), %error, "a sync failed");
        }
    }
    Msg::Page(Box::new(answer))
}

fn count_oddities(kind: ProviderKind, oddities: Oddities) {
    let Oddities { unreadable, oversized } = oddities;
    for (what, count) in
        [("unreadable", unreadable), ("oversized", oversized)].into_iter().filter(|(_, count)| *count > 0)
    {
        let labels = [("provider", kind_name(kind)), ("kind", what)];
        ::metrics::counter!(metrics::PROVIDER_ODDITIES, &labels).increment(u64::from(count));
    }
}

/// What saving a page involves besides.
#[derive(Clone, Copy)]
pub(crate) struct SavePlan {
    /// The connection was not active: a success may mend it.
    pub(crate) mends: bool,
    /// The revision the actor knows.
    pub(crate) known_revision: u64,
}

/// Saves a page; with the last one, reads back what it made of the facts.
pub(crate) async fn save(context: Arc<Context>, access: Arc<Access>, save: SaveSync, plan: SavePlan) -> Msg {
    let revision = match context.parts.store.save_sync(&save).await {
        Ok(Some(revision)) => revision,
        Ok(None) => return not_saved(Saved::Lost),
        Err(error) => {
            tracing::warn!(calendar_id = %access.calendar_id, %error, "a sync could not be saved");
            return not_saved(Saved::Failed);
        }
    };
    let Some(state) = &save.finish else {
        return Msg::Saved { saved: Saved::Done, revision, knowledge: None, source: None };
    };
    if plan.mends
        && let Err(error) = mend_connection(&context, &access).await
    {
        tracing::warn!(calendar_id = %access.calendar_id, %error, "a connection's recovery could not be saved");
        return not_saved(Saved::Failed);
    }
    if revision != plan.known_revision || plan.mends {
        // Without the facts the page is saved, yet unseen here: repeating the sync reads it again.
        let Some(source) = read_facts(&context, &access).await else { return not_saved(Saved::Failed) };
        return Msg::Saved { saved: Saved::Done, revision, knowledge: None, source: Some(source) };
    }
    let synced = state.synced_at.zip(state.window);
    let watched_until = state.watched_until;
    let knowledge = synced.map(|(as_of, window)| Knowledge::Synced { as_of, window, watched_until });
    Msg::Saved { saved: Saved::Done, revision, knowledge, source: None }
}

fn not_saved(saved: Saved) -> Msg {
    Msg::Saved { saved, revision: 0, knowledge: None, source: None }
}

/// Saves a failure, and what it says about the connection.
pub(crate) async fn save_failure(
    context: Arc<Context>,
    access: Arc<Access>,
    failure: SyncFailure,
    mark: Option<(ConnectionStatus, String)>,
    known_revision: u64,
) -> Msg {
    let saved = context.parts.store.save_sync_failure(&failure).await;
    if matches!(saved, Ok(None)) {
        // Whoever owns the calendar now knows better.
        return Msg::FailureSaved { saved: Saved::Lost, source: None };
    }
    let is_marked = mark.is_some();
    if let Some((status, reason)) = mark {
        mark_connection(&context, &access, status, &reason).await;
    }
    match saved {
        Ok(revision) => {
            let is_news = is_marked || revision != Some(known_revision);
            let source = if is_news { read_facts(&context, &access).await } else { None };
            Msg::FailureSaved { saved: Saved::Done, source }
        }
        Err(error) => {
            tracing::warn!(calendar_id = %access.calendar_id, %error, "a failed sync could not be saved");
            Msg::FailureSaved { saved: Saved::Failed, source: None }
        }
    }
}

async fn mark_connection(context: &Arc<Context>, access: &Access, status: ConnectionStatus, reason: &str) {
    let Some(connection_id) = access.connection_id else { return };
    let _one = context.statuses.lock().await;
    let marked = context
        .parts
        .store
        .set_connection_status(access.account_id, connection_id, access.epoch, status, Some(reason))
        .await;
    if let Err(error) = marked {
        tracing::warn!(calendar_id = %access.calendar_id, %error, "a connection's status could not be saved");
    }
    reload_all(context, access);
}

/// Compares our events with what the sync saw.
pub(crate) async fn compare(context: Arc<Context>, access: Arc<Access>, facts: Arc<CalendarFacts>) -> Msg {
    let compared = compare_events(&context, &access, &facts).await;
    if let Err(error) = &compared {
        tracing::warn!(calendar_id = %access.calendar_id, %error, "events could not be compared; done again next time");
    }
    Msg::Compared { complete: compared.is_ok() }
}

async fn compare_events(context: &Context, access: &Access, facts: &CalendarFacts) -> Result<(), StoreError> {
    let store = &context.parts.store;
    let written = store.written_writebacks(access.account_id, access.calendar_id, context.store_now()).await?;
    if written.is_empty() {
        return Ok(());
    }
    let own = store.own_instances(access.account_id, access.calendar_id).await?;
    let found = observations(&written, &own, facts);
    for observation in &found {
        ::metrics::counter!(metrics::EXTERNAL_CHANGES, "state" => external_name(observation.state)).increment(1);
    }
    if found.is_empty() {
        return Ok(());
    }
    store.observe_external(access.account_id, access.calendar_id, access.epoch, &found).await
}

/// A calendar works again, or for the first time: its connection may be well now.
async fn mend_connection(context: &Context, access: &Access) -> Result<(), StoreError> {
    let store = &context.parts.store;
    let Some(connection_id) = access.connection_id else { return Ok(()) };
    let _one = context.statuses.lock().await;
    let found = store.connection(access.account_id, connection_id).await?;
    let Some((connection, calendars)) = found else { return Ok(()) };
    let is_mended = match connection.status {
        ConnectionStatus::Active => return Ok(()),
        ConnectionStatus::Syncing => calendars.iter().all(|calendar| calendar.last_synced_at.is_some()),
        // This calendar's success proves the credentials.
        ConnectionStatus::ReauthorizationRequired => true,
        ConnectionStatus::Error => !any_fails(context, access, &calendars).await?,
    };
    if is_mended {
        store
            .set_connection_status(access.account_id, connection_id, access.epoch, ConnectionStatus::Active, None)
            .await?;
        reload_all(context, access);
    }
    Ok(())
}

/// How the connection of a calendar is, as just read.
pub(crate) fn status_of(record: &CalendarRecord) -> Option<ConnectionStatus> {
    record.connection.as_ref().map(|connection| connection.status)
}

/// Whether credentials that were refused are good again, so that waiting for that is over.
pub(crate) fn is_mended(before: Option<ConnectionStatus>, after: Option<ConnectionStatus>) -> bool {
    before == Some(ConnectionStatus::ReauthorizationRequired) && after == Some(ConnectionStatus::Active)
}

/// Whether another calendar of the connection is the reason why it is shown as failing.
async fn any_fails(context: &Context, access: &Access, calendars: &[Calendar]) -> Result<bool, StoreError> {
    for calendar in calendars.iter().filter(|calendar| calendar.id != access.calendar_id) {
        let record = context.parts.store.load_calendar(access.account_id, calendar.id).await?;
        let crashes = context.directory.peek(calendar.id).map_or(0, |slot| slot.crashes.load(Ordering::Relaxed));
        if record.is_some_and(|record| record.sync.failures >= FAILURES_UNTIL_ERROR) || crashes >= FAILURES_UNTIL_ERROR
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How a connection is decides what is known of all its calendars.
fn reload_all(context: &Context, access: &Access) {
    for slot in context.directory.awake_of(access.account_id) {
        slot.send(Msg::Reload { done: None });
    }
}

/// Everything about a calendar, again.
pub(crate) async fn load(context: Arc<Context>, slot: Arc<Slot>, withdrawals: u64) -> Msg {
    let loaded = context.parts.store.load_calendar(slot.account_id, slot.calendar_id).await;
    Msg::Loaded(loaded.map(|record| record.map(Box::new)), withdrawals)
}

/// The facts as the store now has them; `None` when it has none or does not serve.
pub(crate) async fn read_facts(context: &Context, access: &Access) -> Option<Box<FactSource>> {
    match context.parts.store.load_facts(access.account_id, access.calendar_id).await {
        Ok(source) => source.map(Box::new),
        Err(error) => {
            tracing::warn!(calendar_id = %access.calendar_id, %error, "facts could not be read");
            None
        }
    }
}

/// The calendar is gone: whoever waits hears that nothing is known, and nobody finds it any more.
pub(crate) fn forget(context: &Arc<Context>, slot: &Arc<Slot>) {
    slot.publish(Arc::new(unknown(slot, UnknownReason::CalendarGone)), slot.withdrawals());
    slot.leave_at_once();
    context.directory.remove(slot);
    let (task, account_id, calendar_id) = (Arc::clone(context), slot.account_id, slot.calendar_id);
    context.tasks.spawn(async move { task.withdraw_from_cache(account_id, calendar_id).await });
}

pub(crate) fn count_sync(context: &Context, end: SyncEnd) {
    let kind = match end.kind {
        SyncKind::Full => "full",
        SyncKind::Incremental => "incremental",
    };
    let outcome = match end.outcome {
        SyncOutcome::Changed => "changed",
        SyncOutcome::Unchanged => "unchanged",
        SyncOutcome::Failed => "failed",
    };
    ::metrics::counter!(metrics::SYNCS, "kind" => kind, "outcome" => outcome).increment(1);
    if end.outcome == SyncOutcome::Changed {
        let lag = context.store_now().saturating_since(end.noticed_at);
        ::metrics::histogram!(metrics::SYNC_LAG).record(lag.as_secs_f64());
    }
}

pub(crate) fn kind_name(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::Sandbox => "sandbox",
        ProviderKind::Caldav => "caldav",
        ProviderKind::Google => "google",
        ProviderKind::Microsoft => "microsoft",
        ProviderKind::Internal => "internal",
    }
}

fn status_name(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::CursorGone => "cursor_gone",
        ProviderError::Unauthorized(_) => "unauthorized",
        ProviderError::CalendarGone => "calendar_gone",
        ProviderError::RateLimited { .. } => "rate_limited",
        ProviderError::Unavailable(_) => "unavailable",
        ProviderError::Refused(_) => "refused",
        ProviderError::AddressNotAllowed(_) => "address_not_allowed",
    }
}

fn external_name(state: ExternalState) -> &'static str {
    match state {
        ExternalState::InSync => "in_sync",
        ExternalState::Moved => "moved",
        ExternalState::Deleted => "deleted",
        ExternalState::Conflict => "conflict",
    }
}
