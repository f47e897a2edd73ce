//! What organizations are told of their own affairs.

use std::collections::BTreeMap;
use std::time::Duration;

use agentcal_engine::followups::MailFor;
use agentcal_engine::ids::WebhookId;
use agentcal_engine::model::{
    Job, JobKind, JobState, Mode, NoticeWork, WebhookDisabled, WebhookEndpoint, WebhookStanding,
};
use agentcal_engine::ports::{
    AttemptRecord, ClaimedNotice, EndedEndpoint, JobNext, JobResult, MailClaim, PageRequest, Write,
};
use agentcal_engine::webhooks::Next;

use crate::webhooks::WebhookWorld;
use crate::webhooks::stage::LEASE;

const FIVE_DAYS: Duration = Duration::from_secs(5 * 24 * 3_600);

impl WebhookWorld {
    async fn notices(&self) -> Vec<ClaimedNotice> {
        let claim = MailClaim { owner: None, limit: 10, lease: LEASE };
        self.jobs.claim_notices(claim).await.expect("answered")
    }

    async fn notice_jobs(&self) -> Vec<Job> {
        let page = PageRequest { limit: 10, after: None };
        self.jobs.list_jobs(self.owner(), Some(JobKind::Notice), None, &page).await.expect("readable").rows
    }

    /// Of two deliveries of an endpoint one fails now, and the other with this status when some time has passed.
    async fn fails_and_fails(&self, endpoint: WebhookId, status: Option<u16>, passed: Duration) -> AttemptRecord {
        self.a_booking().await;
        self.a_booking().await;
        let [first, second] = <[_; 2]>::try_from(self.claimed(endpoint).await).expect("two deliveries");
        self.record(&first, endpoint, None, Next::GiveUp).await;
        self.pass(passed);
        self.tried(&second, endpoint, status, Next::GiveUp)
    }

    async fn switch_on(&self, endpoint: WebhookId) {
        let off = self.read(endpoint).await;
        let on = WebhookEndpoint { standing: WebhookStanding::Enabled, ..off.clone() };
        let switched = self.webhooks.update_endpoint(&off, &on, None).await;
        assert_eq!(switched.expect("the store answers"), Write::Done);
    }

    fn ended(&self, endpoint_id: WebhookId, standing: WebhookStanding, is_told: bool) -> EndedEndpoint {
        EndedEndpoint { endpoint_id, organization_id: self.tenant.organization_id, standing, is_told }
    }
}

/// The end of an endpoint is a job in the transaction that ends it: one each time it happens, however many tries say so.
pub async fn the_end_of_an_endpoint_is_told_once(world: WebhookWorld) {
    let url = "https://example.com/hook?token=secret".to_owned();
    let endpoint = world.make(&WebhookEndpoint { url, ..world.new_endpoint() }).await;
    let mut expected = Vec::new();
    for (status, wait, standing) in [
        (Some(410), Duration::ZERO, WebhookStanding::Gone),
        (Some(503), FIVE_DAYS, WebhookStanding::Failing),
        (None, FIVE_DAYS, WebhookStanding::Failing),
    ] {
        world.pass(Duration::from_secs(1));
        let failing_since = world.now();
        let last = world.fails_and_fails(endpoint, status, wait).await;
        let both = [last.clone(), last.clone()];
        assert_eq!(world.recorded_with_mail(&both).await, [world.ended(endpoint, standing, true)]);
        assert_eq!(world.recorded_with_mail(&[last]).await, [], "it has ended");
        let (at, url) = (world.now(), "https://example.com/hook".to_owned());
        let told = WebhookDisabled { endpoint_id: endpoint, url, standing, failing_since, last_status: status, at };
        expected.push(NoticeWork::WebhookDisabled(told));
        world.switch_on(endpoint).await;
    }
    let due = world.jobs.first_due().await.expect("readable");
    assert!(due.contains_key(&JobKind::Notice), "{due:?}");
    let mut notices = world.notices().await;
    let at = |notice: &ClaimedNotice| match &notice.work {
        NoticeWork::WebhookDisabled(told) => told.at,
    };
    notices.sort_by_key(at);
    assert_eq!(notices.iter().map(|notice| notice.work.clone()).collect::<Vec<_>>(), expected);
    for notice in &notices {
        let of = (notice.organization_id, notice.account_id, notice.mode, notice.attempts);
        assert_eq!(of, (world.tenant.organization_id, world.tenant.account_id, Mode::Test, 1));
    }
    assert!(world.notice_jobs().await.iter().all(|job| job.booking_id.is_none()));
}

/// Without a way for mails to leave nobody is told, and nothing is kept for later.
pub async fn nobody_is_told_where_no_mail_can_leave(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    for mail in [MailFor::NOBODY, MailFor { live: true, test: false }] {
        let last = world.fails_and_fails(endpoint, Some(410), Duration::ZERO).await;
        let ended = world.webhooks.record_attempts(&[last], mail).await.expect("the store answers");
        assert_eq!(ended, [world.ended(endpoint, WebhookStanding::Gone, false)]);
        world.switch_on(endpoint).await;
    }
    assert_eq!(world.notice_jobs().await, []);
}

/// An endpoint ends also by what was to be told in an account that is gone by then.
pub async fn an_endpoint_ends_without_its_account(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    let last = world.fails_and_fails(endpoint, Some(410), Duration::ZERO).await;
    assert_eq!(world.store.delete_account(&world.tenant, None).await.expect("answered"), Write::Done);
    let ended = world.recorded_with_mail(&[last]).await;
    assert_eq!(ended, [world.ended(endpoint, WebhookStanding::Gone, false)]);
    assert_eq!(world.read(endpoint).await.standing, WebhookStanding::Gone);
}

/// A notice is done as a mail is: in one hand at a time, given up, tried again, done.
pub async fn a_notice_is_done_as_a_mail_is(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    let last = world.fails_and_fails(endpoint, Some(410), Duration::ZERO).await;
    world.recorded_with_mail(&[last]).await;
    let claim = MailClaim { owner: None, limit: 10, lease: LEASE };
    assert_eq!(world.jobs.claim_mails(claim).await.expect("answered"), [], "it is no mail of a booking");
    let [notice] = <[_; 1]>::try_from(world.notices().await).expect("one notice");
    assert_eq!(world.notices().await, []);
    let keep = async |attempts, outcome: &str, next| {
        let (account_id, id) = (notice.account_id, notice.id);
        let result = JobResult { account_id, id, attempts, ended_at: world.now(), outcome: outcome.into(), next };
        world.jobs.record_jobs(&[result]).await.expect("answered");
    };
    keep(1, "550 nobody here", JobNext::GiveUp).await;
    let state = async || world.notice_jobs().await.iter().map(|job| (job.id, job.state)).collect::<BTreeMap<_, _>>();
    assert_eq!(state().await, BTreeMap::from([(notice.id, JobState::Dead)]));
    assert_eq!(world.jobs.retry_job(world.owner(), notice.id, None).await.expect("answered"), Write::Done);
    let [again] = <[_; 1]>::try_from(world.notices().await).expect("the same notice");
    assert_eq!((again.id, again.attempts, &again.work), (notice.id, 1, &notice.work));
    keep(1, "250 ok", JobNext::Done).await;
    assert_eq!(state().await, BTreeMap::from([(notice.id, JobState::Done)]));
}
