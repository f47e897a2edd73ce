//! Records of refusals, on their way to the store.
//!
//! A refusal changes nothing, so its record needs no transaction of its own: records are written in batches, moments
//! later. Whoever refuses waits only while the queue is full. A crash loses the records of its last moments, never a
//! booking's, which are part of the booking's commit.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::model::DecisionRecord;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{sleep, timeout};

use crate::context::Context;

/// Most records waiting.
const QUEUE_LEN_MAX: usize = 4_096;
/// Longest a refusal waits for room among them.
const ROOM_WAIT_MAX: Duration = Duration::from_millis(500);
/// Most records of one batch.
const BATCH_MAX: usize = 256;
/// Longest a record waits for others.
const GATHER_FOR: Duration = Duration::from_millis(20);
/// Wait before a batch the store did not take is tried again, and how often.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const TRIES_MAX: u32 = 5;

pub(crate) struct Refusals {
    sender: mpsc::Sender<DecisionRecord>,
    receiver: Mutex<mpsc::Receiver<DecisionRecord>>,
}

impl Default for Refusals {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE_LEN_MAX);
        Self { sender, receiver: Mutex::new(receiver) }
    }
}

impl Refusals {
    /// Has a record written.
    pub(crate) async fn keep(&self, record: DecisionRecord) {
        // The other end lives as long as this one, so it is only ever too slow.
        if timeout(ROOM_WAIT_MAX, self.sender.send(record)).await.is_err() {
            tracing::error!("a decision record was given up: too many wait");
        }
    }
}

/// Writes records until the scheduler stops, and then what is left.
pub(crate) async fn run(context: Arc<Context>) {
    let mut receiver = context.refusals.receiver.lock().await;
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            _ = receiver.recv_many(&mut batch, BATCH_MAX) => {}
            () = context.stopping.cancelled() => break,
        }
        if batch.len() < BATCH_MAX {
            sleep(GATHER_FOR).await;
            while batch.len() < BATCH_MAX
                && let Ok(record) = receiver.try_recv()
            {
                batch.push(record);
            }
        }
        write(&context, &batch).await;
    }
    let mut rest = Vec::new();
    while let Ok(record) = receiver.try_recv() {
        rest.push(record);
    }
    for batch in rest.chunks(BATCH_MAX) {
        write(&context, batch).await;
    }
}

async fn write(context: &Context, batch: &[DecisionRecord]) {
    for _ in 0..TRIES_MAX {
        match context.parts.store.record_decisions(batch).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, records = batch.len(), "failed to write decision records"),
        }
        if context.stopping.is_cancelled() {
            break;
        }
        sleep(RETRY_AFTER).await;
    }
    tracing::error!(records = batch.len(), "decision records were given up");
}
