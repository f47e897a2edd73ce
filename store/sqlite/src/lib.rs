//! The durable store on SQLite: one file, one writer, many readers.
//!
//! Every write takes `BEGIN IMMEDIATE` on the one writing connection, so writers stand in line and a transaction sees
//! everything before it; every read that needs more than one statement is a transaction of a reader, which WAL gives one
//! unchanging view. What must never happen is said by the schema: composite foreign keys keep tenants apart, and two
//! triggers refuse overlapping claims.
//!
//! Most of the query text lies in `store/sql` and serves PostgreSQL too: `$1` binds, microseconds in 64 bits, UUIDs; see
//! `docs/adr/0005` and `0011`. What is this engine's alone stands here.

#[path = "../../sql/answers.rs"]
mod answers;
#[path = "../../sql/attempts.rs"]
mod attempts;
#[path = "../../sql/booking.rs"]
mod booking;
#[path = "../../sql/claims.rs"]
mod claims;
mod commit;
#[path = "../../sql/config.rs"]
mod config;
#[path = "../../sql/connection.rs"]
mod connection;
mod db;
#[path = "../../sql/dead_writebacks.rs"]
mod dead_writebacks;
#[path = "../../sql/decisions.rs"]
mod decisions;
#[path = "../../sql/deliveries.rs"]
mod deliveries;
#[path = "../../sql/delivery_claims.rs"]
mod delivery_claims;
mod durability;
#[path = "../../sql/endpoints.rs"]
mod endpoints;
mod error;
#[path = "../../sql/event_types.rs"]
mod event_types;
#[path = "../../sql/events.rs"]
mod events;
mod expected;
#[path = "../../sql/facts.rs"]
mod facts;
#[path = "../../sql/frame.rs"]
mod frame;
#[path = "../../sql/holds.rs"]
mod holds;
#[path = "../../sql/job_changes.rs"]
mod job_changes;
#[path = "../../sql/jobs.rs"]
mod jobs;
mod lock;
mod locks;
#[path = "../../sql/mail_settings.rs"]
mod mail_settings;
#[path = "../../sql/mailbox.rs"]
mod mailbox;
#[path = "../../sql/oauth.rs"]
mod oauth;
mod open;
mod ownership;
#[path = "../../sql/relays.rs"]
mod relays;
#[path = "../../sql/revisions.rs"]
mod revisions;
#[path = "../../sql/rows.rs"]
mod rows;
#[path = "../../sql/sandbox.rs"]
mod sandbox;
mod sandbox_put;
mod schema;
#[path = "../../sql/scope.rs"]
mod scope;
#[path = "../../sql/secrets.rs"]
mod secrets;
#[path = "../../sql/spreading.rs"]
mod spreading;
#[path = "../../sql/sync.rs"]
mod sync;
#[path = "../../sql/tenant.rs"]
mod tenant;
#[path = "../../sql/text.rs"]
mod text;
#[path = "../../sql/used_commits.rs"]
mod used_commits;
#[path = "../../sql/users.rs"]
mod users;
#[path = "../../sql/watches.rs"]
mod watches;
#[path = "../../sql/webhooks.rs"]
mod webhooks;
mod words;
#[path = "../../sql/work.rs"]
mod work;
#[path = "../../sql/writeback.rs"]
mod writeback;

pub use durability::DurabilityProblem;
pub use lock::{DataFolderLock, LockError};
pub use open::{OpenError, OpenOptions, SqliteStore};
pub use schema::SchemaState;
