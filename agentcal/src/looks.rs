//! What mails look like: from what owners set to what mails are composed with, and the engine's word for who knows.

use std::sync::Arc;

use agentcal_delivery_mail::{
    Branding, Html, Language, NoticeKind, Part, ReaderRole, Template, TemplateError, TemplateSource, Templates,
    default_source, preview, sample_notice,
};
use agentcal_engine::ids::{AccountId, OrganizationId};
use agentcal_engine::model::{MailBranding, MailKind, MailLanguage, MailPage, MailRole, MailTemplate, Mode};
use agentcal_engine::ports::{MailFault, MailPart, MailPress, MailSample, MailSettingsStore, MailShown, StoreError};
use async_trait::async_trait;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Most templates compiled at once. The largest take some tenths of a second of a processor.
const COMPILING_MAX: usize = 2;
/// Templates kept compiled, by a guess at their number and by what they weigh.
const TEMPLATES_KEPT: usize = 256;
const WEIGHT_MAX: u64 = 64 * 1_024 * 1_024;
/// What a compiled template weighs besides its source, in bytes: the default parts in it, and what compiling adds.
const WEIGHT_MIN: u64 = 128 * 1_024;
/// Times a part's source that it weighs, compiled.
const WEIGHT_OF_SOURCE: u64 = 8;

/// What mails of one kind look like in an account.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// The account's template before its organization's before the default one.
    pub(crate) templates: Templates,
    /// Who sends, and how it is shown.
    pub(crate) branding: Branding,
    /// The language of what nobody else wrote.
    pub(crate) language: Language,
}

/// Whom notices to an organization reach, and what they look like.
#[derive(Clone, Debug)]
pub(crate) struct NoticeLook {
    /// The organization's name.
    pub(crate) name: String,
    /// Where mail reaches it, if anywhere.
    pub(crate) email: Option<String>,
    /// Who sends, and how it is shown.
    pub(crate) branding: Branding,
    /// The language.
    pub(crate) language: Language,
}

/// Templates and branding of accounts, read anew for each mail, so that a change counts at once on every node. What was
/// compiled is kept by what it was compiled from.
pub(crate) struct Looks {
    store: Arc<dyn MailSettingsStore>,
    compiled: Cache<(MailKind, MailTemplate), Arc<Template>, BySource>,
    compiling: Semaphore,
}

#[derive(Clone)]
struct BySource;

impl Weighter<(MailKind, MailTemplate), Arc<Template>> for BySource {
    fn weight(&self, (_, template): &(MailKind, MailTemplate), _: &Arc<Template>) -> u64 {
        let page = template.page.as_ref().map(|page| match page {
            MailPage::Html(source) | MailPage::Mjml(source) => source,
        });
        let sources = [template.subject.as_ref(), template.text.as_ref(), page];
        let len: usize = sources.into_iter().flatten().map(String::len).sum();
        WEIGHT_MIN + WEIGHT_OF_SOURCE * u64::try_from(len).unwrap_or(u64::MAX / WEIGHT_OF_SOURCE / 2)
    }
}

impl Looks {
    pub(crate) fn new(store: Arc<dyn MailSettingsStore>) -> Self {
        let compiled = Cache::with_weighter(TEMPLATES_KEPT, WEIGHT_MAX, BySource);
        Self { store, compiled, compiling: Semaphore::new(COMPILING_MAX) }
    }

    /// What mails of a kind look like in an account, as it is set now; `None` when there is no such account. A template that
    /// was accepted and cannot be used any more is left out, and that is logged.
    pub(crate) async fn of(&self, account_id: AccountId, kind: MailKind) -> Result<Option<Look>, StoreError> {
        let Some(look) = self.store.mail_look(account_id, kind).await? else { return Ok(None) };
        let mut templates = Templates::default();
        if let Some(template) = self.usable(account_id, kind, look.account).await {
            templates = templates.with_account(notice_kind(kind), template);
        }
        if let Some(template) = self.usable(account_id, kind, look.organization).await {
            templates = templates.with_organization(notice_kind(kind), template);
        }
        let language = language(look.branding.language.unwrap_or_default());
        Ok(Some(Look { templates, branding: branding(look.branding), language }))
    }

    /// Whom notices to an organization reach; `None` when there is no such organization.
    pub(crate) async fn of_notices(&self, id: OrganizationId, mode: Mode) -> Result<Option<NoticeLook>, StoreError> {
        let Some(reader) = self.store.notice_reader(id, mode).await? else { return Ok(None) };
        let own = MailBranding { organization_name: Some(reader.name.clone()), ..MailBranding::default() };
        let said = reader.branding.over(own);
        let language = language(said.language.unwrap_or_default());
        Ok(Some(NoticeLook { name: reader.name, email: reader.email, branding: branding(said), language }))
    }

    async fn usable(
        &self,
        account_id: AccountId,
        kind: MailKind,
        template: Option<MailTemplate>,
    ) -> Option<Arc<Template>> {
        match self.compiled(kind, &template?).await {
            Ok(template) => Some(template),
            Err(error) => {
                tracing::warn!(%account_id, kind = kind.as_str(), %error, "a template of mails cannot be used any more");
                None
            }
        }
    }

    async fn compiled(&self, kind: MailKind, template: &MailTemplate) -> Result<Arc<Template>, TemplateError> {
        let key = (kind, template.clone());
        if let Some(template) = self.compiled.get(&key) {
            return Ok(template);
        }
        let _turn = self.compiling.acquire().await.expect("the semaphore is never closed");
        let source = source(template);
        let compile = spawn_blocking(move || Template::compile(notice_kind(kind), &source));
        let template = Arc::new(compile.await.expect("compiling does not panic")?);
        self.compiled.insert(key, Arc::clone(&template));
        Ok(template)
    }
}

#[async_trait]
impl MailPress for Looks {
    fn default_template(&self) -> MailTemplate {
        let TemplateSource { subject, text, html } = default_source().clone();
        let page = html.map(|html| match html {
            Html::Plain(source) => MailPage::Html(source),
            Html::Mjml(source) => MailPage::Mjml(source),
        });
        MailTemplate { subject, text, page }
    }

    async fn check_template(&self, kind: MailKind, template: &MailTemplate) -> Result<(), MailFault> {
        self.compiled(kind, template).await.map(drop).map_err(fault)
    }

    async fn show(&self, sample: MailSample) -> Result<MailShown, MailFault> {
        let template = sample.template.unwrap_or_default();
        let template = self.compiled(sample.kind, &template).await.map_err(fault)?;
        let language = language(sample.language.or(sample.branding.language).unwrap_or_default());
        let role = match sample.reader {
            MailRole::Attendee => ReaderRole::Attendee,
            MailRole::Host => ReaderRole::Host,
        };
        let notice = sample_notice(notice_kind(sample.kind), language, role, branding(sample.branding));
        let shown = preview(&notice, &template).map_err(fault)?;
        Ok(MailShown { subject: shown.subject, text: shown.text, html: shown.html })
    }
}

/// The kind as the crate of mails calls it.
pub(crate) fn notice_kind(kind: MailKind) -> NoticeKind {
    match kind {
        MailKind::Confirmation => NoticeKind::Confirmation,
        MailKind::Reschedule => NoticeKind::Reschedule,
        MailKind::Cancellation => NoticeKind::Cancellation,
        MailKind::Reminder => NoticeKind::Reminder,
    }
}

fn language(language: MailLanguage) -> Language {
    match language {
        MailLanguage::English => Language::English,
        MailLanguage::German => Language::German,
    }
}

/// Both were checked when they were set; what no longer passes is left out, since a plainer mail still tells what matters.
fn branding(branding: MailBranding) -> Branding {
    Branding {
        organization: branding.organization_name.unwrap_or_default(),
        logo_url: branding.logo_url.and_then(|text| text.parse().ok()),
        accent: branding.accent_color.and_then(|text| text.parse().ok()),
    }
}

fn source(template: &MailTemplate) -> TemplateSource {
    let html = template.page.as_ref().map(|page| match page {
        MailPage::Html(source) => Html::Plain(source.clone()),
        MailPage::Mjml(source) => Html::Mjml(source.clone()),
    });
    TemplateSource { subject: template.subject.clone(), text: template.text.clone(), html }
}

fn fault(error: TemplateError) -> MailFault {
    let part = match error.part {
        Part::Subject => MailPart::Subject,
        Part::Text => MailPart::Text,
        Part::Html => MailPart::Page,
    };
    MailFault { part, line: error.line, reason: error.reason }
}

#[cfg(test)]
mod tests;
