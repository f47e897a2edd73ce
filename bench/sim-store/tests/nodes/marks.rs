//! What owners say of calendars and connections, and when they say nothing any more.

use std::time::Duration;

use agentcal_engine::calendar::FAILURES_UNTIL_ERROR;
use agentcal_engine::model::ConnectionStatus;
use tokio::time::{Instant, sleep};

use crate::desk::Scene;
use crate::links::Way;
use crate::town::until;

/// Another calendar of the connection that succeeds looks for one that fails. Where it found the connection marked and no
/// failure yet, it would call it well, and the failure that comes after would go unseen.
#[tokio::test(start_paused = true)]
async fn a_connection_is_marked_when_the_failure_is_kept() {
    let scene = Scene::set().await;
    scene.town.disk.adjust(|settings| settings.latency = agentcal_sim_store::Span::millis(40, 40));
    let began = Instant::now();
    loop {
        let (status, failures) = scene.shown();
        if failures >= FAILURES_UNTIL_ERROR && status == ConnectionStatus::Error {
            break;
        }
        assert_eq!(status, ConnectionStatus::Syncing, "marked after {failures} failures");
        assert!(began.elapsed() < Duration::from_secs(10), "nobody is told");
        sleep(Duration::from_millis(1)).await;
    }
}

/// A node that hangs over the answer it had to its last question: meanwhile the calendar has another owner, for whom it is
/// there again.
#[tokio::test(start_paused = true)]
async fn who_lost_a_calendar_while_its_request_failed_marks_nothing() {
    let scene = Scene::set().await;
    scene.one.store.hold();
    scene.town.links.set(&scene.one.scheduler, Way::Cut);
    scene.desk.bring_calendar();
    until("the shard is taken over", || scene.other.owns(&scene.person)).await;
    scene.other.scheduler.bell(scene.person.tenant.account_id, scene.calendar_id);
    until("the heir finds it well", || scene.shown() == (ConnectionStatus::Active, 0)).await;
    scene.one.store.resume();
    let resumed = Instant::now();
    while resumed.elapsed() < Duration::from_secs(10) {
        assert_eq!(scene.shown(), (ConnectionStatus::Active, 0));
        sleep(Duration::from_millis(1)).await;
    }
}

/// An owner that found credentials good again, and lost the calendar before it could say so.
#[tokio::test(start_paused = true)]
async fn a_heir_finds_out_what_was_not_said() {
    let scene = Scene::well().await;
    scene.one.store.hold();
    scene.town.links.set(&scene.one.scheduler, Way::Cut);
    scene.say(ConnectionStatus::ReauthorizationRequired).await;
    until("the shard is taken over", || scene.other.owns(&scene.person)).await;
    scene.other.facts(&scene.person).await;
    until("the heir says so", || scene.shown() == (ConnectionStatus::Active, 0)).await;
}

/// A node that hangs between reading what is to be written to a calendar and writing it: whoever owns the calendar by then
/// does so.
#[tokio::test(start_paused = true)]
async fn who_lost_a_calendar_writes_nothing_to_it() {
    let scene = Scene::well().await;
    scene.town.disk.adjust(|settings| settings.latency = agentcal_sim_store::Span::millis(40, 40));
    let booking = {
        let (one, request) = (scene.one.clone(), scene.town.booking(&scene.person, 9));
        tokio::spawn(async move { one.commit(request).await })
    };
    let view = || scene.town.disk.view();
    until("it is booked", || !view().bookings(scene.person.tenant.account_id).is_empty()).await;
    scene.one.store.hold();
    scene.town.links.set(&scene.one.scheduler, Way::Cut);
    until("the shard is taken over", || scene.other.owns(&scene.person)).await;
    until("the heir writes", || scene.desk.written() == 1).await;
    scene.one.store.resume();
    booking.await.expect("no panic");
    let resumed = Instant::now();
    while resumed.elapsed() < Duration::from_secs(10) {
        assert_eq!(scene.desk.written(), 1);
        sleep(Duration::from_millis(1)).await;
    }
}
