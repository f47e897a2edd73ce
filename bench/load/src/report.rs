//! What was measured, as a table for people and as JSON for programs.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use crate::data;
use crate::summary::Summary;

/// How a ratio must lie to its target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// One figure.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) value: Summary,
    pub(crate) unit: &'static str,
    /// What it is compared with.
    pub(crate) ceiling: Option<Summary>,
    pub(crate) target: Option<Target>,
}

/// A row as programs read it.
#[derive(Debug, Serialize)]
struct RowJson {
    name: &'static str,
    value: f64,
    unit: &'static str,
    ceiling: Option<f64>,
    ratio: Option<f64>,
    target: Option<f64>,
    holds: bool,
}

impl Row {
    /// The value by what it is compared with, medians both.
    pub(crate) fn ratio(&self) -> Option<f64> {
        self.ceiling.as_ref().map(|ceiling| self.value.median / ceiling.median)
    }

    /// Whether the target is met; a row without one has nothing to meet.
    pub(crate) fn holds(&self) -> bool {
        match (self.target, self.ratio()) {
            (Some(Target::AtLeast(target)), Some(ratio)) => ratio >= target,
            (Some(Target::AtMost(target)), Some(ratio)) => ratio <= target,
            (Some(_), None) => false,
            (None, _) => true,
        }
    }

    fn to_json(&self) -> RowJson {
        RowJson {
            name: self.name,
            value: self.value.median,
            unit: self.unit,
            ceiling: self.ceiling.as_ref().map(|ceiling| ceiling.median),
            ratio: self.ratio(),
            target: self.target.map(|target| match target {
                Target::AtLeast(target) | Target::AtMost(target) => target,
            }),
            holds: self.holds(),
        }
    }
}

/// All figures of a run.
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// Whether every target is met.
    pub(crate) fn holds(&self) -> bool {
        self.rows.iter().all(Row::holds)
    }

    /// As programs read it.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "data_set": data::NAME, "cores": cores(), "rows": self.rows.iter().map(Row::to_json).collect::<Vec<_>>() })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "data set {}, {} cores", data::NAME, cores())?;
        writeln!(
            f,
            "{:<34} {:>10} {:<11} {:>19} {:>10} {:>6} {:>8}  holds",
            "name", "value", "unit", "min..max", "ceiling", "ratio", "target"
        )?;
        for row in &self.rows {
            let target = row.target.map(|target| match target {
                Target::AtLeast(target) => format!(">= {target:.2}"),
                Target::AtMost(target) => format!("<= {target:.2}"),
            });
            let verdict = match (row.target, row.holds()) {
                (None, _) => "",
                (Some(_), true) => "yes",
                (Some(_), false) => "NO",
            };
            writeln!(
                f,
                "{:<34} {:>10.1} {:<11} {:>19} {:>10} {:>6} {:>8}  {verdict}",
                row.name,
                row.value.median,
                row.unit,
                format!("{:.1}..{:.1}", row.value.min, row.value.max),
                row.ceiling.as_ref().map(|ceiling| format!("{:.1}", ceiling.median)).unwrap_or_default(),
                row.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
                target.unwrap_or_default(),
            )?;
        }
        Ok(())
    }
}

/// Cores that program and client share.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn targets_have_a_direction() {
    let check = |value: f64, target: Option<Target>, expected: bool| {
        let of = |value: f64| Summary::of(vec![value]).expect("one value");
        let row = Row { name: "row", value: of(value), unit: "", ceiling: Some(of(10.0)), target };
        assert_eq!(row.holds(), expected, "{value} {target:?}");
    };
    check(5.0, Some(Target::AtLeast(0.5)), true);
    check(4.9, Some(Target::AtLeast(0.5)), false);
    check(12.0, Some(Target::AtMost(1.2)), true);
    check(12.1, Some(Target::AtMost(1.2)), false);
    check(0.0, None, true);
}
