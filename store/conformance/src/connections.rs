//! Connections, their credentials and calendars.

use std::collections::BTreeSet;
use std::time::Duration;

use agentcal_engine::commit::Outcome;
use agentcal_engine::facts::{Knowledge, UnknownReason};
use agentcal_engine::ids::{CalendarId, ConnectionId};
use agentcal_engine::model::{ConnectionStatus, User, WritebackState};
use agentcal_engine::ports::{Credentials, DueCalendar, SyncFailure, SyncState, Write};
use agentcal_engine::shard::Epoch;

use crate::World;
use crate::world::{busy, first_page};

/// Credentials come back decrypted, for their own connection and account alone.
pub async fn credentials_come_back_and_only_here(world: World) {
    let (connection, calendars) = world.new_connection(&world.tenant, 2);
    let credentials = Credentials::CaldavBasic {
        server_url: "https://dav.example".into(),
        username: "sarah".into(),
        password: "hunter2".into(),
    };
    let write = world.store.create_connection(&world.tenant, &connection, &credentials, &calendars, None).await;
    assert_eq!(write.expect("answered"), Write::Done);
    let account_id = world.tenant.account_id;
    let read = async |account_id, id| {
        let kept = world.store.credentials(account_id, id).await.expect("readable");
        kept.map(|kept| kept.credentials)
    };
    assert_eq!(read(account_id, connection.id).await, Some(credentials));
    assert_eq!(read(account_id, ConnectionId::from_uuid(world.uuid())).await, None);
    assert_eq!(read(world.another_account().await.account_id, connection.id).await, None);

    let found = world.store.connection(account_id, connection.id).await.expect("readable");
    assert_eq!(found, Some((connection.clone(), calendars.clone())));
    let listed = world.store.list_connections(&world.tenant, &first_page(10)).await.expect("readable");
    assert_eq!(listed.rows, [(connection, calendars)]);
}

/// Each calendar of a new connection is due for a full sync at once; an internal one never is.
pub async fn a_new_calendar_is_due_at_once(world: World) {
    world.user().await;
    let (_, calendars) = world.connect(2).await;
    let account_id = world.tenant.account_id;
    let mut due = world.store.due_calendars(None, world.now(), 10).await.expect("readable");
    due.sort();
    let expected = calendars.iter().map(|calendar| DueCalendar { account_id, calendar_id: calendar.id });
    assert_eq!(due, expected.collect::<Vec<_>>());
    for calendar in &calendars {
        assert_eq!(world.store.account_of_calendar(calendar.id).await.expect("readable"), Some(account_id));
        let record = world.store.load_calendar(account_id, calendar.id).await.expect("readable").expect("there");
        assert_eq!((record.calendar, record.tenant), (calendar.clone(), world.tenant));
        assert_eq!((record.sync.cursor, record.sync.generation), (None, 0));
    }
}

/// A status is kept with its reason; the same status again changes nothing.
pub async fn status_changes_once(world: World) {
    let (connection, calendars) = world.connect(1).await;
    let account_id = world.tenant.account_id;
    let set = async |status, reason| {
        world
            .store
            .set_connection_status(account_id, connection.id, world.epoch, status, reason)
            .await
            .expect("written");
        let (connection, _) =
            world.store.connection(account_id, connection.id).await.expect("readable").expect("there");
        assert_eq!((connection.status, connection.status_reason.as_deref()), (status, reason));
        world.facts(calendars[0].id).await.revision
    };
    let refused = set(ConnectionStatus::ReauthorizationRequired, Some("password refused")).await;
    let again = set(ConnectionStatus::ReauthorizationRequired, Some("password refused")).await;
    assert_eq!(refused, again);
    set(ConnectionStatus::Active, None).await;
    let nobody = ConnectionId::from_uuid(world.uuid());
    world
        .store
        .set_connection_status(account_id, nobody, world.epoch, ConnectionStatus::Active, None)
        .await
        .expect("nothing to do");
}

/// Refused credentials make the calendars unknown, which raises their revisions, both ways.
pub async fn refused_credentials_raise_the_calendars(world: World) {
    let (connection, calendars) = world.connect(1).await;
    let calendar_id = calendars[0].id;
    world.sync_full(calendar_id, 1, vec![busy("one", &[world.minutes(0, 30)])]).await;
    let set = async |status| {
        let account_id = world.tenant.account_id;
        world.store.set_connection_status(account_id, connection.id, world.epoch, status, None).await.expect("written");
        world.facts(calendar_id).await
    };
    let before = world.facts(calendar_id).await;
    let refused = set(ConnectionStatus::ReauthorizationRequired).await;
    assert_eq!(refused.knowledge, Knowledge::Unknown(UnknownReason::ReauthorizationRequired));
    let active = set(ConnectionStatus::Active).await;
    assert_eq!(active.knowledge, before.knowledge);
    assert!(before.revision < refused.revision && refused.revision < active.revision);
}

/// Once credentials are good again, what failed for their sake is due at once, and nothing else is.
pub async fn good_credentials_hasten_what_failed(world: World) {
    let (connection, calendars) = world.connect(3).await;
    let [later, hour] = [60, 3_600].map(|seconds| world.now() + Duration::from_secs(seconds));
    for (calendar, failures) in calendars.iter().zip([1, 0, 1]) {
        let state = SyncState { failures, due_at: hour, ..SyncState::default() };
        let failure =
            SyncFailure { account_id: world.tenant.account_id, calendar_id: calendar.id, epoch: world.epoch, state };
        world.store.save_sync_failure(&failure).await.expect("the store answers");
    }
    let set = async |epoch, status| {
        let account_id = world.tenant.account_id;
        world.store.set_connection_status(account_id, connection.id, epoch, status, None).await.expect("written");
        let due = world.store.due_calendars(None, later, 10).await.expect("readable");
        due.into_iter().map(|due| due.calendar_id).collect::<BTreeSet<_>>()
    };
    assert_eq!(set(world.epoch, ConnectionStatus::Error).await, [].into());
    assert_eq!(set(world.epoch, ConnectionStatus::Active).await, [].into(), "they do not fail for its sake");
    assert_eq!(set(world.epoch, ConnectionStatus::ReauthorizationRequired).await, [].into());
    assert_eq!(set(Epoch(world.epoch.0 + 1), ConnectionStatus::Active).await, [].into(), "nobody's word");
    let failed = [calendars[0].id, calendars[2].id].into();
    assert_eq!(set(world.epoch, ConnectionStatus::Active).await, failed);
}

/// Deleting a connection takes its calendars and facts along, gives users an internal home for their claims, and leaves
/// bookings alone; what waited to be written never will be, and says so.
pub async fn disconnecting_rehomes_users_and_keeps_bookings(world: World) {
    let (connection, calendars) = world.connect(2).await;
    let (_, others) = world.connect(1).await;
    let user = world.user_on(calendars[0].id).await;
    let watcher = User {
        busy_calendar_ids: vec![calendars[1].id, others[0].id],
        ..world.new_user(&world.tenant, Some(others[0].id))
    };
    let rules = agentcal_engine::model::AvailabilityRules::office_hours(watcher.timezone);
    world.store.create_user(&world.tenant, &watcher, &rules, None).await.expect("written");
    let booking = world.book(&[&user], world.minutes(60, 90)).await;
    let plan = world.empty_plan(&world.tenant, &[&user]);

    let home = CalendarId::from_uuid(world.uuid());
    let delete = async || {
        let homes = [(user.id, home)];
        let now = world.now();
        world.store.delete_connection(&world.tenant, connection.id, &homes, now, None).await.expect("answered")
    };
    assert_eq!(delete().await, Write::Done);
    let config = world.store.account_config(world.tenant.account_id).await.expect("readable").expect("there");
    let [moved, kept] = [&config.users[0].0, &config.users[1].0];
    assert_eq!((moved.calendar_id, moved.home_calendar_id), (None, home));
    assert_eq!((kept.calendar_id, &kept.busy_calendar_ids[..]), (Some(others[0].id), &[others[0].id][..]));
    assert_eq!(world.facts(home).await.claims.len(), 1);
    assert_eq!(world.commit(&plan).await, Outcome::Stale, "a plan that rests on the old home");

    let account_id = world.tenant.account_id;
    assert!(world.store.load_calendar(account_id, calendars[0].id).await.expect("readable").is_none());
    assert_eq!(world.store.credentials(account_id, connection.id).await.expect("readable"), None);
    let host = world.booking(booking.id).await.hosts[0].clone();
    assert_eq!(host.calendar_id, Some(calendars[0].id));
    assert_eq!(host.writeback.expect("a writeback").state, WritebackState::Failed);
    assert_eq!(delete().await, Write::Missing);
}

/// A user that moved into the calendar after the caller looked needs a home the caller did not offer: read again.
pub async fn disconnecting_without_a_home_for_a_user_is_stale(world: World) {
    let (connection, calendars) = world.connect(1).await;
    world.user_on(calendars[0].id).await;
    world.clock.advance(Duration::from_secs(1));
    let write = world.store.delete_connection(&world.tenant, connection.id, &[], world.now(), None).await;
    assert_eq!(write.expect("answered"), Write::Stale);
    assert!(world.store.connection(world.tenant.account_id, connection.id).await.expect("readable").is_some());
}
