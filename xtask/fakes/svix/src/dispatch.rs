//! Messages on their way: signed, posted, tried again.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::FakeSvix;
use crate::world::{Attempt, Endpoint, Message};

/// How long an endpoint may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// Characters of an answer that are kept.
const RESPONSE_LEN_MAX: usize = 4_096;

/// Sends a message to an endpoint until it is taken or given up, or the endpoint is gone; once only where somebody asked.
pub(crate) fn dispatch(svix: &FakeSvix, application_id: &str, message: &Message, endpoint_id: &str, is_manual: bool) {
    let (svix, message) = (svix.clone(), message.clone());
    let (application_id, endpoint_id) = (application_id.to_owned(), endpoint_id.to_owned());
    tokio::spawn(async move {
        let mut tried = 0;
        while let Some(wait) = attempt(&svix, &application_id, &message, &endpoint_id, is_manual, tried).await {
            tokio::time::sleep(wait).await;
            tried += 1;
        }
    });
}

/// One try; the wait before the next, if there is to be one.
async fn attempt(
    svix: &FakeSvix,
    application_id: &str,
    message: &Message,
    endpoint_id: &str,
    is_manual: bool,
    tried: usize,
) -> Option<Duration> {
    let endpoint = {
        let world = svix.world();
        world.applications.get(application_id)?.endpoints.get(endpoint_id).cloned()?
    };
    if endpoint.disabled {
        return None;
    }
    let began = Instant::now();
    let (status_code, response) = post(svix, message, &endpoint).await;
    let now = svix.clock().now();
    let mut world = svix.world();
    let is_success = (200..300).contains(&status_code);
    let wait = world.retry_waits.get(tried).copied().filter(|_| !is_success && !is_manual);
    let id = world.id("atmpt");
    let attempt = Attempt {
        id,
        message_id: message.id.clone(),
        endpoint_id: endpoint.id,
        url: endpoint.url,
        response,
        status_code,
        duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        is_success,
        is_manual,
        next_attempt: wait.and_then(|wait| Some(now + TimeDelta::from_std(wait).ok()?)),
        timestamp: now,
    };
    world.applications.get_mut(application_id)?.attempts.push(attempt);
    wait
}

/// What an endpoint says; status 0: nothing.
async fn post(svix: &FakeSvix, message: &Message, endpoint: &Endpoint) -> (u16, String) {
    let now = svix.clock().now();
    let timestamp = now.timestamp();
    let signatures: Vec<String> = endpoint
        .secrets(now)
        .iter()
        .map(|secret| signature(secret, &format!("{}.{timestamp}.{}", message.id, message.body)))
        .collect();
    let request = svix
        .client()
        .post(&endpoint.url)
        .header("content-type", "application/json")
        .header("svix-id", &message.id)
        .header("svix-timestamp", timestamp)
        .header("svix-signature", signatures.join(" "))
        .body(message.body.clone());
    match request.send().await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap_or_default();
            (status, text.chars().take(RESPONSE_LEN_MAX).collect())
        }
        Err(error) => (0, error.to_string()),
    }
}

fn signature(secret: &[u8], signed: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(signed.as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}
