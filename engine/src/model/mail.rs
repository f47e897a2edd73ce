//! What mails about bookings look like: templates by kind, and how an organization presents itself.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a mail tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailKind {
    /// A booking was made.
    Confirmation,
    /// It was moved.
    Reschedule,
    /// It was cancelled.
    Cancellation,
    /// It begins soon.
    Reminder,
}

impl MailKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Confirmation, Self::Reschedule, Self::Cancellation, Self::Reminder];

    /// Its name in routes, rows and templates.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmation => "confirmation",
            Self::Reschedule => "reschedule",
            Self::Cancellation => "cancellation",
            Self::Reminder => "reminder",
        }
    }
}

/// A text that names no kind of mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such kind of mail")]
pub struct UnknownMailKind;

impl FromStr for MailKind {
    type Err = UnknownMailKind;

    fn from_str(name: &str) -> Result<Self, UnknownMailKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or(UnknownMailKind)
    }
}

/// A language mails are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MailLanguage {
    /// English, where nobody said otherwise.
    #[default]
    #[serde(rename = "en")]
    English,
    /// German.
    #[serde(rename = "de")]
    German,
}

/// Who reads a mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailRole {
    /// Who booked.
    #[default]
    Attendee,
    /// Who hosts.
    Host,
}

/// A template as its author wrote it. A part that is missing is the default one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MailTemplate {
    /// The subject; one line comes out.
    pub subject: Option<String>,
    /// The plain text.
    pub text: Option<String>,
    /// The page.
    pub page: Option<MailPage>,
}

/// A page as its author wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailPage {
    /// As it is sent.
    Html(String),
    /// In MJML, from which HTML is made.
    Mjml(String),
}

/// How somebody presents himself in mails. What is missing is as it is above: an account's as its organization's, and that as
/// when nobody said anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailBranding {
    /// Who sends: the name beside the address, and in the foot.
    pub organization_name: Option<String>,
    /// A picture at an `https` address.
    pub logo_url: Option<String>,
    /// The colour of buttons and links, as `#rrggbb`.
    pub accent_color: Option<String>,
    /// The language of what nobody else wrote.
    pub language: Option<MailLanguage>,
}

impl MailBranding {
    /// This, and where it says nothing, what is said below it.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            organization_name: self.organization_name.or(below.organization_name),
            logo_url: self.logo_url.or(below.logo_url),
            accent_color: self.accent_color.or(below.accent_color),
            language: self.language.or(below.language),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names() {
        for kind in MailKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).expect("a text"), kind.as_str());
        }
        assert_eq!("invitation".parse::<MailKind>(), Err(UnknownMailKind));
    }

    #[test]
    fn what_is_said_goes_before_what_is_said_below() {
        let below = MailBranding {
            organization_name: Some("Below".into()),
            logo_url: Some("https://example.com/below.png".into()),
            accent_color: None,
            language: Some(MailLanguage::German),
        };
        let above = MailBranding { logo_url: Some("https://example.com/above.png".into()), ..MailBranding::default() };
        let both = above.clone().over(below.clone());
        assert_eq!(both, MailBranding { logo_url: above.logo_url.clone(), ..below.clone() });
        assert_eq!(MailBranding::default().over(below.clone()), below);
        assert_eq!(below.clone().over(above), below);
    }
}
