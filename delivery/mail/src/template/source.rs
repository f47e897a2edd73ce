//! A template as it is written, and as it is used.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, Value};
use serde::Serialize;

use super::bounded::Bounded;
use super::error::{Part, TemplateError};
use super::{language, mjml};
use crate::notice::NoticeKind;
use crate::sample;
use crate::text::{TITLE_CHARS_MAX, line};

/// Longest part of a template, in bytes.
pub(super) const SOURCE_LEN_MAX: usize = 64 * 1_024;
/// Longest HTML that MJML may become, in bytes.
const COMPILED_LEN_MAX: usize = 512 * 1_024;
/// Longest subject, plain text and HTML that may come out, in bytes.
const SUBJECT_LEN_MAX: usize = 4 * 1_024;
const OUTPUT_LEN_MAX: usize = 256 * 1_024;

/// A template as its author wrote it. A part that is missing is the default one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateSource {
    /// The subject; one line.
    pub subject: Option<String>,
    /// The plain text.
    pub text: Option<String>,
    /// The page.
    pub html: Option<Html>,
}

/// A page as its author wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Html {
    /// As it is sent.
    Plain(String),
    /// In MJML, from which HTML is made.
    Mjml(String),
}

/// A template that was accepted: compiled, and tried on samples.
#[derive(Debug)]
pub struct Template {
    subject: Compiled,
    text: Compiled,
    html: Compiled,
}

/// What a mail says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl Template {
    /// Compiles a template and tries it on samples: in every language, for attendees and hosts, with everything there is
    /// and with nothing that can be missing. Milliseconds; for the largest templates some tenths of a second, so not on a
    /// thread that others wait for.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn compile(kind: NoticeKind, source: &TemplateSource) -> Result<Self, TemplateError> {
        let default = super::default_source();
        let subject = source.subject.as_ref().or(default.subject.as_ref()).expect("the default has every part");
        let text = source.text.as_ref().or(default.text.as_ref()).expect("the default has every part");
        let html = source.html.as_ref().or(default.html.as_ref()).expect("the default has every part");
        let template = Self {
            subject: Compiled::new(Part::Subject, subject, SUBJECT_LEN_MAX)?,
            text: Compiled::new(Part::Text, text, OUTPUT_LEN_MAX)?,
            html: page(kind, html)?,
        };
        for view in sample::views(kind) {
            template.render(&view)?;
        }
        Ok(template)
    }

    /// The letter in which organizations are told of their own affairs. It is nobody's to change.
    pub(super) fn of_reports() -> Result<Self, TemplateError> {
        let page = mjml::compile(include_str!("../../templates/report.mjml"))?;
        Ok(Self {
            subject: Compiled::new(Part::Subject, include_str!("../../templates/report_subject.txt"), SUBJECT_LEN_MAX)?,
            text: Compiled::new(Part::Text, include_str!("../../templates/report.txt"), OUTPUT_LEN_MAX)?,
            html: Compiled::made(Part::Html, page, OUTPUT_LEN_MAX)?,
        })
    }

    /// Renders a notice. A template that was accepted can still fail, on a notice unlike every sample.
    pub(crate) fn render(&self, view: &impl Serialize) -> Result<Rendered, TemplateError> {
        let subject = line(&self.subject.render(view)?, TITLE_CHARS_MAX);
        let text = self.text.render(view)?;
        let html = self.html.render(view)?;
        for (part, content) in [(Part::Subject, &subject), (Part::Text, &text), (Part::Html, &html)] {
            if content.trim().is_empty() {
                return Err(TemplateError::new(part, None, "nothing comes out"));
            }
        }
        Ok(Rendered { subject, text: format!("{}\n", text.trim()), html })
    }
}

/// MJML is tried as it was written, too: only there do the lines of what goes wrong mean anything to its author.
fn page(kind: NoticeKind, html: &Html) -> Result<Compiled, TemplateError> {
    let source = match html {
        Html::Plain(source) => return Compiled::new(Part::Html, source, OUTPUT_LEN_MAX),
        Html::Mjml(source) => source,
    };
    let written = Compiled::new(Part::Html, source, OUTPUT_LEN_MAX)?;
    for view in sample::views(kind) {
        written.render(&view)?;
    }
    let compiled = mjml::compile(source)?;
    if compiled.len() > COMPILED_LEN_MAX {
        let reason = format!("the MJML becomes more than {COMPILED_LEN_MAX} bytes of HTML");
        return Err(TemplateError::new(Part::Html, None, reason));
    }
    Compiled::made(Part::Html, compiled, OUTPUT_LEN_MAX).map_err(|error| without_line(&error))
}

/// Lines of HTML that was made from MJML mean nothing to anybody.
fn without_line(error: &TemplateError) -> TemplateError {
    TemplateError::new(error.part, None, format!("in the HTML made from the MJML: {}", error.reason))
}

/// One part, ready to be rendered.
#[derive(Debug)]
struct Compiled {
    part: Part,
    environment: Environment<'static>,
    output_len_max: usize,
}

/// What a part is called inside its environment.
const NAME: &str = "part";

impl Compiled {
    fn new(part: Part, source: &str, output_len_max: usize) -> Result<Self, TemplateError> {
        if source.len() > SOURCE_LEN_MAX {
            return Err(TemplateError::new(part, None, format!("more than {SOURCE_LEN_MAX} bytes")));
        }
        Self::made(part, source.to_owned(), output_len_max)
    }

    fn made(part: Part, source: String, output_len_max: usize) -> Result<Self, TemplateError> {
        language::check(part, &source)?;
        let escape = if part == Part::Html { AutoEscape::Html } else { AutoEscape::None };
        let mut environment = language::environment(escape);
        environment.add_template_owned(NAME, source).map_err(|error| TemplateError::of(part, &error))?;
        Ok(Self { part, environment, output_len_max })
    }

    fn render(&self, view: &impl Serialize) -> Result<String, TemplateError> {
        let mut output = Bounded::new(self.output_len_max);
        let template = self.environment.get_template(NAME).expect("it was added when this was made");
        let rendered = template.render_captured_to(Value::from(Serde(view)), &mut output);
        rendered.map_err(|error| self.explained(&error))?;
        Ok(output.into_text())
    }

    fn explained(&self, error: &minijinja::Error) -> TemplateError {
        match error.kind() {
            ErrorKind::OutOfFuel => TemplateError::new(self.part, error.line(), "it takes too many steps"),
            ErrorKind::WriteFailure => {
                let reason = format!("more than {} bytes come out", self.output_len_max);
                TemplateError::new(self.part, error.line(), reason)
            }
            _ => TemplateError::of(self.part, error),
        }
    }
}
