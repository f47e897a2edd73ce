//! What follows from bookings: made once, told and sent when due, kept for a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agentcal_engine::commit::{BookingChange, Outcome};
use agentcal_engine::followups::MailFor;
use agentcal_engine::ids::{BookingId, JobId};
use agentcal_engine::model::{
    Booking, BookingStatus, EventKind, EventSubject, FollowUp, Job, JobKind, JobState, MailEvent, MailPolicy,
    MailReader, Mode, User,
};
use agentcal_engine::ports::{
    ClaimedMail, EndpointOwner, JOB_CANCELLED, JobNext, JobResult, MailClaim, PageRequest, Write,
};
use agentcal_engine::shard::NodeId;
use agentcal_engine::time::{TimeRange, Timestamp};
use agentcal_engine::webhooks::Next;
use chrono_tz::Tz;

use crate::webhooks::WebhookWorld;
use crate::webhooks::stage::LEASE;
use crate::world::changes::told;
use crate::world::idempotent;

const MINUTE: Duration = Duration::from_secs(60);
const TEST: MailFor = MailFor { live: false, test: true };

impl WebhookWorld {
    /// A booking of an event type from which this follows, from the 120th to the 150th minute.
    async fn booked(&self, follow_up: FollowUp) -> (User, Booking) {
        self.booked_at(self.minutes(120, 150), follow_up).await
    }

    async fn booked_at(&self, range: TimeRange, follow_up: FollowUp) -> (User, Booking) {
        let user = self.user().await;
        let slug = format!("slug-{}", user.id.as_uuid().simple());
        let event_type =
            agentcal_engine::model::EventType { follow_up, ..self.new_event_type(&self.tenant, &slug, &[&user]) };
        let made = self.store.create_event_type(&self.tenant, &event_type, None).await;
        assert_eq!(made.expect("answered"), Write::Done);
        let (booking, mut plan) = self.booking_plan(&[&user], range);
        let booking = Booking { event_type_id: Some(event_type.id), ..booking };
        plan.booking = Some(BookingChange::Insert(Box::new(booking.clone())));
        plan.event = Some(told(&plan, EventKind::BookingCreated, booking.clone(), None));
        assert!(matches!(self.commit(&plan).await, Outcome::Committed { .. }));
        (user, booking)
    }

    async fn spread_with_mail(&self) {
        self.webhooks.spread_events(None, 100, TEST).await.expect("answered");
    }

    async fn listed(&self, kind: Option<JobKind>, state: Option<JobState>) -> Vec<Job> {
        let page = PageRequest { limit: 100, after: None };
        self.jobs.list_jobs(self.owner(), kind, state, &page).await.expect("readable").rows
    }

    /// When which kinds of jobs are due, in minutes from now.
    async fn pending(&self) -> Vec<(JobKind, i64)> {
        let jobs = self.listed(None, Some(JobState::Pending)).await;
        let mut due: Vec<_> =
            jobs.iter().map(|job| (job.kind, job.due_at.micros_since(self.now()) / 60_000_000)).collect();
        due.sort();
        due
    }

    async fn ring(&self) -> u32 {
        self.jobs.ring_timers(None, 100).await.expect("answered")
    }

    async fn mails(&self) -> Vec<ClaimedMail> {
        let claim = MailClaim { owner: None, limit: 10, lease: LEASE };
        self.jobs.claim_mails(claim).await.expect("answered")
    }

    async fn one_mail(&self) -> ClaimedMail {
        let [mail] = <[_; 1]>::try_from(self.mails().await).expect("one mail");
        mail
    }

    async fn keep(&self, mail: &ClaimedMail, outcome: &str, next: JobNext) {
        let (account_id, id, attempts) = (mail.account_id, mail.id, mail.attempts);
        let result = JobResult { account_id, id, attempts, ended_at: self.now(), outcome: outcome.into(), next };
        self.jobs.record_jobs(&[result]).await.expect("answered");
    }
}

fn reminded(minutes: &[u32]) -> FollowUp {
    FollowUp { reminders: minutes.to_vec(), mail: MailPolicy::default() }
}

/// Spreading an event makes its jobs, once: mails as the event type says, its reminders that lie ahead, and the end.
pub async fn what_follows_is_made_once(world: WebhookWorld) {
    let mail = MailPolicy { attendee: true, hosts: true };
    let (user, booking) = world.booked(FollowUp { reminders: vec![60, 30, 121], mail }).await;
    world.spread_with_mail().await;
    world.spread_with_mail().await;
    let expected = [
        (JobKind::Mail, 0),
        (JobKind::Mail, 0),
        (JobKind::Reminder, 60),
        (JobKind::Reminder, 90),
        (JobKind::Completed, 150),
    ];
    assert_eq!(world.pending().await, expected);
    let due = world.jobs.first_due().await.expect("readable");
    let minute = |minute| world.minutes(minute, minute + 1).start;
    let first = [(JobKind::Mail, world.now()), (JobKind::Reminder, minute(60)), (JobKind::Completed, minute(150))];
    assert_eq!(due, BTreeMap::from(first));
    let mut mails = world.mails().await;
    mails.sort_by_key(|mail| mail.work.reader != MailReader::Attendee);
    let readers: Vec<_> = mails.iter().map(|mail| mail.work.reader).collect();
    assert_eq!(readers, [MailReader::Attendee, MailReader::Host(user.id)]);
    assert_eq!((mails[0].work.event, mails[0].work.at), (MailEvent::Confirmation, world.now()));
    assert_eq!((mails[0].work.booking.id, mails[0].attempts, mails[0].mode), (booking.id, 1, Mode::Test));
    assert_eq!(mails[0].organization_id, world.tenant.organization_id);
}

/// Without a way out no mail is made, and one who left no address gets none.
pub async fn no_mail_is_made_where_none_can_leave(world: WebhookWorld) {
    world.booked(FollowUp::default()).await;
    world.spread().await;
    world.booked(FollowUp { mail: MailPolicy { attendee: false, hosts: false }, ..FollowUp::default() }).await;
    world.webhooks.spread_events(None, 100, MailFor { live: true, test: false }).await.expect("answered");
    assert_eq!(world.pending().await, [(JobKind::Completed, 150), (JobKind::Completed, 150)]);
    assert_eq!(world.mails().await, []);
}

/// A reminder is an event when its time has come, and the mail follows from that; the end is told, too.
pub async fn a_reminder_is_told_when_it_is_due(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    let (_, booking) = world.booked(reminded(&[60])).await;
    world.spread_with_mail().await;
    let confirmation = world.one_mail().await;
    world.keep(&confirmation, "sent", JobNext::Done).await;
    world.pass(60 * MINUTE - Duration::from_micros(1));
    assert_eq!(world.ring().await, 0);
    world.pass(Duration::from_micros(1));
    assert_eq!((world.ring().await, world.ring().await), (1, 0));
    world.spread_with_mail().await;
    let mail = world.one_mail().await;
    assert_eq!((mail.work.event, mail.work.at), (MailEvent::Reminder { minutes_before: 60 }, world.now()));
    world.pass(90 * MINUTE);
    assert_eq!(world.ring().await, 1);
    world.spread_with_mail().await;
    let heard = world.claim(endpoint).await;
    let told: Vec<_> = heard.iter().map(|delivery| delivery.event.kind).collect();
    let expected = [EventKind::BookingCreated, EventKind::BookingReminder, EventKind::BookingCompleted];
    assert_eq!(told, expected);
    let EventSubject::Booking { booking: reminded, minutes_before, .. } = &heard[1].event.subject else {
        panic!("it is about a booking")
    };
    assert_eq!((reminded.id, *minutes_before), (booking.id, Some(60)));
    assert!(matches!(&heard[2].event.subject, EventSubject::Booking { booking, .. }
        if booking.status == BookingStatus::Completed));
    let done = world.listed(Some(JobKind::Reminder), Some(JobState::Done)).await;
    assert_eq!(done.iter().map(|job| job.last_outcome.as_deref()).collect::<Vec<_>>(), [Some("told")]);
}

/// A move sets new timers, a cancellation none; those set before say nothing.
pub async fn what_was_set_falls_away_with_a_change(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    let (user, booking) = world.booked(reminded(&[60])).await;
    world.commit(&world.reschedule_plan(&booking, &[&user], world.minutes(240, 270))).await;
    world.spread().await;
    let expected =
        [(JobKind::Reminder, 60), (JobKind::Reminder, 180), (JobKind::Completed, 150), (JobKind::Completed, 270)];
    assert_eq!(world.pending().await, expected);
    world.pass(180 * MINUTE);
    assert_eq!(world.ring().await, 3);
    let moved = world.booking(booking.id).await;
    world.commit(&world.cancel_plan(&moved, &[&user])).await;
    world.pass(90 * MINUTE);
    assert_eq!(world.ring().await, 1);
    let heard = world.claimed(endpoint).await;
    let mut told: Vec<_> = heard.iter().map(|delivery| (delivery.event.kind, delivery.event.sequence())).collect();
    told.sort();
    let expected = [
        (EventKind::BookingCreated, Some(0)),
        (EventKind::BookingRescheduled, Some(1)),
        (EventKind::BookingCancelled, Some(2)),
        (EventKind::BookingReminder, Some(1)),
    ];
    assert_eq!(told, expected);
    let outcomes = world.listed(None, Some(JobState::Done)).await;
    let of_no_use = outcomes.iter().filter(|job| job.last_outcome.as_deref() != Some("told")).count();
    assert_eq!((outcomes.len(), of_no_use), (4, 3));
}

/// What nobody was there to tell in time is told while it is of use, and no later.
pub async fn a_late_reminder_is_told_until_the_start(world: WebhookWorld) {
    let (_, early) = world.booked(reminded(&[60])).await;
    let (_, late) = world.booked_at(world.minutes(180, 210), reminded(&[60])).await;
    world.spread().await;
    world.pass(120 * MINUTE - Duration::from_micros(1));
    world.ring().await;
    world.pass(60 * MINUTE + Duration::from_micros(1));
    world.ring().await;
    let settled = world.listed(Some(JobKind::Reminder), Some(JobState::Done)).await;
    let outcomes: BTreeMap<_, _> = settled.iter().map(|job| (job.booking_id, job.last_outcome.as_deref())).collect();
    let begun = Some("of no use: the booking has begun");
    let expected = [(Some(early.id), Some("told")), (Some(late.id), begun)];
    assert_eq!(outcomes, BTreeMap::from(expected));
}

/// However many look for timers at once, each is told once.
pub async fn racers_ring_a_timer_once(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    world.booked(reminded(&[60])).await;
    world.spread().await;
    world.claim(endpoint).await;
    world.pass(60 * MINUTE);
    let jobs = &world.jobs;
    let racers = (0..4).map(|_| async move { jobs.ring_timers(None, 100).await });
    let rung: u32 = futures::future::join_all(racers).await.into_iter().flatten().sum();
    assert_eq!(rung, 1);
    let heard = world.claimed(endpoint).await;
    assert_eq!(heard.iter().filter(|delivery| delivery.event.kind == EventKind::BookingReminder).count(), 1);
}

/// A mail in hand is nobody else's until its lease is over, and that can be put off.
pub async fn a_mail_in_hand_is_nobody_elses(world: WebhookWorld) {
    world.booked(FollowUp::default()).await;
    world.spread_with_mail().await;
    let first = world.one_mail().await;
    world.pass(LEASE - Duration::from_micros(1));
    assert_eq!(world.mails().await, []);
    let in_hand = [(first.account_id, first.id, first.attempts)];
    world.jobs.hold_mails(&in_hand, LEASE).await.expect("answered");
    world.pass(LEASE - Duration::from_micros(1));
    assert_eq!(world.mails().await, []);
    world.pass(Duration::from_micros(1));
    let second = world.one_mail().await;
    assert_eq!((second.id, second.attempts, &second.work), (first.id, 2, &first.work));
    // The first one holds it no more.
    world.jobs.hold_mails(&in_hand, 10 * LEASE).await.expect("answered");
    world.pass(LEASE);
    assert_eq!(world.one_mail().await.attempts, 3);
}

/// What a try came to is kept, with what follows: done and nobody's data left, again at its time, or given up.
pub async fn a_mail_ends_as_recorded(world: WebhookWorld) {
    world.booked(FollowUp::default()).await;
    world.spread_with_mail().await;
    let first = world.one_mail().await;
    world.keep(&first, "451 greylisted", JobNext::Again(MINUTE)).await;
    world.pass(MINUTE - Duration::from_micros(1));
    assert_eq!(world.mails().await, []);
    world.pass(Duration::from_micros(1));
    let early = world.one_mail().await;
    world.keep(&early, "waits for a link", JobNext::NotYet(MINUTE)).await;
    assert_eq!(world.mails().await, []);
    world.pass(MINUTE);
    let second = world.one_mail().await;
    assert_eq!((early.attempts, second.attempts), (2, 2), "what was too early does not count");
    world.keep(&second, "250 ok", JobNext::Done).await;
    let [done] = <[_; 1]>::try_from(world.listed(Some(JobKind::Mail), None).await).expect("one mail");
    assert_eq!((done.state, done.attempts, done.last_outcome.as_deref()), (JobState::Done, 2, Some("250 ok")));
    world.booked(FollowUp::default()).await;
    world.spread_with_mail().await;
    let third = world.one_mail().await;
    world.keep(&third, "550 nobody here", JobNext::GiveUp).await;
    let dead = world.listed(None, Some(JobState::Dead)).await;
    assert_eq!(dead.iter().map(|job| (job.id, job.attempts)).collect::<Vec<_>>(), [(third.id, 1)]);
    world.pass(10 * LEASE);
    assert_eq!(world.mails().await, []);
}

/// Of a try that a later one overtook, a success counts and a failure does not.
pub async fn a_late_result_counts_where_it_is_a_success(world: WebhookWorld) {
    world.booked(FollowUp::default()).await;
    world.spread_with_mail().await;
    let first = world.one_mail().await;
    world.pass(LEASE);
    let second = world.one_mail().await;
    world.keep(&first, "lost", JobNext::GiveUp).await;
    assert_eq!(world.listed(Some(JobKind::Mail), None).await[0].state, JobState::Pending);
    world.keep(&first, "250 ok", JobNext::Done).await;
    world.keep(&second, "lost", JobNext::Again(MINUTE)).await;
    assert_eq!(world.listed(Some(JobKind::Mail), None).await[0].state, JobState::Done);
}

/// An organization sees its own jobs of one mode, newest first, by kind and state, page by page.
pub async fn jobs_are_listed_for_their_organization(world: WebhookWorld) {
    for _ in 0..3 {
        world.pass(Duration::from_secs(1));
        world.booked(reminded(&[60])).await;
        world.spread_with_mail().await;
    }
    let all = world.listed(None, None).await;
    assert_eq!(all.len(), 9);
    assert!(all.is_sorted_by_key(|job| std::cmp::Reverse(job.created_at)));
    assert_eq!(world.listed(Some(JobKind::Reminder), None).await.len(), 3);
    assert_eq!(world.listed(Some(JobKind::Reminder), Some(JobState::Done)).await, []);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = PageRequest { limit: 4, after };
        let page = world.jobs.list_jobs(world.owner(), None, None, &page).await.expect("readable");
        seen.extend(page.rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, all);
    let stranger = world.another_organization().await;
    for owner in [
        EndpointOwner { organization_id: stranger.organization_id, ..world.owner() },
        EndpointOwner { mode: Mode::Live, ..world.owner() },
    ] {
        let page = PageRequest { limit: 10, after: None };
        assert_eq!(world.jobs.list_jobs(owner, None, None, &page).await.expect("readable").rows, []);
    }
}

/// Jobs go a month after their end, and with their account; what waits stays.
pub async fn jobs_are_forgotten(world: WebhookWorld) {
    let month = Duration::from_secs(30 * 24 * 3_600);
    world.booked(FollowUp::default()).await;
    world.spread_with_mail().await;
    let mail = world.one_mail().await;
    world.keep(&mail, "250 ok", JobNext::Done).await;
    let forget = async || world.jobs.forget_old_jobs(10).await.expect("answered");
    world.pass(month - Duration::from_micros(1));
    assert_eq!(forget().await, 0);
    world.pass(Duration::from_micros(1));
    assert_eq!((forget().await, world.listed(None, None).await.len()), (1, 1));
    assert_eq!(world.store.delete_account(&world.tenant, None).await.expect("answered"), Write::Done);
    assert_eq!(world.listed(None, None).await, []);
    assert_eq!(world.jobs.first_due().await.expect("readable"), BTreeMap::new());
}

/// Only the owner of an account's shard takes what follows in it in hand.
pub async fn jobs_are_their_owners(world: WebhookWorld) {
    world.booked(reminded(&[60])).await;
    world.spread_with_mail().await;
    let stranger = Some(NodeId(world.uuid()));
    let claim = MailClaim { owner: stranger, limit: 10, lease: LEASE };
    assert_eq!(world.jobs.claim_mails(claim).await.expect("answered"), []);
    world.pass(60 * MINUTE);
    assert_eq!(world.jobs.ring_timers(stranger, 10).await.expect("answered"), 0);
    assert_eq!((world.ring().await, world.mails().await.len()), (1, 1));
}

/// Days of a year in which clocks change, of those from [`crate::world::MORNING`] on.
const CHANGES: [(Tz, [i64; 2]); 3] =
    [(Tz::Europe__Berlin, [27, 237]), (Tz::America__New_York, [6, 244]), (Tz::Australia__Lord_Howe, [34, 216])];

/// A year of bookings at nine in the morning, each reminded of a day and an hour before: once, at the right moment. A day is
/// 1,440 minutes, so that on the days after a change of the clocks, and on no others, it is another time of day.
pub async fn a_year_of_reminders_is_told(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    let made = year_of_bookings(&world).await;
    while world.webhooks.spread_events(None, 100, MailFor::NOBODY).await.expect("answered").events > 0 {}
    let mut told: BTreeMap<(BookingId, Option<u32>), Vec<Timestamp>> = BTreeMap::new();
    while let Some(&due) = world.jobs.first_due().await.expect("readable").values().min() {
        world.clock.set(due);
        world.ring().await;
        world.spread().await;
        for delivery in world.claim(endpoint).await {
            world.record(&delivery, endpoint, Some(200), Next::Delivered).await;
            let EventSubject::Booking { booking, minutes_before, .. } = &delivery.event.subject else { continue };
            if delivery.event.kind != EventKind::BookingCreated {
                told.entry((booking.id, *minutes_before)).or_default().push(delivery.happened_at);
            }
        }
    }
    let mut shifted = BTreeSet::new();
    for (id, (start, zone)) in &made {
        let at = |minutes: i64| start.plus_micros(-minutes * 60_000_000);
        assert_eq!(told.get(&(*id, Some(1_440))), Some(&vec![at(1_440)]), "{start:?} {zone}");
        assert_eq!(told.get(&(*id, Some(60))), Some(&vec![at(60)]), "{start:?} {zone}");
        assert_eq!(told.get(&(*id, None)), Some(&vec![at(-30)]), "{start:?} {zone}");
        let clock = |instant: Timestamp| instant.to_utc().with_timezone(zone).time();
        if clock(at(1_440)) != clock(*start) {
            shifted.insert((*zone).name().to_owned() + &start.to_utc().date_naive().to_string());
        }
    }
    assert_eq!((told.len(), shifted.len()), (3 * made.len(), 6), "{shifted:?}");
}

/// One every fifth day, and on each day of a change and its neighbours.
async fn year_of_bookings(world: &WebhookWorld) -> BTreeMap<BookingId, (Timestamp, Tz)> {
    let near =
        CHANGES.iter().flat_map(|(zone, days)| days.iter().flat_map(|day| [-1, 0, 1].map(|by| (day + by, *zone))));
    let zones = CHANGES.map(|(zone, _)| zone);
    let fifth = (2..365).step_by(5).map(|day| (day, zones[usize::try_from(day % 3).expect("small")]));
    let days: BTreeMap<(i64, &str), Tz> = near.chain(fifth).map(|(day, zone)| ((day, zone.name()), zone)).collect();
    let mut made = BTreeMap::new();
    for ((day, _), zone) in days {
        let date = world.now().to_utc().date_naive() + chrono::TimeDelta::days(day);
        let nine = date.and_hms_opt(9, 0, 0).expect("a time").and_local_timezone(zone).single();
        let start = Timestamp::from(nine.expect("clocks change at night").with_timezone(&chrono::Utc));
        let range = TimeRange { start, end: start.plus_micros(30 * 60_000_000) };
        let (_, booking) = world.booked_at(range, reminded(&[1_440, 60])).await;
        made.insert(booking.id, (start, zone));
    }
    made
}

/// What was given up is due at once when somebody asks for it, with as many tries as at first; nothing else is.
pub async fn what_was_given_up_is_tried_again(world: WebhookWorld) {
    world.booked(FollowUp::default()).await;
    world.spread_with_mail().await;
    let mail = world.one_mail().await;
    let retry = async || world.jobs.retry_job(world.owner(), mail.id, None).await.expect("answered");
    assert_eq!(retry().await, Write::Refused("job_not_dead"), "it is pending");
    world.keep(&mail, "refused", JobNext::GiveUp).await;
    let job = async || world.jobs.job(world.owner(), mail.id).await.expect("readable").expect("there");
    assert_eq!((job().await.state, job().await.attempts), (JobState::Dead, 1));
    world.pass(60 * MINUTE);
    let answer = idempotent(1, 1, "again");
    for expected in [Write::Done, Write::Replayed(b"again".to_vec())] {
        let write = world.jobs.retry_job(world.owner(), mail.id, Some(&answer)).await;
        assert_eq!(write.expect("answered"), expected);
    }
    assert_eq!((job().await.state, job().await.due_at, job().await.attempts), (JobState::Pending, world.now(), 0));
    let again = world.one_mail().await;
    assert_eq!((again.id, again.attempts, &again.work), (mail.id, 1, &mail.work), "the same mail");
    world.keep(&again, "delivered", JobNext::Done).await;
    assert_eq!(retry().await, Write::Refused("job_not_dead"), "it is done");
}

/// A job that was cancelled is not done, whether it waits or was given up; what was done before stays so.
pub async fn a_cancelled_job_is_not_done(world: WebhookWorld) {
    world.booked(reminded(&[60])).await;
    world.spread_with_mail().await;
    let mail = world.one_mail().await;
    world.keep(&mail, "delivered", JobNext::Done).await;
    for job in world.listed(None, None).await {
        for _ in 0..2 {
            let write = world.jobs.cancel_job(world.owner(), job.id, None).await;
            assert_eq!(write.expect("answered"), Write::Done);
        }
        let ended = world.jobs.job(world.owner(), job.id).await.expect("readable").expect("there");
        let outcome = if job.id == mail.id { "delivered" } else { JOB_CANCELLED };
        assert_eq!((ended.state, ended.last_outcome.as_deref()), (JobState::Done, Some(outcome)));
    }
    world.pass(200 * MINUTE);
    assert_eq!((world.ring().await, world.pending().await), (0, Vec::new()));

    world.booked_at(world.minutes(300, 330), FollowUp::default()).await;
    world.spread_with_mail().await;
    let mail = world.one_mail().await;
    assert_eq!(world.jobs.cancel_job(world.owner(), mail.id, None).await.expect("answered"), Write::Done);
    let job = async || world.jobs.job(world.owner(), mail.id).await.expect("readable").expect("there");
    world.keep(&mail, "later", JobNext::Again(MINUTE)).await;
    assert_eq!(job().await.last_outcome.as_deref(), Some(JOB_CANCELLED), "a failure begins nothing anew");
    world.keep(&mail, "delivered", JobNext::Done).await;
    assert_eq!(job().await.last_outcome.as_deref(), Some("delivered"), "what was under way was done");
}

/// Nobody else sees, retries or cancels a job: not another organization, not the other mode.
pub async fn jobs_change_for_their_organization(world: WebhookWorld) {
    world.booked(FollowUp::default()).await;
    world.spread_with_mail().await;
    let mail = world.one_mail().await;
    world.keep(&mail, "refused", JobNext::GiveUp).await;
    assert_eq!(world.jobs.owner_of_job(mail.id).await.expect("readable"), Some(world.owner()));
    let other = world.another_organization().await;
    let strangers = [
        EndpointOwner { organization_id: other.organization_id, mode: other.mode },
        EndpointOwner { mode: Mode::Live, ..world.owner() },
    ];
    for stranger in strangers {
        assert_eq!(world.jobs.job(stranger, mail.id).await.expect("readable"), None);
        assert_eq!(world.jobs.retry_job(stranger, mail.id, None).await.expect("answered"), Write::Missing);
        assert_eq!(world.jobs.cancel_job(stranger, mail.id, None).await.expect("answered"), Write::Missing);
    }
    let nowhere = JobId::from_uuid(world.uuid());
    assert_eq!(world.jobs.owner_of_job(nowhere).await.expect("readable"), None);
    let job = world.jobs.job(world.owner(), mail.id).await.expect("readable").expect("there");
    assert_eq!(job.state, JobState::Dead);
}
