//! The IO of watches: asking providers for them, keeping what they grant, and ending what nobody needs any more.

use std::sync::Arc;

use agentcal_engine::calendar::sync::Saved;
use agentcal_engine::model::{Calendar, WatchState};
use agentcal_engine::ports::{Provider, SaveWatch, StoreError, WatchHandle, WatchRecord};
use agentcal_engine::shard::Epoch;
use futures::future::join_all;

use crate::calendar::Msg;
use crate::context::Context;
use crate::doorbells::Doorbells;
use crate::metrics;
use crate::outbound::Operation;
use crate::scheduler::Scheduler;
use crate::work::{Access, kind_name};

/// Asks the provider to ring from now on, or to go on ringing.
pub(crate) async fn ask(context: Arc<Context>, access: Arc<Access>, previous: Option<WatchHandle>) -> Msg {
    let doorbells = context.parts.doorbells.as_ref();
    let doorbell = doorbells.and_then(|all| all.of(access.kind, access.account_id, access.calendar_id));
    let ask = |provider: Arc<dyn Provider>, calendar| async move {
        provider.watch(&calendar, doorbell.as_ref(), previous.as_ref()).await
    };
    let answer = access.ask(&context, Operation::Watch, ask).await;
    let outcome = match &answer {
        Ok(watched) if watched.watch.state == WatchState::Push => "watched",
        Ok(_) => "polled",
        Err(_) => "failed",
    };
    ::metrics::counter!(metrics::WATCHES, "provider" => kind_name(access.kind), "outcome" => outcome).increment(1);
    if let Err(error) = &answer {
        tracing::warn!(calendar_id = %access.calendar_id, %error, "a calendar gets no watch; it is tried again");
    }
    Msg::Watched(answer)
}

/// Keeps what became of a watch.
pub(crate) async fn save(context: Arc<Context>, access: Arc<Access>, epoch: Epoch, record: WatchRecord) -> Msg {
    let (account_id, calendar_id) = (access.account_id, access.calendar_id);
    let save = SaveWatch { account_id, calendar_id, epoch, record };
    Msg::WatchSaved(match context.parts.store.save_watch(&save).await {
        Ok(true) => Saved::Done,
        Ok(false) => Saved::Lost,
        Err(error) => {
            tracing::warn!(%calendar_id, %error, "a watch could not be saved; it is tried again");
            Saved::Failed
        }
    })
}

/// Ends a watch.
pub(crate) async fn end(context: Arc<Context>, access: Arc<Access>, handle: WatchHandle) -> Msg {
    let ask = |provider: Arc<dyn Provider>, calendar| async move { provider.unwatch(&calendar, &handle).await };
    let answer = access.ask(&context, Operation::Unwatch, ask).await;
    if let Err(error) = &answer {
        tracing::info!(calendar_id = %access.calendar_id, %error, "a watch is not ended; it runs out by itself");
    }
    Msg::WatchEnded(answer)
}

/// Watches of calendars that are about to be forgotten, and what it takes to end them.
#[must_use = "the watches go on until they are ended"]
pub struct Farewell {
    context: Arc<Context>,
    watches: Vec<(Arc<Access>, WatchHandle)>,
}

impl Scheduler {
    /// Call before calendars are deleted, while it can still be read what it takes to end their watches.
    pub async fn farewell<'c>(&self, calendars: impl Iterator<Item = &'c Calendar>) -> Result<Farewell, StoreError> {
        let context = Arc::clone(&self.context);
        let mut watches = Vec::new();
        for calendar in calendars.filter(|calendar| Doorbells::route(calendar.provider).is_some()) {
            let record = context.parts.store.load_calendar(calendar.account_id, calendar.id).await?;
            let Some(record) = record else { continue };
            let outdated = record.watch.outdated.iter().map(|outdated| &outdated.handle);
            let handles: Vec<WatchHandle> = record.watch.handle.iter().chain(outdated).cloned().collect();
            if handles.is_empty() {
                continue;
            }
            let access = Arc::new(Access::new(&context, &record, record.facts.epoch));
            // With credentials that cannot be had, nothing can be ended: it runs out.
            if access.prepare(&context).await.is_ok() {
                watches.extend(handles.into_iter().map(|handle| (Arc::clone(&access), handle)));
            }
        }
        Ok(Farewell { context, watches })
    }
}

impl Farewell {
    /// Call once the calendars are deleted, so that no owner renews what is being ended. Ends the watches, and returns when
    /// the providers have heard, or cannot be reached: then they run out by themselves.
    pub async fn say(self) {
        let Self { context, watches } = self;
        let ends = watches.into_iter().map(|(access, handle)| end(Arc::clone(&context), access, handle));
        drop(join_all(ends).await);
    }

    /// The same, without waiting for it. Then what people had granted is given back, with which watches are ended.
    pub fn say_later(self) {
        let context = Arc::clone(&self.context);
        let tasks = context.tasks.clone();
        tasks.spawn(async move {
            self.say().await;
            context.revocation_bell.notify_one();
        });
    }
}
