use agentcal_engine::ids::AccountId;
use http::StatusCode;

use crate::caller::{Caller, Cx};
use crate::error::ApiError;
use crate::extract::{NamedParam, Query};
use crate::idempotency::{Settled, keep};
use crate::v1::answer::Done;
use crate::v1::lists::NoQuery;

/// Delete an account with everything in it.
///
/// Its calendars are no longer watched, credentials and the account's encryption key are destroyed. Events already
/// written to calendars stay there.
#[utoipa::path(
    delete, path = "/v1/accounts/{account_id}", tag = "accounts", params(("account_id" = String, Path)),
    responses((status = 202, description = "Deleted; watches are being stopped"))
)]
pub(super) async fn delete_account(
    caller: Caller,
    cx: Result<Cx, ApiError>,
    _: Query<NoQuery>,
) -> Result<Done, ApiError> {
    // The account may be gone because this very request was done before; its answer is kept above the account.
    let key = caller.idempotency(&());
    if let Some(kept) = caller.replay::<()>(key.as_ref()).await? {
        return Ok(Done { status: StatusCode::ACCEPTED, replayed: kept.replayed });
    }
    let cx = cx?;
    let config = cx.config().await?;
    let calendars: Vec<_> = config.calendars.iter().map(|calendar| calendar.id).collect();
    let farewell = cx.app.parts.scheduler.farewell(config.calendars.iter()).await?;
    let write = cx.app.store().delete_account(&cx.tenant, keep(key, &())?.as_ref()).await?;
    let Settled { replayed, .. } = Settled::of(write, (), AccountId::KIND)?;
    if !replayed {
        cx.app.trust.forget_account(cx.account_id());
        cx.app.parts.scheduler.config_changed(cx.account_id()).await;
        cx.app.parts.scheduler.forget(&calendars).await;
        farewell.say_later();
    }
    Ok(Done { status: StatusCode::ACCEPTED, replayed })
}
