use agentcal_engine::ids::AccountId;
use agentcal_engine::model::Account;
use agentcal_engine::ports::Write;
use http::StatusCode;

use super::{AccountView, NewAccount};
use crate::caller::Caller;
use crate::checks::Checks;
use crate::error::ApiError;
use crate::extract::{Body, Query};
use crate::idempotency::{Settled, keep, mismatch, read_kept};
use crate::refusals::{of_refused_write, store_unavailable};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Make an account.
///
/// Its mode is that of the key, for good: keys of the other mode do not see it.
#[utoipa::path(
    post, path = "/v1/accounts", tag = "accounts", request_body = NewAccount,
    responses((status = 201, description = "The account", body = AccountView))
)]
pub(super) async fn create_account(
    caller: Caller,
    _: Query<NoQuery>,
    Body(body): Body<NewAccount>,
) -> Result<Answer<AccountView>, ApiError> {
    let key = caller.idempotency(&body);
    if let Some(kept) = caller.replay(key.as_ref()).await? {
        return Ok(answer(kept));
    }
    let account = read(&caller, &body)?;
    let kept = keep(key, &account)?;
    match caller.app.store().create_account(&account, kept.as_ref()).await? {
        Write::Done => Ok(answer(Settled { value: account, replayed: false })),
        Write::Replayed(kept) => read_kept(&kept).map(answer),
        Write::IdempotencyMismatch => Err(mismatch()),
        Write::Refused(reason) => Err(of_refused_write(reason)),
        Write::Stale | Write::Missing => Err(store_unavailable()),
    }
}

fn answer(settled: Settled<Account>) -> Answer<AccountView> {
    Answer::settled(StatusCode::CREATED, settled, AccountView::from)
}

fn read(caller: &Caller, body: &NewAccount) -> Result<Account, ApiError> {
    let now = caller.app.now();
    let mut account = Account {
        id: AccountId::mint(now, caller.app.parts.entropy.as_ref()),
        organization_id: caller.key.key.organization_id,
        mode: caller.key.key.mode,
        name: String::new(),
        timezone: None,
        metadata: serde_json::Map::new(),
        created_at: now,
    };
    let mut checks = Checks::default();
    if body.0.name.0.is_none() {
        checks.required("name");
    }
    body.0.apply(&mut account, &mut checks);
    checks.finish().map(|()| account)
}
