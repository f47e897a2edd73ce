use agentcal_engine::ids::AccountId;
use agentcal_engine::model::{MailKind, MailTemplate};

use super::body::{OriginWire, TemplateView};
use crate::app::App;
use crate::caller::{Caller, Cx};
use crate::error::ApiError;
use crate::extract::{NamedParam, PathId, Query};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Get the template that applies to an account's mails of a kind.
///
/// The account's, else its organization's, else the default one: where authors of others may begin.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/mail/templates/{kind}", tag = "mail",
    params(("account_id" = String, Path), ("kind" = super::body::KindWire, Path)),
    responses((status = 200, description = "The template", body = TemplateView))
)]
pub(super) async fn get_account_mail_template(
    cx: Cx,
    PathId(kind): PathId<MailKind>,
    _: Query<NoQuery>,
) -> Result<Answer<TemplateView>, ApiError> {
    let look = cx.app.mail()?.store.mail_look(cx.account_id(), kind).await?;
    let look = look.ok_or_else(|| ApiError::not_found(AccountId::KIND))?;
    let own = look.account.map(|template| (OriginWire::Account, template));
    let above = look.organization.map(|template| (OriginWire::Organization, template));
    view(&cx.app, kind, own.or(above))
}

/// Get the template that applies to mails of a kind in accounts without one of their own.
///
/// The organization's in the key's mode, else the default one.
#[utoipa::path(
    get, path = "/v1/mail/templates/{kind}", tag = "mail", params(("kind" = super::body::KindWire, Path)),
    responses((status = 200, description = "The template", body = TemplateView))
)]
pub(super) async fn get_mail_template(
    caller: Caller,
    PathId(kind): PathId<MailKind>,
    _: Query<NoQuery>,
) -> Result<Answer<TemplateView>, ApiError> {
    let found = caller.app.mail()?.store.mail_template(&caller.mail_owner(), kind).await?;
    view(&caller.app, kind, found.map(|template| (OriginWire::Organization, template)))
}

fn view(
    app: &App,
    kind: MailKind,
    found: Option<(OriginWire, MailTemplate)>,
) -> Result<Answer<TemplateView>, ApiError> {
    let (origin, template) = match found {
        Some(found) => found,
        None => (OriginWire::Default, app.mail()?.press.default_template()),
    };
    Ok(Answer::ok(TemplateView::of(kind, origin, template)))
}
