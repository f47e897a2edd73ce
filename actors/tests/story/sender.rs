//! Endpoints that do as their address says.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use agentcal_engine::ports::{OutboundWebhook, WebhookAnswer, WebhookSender};
use async_trait::async_trait;
use tokio::sync::Semaphore;

/// How many messages in a row `moody` takes, before it refuses as many, and `tired`, before it is slow.
pub(crate) const MOOD: usize = 25;

/// Takes what is sent to `well`, answers 500 to `ill` and 410 to `gone`, now this and now that to `moody`, and nothing to `slow`
/// and, in the end, to `tired` until it is let go.
pub(crate) struct ScriptedSender {
    sent: Mutex<Vec<OutboundWebhook>>,
    waiting: Mutex<BTreeMap<String, usize>>,
    gate: Semaphore,
}

impl Default for ScriptedSender {
    fn default() -> Self {
        Self { sent: Mutex::default(), waiting: Mutex::default(), gate: Semaphore::new(0) }
    }
}

impl ScriptedSender {
    /// What was sent to an address, in order.
    pub(crate) fn sent_to(&self, url: &str) -> Vec<OutboundWebhook> {
        lock(&self.sent).iter().filter(|message| message.url == url).cloned().collect()
    }

    /// Messages that wait for an answer.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.waiting).values().sum()
    }

    /// Answers everything that waits, and all that comes.
    pub(crate) fn let_go(&self) {
        self.gate.close();
    }
}

#[async_trait]
impl WebhookSender for ScriptedSender {
    fn check_url(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    async fn send(&self, message: OutboundWebhook) -> Result<WebhookAnswer, String> {
        let url = message.url.clone();
        let before = {
            let mut sent = lock(&self.sent);
            sent.push(message);
            sent.iter().filter(|message| message.url == url).count() - 1
        };
        let status = match url.as_str() {
            "moody" if before / MOOD % 2 == 1 => 500,
            "ill" => 500,
            "gone" => 410,
            "tired" if before < MOOD => 204,
            "slow" | "tired" => {
                *lock(&self.waiting).entry(url.clone()).or_default() += 1;
                // Closing it lets everybody through.
                let _ = self.gate.acquire().await;
                *lock(&self.waiting).entry(url).or_default() -= 1;
                204
            }
            _ => 204,
        };
        Ok(WebhookAnswer { status, retry_after: None, answer: String::new() })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
