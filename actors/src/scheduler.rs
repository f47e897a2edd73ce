//! The one handle to everything that moves.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::request::{CommitAnswer, CommitRequest, Made};
use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::decision::Host;
use agentcal_engine::facts::{CalendarFacts, MaxAge};
use agentcal_engine::ids::{AccountId, CalendarId, UserId, mint_uuid};
use agentcal_engine::ports::{AccountConfig, NodeRecord, StoreError};
use agentcal_engine::shard::NodeId;
use agentcal_engine::time::Timestamp;
use futures::future::join_all;
use ractor::Actor;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::calendar::{CalendarPicture, Msg};
use crate::context::Context;
use crate::ownership::Ownership;
use crate::parts::{Freshness, SchedulerParts, StartError};
use crate::questions::{Patience, Wanted};
use crate::supervisor::Supervisor;
use crate::{
    config, deliveries, followups, metrics, publication, refusals, relay, revocations, shown, sweep, tenure, work,
};

/// Longest wait for accepted commits and IO under way at the end.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(15);

/// Everything that moves, behind one cloneable handle.
#[derive(Clone)]
pub struct Scheduler {
    pub(crate) context: Arc<Context>,
}

impl Scheduler {
    /// Starts the supervisor and the sweep. A node that is alone raises the epoch and owns everything; one of several has
    /// begun its lease and taken what nobody else has.
    pub async fn start(parts: SchedulerParts) -> Result<Self, StartError> {
        let ownership = match parts.peers {
            None => Ownership::alone(node_of(&parts, NodeId(Uuid::nil())), parts.store.raise_epoch().await?),
            Some(_) => Ownership::among_others(node_of(&parts, NodeId(mint_uuid(parts.clock.now(), &*parts.entropy)))),
        };
        let context = Arc::new(Context::new(parts, ownership));
        context.measure_offset().await?;
        let (supervisor, _) = Supervisor::spawn(None, Supervisor, Arc::clone(&context))
            .await
            .map_err(|error| StartError::Supervisor(error.to_string()))?;
        context.supervisor.set(supervisor).map_err(|_second| StartError::Supervisor("set twice".into()))?;
        if !context.ownership.is_alone() {
            context.look_round().await?;
            context.tasks.spawn(tenure::run(Arc::clone(&context)));
            context.tasks.spawn(publication::run(Arc::clone(&context)));
        }
        context.tasks.spawn(sweep::run(Arc::clone(&context)));
        context.tasks.spawn(config::watch(Arc::clone(&context)));
        if let Some(webhooks) = context.parts.webhooks.clone() {
            if let Some(relay) = webhooks.relay.clone() {
                context.tasks.spawn(relay::run(Arc::clone(&context), relay));
            }
            context.tasks.spawn(deliveries::run(Arc::clone(&context), webhooks));
        }
        if let Some(jobs) = context.parts.jobs.clone() {
            context.tasks.spawn(followups::run(Arc::clone(&context), jobs));
        }
        if let Some(oauth) = context.parts.oauth.clone() {
            context.tasks.spawn(revocations::run(Arc::clone(&context), oauth));
        }
        context.tasks.spawn(refusals::run(Arc::clone(&context)));
        Ok(Self { context })
    }

    /// An account's configuration, from memory while it is current.
    pub async fn config(&self, account_id: AccountId) -> Result<Option<Arc<AccountConfig>>, StoreError> {
        self.context.config(account_id).await
    }

    /// Call and await after every write to an account's configuration, before answering the caller: drops the snapshot,
    /// and returns once no calendar answers from facts older than the write (claims of a user move with its home).
    pub async fn config_changed(&self, account_id: AccountId) {
        self.context.config_changed(account_id).await;
    }

    /// Call and await after a connection got other credentials: its calendars look at them, wherever they are awake, and no
    /// longer wait for good ones.
    pub async fn reconnected(&self, account_id: AccountId) {
        self.context.configs.forget(account_id);
        self.context.tell_config_changed(account_id).await;
    }

    /// The store's clock: this node's plus the offset last measured.
    pub async fn store_now(&self) -> Timestamp {
        self.context.store_now()
    }

    /// Ages beyond which facts of these calendars count as stale: two poll intervals of the slowest provider among them, or
    /// a sweep and its retries where a provider rings. `None` where none of them ages.
    pub fn stale_after(&self, config: &AccountConfig, calendar_ids: &[CalendarId]) -> Option<MaxAge> {
        let ages = calendar_ids.iter().filter_map(|&id| self.context.stale_after_of(config, id));
        ages.reduce(MaxAge::max)
    }

    /// Facts of calendars, in the order asked. What is known and fresh enough comes without a message and without SQL. What
    /// is missing or too old is woken and rung, and waited for until the deadline; then older facts come as they are (their
    /// `as_of` tells), and what cannot be had at all comes as unknown.
    pub async fn facts(
        &self,
        account_id: AccountId,
        calendar_ids: &[CalendarId],
        need: Freshness,
    ) -> Vec<Arc<CalendarFacts>> {
        let wanted: Vec<Wanted> =
            calendar_ids.iter().map(|&calendar_id| Wanted::up_to(calendar_id, need.max_age)).collect();
        self.context.facts(account_id, &wanted, need.deadline).await
    }

    /// Users with their rules and facts, in the order asked; users the configuration does not have are left out.
    pub async fn hosts(&self, config: &AccountConfig, user_ids: &[UserId], need: Freshness) -> Vec<Host> {
        self.context.hosts(config, user_ids, Patience::Same(need)).await
    }

    /// Makes, moves or cancels a booking, or places, extends, confirms or frees holds: led by the actor of the lowest home
    /// calendar id among the hosts.
    pub async fn commit(&self, request: CommitRequest) -> CommitAnswer {
        let began = Instant::now();
        let kind = request.kind.as_str();
        let answer = self.context.routes.track_future(self.context.route(Arc::new(request))).await;
        ::metrics::counter!(metrics::COMMITS, "kind" => kind, "outcome" => answer.outcome()).increment(1);
        ::metrics::histogram!(metrics::COMMIT_LATENCY).record(began.elapsed().as_secs_f64());
        answer
    }

    /// Has everybody show what an answer says that was kept for a request and is about to be given again: whoever made it may
    /// have died before it was published.
    ///
    /// # Errors
    /// When the store does not serve, and so nobody can tell who is to show it.
    pub async fn have_shown(&self, account_id: AccountId, made: &Made) -> Result<(), StoreError> {
        shown::have_shown(&self.context, account_id, made).await
    }

    /// Rings a calendar: something may have changed at its provider, look now. Carries no truth; also used for calendars
    /// just connected.
    pub fn bell(&self, account_id: AccountId, calendar_id: CalendarId) {
        self.ring(account_id, calendar_id, Ring::Changed);
    }

    /// Rings a calendar as its provider does, which may also have something to say of the watch.
    pub fn ring(&self, account_id: AccountId, calendar_id: CalendarId, ring: Ring) {
        if !self.context.ring(account_id, calendar_id, ring) {
            self.context.ring_elsewhere(account_id, calendar_id, ring);
        }
    }

    /// Something may be due for an endpoint, or an endpoint has changed: look now, and not only with the next sweep.
    pub fn deliver(&self) {
        self.context.delivery_bell.notify_one();
        self.context.relay_bell.notify_one();
    }

    /// A grant is to be given back: look now, and not only when it is time again.
    pub fn give_back(&self) {
        self.context.revocation_bell.notify_one();
    }

    /// Stops the actors of calendars that are gone, and withdraws their facts. What another node keeps of them goes when it
    /// hears that the configuration changed.
    pub async fn forget(&self, calendar_ids: &[CalendarId]) {
        for slot in calendar_ids.iter().filter_map(|&id| self.context.directory.peek(id)) {
            slot.send(Msg::Stop);
            work::forget(&self.context, &slot);
        }
    }

    /// Waits until each of the calendars has had its first sync or failed at it; false when the deadline came first.
    pub async fn synced(&self, account_id: AccountId, calendar_ids: &[CalendarId], deadline: Duration) -> bool {
        let until = Instant::now() + deadline;
        let waits = calendar_ids.iter().map(|&id| self.context.first_sync(account_id, id, until));
        join_all(waits).await.into_iter().all(|synced| synced)
    }

    /// How many calendars are awake.
    pub fn awake_calendars(&self) -> usize {
        self.context.directory.awake().len()
    }

    /// A picture of a calendar's actor; `None` when it sleeps.
    pub async fn picture(&self, calendar_id: CalendarId) -> Option<CalendarPicture> {
        let (reply, picture) = oneshot::channel();
        let is_sent = self.context.directory.peek(calendar_id)?.send(Msg::Picture(reply));
        if is_sent { picture.await.ok() } else { None }
    }

    /// Gives the shards of one of several nodes to the others, for good, and goes on with what is asked here: it is passed on to
    /// them. [`Self::shutdown`] is to follow.
    pub async fn hand_over(&self) {
        self.context.give_all().await;
    }

    /// One of several nodes first gives its shards to the others. Then takes no more commits, finishes those accepted, then
    /// stops everything.
    pub async fn shutdown(&self) {
        let context = &self.context;
        if !context.ownership.is_alone() {
            context.leave().await;
        }
        context.close();
        let closed = context.directory.awake().into_iter().filter_map(|slot| {
            let (done, closed) = oneshot::channel();
            slot.send(Msg::Close(done)).then_some(closed)
        });
        if timeout(SHUTDOWN_DEADLINE, join_all(closed)).await.is_err() {
            tracing::error!("accepted commits did not end in time");
        }
        context.stopping.cancel();
        context.tasks.close();
        if timeout(SHUTDOWN_DEADLINE, context.tasks.wait()).await.is_err() {
            tracing::warn!("work under way at providers did not end in time; it will be done again");
        }
        if let Some(supervisor) = context.supervisor.get() {
            supervisor.stop_children(None);
            supervisor.stop(None);
        }
    }
}

/// How this node presents itself.
fn node_of(parts: &SchedulerParts, id: NodeId) -> NodeRecord {
    NodeRecord { id, address: parts.settings.address.clone(), started_at: parts.clock.now(), is_draining: false }
}
