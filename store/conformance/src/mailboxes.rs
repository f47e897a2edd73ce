//! Mailboxes whose owners consented, and the credentials they are reached with.

use std::time::Duration;

use agentcal_engine::facts::{Knowledge, UnknownReason};
use agentcal_engine::ids::{CalendarId, ConnectionId};
use agentcal_engine::model::{Calendar, Connection, ConnectionStatus, ProviderKind, Tenant};
use agentcal_engine::ports::{Credentials, KeptCredentials, Mailbox, OauthGrant};

use crate::World;
use crate::world::{busy, first_page};

/// What was granted, told apart by a number.
pub(crate) fn grant(world: &World, number: u8) -> OauthGrant {
    OauthGrant {
        client_id: "client".into(),
        access_token: format!("access-{number}"),
        expires_at: world.now() + Duration::from_secs(3_600),
        refresh_token: format!("refresh-{number}"),
    }
}

/// A mailbox of Google's with calendars of these names there.
pub(crate) fn mailbox(world: &World, tenant: &Tenant, subject: &str, calendars: &[&str]) -> Mailbox {
    let (connection, _) = world.new_connection(tenant, 0);
    let connection = Connection {
        provider: ProviderKind::Google,
        display_name: format!("{subject}@example.com"),
        owner_addresses: vec![format!("{subject}@example.com")],
        status: ConnectionStatus::Syncing,
        ..connection
    };
    let calendar = |name: &&str| {
        let (_, mut calendars) = world.new_connection(tenant, 1);
        let calendar = calendars.pop().expect("one was asked for");
        Calendar {
            id: CalendarId::from_uuid(world.uuid()),
            connection_id: Some(connection.id),
            provider: ProviderKind::Google,
            provider_calendar_id: (*name).to_owned(),
            name: (*name).to_owned(),
            ..calendar
        }
    };
    let calendars = calendars.iter().map(calendar).collect();
    Mailbox { connection, subject: subject.to_owned(), grant: grant(world, 1), calendars }
}

async fn kept(world: &World, connection_id: ConnectionId) -> Option<KeptCredentials> {
    world.store.credentials(world.tenant.account_id, connection_id).await.expect("readable")
}

async fn connect(world: &World, mailbox: &Mailbox) -> (Connection, Vec<Calendar>) {
    let connected = world.store.connect_mailbox(&world.tenant, mailbox).await.expect("answered");
    connected.expect("the account is there")
}

/// A mailbox becomes a connection with its calendars, due at once, and with its grant.
pub async fn a_mailbox_becomes_a_connection(world: World) {
    let mailbox = mailbox(&world, &world.tenant, "sarah", &["own", "team"]);
    let (connection, calendars) = connect(&world, &mailbox).await;
    assert_eq!((&connection, &calendars), (&mailbox.connection, &mailbox.calendars));
    let expected = KeptCredentials { credentials: Credentials::Oauth(mailbox.grant.clone()), version: 0 };
    assert_eq!(kept(&world, connection.id).await, Some(expected));
    assert_eq!(world.store.due_calendars(None, world.now(), 10).await.expect("readable").len(), 2);
    let stranger = Tenant { account_id: world.another_organization().await.account_id, ..world.tenant };
    assert_eq!(world.store.connect_mailbox(&stranger, &mailbox).await.expect("answered"), None);
}

/// Lesson: reconnecting makes duplicates. The same mailbox again keeps its connection and its calendars with what is known of
/// them, takes the new grant, is active, and gets the calendars that are new.
pub async fn the_same_mailbox_again_is_healed(world: World) {
    let first = mailbox(&world, &world.tenant, "sarah", &["own", "team"]);
    let (connection, calendars) = connect(&world, &first).await;
    world.sync_full(calendars[0].id, 1, vec![busy("one", &[world.minutes(0, 30)])]).await;
    let account_id = world.tenant.account_id;
    let refused = ConnectionStatus::ReauthorizationRequired;
    world
        .store
        .set_connection_status(account_id, connection.id, world.epoch, refused, Some("revoked"))
        .await
        .expect("written");
    let before = world.facts(calendars[0].id).await;
    assert_eq!(before.knowledge, Knowledge::Unknown(UnknownReason::ReauthorizationRequired));

    world.clock.advance(Duration::from_secs(60));
    let again = Mailbox { grant: grant(&world, 2), ..mailbox(&world, &world.tenant, "sarah", &["own", "new"]) };
    let again = Mailbox {
        // Sarah has married; at her provider she is who she was.
        connection: Connection { display_name: "sarah.new@example.com".into(), ..again.connection },
        ..again
    };
    let (healed, now_there) = connect(&world, &again).await;
    assert_eq!((healed.id, healed.status, healed.status_reason), (connection.id, ConnectionStatus::Active, None));
    assert_eq!(healed.display_name, "sarah.new@example.com");
    let names: Vec<_> = now_there.iter().map(|calendar| calendar.provider_calendar_id.as_str()).collect();
    assert_eq!(names, ["own", "team", "new"]);
    assert_eq!([now_there[0].id, now_there[1].id], [calendars[0].id, calendars[1].id]);
    let expected = KeptCredentials { credentials: Credentials::Oauth(again.grant), version: 1 };
    assert_eq!(kept(&world, connection.id).await, Some(expected));
    let after = world.facts(calendars[0].id).await;
    assert!(matches!(after.knowledge, Knowledge::Synced { .. }), "what was known is known again");
    assert!(after.revision > before.revision);
    let due = world.store.due_calendars(None, world.now(), 10).await.expect("readable");
    assert_eq!(due.len(), 3, "all are asked about at once");
    let listed = world.store.list_connections(&world.tenant, &first_page(10)).await.expect("readable");
    assert_eq!(listed.rows.len(), 1);
}

/// Another client calls the same person otherwise; the address is the same. Another person is another mailbox, and so is the
/// same person in another account.
pub async fn mailboxes_are_told_apart(world: World) {
    let first = mailbox(&world, &world.tenant, "sarah", &["own"]);
    let (connection, _) = connect(&world, &first).await;
    let renamed = Mailbox { subject: "another name".into(), ..mailbox(&world, &world.tenant, "sarah", &["own"]) };
    assert_eq!(connect(&world, &renamed).await.0.id, connection.id);
    let other = mailbox(&world, &world.tenant, "tom", &["own"]);
    assert_eq!(connect(&world, &other).await.0.id, other.connection.id);
    let elsewhere = world.another_account().await;
    let twin = mailbox(&world, &elsewhere, "sarah", &["own"]);
    let connected = world.store.connect_mailbox(&elsewhere, &twin).await.expect("answered");
    assert_eq!(connected.map(|(connection, _)| connection.id), Some(twin.connection.id));
}

/// Of two that refresh at once one is kept; the other finds that somebody was faster.
pub async fn credentials_are_replaced_by_the_first(world: World) {
    let (connection, _) = connect(&world, &mailbox(&world, &world.tenant, "sarah", &["own"])).await;
    let account_id = world.tenant.account_id;
    let replace = async |version: u64, number: u8| {
        let credentials = Credentials::Oauth(grant(&world, number));
        world.store.replace_credentials(account_id, connection.id, version, &credentials).await.expect("answered")
    };
    assert!(replace(0, 2).await);
    assert!(!replace(0, 3).await, "it rests on what is no more");
    let expected = KeptCredentials { credentials: Credentials::Oauth(grant(&world, 2)), version: 1 };
    assert_eq!(kept(&world, connection.id).await, Some(expected));
    assert!(replace(1, 4).await);
    let elsewhere = world.another_account().await.account_id;
    let credentials = Credentials::Oauth(grant(&world, 5));
    let stranger = world.store.replace_credentials(elsewhere, connection.id, 2, &credentials).await;
    assert!(!stranger.expect("answered"));
}
