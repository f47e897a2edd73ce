//! A task that sends what waits in an endpoint's line, and what it says of each message.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::ids::WebhookId;
use agentcal_engine::model::DeliveryAttempt;
use agentcal_engine::ports::{AttemptRecord, OutboundWebhook, UntriedDelivery, WebhookAnswer, WebhookSender};
use agentcal_engine::webhooks::{Next, Tried, next};
use futures::FutureExt;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use crate::context::Context;
use crate::metrics;

use super::line::{InHand, Line};

/// What became of a message in hand.
pub(super) enum Outcome {
    /// It was tried.
    Tried(AttemptRecord),
    /// It was not, and shall be anew.
    Untried(WebhookId, UntriedDelivery),
}

/// Sends what waits, until nothing does. An endpoint that fails is sent nothing more of it: what is right for one that does
/// well may be too much for it now, and what to do next is decided on what has become of it.
pub(super) async fn send_waiting(
    context: Arc<Context>,
    sender: Arc<dyn WebhookSender>,
    line: Arc<Line>,
    outcomes: UnboundedSender<Outcome>,
) {
    while let Some(message) = line.next() {
        let mut untried = Vec::new();
        let mut tried = None;
        if Instant::now() < message.begin_before {
            let record = attempt(&context, &*sender, message).await;
            if record.next != Next::Delivered {
                untried = line.clear();
            }
            tried = Some(Outcome::Tried(record));
        } else {
            untried.push(message);
        }
        let untried = untried.into_iter().map(|message| Outcome::Untried(message.endpoint_id, message.delivery));
        // Where nobody listens any more, leases give everything back.
        if !tried.into_iter().chain(untried).all(|outcome| outcomes.send(outcome).is_ok()) {
            return;
        }
    }
}

async fn attempt(context: &Context, sender: &dyn WebhookSender, message: InHand) -> AttemptRecord {
    let InHand { endpoint_id, url, secrets, delivery, tries, told, .. } = message;
    let (url, timestamp) = (url.to_string(), context.store_now());
    let outbound = OutboundWebhook { url, id: delivery.id, timestamp, told, secrets };
    let began = Instant::now();
    // A panic must not leave the endpoint with one place less for ever.
    let sent = AssertUnwindSafe(sender.send(outbound)).catch_unwind().await;
    let answer = sent.unwrap_or_else(|_panic| Err("sending failed inside".to_owned()));
    let duration = began.elapsed();
    let (tried, status, error, answer) = match answer {
        Ok(WebhookAnswer { status, retry_after, answer }) => {
            (Tried { status: Some(status), retry_after }, Some(status), None, answer)
        }
        Err(error) => (Tried { status: None, retry_after: None }, None, Some(error), String::new()),
    };
    let next = next(&tried, tries, &context.parts.settings.webhook_retry_waits, &*context.parts.entropy);
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

fn count(next: &Next, duration: Duration) {
    let outcome = match next {
        Next::Delivered => "delivered",
        Next::Retry(_) => "retry",
        Next::GiveUp => "given_up",
    };
    ::metrics::counter!(metrics::WEBHOOK_ATTEMPTS, "outcome" => outcome).increment(1);
    ::metrics::histogram!(metrics::WEBHOOK_LATENCY).record(duration.as_secs_f64());
}
