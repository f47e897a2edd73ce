//! SQLite keeps the store port.

mod common;

use common::make;

agentcal_store_conformance::store_suite!(make);
