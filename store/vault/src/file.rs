//! A key ring in a file of its own, for installations that bring no keys.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use agentcal_engine::ports::Entropy;
use zeroize::Zeroizing;

use crate::keyring::{KeyRing, KeyRingError};

/// Id of the key a new file is made with.
const FIRST_KEY_ID: &str = "local-1";

/// Why a key file did not serve.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It could not be read or made.
    #[error("failed to use the key file {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What it holds is not a key ring.
    #[error("the key file {path} is not a key ring")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyRingError,
    },
}

impl KeyRing {
    /// The ring in the file; when there is no file, a new ring, first made durable in a file only its owner can read.
    /// Of two processes that start together one makes the file and both use it.
    pub fn load_or_create(path: &Path, entropy: &dyn Entropy) -> Result<Self, KeyFileError> {
        let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
        match fs::read_to_string(path).map(Zeroizing::new) {
            Ok(text) => parse(path, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(path, entropy).map_err(failed)?;
                let text = fs::read_to_string(path).map(Zeroizing::new).map_err(failed)?;
                parse(path, &text)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

fn parse(path: &Path, text: &str) -> Result<KeyRing, KeyFileError> {
    KeyRing::parse(text).map_err(|source| KeyFileError::Content { path: path.to_owned(), source })
}

/// Writes the whole file beside its place and links it there, which fails when another process was first.
fn create(path: &Path, entropy: &dyn Entropy) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let linked = write_draft(&draft, entropy).and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => removed?,
    }
    sync_folder(folder)
}

fn write_draft(draft: &Path, entropy: &dyn Entropy) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(draft)?;
    file.write_all(KeyRing::generate(FIRST_KEY_ID, entropy).to_secret_text().as_bytes())?;
    file.sync_all()
}

/// A file's name is durable once its folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::tests::Counting;

    #[test]
    fn the_file_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("deeper/keys");
        let entropy = Counting::default();
        let first = KeyRing::load_or_create(&path, &entropy).expect("made");
        let second = KeyRing::load_or_create(&path, &entropy).expect("read");
        assert_eq!(first.to_secret_text(), second.to_secret_text());
        let left_over: Vec<_> = fs::read_dir(folder.path().join("deeper")).expect("a folder").collect();
        assert_eq!(left_over.len(), 1, "{left_over:?}");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_the_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("keys");
        KeyRing::load_or_create(&path, &Counting::default()).expect("made");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_broken_file_is_refused_and_kept() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("keys");
        fs::write(&path, "local-1:AAAA").expect("written");
        let error = KeyRing::load_or_create(&path, &Counting::default()).expect_err("not a ring");
        assert!(matches!(error, KeyFileError::Content { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("still there"), "local-1:AAAA");
    }
}
