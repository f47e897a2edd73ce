//! Endpoints that answer as told, without a network.

use std::sync::Mutex;

use agentcal_engine::ports::{OutboundWebhook, WebhookAnswer, WebhookSender};
use async_trait::async_trait;

/// Keeps what it was to send, and answers 204 to addresses of `example.com`, 503 to others.
#[derive(Default)]
pub(crate) struct ScriptedSender(Mutex<Vec<OutboundWebhook>>);

impl ScriptedSender {
    /// What was sent.
    pub(crate) fn sent(&self) -> Vec<OutboundWebhook> {
        self.0.lock().expect("no holder panics").clone()
    }
}

#[async_trait]
impl WebhookSender for ScriptedSender {
    fn check_url(&self, url: &str) -> Result<(), String> {
        let is_secure = url.starts_with("https://") && url.len() <= 2_048 && !url.contains('\n');
        if is_secure { Ok(()) } else { Err("the address must be an https:// URL".to_owned()) }
    }

    async fn send(&self, message: OutboundWebhook) -> Result<WebhookAnswer, String> {
        let status = if message.url.starts_with("https://example.com/") { 204 } else { 503 };
        self.0.lock().expect("no holder panics").push(message);
        Ok(WebhookAnswer { status, retry_after: None, answer: "as told".to_owned() })
    }
}
