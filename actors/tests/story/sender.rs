//! Endpoints that do as their address says.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use agentcal_engine::ports::{OutboundWebhook, WebhookAnswer, WebhookSender};
use async_trait::async_trait;
use tokio::sync::Semaphore;

/// Takes what is sent to `well`, answers 500 to `ill` and 410 to `gone`, and nothing to `slow` until it is let go.
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

    /// Messages to `slow` that wait for an answer.
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
        lock(&self.sent).push(message);
        let status = match url.as_str() {
            "ill" => 500,
            "gone" => 410,
            "slow" => {
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
