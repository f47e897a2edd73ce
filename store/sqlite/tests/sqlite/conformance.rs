//! SQLite keeps the store port, and that of webhooks.

use crate::common::make;

agentcal_store_conformance::store_suite!(make);
agentcal_store_conformance::webhook_suite!(make);
