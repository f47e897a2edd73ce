//! The borders of the engine: what stores, caches, providers, clocks and chance must be able to do.
//!
//! Traits and the values that cross them, nothing else. One conformance suite per port says what they mean.

mod chance;
mod fact_cache;
mod provider;
mod sandbox;
mod store;

pub use chance::{Clock, Entropy};
pub use fact_cache::{CacheError, FactCache};
pub use provider::{
    CalendarRef, Credentials, Discovery, EventDelete, EventWrite, Provider, ProviderError, RemoteCalendar,
    ResourceChange, SyncCursor, SyncMode, SyncNext, SyncPage, SyncRequest, WriteOutcome, WrittenEvent,
};
pub use sandbox::{SandboxEvent, SandboxState};
pub use store::{
    AccountConfig, BookingFilter, BookingStore, BookingStoreItem, CalendarRecord, ChangeCounters, CommitStore,
    ConfigStore, ConnectionStore, DueCalendar, ExternalObservation, FACTS_PAST, FactStore, KeyRecord, ListPage,
    PageRequest, SaveSync, Store, StoreError, SyncFailure, SyncState, TenantStore, Write, WritebackJob,
    WritebackResult, WritebackStore,
};
