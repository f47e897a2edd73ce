//! Samples of one thing, round by round.

use crate::drive::Sample;
use crate::summary::Summary;

/// Samples of one thing.
#[derive(Debug, Default)]
pub(crate) struct Series(Vec<Sample>);

impl Series {
    pub(crate) fn push(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    /// A figure of every sample, summed up.
    pub(crate) fn of(&self, figure: impl Fn(&Sample) -> f64) -> Result<Summary, String> {
        Summary::of(self.0.iter().map(figure).collect()).ok_or_else(|| "nothing was measured".to_owned())
    }
}
