//! Envelope encryption for the stores (law 10).
//!
//! Every account, and every organization for what stands above accounts, has a random *data key*. Rows that hold tokens,
//! passwords or kept answers are sealed with it. The data key itself is kept only wrapped by a *key-encryption key* of
//! the installation's [`KeyRing`]. Deleting the wrapped data key makes all that was sealed with it unreadable, backups
//! of other tables included; rotating the ring rewraps data keys and touches no sealed row.
//!
//! Everything is AES-256-GCM under a fresh random nonce. Associated data binds a sealed value to its owner, its purpose
//! and its row, so that a value copied into another row does not open.

mod file;
mod keyring;
mod seal;

pub use file::KeyFileError;
pub use keyring::{KeyRing, KeyRingError, WrappedKey};
pub use seal::{Binding, DataKey, KeyOwner, Purpose, VaultError};
