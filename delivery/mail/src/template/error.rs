//! What is wrong with a template.

use std::fmt;

use thiserror::Error;

/// A part of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The subject line.
    Subject,
    /// The plain text.
    Text,
    /// The HTML page, or the MJML it is made from.
    Html,
}

impl Part {
    /// Its name in routes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Text => "text",
            Self::Html => "html",
        }
    }
}

/// Why a template is refused, for its author.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct TemplateError {
    /// The part that is wrong.
    pub part: Part,
    /// The line in it, counted from 1, where one line is to blame.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub reason: String,
}

impl TemplateError {
    pub(crate) fn new(part: Part, line: Option<usize>, reason: impl Into<String>) -> Self {
        Self { part, line, reason: reason.into() }
    }

    pub(super) fn of(part: Part, error: &minijinja::Error) -> Self {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
        Self::new(part, error.line(), format!("{}{detail}{cause}", error.kind()))
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.part.name())?;
        if let Some(line) = self.line {
            write!(formatter, ", line {line}")?;
        }
        write!(formatter, ": {}", self.reason)
    }
}
