//! SQLite keeps the store port, and those of webhooks and of what mails look like.

use crate::common::make;

agentcal_store_conformance::store_suite!(make);
agentcal_store_conformance::webhook_suite!(make);
agentcal_store_conformance::mail_settings_suite!(make);
