//! PostgreSQL keeps the store port, and that of nodes.

use crate::common::{is_available, make};

agentcal_store_conformance::store_suite!(make, where is_available);
agentcal_store_conformance::ownership_suite!(make, where is_available);
