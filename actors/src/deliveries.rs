//! Tells endpoints of what happened: makes deliveries of new events, takes what is due in hand, sends it, and keeps what
//! came of it. Rows hold everything that waits; what is in hand here is given back by its lease if this node dies. Where a
//! service delivers in our place, new events wait for it instead, and only what became a delivery before is sent here.
//!
//! One task does all of it but the sending. It wakes when a commit rings, when a message was answered, and once a sweep.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::ids::WebhookId;
use agentcal_engine::model::{DeliveryAttempt, WebhookStanding};
use agentcal_engine::ports::{
    AttemptRecord, CLAIMED_ENDPOINTS_MAX, ClaimedDelivery, DeliveryClaim, DueEndpoint, EndedEndpoint, OutboundWebhook,
    StoreError, WebhookAnswer,
};
use agentcal_engine::shard::NodeId;
use agentcal_engine::webhooks::{Next, Tried, next, tries_at_once};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use crate::context::Context;
use crate::metrics;
use crate::occasions::Occasions;
use crate::parts::Webhooks;

/// Most events spread in one transaction.
const SPREAD_MAX: u32 = 100;
/// Most endpoints looked at in one round.
const ENDPOINTS_MAX: u32 = 1_000;
/// Most results kept in one transaction.
const RECORDS_MAX: usize = 100;
/// How long messages under way are waited for at the end. Those that take longer are sent again by whoever comes next.
const FAREWELL: Duration = Duration::from_secs(2);

/// What is in hand.
struct Hand {
    context: Arc<Context>,
    webhooks: Webhooks,
    /// Tries under way, by endpoint.
    under_way: BTreeMap<WebhookId, u32>,
    /// What was tried and is not kept yet.
    tried: Vec<AttemptRecord>,
    send: UnboundedSender<AttemptRecord>,
}

/// Delivers until the scheduler stops.
pub(crate) async fn run(context: Arc<Context>, webhooks: Webhooks) {
    let (send, mut occasions) = Occasions::new(context.parts.settings.sweep_interval);
    let mut hand =
        Hand { context: Arc::clone(&context), webhooks, under_way: BTreeMap::new(), tried: Vec::new(), send };
    while let Some(tried) = occasions.next(&context.stopping, &context.delivery_bell).await {
        hand.take_back(tried);
        if let Err(error) = hand.round().await {
            tracing::warn!(%error, "deliveries wait for the store");
        }
    }
    hand.farewell(occasions).await;
}

impl Hand {
    fn take_back(&mut self, tried: Vec<AttemptRecord>) {
        for record in &tried {
            self.note_ended(record);
        }
        self.tried.extend(tried);
    }

    fn note_ended(&mut self, record: &AttemptRecord) {
        if let Some(count) = self.under_way.get_mut(&record.endpoint_id) {
            *count -= 1;
            if *count == 0 {
                self.under_way.remove(&record.endpoint_id);
            }
        }
    }

    async fn round(&mut self) -> Result<(), StoreError> {
        self.keep_results().await?;
        if self.context.is_closing() {
            return Ok(());
        }
        let owner = self.context.ownership.only_own();
        self.spread(owner).await?;
        let due = self.webhooks.store.due_endpoints(owner, ENDPOINTS_MAX).await?;
        let oldest = due.first().map(|first| self.context.store_now().saturating_since(first.first_due_at));
        ::metrics::gauge!(metrics::WEBHOOKS_OVERDUE).set(oldest.unwrap_or_default().as_secs_f64());
        for some in due.chunks(CLAIMED_ENDPOINTS_MAX) {
            self.serve(some).await?;
        }
        Ok(())
    }

    /// How many more messages each endpoint may be sent at once, of those that may be sent any; the most overdue come first.
    fn room(&self, due: &[DueEndpoint]) -> BTreeMap<WebhookId, u32> {
        let under_way: u32 = self.under_way.values().sum();
        let mut left = self.context.parts.settings.webhooks_at_once_max.saturating_sub(under_way);
        let mut room = BTreeMap::new();
        for endpoint in due {
            let own = self.under_way.get(&endpoint.id).copied().unwrap_or_default();
            let more = tries_at_once(endpoint.health).saturating_sub(own).min(left);
            if more > 0 {
                left -= more;
                room.insert(endpoint.id, more);
            }
        }
        room
    }

    /// Spreads what is new. Jobs may follow from it that are due at once.
    async fn spread(&self, owner: Option<NodeId>) -> Result<(), StoreError> {
        let mail = self.context.parts.mail_for();
        loop {
            let events = match &self.webhooks.relay {
                Some(relay) => relay.store.spread_to_relay(owner, SPREAD_MAX, mail).await?.events,
                None => self.webhooks.store.spread_events(owner, SPREAD_MAX, mail).await?.events,
            };
            if events > 0 {
                self.context.job_bell.notify_one();
                self.context.relay_bell.notify_one();
            }
            if events < SPREAD_MAX {
                return Ok(());
            }
        }
    }

    /// Keeps what tries came to. What cannot be kept now is kept with the next round.
    async fn keep_results(&mut self) -> Result<(), StoreError> {
        while !self.tried.is_empty() {
            let count = self.tried.len().min(RECORDS_MAX);
            let mail = self.context.parts.mail_for();
            let ended = self.webhooks.store.record_attempts(&self.tried[..count], mail).await?;
            ended.iter().for_each(tell_of_end);
            if ended.iter().any(|endpoint| endpoint.is_told) {
                self.context.job_bell.notify_one();
            }
            self.tried.drain(..count);
        }
        Ok(())
    }

    /// Sends what there is room for.
    async fn serve(&mut self, due: &[DueEndpoint]) -> Result<(), StoreError> {
        let room = self.room(due);
        if room.is_empty() {
            return Ok(());
        }
        let (owner, lease) = (self.context.ownership.only_own(), self.context.parts.settings.webhook_lease);
        let claim = DeliveryClaim { owner, lease, room };
        let claimed = self.webhooks.store.claim_deliveries(&claim).await?;
        let now = self.context.store_now();
        let urls: BTreeMap<WebhookId, &str> = due.iter().map(|endpoint| (endpoint.id, endpoint.url.as_str())).collect();
        for delivery in claimed.deliveries {
            let endpoint_id = delivery.endpoint_id;
            // An endpoint that is gone took its deliveries with it.
            let found = urls.get(&endpoint_id).zip(claimed.secrets.get(&endpoint_id));
            let Some((&url, secrets)) = found else { continue };
            let message = OutboundWebhook {
                url: url.to_owned(),
                id: delivery.id,
                timestamp: now,
                account_id: delivery.account_id,
                happened_at: delivery.happened_at,
                event: Some(delivery.event.clone()),
                secrets: secrets.at(now).map(|secret| secret.to_vec().into()).collect(),
            };
            *self.under_way.entry(endpoint_id).or_default() += 1;
            self.begin(endpoint_id, delivery, message);
        }
        Ok(())
    }

    fn begin(&self, endpoint_id: WebhookId, delivery: ClaimedDelivery, message: OutboundWebhook) {
        let (context, webhooks, send) = (Arc::clone(&self.context), self.webhooks.clone(), self.send.clone());
        tokio::spawn(async move {
            let began = Instant::now();
            // A panic must not leave the endpoint with one place less for ever.
            let sent = tokio::spawn(async move { webhooks.sender.send(message).await });
            let answer = sent.await.unwrap_or_else(|error| Err(format!("sending failed inside: {error}")));
            let record = record_of(&context, endpoint_id, &delivery, answer, began.elapsed());
            // Nobody listens any more: the lease gives the delivery back.
            let _ = send.send(record);
        });
    }

    /// Keeps what is answered soon.
    async fn farewell(mut self, mut occasions: Occasions<AttemptRecord>) {
        let until = Instant::now() + FAREWELL;
        while !self.under_way.is_empty() {
            let Some(tried) = occasions.until(until).await else { break };
            self.take_back(tried);
        }
        if let Err(error) = self.keep_results().await {
            tracing::warn!(%error, "results of deliveries were not kept; they are sent again");
        }
    }
}

fn record_of(
    context: &Context,
    endpoint_id: WebhookId,
    delivery: &ClaimedDelivery,
    answer: Result<WebhookAnswer, String>,
    duration: Duration,
) -> AttemptRecord {
    let (tried, status, error, answer) = match answer {
        Ok(WebhookAnswer { status, retry_after, answer }) => {
            (Tried { status: Some(status), retry_after }, Some(status), None, answer)
        }
        Err(error) => (Tried { status: None, retry_after: None }, None, Some(error), String::new()),
    };
    let waits = &context.parts.settings.webhook_retry_waits;
    let next = next(&tried, delivery.tries, waits, &*context.parts.entropy);
    count(&next, duration);
    let ended_at = context.store_now();
    AttemptRecord {
        account_id: delivery.account_id,
        delivery_id: delivery.id,
        endpoint_id,
        attempt: DeliveryAttempt { number: delivery.number, ended_at, duration, status, error, answer },
        tried,
        next,
    }
}

fn tell_of_end(EndedEndpoint { endpoint_id, organization_id, standing, is_told }: &EndedEndpoint) {
    let reason = if *standing == WebhookStanding::Gone { "gone" } else { "failing" };
    tracing::warn!(%endpoint_id, %organization_id, reason, is_told, "a webhook was switched off");
    let notice = if *is_told { "made" } else { "none" };
    ::metrics::counter!(metrics::WEBHOOKS_ENDED, "reason" => reason, "notice" => notice).increment(1);
}

fn count(next: &Next, duration: Duration) {
    let outcome = match next {
        Next::Delivered => "delivered",
        Next::Retry(_) => "retry",
        Next::GiveUp => "given_up",
    };
    ::metrics::counter!(metrics::WEBHOOK_ATTEMPTS, "outcome" => outcome).increment(1);
    ::metrics::histogram!(metrics::WEBHOOK_LATENCY).record(duration.as_secs_f64());
}
