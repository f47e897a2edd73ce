//! The borders of the engine: what stores, caches, providers, clocks and chance must be able to do.
//!
//! Traits and the values that cross them, nothing else. One conformance suite per port says what they mean.

mod booking_store;
mod chance;
mod fact_cache;
mod fact_store;
mod hold_store;
mod jobs;
mod mail_settings;
mod mail_shelf;
mod mailer;
mod oauth_store;
mod ownership;
mod peers;
mod provider;
mod quotas;
mod relay;
mod sandbox;
mod store;
mod token_issuer;
mod webhooks;

pub use booking_store::{
    BookingFilter, BookingStore, BookingStoreItem, ConferenceSettled, WritebackJob, WritebackResult, WritebackStore,
};
pub use chance::{Clock, Entropy};
pub use fact_cache::{BEAT_TTL, Beat, CacheError, CacheRead, FactCache};
pub use fact_store::{
    CalendarRecord, DueCalendar, ExternalObservation, FACTS_PAST, FactStore, OutdatedWatch, SaveSync, SaveWatch,
    SyncFailure, SyncState, WatchRecord,
};
pub use hold_store::{DecisionFilter, DecisionStore, HoldStore, HoldStoreItem};
pub use jobs::{ClaimedJob, ClaimedMail, ClaimedNotice, JOB_CANCELLED, JobNext, JobResult, JobStore, MailClaim};
pub use mail_settings::{
    MailFault, MailLook, MailOwner, MailPart, MailPress, MailSample, MailSettingsStore, MailShown, NoticeReader,
};
pub use mail_shelf::{MailShelf, ShelvedMail};
pub use mailer::{MailSent, Mailer, OutboundMail, OutboundNotice};
pub use oauth_store::{
    ATTEMPTS_PER_ACCOUNT_MAX, OauthAttempt, OauthStore, REDIRECT_URLS_MAX, REVOCATION_GRACE, Revocation, TakenAttempt,
};
pub use ownership::{CLOCK_SKEW_MAX, Membership, NodeRecord, Ownership, OwnershipStore, ShardMap, TOUCHED_FOR};
pub use peers::{BeatsEnded, FactsWanted, PeerError, Peers};
pub use provider::{
    CalendarRef, ConferenceSeen, Credentials, Discovery, Doorbell, EventDelete, EventWrite, OauthGrant, Oddities,
    Provider, ProviderError, RemoteCalendar, ResourceChange, SyncCursor, SyncMode, SyncNext, SyncPage, SyncRequest,
    WatchHandle, Watched, WriteOutcome, WrittenEvent,
};
pub use quotas::{CellsGiven, CellsWanted, Quotas};
pub use relay::{
    ClaimedEndpoint, ClaimedEvent, EndpointTold, EventTold, RelayClaim, RelayError, RelayMessage, RelayPage,
    RelayPageRequest, RelayStore, RelayTest, WebhookRelay,
};
pub use sandbox::{SandboxEvent, SandboxState};
pub use store::{
    AccountConfig, ChangeCounters, CommitStore, ConfigStore, ConnectionStore, KeptCredentials, KeyRecord, ListPage,
    Mailbox, PageRequest, Store, StoreError, TenantStore, Write, commit_in_turn,
};
pub use token_issuer::{ConsentRequest, Consented, OauthClient, TokenError, TokenIssuer};
pub use webhooks::{
    AttemptRecord, CLAIMED_ENDPOINTS_MAX, ClaimedDeliveries, ClaimedDelivery, DeliveryClaim, DueEndpoint,
    EndedEndpoint, EndpointOwner, OutboundWebhook, Replayed, Spread, Told, UntriedDelivery, WebhookAnswer,
    WebhookSender, WebhookStore,
};
