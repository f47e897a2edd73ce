//! Bookings, read.

use std::time::Duration;

use agentcal_engine::ids::BookingId;
use agentcal_engine::model::{Attendee, Booking, BookingStatus};
use agentcal_engine::ports::{BookingFilter, PageRequest};

use crate::World;
use crate::world::first_page;

async fn list(world: &World, filter: &BookingFilter) -> Vec<BookingId> {
    let listed = world.store.list_bookings(&world.tenant, filter, world.now(), &first_page(100)).await;
    listed.expect("readable").rows.into_iter().map(|booking| booking.id).collect()
}

/// A booking comes back as written, whatever it lacks.
pub async fn a_booking_comes_back_as_written(world: World) {
    let (_, calendars) = world.connect(1).await;
    let [one, two] = [world.user().await, world.user_on(calendars[0].id).await];
    let whole = world.book(&[&two, &one], world.minutes(0, 30)).await;
    assert_eq!(world.booking(whole.id).await, whole);

    let (booking, mut plan) = world.booking_plan(&[&one], world.minutes(60, 90));
    let attendee = Attendee { name: "Eva".into(), email: None, phone: None, timezone: None };
    let bare = Booking { attendee, metadata: serde_json::Map::new(), location: Some("Room".into()), ..booking };
    plan.booking = Some(agentcal_engine::commit::BookingChange::Insert(Box::new(bare.clone())));
    world.commit(&plan).await;
    assert_eq!(world.booking(bare.id).await, bare);
    let unknown = BookingId::from_uuid(world.uuid());
    assert_eq!(world.store.booking(world.tenant.account_id, unknown).await.expect("readable"), None);
}

/// Bookings are listed ascending by start, then id.
pub async fn bookings_are_listed_by_start_then_id(world: World) {
    let users = [world.user().await, world.user().await, world.user().await];
    let late = world.book(&[&users[0]], world.minutes(60, 90)).await.id;
    let mut early = Vec::new();
    for user in &users {
        early.push(world.book(&[user], world.minutes(0, 30)).await.id);
    }
    early.sort();
    assert_eq!(list(&world, &BookingFilter::default()).await, [early, vec![late]].concat());
}

/// Filters by status at an instant, host, start, e-mail address without case, and telephone number by its digits.
pub async fn bookings_are_filtered(world: World) {
    let [one, two] = [world.user().await, world.user().await];
    let past = world.book(&[&one], world.minutes(0, 30)).await;
    let running = world.book(&[&one, &two], world.minutes(60, 120)).await;
    let next = world.book(&[&two], world.minutes(180, 210)).await;
    let cancelled = world.book(&[&one], world.minutes(240, 270)).await;
    world.commit(&world.cancel_plan(&cancelled, &[&one])).await;
    let (booking, mut plan) = world.booking_plan(&[&one], world.minutes(300, 330));
    let attendee = Attendee { name: "Eva".into(), email: None, phone: Some("030 901".into()), timezone: None };
    let other = Booking { attendee, ..booking };
    plan.booking = Some(agentcal_engine::commit::BookingChange::Insert(Box::new(other.clone())));
    world.commit(&plan).await;
    world.clock.advance(Duration::from_secs(90 * 60));

    let none = BookingFilter::default;
    let check = async |filter: BookingFilter, expected: &[&Booking]| {
        let expected: Vec<_> = expected.iter().map(|booking| booking.id).collect();
        assert_eq!(list(&world, &filter).await, expected, "{filter:?}");
    };
    let status = |status| BookingFilter { status: Some(status), ..none() };
    check(status(BookingStatus::Completed), &[&past]).await;
    check(status(BookingStatus::Confirmed), &[&running, &next, &other]).await;
    check(status(BookingStatus::Cancelled), &[&cancelled]).await;
    check(BookingFilter { user_id: Some(two.id), ..none() }, &[&running, &next]).await;
    let mine = BookingFilter { user_id: Some(one.id), ..status(BookingStatus::Confirmed) };
    check(mine, &[&running, &other]).await;
    let starts_after = Some(world.minutes(60, 61).start);
    let starts_before = Some(world.minutes(240, 241).start);
    check(BookingFilter { starts_after, starts_before, ..none() }, &[&running, &next]).await;
    let email = |text: &str| BookingFilter { attendee_email: Some(text.into()), ..none() };
    check(email("max.mustermann@example.COM"), &[&past, &running, &next, &cancelled]).await;
    check(email("max"), &[]).await;
    let phone = |text: &str| BookingFilter { attendee_phone: Some(text.into()), ..none() };
    check(phone("+4930901820"), &[&past, &running, &next, &cancelled]).await;
    check(phone("4930901820"), &[]).await;
    check(phone("(030) 901"), &[&other]).await;
    check(BookingFilter { user_id: Some(two.id), ..phone("+49 30 901820") }, &[&running, &next]).await;
}

/// A cursor continues where its page ended, though bookings are made before and after it.
pub async fn pages_of_bookings_are_stable_under_inserts(world: World) {
    let user = world.user().await;
    let mut expected = Vec::new();
    for n in 0..5 {
        expected.push(world.book(&[&user], world.minutes(n * 60, n * 60 + 30)).await.id);
    }
    let filter = BookingFilter { user_id: Some(user.id), ..BookingFilter::default() };
    let mut seen = Vec::new();
    let mut page = first_page(2);
    for earlier in 1.. {
        let listed = world.store.list_bookings(&world.tenant, &filter, world.now(), &page).await.expect("readable");
        seen.extend(listed.rows.iter().map(|booking| booking.id));
        world.book(&[&user], world.minutes(-60 * earlier, -60 * earlier + 30)).await;
        match listed.next {
            Some(after) => page = PageRequest { limit: 2, after: Some(after) },
            None => break,
        }
    }
    assert_eq!(seen, expected);
}

/// Bookings of each user that start after an instant; cancelled ones and holds do not count, users without any are left
/// out.
pub async fn future_bookings_are_counted_by_user(world: World) {
    let users = [world.user().await, world.user().await, world.user().await];
    world.book(&[&users[0]], world.minutes(0, 30)).await;
    world.book(&[&users[0], &users[1]], world.minutes(60, 90)).await;
    world.book(&[&users[0]], world.minutes(120, 150)).await;
    let cancelled = world.book(&[&users[1]], world.minutes(120, 150)).await;
    world.commit(&world.cancel_plan(&cancelled, &[&users[1]])).await;
    world.commit(&world.hold_plan(&users[2], world.minutes(120, 150), world.minutes(600, 601).start)).await;
    let ids = users.each_ref().map(|user| user.id);
    let now = world.minutes(0, 1).start;
    let counts = world.store.future_booking_counts(world.tenant.account_id, &ids, now).await;
    assert_eq!(counts.expect("readable"), [(users[0].id, 2), (users[1].id, 1)]);
}
