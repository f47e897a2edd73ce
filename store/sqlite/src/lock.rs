//! The lock on a data folder: one program at a time serves from it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Name of the lock file in a data folder.
const LOCK_FILE: &str = "agentcal.lock";

/// Why a data folder could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another program serves from it.
    #[error("another agentcal already serves from {folder}; stop it first, or use another data folder")]
    Taken {
        /// The data folder.
        folder: PathBuf,
    },
    /// The lock file could not be made or locked.
    #[error("failed to lock the data folder {folder}")]
    Io {
        /// The data folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A data folder, taken until this is dropped or the process ends, however it ends. Commands that only write a row or two
/// beside a serving program do without it.
#[derive(Debug)]
pub struct DataFolderLock {
    _file: File,
}

impl DataFolderLock {
    /// Takes the folder, which is made if need be.
    pub fn acquire(folder: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { folder: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let path = folder.join(LOCK_FILE);
        let file = File::options().write(true).create(true).truncate(false).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken { folder: folder.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_once_and_free_again_after() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("data");
        let first = DataFolderLock::acquire(&path).expect("nobody else has it");
        assert!(matches!(DataFolderLock::acquire(&path), Err(LockError::Taken { .. })));
        drop(first);
        DataFolderLock::acquire(&path).expect("free again");
    }
}
