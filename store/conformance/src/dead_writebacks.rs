//! Writebacks that were given up, as jobs for who looks after them.

use std::collections::BTreeMap;
use std::time::Duration;

use agentcal_engine::ids::{CalendarId, JobId};
use agentcal_engine::model::{Booking, Job, JobKind, JobState, Mode, User, WritebackState};
use agentcal_engine::ports::{EndpointOwner, JOB_CANCELLED, PageRequest, Write, WritebackResult, WrittenEvent};

use crate::webhooks::WebhookWorld;
use crate::world::idempotent;

const MINUTE: Duration = Duration::from_secs(60);

impl WebhookWorld {
    /// A booking whose writeback was given up.
    async fn given_up(&self, minute: i64) -> (User, Booking, CalendarId) {
        let (_, calendars) = self.connect(1).await;
        let user = self.user_on(calendars[0].id).await;
        let booking = self.book(&[&user], self.minutes(minute, minute + 30)).await;
        self.came_to(&booking, calendars[0].id, 1, WritebackState::Failed, false).await;
        (user, booking, calendars[0].id)
    }

    /// Keeps what a try to write came to, after which the event is shown, or not.
    async fn came_to(
        &self,
        booking: &Booking,
        calendar_id: CalendarId,
        version: u64,
        state: WritebackState,
        is_shown: bool,
    ) -> Option<u64> {
        let event = || WrittenEvent { provider_event_id: "event-1".into(), etag: None };
        let result = WritebackResult {
            account_id: self.tenant.account_id,
            booking_id: booking.id,
            calendar_id,
            version,
            state,
            attempts: 20,
            due_at: self.now(),
            last_error: (state == WritebackState::Failed).then(|| "403 read only".to_owned()),
            written: is_shown.then(|| (event(), booking.range)),
            external_state: None,
            conference: None,
        };
        self.store.record_writeback(&result, self.epoch).await.expect("the store answers")
    }

    async fn written_jobs(&self, state: Option<JobState>) -> Vec<Job> {
        let page = PageRequest { limit: 10, after: None };
        self.jobs.list_jobs(self.owner(), Some(JobKind::Writeback), state, &page).await.expect("readable").rows
    }

    async fn dead(&self) -> Job {
        let [job] = <[_; 1]>::try_from(self.written_jobs(Some(JobState::Dead)).await).expect("one dead job");
        job
    }

    async fn state_of(&self, id: JobId) -> JobState {
        self.jobs.job(self.owner(), id).await.expect("readable").expect("there").state
    }

    async fn retried(&self, id: JobId) -> Write {
        self.jobs.retry_job(self.owner(), id, None).await.expect("answered")
    }

    async fn waiting(&self, calendar_id: CalendarId) -> Vec<u32> {
        let jobs = self.store.pending_writebacks(self.tenant.account_id, calendar_id, 10).await.expect("readable");
        jobs.iter().map(|job| job.attempts).collect()
    }
}

/// What was given up is a dead job among the others; what waits or was written for the first time is none.
pub async fn a_writeback_given_up_is_a_dead_job(world: WebhookWorld) {
    let (user, written, calendar_id) = world.given_up(60).await;
    world.book(&[&user], world.minutes(120, 150)).await;
    let job = world.dead().await;
    assert_eq!((job.account_id, job.booking_id), (world.tenant.account_id, Some(written.id)));
    assert_eq!((job.attempts, job.last_outcome.as_deref()), (20, Some("403 read only")));
    assert_eq!((job.kind, job.created_at), (JobKind::Writeback, world.now()));
    assert_eq!(world.written_jobs(None).await, std::slice::from_ref(&job));
    assert_eq!(world.jobs.job(world.owner(), job.id).await.expect("readable"), Some(job.clone()));
    assert_eq!(world.jobs.owner_of_job(job.id).await.expect("readable"), Some(world.owner()));
    let due = world.jobs.first_due().await.expect("readable");
    assert_eq!(due, BTreeMap::from([(JobKind::Writeback, world.now())]), "the other one waits");

    world.pass(MINUTE);
    world.came_to(&written, calendar_id, 1, WritebackState::Written, true).await;
    assert_eq!(
        (world.written_jobs(Some(JobState::Dead)).await, world.state_of(job.id).await),
        (vec![], JobState::Done)
    );
    assert_eq!(world.written_jobs(Some(JobState::Done)).await.len(), 1);
}

/// It is tried again at once with as many tries as at first, under the same id, also when it is given up once more.
pub async fn a_writeback_given_up_is_tried_again(world: WebhookWorld) {
    let (_, booking, calendar_id) = world.given_up(60).await;
    let job = world.dead().await;
    world.pass(MINUTE);
    let answer = idempotent(1, 1, "again");
    for expected in [Write::Done, Write::Replayed(b"again".to_vec())] {
        let write = world.jobs.retry_job(world.owner(), job.id, Some(&answer)).await;
        assert_eq!(write.expect("answered"), expected);
    }
    assert_eq!((world.waiting(calendar_id).await, world.state_of(job.id).await), (vec![0], JobState::Pending));
    let due = world.store.calendars_with_due_writebacks(None, world.now(), 10).await.expect("readable");
    assert_eq!(due.iter().map(|due| due.calendar_id).collect::<Vec<_>>(), [calendar_id]);
    assert_eq!(world.retried(job.id).await, Write::Refused("job_not_dead"), "it is pending");
    world.came_to(&booking, calendar_id, 1, WritebackState::Failed, false).await;
    let again = world.dead().await;
    assert_eq!((again.id, again.created_at), (job.id, world.now()));
    assert_eq!(world.retried(job.id).await, Write::Done);
    world.came_to(&booking, calendar_id, 1, WritebackState::Written, true).await;
    assert_eq!(world.retried(job.id).await, Write::Refused("job_not_dead"), "it was written");
    let host = world.booking(booking.id).await.hosts[0].clone();
    assert_eq!(host.writeback.expect("a writeback").state, WritebackState::Written);
}

/// While a move waits, a calendar's facts tell where the event stands; when it is given up they do not, and then they do.
pub async fn a_move_tried_again_is_told_in_the_facts(world: WebhookWorld) {
    let (_, calendars) = world.connect(1).await;
    let (user, calendar_id) = (world.user_on(calendars[0].id).await, calendars[0].id);
    let booking = world.book(&[&user], world.minutes(60, 90)).await;
    world.came_to(&booking, calendar_id, 1, WritebackState::Written, true).await;
    world.commit(&world.reschedule_plan(&booking, &[&user], world.minutes(120, 150))).await;
    let echoes = async || world.facts(calendar_id).await.echoes.len();
    assert_eq!(echoes().await, 1);
    world.came_to(&booking, calendar_id, 2, WritebackState::Failed, true).await;
    let before = world.facts(calendar_id).await.revision;
    let job = world.dead().await;
    assert_eq!((echoes().await, world.retried(job.id).await), (0, Write::Done));
    assert_eq!((echoes().await, world.facts(calendar_id).await.revision), (1, before + 1));
    let cancelled = world.jobs.cancel_job(world.owner(), job.id, None).await;
    assert_eq!(cancelled.expect("answered"), Write::Done);
    assert_eq!((echoes().await, world.facts(calendar_id).await.revision), (0, before + 2));
}

/// One that was cancelled is put away, until its booking changes and is to be written anew.
pub async fn a_cancelled_writeback_is_put_away(world: WebhookWorld) {
    let (user, booking, calendar_id) = world.given_up(60).await;
    let job = world.dead().await;
    for _ in 0..2 {
        let write = world.jobs.cancel_job(world.owner(), job.id, None).await;
        assert_eq!(write.expect("answered"), Write::Done);
    }
    let ended = world.jobs.job(world.owner(), job.id).await.expect("readable").expect("there");
    assert_eq!((ended.state, ended.last_outcome.as_deref()), (JobState::Done, Some(JOB_CANCELLED)));
    assert_eq!((world.written_jobs(Some(JobState::Dead)).await, world.waiting(calendar_id).await), (vec![], vec![]));
    assert_eq!(world.written_jobs(Some(JobState::Done)).await.len(), 1);
    assert_eq!(world.retried(job.id).await, Write::Refused("job_not_dead"));
    // A try that was under way then changes nothing.
    world.came_to(&booking, calendar_id, 1, WritebackState::Pending, false).await;
    assert_eq!((world.state_of(job.id).await, world.waiting(calendar_id).await), (JobState::Done, vec![]));
    world.commit(&world.cancel_plan(&booking, &[&user])).await;
    assert_eq!((world.state_of(job.id).await, world.waiting(calendar_id).await), (JobState::Pending, vec![0]));
    world.came_to(&booking, calendar_id, 2, WritebackState::Failed, false).await;
    assert_eq!(world.dead().await.id, job.id);
}

/// A calendar that is gone can be written no more, so there is nothing to try again.
pub async fn a_writeback_to_a_gone_calendar_stays_dead(world: WebhookWorld) {
    let (connection, calendars) = world.connect(1).await;
    let user = world.user_on(calendars[0].id).await;
    let booking = world.book(&[&user], world.minutes(60, 90)).await;
    world.came_to(&booking, calendars[0].id, 1, WritebackState::Failed, false).await;
    let home = CalendarId::from_uuid(world.uuid());
    let homes = [(user.id, home)];
    world.store.delete_connection(&world.tenant, connection.id, &homes, world.now(), None).await.expect("written");
    assert_eq!(world.retried(world.dead().await.id).await, Write::Refused("job_not_dead"));
}

/// Writebacks and other jobs are one list, newest first, page by page, and each is its organization's alone.
pub async fn dead_writebacks_are_listed_among_jobs(world: WebhookWorld) {
    for minute in [60, 120, 180] {
        world.pass(Duration::from_secs(1));
        world.given_up(minute).await;
        world.spread().await;
    }
    let list = async |owner, limit, after| {
        world.jobs.list_jobs(owner, None, None, &PageRequest { limit, after }).await.expect("readable")
    };
    let all = list(world.owner(), 100, None).await.rows;
    let of_kind = |kind| all.iter().filter(|job| job.kind == kind).count();
    assert_eq!((of_kind(JobKind::Writeback), of_kind(JobKind::Completed), all.len()), (3, 3, 6));
    assert!(all.is_sorted_by_key(|job| std::cmp::Reverse((job.created_at, job.id))));
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = list(world.owner(), 2, after).await;
        seen.extend(page.rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, all);
    let id = all.iter().find(|job| job.kind == JobKind::Writeback).expect("one").id;
    let stranger = world.another_organization().await;
    for owner in [
        EndpointOwner { organization_id: stranger.organization_id, ..world.owner() },
        EndpointOwner { mode: Mode::Live, ..world.owner() },
    ] {
        assert_eq!(
            (list(owner, 10, None).await.rows, world.jobs.job(owner, id).await.expect("readable")),
            (vec![], None)
        );
        assert_eq!(world.jobs.retry_job(owner, id, None).await.expect("answered"), Write::Missing);
        assert_eq!(world.jobs.cancel_job(owner, id, None).await.expect("answered"), Write::Missing);
    }
    assert_eq!(world.state_of(id).await, JobState::Dead);
}
