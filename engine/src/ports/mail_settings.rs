//! What mails look like: where it is kept, and who knows whether it can be used.

use async_trait::async_trait;

use crate::commit::IdempotentAnswer;
use crate::ids::{AccountId, OrganizationId};
use crate::model::{MailBranding, MailKind, MailLanguage, MailRole, MailTemplate, Mode, Tenant};

use super::{StoreError, Write};

/// Whose templates and branding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailOwner {
    /// An organization's, for its accounts of one mode.
    Organization {
        /// Which.
        organization_id: OrganizationId,
        /// The mode.
        mode: Mode,
    },
    /// An account's.
    Account(Tenant),
}

/// What a mail of one kind looks like in an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailLook {
    /// The account's template, which goes first.
    pub account: Option<MailTemplate>,
    /// Its organization's.
    pub organization: Option<MailTemplate>,
    /// The account's branding over its organization's. Where neither says who sends, it is the account, by its name.
    pub branding: MailBranding,
}

/// Whom notices to an organization reach, and what they look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeReader {
    /// The organization's name.
    pub name: String,
    /// Where mail reaches it, if anywhere.
    pub email: Option<String>,
    /// Its branding for mails of a mode.
    pub branding: MailBranding,
}

/// Templates and branding.
#[async_trait]
pub trait MailSettingsStore: Send + Sync {
    /// An owner's template for a kind.
    async fn mail_template(&self, owner: &MailOwner, kind: MailKind) -> Result<Option<MailTemplate>, StoreError>;
    /// Puts a template in place of the owner's present one. No such account: [`Write::Missing`].
    async fn put_mail_template(
        &self,
        owner: &MailOwner,
        kind: MailKind,
        template: &MailTemplate,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// Takes an owner's template away; without one there is nothing to do, and it is done.
    async fn delete_mail_template(
        &self,
        owner: &MailOwner,
        kind: MailKind,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// An owner's branding; where nothing was said, one that says nothing.
    async fn mail_branding(&self, owner: &MailOwner) -> Result<MailBranding, StoreError>;
    /// Puts a branding in place of the owner's present one.
    async fn put_mail_branding(
        &self,
        owner: &MailOwner,
        branding: &MailBranding,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// Takes an owner's branding away, as [`MailSettingsStore::delete_mail_template`] does.
    async fn delete_mail_branding(
        &self,
        owner: &MailOwner,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// What applies to a mail of a kind in an account, as it is now; `None` when there is no such account.
    async fn mail_look(&self, account_id: AccountId, kind: MailKind) -> Result<Option<MailLook>, StoreError>;
    /// Whom notices to an organization reach; `None` when there is no such organization.
    async fn notice_reader(
        &self,
        organization_id: OrganizationId,
        mode: Mode,
    ) -> Result<Option<NoticeReader>, StoreError>;
    /// Sets or takes away the address of an organization for notices; false when there is no such organization.
    async fn set_notice_email(&self, organization_id: OrganizationId, email: Option<&str>) -> Result<bool, StoreError>;
}

/// A part of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MailPart {
    /// The subject.
    Subject,
    /// The plain text.
    Text,
    /// The page.
    Page,
}

/// Why a template cannot be used, for its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailFault {
    /// The part that is wrong.
    pub part: MailPart,
    /// The line in it, counted from 1, where one line is to blame.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub reason: String,
}

/// A mail nobody gets, for seeing what one looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailSample {
    /// What it tells of.
    pub kind: MailKind,
    /// Who would read it.
    pub reader: MailRole,
    /// In which language, if not that of the branding.
    pub language: Option<MailLanguage>,
    /// Its template; `None`: the default one.
    pub template: Option<MailTemplate>,
    /// Who would send it.
    pub branding: MailBranding,
}

/// What a reader sees of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailShown {
    /// The subject.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The page.
    pub html: String,
}

/// Who makes mails of templates.
#[async_trait]
pub trait MailPress: Send + Sync {
    /// The template that applies where there is no other, for every kind.
    fn default_template(&self) -> MailTemplate;
    /// Whether a template can be used. The error says what is wrong with it first.
    async fn check_template(&self, kind: MailKind, template: &MailTemplate) -> Result<(), MailFault>;
    /// Shows a sample.
    async fn show(&self, sample: MailSample) -> Result<MailShown, MailFault>;
}
