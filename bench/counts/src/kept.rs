//! The counts that are kept, and how new ones compare with them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::workload::Workload;

/// How many hundredths of a kept count a new one may differ. Compilers of one version and processors of one family differ by
/// less.
pub(crate) const TOLERANCE_PERCENT: u64 = 5;

const HEADER: &str = "\
# Instructions per unit, as callgrind counts them in an optimised build. A test fails when one grows by more than a
# twentieth. `cargo xtask counts --update` writes this file anew.

";

/// The file of counts.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    /// By the name of the workload.
    pub(crate) instructions: BTreeMap<String, u64>,
}

/// How a count compares with the one that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Within the tolerance.
    Same,
    /// So much more that somebody should say why.
    Worse,
    /// So much less that the file should be written anew, or it guards nothing.
    Better,
    /// Nothing is kept to compare with.
    New,
}

impl Kept {
    /// Reads the file.
    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        toml::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Writes the file.
    pub(crate) fn write(&self, file: &Path) -> Result<(), String> {
        let text = toml::to_string(self).map_err(|error| error.to_string())?;
        std::fs::write(file, format!("{HEADER}{text}")).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// How a count compares.
    pub(crate) fn judge(&self, workload: Workload, count: u64) -> Verdict {
        let Some(&kept) = self.instructions.get(workload.name()) else { return Verdict::New };
        let tolerated = kept * TOLERANCE_PERCENT / 100;
        if count > kept + tolerated {
            Verdict::Worse
        } else if count < kept - tolerated {
            Verdict::Better
        } else {
            Verdict::Same
        }
    }
}

impl Verdict {
    /// In words for a table.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Same => "",
            Self::Worse => "MORE THAN BEFORE",
            Self::Better => "less than before; write the file anew with `cargo xtask counts --update`",
            Self::New => "NEW; write the file anew with `cargo xtask counts --update`",
        }
    }

    /// Whether this is no reason to fail.
    pub(crate) fn is_acceptable(self) -> bool {
        matches!(self, Self::Same | Self::Better)
    }
}

#[test]
fn counts_are_compared_with_a_tolerance() {
    let kept = Kept { instructions: BTreeMap::from([("warm_request".to_owned(), 1_000)]) };
    let check = |workload, count, expected| assert_eq!(kept.judge(workload, count), expected, "{count}");
    check(Workload::WarmRequest, 1_000, Verdict::Same);
    check(Workload::WarmRequest, 1_050, Verdict::Same);
    check(Workload::WarmRequest, 1_051, Verdict::Worse);
    check(Workload::WarmRequest, 950, Verdict::Same);
    check(Workload::WarmRequest, 949, Verdict::Better);
    check(Workload::RuleWindow, 1, Verdict::New);
}
