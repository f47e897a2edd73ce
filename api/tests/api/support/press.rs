//! Templates that are made into mails as told, without a template engine.

use agentcal_engine::model::{MailKind, MailPage, MailTemplate};
use agentcal_engine::ports::{MailFault, MailPart, MailPress, MailSample, MailShown};
use async_trait::async_trait;

/// What no part of a template may contain.
pub(crate) const BROKEN: &str = "{{ titel }}";

/// Refuses what contains [`BROKEN`], and shows sources as they are.
pub(crate) struct ScriptedPress;

#[async_trait]
impl MailPress for ScriptedPress {
    fn default_template(&self) -> MailTemplate {
        MailTemplate {
            subject: Some("default subject".to_owned()),
            text: Some("default text".to_owned()),
            page: Some(MailPage::Mjml("<mjml>default</mjml>".to_owned())),
        }
    }

    async fn check_template(&self, _: MailKind, template: &MailTemplate) -> Result<(), MailFault> {
        let page = template.page.as_ref().map(source_of);
        let parts = [
            (MailPart::Subject, template.subject.as_deref()),
            (MailPart::Text, template.text.as_deref()),
            (MailPart::Page, page),
        ];
        let line_of = |source: &str| source.lines().position(|line| line.contains(BROKEN)).map(|line| line + 1);
        let broken = parts.into_iter().find_map(|(part, source)| Some((part, source.and_then(line_of)?)));
        match broken {
            None => Ok(()),
            Some((part, line)) => Err(MailFault { part, line: Some(line), reason: "there is no `titel`".to_owned() }),
        }
    }

    async fn show(&self, sample: MailSample) -> Result<MailShown, MailFault> {
        let template = sample.template.clone().unwrap_or_else(|| self.default_template());
        self.check_template(sample.kind, &template).await?;
        let told = format!("{:?} {:?} {:?} {:?}", sample.kind, sample.reader, sample.language, sample.branding);
        let html = template.page.as_ref().map(source_of).unwrap_or_default().to_owned();
        Ok(MailShown { subject: template.subject.unwrap_or_default(), text: told, html })
    }
}

fn source_of(page: &MailPage) -> &str {
    match page {
        MailPage::Html(source) | MailPage::Mjml(source) => source,
    }
}
