//! Does what follows from bookings when its time has come: tells of moments that were waited for, and sends mails, also those
//! that tell organizations of their own affairs. Rows hold everything that waits; a mail in hand here is given back by its lease
//! if this node dies.
//!
//! One task does all of it but the sending. It wakes when events were spread, when a mail was sent, and once a sweep.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::followups::{MailTurn, mail_turn};
use agentcal_engine::ids::{AccountId, JobId};
use agentcal_engine::model::{JobKind, MailWork, User};
use agentcal_engine::ports::{
    AccountConfig, ClaimedMail, JobNext, JobResult, MailClaim, MailSent, Mailer, OutboundMail, OutboundNotice,
    StoreError,
};
use agentcal_engine::shard::NodeId;
use agentcal_engine::time::Timestamp;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use crate::context::Context;
use crate::metrics;
use crate::occasions::Occasions;
use crate::parts::Jobs;

/// Most timers of a kind settled in one transaction.
const TIMERS_MAX: u32 = 100;
/// Leases are held anew when this part of them has passed.
const HELD_ANEW_AFTER: u32 = 3;
/// The wait after a try that failed inside, or for want of the store.
const WAIT_INSIDE: Duration = Duration::from_secs(60);
/// Tries after which a mail is given up that always fails inside.
const TRIES_INSIDE_MAX: u32 = 20;
/// How long mails under way are waited for at the end. Those that take longer are sent again by whoever comes next.
const FAREWELL: Duration = Duration::from_secs(2);

/// What is in hand.
struct Hand {
    context: Arc<Context>,
    jobs: Jobs,
    /// Mails under way, with the number of the try.
    under_way: BTreeMap<(AccountId, JobId), u32>,
    /// When their leases were last held anew.
    held_at: Instant,
    /// What was tried and is not kept yet.
    tried: Vec<JobResult>,
    send: UnboundedSender<JobResult>,
}

/// Works until the scheduler stops.
pub(crate) async fn run(context: Arc<Context>, jobs: Jobs) {
    let (send, mut occasions) = Occasions::new(context.parts.settings.sweep_interval);
    let held_at = Instant::now();
    let mut hand =
        Hand { context: Arc::clone(&context), jobs, under_way: BTreeMap::new(), held_at, tried: Vec::new(), send };
    while let Some(tried) = occasions.next(&context.stopping, &context.job_bell).await {
        hand.take_back(tried);
        if let Err(error) = hand.round().await {
            tracing::warn!(%error, "what follows from bookings waits for the store");
        }
    }
    hand.farewell(occasions).await;
}

impl Hand {
    fn take_back(&mut self, tried: Vec<JobResult>) {
        for result in &tried {
            self.under_way.remove(&(result.account_id, result.id));
        }
        self.tried.extend(tried);
    }

    async fn round(&mut self) -> Result<(), StoreError> {
        self.keep_results().await?;
        self.hold_anew().await?;
        if self.context.is_closing() {
            return Ok(());
        }
        let owner = self.context.ownership.only_own();
        let (due, now) = (self.jobs.store.first_due().await?, self.context.store_now());
        tell_overdue(&due, now);
        let is_due = |kind| due.get(&kind).is_some_and(|&at| at <= now);
        if is_due(JobKind::Reminder) || is_due(JobKind::Completed) {
            self.ring(owner).await?;
        }
        for kind in [JobKind::Mail, JobKind::Notice] {
            if is_due(kind) {
                self.send_due(kind, owner).await?;
            }
        }
        Ok(())
    }

    /// Keeps what tries came to. What cannot be kept now is kept with the next round.
    async fn keep_results(&mut self) -> Result<(), StoreError> {
        if !self.tried.is_empty() {
            self.jobs.store.record_jobs(&self.tried).await?;
            self.tried.clear();
        }
        Ok(())
    }

    /// A server may take its time over a mail; nobody else shall take it for lost meanwhile.
    async fn hold_anew(&mut self) -> Result<(), StoreError> {
        let lease = self.context.parts.settings.mail_lease;
        if self.under_way.is_empty() || self.held_at.elapsed() < lease / HELD_ANEW_AFTER {
            return Ok(());
        }
        let in_hand: Vec<_> =
            self.under_way.iter().map(|(&(account, id), &attempts)| (account, id, attempts)).collect();
        self.jobs.store.hold_mails(&in_hand, lease).await?;
        self.held_at = Instant::now();
        Ok(())
    }

    /// Tells of moments that have come, as events, which are then spread.
    async fn ring(&self, owner: Option<NodeId>) -> Result<(), StoreError> {
        while self.jobs.store.ring_timers(owner, TIMERS_MAX).await? >= TIMERS_MAX {
            self.context.delivery_bell.notify_one();
        }
        self.context.delivery_bell.notify_one();
        Ok(())
    }

    /// Sends what there is room for.
    async fn send_due(&mut self, kind: JobKind, owner: Option<NodeId>) -> Result<(), StoreError> {
        let Some(mailer) = self.jobs.mailer.clone() else { return Ok(()) };
        let settings = &self.context.parts.settings;
        let room = settings.mails_at_once_max.saturating_sub(self.under_way.len());
        let limit = u32::try_from(room).unwrap_or(u32::MAX);
        if limit == 0 {
            return Ok(());
        }
        if self.under_way.is_empty() {
            self.held_at = Instant::now();
        }
        let claim = MailClaim { owner, limit, lease: settings.mail_lease };
        if kind == JobKind::Notice {
            for notice in self.jobs.store.claim_notices(claim).await? {
                let mailer = Arc::clone(&mailer);
                let (account_id, id, organization_id) = (notice.account_id, notice.id, notice.organization_id);
                let (attempts, mode) = (notice.attempts, notice.mode);
                let notice = OutboundNotice { organization_id, mode, work: notice.work, attempts };
                self.begin((account_id, id), attempts, async move { mailer.send_notice(notice).await });
            }
            return Ok(());
        }
        for mail in self.jobs.store.claim_mails(claim).await? {
            let (mailer, context) = (Arc::clone(&mailer), Arc::clone(&self.context));
            let (job, attempts) = ((mail.account_id, mail.id), mail.attempts);
            self.begin(job, attempts, async move { deliver(&context, &*mailer, mail).await });
        }
        Ok(())
    }

    /// Has a mail on its way, and hears what becomes of it.
    fn begin(
        &mut self,
        (account_id, id): (AccountId, JobId),
        attempts: u32,
        sending: impl Future<Output = MailSent> + Send + 'static,
    ) {
        self.under_way.insert((account_id, id), attempts);
        let (context, send) = (Arc::clone(&self.context), self.send.clone());
        tokio::spawn(async move {
            // A panic must not leave one place less for ever.
            let sent = tokio::spawn(sending)
                .await
                .unwrap_or_else(|error| failed(format!("sending failed inside: {error}"), attempts));
            ::metrics::counter!(metrics::MAIL_ATTEMPTS, "outcome" => sent.outcome).increment(1);
            let ended_at = context.store_now();
            let result = JobResult { account_id, id, attempts, ended_at, outcome: sent.said, next: sent.next };
            // Nobody listens any more: the lease gives the mail back.
            let _ = send.send(result);
        });
    }

    /// Keeps what ends soon.
    async fn farewell(mut self, mut occasions: Occasions<JobResult>) {
        let until = Instant::now() + FAREWELL;
        while !self.under_way.is_empty() {
            let Some(tried) = occasions.until(until).await else { break };
            self.take_back(tried);
        }
        if let Err(error) = self.keep_results().await {
            tracing::warn!(%error, "results of mails were not kept; they are sent again, as the same mails");
        }
    }
}

/// Tells for how long the first of each kind has been due.
fn tell_overdue(due: &BTreeMap<JobKind, Timestamp>, now: Timestamp) {
    for kind in JobKind::ALL {
        let overdue = due.get(&kind).map(|&at| now.saturating_since(at)).unwrap_or_default();
        ::metrics::gauge!(metrics::JOBS_OVERDUE, "kind" => kind.as_str()).set(overdue.as_secs_f64());
    }
}

/// Sends a mail that is still of use, once what belongs into it is there.
async fn deliver(context: &Context, mailer: &dyn Mailer, mail: ClaimedMail) -> MailSent {
    match prepare(context, &mail).await {
        Ok(Prepared::Mail(outbound)) => mailer.send(*outbound).await,
        Ok(Prepared::Later(wait)) => {
            let said = "waits for the link of the booking's conference".to_owned();
            MailSent { outcome: "waits", said, next: JobNext::NotYet(wait) }
        }
        Ok(Prepared::Unneeded(reason)) => {
            MailSent { outcome: "unneeded", said: reason.to_owned(), next: JobNext::Done }
        }
        Err(error) => failed(error.to_string(), mail.attempts),
    }
}

/// What has become of a mail that was claimed.
enum Prepared {
    Mail(Box<OutboundMail>),
    Later(Duration),
    Unneeded(&'static str),
}

async fn prepare(context: &Context, mail: &ClaimedMail) -> Result<Prepared, StoreError> {
    let found = context.parts.store.booking(mail.account_id, mail.work.booking.id).await?;
    let booking = match mail_turn(&mail.work, found.map(|item| item.booking), context.store_now()) {
        MailTurn::Goes(booking) => *booking,
        MailTurn::Waits(wait) => return Ok(Prepared::Later(wait)),
        MailTurn::Ends(reason) => return Ok(Prepared::Unneeded(reason)),
    };
    let Some(config) = context.config(mail.account_id).await? else {
        return Ok(Prepared::Unneeded("of no use: the account is gone"));
    };
    let (organization_id, attempts) = (mail.organization_id, mail.attempts);
    let (account, hosts) = (config.account.clone(), hosts_of(&config, mail));
    let work = MailWork { booking, ..mail.work.clone() };
    Ok(Prepared::Mail(Box::new(OutboundMail { organization_id, account, hosts, work, attempts })))
}

/// The booking's hosts that are still there, in its order.
fn hosts_of(config: &AccountConfig, mail: &ClaimedMail) -> Vec<Arc<User>> {
    let user = |id| config.users.iter().find(|(user, _)| user.id == id).map(|(user, _)| Arc::clone(user));
    mail.work.booking.hosts.iter().filter_map(|host| user(host.user_id)).collect()
}

fn failed(said: String, attempts: u32) -> MailSent {
    let next = if attempts < TRIES_INSIDE_MAX { JobNext::Again(WAIT_INSIDE) } else { JobNext::GiveUp };
    MailSent { outcome: "failed", said, next }
}
