use agentcal_engine::ids::AccountId;
use agentcal_engine::model::{MailKind, MailTemplate};
use http::StatusCode;

use super::body::{OriginWire, TemplateBody, TemplateView};
use crate::caller::{Caller, Cx};
use crate::error::ApiError;
use crate::extract::{Body, NamedParam, PathId, Query};
use crate::idempotency::{Settled, keep};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Set an account's template for mails of a kind.
///
/// It is tried on samples first; one that cannot be used is refused with the part, the line and the reason, and nothing is
/// changed.
#[utoipa::path(
    put, path = "/v1/accounts/{account_id}/mail/templates/{kind}", tag = "mail",
    params(("account_id" = String, Path), ("kind" = super::body::KindWire, Path)),
    request_body = TemplateBody, responses((status = 200, description = "The template", body = TemplateView))
)]
pub(super) async fn put_account_mail_template(
    cx: Cx,
    PathId(kind): PathId<MailKind>,
    _: Query<NoQuery>,
    Body(body): Body<TemplateBody>,
) -> Result<Answer<TemplateView>, ApiError> {
    let key = cx.idempotency(&body);
    if let Some(kept) = cx.replay(key.as_ref()).await? {
        return Ok(answer(kind, OriginWire::Account, kept));
    }
    let mail = cx.app.mail()?;
    let template = body.read(mail, kind, "").await?;
    let kept = keep(key, &template)?;
    let write = mail.store.put_mail_template(&cx.mail_owner(), kind, &template, kept.as_ref()).await?;
    Ok(answer(kind, OriginWire::Account, Settled::of(write, template, AccountId::KIND)?))
}

/// Set the template for mails of a kind in accounts without one of their own.
///
/// It is the organization's in the key's mode. Otherwise as an account's is set.
#[utoipa::path(
    put, path = "/v1/mail/templates/{kind}", tag = "mail", params(("kind" = super::body::KindWire, Path)),
    request_body = TemplateBody, responses((status = 200, description = "The template", body = TemplateView))
)]
pub(super) async fn put_mail_template(
    caller: Caller,
    PathId(kind): PathId<MailKind>,
    _: Query<NoQuery>,
    Body(body): Body<TemplateBody>,
) -> Result<Answer<TemplateView>, ApiError> {
    let key = caller.idempotency(&body);
    if let Some(kept) = caller.replay(key.as_ref()).await? {
        return Ok(answer(kind, OriginWire::Organization, kept));
    }
    let mail = caller.app.mail()?;
    let template = body.read(mail, kind, "").await?;
    let kept = keep(key, &template)?;
    let write = mail.store.put_mail_template(&caller.mail_owner(), kind, &template, kept.as_ref()).await?;
    Ok(answer(kind, OriginWire::Organization, Settled::of(write, template, AccountId::KIND)?))
}

fn answer(kind: MailKind, origin: OriginWire, settled: Settled<MailTemplate>) -> Answer<TemplateView> {
    Answer::settled(StatusCode::OK, settled, |template| TemplateView::of(kind, origin, template))
}
