use crate::caller::{Caller, Cx};
use crate::error::ApiError;
use crate::extract::{NamedParam, Query};
use crate::idempotency::{Settled, keep};
use crate::v1::answer::Done;
use crate::v1::lists::NoQuery;
use agentcal_engine::ids::AccountId;

/// Take an account's branding of mails away, so that its organization's applies.
#[utoipa::path(
    delete, path = "/v1/accounts/{account_id}/mail/branding", tag = "mail", params(("account_id" = String, Path)),
    responses((status = 204, description = "There is none"))
)]
pub(super) async fn delete_account_mail_branding(cx: Cx, _: Query<NoQuery>) -> Result<Done, ApiError> {
    let key = cx.idempotency(&());
    if let Some(kept) = cx.replay::<()>(key.as_ref()).await? {
        return Ok(Done::no_content(&kept));
    }
    let kept = keep(key, &())?;
    let write = cx.app.mail()?.store.delete_mail_branding(&cx.mail_owner(), kept.as_ref()).await?;
    Ok(Done::no_content(&Settled::of(write, (), AccountId::KIND)?))
}

/// Take the organization's branding of mails in the key's mode away.
#[utoipa::path(
    delete, path = "/v1/mail/branding", tag = "mail", responses((status = 204, description = "There is none"))
)]
pub(super) async fn delete_mail_branding(caller: Caller, _: Query<NoQuery>) -> Result<Done, ApiError> {
    let key = caller.idempotency(&());
    if let Some(kept) = caller.replay::<()>(key.as_ref()).await? {
        return Ok(Done::no_content(&kept));
    }
    let kept = keep(key, &())?;
    let write = caller.app.mail()?.store.delete_mail_branding(&caller.mail_owner(), kept.as_ref()).await?;
    Ok(Done::no_content(&Settled::of(write, (), AccountId::KIND)?))
}
