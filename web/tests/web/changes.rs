//! Moving and cancelling.

use agentcal_engine::model::{AttendeePolicy, BookingStatus};

use crate::support::{Setup, World, at};

#[tokio::test]
async fn a_chosen_time_becomes_the_bookings_time() {
    let world = World::start().await;
    let offered = world.get("/reschedule").await.expect(200).offered();
    assert!(offered.contains(&"2026-11-25T10:00:00Z".to_owned()), "{offered:?}");

    // The second is what an impatient hand or a lost answer sends once more.
    for _ in 0..2 {
        let moved = world.post("/reschedule", "start=2026-11-25T10%3A00%3A00Z").await.expect(303);
        assert_eq!(moved.header("location"), format!("{}?done=moved", world.path));
    }
    let page = world.get("?done=moved").await.expect(200);
    page.says(&["role=\"status\"", "Your booking was moved", "Wednesday, 25 November 2026, 11:00 to 11:30"]);
    let booking = world.booking().await;
    assert_eq!((booking.range.start, booking.attendee_reschedules), (at("2026-11-25T10:00:00Z"), 1));

    let offered = world.get("/reschedule").await.expect(200).offered();
    assert!(offered.contains(&"2026-11-24T08:00:00Z".to_owned()), "its old time is open again: {offered:?}");
}

#[tokio::test]
async fn every_time_that_is_offered_can_be_had() {
    let world = World::start().await;
    world.book_other("2026-11-26T09:00:00Z").await;
    let offered = world.get("/reschedule?date=2026-11-26").await.expect(200).offered();
    assert!(!offered.contains(&"2026-11-26T09:00:00Z".to_owned()));
    for start in offered.iter().take(10) {
        world.post("/reschedule", &format!("start={start}")).await.expect(303);
        assert_eq!(world.booking().await.range.start, at(start));
    }
}

#[tokio::test]
async fn a_time_that_was_just_lost_comes_with_others() {
    let world = World::start().await;
    world.book_other("2026-11-24T10:00:00Z").await;
    let page = world.post("/reschedule", "start=2026-11-24T10:00:00Z").await.expect(409);
    let page = page.says(&["role=\"alert\"", "no longer open", "still at the time below", "All open times"]);
    let near = page.offered();
    assert!(near.is_sorted(), "{near:?}");
    assert!(!near.is_empty() && near.len() <= 5, "{near:?}");
    assert_eq!(world.booking().await.range.start, at("2026-11-24T08:00:00Z"));
    world.post("/reschedule", &format!("start={}", near[0])).await.expect(303);
    assert_eq!(world.booking().await.range.start, at(&near[0]));
}

#[tokio::test]
async fn cancelling_asks_once_and_may_say_why() {
    let world = World::start().await;
    let page = world.get("/cancel").await.expect(200);
    page.says(&["Cancel this booking?", "<label for=\"reason\">", "<textarea id=\"reason\"", "Keep the booking"]);
    world.post("/cancel", "reason=ill").await.expect(422).says(&["Nothing was changed yet", ">ill</textarea>"]);
    assert_eq!(world.booking().await.status, BookingStatus::Confirmed);

    for form in ["reason=I+am%0D%0Aill+%3Cb%3E&confirm=yes", "reason=again&confirm=yes"] {
        let gone = world.post("/cancel", form).await.expect(303);
        assert_eq!(gone.header("location"), format!("{}?done=cancelled", world.path));
    }
    let booking = world.booking().await;
    assert_eq!((booking.status, booking.cancel_reason.as_deref()), (BookingStatus::Cancelled, Some("I am ill <b>")));
    let page = world.get("?done=cancelled").await.expect(200);
    page.says(&["Your booking was cancelled.", "<dd>Cancelled</dd>", "I am ill &lt;b&gt;"]).hides(&["<form"]);
    world.book_other("2026-11-24T08:00:00Z").await;
}

#[tokio::test]
async fn reasons_have_a_length() {
    let world = World::start().await;
    let form = |len: usize| format!("confirm=yes&reason={}", "%C3%A9".repeat(len));
    world.post("/cancel", &form(501)).await.expect(422).says(&["at most 500 characters"]);
    assert_eq!(world.booking().await.status, BookingStatus::Confirmed);
    world.post("/cancel", &form(500)).await.expect(303);
}

#[tokio::test]
async fn a_move_counts_only_when_it_moves() {
    let policy = AttendeePolicy { reschedules_max: Some(2), ..AttendeePolicy::default() };
    let world = World::with(Setup { policy, ..Setup::default() }).await;
    world.get("").await.says(&["until it begins, 2 more times."]);
    world.post("/reschedule", "start=2026-11-25T10:00:00Z").await.expect(303);
    world.post("/reschedule", "start=2026-11-25T10:00:00Z").await.expect(303);
    world.get("").await.says(&["until it begins, once more."]);
    world.post("/reschedule", "start=2026-11-25T11:00:00Z").await.expect(303);
    world.get("").await.says(&["as often as is possible online"]).hides(&["Choose another time"]);
    world.get("/reschedule").await.expect(403).says(&["as often as is possible online"]);
    world.post("/reschedule", "start=2026-11-25T12:00:00Z").await.expect(403);
    assert_eq!(world.booking().await.range.start, at("2026-11-25T11:00:00Z"));
}
