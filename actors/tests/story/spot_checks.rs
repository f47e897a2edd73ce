//! Bookings on facts that are too old, where a sync cannot be had and the provider still says what is in the time asked for.

use std::time::Duration;

use agentcal_engine::calendar::request::{ChangedBy, CommitAnswer, CommitKind, Refusal, UnavailableReason};
use agentcal_engine::decision::Reason;
use agentcal_engine::facts::{Knowledge, UnknownReason};
use agentcal_engine::ids::{BookingId, CalendarId};
use agentcal_engine::model::{DecisionRecord, OnStale, SchedulingMode};
use agentcal_engine::ports::{Clock, ConfigStore, DecisionFilter, DecisionStore, PageRequest, ProviderError};
use agentcal_engine::time::{MINUTE_US, Timestamp};

use super::provider::{SpotChecks, event_name};
use super::{Stage, Terms, hours, wait_for};

fn down() -> ProviderError {
    ProviderError::Unavailable("down".into())
}

/// Facts that are too old to book on, of calendars that do not sync any more.
async fn in_the_dark(users: usize, terms: impl Into<Terms>) -> Stage {
    let stage = in_daylight(users, terms).await;
    dim(&stage);
    stage
}

/// Facts nobody polls for.
async fn in_daylight(users: usize, terms: impl Into<Terms>) -> Stage {
    let stage = Stage::set_unsynced(users, terms, |settings| settings.sweep_batch_max = 0).await;
    for calendar_id in stage.calendars() {
        stage.ring_and_sync(calendar_id).await;
    }
    stage.provider.answer_spot_checks(SpotChecks::Told);
    stage
}

fn dim(stage: &Stage) {
    stage.clock.jump(Duration::from_secs(1_000));
    stage.provider.always_fail(Some(down()));
}

fn is_committed(answer: &CommitAnswer) -> bool {
    matches!(answer, CommitAnswer::Committed(_))
}

fn is_busy(answer: &CommitAnswer) -> bool {
    let CommitAnswer::Refused(Refusal { decision, .. }) = answer else { return false };
    decision.verdicts.iter().all(|verdict| verdict.reasons == [Reason::Busy])
}

fn is_too_old(answer: &CommitAnswer) -> bool {
    matches!(answer, CommitAnswer::Unavailable(UnavailableReason::FactsStale { .. }))
}

/// The only decision there was; refusals are recorded moments later.
async fn record(stage: &Stage) -> DecisionRecord {
    let (filter, page) = (DecisionFilter::default(), PageRequest { limit: 10, after: None });
    let all = || stage.store.list_decisions(&stage.tenant, &filter, &page);
    wait_for("it is recorded", || async { !all().await.unwrap().rows.is_empty() }).await;
    let [record] = all().await.unwrap().rows.try_into().expect("one decision");
    record
}

/// Makes events of the stage begin at each quarter of an hour.
async fn offer_quarters(stage: &Stage) {
    let mut event_type = stage.event_type.clone();
    event_type.slot_interval_minutes = 15;
    let revision = stage.scheduler.config(stage.account_id()).await.unwrap().unwrap().config_revision;
    stage.store.update_event_type(&stage.tenant, &event_type, revision, None).await.unwrap();
    stage.scheduler.config_changed(stage.account_id()).await;
}

async fn moved(stage: &Stage, booking_id: BookingId, start: Timestamp) -> CommitAnswer {
    let kind = CommitKind::Reschedule { booking_id, start, offered: false, by: ChangedBy::Key };
    stage.scheduler.commit(stage.request(kind)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_the_provider_says_is_free_is_booked_though_no_sync_can_be_had() {
    let stage = in_the_dark(1, SchedulingMode::Individual).await;
    let before = stage.facts(stage.calendars()[0]).await.as_of();
    stage.provider.put(stage.calendars()[0], "elsewhen", Some(hours(25, 26)));
    let asked_at = stage.clock.now();
    let answer = stage.book(hours(24, 25).start, None).await;
    assert!(is_committed(&answer), "{answer:?}");
    assert_eq!(stage.provider.asked().spot_checks, 1);
    let facts = stage.facts(stage.calendars()[0]).await;
    assert_eq!((facts.as_of(), facts.external.len()), (before, 0), "a check is no facts: nothing of it is kept");
    let seen = record(&stage).await.facts[0];
    assert_eq!(seen.as_of, before, "the facts are as old as they are");
    assert!(seen.checked_at.is_some_and(|checked_at| asked_at <= checked_at), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_the_provider_says_is_taken_is_refused() {
    let stage = in_the_dark(1, SchedulingMode::Individual).await;
    stage.provider.put(stage.calendars()[0], "dentist", Some(hours(24, 25)));
    let answer = stage.book(hours(24, 25).start, None).await;
    assert!(is_busy(&answer), "{answer:?}");
    let CommitAnswer::Refused(refusal) = answer else { panic!("refused") };
    let offered: Vec<_> = refusal.alternatives.iter().map(|alternative| alternative.start).collect();
    assert!(!offered.is_empty() && !offered.contains(&hours(24, 25).start), "{offered:?}");
    assert!(record(&stage).await.facts[0].checked_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_none_leaves_the_time_unknown() {
    for how in [SpotChecks::Unknown, SpotChecks::Untold, SpotChecks::Failing(down())] {
        let stage = in_the_dark(1, SchedulingMode::Individual).await;
        stage.provider.answer_spot_checks(how);
        let answer = stage.book(hours(24, 25).start, None).await;
        assert!(is_too_old(&answer), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_answer_is_not_asked_for_each_booking() {
    let stage = in_the_dark(1, SchedulingMode::Individual).await;
    stage.clock.stop();
    stage.provider.answer_spot_checks(SpotChecks::Failing(down()));
    for hour in 24..27 {
        let answer = stage.book(hours(hour, hour + 1).start, None).await;
        assert!(is_too_old(&answer), "{answer:?}");
    }
    assert_eq!(stage.provider.asked().spot_checks, 1);
    stage.clock.jump(Duration::from_secs(2));
    stage.provider.answer_spot_checks(SpotChecks::Told);
    let answer = stage.book(hours(24, 25).start, None).await;
    assert!(is_committed(&answer), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_accepts_old_facts_or_wants_to_hear_of_them_asks_nobody() {
    for (on_stale, is_made) in [(OnStale::Accept, true), (OnStale::Refuse, false)] {
        let stage = in_the_dark(1, Terms { mode: SchedulingMode::Individual, on_stale }).await;
        let answer = stage.book(hours(24, 25).start, None).await;
        assert_eq!(is_committed(&answer), is_made, "{answer:?}");
        assert_eq!(stage.provider.asked().spot_checks, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_takes_too_long_is_not_waited_for_to_the_end() {
    let stage = in_daylight(1, SchedulingMode::Individual).await;
    stage.clock.jump(Duration::from_secs(1_000));
    stage.provider.shut_gate();
    let kind = stage.book_request(hours(24, 25).start, None).kind;
    let mut request = stage.request(kind);
    request.deadline = stage.clock.now() + Duration::from_secs(3);
    let answer = stage.scheduler.commit(request).await;
    stage.provider.open_gate();
    assert!(is_committed(&answer), "{answer:?}");
    assert_eq!(stage.provider.asked().spot_checks, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_does_not_stand_in_its_own_way() {
    let stage = in_daylight(1, SchedulingMode::Individual).await;
    offer_quarters(&stage).await;
    let calendar_id = stage.calendars()[0];
    let booking = stage.booked(hours(24, 25).start).await;
    wait_for("it is written", || async { stage.provider.ours(calendar_id).len() == 1 }).await;
    dim(&stage);
    // The calendar shows the booking where it was, and the new time overlaps that.
    let start = hours(24, 25).start.plus_micros(15 * MINUTE_US);
    let answer = moved(&stage, booking.id, start).await;
    assert!(is_committed(&answer), "{answer:?}");
    assert_eq!(stage.provider.asked().spot_checks, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_ours_that_somebody_moved_there_is_in_the_way() {
    let stage = in_daylight(1, SchedulingMode::Individual).await;
    let calendar_id = stage.calendars()[0];
    let booking = stage.booked(hours(24, 25).start).await;
    wait_for("it is written", || async { stage.provider.ours(calendar_id).len() == 1 }).await;
    dim(&stage);
    stage.provider.put(calendar_id, &event_name(booking.id), Some(hours(30, 31)));
    let answer = stage.book(hours(30, 31).start, None).await;
    assert!(is_busy(&answer), "{answer:?}");
    let own = moved(&stage, booking.id, hours(30, 31).start).await;
    assert!(is_committed(&own), "the booking may follow its event: {own:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_calendar_in_the_dark_is_asked_about() {
    let stage = in_the_dark(2, SchedulingMode::Collective).await;
    let [first, second]: [CalendarId; 2] = stage.calendars().try_into().unwrap();
    stage.provider.put(second, "dentist", Some(hours(24, 25)));
    let taken = stage.book(hours(24, 25).start, None).await;
    assert!(matches!(&taken, CommitAnswer::Refused(_)), "one of them is busy: {taken:?}");
    assert_eq!(stage.provider.asked().spot_checks, 2);
    stage.provider.put(first, "other", Some(hours(26, 27)));
    let free = stage.book(hours(25, 26).start, None).await;
    assert!(is_committed(&free), "{free:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calendar_that_keeps_failing_can_still_be_looked_at() {
    let stage = in_daylight(1, SchedulingMode::Individual).await;
    let calendar_id = stage.calendars()[0];
    stage.provider.always_fail(Some(down()));
    wait_for("it has failed often", || async {
        stage.clock.jump(Duration::from_secs(60));
        stage.scheduler.bell(stage.account_id(), calendar_id);
        stage.scheduler.picture(calendar_id).await.is_some_and(|picture| picture.machine.failures >= 5)
    })
    .await;
    let unknown = Knowledge::Unknown(UnknownReason::ProviderError);
    wait_for("it counts as unknown", || async { stage.facts(calendar_id).await.knowledge == unknown }).await;
    stage.provider.put(calendar_id, "dentist", Some(hours(480, 481)));
    let taken = stage.book(hours(480, 481).start, None).await;
    assert!(is_busy(&taken), "{taken:?}");
    let free = stage.book(hours(481, 482).start, None).await;
    assert!(is_committed(&free), "{free:?}");
    assert_eq!(stage.facts(calendar_id).await.knowledge, unknown, "and offers nothing");
}
