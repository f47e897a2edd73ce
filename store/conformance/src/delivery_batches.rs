//! Deliveries of many endpoints: claimed at once, and their results kept together.

use std::collections::BTreeSet;
use std::time::Duration;

use agentcal_engine::followups::MailFor;
use agentcal_engine::ids::{DeliveryId, WebhookId};
use agentcal_engine::model::{DeliveryState, WebhookHealth};
use agentcal_engine::ports::{ClaimedDeliveries, ClaimedDelivery, UntriedDelivery, Write};
use agentcal_engine::webhooks::Next;

use crate::webhooks::WebhookWorld;
use crate::webhooks::stage::{LEASE, booking_of};

/// One claim takes of each endpoint as much as there is room for, the most overdue first, and no other endpoint's; with what
/// messages to each of them are signed with.
pub async fn many_endpoints_are_claimed_at_once(world: WebhookWorld) {
    let (first, second, third) = (world.endpoint().await, world.endpoint().await, world.endpoint().await);
    let rotated = world.webhooks.rotate_secret(world.owner(), second, b"another secret entirely", None).await;
    assert_eq!(rotated.expect("the store answers"), Write::Done);
    let mut bookings = Vec::new();
    for _ in 0..3 {
        bookings.push(world.a_booking().await.1.id);
        world.spread().await;
        world.pass(Duration::from_secs(1));
    }
    let unknown = WebhookId::from_uuid(world.uuid());
    let claimed = world.claim_some(&[(first, 2), (second, 1), (unknown, 5)]).await;
    let told = |claimed: &ClaimedDeliveries, id: WebhookId| -> BTreeSet<_> {
        let of_it = claimed.deliveries.iter().filter(|delivery| delivery.endpoint_id == id);
        of_it.map(|delivery| booking_of(delivery).0.id).collect()
    };
    assert_eq!(told(&claimed, first), BTreeSet::from([bookings[0], bookings[1]]));
    assert_eq!(told(&claimed, second), BTreeSet::from([bookings[0]]));
    assert_eq!(claimed.deliveries.len(), 3);
    let secrets = |id: WebhookId| claimed.secrets.get(&id).map(|secrets| secrets.at(world.now()).count());
    assert_eq!([first, second, third, unknown].map(secrets), [Some(1), Some(2), None, None]);
    let rest = world.claim_some(&[(first, 10), (second, 10), (third, 10)]).await;
    assert_eq!([first, second, third].map(|id| told(&rest, id).len()), [1, 2, 3]);
    assert_eq!(world.claim_some(&[]).await, ClaimedDeliveries::default());
}

/// Results of many tries, of several endpoints, are kept together as each by itself: what was overtaken, what succeeded late,
/// and what is given up.
pub async fn results_are_kept_together(world: WebhookWorld) {
    let (first, second) = (world.endpoint().await, world.endpoint().await);
    for _ in 0..3 {
        world.a_booking().await;
    }
    world.spread().await;
    let early = world.claim_some(&[(first, 3), (second, 3)]).await.deliveries;
    world.pass(LEASE);
    let late = world.claim_some(&[(first, 3), (second, 3)]).await.deliveries;
    let of = |all: &[ClaimedDelivery], endpoint, id: DeliveryId| -> ClaimedDelivery {
        let found = all.iter().find(|one| one.endpoint_id == endpoint && one.id == id);
        found.expect("it was claimed").clone()
    };
    let ids: Vec<_> = early.iter().filter(|one| one.endpoint_id == first).map(|one| one.id).collect();
    let failed = |endpoint, one: &ClaimedDelivery, next| world.tried(one, endpoint, Some(500), next);
    let mut records = vec![
        // Overtaken and failed: nothing. Overtaken and delivered: done. The latest, given up: done with.
        failed(first, &of(&early, first, ids[0]), Next::GiveUp),
        world.tried(&of(&early, first, ids[1]), first, Some(200), Next::Delivered),
        failed(first, &of(&late, first, ids[2]), Next::GiveUp),
    ];
    let of_second = late.iter().filter(|one| one.endpoint_id == second);
    records.extend(of_second.map(|one| world.tried(one, second, Some(204), Next::Delivered)));
    world.webhooks.record_attempts(&records, MailFor::NOBODY).await.expect("the store answers");
    let state = async |id: DeliveryId| {
        let listed = world.deliveries(first, None).await;
        let found = listed.into_iter().find(|one| one.id == id).expect("it is listed");
        (found.state, found.attempts.len())
    };
    assert_eq!(state(ids[0]).await, (DeliveryState::Pending, 1));
    assert_eq!(state(ids[1]).await, (DeliveryState::Delivered, 1));
    assert_eq!(state(ids[2]).await, (DeliveryState::Failed, 1));
    assert_eq!(world.states(second).await, [DeliveryState::Delivered; 3]);
    assert_eq!(world.read(first).await.health.failures, 1, "in the order in which they were recorded");
    assert_eq!(world.read(second).await.health, WebhookHealth::default());
}

/// What was taken in hand and not tried is due again at once, and its try does not count. What somebody has taken since, or has
/// ended, stays as it is; what was asked for anew meanwhile begins with its first try.
pub async fn what_was_not_tried_is_given_back(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    for _ in 0..4 {
        world.a_booking().await;
    }
    world.spread().await;
    let early = world.claim_some(&[(endpoint, 4)]).await.deliveries;
    let untried =
        |one: &ClaimedDelivery| UntriedDelivery { account_id: one.account_id, id: one.id, number: one.number };
    let [given_back, overtaken, ended, asked_for] = [0, 1, 2, 3].map(|place: usize| early[place].clone());
    world.record(&ended, endpoint, Some(200), Next::Delivered).await;
    let resent = world.webhooks.resend_delivery(world.owner(), endpoint, asked_for.id, None).await;
    assert_eq!(resent.expect("the store answers"), Write::Done);
    let all: Vec<_> = [&given_back, &ended, &asked_for].map(untried).into();
    world.webhooks.give_back_deliveries(&all).await.expect("the store answers");
    world.webhooks.give_back_deliveries(&[]).await.expect("the store answers");
    let numbers = |claimed: Vec<ClaimedDelivery>| -> BTreeSet<_> {
        claimed.into_iter().map(|one| (one.id, one.number, one.tries)).collect()
    };
    let again = world.claim(endpoint).await;
    assert_eq!(numbers(again), BTreeSet::from([(given_back.id, 1, 1), (asked_for.id, 1, 1)]));
    world.pass(LEASE);
    let late = world.claim(endpoint).await;
    let seconds = [&given_back, &overtaken, &asked_for].map(|one| (one.id, 2, 2));
    assert_eq!(numbers(late), BTreeSet::from(seconds));
    // It was the first try that came to nothing, and the second is under way.
    world.webhooks.give_back_deliveries(&[untried(&overtaken)]).await.expect("the store answers");
    assert_eq!(world.claim(endpoint).await, []);
}
