//! How deep the requests went: what schemathesis reports, counted.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// Answers by operation and status.
pub(crate) type Depth = BTreeMap<String, BTreeMap<u64, usize>>;

/// Reads a report in lines of JSON.
pub(crate) fn read(report: &Path) -> Depth {
    let text = std::fs::read_to_string(report).expect("a report");
    let mut depth = Depth::new();
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).expect("a line of JSON");
        let recorder = &event["ScenarioFinished"]["recorder"];
        let Some(label) = recorder["label"].as_str() else { continue };
        for interaction in recorder["interactions"].as_object().into_iter().flat_map(|of| of.values()) {
            let status = interaction["response"]["status_code"].as_u64().unwrap_or_default();
            *depth.entry(label.to_owned()).or_default().entry(status).or_default() += 1;
        }
    }
    depth
}

/// Operations that never did what they are for.
pub(crate) fn never_done(depth: &Depth) -> Vec<&str> {
    let is_done = |statuses: &BTreeMap<u64, usize>| statuses.keys().any(|status| (200..300).contains(status));
    depth.iter().filter(|(_, statuses)| !is_done(statuses)).map(|(label, _)| label.as_str()).collect()
}
