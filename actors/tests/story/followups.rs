//! What follows from bookings, when, and how often.

use std::time::Duration;

use agentcal_engine::calendar::request::{ChangedBy, CommitAnswer, CommitKind, Made};
use agentcal_engine::model::{Booking, Job, JobKind, JobState, MailEvent, SchedulingMode};
use agentcal_engine::ports::{Clock, EndpointOwner, JobStore, PageRequest};
use agentcal_engine::time::Timestamp;

use super::{Stage, hours, wait_for};

async fn stage(mail_lease: Duration) -> Stage {
    Stage::set_unsynced(1, SchedulingMode::Individual, |settings| settings.mail_lease = mail_lease).await
}

async fn booked_by(stage: &Stage, name: &str, start: Timestamp) -> Booking {
    let mut request = stage.book_request(start, None);
    let CommitKind::Book(book) = &mut request.kind else { panic!("it books") };
    book.attendee.name = name.into();
    book.attendee.email = Some("ada@example.com".into());
    match stage.scheduler.commit(request).await {
        CommitAnswer::Committed(Made::Booking(booking)) => *booking,
        other => panic!("not booked: {other:?}"),
    }
}

pub(super) async fn jobs(stage: &Stage, kind: JobKind) -> Vec<Job> {
    let owner = EndpointOwner { organization_id: stage.tenant.organization_id, mode: stage.tenant.mode };
    let page = PageRequest { limit: 100, after: None };
    stage.store.list_jobs(owner, Some(kind), None, &page).await.unwrap().rows
}

async fn when_done(stage: &Stage, kind: JobKind, count: usize) {
    wait_for("jobs are done", || async {
        let jobs = jobs(stage, kind).await;
        jobs.iter().filter(|job| job.state == JobState::Done).count() == count
    })
    .await;
}

fn told(stage: &Stage) -> Vec<MailEvent> {
    stage.mailer.sent().iter().map(|mail| mail.work.event).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_is_confirmed_reminded_of_and_over() {
    let stage = stage(Duration::from_secs(60)).await;
    let booking = booked_by(&stage, "Ada", hours(24, 25).start).await;
    when_done(&stage, JobKind::Mail, 1).await;
    stage.clock.jump(Duration::from_secs(23 * 3_600));
    when_done(&stage, JobKind::Mail, 2).await;
    assert_eq!(told(&stage), [MailEvent::Confirmation, MailEvent::Reminder { minutes_before: 60 }]);
    let sent = stage.mailer.sent();
    assert!(sent[1].work.at <= stage.clock.now());
    assert_eq!((sent[0].hosts[0].id, sent[0].work.booking.id), (stage.users[0].id, booking.id));
    stage.clock.jump(Duration::from_secs(2 * 3_600));
    when_done(&stage, JobKind::Completed, 1).await;
    assert_eq!(told(&stage).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_reminded_of_what_was_cancelled() {
    let stage = stage(Duration::from_secs(60)).await;
    let booking = booked_by(&stage, "Ada", hours(24, 25).start).await;
    let cancel = CommitKind::Cancel { booking_id: booking.id, reason: None, by: ChangedBy::Key };
    stage.scheduler.commit(stage.request(cancel)).await;
    when_done(&stage, JobKind::Mail, 2).await;
    stage.clock.jump(Duration::from_secs(48 * 3_600));
    when_done(&stage, JobKind::Reminder, 1).await;
    when_done(&stage, JobKind::Completed, 1).await;
    let mut told = told(&stage);
    told.sort_by_key(|event| *event != MailEvent::Confirmation);
    assert_eq!(told, [MailEvent::Confirmation, MailEvent::Cancellation]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_fails_is_sent_again_as_it_was() {
    let stage = stage(Duration::from_secs(60)).await;
    booked_by(&stage, "Later", hours(24, 25).start).await;
    when_done(&stage, JobKind::Mail, 1).await;
    let sent = stage.mailer.sent();
    assert_eq!(sent.iter().map(|mail| mail.attempts).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(sent.iter().all(|mail| mail.work == sent[0].work));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_takes_long_stays_in_one_hand() {
    let stage = stage(Duration::from_millis(200)).await;
    booked_by(&stage, "Slow", hours(24, 25).start).await;
    wait_for("it is in hand", || async { stage.mailer.sent().len() == 1 }).await;
    let first = jobs(&stage, JobKind::Mail).await.remove(0).due_at;
    wait_for("its lease is over, and was held anew", || async {
        stage.clock.now() > first && jobs(&stage, JobKind::Mail).await[0].due_at > first + Duration::from_millis(200)
    })
    .await;
    stage.mailer.let_go();
    when_done(&stage, JobKind::Mail, 1).await;
    assert_eq!(jobs(&stage, JobKind::Mail).await[0].attempts, u32::try_from(stage.mailer.sent().len()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_in_hand_is_sent_again_after_its_lease() {
    let mut stage = stage(Duration::from_secs(60)).await;
    booked_by(&stage, "Slow", hours(24, 25).start).await;
    wait_for("it is in hand", || async { stage.mailer.sent().len() == 1 }).await;
    stage.restart().await;
    assert_eq!(stage.mailer.sent().len(), 1);
    stage.clock.jump(Duration::from_secs(60));
    wait_for("it is sent again", || async { stage.mailer.sent().len() == 2 }).await;
    stage.mailer.let_go();
    when_done(&stage, JobKind::Mail, 1).await;
    let sent = stage.mailer.sent();
    assert_eq!((&sent[0].work, sent[1].attempts), (&sent[1].work, 2));
}
