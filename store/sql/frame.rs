//! The frame round every write above accounts: to what is an organization's own.

use agentcal_engine::commit::{IdempotencyKey, IdempotentAnswer};
use agentcal_engine::ids::OrganizationId;
use agentcal_engine::ports::Write;
use agentcal_engine::time::Timestamp;
use agentcal_store_vault::KeyOwner;

use crate::db::{DbStore, Work};
use crate::error::{Result, store_error};
use crate::locks;
use crate::scope::Scope;
use crate::work::answered;

/// A write above accounts, under way.
pub(crate) struct Frame {
    pub(crate) work: Work,
    organization_id: OrganizationId,
    /// The store's clock when it began.
    pub(crate) now: Timestamp,
}

/// How a write above accounts began.
pub(crate) enum Framed {
    /// It is to be done.
    Fresh(Frame),
    /// It is answered already.
    Ended(Write),
}

impl DbStore {
    /// Begins a write to what is an organization's, unless its key answers it.
    pub(crate) async fn begin_frame(
        &self,
        organization_id: OrganizationId,
        key: Option<&IdempotencyKey>,
    ) -> Result<Framed> {
        let mut work = self.begin_write(Scope::All).await?;
        if key.is_some() {
            // Of two requests with one key the second waits for the first.
            locks::organization(&mut work, organization_id).await?;
        }
        let now = self.now_on(&mut work).await?;
        if let Some(key) = key
            && let Some(write) =
                answered(self.kept(&mut work, KeyOwner::Organization(organization_id), key, now).await?)
        {
            return Ok(Framed::Ended(write));
        }
        Ok(Framed::Fresh(Frame { work, organization_id, now }))
    }

    /// Makes what was done durable, with its answer.
    pub(crate) async fn finish_frame(&self, mut frame: Frame, idempotency: Option<&IdempotentAnswer>) -> Result<Write> {
        if let Some(idempotent) = idempotency {
            let owner = KeyOwner::Organization(frame.organization_id);
            self.keep(&mut frame.work, owner, idempotent, frame.now).await?;
        }
        frame.work.commit().await.map_err(store_error)?;
        Ok(Write::Done)
    }
}
