//! What several runs come to.

use std::fmt;

/// Median, least and greatest of several values of one unit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// `None` for no values.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
        Some(Self { median, min, max })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "median {:>7.1}  min {:>7.1}  max {:>7.1}", self.median, self.min, self.max)
    }
}

#[test]
fn the_median_stands_in_the_middle() {
    let check = |values: &[f64], expected: Option<(f64, f64, f64)>| {
        let expected = expected.map(|(median, min, max)| Summary { median, min, max });
        assert_eq!(Summary::of(values.to_vec()), expected, "{values:?}");
    };
    check(&[], None);
    check(&[3.0], Some((3.0, 3.0, 3.0)));
    check(&[3.0, 1.0, 2.0], Some((2.0, 1.0, 3.0)));
    check(&[4.0, 1.0, 2.0, 3.0], Some((2.5, 1.0, 4.0)));
}
