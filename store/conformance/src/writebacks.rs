//! The outbox of writebacks.

use std::time::Duration;

use agentcal_engine::commit::{BookingChange, Outcome};
use agentcal_engine::facts::PendingEcho;
use agentcal_engine::ids::CalendarId;
use agentcal_engine::model::{
    Booking, BookingStatus, Conference, ConferenceKind, ConferenceState, ConnectionStatus, ExternalState, User,
    WritebackState,
};
use agentcal_engine::ports::{
    ConferenceSettled, DueCalendar, ExternalObservation, WritebackJob, WritebackResult, WrittenEvent,
};
use agentcal_engine::shard::Epoch;

use crate::World;

async fn booked(world: &World) -> (CalendarId, User, Booking) {
    let (_, calendars) = world.connect(1).await;
    let user = world.user_on(calendars[0].id).await;
    let booking = world.book(&[&user], world.minutes(60, 90)).await;
    (calendars[0].id, user, booking)
}

async fn pending(world: &World, calendar_id: CalendarId) -> Vec<WritebackJob> {
    let jobs = world.store.pending_writebacks(world.tenant.account_id, calendar_id, 10).await;
    jobs.expect("readable")
}

async fn written(world: &World, calendar_id: CalendarId, minute: i64) -> Vec<WritebackJob> {
    let ended_before = world.minutes(minute, minute + 1).start;
    let jobs = world.store.written_writebacks(world.tenant.account_id, calendar_id, ended_before).await;
    jobs.expect("readable")
}

fn event() -> WrittenEvent {
    WrittenEvent { provider_event_id: "event-1".into(), etag: Some("\"1\"".into()) }
}

fn done(world: &World, calendar_id: CalendarId, booking: &Booking, version: u64) -> WritebackResult {
    WritebackResult {
        account_id: world.tenant.account_id,
        booking_id: booking.id,
        calendar_id,
        version,
        state: WritebackState::Written,
        attempts: 1,
        due_at: world.now(),
        last_error: None,
        written: Some((event(), booking.range)),
        external_state: Some(ExternalState::InSync),
        conference: None,
    }
}

async fn record(world: &World, result: &WritebackResult) -> Option<u64> {
    world.store.record_writeback(result, world.epoch).await.expect("the store answers")
}

/// A booking's effect is a pending job, due at once, of the booking as it now is.
pub async fn a_booking_waits_to_be_written(world: World) {
    let (calendar_id, _, booking) = booked(&world).await;
    let expected = WritebackJob {
        booking: booking.clone(),
        calendar_id,
        version: 1,
        attempts: 0,
        due_at: world.now(),
        written: None,
        written_range: None,
    };
    assert_eq!(pending(&world, calendar_id).await, [expected]);
    assert_eq!(written(&world, calendar_id, 0).await, []);
    let due = world.store.calendars_with_due_writebacks(None, world.now(), 10).await.expect("readable");
    assert_eq!(due, [DueCalendar { account_id: world.tenant.account_id, calendar_id }]);
}

/// A booking's conference is as its decision said until a result settles it, of whatever version; moving it changes nothing.
pub async fn a_conference_is_settled_by_a_result(world: World) {
    let (_, calendars) = world.connect(1).await;
    let (calendar_id, user) = (calendars[0].id, world.user_on(calendars[0].id).await);
    let wanted = Conference {
        kind: ConferenceKind::GoogleMeet,
        calendar_id: Some(calendar_id),
        state: ConferenceState::Pending,
        join_url: None,
    };
    let (booking, mut plan) = world.booking_plan(&[&user], world.minutes(60, 90));
    let booking = Booking { conference: Some(wanted.clone()), ..booking };
    plan.booking = Some(BookingChange::Insert(Box::new(booking.clone())));
    assert!(matches!(world.commit(&plan).await, Outcome::Committed { .. }));
    assert_eq!(world.booking(booking.id).await.conference, Some(wanted.clone()));
    record(&world, &done(&world, calendar_id, &booking, 1)).await;
    assert_eq!(world.booking(booking.id).await.conference, Some(wanted.clone()), "nothing was said of it");
    let moved = world.reschedule_plan(&world.booking(booking.id).await, &[&user], world.minutes(120, 150));
    assert!(matches!(world.commit(&moved).await, Outcome::Committed { .. }));
    let join_url = "https://meet.example.com/abc".to_owned();
    let settled = Some(ConferenceSettled::Ready(join_url.clone()));
    record(&world, &WritebackResult { conference: settled, ..done(&world, calendar_id, &booking, 1) }).await;
    let ready = Conference { state: ConferenceState::Ready, join_url: Some(join_url), ..wanted.clone() };
    assert_eq!(world.booking(booking.id).await.conference, Some(ready.clone()));
    assert_eq!(pending(&world, calendar_id).await[0].booking.conference, Some(ready), "the job knows it as well");
    let failed = Some(ConferenceSettled::Failed);
    record(&world, &WritebackResult { conference: failed, ..done(&world, calendar_id, &booking, 2) }).await;
    let none = Conference { state: ConferenceState::Failed, ..wanted };
    assert_eq!(world.booking(booking.id).await.conference, Some(none));
    let plain = world.book(&[&user], world.minutes(200, 230)).await;
    let settled = Some(ConferenceSettled::Ready("https://meet.example.com/def".to_owned()));
    record(&world, &WritebackResult { conference: settled, ..done(&world, calendar_id, &plain, 1) }).await;
    assert_eq!(world.booking(plain.id).await.conference, None, "one that asked for none gets none");
}

/// A result of the version tried ends the job and shows on the booking; a failed try leaves it pending until its next due
/// time. Neither changes what the calendar's facts tell.
pub async fn a_written_job_waits_no_more(world: World) {
    let (calendar_id, _, booking) = booked(&world).await;
    let before = world.facts(calendar_id).await.revision;
    let due_at = world.now() + Duration::from_secs(30);
    let failed = WritebackResult {
        state: WritebackState::Pending,
        due_at,
        last_error: Some("time-out".into()),
        written: None,
        external_state: None,
        ..done(&world, calendar_id, &booking, 1)
    };
    assert_eq!(record(&world, &failed).await, None);
    let jobs = pending(&world, calendar_id).await;
    assert_eq!((jobs[0].attempts, jobs[0].due_at, jobs[0].version), (1, due_at, 1));
    let due = world.store.calendars_with_due_writebacks(None, world.now(), 10).await.expect("readable");
    assert_eq!(due, []);

    let done = WritebackResult { attempts: 2, ..done(&world, calendar_id, &booking, 1) };
    assert_eq!(record(&world, &done).await, None);
    assert_eq!(world.facts(calendar_id).await.revision, before);
    assert_eq!(pending(&world, calendar_id).await, []);
    let jobs = written(&world, calendar_id, 0).await;
    assert_eq!((jobs[0].written.clone(), jobs[0].written_range), (Some(event()), Some(booking.range)));
    let host = world.booking(booking.id).await.hosts[0].clone();
    assert_eq!(host.provider_event_id.as_deref(), Some("event-1"));
    let writeback = host.writeback.expect("a host with a calendar has one");
    assert_eq!((writeback.state, writeback.attempts, writeback.last_error), (WritebackState::Written, 2, None));
    let unknown = world.new_booking(&world.tenant, &[], booking.range);
    assert_eq!(record(&world, &self::done(&world, calendar_id, &unknown, 1)).await, None);
}

/// A booking that changed while it was written is still waiting: the late result keeps where the event stands, no more.
pub async fn an_older_result_does_not_end_the_job(world: World) {
    let (calendar_id, user, booking) = booked(&world).await;
    let moved = world.reschedule_plan(&booking, &[&user], world.minutes(120, 150));
    assert!(matches!(world.commit(&moved).await, Outcome::Committed { .. }));
    let late = WritebackResult {
        state: WritebackState::Failed,
        last_error: Some("refused".into()),
        written: None,
        ..done(&world, calendar_id, &booking, 1)
    };
    assert_eq!(record(&world, &late).await, None);
    assert_eq!(pending(&world, calendar_id).await[0].written, None);
    let before = world.facts(calendar_id).await.revision;
    assert_eq!(record(&world, &done(&world, calendar_id, &booking, 1)).await, Some(before + 1), "there is an echo now");
    assert_eq!(record(&world, &done(&world, calendar_id, &booking, 1)).await, None, "the same");
    let jobs = pending(&world, calendar_id).await;
    assert_eq!((jobs[0].version, jobs[0].attempts), (2, 0));
    assert_eq!((jobs[0].written.clone(), jobs[0].written_range), (Some(event()), Some(booking.range)));
    assert_eq!(jobs[0].booking.range, world.minutes(120, 150));
}

/// A node that hung over a write has nothing to say of it any more once another has made it.
pub async fn a_late_failure_undoes_no_success(world: World) {
    let (calendar_id, user, booking) = booked(&world).await;
    let success = done(&world, calendar_id, &booking, 1);
    record(&world, &success).await;
    let expected = written(&world, calendar_id, 0).await;
    for state in [WritebackState::Pending, WritebackState::Failed] {
        let late = WritebackResult { state, last_error: Some("time-out".into()), written: None, ..success.clone() };
        assert_eq!(record(&world, &late).await, None, "{state:?}");
        assert_eq!(
            (written(&world, calendar_id, 0).await, pending(&world, calendar_id).await),
            (expected.clone(), vec![])
        );
    }
    // Nor has it of the version before, once the present one is written.
    assert!(matches!(
        world.commit(&world.reschedule_plan(&booking, &[&user], world.minutes(120, 150))).await,
        Outcome::Committed { .. }
    ));
    let moved = WritebackResult {
        written: Some((WrittenEvent { etag: Some("\"2\"".into()), ..event() }, world.minutes(120, 150))),
        ..done(&world, calendar_id, &booking, 2)
    };
    record(&world, &moved).await;
    let expected = written(&world, calendar_id, 0).await;
    assert_eq!(record(&world, &success).await, None);
    assert_eq!(written(&world, calendar_id, 0).await, expected);
}

/// What an owner learns of a calendar and its bookings is for its heir to say.
pub async fn a_superseded_owner_keeps_nothing(world: World) {
    let (connection, calendars) = world.connect(1).await;
    let (user, calendar_id) = (world.user_on(calendars[0].id).await, calendars[0].id);
    let (account_id, store) = (world.tenant.account_id, &world.store);
    let [waits, stands] = [60, 120].map(|minute| world.minutes(minute, minute + 30));
    let (waits, stands) = (world.book(&[&user], waits).await, world.book(&[&user], stands).await);
    record(&world, &done(&world, calendar_id, &stands, 1)).await;
    let newer = store.raise_epoch().await.expect("raised");
    let seen = ExternalObservation { booking_id: stands.id, state: ExternalState::Moved };
    let tell = async |epoch| {
        for result in [done(&world, calendar_id, &waits, 1), done(&world, calendar_id, &stands, 1)] {
            store.record_writeback(&result, epoch).await.expect("the store answers");
        }
        store.observe_external(account_id, calendar_id, epoch, &[seen]).await.expect("the store answers");
        let status = ConnectionStatus::Error;
        let set = store.set_connection_status(account_id, connection.id, epoch, status, Some("late")).await;
        set.expect("the store answers");
        let (found, _) = store.connection(account_id, connection.id).await.expect("readable").expect("there");
        let state = world.booking(stands.id).await.hosts[0].external_state;
        (pending(&world, calendar_id).await.len(), state, found.status)
    };
    let before = (1, Some(ExternalState::InSync), connection.status);
    for epoch in [world.epoch, Epoch(newer.0 + 1)] {
        assert_eq!(tell(epoch).await, before, "{epoch:?}");
    }
    assert_eq!(tell(newer).await, (0, Some(ExternalState::Moved), ConnectionStatus::Error));
}

/// What is tried while its calendar is disconnected is tried no more.
pub async fn a_late_failure_brings_no_calendar_back(world: World) {
    let (connection, calendars) = world.connect(1).await;
    let user = world.user_on(calendars[0].id).await;
    let booking = world.book(&[&user], world.minutes(60, 90)).await;
    let homes = [(user.id, CalendarId::from_uuid(world.uuid()))];
    world.store.delete_connection(&world.tenant, connection.id, &homes, world.now(), None).await.expect("written");
    let late = WritebackResult {
        state: WritebackState::Pending,
        last_error: Some("time-out".into()),
        written: None,
        ..done(&world, calendars[0].id, &booking, 1)
    };
    record(&world, &late).await;
    let due = world.store.calendars_with_due_writebacks(None, world.now(), 10).await.expect("readable");
    assert_eq!((due, pending(&world, calendars[0].id).await), (vec![], vec![]));
}

/// While a move or a cancellation waits, the facts tell where the booking was last written; afterwards they do not.
pub async fn a_waiting_move_leaves_an_echo(world: World) {
    let (calendar_id, user, booking) = booked(&world).await;
    assert_eq!(world.facts(calendar_id).await.echoes, [], "never written, so there is no echo");
    record(&world, &done(&world, calendar_id, &booking, 1)).await;
    assert_eq!(world.facts(calendar_id).await.echoes, []);
    world.commit(&world.cancel_plan(&booking, &[&user])).await;
    let echo = PendingEcho { booking_id: booking.id, range: booking.range };
    assert_eq!(world.facts(calendar_id).await.echoes, [echo]);
    let job = &pending(&world, calendar_id).await[0];
    assert_eq!((job.booking.status, job.version), (BookingStatus::Cancelled, 2));
    let deleted = WritebackResult { written: None, ..done(&world, calendar_id, &booking, 2) };
    assert!(record(&world, &deleted).await.is_some(), "the echo is gone");
    assert_eq!(world.facts(calendar_id).await.echoes, []);
    assert_eq!(world.booking(booking.id).await.hosts[0].provider_event_id, None);
}

/// What sync saw of an event is kept, unless the booking waits to be written: then sync saw the past.
pub async fn observations_skip_what_waits(world: World) {
    let (calendar_id, _, booking) = booked(&world).await;
    let observe = async |state| {
        let observations = [ExternalObservation { booking_id: booking.id, state }];
        let account_id = world.tenant.account_id;
        world.store.observe_external(account_id, calendar_id, world.epoch, &observations).await.expect("written");
        world.booking(booking.id).await.hosts[0].external_state
    };
    assert_eq!(observe(ExternalState::Deleted).await, Some(ExternalState::InSync));
    record(&world, &done(&world, calendar_id, &booking, 1)).await;
    assert_eq!(observe(ExternalState::Moved).await, Some(ExternalState::Moved));
    assert_eq!(observe(ExternalState::InSync).await, Some(ExternalState::InSync));
}

/// Calendars with a job that is due, most overdue first, each once.
pub async fn due_calendars_come_most_overdue_first(world: World) {
    let (_, calendars) = world.connect(2).await;
    let [one, two] = [world.user_on(calendars[0].id).await, world.user_on(calendars[1].id).await];
    world.book(&[&two], world.minutes(0, 30)).await;
    world.clock.advance(Duration::from_secs(1));
    world.book(&[&one], world.minutes(0, 30)).await;
    world.book(&[&two], world.minutes(60, 90)).await;
    let due = async |limit| {
        let due = world.store.calendars_with_due_writebacks(None, world.now(), limit).await.expect("readable");
        due.into_iter().map(|due| due.calendar_id).collect::<Vec<_>>()
    };
    assert_eq!(due(10).await, [calendars[1].id, calendars[0].id]);
    assert_eq!(due(1).await, [calendars[1].id]);
    let jobs = world.store.pending_writebacks(world.tenant.account_id, calendars[1].id, 1).await.expect("readable");
    assert_eq!(jobs[0].booking.range, world.minutes(0, 30), "oldest due first");
}

/// Sync compares with bookings that have not ended, by where they now are.
pub async fn written_jobs_end_with_their_booking(world: World) {
    let (calendar_id, user, booking) = booked(&world).await;
    record(&world, &done(&world, calendar_id, &booking, 1)).await;
    assert_eq!(written(&world, calendar_id, 90).await.len(), 1);
    assert_eq!(written(&world, calendar_id, 91).await.len(), 0);
    world.commit(&world.reschedule_plan(&booking, &[&user], world.minutes(600, 630))).await;
    record(&world, &done(&world, calendar_id, &booking, 2)).await;
    assert_eq!(written(&world, calendar_id, 600).await.len(), 1);
}

/// A calendar that is gone cannot be written, which must not keep anybody from cancelling.
pub async fn a_gone_calendar_does_not_stop_a_cancellation(world: World) {
    let (connection, calendars) = world.connect(1).await;
    let user = world.user_on(calendars[0].id).await;
    let booking = world.book(&[&user], world.minutes(60, 90)).await;
    let home = CalendarId::from_uuid(world.uuid());
    let homes = [(user.id, home)];
    world.store.delete_connection(&world.tenant, connection.id, &homes, world.now(), None).await.expect("written");
    let user = User { calendar_id: None, home_calendar_id: home, ..user };
    let outcome = world.commit(&world.cancel_plan(&booking, &[&user])).await;
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    let host = world.booking(booking.id).await.hosts[0].clone();
    assert_eq!(host.writeback.expect("a writeback").state, WritebackState::Failed);
    assert_eq!(pending(&world, calendars[0].id).await, []);
    assert_eq!(world.store.calendars_with_due_writebacks(None, world.now(), 10).await.expect("readable"), []);
}
