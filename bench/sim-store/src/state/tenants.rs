//! Organizations, keys and accounts.

use agentcal_engine::commit::{IdempotencyKey, IdempotentAnswer};
use agentcal_engine::ids::{AccountId, KeyId, OrganizationId};
use agentcal_engine::model::{Account, ApiKey, Organization, Tenant};
use agentcal_engine::ports::{KeyRecord, StoreError, Write};
use agentcal_engine::time::Timestamp;

use super::answers::{Keeper, Kept, keep, kept};
use super::frame::tenant_rows;
use super::{AccountRows, Done, Present, State, Work};
use crate::store::refused;

pub(crate) fn create_organization(work: &mut Work<'_>, organization: &Organization) -> Result<Done<()>, StoreError> {
    let globals = work.globals();
    if globals.organizations.insert(organization.id, organization.clone()) {
        return Err(refused("an organization id that is taken"));
    }
    globals.changes.keys += 1;
    Ok(Done::Keep(()))
}

pub(crate) fn create_key(work: &mut Work<'_>, key: &ApiKey) -> Result<Done<()>, StoreError> {
    let globals = work.globals();
    let is_taken = globals.keys.values().any(|other| other.hash == key.hash);
    if is_taken || !globals.organizations.contains(&key.organization_id) {
        return Err(refused("a key that is taken, or of nobody"));
    }
    if globals.keys.insert(key.id, key.clone()) {
        return Err(refused("a key id that is taken"));
    }
    globals.changes.keys += 1;
    Ok(Done::Keep(()))
}

pub(crate) fn revoke_key(work: &mut Work<'_>, id: KeyId, now: Timestamp) -> Done<bool> {
    let globals = work.globals();
    globals.changes.keys += 1;
    let revoked = globals.keys.get_mut(&id).filter(|key| key.revoked_at.is_none());
    Done::Keep(revoked.map(|key| key.revoked_at = Some(now)).is_some())
}

/// An organization's keys, newest first.
pub(crate) fn keys_of(state: &State, organization_id: OrganizationId) -> Vec<ApiKey> {
    let own = state.globals.keys.values().filter(|key| key.organization_id == organization_id);
    let mut keys: Vec<ApiKey> = own.cloned().collect();
    keys.sort_by_key(|key| std::cmp::Reverse((key.created_at, key.id)));
    keys
}

pub(crate) fn key_by_hash(state: &State, hash: &[u8; 32]) -> Option<KeyRecord> {
    let key = state.globals.keys.values().find(|key| key.hash == *hash && key.revoked_at.is_none())?;
    let organization = state.globals.organizations.get(&key.organization_id)?;
    Some(KeyRecord { key: key.clone(), organization: organization.clone() })
}

pub(crate) fn create_account(
    work: &mut Work<'_>,
    account: &Account,
    idempotency: Option<&IdempotentAnswer>,
) -> Result<Done<Write>, StoreError> {
    let keeper = Keeper::Organization(account.organization_id);
    if let Some(answered) = answered_before(work, keeper, idempotency) {
        return Ok(Done::Undo(answered));
    }
    if !work.globals().organizations.contains(&account.organization_id) {
        return Ok(Done::Undo(Write::Missing));
    }
    if !work.insert_account(account.id, AccountRows::new(account.clone())) {
        return Err(refused("an account id that is taken"));
    }
    finish(work, keeper, idempotency);
    Ok(Done::Keep(Write::Done))
}

/// The answer is kept above the account, because nothing in the account outlives it.
pub(crate) fn delete_account(
    work: &mut Work<'_>,
    tenant: &Tenant,
    idempotency: Option<&IdempotentAnswer>,
) -> Done<Write> {
    let keeper = Keeper::Organization(tenant.organization_id);
    if let Some(answered) = answered_before(work, keeper, idempotency) {
        return Done::Undo(answered);
    }
    if tenant_rows(work.state(), tenant).is_none() {
        return Done::Undo(Write::Missing);
    }
    work.remove_account(tenant.account_id);
    finish(work, keeper, idempotency);
    Done::Keep(Write::Done)
}

fn answered_before(work: &Work<'_>, keeper: Keeper, idempotency: Option<&IdempotentAnswer>) -> Option<Write> {
    kept(work.state(), keeper, &idempotency?.key, work.present()).answered()
}

fn finish(work: &mut Work<'_>, keeper: Keeper, idempotency: Option<&IdempotentAnswer>) {
    work.globals().changes.config += 1;
    if let Some(idempotent) = idempotency {
        keep(work, keeper, idempotent);
    }
}

/// What is kept under a key for a route inside an account, or above.
pub(crate) fn kept_answer(
    state: &State,
    organization_id: OrganizationId,
    account_id: Option<AccountId>,
    key: &IdempotencyKey,
    present: &Present,
) -> Write {
    let of_organization =
        |id: &AccountId| state.account(*id).is_some_and(|rows| rows.account.organization_id == organization_id);
    let inside = account_id.filter(of_organization).map(Keeper::Account);
    for keeper in inside.into_iter().chain([Keeper::Organization(organization_id)]) {
        match kept(state, keeper, key, present) {
            Kept::Nothing => {}
            Kept::Answer(answer) => return Write::Replayed(answer),
            Kept::OtherRequest => return Write::IdempotencyMismatch,
        }
    }
    Write::Missing
}
