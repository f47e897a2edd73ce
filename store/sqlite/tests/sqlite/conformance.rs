//! SQLite keeps the store port, and those of webhooks, of jobs of what mails look like, and of connecting by consent.

use crate::common::make;

agentcal_store_conformance::store_suite!(make);
agentcal_store_conformance::webhook_suite!(make);
agentcal_store_conformance::mail_settings_suite!(make);
agentcal_store_conformance::oauth_suite!(make);

#[tokio::test]
async fn a_year_of_reminders_is_told() {
    let world = agentcal_store_conformance::webhooks::WebhookWorld::new(make).await;
    agentcal_store_conformance::jobs::a_year_of_reminders_is_told(world).await;
}
