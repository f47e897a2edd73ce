use agentcal_engine::ids::AccountId;
use agentcal_engine::model::{MailBranding, MailKind, MailLanguage, MailRole, MailTemplate};
use agentcal_engine::ports::{MailSample, MailShown};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{LanguageWire, ReaderWire, TemplateBody, of_fault};
use crate::app::App;
use crate::caller::{Caller, Cx};
use crate::error::ApiError;
use crate::extract::{MaybeBody, NamedParam, PathId, Query};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// What stands before the names of a given template's parts.
const AT: &str = "template.";

/// What to show.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MailPreviewRequest)]
pub(super) struct PreviewBody {
    /// Who would read it; the attendee when left out.
    #[serde(default)]
    reader: Option<ReaderWire>,
    /// In which language; that of the branding when left out.
    #[serde(default)]
    language: Option<LanguageWire>,
    /// A template to try; the one that applies when left out.
    #[serde(default)]
    template: Option<TemplateBody>,
}

/// What a reader would see of a mail about a booking that never was.
#[derive(Serialize, ToSchema)]
#[schema(as = MailPreview)]
pub(super) struct PreviewView {
    /// The subject.
    subject: String,
    /// The plain text.
    text: String,
    /// The page. Show it apart from everything else, as a mail program would.
    html: String,
}

impl From<MailShown> for PreviewView {
    fn from(shown: MailShown) -> Self {
        Self { subject: shown.subject, text: shown.text, html: shown.html }
    }
}

/// Show what an account's mails of a kind look like, by a template that is given or the one that applies.
///
/// Nothing is kept or sent.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/mail/templates/{kind}/preview", tag = "mail",
    params(("account_id" = String, Path), ("kind" = super::body::KindWire, Path)),
    request_body = Option<PreviewBody>, responses((status = 200, description = "The mail", body = PreviewView))
)]
pub(super) async fn preview_account_mail(
    cx: Cx,
    PathId(kind): PathId<MailKind>,
    _: Query<NoQuery>,
    MaybeBody(body): MaybeBody<PreviewBody>,
) -> Result<Answer<PreviewView>, ApiError> {
    let look = cx.app.mail()?.store.mail_look(cx.account_id(), kind).await?;
    let look = look.ok_or_else(|| ApiError::not_found(AccountId::KIND))?;
    body.shown(&cx.app, kind, look.account.or(look.organization), look.branding).await
}

/// Show what mails of a kind look like in accounts that say nothing else.
///
/// Nothing is kept or sent.
#[utoipa::path(
    post, path = "/v1/mail/templates/{kind}/preview", tag = "mail",
    params(("kind" = super::body::KindWire, Path)),
    request_body = Option<PreviewBody>, responses((status = 200, description = "The mail", body = PreviewView))
)]
pub(super) async fn preview_mail(
    caller: Caller,
    PathId(kind): PathId<MailKind>,
    _: Query<NoQuery>,
    MaybeBody(body): MaybeBody<PreviewBody>,
) -> Result<Answer<PreviewView>, ApiError> {
    let (store, owner) = (&caller.app.mail()?.store, caller.mail_owner());
    let stored = store.mail_template(&owner, kind).await?;
    // No account is at hand whose name could be shown.
    let name = Some(caller.key.organization.name.clone());
    let unnamed = MailBranding { organization_name: name, ..MailBranding::default() };
    let branding = store.mail_branding(&owner).await?.over(unnamed);
    body.shown(&caller.app, kind, stored, branding).await
}

impl PreviewBody {
    async fn shown(
        &self,
        app: &App,
        kind: MailKind,
        stored: Option<MailTemplate>,
        branding: MailBranding,
    ) -> Result<Answer<PreviewView>, ApiError> {
        let mail = app.mail()?;
        let template = match &self.template {
            Some(given) => Some(given.read(mail, kind, AT).await?),
            None => stored,
        };
        let reader = self.reader.map(MailRole::from).unwrap_or_default();
        let language = self.language.map(MailLanguage::from);
        let sample = MailSample { kind, reader, language, template: template.clone(), branding };
        match mail.press.show(sample).await {
            Ok(shown) => Ok(Answer::ok(shown.into())),
            Err(fault) => Err(of_fault(fault, &template.unwrap_or_default(), AT)),
        }
    }
}
