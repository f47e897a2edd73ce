//! Which template a mail takes.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::Serialize;

use super::error::TemplateError;
use super::source::{Html, Rendered, Template, TemplateSource};
use crate::notice::NoticeKind;
use crate::view::View;

static DEFAULT: LazyLock<BTreeMap<NoticeKind, Arc<Template>>> = LazyLock::new(|| {
    let compiled =
        |kind| Template::compile(kind, &TemplateSource::default()).expect("a test compiles it for every kind");
    NoticeKind::ALL.into_iter().map(|kind| (kind, Arc::new(compiled(kind)))).collect()
});

static DEFAULT_SOURCE: LazyLock<TemplateSource> = LazyLock::new(|| TemplateSource {
    subject: Some(include_str!("../../templates/subject.txt").to_owned()),
    text: Some(include_str!("../../templates/mail.txt").to_owned()),
    html: Some(Html::Mjml(include_str!("../../templates/mail.mjml").to_owned())),
});

static REPORT: LazyLock<Template> = LazyLock::new(|| Template::of_reports().expect("a test compiles it"));

/// Renders what an organization is told of its own affairs.
pub(crate) fn render_report(view: &impl Serialize) -> Rendered {
    REPORT.render(view).expect("the letter shows every report, whose texts are bounded")
}

/// The default template, as it is written: where authors of others may begin. One serves all kinds and languages.
pub fn default_source() -> &'static TemplateSource {
    &DEFAULT_SOURCE
}

/// The templates that apply to an account: its own before its organization's before the default ones.
#[derive(Clone, Debug, Default)]
pub struct Templates {
    account: BTreeMap<NoticeKind, Arc<Template>>,
    organization: BTreeMap<NoticeKind, Arc<Template>>,
}

impl Templates {
    /// Sets an account's template.
    #[must_use]
    pub fn with_account(mut self, kind: NoticeKind, template: Arc<Template>) -> Self {
        self.account.insert(kind, template);
        self
    }

    /// Sets its organization's template.
    #[must_use]
    pub fn with_organization(mut self, kind: NoticeKind, template: Arc<Template>) -> Self {
        self.organization.insert(kind, template);
        self
    }

    /// Renders by the first that applies. One that fails is named, and the default one stands in, because a mail that looks
    /// plain is better than none.
    pub(crate) fn render(&self, kind: NoticeKind, view: &View) -> (Rendered, Option<TemplateError>) {
        let own = self.account.get(&kind).or_else(|| self.organization.get(&kind));
        match own.map(|template| template.render(view)) {
            Some(Ok(rendered)) => (rendered, None),
            Some(Err(error)) => (by_default(kind, view), Some(error)),
            None => (by_default(kind, view), None),
        }
    }
}

fn by_default(kind: NoticeKind, view: &View) -> Rendered {
    DEFAULT[&kind].render(view).expect("the default template shows every notice, whose texts are bounded")
}
