//! From driver errors to the port's.

use agentcal_engine::ports::StoreError;
use agentcal_store_vault::VaultError;

use crate::open::OpenError;

/// A shorthand of this crate.
pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The constraint that guards people's time.
const OVERLAP: &str = "claims_no_overlap";

/// The server's disk is full.
pub(crate) const DISK_FULL: &str = "53100";
/// The server takes no writes.
pub(crate) const READ_ONLY: &str = "25006";
/// The role may not do this.
pub(crate) const NOT_ALLOWED: &str = "42501";

/// A lock was not to be had in time.
pub(crate) const LOCK_NOT_HAD: &str = "55P03";
/// Sessions waited for each other, and this one was chosen to give way.
pub(crate) const DEADLOCK: &str = "40P01";

/// What the server says when somebody else was in the way and trying again may help: serialization failure, deadlock,
/// lock not to be had in time, statement not done in time.
const TRY_AGAIN: [&str; 4] = ["40001", DEADLOCK, LOCK_NOT_HAD, "57014"];

/// What the driver's error means to a caller of the port.
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
            StoreError::Corrupt(error.to_string())
        }
        // Said in words: whoever reads it has a server to look after.
        other => match sql_state(&other).as_deref() {
            Some(DISK_FULL | READ_ONLY) => StoreError::Unavailable(Box::new(OpenError::of(other))),
            _ => StoreError::Unavailable(Box::new(other)),
        },
    }
}

/// A sealed value that does not open is a row that cannot be read.
pub(crate) fn sealed_error(error: VaultError) -> StoreError {
    StoreError::Corrupt(error.to_string())
}

/// A row that is not what this version wrote.
pub(crate) fn corrupt(what: &str, error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("{what}: {error}"))
}

/// What a constraint refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Two claims of one person overlap.
    Overlap,
    /// A unique value is there already.
    Unique,
    /// A row that is pointed to is not there.
    ForeignKey,
}

/// The constraint that refused a statement, where one did.
pub(crate) fn violation(error: &sqlx::Error) -> Option<Violation> {
    let database = error.as_database_error()?;
    match database.kind() {
        sqlx::error::ErrorKind::UniqueViolation => Some(Violation::Unique),
        sqlx::error::ErrorKind::ForeignKeyViolation => Some(Violation::ForeignKey),
        _ if database.constraint() == Some(OVERLAP) => Some(Violation::Overlap),
        _ => None,
    }
}

/// The five letters the server gave with an error.
pub(crate) fn sql_state(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(|code| code.into_owned())
}

/// Whether somebody else was in the way, and trying again may help.
pub(crate) fn is_passing(error: &StoreError) -> bool {
    let StoreError::Unavailable(source) = error else { return false };
    let state = source.downcast_ref::<sqlx::Error>().and_then(sql_state);
    state.is_some_and(|state| TRY_AGAIN.contains(&state.as_str()))
}
