//! Bookings that come with a conference.

use std::time::Duration;

use agentcal_engine::calendar::request::{ChangedBy, CommitAnswer, CommitKind};
use agentcal_engine::ids::BookingId;
use agentcal_engine::model::{
    Booking, Conference, ConferenceKind, ConferenceState, JobKind, SchedulingMode, WritebackState,
};
use agentcal_engine::ports::{ConferenceSeen, ConfigStore, ProviderError};

use super::followups::jobs;
use super::{Stage, hours, wait_for};

/// A stage whose event type has a conference.
async fn meeting(users: usize, mode: SchedulingMode) -> Stage {
    let stage = Stage::set(users, mode).await;
    let mut event_type = stage.event_type.clone();
    event_type.conference = Some(ConferenceKind::GoogleMeet);
    let revision = stage.scheduler.config(stage.account_id()).await.unwrap().unwrap().config_revision;
    stage.store.update_event_type(&stage.tenant, &event_type, revision, None).await.unwrap();
    stage.scheduler.config_changed(stage.account_id()).await;
    stage
}

async fn conference(stage: &Stage, id: BookingId) -> Conference {
    stage.stored(id).await.conference.expect("one was asked for")
}

async fn settled(stage: &Stage, id: BookingId) -> Booking {
    wait_for("the conference is settled", || async {
        let booking = stage.stored(id).await;
        let written = booking
            .hosts
            .iter()
            .all(|host| host.writeback.as_ref().is_some_and(|writeback| writeback.state == WritebackState::Written));
        written && booking.conference.is_some_and(|conference| conference.state != ConferenceState::Pending)
    })
    .await;
    stage.stored(id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_comes_with_the_booking_and_stays_when_it_moves() {
    let stage = meeting(1, SchedulingMode::Individual).await;
    let booking = stage.booked(hours(24, 25).start).await;
    let wanted = booking.conference.clone().expect("it is asked for");
    assert_eq!((wanted.state, wanted.join_url), (ConferenceState::Pending, None));
    assert_eq!(wanted.calendar_id, Some(stage.calendars()[0]));
    let ready = settled(&stage, booking.id).await.conference.unwrap();
    let join_url = format!("https://meet.example.com/{}", booking.id);
    assert_eq!((ready.state, ready.join_url.as_deref()), (ConferenceState::Ready, Some(join_url.as_str())));
    let kind = CommitKind::Reschedule {
        booking_id: booking.id,
        start: hours(30, 31).start,
        offered: false,
        by: ChangedBy::Key,
    };
    let moved = stage.scheduler.commit(stage.request(kind)).await;
    let CommitAnswer::Committed(made) = &moved else { panic!("{moved:?}") };
    assert_eq!(made.booking().unwrap().conference, Some(ready.clone()), "who moves it hears of its link");
    assert_eq!(settled(&stage, booking.id).await.conference, Some(ready));
    assert_eq!(stage.provider.asked().conferences, 1, "what is known is not looked at again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_not_there_yet_is_looked_for_again() {
    let stage = meeting(1, SchedulingMode::Individual).await;
    let later =
        [Ok(ConferenceSeen::Pending), Err(ProviderError::Unavailable("503".into())), Ok(ConferenceSeen::Pending)];
    stage.provider.show_conferences(later);
    let id = stage.booked(hours(24, 25).start).await.id;
    for looks in 1..=3 {
        wait_for("it was looked at", || async { stage.provider.asked().conferences == looks }).await;
        assert_eq!(conference(&stage, id).await.state, ConferenceState::Pending);
        stage.clock.jump(Duration::from_secs(3_600));
    }
    assert_eq!(settled(&stage, id).await.conference.unwrap().state, ConferenceState::Ready);
    assert_eq!(stage.provider.ours(stage.calendars()[0]).len(), 1, "written again and again, it is one event");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_confirmation_waits_for_the_link() {
    let stage = meeting(1, SchedulingMode::Individual).await;
    stage.provider.show_conferences([Ok(ConferenceSeen::Pending)]);
    let mut request = stage.book_request(hours(24, 25).start, None);
    let CommitKind::Book(book) = &mut request.kind else { panic!("it books") };
    book.attendee.email = Some("ada@example.com".into());
    let answer = stage.scheduler.commit(request).await;
    let CommitAnswer::Committed(made) = &answer else { panic!("{answer:?}") };
    let id = made.booking().unwrap().id;
    wait_for("it was looked at", || async { stage.provider.asked().conferences == 1 }).await;
    stage.clock.jump(Duration::from_secs(1));
    wait_for("the mail has waited once", || async {
        jobs(&stage, JobKind::Mail).await.first().is_some_and(|job| job.attempts == 0 && job.last_outcome.is_some())
    })
    .await;
    assert_eq!(stage.mailer.sent().len(), 0, "without the link it is of little use");
    stage.clock.jump(Duration::from_secs(50));
    let ready = settled(&stage, id).await.conference;
    // Perhaps the mail looked first, and once more before its patience ends.
    stage.clock.jump(Duration::from_secs(10));
    wait_for("it was sent", || async { !stage.mailer.sent().is_empty() }).await;
    assert_eq!(stage.mailer.sent()[0].work.booking.conference, ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_made_costs_the_booking_nothing() {
    let stage = meeting(1, SchedulingMode::Individual).await;
    stage.provider.show_conferences([Ok(ConferenceSeen::Failed("no licence".into()))]);
    let booking = settled(&stage, stage.booked(hours(24, 25).start).await.id).await;
    let conference = booking.conference.unwrap();
    assert_eq!((conference.state, conference.join_url), (ConferenceState::Failed, None));
    assert_eq!(booking.hosts[0].writeback.as_ref().unwrap().state, WritebackState::Written);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_hosts_one_has_the_conference() {
    let stage = meeting(3, SchedulingMode::Collective).await;
    let booking = settled(&stage, stage.booked(hours(24, 25).start).await.id).await;
    assert_eq!(booking.conference.unwrap().calendar_id, booking.hosts[0].calendar_id);
    assert_eq!(stage.provider.asked().writes, 3);
    assert_eq!(stage.provider.wished(), [ConferenceKind::GoogleMeet]);
}
