//! Organizations, keys and accounts.

use std::time::Duration;

use agentcal_engine::ids::{KeyId, OrganizationId};
use agentcal_engine::model::{Account, ApiKey, KeyKind, Mode, Organization};
use agentcal_engine::ports::{PageRequest, Write};

use crate::World;
use crate::world::{busy, first_page};

fn new_key(world: &World, organization_id: OrganizationId, hash: u8) -> ApiKey {
    ApiKey {
        id: KeyId::from_uuid(world.uuid()),
        organization_id,
        kind: KeyKind::Publishable,
        mode: Mode::Test,
        hash: [hash; 32],
        hint: "pk_test_ab".into(),
        allowed_origins: vec!["https://acme.example".into()],
        created_at: world.now(),
        revoked_at: None,
    }
}

/// All organizations, oldest first.
pub async fn organizations_are_listed_oldest_first(world: World) {
    world.clock.advance(Duration::from_secs(1));
    let younger = world.another_organization().await.organization_id;
    let listed = world.store.list_organizations().await.expect("readable");
    let ids: Vec<_> = listed.iter().map(|organization| organization.id).collect();
    assert_eq!(ids, [world.tenant.organization_id, younger]);
    assert_eq!(world.store.organization(younger).await.expect("readable").as_ref(), listed.last());
    let nobody = OrganizationId::from_uuid(world.uuid());
    assert_eq!(world.store.organization(nobody).await.expect("readable"), None);
}

/// The key with a hash, unless revoked; revoked keys stay in the list.
pub async fn a_key_is_found_by_hash_until_revoked(world: World) {
    let key = new_key(&world, world.tenant.organization_id, 1);
    world.store.create_key(&key).await.expect("written");
    let found = world.store.key_by_hash(&[1; 32]).await.expect("readable").expect("known");
    assert_eq!((found.key, found.organization.id), (key.clone(), world.tenant.organization_id));
    assert_eq!(world.store.key_by_hash(&[2; 32]).await.expect("readable"), None);

    assert!(world.store.revoke_key(key.id, world.now()).await.expect("written"));
    assert!(!world.store.revoke_key(key.id, world.now()).await.expect("written"), "revoked before");
    assert_eq!(world.store.key_by_hash(&[1; 32]).await.expect("readable"), None);
    let listed = world.store.list_keys(world.tenant.organization_id).await.expect("readable");
    assert_eq!(listed, [ApiKey { revoked_at: Some(world.now()), ..key }]);
}

/// The keys counter is raised by every change of organizations and keys, the config counter by none of them.
pub async fn keys_raise_the_keys_counter(world: World) {
    let key = new_key(&world, world.tenant.organization_id, 1);
    let before = world.store.change_counters().await.expect("readable");
    world.store.create_key(&key).await.expect("written");
    let created = world.store.change_counters().await.expect("readable");
    world.store.revoke_key(key.id, world.now()).await.expect("written");
    let revoked = world.store.change_counters().await.expect("readable");
    let id = OrganizationId::from_uuid(world.uuid());
    let organization = Organization { id, name: "Other".into(), created_at: world.now() };
    world.store.create_organization(&organization).await.expect("written");
    let organized = world.store.change_counters().await.expect("readable");
    assert!(before.keys < created.keys && created.keys < revoked.keys && revoked.keys < organized.keys);
    assert_eq!(before.config, organized.config);
}

/// Accounts of an organization and mode, newest first.
pub async fn accounts_are_listed_newest_first_and_by_mode(world: World) {
    let organization_id = world.tenant.organization_id;
    let live = world.account_in(organization_id, Mode::Live).await.account_id;
    world.clock.advance(Duration::from_secs(1));
    let younger = world.another_account().await.account_id;
    let list = async |mode| {
        let listed = world.store.list_accounts(organization_id, mode, &first_page(10)).await.expect("readable");
        assert_eq!(listed.next, None);
        listed.rows.into_iter().map(|account| account.id).collect::<Vec<_>>()
    };
    assert_eq!(list(Mode::Test).await, [younger, world.tenant.account_id]);
    assert_eq!(list(Mode::Live).await, [live]);
}

/// A cursor continues where its page ended, whatever was written meanwhile.
pub async fn pages_are_stable_under_inserts(world: World) {
    let organization_id = world.tenant.organization_id;
    for _ in 0..4 {
        world.another_account().await;
    }
    let mut seen = Vec::new();
    let mut page = first_page(2);
    loop {
        let listed = world.store.list_accounts(organization_id, Mode::Test, &page).await.expect("readable");
        assert!(listed.rows.len() <= 2);
        seen.extend(listed.rows.into_iter().map(|account| account.id));
        world.clock.advance(Duration::from_secs(1));
        world.another_account().await;
        match listed.next {
            Some(after) => page = PageRequest { limit: 2, after: Some(after) },
            None => break,
        }
    }
    let mut unique = seen.clone();
    unique.sort();
    unique.dedup();
    assert_eq!((seen.len(), unique.len()), (5, 5), "each of the first five once, none of the later ones");
}

/// An account changes only while its configuration is at the revision the caller saw.
pub async fn an_account_changes_only_at_its_revision(world: World) {
    let tenant = world.tenant;
    let read = async || {
        let account = world.store.account(tenant.organization_id, tenant.mode, tenant.account_id).await;
        account.expect("readable").expect("there")
    };
    let revision = world.config_revision(&tenant).await;
    let changed = Account { name: "Renamed".into(), timezone: None, ..read().await };
    let update = async |revision| world.store.update_account(&changed, revision, None).await.expect("answered");
    assert_eq!(update(revision + 1).await, Write::Stale);
    assert_ne!(read().await, changed);
    assert_eq!(update(revision).await, Write::Done);
    assert_eq!(read().await, changed);
    assert_eq!(update(revision).await, Write::Stale, "its own write raised the revision");
}

/// Deleting an account deletes everything in it, and its encryption key with it.
pub async fn a_deleted_account_leaves_nothing(world: World) {
    let (connection, calendars) = world.connect(1).await;
    let calendar_id = calendars[0].id;
    let user = world.user_on(calendar_id).await;
    world.sync_full(calendar_id, 1, vec![busy("one", &[world.minutes(0, 30)])]).await;
    let booking = world.book(&[&user], world.minutes(60, 90)).await;

    let account_id = world.tenant.account_id;
    let before = world.store.change_counters().await.expect("readable");
    assert_eq!(world.store.delete_account(&world.tenant, None).await.expect("answered"), Write::Done);
    assert!(before.config < world.store.change_counters().await.expect("readable").config);
    let account = world.store.account(world.tenant.organization_id, world.tenant.mode, account_id).await;
    assert_eq!(account.expect("readable"), None);
    assert_eq!(world.store.account_config(account_id).await.expect("readable"), None);
    assert_eq!(world.store.credentials(account_id, connection.id).await.expect("readable"), None);
    assert!(world.store.load_calendar(account_id, calendar_id).await.expect("readable").is_none());
    assert_eq!(world.store.account_of_calendar(calendar_id).await.expect("readable"), None);
    assert_eq!(world.store.booking(account_id, booking.id).await.expect("readable"), None);
    assert_eq!(world.store.due_calendars(None, world.now(), 10).await.expect("readable"), []);
    assert_eq!(world.store.delete_account(&world.tenant, None).await.expect("answered"), Write::Missing);
}
