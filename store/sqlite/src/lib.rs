//! The durable store on SQLite: one file, one writer, many readers.
//!
//! Every write takes `BEGIN IMMEDIATE` on the one writing connection, so writers stand in line and a transaction sees
//! everything before it; every read that needs more than one statement is a transaction of a reader, which WAL gives one
//! unchanging view. What must never happen is said by the schema: composite foreign keys keep tenants apart, and two
//! triggers refuse overlapping claims.
//!
//! Query text keeps to what PostgreSQL reads too: `$1` binds, microseconds in 64 bits, UUIDs; see `docs/adr/0005`.

mod answers;
mod booking;
mod claims;
mod commit;
mod config;
mod connection;
mod decisions;
mod durability;
mod error;
mod event_types;
mod facts;
mod holds;
mod lock;
mod open;
mod ownership;
mod revisions;
mod rows;
mod sandbox;
mod schema;
mod secrets;
mod sync;
mod tenant;
mod text;
mod used_commits;
mod users;
mod work;
mod writeback;

pub use durability::DurabilityProblem;
pub use lock::{DataFolderLock, LockError};
pub use open::{OpenError, OpenOptions, SqliteStore};
pub use schema::SchemaState;
