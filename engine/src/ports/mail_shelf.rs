//! Mails that were kept instead of sent.

use async_trait::async_trait;

use crate::time::Timestamp;

use super::StoreError;

/// A mail that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShelvedMail {
    /// By which it is found; later mails have greater ones. Letters, digits and hyphens.
    pub name: String,
    /// Its date.
    pub at: Timestamp,
    /// Whom it is for.
    pub to: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// Its plain text.
    pub text: String,
    /// Its page, by whoever wrote the template.
    pub html: String,
    /// The iCalendar object in it, if there is one.
    pub invitation: Option<String>,
}

/// Where mails are kept instead of sent.
#[async_trait]
pub trait MailShelf: Send + Sync {
    /// The last mails, the latest first, at most so many.
    async fn list(&self, limit: usize) -> Result<Vec<ShelvedMail>, StoreError>;
    /// A mail of a name, and its bytes as a server would have taken them. Any text may be asked for.
    async fn read(&self, name: &str) -> Result<Option<(ShelvedMail, Vec<u8>)>, StoreError>;
}
