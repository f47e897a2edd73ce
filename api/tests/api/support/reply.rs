//! What came back.

use std::fmt::Write;

use http::HeaderMap;
use serde_json::Value;

/// An answer, read whole.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub(crate) fn at(&self, pointer: &str) -> Value {
        self.json().pointer(pointer).cloned().unwrap_or(Value::Null)
    }

    /// The text at a place that must have one.
    pub(crate) fn text_at(&self, pointer: &str) -> String {
        self.at(pointer).as_str().unwrap_or_else(|| panic!("no text at {pointer} of {}", self.shown())).to_owned()
    }

    pub(crate) fn id(&self) -> String {
        self.text_at("/id")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The answer, once it has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Status and body, ids replaced by their kind and number of first appearance.
    pub(crate) fn shown(&self) -> String {
        let body = match self.json() {
            Value::Null => self.text.clone(),
            json => serde_json::to_string_pretty(&json).expect("json can be written"),
        };
        format!("{}\n{}", self.status, number_ids(&without_tokens(&body)))
    }

    /// A refusal in one line: status, code, and each field at fault with its code.
    pub(crate) fn problem(&self) -> String {
        let mut line = format!("{} {}", self.status, self.text_at("/code"));
        for error in self.at("/errors").as_array().into_iter().flatten() {
            let (field, code) = (error["field"].as_str(), error["code"].as_str());
            write!(line, " {}:{}", field.unwrap_or("?"), code.unwrap_or("?")).expect("a string takes all");
        }
        line
    }

    /// Whether a refusal names this field, or something inside it.
    pub(crate) fn names(&self, field: &str) -> bool {
        let errors = self.at("/errors");
        let mut named = errors.as_array().into_iter().flatten().filter_map(|error| error["field"].as_str());
        let is_inside =
            |name: &str| name.strip_prefix(field).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
        named.any(is_inside)
    }

    /// The answer without what differs between two of the same.
    pub(crate) fn without_request_id(&self) -> (u16, Value) {
        let mut body = self.json();
        if let Some(members) = body.as_object_mut() {
            members.remove("request_id");
        }
        (self.status, body)
    }

    /// Panics unless this is a whole problem document.
    #[track_caller]
    pub(crate) fn assert_is_problem(&self) {
        let shown = self.shown();
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{shown}");
        assert_eq!(self.at("/status"), self.status, "{shown}");
        assert_eq!(self.header("x-request-id"), Some(self.text_at("/request_id").as_str()), "{shown}");
        assert_eq!(self.text_at("/type"), format!("urn:agentcal:problem:{}", self.text_at("/code")), "{shown}");
        assert!(!self.text_at("/title").is_empty() && !self.text_at("/detail").is_empty(), "{shown}");
        assert!(self.at("/errors").is_array(), "{shown}");
    }
}

/// Signed links differ with the keys of the run.
fn without_tokens(text: &str) -> String {
    let mut parts = text.split("/manage/");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("/manage/..");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-_".contains(c)));
    }
    out
}

fn number_ids(text: &str) -> String {
    let mut seen: Vec<String> = Vec::new();
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('_') {
        let prefix_at = rest[..start].rfind(|c: char| !c.is_ascii_lowercase()).map_or(0, |at| at + 1);
        let is_offer = &rest[prefix_at..start] == "slot";
        let is_of_id = |c: &char| c.is_ascii_alphanumeric() || is_offer && matches!(c, '-' | '_');
        let suffix: String = rest[start + 1..].chars().take_while(is_of_id).collect();
        let end = start + 1 + suffix.len();
        if suffix.len() == 26 || is_offer && suffix.len() > 26 {
            let id = rest[prefix_at..end].to_owned();
            let number = seen.iter().position(|known| *known == id).unwrap_or_else(|| {
                seen.push(id.clone());
                seen.len() - 1
            });
            out.push_str(&rest[..start]);
            write!(out, "_{}", number + 1).expect("a string takes all");
        } else {
            out.push_str(&rest[..end]);
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}
