//! Events, endpoints and deliveries.

pub(crate) mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agentcal_engine::commit::Outcome;
use agentcal_engine::followups::MailFor;
use agentcal_engine::ids::{DeliveryId, WebhookId};
use agentcal_engine::model::{
    BookingStatus, ConnectionStatus, DeliveryState, EventKind, ExternalState, Mode, WebhookEndpoint, WebhookHealth,
    WebhookStanding, WritebackState,
};
use agentcal_engine::ports::{
    ClaimedDeliveries, DeliveryClaim, EndpointOwner, ExternalObservation, PageRequest, Spread, Write, WritebackResult,
};
use agentcal_engine::shard::NodeId;
use agentcal_engine::time::Timestamp;
use agentcal_engine::webhooks::Next;

use self::stage::{LEASE, booking_of};
use crate::world::idempotent;

pub use self::stage::WebhookWorld;

/// Each change of a booking is one event, and tells of the booking as it was then.
pub async fn one_event_for_each_change(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    let (user, booking) = world.a_booking().await;
    world.pass(Duration::from_secs(1));
    let moved_to = world.minutes(120, 150);
    world.commit(&world.reschedule_plan(&booking, &[&user], moved_to)).await;
    let moved = world.booking(booking.id).await;
    world.pass(Duration::from_secs(1));
    world.commit(&world.cancel_plan(&moved, &[&user])).await;
    assert_eq!(world.spread().await, Spread { events: 3, deliveries: 3 });
    let heard = world.claim(endpoint).await;
    let kinds: Vec<_> = heard.iter().map(|delivery| (delivery.event.kind, delivery.event.sequence())).collect();
    let expected = [EventKind::BookingCreated, EventKind::BookingRescheduled, EventKind::BookingCancelled];
    assert_eq!(kinds, expected.into_iter().zip([Some(0), Some(1), Some(2)]).collect::<Vec<_>>());
    let told: Vec<_> = heard.iter().map(booking_of).collect();
    assert_eq!((told[0].0.range, told[0].0.status), (booking.range, BookingStatus::Confirmed));
    assert_eq!((told[1].0.range, told[1].1), (moved_to, Some(booking.range)));
    assert_eq!(told[2].0.cancel_reason.as_deref(), Some("caller changed her mind"));
}

/// An event is there if its commit was made, and not otherwise; repeating the commit makes no second one.
pub async fn an_event_stands_or_falls_with_its_commit(world: WebhookWorld) {
    world.endpoint().await;
    let user = world.user().await;
    let (_, plan) = world.booking_plan(&[&user], world.minutes(60, 90));
    let (_, taken) = world.booking_plan(&[&user], world.minutes(75, 105));
    world.commit(&plan).await;
    assert!(matches!(world.commit(&taken).await, Outcome::Overlap { .. }));
    assert!(!matches!(world.commit(&plan).await, Outcome::Committed { .. }));
    assert_eq!(world.spread().await, Spread { events: 1, deliveries: 1 });
}

/// A hold that becomes a booking is told as one that was made.
pub async fn a_confirmed_hold_is_told(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    let user = world.user().await;
    let hold = world.new_hold(&world.tenant, &[&user], world.minutes(60, 90), world.now() + LEASE);
    world.place(&[&user], &hold).await;
    assert_eq!(world.spread().await.events, 0);
    let (booking, plan) = world.confirm_plan(&hold, &[&user]);
    world.commit(&plan).await;
    let heard = world.claimed(endpoint).await;
    assert_eq!(heard.iter().map(|delivery| booking_of(delivery).0.id).collect::<Vec<_>>(), [booking.id]);
}

/// What nobody wants to hear is forgotten as soon as that is known.
pub async fn an_unheard_event_goes(world: WebhookWorld) {
    world.a_booking().await;
    assert_eq!(world.spread().await, Spread { events: 1, deliveries: 0 });
    assert_eq!(world.spread().await, Spread::default());
    world.endpoint().await;
    assert_eq!(world.spread().await, Spread::default());
}

/// However many look for new events at once, each endpoint hears of each once.
pub async fn racers_spread_an_event_once(world: WebhookWorld) {
    let endpoints = [world.endpoint().await, world.endpoint().await];
    let (_, booking) = world.a_booking().await;
    let webhooks = &world.webhooks;
    let racers = (0..4).map(|_| async move { webhooks.spread_events(None, 100, MailFor::NOBODY).await });
    let made: u32 = futures::future::join_all(racers).await.into_iter().flatten().map(|spread| spread.deliveries).sum();
    assert_eq!(made, 2);
    for endpoint in endpoints {
        let heard = world.claim(endpoint).await;
        assert_eq!(heard.iter().map(|delivery| booking_of(delivery).0.id).collect::<Vec<_>>(), [booking.id]);
    }
}

/// An endpoint hears of what it asked for: of its mode, its accounts, its kinds, since it was made.
pub async fn endpoints_hear_what_they_asked_for(world: WebhookWorld) {
    world.a_booking().await;
    world.pass(Duration::from_secs(1));
    let base = world.new_endpoint();
    let another = world.another_account().await;
    let of_accounts = |ids: &[_]| Some(BTreeSet::from_iter(ids.iter().copied()));
    let fresh = || WebhookId::from_uuid(world.uuid());
    let all = world.make(&base).await;
    let own = WebhookEndpoint { id: fresh(), account_ids: of_accounts(&[world.tenant.account_id]), ..base.clone() };
    let other = WebhookEndpoint { id: fresh(), account_ids: of_accounts(&[another.account_id]), ..base.clone() };
    let live = WebhookEndpoint { id: fresh(), mode: Mode::Live, ..base.clone() };
    let off = WebhookEndpoint { id: fresh(), standing: WebhookStanding::SwitchedOff, ..base.clone() };
    let cancels =
        WebhookEndpoint { id: fresh(), events: BTreeSet::from([EventKind::BookingCancelled]), ..base.clone() };
    let mut heard = BTreeMap::new();
    for endpoint in [&own, &other, &live, &off, &cancels] {
        world.make(endpoint).await;
    }
    world.a_booking().await;
    world.spread().await;
    for id in [all, own.id, other.id, live.id, off.id, cancels.id] {
        heard.insert(id, world.claim(id).await.len());
    }
    let expected = [(all, 1), (own.id, 1), (other.id, 0), (live.id, 0), (off.id, 0), (cancels.id, 0)];
    assert_eq!(heard, BTreeMap::from(expected));
}

/// An endpoint hears of everything after it was made, also where the node that made it thinks it later than it is.
pub async fn an_endpoint_hears_from_the_stores_now_on(world: WebhookWorld) {
    let early = WebhookEndpoint { created_at: world.now() + Duration::from_secs(1), ..world.new_endpoint() };
    let endpoint = world.make(&early).await;
    world.a_booking().await;
    assert_eq!(world.claimed(endpoint).await.len(), 1);
}

/// A delivery in hand is nobody else's until its lease is over; then it is tried once more.
pub async fn a_claim_lasts_for_its_lease(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    world.a_booking().await;
    let first = world.claimed(endpoint).await;
    assert_eq!(first.iter().map(|delivery| (delivery.number, delivery.tries)).collect::<Vec<_>>(), [(1, 1)]);
    world.pass(LEASE - Duration::from_micros(1));
    assert_eq!((world.claim(endpoint).await, world.due().await), (Vec::new(), Vec::new()));
    world.pass(Duration::from_micros(1));
    assert_eq!(world.due().await.iter().map(|due| due.id).collect::<Vec<_>>(), [endpoint]);
    let again = world.claim(endpoint).await;
    assert_eq!(again.iter().map(|delivery| (delivery.id, delivery.number)).collect::<Vec<_>>(), [(first[0].id, 2)]);
}

/// What a try came to is kept, and so is what follows: done, again at its time, or given up.
pub async fn a_delivery_ends_as_recorded(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    world.a_booking().await;
    let [first] = <[_; 1]>::try_from(world.claimed(endpoint).await).expect("one delivery");
    let wait = Duration::from_secs(5);
    world.record(&first, endpoint, Some(500), Next::Retry(wait)).await;
    assert_eq!(world.claim(endpoint).await, []);
    world.pass(wait);
    let [second] = <[_; 1]>::try_from(world.claim(endpoint).await).expect("due again");
    assert_eq!((second.id, second.number, second.tries), (first.id, 2, 2));
    world.record(&second, endpoint, Some(204), Next::Delivered).await;
    world.pass(LEASE);
    assert_eq!((world.claim(endpoint).await, world.states(endpoint).await), (vec![], vec![DeliveryState::Delivered]));
    let [told] = <[_; 1]>::try_from(world.deliveries(endpoint, None).await).expect("one delivery");
    let tried: Vec<_> = told.attempts.iter().map(|attempt| (attempt.number, attempt.status)).collect();
    assert_eq!(tried, [(1, Some(500)), (2, Some(204))]);
    assert_eq!(told.attempts[1].duration, Duration::from_millis(12));
    world.a_booking().await;
    let [third] = <[_; 1]>::try_from(world.claimed(endpoint).await).expect("another delivery");
    world.record(&third, endpoint, None, Next::GiveUp).await;
    assert_eq!(world.deliveries(endpoint, Some(DeliveryState::Failed)).await.len(), 1);
}

/// Of a try that a later one overtook, a success counts and a failure does not.
pub async fn a_late_result_ends_only_what_it_delivered(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    world.a_booking().await;
    let [first] = <[_; 1]>::try_from(world.claimed(endpoint).await).expect("one delivery");
    world.pass(LEASE);
    let [second] = <[_; 1]>::try_from(world.claim(endpoint).await).expect("due again");
    world.record(&first, endpoint, None, Next::GiveUp).await;
    assert_eq!(world.states(endpoint).await, [DeliveryState::Pending]);
    world.record(&first, endpoint, Some(200), Next::Delivered).await;
    assert_eq!(world.states(endpoint).await, [DeliveryState::Delivered]);
    world.record(&second, endpoint, Some(500), Next::Retry(LEASE)).await;
    assert_eq!(world.states(endpoint).await, [DeliveryState::Delivered]);
}

/// Who says that it is gone, or takes nothing for days, is not spoken to any more, and what waits for it is given up.
pub async fn an_endpoint_ends(world: WebhookWorld) {
    for (status, wait, standing) in [
        (Some(410), Duration::ZERO, WebhookStanding::Gone),
        (None, Duration::from_secs(5 * 24 * 3_600), WebhookStanding::Failing),
    ] {
        let endpoint = world.endpoint().await;
        world.a_booking().await;
        world.a_booking().await;
        let [first, second] = <[_; 2]>::try_from(world.claimed(endpoint).await).expect("two deliveries");
        world.record(&first, endpoint, Some(500), Next::Retry(wait)).await;
        world.pass(wait);
        world.record(&second, endpoint, status, Next::GiveUp).await;
        let ended = world.read(endpoint).await;
        assert_eq!((ended.standing, ended.health.failures), (standing, 2));
        assert_eq!(world.states(endpoint).await, [DeliveryState::Failed, DeliveryState::Failed]);
        world.a_booking().await;
        assert_eq!(world.claimed(endpoint).await, []);
        let on = WebhookEndpoint { standing: WebhookStanding::Enabled, ..ended.clone() };
        let switched = world.webhooks.update_endpoint(&ended, &on, None).await;
        assert_eq!(switched.expect("the store answers"), Write::Done);
        assert_eq!(world.read(endpoint).await.health, WebhookHealth::default());
        let deleted = world.webhooks.delete_endpoint(world.owner(), endpoint, None).await;
        assert_eq!(deleted.expect("the store answers"), Write::Done);
    }
}

/// One success wipes out what failed before it.
pub async fn a_success_mends_an_endpoint(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    world.a_booking().await;
    let [first] = <[_; 1]>::try_from(world.claimed(endpoint).await).expect("one delivery");
    world.record(&first, endpoint, Some(500), Next::Retry(LEASE)).await;
    assert_eq!(world.read(endpoint).await.health, WebhookHealth { failures: 1, failing_since: Some(world.now()) });
    world.pass(LEASE);
    let [second] = <[_; 1]>::try_from(world.claim(endpoint).await).expect("due again");
    world.record(&second, endpoint, Some(200), Next::Delivered).await;
    assert_eq!(world.read(endpoint).await.health, WebhookHealth::default());
}

/// The secret before the present one is used for a day; another organization's is not to be had.
pub async fn secrets_are_replaced_gently(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    let read = async |organization_id| world.webhooks.secrets(organization_id, endpoint).await.expect("readable");
    let owner = world.owner();
    let before = read(owner.organization_id).await.expect("there");
    assert_eq!(before.at(world.now()).collect::<Vec<_>>(), [b"a secret of an endpoint"]);
    let rotated = world.webhooks.rotate_secret(owner, endpoint, b"another secret entirely", None).await;
    assert_eq!(rotated.expect("the store answers"), Write::Done);
    let both = read(owner.organization_id).await.expect("there");
    assert_eq!(both.at(world.now()).collect::<Vec<_>>(), [b"another secret entirely", b"a secret of an endpoint"]);
    let tomorrow = world.now() + Duration::from_secs(24 * 3_600);
    assert_eq!(both.at(tomorrow).collect::<Vec<_>>(), [b"another secret entirely"]);
    let stranger = world.another_organization().await;
    assert_eq!(read(stranger.organization_id).await, None);
}

/// What was given up can be asked for again, one or all since an instant; not of an endpoint that is off.
pub async fn what_was_given_up_is_sent_again(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    for _ in 0..3 {
        world.pass(Duration::from_secs(10));
        world.a_booking().await;
    }
    let since = world.now() - Duration::from_secs(10);
    for delivery in world.claimed(endpoint).await {
        world.record(&delivery, endpoint, Some(500), Next::GiveUp).await;
    }
    let replay = async |since: Timestamp| {
        let replayed = world.webhooks.replay_failed(world.owner(), endpoint, since, None).await.expect("answered");
        (replayed.write, replayed.count)
    };
    assert_eq!(replay(since).await, (Write::Done, 2));
    assert_eq!(replay(since).await, (Write::Done, 0));
    let again = world.claim(endpoint).await;
    assert_eq!(again.iter().map(|delivery| (delivery.number, delivery.tries)).collect::<Vec<_>>(), [(2, 1), (2, 1)]);
    let resend = async |id: DeliveryId| {
        world.webhooks.resend_delivery(world.owner(), endpoint, id, None).await.expect("answered")
    };
    let [failed] = <[_; 1]>::try_from(world.deliveries(endpoint, Some(DeliveryState::Failed)).await).expect("one");
    assert_eq!(resend(failed.id).await, Write::Done);
    assert_eq!(resend(DeliveryId::from_uuid(world.uuid())).await, Write::Missing);
    assert_eq!(world.claim(endpoint).await.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), [failed.id]);
    let before = world.read(endpoint).await;
    let off = WebhookEndpoint { standing: WebhookStanding::SwitchedOff, ..before.clone() };
    world.webhooks.update_endpoint(&before, &off, None).await.expect("answered");
    assert_eq!(resend(failed.id).await, Write::Refused("endpoint_disabled"));
    assert_eq!(replay(since).await.0, Write::Refused("endpoint_disabled"));
}

/// An endpoint comes back as written, changes only as it was read, and goes whole. No others see it.
pub async fn endpoints_are_their_organizations(world: WebhookWorld) {
    let made = world.new_endpoint();
    let id = world.make(&made).await;
    assert_eq!(world.read(id).await, made);
    let after = WebhookEndpoint { url: "https://example.org/".into(), ..made.clone() };
    let update = async |before, after| world.webhooks.update_endpoint(before, after, None).await.expect("answered");
    assert_eq!(update(&made, &after).await, Write::Done);
    assert_eq!(update(&made, &after).await, Write::Stale);
    assert_eq!(world.read(id).await, after);
    world.a_booking().await;
    world.claimed(id).await;
    let stranger = world.another_organization().await;
    for owner in [
        EndpointOwner { organization_id: stranger.organization_id, ..world.owner() },
        EndpointOwner { mode: Mode::Live, ..world.owner() },
    ] {
        let page = PageRequest { limit: 10, after: None };
        assert_eq!(world.webhooks.endpoint(owner, id).await.expect("readable"), None);
        assert_eq!(world.webhooks.list_endpoints(owner, &page).await.expect("readable").rows, []);
        assert_eq!(world.webhooks.list_deliveries(owner, id, None, &page).await.expect("readable").rows, []);
        for write in [
            world.webhooks.delete_endpoint(owner, id, None).await,
            world.webhooks.rotate_secret(owner, id, b"theirs", None).await,
            world.webhooks.replay_failed(owner, id, Timestamp::EARLIEST, None).await.map(|replayed| replayed.write),
        ] {
            assert_eq!(write.expect("answered"), Write::Missing);
        }
    }
    let deleted = world.webhooks.delete_endpoint(world.owner(), id, None).await;
    assert_eq!(deleted.expect("answered"), Write::Done);
    assert_eq!((world.deliveries(id, None).await, world.due().await), (vec![], vec![]));
}

/// Endpoints are listed newest first, and there are only so many.
pub async fn endpoints_are_listed_and_limited(world: WebhookWorld) {
    let mut made = Vec::new();
    for _ in 0..50 {
        world.pass(Duration::from_secs(1));
        made.insert(0, world.endpoint().await);
    }
    let one_more = world.webhooks.create_endpoint(&world.new_endpoint(), b"one too many of them", None).await;
    assert_eq!(one_more.expect("answered"), Write::Refused("too_many_endpoints"));
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = PageRequest { limit: 20, after };
        let page = world.webhooks.list_endpoints(world.owner(), &page).await.expect("readable");
        seen.extend(page.rows.into_iter().map(|endpoint| endpoint.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, made);
}

/// A request under a key is done once, and its answer kept.
pub async fn endpoint_writes_replay(world: WebhookWorld) {
    let answer = idempotent(1, 1, "made");
    let endpoint = world.new_endpoint();
    for expected in [Write::Done, Write::Replayed(b"made".to_vec())] {
        let made = world.webhooks.create_endpoint(&endpoint, b"a secret of an endpoint", Some(&answer)).await;
        assert_eq!(made.expect("answered"), expected);
    }
    let tested = idempotent(2, 2, "tested");
    for expected in [Write::Done, Write::Replayed(b"tested".to_vec())] {
        let kept = world.webhooks.keep_answer(world.tenant.organization_id, &tested).await;
        assert_eq!(kept.expect("answered"), expected);
    }
    let replay = idempotent(3, 3, "0").key;
    for expected in [Write::Done, Write::Replayed(b"0".to_vec())] {
        let now = world.now();
        let replayed = world.webhooks.replay_failed(world.owner(), endpoint.id, now, Some(&replay)).await;
        assert_eq!(replayed.expect("answered").write, expected);
    }
}

/// What the store finds to have happened is told, too, once: a writeback given up, a conflict, refused credentials.
pub async fn what_the_store_finds_is_told_once(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    let (connection, calendars) = world.connect(1).await;
    let user = world.user_on(calendars[0].id).await;
    let booking = world.book(&[&user], world.minutes(60, 90)).await;
    let failed = WritebackResult {
        account_id: world.tenant.account_id,
        booking_id: booking.id,
        calendar_id: calendars[0].id,
        version: 1,
        state: WritebackState::Failed,
        attempts: 20,
        due_at: world.now(),
        last_error: Some("the calendar is gone".into()),
        written: None,
        external_state: None,
        conference: None,
    };
    let conflict = [ExternalObservation { booking_id: booking.id, state: ExternalState::Conflict }];
    for _ in 0..2 {
        world.pass(Duration::from_secs(1));
        world.store.record_writeback(&failed, world.epoch).await.expect("answered");
        world.pass(Duration::from_secs(1));
        let observed =
            world.store.observe_external(world.tenant.account_id, calendars[0].id, world.epoch, &conflict).await;
        observed.expect("answered");
        world.pass(Duration::from_secs(1));
        let (status, reason) = (ConnectionStatus::ReauthorizationRequired, Some("the password was refused"));
        let set = world
            .store
            .set_connection_status(world.tenant.account_id, connection.id, world.epoch, status, reason)
            .await;
        set.expect("answered");
    }
    let heard = world.claimed(endpoint).await;
    let kinds: Vec<_> = heard.iter().map(|delivery| delivery.event.kind).collect();
    let expected = [
        EventKind::BookingCreated,
        EventKind::BookingWritebackFailed,
        EventKind::BookingConflict,
        EventKind::ConnectionReauthorizationRequired,
    ];
    assert_eq!(kinds, expected);
    let host = &booking_of(&heard[1]).0.hosts[0];
    assert_eq!(host.writeback.as_ref().map(|writeback| writeback.state), Some(WritebackState::Failed));
    assert_eq!(heard[3].event.connection_id(), Some(connection.id));
}

/// Events go after a month, and with their account.
pub async fn events_are_forgotten(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    world.a_booking().await;
    world.claimed(endpoint).await;
    let forget = async || world.webhooks.forget_old_events(10).await.expect("answered");
    world.pass(Duration::from_secs(30 * 24 * 3_600) - Duration::from_micros(1));
    assert_eq!(forget().await, 0);
    world.pass(Duration::from_micros(1));
    assert_eq!((forget().await, world.states(endpoint).await), (1, vec![]));
    world.a_booking().await;
    world.spread().await;
    assert_eq!(world.store.delete_account(&world.tenant, None).await.expect("answered"), Write::Done);
    assert_eq!((world.states(endpoint).await, world.claim(endpoint).await), (vec![], vec![]));
}

/// Only the owner of an account's shard takes what happened in it in hand.
pub async fn deliveries_are_their_owners(world: WebhookWorld) {
    let endpoint = world.endpoint().await;
    world.a_booking().await;
    let stranger = Some(NodeId(world.uuid()));
    assert_eq!(world.webhooks.spread_events(stranger, 10, MailFor::NOBODY).await.expect("answered"), Spread::default());
    assert_eq!(world.spread().await.deliveries, 1);
    let claim = DeliveryClaim { owner: stranger, lease: LEASE, room: BTreeMap::from([(endpoint, 10)]) };
    assert_eq!(world.webhooks.claim_deliveries(&claim).await.expect("answered"), ClaimedDeliveries::default());
    assert_eq!(world.claim(endpoint).await.len(), 1);
}
