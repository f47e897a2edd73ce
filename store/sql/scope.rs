//! Whose rows a transaction is about.

use agentcal_engine::ids::AccountId;

/// Whose rows a transaction may see, where the engine can be told. The queries say it, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One account's.
    Account(AccountId),
    /// Everybody's: sweeps, tidying, and what is above accounts.
    All,
}
