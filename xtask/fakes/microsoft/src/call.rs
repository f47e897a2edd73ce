//! A request, taken apart.

use serde_json::Value;

use crate::reply::{Reply, bad_request};

/// Marks an id that an event keeps wherever it is moved, and one it does not.
const IMMUTABLE: &str = "AAkA";
const MOVABLE: &str = "AAMk";

/// A request to Graph, alone or inside a batch.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// Path below the version, decoded, without the parts that lead to the mailbox.
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) prefer: Prefer,
    pub(crate) if_match: Option<String>,
    pub(crate) body: Value,
    /// Whose mailbox it is about.
    pub(crate) address: String,
    /// The base URL, version included.
    pub(crate) base: String,
    /// The path as it was asked for, for links to further pages.
    pub(crate) asked: String,
}

/// What the caller prefers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prefer {
    pub(crate) immutable_ids: bool,
    pub(crate) timezone: String,
    pub(crate) page_len: Option<usize>,
}

impl Prefer {
    pub(crate) fn of(text: &str) -> Self {
        let mut prefer = Self { immutable_ids: false, timezone: "UTC".to_owned(), page_len: None };
        for part in text.split(',') {
            let Some((name, value)) = part.trim().split_once('=') else { continue };
            let value = value.trim_matches('"');
            match name.to_ascii_lowercase().as_str() {
                "idtype" => prefer.immutable_ids = value.eq_ignore_ascii_case("ImmutableId"),
                "outlook.timezone" => prefer.timezone = value.to_owned(),
                "odata.maxpagesize" => prefer.page_len = value.parse().ok(),
                _ => {}
            }
        }
        prefer
    }
}

impl Call {
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, Reply> {
        let missing = || {
            bad_request("ErrorInvalidParameter", &format!("This request requires a time window: {name} is missing."))
        };
        self.parameter(name).ok_or_else(missing)
    }

    /// How an id is shown to this caller.
    pub(crate) fn shown(&self, id: &str) -> String {
        let mark = if self.prefer.immutable_ids { IMMUTABLE } else { MOVABLE };
        format!("{mark}{id}")
    }

    /// Keeps what was asked for of an object.
    pub(crate) fn selected(&self, object: Value) -> Value {
        let (Some(select), Value::Object(fields)) = (self.parameter("$select"), &object) else { return object };
        let wanted: Vec<&str> = select.split(',').map(str::trim).collect();
        let kept = |name: &str| name == "id" || name.starts_with('@') || wanted.contains(&name);
        let kept = fields.iter().filter(|(name, _)| kept(name)).map(|(name, value)| (name.clone(), value.clone()));
        Value::Object(kept.collect())
    }

    /// A page of objects, and the link to the next one.
    pub(crate) fn page(&self, objects: Vec<Value>, page_len: usize) -> Value {
        let skip = self.parameter("$skip").and_then(|skip| skip.parse::<usize>().ok()).unwrap_or(0);
        let asked = self.parameter("$top").and_then(|top| top.parse::<usize>().ok()).or(self.prefer.page_len);
        let len = asked.unwrap_or(page_len).clamp(1, 1_000);
        let more = objects.len() > skip + len;
        let kept: Vec<Value> = objects.into_iter().skip(skip).take(len).map(|object| self.selected(object)).collect();
        let mut page = serde_json::json!({ "@odata.context": format!("{}/$metadata", self.base), "value": kept });
        if more {
            page["@odata.nextLink"] = Value::String(self.link("$skip", &(skip + len).to_string()));
        }
        page
    }

    fn link(&self, name: &str, value: &str) -> String {
        let mut url = url::Url::parse(&format!("{}{}", self.base, self.asked)).expect("a path that was asked for");
        let others = self.query.iter().filter(|(found, _)| !found.eq_ignore_ascii_case(name));
        url.query_pairs_mut().extend_pairs(others).append_pair(name, value);
        url.into()
    }
}

/// An id without its mark.
pub(crate) fn plain_id(id: &str) -> &str {
    id.strip_prefix(IMMUTABLE).or_else(|| id.strip_prefix(MOVABLE)).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_read() {
        let check = |text: &str, immutable_ids: bool, timezone: &str, page_len: Option<usize>| {
            let expected = Prefer { immutable_ids, timezone: timezone.to_owned(), page_len };
            assert_eq!(Prefer::of(text), expected, "{text}");
        };
        check("", false, "UTC", None);
        check(
            "IdType=\"ImmutableId\", outlook.timezone=\"Pacific Standard Time\"",
            true,
            "Pacific Standard Time",
            None,
        );
        check("odata.maxpagesize=7,return=minimal", false, "UTC", Some(7));
        check("idtype=\"immutableid\"", true, "UTC", None);
    }
}
