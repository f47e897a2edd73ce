//! What follows from bookings and is due at a time: made when events are spread, done when its time has come.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use crate::commit::IdempotentAnswer;
use crate::ids::{AccountId, JobId, OrganizationId};
use crate::model::{Job, JobKind, JobState, MailWork, Mode, NoticeWork};
use crate::shard::NodeId;
use crate::time::Timestamp;

use super::{EndpointOwner, ListPage, PageRequest, StoreError, Write};

/// What is said of a job that somebody cancelled.
pub const JOB_CANCELLED: &str = "cancelled";

/// What to take in hand of the mails that are due.
#[derive(Clone, Copy, Debug)]
pub struct MailClaim {
    /// In shards of this node, if one is named.
    pub owner: Option<NodeId>,
    /// Most mails.
    pub limit: u32,
    /// When they are due again, if nothing is heard of them.
    pub lease: Duration,
}

/// A job that is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedJob<W> {
    /// In which account.
    pub account_id: AccountId,
    /// Whose account.
    pub organization_id: OrganizationId,
    /// Of which mode.
    pub mode: Mode,
    /// Its id.
    pub id: JobId,
    /// The number of this try.
    pub attempts: u32,
    /// What it tells, and whom.
    pub work: W,
}

/// A mail that is to be sent now.
pub type ClaimedMail = ClaimedJob<MailWork>;

/// What an organization is to be told now, by mail.
pub type ClaimedNotice = ClaimedJob<NoticeWork>;

/// What follows from a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobNext {
    /// It is done.
    Done,
    /// Again, after a wait.
    Again(Duration),
    /// It was too early for a try; after a wait, and this one does not count.
    NotYet(Duration),
    /// It is given up.
    GiveUp,
}

/// What a try came to, to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobResult {
    /// In which account.
    pub account_id: AccountId,
    /// Which job.
    pub id: JobId,
    /// The number of the try.
    pub attempts: u32,
    /// When it ended, by the store's clock.
    pub ended_at: Timestamp,
    /// What it came to, in words that name nobody.
    pub outcome: String,
    /// What follows.
    pub next: JobNext,
}

/// Jobs. They are made in the transaction that spreads an event ([`super::WebhookStore::spread_events`]), of what
/// [`crate::followups`] says follows from it.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// For each kind of which something is pending, when the first of it is or was due.
    async fn first_due(&self) -> Result<BTreeMap<JobKind, Timestamp>, StoreError>;
    /// Settles timers that are due by the store's clock, the most overdue first, each with the event it comes to, if it comes
    /// to any; of accounts in shards of `owner`, if one is named. Returns how many were settled.
    async fn ring_timers(&self, owner: Option<NodeId>, limit: u32) -> Result<u32, StoreError>;
    /// Takes mails that are due in hand, the most overdue first: they count as tried once more, and are due again when the
    /// lease is over. No two callers get the same one within a lease.
    async fn claim_mails(&self, claim: MailClaim) -> Result<Vec<ClaimedMail>, StoreError>;
    /// The same with notices.
    async fn claim_notices(&self, claim: MailClaim) -> Result<Vec<ClaimedNotice>, StoreError>;
    /// Begins the lease of mails and notices in hand anew: job and number of the try. One that somebody else has taken is left.
    async fn hold_mails(&self, in_hand: &[(AccountId, JobId, u32)], lease: Duration) -> Result<(), StoreError>;
    /// Keeps what tries came to. Of a try that was overtaken by a later one only a success counts. What is done keeps
    /// nothing of anybody.
    async fn record_jobs(&self, results: &[JobResult]) -> Result<(), StoreError>;
    /// Jobs of an organization and mode, and writebacks of it that were given up since they were last asked for, newest first;
    /// all, or those of a kind, or in a state.
    async fn list_jobs(
        &self,
        owner: EndpointOwner,
        kind: Option<JobKind>,
        state: Option<JobState>,
        page: &PageRequest,
    ) -> Result<ListPage<Job>, StoreError>;
    /// A job of an organization and mode.
    async fn job(&self, owner: EndpointOwner, id: JobId) -> Result<Option<Job>, StoreError>;
    /// Whose a job is, for who works on all of them.
    async fn owner_of_job(&self, id: JobId) -> Result<Option<EndpointOwner>, StoreError>;
    /// Makes a job that was given up pending and due at once, with as many tries as at first. Another, and one of which
    /// nothing is left to do: [`Write::Refused`] `job_not_dead`.
    async fn retry_job(
        &self,
        owner: EndpointOwner,
        id: JobId,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// Ends a job that is pending or was given up, as [`JOB_CANCELLED`]; it keeps nothing of anybody. One that was done stays as
    /// it is, and so does what a try comes to that is under way and succeeds.
    async fn cancel_job(
        &self,
        owner: EndpointOwner,
        id: JobId,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// Deletes jobs that were done, or given up, and were due more than 30 days ago, at most `limit`; returns how many.
    async fn forget_old_jobs(&self, limit: u32) -> Result<u64, StoreError>;
}
