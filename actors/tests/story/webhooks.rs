//! Who is told, when, and how often.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use agentcal_engine::ids::WebhookId;
use agentcal_engine::model::{
    DeliveryState, EventKind, NoticeWork, SchedulingMode, WebhookDelivery, WebhookEndpoint, WebhookHealth,
    WebhookStanding,
};
use agentcal_engine::ports::{Clock, EndpointOwner, PageRequest, WebhookStore};

use super::sender::MOOD;
use super::{Stage, hours, wait_for};

async fn stage() -> Stage {
    Stage::set_unsynced(1, SchedulingMode::Individual, |settings| {
        settings.webhook_retry_waits = vec![Duration::from_millis(1), Duration::from_millis(2)];
    })
    .await
}

fn owner(stage: &Stage) -> EndpointOwner {
    EndpointOwner { organization_id: stage.tenant.organization_id, mode: stage.tenant.mode }
}

async fn endpoint(stage: &Stage, url: &str) -> WebhookId {
    let endpoint = WebhookEndpoint {
        id: WebhookId::mint(stage.clock.now(), &*stage.chance),
        organization_id: stage.tenant.organization_id,
        mode: stage.tenant.mode,
        url: url.into(),
        events: BTreeSet::from(EventKind::ALL),
        account_ids: None,
        standing: WebhookStanding::Enabled,
        health: WebhookHealth::default(),
        // The scheduler's clock may be a little behind.
        created_at: stage.clock.now() - Duration::from_secs(1),
    };
    stage.store.create_endpoint(&endpoint, b"a secret of an endpoint", None).await.unwrap();
    endpoint.id
}

async fn deliveries(stage: &Stage, id: WebhookId) -> Vec<WebhookDelivery> {
    let page = PageRequest { limit: 100, after: None };
    stage.store.list_deliveries(owner(stage), id, None, &page).await.unwrap().rows
}

async fn when_all_are(stage: &Stage, id: WebhookId, count: usize, state: DeliveryState) {
    wait_for("deliveries end", || async {
        let found = deliveries(stage, id).await;
        found.len() == count && found.iter().all(|delivery| delivery.state == state)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_endpoint_holds_up_nobody() {
    let stage = stage().await;
    let (slow, well) = (endpoint(&stage, "slow").await, endpoint(&stage, "well").await);
    for hour in 0..20 {
        stage.booked(hours(24 + hour, 25 + hour).start).await;
    }
    when_all_are(&stage, well, 20, DeliveryState::Delivered).await;
    assert_eq!((stage.sender.waiting(), stage.sender.sent_to("slow").len()), (8, 8));
    stage.sender.let_go();
    when_all_are(&stage, slow, 20, DeliveryState::Delivered).await;
    for url in ["slow", "well"] {
        let ids: BTreeSet<_> = stage.sender.sent_to(url).into_iter().map(|message| message.id).collect();
        assert_eq!((ids.len(), stage.sender.sent_to(url).len()), (20, 20), "{url}");
    }
}

/// What was claimed ahead for endpoints that answered, and then hang, leaves places to everybody else.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_hang_with_hands_full_hold_up_nobody() {
    // Longer than anybody waits here.
    let lease = Duration::from_secs(3_600);
    let mut stage = Stage::set_unsynced(1, SchedulingMode::Individual, |settings| {
        settings.webhook_lease = lease;
        settings.webhooks_at_once_max = 160;
    })
    .await;
    let mut stuck = Vec::new();
    for number in 0..16 {
        stuck.push(endpoint(&stage, &format!("stuck-{number}")).await);
    }
    for hour in 0..11 {
        stage.booked(hours(24 + hour, 25 + hour).start).await;
    }
    for &id in &stuck {
        when_all_are(&stage, id, 11, DeliveryState::Pending).await;
    }
    wait_for("all their places are taken", || async { stage.sender.waiting() == 16 * 8 }).await;
    // Each answers one; for that two more are taken in hand than there are places. Ten of each are as many as may be at once.
    stage.sender.answer_first();
    for &id in &stuck {
        wait_for("all that is left is in hand", || async {
            let found = deliveries(&stage, id).await;
            let in_hand = found.iter().filter(|delivery| {
                delivery.state == DeliveryState::Pending && delivery.due_at > stage.clock.now() + lease / 2
            });
            in_hand.count() == 10
        })
        .await;
    }

    stage.move_to_another_organization().await;
    let well = endpoint(&stage, "well").await;
    stage.booked(hours(72, 73).start).await;
    when_all_are(&stage, well, 1, DeliveryState::Delivered).await;

    wait_for("the others hang", || async { stage.sender.waiting() == 16 * 8 }).await;
    stage.sender.let_go();
    for number in 0..16 {
        let url = format!("stuck-{number}");
        wait_for("they are told of all", || async { stage.sender.sent_to(&url).len() == 11 }).await;
        assert_eq!(stage.sender.sent_to(&url).into_iter().map(|message| message.id).collect::<BTreeSet<_>>().len(), 11);
    }
}

/// A booking that twenty endpoints hear of costs a few transactions, not twenty and one for each answer.
#[tokio::test(flavor = "multi_thread")]
async fn many_endpoints_cost_few_transactions() {
    let stage = stage().await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(endpoint(&stage, &format!("well-{number}")).await);
    }
    for hour in 0..10 {
        stage.booked(hours(24 + hour, 25 + hour).start).await;
    }
    for id in ids {
        when_all_are(&stage, id, 10, DeliveryState::Delivered).await;
    }
    let writes = stage.delivery_writes.load(Ordering::SeqCst);
    // A claim for each endpoint alone would come to forty: one has eight places.
    assert!(writes < 40, "{writes} transactions for 200 messages");
}

/// Messages that wait for a place when their endpoint begins to fail go back untried: every try that counts was made.
#[tokio::test(flavor = "multi_thread")]
async fn only_tries_that_were_made_are_counted() {
    let stage = Stage::set_unsynced(1, SchedulingMode::Individual, |settings| {
        settings.webhook_retry_waits = vec![Duration::from_millis(1); 2 * MOOD];
    })
    .await;
    let moody = endpoint(&stage, "moody").await;
    for hour in 0..100 {
        stage.booked(hours(24 + hour, 25 + hour).start).await;
    }
    when_all_are(&stage, moody, 100, DeliveryState::Delivered).await;
    let mut tries: BTreeMap<_, u32> = BTreeMap::new();
    for message in stage.sender.sent_to("moody") {
        *tries.entry(message.id).or_default() += 1;
    }
    assert!(tries.values().any(|&count| count > 1), "it refused some");
    for delivery in deliveries(&stage, moody).await {
        let numbers: Vec<_> = delivery.attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, (1..=tries[&delivery.id]).collect::<Vec<_>>(), "{}", delivery.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_and_then_given_up() {
    let stage = stage().await;
    let ill = endpoint(&stage, "ill").await;
    stage.booked(hours(24, 25).start).await;
    when_all_are(&stage, ill, 1, DeliveryState::Failed).await;
    let sent = stage.sender.sent_to("ill");
    assert_eq!(sent.iter().map(|message| message.id).collect::<BTreeSet<_>>().len(), 1);
    let attempts: Vec<_> = deliveries(&stage, ill).await.remove(0).attempts;
    assert_eq!(
        attempts.iter().map(|attempt| (attempt.number, attempt.status)).collect::<Vec<_>>(),
        [(1, Some(500)), (2, Some(500)), (3, Some(500))]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_gone_is_left_alone() {
    let stage = stage().await;
    let gone = endpoint(&stage, "gone").await;
    stage.booked(hours(24, 25).start).await;
    when_all_are(&stage, gone, 1, DeliveryState::Failed).await;
    let standing = stage.store.endpoint(owner(&stage), gone).await.unwrap().unwrap().standing;
    assert_eq!(standing, WebhookStanding::Gone);
    wait_for("its organization to be told", || async { stage.mailer.notices().len() == 1 }).await;
    let NoticeWork::WebhookDisabled(told) = stage.mailer.notices()[0].work.clone();
    assert_eq!((told.endpoint_id, told.standing, told.last_status), (gone, WebhookStanding::Gone, Some(410)));
    let well = endpoint(&stage, "well").await;
    stage.booked(hours(25, 26).start).await;
    when_all_are(&stage, well, 1, DeliveryState::Delivered).await;
    assert_eq!(stage.sender.sent_to("gone").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_in_hand_is_sent_again_after_its_lease() {
    let mut stage = stage().await;
    let slow = endpoint(&stage, "slow").await;
    stage.booked(hours(24, 25).start).await;
    wait_for("it is in hand", || async { stage.sender.waiting() == 1 }).await;
    stage.restart().await;
    assert_eq!(stage.sender.sent_to("slow").len(), 1);
    stage.clock.jump(Duration::from_secs(30));
    wait_for("it is sent again", || async { stage.sender.sent_to("slow").len() == 2 }).await;
    stage.sender.let_go();
    when_all_are(&stage, slow, 1, DeliveryState::Delivered).await;
    let sent = stage.sender.sent_to("slow");
    assert_eq!(sent[0].id, sent[1].id);
}

/// What was in hand and not under way need not wait for its lease.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_begun_is_given_back_at_the_end() {
    // Longer than anybody waits here.
    let lease = Duration::from_secs(3_600);
    let mut stage = Stage::set_unsynced(1, SchedulingMode::Individual, |settings| settings.webhook_lease = lease).await;
    let tired = endpoint(&stage, "tired").await;
    for hour in 0..60 {
        stage.booked(hours(24 + hour, 25 + hour).start).await;
    }
    wait_for("all its places are taken", || async { stage.sender.waiting() == 8 }).await;
    stage.restart().await;
    stage.sender.let_go();
    wait_for("all but those are delivered", || async {
        let found = deliveries(&stage, tired).await;
        found.iter().filter(|delivery| delivery.state == DeliveryState::Delivered).count() >= 52
    })
    .await;
    stage.clock.jump(lease);
    when_all_are(&stage, tired, 60, DeliveryState::Delivered).await;
}
