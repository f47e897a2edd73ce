//! Templates and branding as callers send and see them.

use agentcal_engine::model::{MailBranding, MailKind, MailLanguage, MailPage, MailRole, MailTemplate};
use agentcal_engine::ports::{MailFault, MailPart};
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use crate::checks::Checks;
use crate::error::{ApiError, Code, FieldCode, FieldError};
use crate::parts::MailSettings;

/// Longest source of a subject, in characters.
const SUBJECT_LEN_MAX: usize = 2_000;
/// Longest source of another part, in characters: what a request has room for.
const PART_LEN_MAX: usize = 60_000;
/// Longest name of who sends, in characters.
const ORGANIZATION_NAME_LEN_MAX: usize = 120;
/// Longest address of a picture.
const LOGO_URL_LEN_MAX: usize = 2_048;

/// A template, as its author writes it. A part that is null or left out is the default one.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MailTemplateSource)]
pub(super) struct TemplateBody {
    /// The subject; one line comes out.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 2000, example = "{{ title }}, {{ when.short }}")]
    subject: Option<String>,
    /// The plain text.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 60000, example = "{{ greeting }}\n\n{{ intro }}\n\n{{ when.text }}")]
    text: Option<String>,
    /// The HTML page.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 60000, example = "<p>{{ intro }}</p>")]
    html: Option<String>,
    /// MJML, of which the HTML page is made; instead of `html`.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 60000)]
    mjml: Option<String>,
}

impl TemplateBody {
    /// The template, if it can be used. `at`: what stands before the names of fields.
    pub(super) async fn read(&self, mail: &MailSettings, kind: MailKind, at: &str) -> Result<MailTemplate, ApiError> {
        let template = self.parsed(at)?;
        let checked = mail.press.check_template(kind, &template).await;
        checked.map_err(|fault| of_fault(fault, &template, at))?;
        Ok(template)
    }

    fn parsed(&self, at: &str) -> Result<MailTemplate, ApiError> {
        let mut checks = Checks::default();
        let parts = [("subject", &self.subject), ("text", &self.text), ("html", &self.html), ("mjml", &self.mjml)];
        for (name, source) in parts {
            let len_max = if name == "subject" { SUBJECT_LEN_MAX } else { PART_LEN_MAX };
            if let Some(source) = source {
                check_source(&mut checks, &format!("{at}{name}"), source, len_max);
            }
        }
        if self.html.is_some() && self.mjml.is_some() {
            checks.refuse(&format!("{at}mjml"), FieldCode::NotTogether, "cannot be sent together with `html`");
        }
        checks.finish()?;
        let html = self.html.clone().map(MailPage::Html);
        let page = html.or_else(|| self.mjml.clone().map(MailPage::Mjml));
        Ok(MailTemplate { subject: self.subject.clone(), text: self.text.clone(), page })
    }
}

fn check_source(checks: &mut Checks, field: &str, source: &str, len_max: usize) {
    if source.trim().is_empty() {
        checks.refuse(field, FieldCode::TooShort, "must not be empty; leave it out for the default one");
    } else if source.chars().count() > len_max {
        checks.refuse(field, FieldCode::TooLong, format!("must have at most {len_max} characters"));
    } else if source.contains('\0') {
        checks.refuse(field, FieldCode::InvalidFormat, "must not contain the character U+0000");
    }
}

/// Why a template is refused: the part its author wrote, the line in it, and what is wrong there.
pub(super) fn of_fault(fault: MailFault, template: &MailTemplate, at: &str) -> ApiError {
    let name = match (fault.part, &template.page) {
        (MailPart::Subject, _) => "subject",
        (MailPart::Text, _) => "text",
        (MailPart::Page, Some(MailPage::Mjml(_))) => "mjml",
        (MailPart::Page, _) => "html",
    };
    let detail = match fault.line {
        Some(line) => format!("cannot be used: line {line}: {}", fault.reason),
        None => format!("cannot be used: {}", fault.reason),
    };
    let error = FieldError::new(format!("{at}{name}"), FieldCode::InvalidTemplate, detail);
    ApiError::of_fields(Code::ValidationFailed, vec![error.at_line(fault.line)])
}

/// What a mail tells of.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MailKind)]
pub(super) enum KindWire {
    /// A booking was made.
    Confirmation,
    /// It was moved.
    Reschedule,
    /// It was cancelled.
    Cancellation,
    /// It begins soon.
    Reminder,
}

impl From<MailKind> for KindWire {
    fn from(kind: MailKind) -> Self {
        match kind {
            MailKind::Confirmation => Self::Confirmation,
            MailKind::Reschedule => Self::Reschedule,
            MailKind::Cancellation => Self::Cancellation,
            MailKind::Reminder => Self::Reminder,
        }
    }
}

/// Whose a template is.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MailTemplateOrigin)]
pub(super) enum OriginWire {
    /// The account's.
    Account,
    /// Its organization's.
    Organization,
    /// Nobody's: what is used where there is no other.
    Default,
}

/// A template that applies.
#[derive(Serialize, ToSchema)]
#[schema(as = MailTemplate)]
pub(super) struct TemplateView {
    /// For mails of this kind.
    kind: KindWire,
    /// Whose it is.
    origin: OriginWire,
    /// The subject; null: the default one.
    #[schema(required = true)]
    subject: Option<String>,
    /// The plain text; null: the default one.
    #[schema(required = true)]
    text: Option<String>,
    /// The HTML page; null: made of `mjml`, or, where that is null too, the default one.
    #[schema(required = true)]
    html: Option<String>,
    /// The MJML the page is made of.
    #[schema(required = true)]
    mjml: Option<String>,
}

impl TemplateView {
    pub(super) fn of(kind: MailKind, origin: OriginWire, template: MailTemplate) -> Self {
        let (html, mjml) = match template.page {
            None => (None, None),
            Some(MailPage::Html(source)) => (Some(source), None),
            Some(MailPage::Mjml(source)) => (None, Some(source)),
        };
        Self { kind: kind.into(), origin, subject: template.subject, text: template.text, html, mjml }
    }
}

/// A language mails are written in.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MailLanguage)]
pub(super) enum LanguageWire {
    /// English.
    En,
    /// German.
    De,
}

impl From<LanguageWire> for MailLanguage {
    fn from(wire: LanguageWire) -> Self {
        match wire {
            LanguageWire::En => Self::English,
            LanguageWire::De => Self::German,
        }
    }
}

impl From<MailLanguage> for LanguageWire {
    fn from(language: MailLanguage) -> Self {
        match language {
            MailLanguage::English => Self::En,
            MailLanguage::German => Self::De,
        }
    }
}

/// Who reads a mail.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MailReader)]
pub(super) enum ReaderWire {
    /// Who booked.
    Attendee,
    /// Who hosts.
    Host,
}

impl From<ReaderWire> for MailRole {
    fn from(wire: ReaderWire) -> Self {
        match wire {
            ReaderWire::Attendee => Self::Attendee,
            ReaderWire::Host => Self::Host,
        }
    }
}

/// How mails are presented. What is null or left out is the organization's, for an account; else it is as each field says.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MailBranding)]
pub(super) struct BrandingBody {
    /// Who sends: the name beside the address, and in the foot. Else the account's name.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 120, example = "Harbour Dental")]
    organization_name: Option<String>,
    /// A picture at an `https` address. Else none.
    #[serde(default)]
    #[schema(max_length = 2048, format = "uri", example = "https://example.com/logo.png")]
    logo_url: Option<String>,
    /// The colour of buttons and links; where it could not be read it is darkened or lightened. Else a blue.
    #[serde(default)]
    #[schema(pattern = "^#[0-9a-fA-F]{6}$", example = "#0b4fc4")]
    accent_color: Option<String>,
    /// The language of what is written by nobody else. Else English.
    #[serde(default)]
    language: Option<LanguageWire>,
}

impl BrandingBody {
    pub(super) fn read(&self) -> Result<MailBranding, ApiError> {
        let mut checks = Checks::default();
        if let Some(name) = &self.organization_name {
            checks.text("organization_name", name, ORGANIZATION_NAME_LEN_MAX);
        }
        if let Some(refusal) = self.logo_url.as_deref().and_then(refused_logo) {
            checks.refuse("logo_url", FieldCode::InvalidFormat, refusal);
        }
        if self.accent_color.as_deref().is_some_and(|text| !is_color(text)) {
            checks.refuse("accent_color", FieldCode::InvalidFormat, "must be a colour like `#0b4fc4`");
        }
        checks.finish()?;
        Ok(MailBranding {
            organization_name: self.organization_name.clone(),
            logo_url: self.logo_url.clone(),
            accent_color: self.accent_color.clone(),
            language: self.language.map(MailLanguage::from),
        })
    }
}

impl From<MailBranding> for BrandingBody {
    fn from(branding: MailBranding) -> Self {
        Self {
            organization_name: branding.organization_name,
            logo_url: branding.logo_url,
            accent_color: branding.accent_color,
            language: branding.language.map(LanguageWire::from),
        }
    }
}

/// Why a picture is not loaded from an address, if so.
fn refused_logo(text: &str) -> Option<&'static str> {
    if text.len() > LOGO_URL_LEN_MAX {
        return Some("must have at most 2048 characters");
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Some("must not contain blanks or control characters");
    }
    let is_picture = |url: Url| url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
    let is_allowed = Url::parse(text).is_ok_and(is_picture);
    (!is_allowed).then_some("must be an address that begins with `https://`, without user name and password")
}

fn is_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
    digits.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_pictures() {
        for good in ["#000000", "#0B4fC4"] {
            assert!(is_color(good), "{good}");
        }
        for bad in ["", "#fff", "red", "000000", "#+00000", "#00000g", "#0000000"] {
            assert!(!is_color(bad), "{bad}");
        }
        assert_eq!(refused_logo("https://example.com/logo.png?v=1"), None);
        let long = format!("https://example.com/{}", "x".repeat(2_048));
        for bad in [
            "",
            "logo.png",
            "http://example.com/a",
            "data:image/png,x",
            "https://a:b@c/",
            "https://a /",
            "https://",
            &long,
        ] {
            assert!(refused_logo(bad).is_some(), "{bad}");
        }
    }
}
