//! Every tenant alone: another tenant's id looks like a missing one, in every method.

use agentcal_engine::commit::{ClaimChange, CommitPlan, Effect, Outcome};
use agentcal_engine::ids::CalendarId;
use agentcal_engine::model::{
    AvailabilityRules, Calendar, ClaimOwner, Connection, ConnectionStatus, Mode, Tenant, User,
};
use agentcal_engine::ports::{
    BookingFilter, Credentials, ExternalObservation, SandboxEvent, SaveSync, SyncFailure, Write, WritebackResult,
};

use crate::World;
use crate::world::{busy, first_page, idempotent};

/// An account with one of everything, and a stranger.
struct Victim {
    connection: Connection,
    calendar: Calendar,
    user: User,
    booking: agentcal_engine::model::Booking,
    event_type: agentcal_engine::model::EventType,
    stranger: Tenant,
}

async fn victim(world: &World) -> Victim {
    let (connection, mut calendars) = world.connect(1).await;
    let calendar = calendars.remove(0);
    let user = world.user_on(calendar.id).await;
    let event_type = world.new_event_type(&world.tenant, "intro", &[&user]);
    world.store.create_event_type(&world.tenant, &event_type, None).await.expect("written");
    world.sync_full(calendar.id, 1, vec![busy("a", &[world.minutes(0, 30)])]).await;
    let booking = world.book(&[&user], world.minutes(60, 90)).await;
    let event = SandboxEvent { event_id: "a".into(), range: None, blocks: true, change: 0 };
    let put = world.store.put_sandbox_event(world.tenant.account_id, calendar.id, &event, None).await;
    assert_eq!(put.expect("written"), Some(1));
    let stranger = world.another_account().await;
    Victim { connection, calendar, user, booking, event_type, stranger }
}

/// Every read with another tenant's account finds nothing.
pub async fn another_tenant_reads_nothing(world: World) {
    let victim = victim(&world).await;
    let (store, id) = (&world.store, victim.stranger.account_id);
    let calendar_id = victim.calendar.id;
    assert_eq!(store.connection(id, victim.connection.id).await.expect("readable"), None);
    assert_eq!(store.credentials(id, victim.connection.id).await.expect("readable"), None);
    assert!(store.load_calendar(id, calendar_id).await.expect("readable").is_none());
    assert!(store.load_facts(id, calendar_id).await.expect("readable").is_none());
    assert_eq!(store.own_instances(id, calendar_id).await.expect("readable"), []);
    assert_eq!(store.booking(id, victim.booking.id).await.expect("readable"), None);
    assert_eq!(store.future_booking_counts(id, &[victim.user.id], world.now()).await.expect("readable"), []);
    assert_eq!(store.pending_writebacks(id, calendar_id, 10).await.expect("readable"), []);
    assert_eq!(store.written_writebacks(id, calendar_id, world.now()).await.expect("readable"), []);
    assert_eq!(store.sandbox_changes(id, calendar_id, 0).await.expect("readable"), []);
    let tenant = &victim.stranger;
    assert_eq!(store.list_users(tenant, &first_page(9)).await.expect("readable").rows, []);
    assert_eq!(store.list_event_types(tenant, &first_page(9)).await.expect("readable").rows, []);
    assert_eq!(store.list_connections(tenant, &first_page(9)).await.expect("readable").rows, []);
    let filter = BookingFilter { user_id: Some(victim.user.id), ..BookingFilter::default() };
    let bookings = store.list_bookings(tenant, &filter, world.now(), &first_page(9)).await.expect("readable");
    assert_eq!(bookings.rows, []);
}

/// Every write with another tenant's ids finds nothing to write.
pub async fn another_tenant_writes_nothing(world: World) {
    let victim = victim(&world).await;
    let (store, stranger) = (&world.store, &victim.stranger);
    let before = everything(&world, &victim).await;
    let rules = AvailabilityRules { weekly: Vec::new(), ..AvailabilityRules::office_hours(chrono_tz::UTC) };
    let revision = world.config_revision(stranger).await;
    let writes = [
        store.put_user_rules(stranger, victim.user.id, &rules, None).await,
        store.put_event_type_rules(stranger, victim.event_type.id, &rules, None).await,
        store.update_user(stranger, &victim.user, revision, None).await,
        store.update_event_type(stranger, &victim.event_type, revision, None).await,
        store.create_user(stranger, &world.new_user(&world.tenant, None), &rules, None).await,
        store.create_event_type(stranger, &world.new_event_type(&world.tenant, "x", &[]), None).await,
        store.delete_event_type(stranger, victim.event_type.id, None).await,
        store.delete_user(stranger, victim.user.id, world.minutes(900, 901).start, None).await,
        store.delete_connection(stranger, victim.connection.id, &[], world.now(), None).await,
    ];
    for (n, write) in writes.into_iter().enumerate() {
        assert_eq!(write.expect("answered"), Write::Missing, "write {n}");
    }
    write_facts(&world, &victim).await;
    assert_eq!(everything(&world, &victim).await, before);
}

/// What actors write, with the stranger's account and the victim's ids.
async fn write_facts(world: &World, victim: &Victim) {
    let (store, account_id) = (&world.store, victim.stranger.account_id);
    let calendar_id = victim.calendar.id;
    let status = ConnectionStatus::ReauthorizationRequired;
    store
        .set_connection_status(account_id, victim.connection.id, world.epoch, status, None)
        .await
        .expect("nothing to do");
    let finish = Some(world.synced(1, "stolen"));
    let page = SaveSync { account_id, finish, ..world.page(calendar_id, 1, vec![busy("a", &[])]) };
    assert_eq!(store.save_sync(&page).await.expect("answered"), None);
    let failure = SyncFailure { account_id, calendar_id, epoch: world.epoch, state: world.synced(1, "stolen") };
    assert_eq!(store.save_sync_failure(&failure).await.expect("answered"), None);
    let state = agentcal_engine::model::ExternalState::Deleted;
    let observations = [ExternalObservation { booking_id: victim.booking.id, state }];
    store.observe_external(account_id, calendar_id, world.epoch, &observations).await.expect("nothing to do");
    let result = WritebackResult {
        account_id,
        booking_id: victim.booking.id,
        calendar_id,
        version: 1,
        state: agentcal_engine::model::WritebackState::Failed,
        attempts: 9,
        due_at: world.now(),
        last_error: None,
        written: None,
        external_state: None,
        conference: None,
    };
    assert_eq!(store.record_writeback(&result, world.epoch).await.expect("answered"), None);
    let event = SandboxEvent { event_id: "b".into(), range: None, blocks: true, change: 0 };
    let put = store.put_sandbox_event(account_id, calendar_id, &event, None).await;
    assert_eq!(put.expect("answered"), None);
}

/// What the victim has, as text.
async fn everything(world: &World, victim: &Victim) -> String {
    let account_id = world.tenant.account_id;
    let config = world.store.account_config(account_id).await.expect("readable");
    let record = world.store.load_calendar(account_id, victim.calendar.id).await.expect("readable");
    let booking = world.store.booking(account_id, victim.booking.id).await.expect("readable");
    let changes = world.store.sandbox_changes(account_id, victim.calendar.id, 0).await.expect("readable");
    format!("{config:#?} {record:#?} {booking:#?} {changes:#?}")
}

/// A plan of one tenant with another's users, calendars or bookings is stale, and touches nothing.
pub async fn another_tenant_commits_nothing(world: World) {
    let victim = victim(&world).await;
    let before = everything(&world, &victim).await;
    let own = world.user_for(&victim.stranger, None).await;
    let base = || world.empty_plan(&victim.stranger, &[&own]);
    let range = world.minutes(200, 230);

    let mut theirs = world.booking_plan_for(&victim.stranger, &[&victim.user], range).1;
    let rests_on_theirs = theirs.clone();
    theirs.expected_revisions.clear();
    let owner = ClaimOwner::Booking(victim.booking.id);
    let claim = |user: &User| ClaimChange::Insert(world.new_claim(user, owner, range));
    let plans = [
        ("revisions", rests_on_theirs),
        ("claims of another account", theirs),
        ("a claim for another's booking", CommitPlan { claims: vec![claim(&own)], ..base() }),
        (
            "a claim of another's user",
            CommitPlan {
                claims: vec![claim(&User { account_id: victim.stranger.account_id, ..victim.user.clone() })],
                ..base()
            },
        ),
        (
            "a claim at another's home",
            CommitPlan { claims: vec![claim(&User { home_calendar_id: victim.calendar.id, ..own.clone() })], ..base() },
        ),
        ("moving", CommitPlan { claims: vec![ClaimChange::Move { owner, range, claim_count: 1 }], ..base() }),
        ("deleting", CommitPlan { claims: vec![ClaimChange::Delete { owner, claim_count: 1 }], ..base() }),
        ("cancelling", CommitPlan { booking: world.cancel_plan(&victim.booking, &[]).booking, ..base() }),
        ("rescheduling", CommitPlan { booking: world.reschedule_plan(&victim.booking, &[], range).booking, ..base() }),
        (
            "an effect",
            CommitPlan {
                effects: vec![Effect::Writeback { booking_id: victim.booking.id, calendar_id: victim.calendar.id }],
                ..base()
            },
        ),
    ];
    for (what, plan) in plans {
        assert_eq!(world.commit(&plan).await, Outcome::Stale, "{what}");
    }
    assert_eq!(everything(&world, &victim).await, before);
}

/// An account is there only for its organization and mode, and so is everything asked through it.
pub async fn another_organization_or_mode_sees_no_account(world: World) {
    let victim = victim(&world).await;
    let elsewhere = world.another_organization().await;
    let strangers = [
        Tenant { organization_id: elsewhere.organization_id, ..world.tenant },
        Tenant { mode: Mode::Live, ..world.tenant },
    ];
    let before = everything(&world, &victim).await;
    for stranger in strangers {
        let Tenant { organization_id, mode, account_id } = stranger;
        assert_eq!(world.store.account(organization_id, mode, account_id).await.expect("readable"), None);
        assert_eq!(world.store.list_users(&stranger, &first_page(9)).await.expect("readable").rows, []);
        assert_eq!(world.store.list_event_types(&stranger, &first_page(9)).await.expect("readable").rows, []);
        assert_eq!(world.store.list_connections(&stranger, &first_page(9)).await.expect("readable").rows, []);
        let filter = BookingFilter::default();
        let bookings = world.store.list_bookings(&stranger, &filter, world.now(), &first_page(9)).await;
        assert_eq!(bookings.expect("readable").rows, []);
        let delete = world.store.delete_event_type(&stranger, victim.event_type.id, None).await;
        assert_eq!(delete.expect("answered"), Write::Missing);
        assert_eq!(world.store.delete_account(&stranger, None).await.expect("answered"), Write::Missing);
        let (_, plan) = world.booking_plan_for(&stranger, &[&victim.user], world.minutes(200, 230));
        assert_eq!(world.commit(&plan).await, Outcome::Stale);
    }
    assert_eq!(everything(&world, &victim).await, before);

    let (_, plan) = world.booking_plan(&[&victim.user], world.minutes(300, 330));
    world.commit(&CommitPlan { idempotency: Some(idempotent(1, 1, "secret")), ..plan }).await;
    let key = idempotent(1, 1, "").key;
    let account_id = Some(world.tenant.account_id);
    let kept = world.store.kept_answer(elsewhere.organization_id, account_id, &key).await;
    assert_eq!(kept.expect("readable"), Write::Missing);
}

/// Bodies carry other objects' ids: each must be of the account that is written to.
pub async fn ids_in_bodies_stay_inside_the_account(world: World) {
    let victim = victim(&world).await;
    let stranger = &victim.stranger;
    let foreign_host = world.new_event_type(stranger, "intro", &[&victim.user]);
    let write = world.store.create_event_type(stranger, &foreign_host, None).await;
    assert_eq!(write.expect("answered"), Write::Missing);
    let (connection, mut calendars) = world.new_connection(stranger, 2);
    calendars[1].id = victim.calendar.id;
    let credentials = Credentials::Sandbox { seed: 1 };
    let write = world.store.create_connection(stranger, &connection, &credentials, &calendars, None).await;
    assert_eq!(write.expect("answered"), Write::Missing, "a calendar id that is taken");
    let listed = world.store.list_connections(stranger, &first_page(9)).await.expect("readable");
    assert_eq!(listed.rows, []);
    assert_eq!(world.store.list_event_types(stranger, &first_page(9)).await.expect("readable").rows, []);
    let unclaimed = CalendarId::from_uuid(world.uuid());
    assert_eq!(world.store.account_of_calendar(unclaimed).await.expect("readable"), None);
}
