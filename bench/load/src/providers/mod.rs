//! How it gets along with Google and Microsoft, which are fakes in this process: how soon what they ring for is known, what a
//! first sync takes, and whether they are ever asked too often.

mod connected;
mod first_sync;
mod fresh;
mod stage;
mod vendors;

use std::path::Path;

use crate::progress::Progress;
use crate::report::Row;
use crate::run::Effort;

pub(crate) use connected::measure as measure_connected;

/// Notifications, and first syncs.
pub(crate) fn measure(binary: &Path, effort: Effort, progress: &Progress) -> Result<Vec<Row>, String> {
    let mut rows = fresh::measure(binary, effort, progress)?;
    rows.extend(first_sync::measure(binary, effort, progress)?);
    Ok(rows)
}

/// Steps of [`measure`] and of [`measure_connected`].
pub(crate) fn steps(rounds: u64) -> [u64; 2] {
    [2 + 4 * rounds, 3]
}
