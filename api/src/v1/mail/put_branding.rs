use agentcal_engine::ids::AccountId;
use agentcal_engine::model::MailBranding;
use http::StatusCode;

use super::body::BrandingBody;
use crate::caller::{Caller, Cx};
use crate::error::ApiError;
use crate::extract::{Body, NamedParam, Query};
use crate::idempotency::{Settled, keep};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Set an account's branding of mails, the whole of it.
#[utoipa::path(
    put, path = "/v1/accounts/{account_id}/mail/branding", tag = "mail", params(("account_id" = String, Path)),
    request_body = BrandingBody, responses((status = 200, description = "The branding", body = BrandingBody))
)]
pub(super) async fn put_account_mail_branding(
    cx: Cx,
    _: Query<NoQuery>,
    Body(body): Body<BrandingBody>,
) -> Result<Answer<BrandingBody>, ApiError> {
    let key = cx.idempotency(&body);
    if let Some(kept) = cx.replay(key.as_ref()).await? {
        return Ok(answer(kept));
    }
    let branding = body.read()?;
    let kept = keep(key, &branding)?;
    let write = cx.app.mail()?.store.put_mail_branding(&cx.mail_owner(), &branding, kept.as_ref()).await?;
    Ok(answer(Settled::of(write, branding, AccountId::KIND)?))
}

/// Set the organization's branding of mails in the key's mode, the whole of it.
#[utoipa::path(
    put, path = "/v1/mail/branding", tag = "mail", request_body = BrandingBody,
    responses((status = 200, description = "The branding", body = BrandingBody))
)]
pub(super) async fn put_mail_branding(
    caller: Caller,
    _: Query<NoQuery>,
    Body(body): Body<BrandingBody>,
) -> Result<Answer<BrandingBody>, ApiError> {
    let key = caller.idempotency(&body);
    if let Some(kept) = caller.replay(key.as_ref()).await? {
        return Ok(answer(kept));
    }
    let branding = body.read()?;
    let kept = keep(key, &branding)?;
    let write = caller.app.mail()?.store.put_mail_branding(&caller.mail_owner(), &branding, kept.as_ref()).await?;
    Ok(answer(Settled::of(write, branding, AccountId::KIND)?))
}

fn answer(settled: Settled<MailBranding>) -> Answer<BrandingBody> {
    Answer::settled(StatusCode::OK, settled, BrandingBody::from)
}
