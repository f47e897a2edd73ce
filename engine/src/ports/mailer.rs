//! The way out for mails.

use std::sync::Arc;

use async_trait::async_trait;

use crate::followups::MailFor;
use crate::ids::OrganizationId;
use crate::model::{Account, MailWork, Mode, NoticeWork, User};

use super::JobNext;

/// A mail, with what of its account is as it is now.
#[derive(Clone, Debug)]
pub struct OutboundMail {
    /// Whose account.
    pub organization_id: OrganizationId,
    /// The account.
    pub account: Account,
    /// The booking's hosts that are still there, in its order.
    pub hosts: Vec<Arc<User>>,
    /// What it tells, and whom.
    pub work: MailWork,
    /// The number of this try.
    pub attempts: u32,
}

/// What an organization is told by mail.
#[derive(Clone, Debug)]
pub struct OutboundNotice {
    /// Who is told.
    pub organization_id: OrganizationId,
    /// Of its live or of its test accounts.
    pub mode: Mode,
    /// What it tells.
    pub work: NoticeWork,
    /// The number of this try.
    pub attempts: u32,
}

/// What became of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailSent {
    /// In one word, for counting: `delivered`, `refused`, `later`, `unusable`, `unneeded`, `unaddressed`,
    /// `failed`.
    pub outcome: &'static str,
    /// In words that name nobody.
    pub said: String,
    /// What follows.
    pub next: JobNext,
}

/// The way out for mails.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// For accounts of which modes there is a way.
    fn mails_for(&self) -> MailFor;
    /// Composes a mail and sends it, within bounds of time.
    async fn send(&self, mail: OutboundMail) -> MailSent;
    /// The same with a notice.
    async fn send_notice(&self, notice: OutboundNotice) -> MailSent;
}
