//! What is handed to a calendar's actor, and who waits for it.

use std::sync::Arc;

use agentcal_engine::calendar::request::{CommitAnswer, CommitRequest};
use agentcal_engine::commit::ClaimChange;
use ractor::ActorRef;
use tokio::sync::oneshot;

use crate::calendar::Msg;
use crate::commit::{Before, Footing};
use crate::metrics;

/// A commit on its way through an actor.
pub(crate) struct CommitJob {
    pub(crate) request: Arc<CommitRequest>,
    pub(crate) before: Before,
    pub(crate) footing: Footing,
    pub(crate) reply: oneshot::Sender<CommitAnswer>,
    pub(crate) waiting: Option<Waiting>,
}

/// A commit that waits, counted as such for as long as this lives.
pub(crate) struct Waiting;

impl Waiting {
    pub(crate) fn count() -> Self {
        ::metrics::gauge!(metrics::QUEUE_DEPTH).increment(1.0);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        ::metrics::gauge!(metrics::QUEUE_DEPTH).decrement(1.0);
    }
}

/// What a commit changed in a calendar's facts.
pub(crate) struct Change {
    pub(crate) revision: u64,
    /// What it did to claims; `None` when it did more than that.
    pub(crate) claims: Option<Vec<ClaimChange>>,
    pub(crate) write_wanted: bool,
    /// Hears whether decisions rest on it already; false where it must be loaded first.
    pub(crate) applied: oneshot::Sender<bool>,
    /// Hears when the cache has it.
    pub(crate) done: oneshot::Sender<()>,
}

/// Somebody has yet to hear of a commit; its end, however it comes, is told to the actor.
pub(crate) struct Telling(ActorRef<Msg>);

impl Telling {
    pub(crate) fn begin(actor: &ActorRef<Msg>) -> Self {
        Self(actor.clone())
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        // An actor that stopped meanwhile begins anew, and waits for nobody.
        let _ = self.0.send_message(Msg::Told);
    }
}
