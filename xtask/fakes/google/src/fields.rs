//! Partial responses: what `fields=items(id,start/date),nextPageToken` leaves of an answer.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::refusal::Refusal;

/// Deepest selection that is read.
const DEPTH_MAX: usize = 16;

/// What is wanted of an object; nothing named means all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection(BTreeMap<String, Selection>);

impl Selection {
    /// Reads a selection.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let mut rest = text;
        let selection = Self::parse_list(&mut rest, 0)?;
        if rest.is_empty() { Ok(selection) } else { Err(bad(text)) }
    }

    fn parse_list(rest: &mut &str, depth: usize) -> Result<Self, Refusal> {
        let mut selection = Self::default();
        loop {
            Self::parse_path(rest, depth, &mut selection)?;
            match rest.strip_prefix(',') {
                Some(after) => *rest = after,
                None => return Ok(selection),
            }
        }
    }

    fn parse_path(rest: &mut &str, depth: usize, into: &mut Self) -> Result<(), Refusal> {
        let end = rest.find([',', '/', '(', ')']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() || depth > DEPTH_MAX {
            return Err(bad(rest));
        }
        *rest = after;
        let inner = into.0.entry(name.to_owned()).or_default();
        if let Some(after) = rest.strip_prefix('/') {
            *rest = after;
            return Self::parse_path(rest, depth + 1, inner);
        }
        if let Some(after) = rest.strip_prefix('(') {
            *rest = after;
            inner.0.extend(Self::parse_list(rest, depth + 1)?.0);
            *rest = rest.strip_prefix(')').ok_or_else(|| bad(rest))?;
        }
        Ok(())
    }

    /// What is left of an answer.
    pub(crate) fn apply(&self, value: &mut Value) {
        if self.0.is_empty() || self.0.contains_key("*") {
            return;
        }
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.apply(item)),
            Value::Object(object) => {
                object.retain(|name, _| self.0.contains_key(name));
                for (name, inner) in &self.0 {
                    if let Some(value) = object.get_mut(name) {
                        inner.apply(value);
                    }
                }
            }
            _ => {}
        }
    }
}

fn bad(text: &str) -> Refusal {
    Refusal::new(400, "global", "invalidParameter", format!("Invalid field selection {text}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_selection_leaves_what_it_names() {
        let check = |fields: &str, expected: Value| {
            let mut value =
                json!({"a": 1, "b": {"c": 2, "d": {"e": 3, "f": 4}}, "items": [{"a": 1, "b": 2}, {"b": 3}]});
            Selection::parse(fields).expect("a selection").apply(&mut value);
            assert_eq!(value, expected, "{fields}");
        };
        check("a", json!({"a": 1}));
        check("items(b)", json!({"items": [{"b": 2}, {"b": 3}]}));
        check("a,items/a", json!({"a": 1, "items": [{"a": 1}, {}]}));
        check("b(c,d/f)", json!({"b": {"c": 2, "d": {"f": 4}}}));
        check("b/d,nothing", json!({"b": {"d": {"e": 3, "f": 4}}}));
    }

    #[test]
    fn what_is_no_selection_is_refused() {
        for text in ["", "a,", "a(", "a(b", "a)", "(a)", "a//b"] {
            assert!(Selection::parse(text).is_err(), "{text}");
        }
    }
}
