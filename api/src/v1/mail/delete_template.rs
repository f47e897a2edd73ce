use agentcal_engine::ids::AccountId;
use agentcal_engine::model::MailKind;

use crate::caller::{Caller, Cx};
use crate::error::ApiError;
use crate::extract::{NamedParam, PathId, Query};
use crate::idempotency::{Settled, keep};
use crate::v1::answer::Done;
use crate::v1::lists::NoQuery;

/// Take an account's template away, so that its organization's applies, or the default one.
#[utoipa::path(
    delete, path = "/v1/accounts/{account_id}/mail/templates/{kind}", tag = "mail",
    params(("account_id" = String, Path), ("kind" = super::body::KindWire, Path)),
    responses((status = 204, description = "There is none"))
)]
pub(super) async fn delete_account_mail_template(
    cx: Cx,
    PathId(kind): PathId<MailKind>,
    _: Query<NoQuery>,
) -> Result<Done, ApiError> {
    let key = cx.idempotency(&());
    if let Some(kept) = cx.replay::<()>(key.as_ref()).await? {
        return Ok(Done::no_content(&kept));
    }
    let kept = keep(key, &())?;
    let write = cx.app.mail()?.store.delete_mail_template(&cx.mail_owner(), kind, kept.as_ref()).await?;
    Ok(Done::no_content(&Settled::of(write, (), AccountId::KIND)?))
}

/// Take the organization's template in the key's mode away, so that the default one applies.
#[utoipa::path(
    delete, path = "/v1/mail/templates/{kind}", tag = "mail", params(("kind" = super::body::KindWire, Path)),
    responses((status = 204, description = "There is none"))
)]
pub(super) async fn delete_mail_template(
    caller: Caller,
    PathId(kind): PathId<MailKind>,
    _: Query<NoQuery>,
) -> Result<Done, ApiError> {
    let key = caller.idempotency(&());
    if let Some(kept) = caller.replay::<()>(key.as_ref()).await? {
        return Ok(Done::no_content(&kept));
    }
    let kept = keep(key, &())?;
    let write = caller.app.mail()?.store.delete_mail_template(&caller.mail_owner(), kind, kept.as_ref()).await?;
    Ok(Done::no_content(&Settled::of(write, (), AccountId::KIND)?))
}
