//! The in-process cache keeps the fact cache port.

use agentcal_store_memory::MemoryFactCache;

async fn make() -> MemoryFactCache {
    MemoryFactCache::default()
}

agentcal_store_conformance::cache_suite!(make);
