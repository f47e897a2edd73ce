//! Whether anybody wrote as the owner of what was another's.

use crate::report::Report;
use crate::{Final, Violation};

pub(crate) fn check(finale: &Final, report: &mut Report) {
    let found = finale.superseded.iter().map(|row| Violation::WrittenBySuperseded {
        what: row.what.clone(),
        writer: row.writer.clone(),
        epoch: row.epoch,
        at: row.at,
    });
    report.violations.extend(found);
}
