//! Writing configuration: read, decide, write while it still stands, else once more.

use std::sync::Arc;

use agentcal_engine::commit::{IdempotencyKey, IdempotentAnswer};
use agentcal_engine::ports::{AccountConfig, Store, StoreError, Write};
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::caller::Cx;
use crate::error::ApiError;
use crate::idempotency::{Settled, keep, mismatch, read_kept};
use crate::refusals::{of_refused_write, store_unavailable};

/// Times a write is decided on; only other processes' writes make it more than once.
const DECISIONS_MAX: u32 = 8;

/// A write under way.
pub(super) type Writing<'a> = BoxFuture<'a, Result<Write, StoreError>>;

/// What a write is made with.
pub(super) struct Pen<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) cx: &'a Cx,
    pub(super) config: &'a AccountConfig,
    pub(super) answer: Option<&'a IdempotentAnswer>,
}

impl Cx {
    /// Decides what to write from the account's configuration and writes it. When the configuration has changed
    /// meanwhile, or something the decision saw is gone, both are done again, so `decide` alone finds the words for what
    /// is missing.
    pub(super) async fn write_config<T: Serialize + DeserializeOwned + Send + Sync>(
        &self,
        key: Option<IdempotencyKey>,
        decide: impl Fn(&AccountConfig) -> Result<T, ApiError> + Send + Sync,
        write: impl for<'a> Fn(Pen<'a>, &'a T) -> Writing<'a> + Send + Sync,
    ) -> Result<Settled<T>, ApiError> {
        if let Some(kept) = self.replay(key.as_ref()).await? {
            return Ok(kept);
        }
        let _turn = self.app.config_turn(self.account_id()).await;
        for _ in 0..DECISIONS_MAX {
            let config: Arc<AccountConfig> = self.config().await?;
            let value = decide(&config)?;
            let answer = keep(key, &value)?;
            let pen = Pen { store: self.app.store(), cx: self, config: &config, answer: answer.as_ref() };
            let written = write(pen, &value).await?;
            match written {
                Write::Done => {
                    self.app.parts.scheduler.config_changed(self.account_id()).await;
                    return Ok(Settled { value, replayed: false });
                }
                Write::Replayed(answer) => return read_kept(&answer),
                Write::IdempotencyMismatch => return Err(mismatch()),
                Write::Refused(reason) => return Err(of_refused_write(reason)),
                Write::Stale | Write::Missing => self.app.parts.scheduler.config_changed(self.account_id()).await,
            }
        }
        Err(store_unavailable())
    }
}
