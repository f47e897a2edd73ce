//! What cannot be done, and how that is said.

use agentcal_engine::model::{AttendeePolicy, BookingStatus};

use crate::support::{BOOKED, Setup, World, at};

const MOVE: &str = "start=2026-11-25T10:00:00Z";
const CANCEL: &str = "confirm=yes";

#[tokio::test]
async fn a_cancelled_booking_says_so_and_offers_nothing() {
    let world = World::start().await;
    world.cancel().await;
    world.get("").await.expect(200).says(&["<dd>Cancelled</dd>"]).hides(&["<form"]);
    for page in [world.get("/reschedule").await, world.get("/cancel").await, world.post("/reschedule", MOVE).await] {
        page.expect(409).says(&["role=\"alert\"", "was cancelled before"]).hides(&["<form"]);
    }
    // Cancelling what is cancelled is no mistake of anybody's.
    world.post("/cancel", CANCEL).await.expect(303);
    world.get("?done=moved").await.expect(200).hides(&["was moved"]);
}

#[tokio::test]
async fn a_booking_that_is_over_says_so_and_offers_nothing() {
    let world = World::start().await;
    world.clock.advance(26);
    world.get("").await.expect(200).says(&["<dd>Over</dd>"]).hides(&["<form"]);
    for page in [
        world.get("/reschedule").await,
        world.get("/cancel").await,
        world.post("/reschedule", MOVE).await,
        world.post("/cancel", CANCEL).await,
    ] {
        page.expect(409).says(&["This booking is over."]).hides(&["<form"]);
    }
}

#[tokio::test]
async fn too_late_is_too_late_on_every_way() {
    let policy =
        AttendeePolicy { cancel_notice_hours: Some(24), reschedule_notice_hours: Some(24), reschedules_max: None };
    let world = World::with(Setup { policy, ..Setup::default() }).await;
    world.get("/cancel").await.expect(200);
    world.clock.advance(2);
    for page in [
        world.get("/reschedule").await,
        world.get("/cancel").await,
        world.post("/reschedule", MOVE).await,
        world.post("/cancel", CANCEL).await,
    ] {
        page.expect(403).says(&["no longer possible online"]).hides(&["<form"]);
    }
    let booking = world.booking().await;
    assert_eq!((booking.status, booking.range.start), (BookingStatus::Confirmed, at(BOOKED)));
}

#[tokio::test]
async fn times_nobody_offered_are_refused() {
    let world = World::start().await;
    for start in [
        "2026-11-24T02:00:00Z",
        "2026-11-24T08:10:00Z",
        "2026-11-22T08:00:00Z",
        "2026-11-28T10:00:00Z",
        "2028-01-03T10:00:00Z",
    ] {
        world.post("/reschedule", &format!("start={start}")).await.expect(409).says(&["no longer open"]);
    }
    assert_eq!(world.booking().await.range.start, at(BOOKED));
}

#[tokio::test]
async fn forms_that_make_no_sense_change_nothing() {
    let world = World::start().await;
    for form in ["", "start=", "start=tomorrow", "other=1"] {
        let page = world.post("/reschedule", form).await.expect(422);
        assert!(!page.says(&["Please choose one of the times."]).offered().is_empty());
    }
    world.post("/reschedule", "start=2199-12-31T23:59:00Z").await.expect(422).says(&["too far away"]);
    for form in ["", "confirm=no", "confirm"] {
        world.post("/cancel", form).await.expect(422);
    }
    for form in ["start=a&start=b", "start=%ff"] {
        let status = world.post("/reschedule", form).await.status;
        assert!((400..=422).contains(&status), "{form}: {status}");
    }
    let long = format!("confirm=yes&reason={}", "a".repeat(20_000));
    world.post("/cancel", &long).await.expect(413).says(&["Nothing was changed."]);
    let booking = world.booking().await;
    assert_eq!((booking.status, booking.range.start), (BookingStatus::Confirmed, at(BOOKED)));
}

#[tokio::test]
async fn unknown_is_never_free() {
    let world = World::with(Setup { loses_calendar: true, ..Setup::default() }).await;
    world.get("").await.expect(200).says(&["Choose another time"]);
    for page in [world.get("/reschedule").await, world.post("/reschedule", MOVE).await] {
        let page = page.expect(503).says(&["cannot be reached at present"]);
        assert_eq!(page.header("retry-after"), "5");
    }
    assert_eq!(world.booking().await.range.start, at(BOOKED));
    world.post("/cancel", CANCEL).await.expect(303);
}

#[tokio::test]
async fn a_node_that_stops_says_try_again() {
    let world = World::start().await;
    world.scheduler.shutdown().await;
    world.post("/cancel", CANCEL).await.expect(503).says(&["open your link again to see whether that was done"]);
    assert_eq!(world.booking().await.status, BookingStatus::Confirmed);
}
