//! The durable store on PostgreSQL, shared by any number of nodes.
//!
//! Writers stand in line row by row: the epoch of the shard, then revisions in their order, each in its final mode, then
//! the clock, then everything else. Nothing rests on an isolation level. What must never happen is said by the schema:
//! composite foreign keys and row-level security keep tenants apart, and an exclusion constraint refuses overlapping
//! claims.
//!
//! Most of the query text lies in `store/sql` and serves SQLite too; see `docs/adr/0005` and `0011`.

#[path = "../../sql/answers.rs"]
mod answers;
#[path = "../../sql/attempts.rs"]
mod attempts;
mod batch;
mod book;
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
#[path = "../../sql/facts.rs"]
mod facts;
#[path = "../../sql/frame.rs"]
mod frame;
mod ground;
#[path = "../../sql/holds.rs"]
mod holds;
#[path = "../../sql/job_changes.rs"]
mod job_changes;
#[path = "../../sql/jobs.rs"]
mod jobs;
mod lanes;
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
pub use book::BOOK_CALL;
pub use durability::DurabilityProblem;
pub use open::{OpenError, OpenOptions, PostgresStore, StoreClock, Timeouts};
pub use schema::SchemaState;
