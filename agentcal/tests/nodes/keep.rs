//! What is kept of a run for whoever has to find out.

use std::path::{Path, PathBuf};

/// Where it is kept.
pub(crate) fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nodes");
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

/// Keeps something under a name.
pub(crate) fn write(name: &str, text: &str) {
    std::fs::write(folder().join(name), text).expect("the target folder can be written");
}
