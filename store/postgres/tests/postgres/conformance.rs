//! PostgreSQL keeps the store port, and those of webhooks, of jobs, of what mails look like, of consent, and of nodes.

use crate::common::{is_available, make};

agentcal_store_conformance::store_suite!(make, where is_available);
agentcal_store_conformance::ownership_suite!(make, where is_available);
agentcal_store_conformance::webhook_suite!(make, where is_available);
agentcal_store_conformance::mail_settings_suite!(make, where is_available);
agentcal_store_conformance::oauth_suite!(make, where is_available);

#[tokio::test]
async fn deliveries_are_their_owners() {
    if is_available() {
        let world = agentcal_store_conformance::webhooks::WebhookWorld::new(make).await;
        agentcal_store_conformance::webhooks::deliveries_are_their_owners(world).await;
    }
}

#[tokio::test]
async fn events_are_told_by_their_owners() {
    if is_available() {
        let world = agentcal_store_conformance::webhooks::WebhookWorld::new(make).await;
        agentcal_store_conformance::relays::events_are_told_by_their_owners(world).await;
    }
}

#[tokio::test]
async fn jobs_are_their_owners() {
    if is_available() {
        let world = agentcal_store_conformance::webhooks::WebhookWorld::new(make).await;
        agentcal_store_conformance::jobs::jobs_are_their_owners(world).await;
    }
}
