//! From driver errors to the port's.

use agentcal_engine::ports::StoreError;
use agentcal_store_vault::VaultError;

/// The message of both overlap triggers.
const OVERLAP: &str = "claims_no_overlap";

/// There is no room: for the file, or for the memory that connections share, which is a file beside it.
const NO_ROOM: [i32; 2] = [13, SHARED_MEMORY_SIZE];
const SHARED_MEMORY_SIZE: i32 = 10 | 19 << 8;
/// The file, or its disk, takes no writes.
const READ_ONLY: i32 = 8;

/// A shorthand of this crate.
pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

/// What the driver's error means to a caller of the port.
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
            StoreError::Corrupt(error.to_string())
        }
        other => StoreError::Unavailable(Box::new(other)),
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
        _ if database.message() == OVERLAP => Some(Violation::Overlap),
        _ => None,
    }
}

/// Whether the disk is full, or the file may not grow.
pub(crate) fn lacks_room(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| NO_ROOM.contains(&code))
}

/// Whether nothing may be written; the upper bits say why.
pub(crate) fn is_read_only(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code & 0xff == READ_ONLY)
}

/// The engine's extended code.
fn code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}
