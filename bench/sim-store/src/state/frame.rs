//! The frame round every write to an account's configuration.

use agentcal_engine::commit::{IdempotentAnswer, RevisionKey};
use agentcal_engine::model::Tenant;
use agentcal_engine::ports::{StoreError, Write};

use super::answers::{Keeper, keep, kept};
use super::{AccountRows, Done, State, Work};

/// Whose configuration is written, on what condition, and under which key.
pub(crate) struct ConfigWrite<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) idempotency: Option<&'a IdempotentAnswer>,
    /// The revision it must be at; `None`: whichever.
    pub(crate) expected: Option<u64>,
}

impl<'a> ConfigWrite<'a> {
    /// A write that rests on no revision.
    pub(crate) fn any(tenant: &'a Tenant, idempotency: Option<&'a IdempotentAnswer>) -> Self {
        Self { tenant, idempotency, expected: None }
    }

    /// A write that rests on a revision.
    pub(crate) fn at(tenant: &'a Tenant, idempotency: Option<&'a IdempotentAnswer>, revision: u64) -> Self {
        Self { tenant, idempotency, expected: Some(revision) }
    }

    /// Makes the change unless idempotency, the tenant or the revision already answer it. What was done is kept with the
    /// raised revision and the answer; anything else is undone.
    pub(crate) fn perform(
        self,
        work: &mut Work<'_>,
        change: impl FnOnce(&mut Work<'_>) -> Result<Write, StoreError>,
    ) -> Result<Done<Write>, StoreError> {
        let Some(rows) = tenant_rows(work.state(), self.tenant) else { return Ok(Done::Undo(Write::Missing)) };
        let revision = rows.revision(RevisionKey::Config);
        let keeper = Keeper::Account(self.tenant.account_id);
        if let Some(idempotent) = self.idempotency
            && let Some(answered) = kept(work.state(), keeper, &idempotent.key, work.present()).answered()
        {
            return Ok(Done::Undo(answered));
        }
        if self.expected.is_some() && self.expected != revision {
            return Ok(Done::Undo(Write::Stale));
        }
        let write = change(work)?;
        if write != Write::Done {
            return Ok(Done::Undo(write));
        }
        if let Some(rows) = work.account_mut(self.tenant.account_id) {
            rows.raise(RevisionKey::Config);
        }
        work.globals().changes.config += 1;
        if let Some(idempotent) = self.idempotency {
            keep(work, keeper, idempotent);
        }
        Ok(Done::Keep(Write::Done))
    }
}

/// The rows of an account, if it is of this organization and mode.
pub(crate) fn tenant_rows<'s>(state: &'s State, tenant: &Tenant) -> Option<&'s AccountRows> {
    let of_tenant = |rows: &&AccountRows| {
        (rows.account.organization_id, rows.account.mode) == (tenant.organization_id, tenant.mode)
    };
    state.account(tenant.account_id).filter(of_tenant)
}
