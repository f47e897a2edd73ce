//! Query parameters, which may repeat, and are refused where they make no sense.

use chrono::{DateTime, Utc};

use crate::refusal::Refusal;

/// Query parameters in the order they came in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(pub(crate) Vec<(String, String)>);

impl Params {
    pub(crate) fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The same without one of them.
    pub(crate) fn without(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(found, _)| found != name).cloned().collect())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some("true" | "True" | "1") => Ok(Some(true)),
            Some("false" | "False" | "0") => Ok(Some(false)),
            Some(other) => Err(Refusal::invalid(format!("Invalid boolean value: '{other}'."))),
        }
    }

    pub(crate) fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let read = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
        read.map(Some).ok_or_else(|| Refusal::new(400, "global", "badRequest", "Bad Request"))
    }

    /// How many items a page has, at most.
    pub(crate) fn page_len(&self, default: usize, len_max: usize) -> Result<usize, Refusal> {
        match self.get("maxResults") {
            None => Ok(default),
            Some(text) => match text.parse::<usize>() {
                Ok(len) if len > 0 => Ok(len.min(len_max)),
                _ => Err(Refusal::invalid(format!("Invalid value '{text}' for maxResults."))),
            },
        }
    }
}
