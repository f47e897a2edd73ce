//! Tells endpoints of what happened: makes deliveries of new events, takes what is due in hand, sends it, and keeps what
//! came of it. Rows hold everything that waits; what is in hand here is given back by its lease if this node dies. Where a
//! service delivers in our place, new events wait for it instead, and only what became a delivery before is sent here.
//!
//! One task talks to the store. It wakes when a commit rings, when a message was answered, and once a sweep. It takes more in
//! hand than may be under way, so that those who send need not wait for it.

mod line;
mod room;
mod sending;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::ids::{AccountId, EventId, WebhookId};
use agentcal_engine::model::WebhookStanding;
use agentcal_engine::ports::{
    AttemptRecord, CLAIMED_ENDPOINTS_MAX, ClaimedDeliveries, ClaimedDelivery, DeliveryClaim, DueEndpoint,
    EndedEndpoint, StoreError, Told, UntriedDelivery,
};
use agentcal_engine::shard::NodeId;
use agentcal_engine::webhooks::{Next, tries_at_once};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use crate::context::Context;
use crate::metrics;
use crate::occasions::Occasions;
use crate::parts::Webhooks;

use self::line::{InHand, Line};
use self::room::room;
use self::sending::{Outcome, send_waiting};

/// Most events spread in one transaction.
const SPREAD_MAX: u32 = 100;
/// Most endpoints looked at in one round.
const ENDPOINTS_MAX: u32 = 1_000;
/// Most results kept in one transaction.
const RECORDS_MAX: usize = 256;
/// The part of a lease in which the try of a message in hand begins. What is left of it is more than the try may take.
const BEGUN_WITHIN: u32 = 4;
/// How long messages under way are waited for at the end. Those that take longer are sent again by whoever comes next.
const FAREWELL: Duration = Duration::from_secs(2);

/// What is in hand.
struct Hand {
    context: Arc<Context>,
    webhooks: Webhooks,
    endpoints: BTreeMap<WebhookId, Endpoint>,
    /// What was tried and is not kept yet.
    tried: Vec<AttemptRecord>,
    /// What was not tried and is not given back yet.
    untried: Vec<UntriedDelivery>,
    send: UnboundedSender<Outcome>,
}

/// An endpoint of which something is in hand, or due.
#[derive(Default)]
struct Endpoint {
    line: Arc<Line>,
    /// Messages under way and waiting.
    in_hand: u32,
    /// How many messages it has taken since some were last taken in hand for it; none of that counts once it failed.
    answered: u32,
}

/// Delivers until the scheduler stops.
pub(crate) async fn run(context: Arc<Context>, webhooks: Webhooks) {
    let (send, mut occasions) = Occasions::new(context.parts.settings.sweep_interval);
    let (endpoints, tried, untried) = (BTreeMap::new(), Vec::new(), Vec::new());
    let mut hand = Hand { context: Arc::clone(&context), webhooks, endpoints, tried, untried, send };
    while let Some(outcomes) = occasions.next(&context.stopping, &context.delivery_bell).await {
        hand.take_back(outcomes);
        if let Err(error) = hand.round().await {
            tracing::warn!(%error, "deliveries wait for the store");
        }
    }
    hand.farewell(occasions).await;
}

impl Hand {
    fn take_back(&mut self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            let id = match &outcome {
                Outcome::Tried(record) => record.endpoint_id,
                Outcome::Untried(endpoint_id, _) => *endpoint_id,
            };
            let endpoint = self.endpoints.entry(id).or_default();
            endpoint.in_hand = endpoint.in_hand.saturating_sub(1);
            match outcome {
                Outcome::Tried(record) => {
                    endpoint.answered = if record.next == Next::Delivered { endpoint.answered + 1 } else { 0 };
                    self.tried.push(record);
                }
                Outcome::Untried(_, delivery) => {
                    endpoint.answered = 0;
                    self.untried.push(delivery);
                }
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
        let due = self.webhooks.store.due_endpoints(ENDPOINTS_MAX).await?;
        let oldest = due.first().map(|first| self.context.store_now().saturating_since(first.first_due_at));
        ::metrics::gauge!(metrics::WEBHOOKS_OVERDUE).set(oldest.unwrap_or_default().as_secs_f64());
        self.serve(owner, due).await
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

    /// Keeps what tries came to, and gives back what was not tried. What cannot be kept now is kept with the next round.
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
        if !self.untried.is_empty() {
            self.webhooks.store.give_back_deliveries(&self.untried).await?;
            self.untried.clear();
        }
        Ok(())
    }

    /// Takes in hand what there is room for, and has it sent.
    async fn serve(&mut self, owner: Option<NodeId>, due: Vec<DueEndpoint>) -> Result<(), StoreError> {
        let room = room(&due, &self.endpoints, self.context.parts.settings.webhooks_at_once_max);
        let due: BTreeMap<WebhookId, DueEndpoint> = due.into_iter().map(|endpoint| (endpoint.id, endpoint)).collect();
        self.endpoints.retain(|id, endpoint| endpoint.in_hand > 0 || due.contains_key(id));
        let lease = self.context.parts.settings.webhook_lease;
        for some in room.chunks(CLAIMED_ENDPOINTS_MAX) {
            // Before the lease begins.
            let begin_before = Instant::now() + lease / BEGUN_WITHIN;
            let claim = DeliveryClaim { owner, lease, room: some.iter().copied().collect() };
            let claimed = self.webhooks.store.claim_deliveries(&claim).await?;
            self.line_up(claimed, &due, begin_before);
        }
        Ok(())
    }

    /// Puts messages into the lines of their endpoints, and sees to it that somebody sends them.
    fn line_up(&mut self, claimed: ClaimedDeliveries, due: &BTreeMap<WebhookId, DueEndpoint>, begin_before: Instant) {
        let ClaimedDeliveries { deliveries, secrets } = claimed;
        let now = self.context.store_now();
        let mut told = OnceTold::default();
        let mut of_endpoints: BTreeMap<WebhookId, Vec<ClaimedDelivery>> = BTreeMap::new();
        for delivery in deliveries {
            of_endpoints.entry(delivery.endpoint_id).or_default().push(delivery);
        }
        for (endpoint_id, deliveries) in of_endpoints {
            // An endpoint that is gone took its deliveries with it.
            let Some(endpoint) = due.get(&endpoint_id) else { continue };
            let Some(secrets) = secrets.get(&endpoint_id) else {
                tracing::error!(%endpoint_id, "a webhook's secret cannot be read; compare the encryption keys");
                continue;
            };
            let url: Arc<str> = endpoint.url.as_str().into();
            let secrets: Arc<[_]> = secrets.at(now).map(|secret| secret.to_vec().into()).collect();
            let in_hand = |delivery: ClaimedDelivery| InHand {
                endpoint_id,
                url: Arc::clone(&url),
                secrets: Arc::clone(&secrets),
                delivery: UntriedDelivery { account_id: delivery.account_id, id: delivery.id, number: delivery.number },
                tries: delivery.tries,
                told: told.of(&delivery),
                begin_before,
            };
            let messages: Vec<InHand> = deliveries.into_iter().map(in_hand).collect();
            let own = self.endpoints.entry(endpoint_id).or_default();
            own.in_hand += u32::try_from(messages.len()).unwrap_or(u32::MAX);
            own.answered = 0;
            for _ in 0..own.line.extend(tries_at_once(endpoint.health), messages) {
                let (context, sender) = (Arc::clone(&self.context), Arc::clone(&self.webhooks.sender));
                tokio::spawn(send_waiting(context, sender, Arc::clone(&own.line), self.send.clone()));
            }
        }
    }

    /// Gives back what waits, and keeps what is answered soon.
    async fn farewell(mut self, mut occasions: Occasions<Outcome>) {
        for endpoint in self.endpoints.values_mut() {
            let waiting = endpoint.line.clear();
            endpoint.in_hand -= u32::try_from(waiting.len()).unwrap_or(u32::MAX);
            self.untried.extend(waiting.into_iter().map(|message| message.delivery));
        }
        let until = Instant::now() + FAREWELL;
        while self.endpoints.values().any(|endpoint| endpoint.in_hand > 0) {
            let Some(outcomes) = occasions.until(until).await else { break };
            self.take_back(outcomes);
        }
        if let Err(error) = self.keep_results().await {
            tracing::warn!(%error, "results of deliveries were not kept; they are sent again");
        }
    }
}

/// What the messages of a claim tell: one for each event, rendered once.
#[derive(Default)]
struct OnceTold(BTreeMap<(AccountId, EventId), Arc<Told>>);

impl OnceTold {
    fn of(&mut self, delivery: &ClaimedDelivery) -> Arc<Told> {
        let told = match self.0.entry((delivery.account_id, delivery.event.id)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let event = Some(Arc::clone(&delivery.event));
                place.insert(Arc::new(Told::new(delivery.account_id, delivery.happened_at, event)))
            }
        };
        Arc::clone(told)
    }
}

fn tell_of_end(EndedEndpoint { endpoint_id, organization_id, standing, is_told }: &EndedEndpoint) {
    let reason = if *standing == WebhookStanding::Gone { "gone" } else { "failing" };
    tracing::warn!(%endpoint_id, %organization_id, reason, is_told, "a webhook was switched off");
    let notice = if *is_told { "made" } else { "none" };
    ::metrics::counter!(metrics::WEBHOOKS_ENDED, "reason" => reason, "notice" => notice).increment(1);
}
