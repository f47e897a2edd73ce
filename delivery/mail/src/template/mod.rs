//! What mails look like: templates of organizations and accounts over the default ones.
//!
//! A template has three parts, a subject, a plain text and an HTML page, the last as MJML if its author likes. Each may be
//! missing; then the default one stands in. They are written in a small part of Jinja (see [`language`]), compiled and
//! tried on samples before they are accepted, and bounded when they are rendered.

mod bounded;
mod error;
mod language;
mod mjml;
mod set;
mod source;

pub use error::{Part, TemplateError};
pub use set::{Templates, default_source};
pub use source::{Html, Template, TemplateSource};

pub(crate) use set::render_report;
pub(crate) use source::Rendered;
