//! SQLite keeps the store port.

use crate::common::make;

agentcal_store_conformance::store_suite!(make);
