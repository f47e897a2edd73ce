use super::body::BrandingBody;
use crate::caller::{Caller, Cx};
use crate::error::ApiError;
use crate::extract::Query;
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Get an account's branding of mails.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/mail/branding", tag = "mail", params(("account_id" = String, Path)),
    responses((status = 200, description = "The branding", body = BrandingBody))
)]
pub(super) async fn get_account_mail_branding(cx: Cx, _: Query<NoQuery>) -> Result<Answer<BrandingBody>, ApiError> {
    let branding = cx.app.mail()?.store.mail_branding(&cx.mail_owner()).await?;
    Ok(Answer::ok(branding.into()))
}

/// Get the organization's branding of mails in the key's mode, for accounts that say nothing else.
#[utoipa::path(
    get, path = "/v1/mail/branding", tag = "mail",
    responses((status = 200, description = "The branding", body = BrandingBody))
)]
pub(super) async fn get_mail_branding(caller: Caller, _: Query<NoQuery>) -> Result<Answer<BrandingBody>, ApiError> {
    let branding = caller.app.mail()?.store.mail_branding(&caller.mail_owner()).await?;
    Ok(Answer::ok(branding.into()))
}
