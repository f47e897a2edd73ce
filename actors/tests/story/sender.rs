//! Endpoints that do as their address says.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use agentcal_engine::ports::{OutboundWebhook, WebhookAnswer, WebhookSender};
use async_trait::async_trait;
use tokio::sync::Semaphore;

/// How many messages in a row `moody` takes, before it refuses as many, and `tired`, before it is slow.
pub(crate) const MOOD: usize = 25;

/// Takes what is sent to `well`, answers 500 to `ill` and 410 to `gone`, now this and now that to `moody`, and nothing to
/// `slow` and, in the end, to `tired` until it is let go. To addresses that begin with `stuck` it answers nothing until then
/// either, but for their first message, once it is told to.
pub(crate) struct ScriptedSender {
    sent: Mutex<Vec<OutboundWebhook>>,
    waiting: Mutex<BTreeMap<String, usize>>,
    gate: Semaphore,
    first_gate: Semaphore,
}

impl Default for ScriptedSender {
    fn default() -> Self {
        let [gate, first_gate] = [Semaphore::new(0), Semaphore::new(0)];
        Self { sent: Mutex::default(), waiting: Mutex::default(), gate, first_gate }
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

    /// Answers the first message to each address that begins with `stuck`.
    pub(crate) fn answer_first(&self) {
        self.first_gate.close();
    }

    async fn wait_at(&self, gate: &Semaphore, url: &str) {
        *lock(&self.waiting).entry(url.to_owned()).or_default() += 1;
        // Closing it lets everybody through.
        let _ = gate.acquire().await;
        *lock(&self.waiting).entry(url.to_owned()).or_default() -= 1;
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
                self.wait_at(&self.gate, &url).await;
                204
            }
            stuck if stuck.starts_with("stuck") => {
                let gate = if before == 0 { &self.first_gate } else { &self.gate };
                self.wait_at(gate, stuck).await;
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
