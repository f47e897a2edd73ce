//! The file: what it keeps over a restart, what it shows to somebody who reads it, and what is left after a deletion.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::commit::{CommitPlan, Outcome};
use agentcal_engine::followups::MailFor;
use agentcal_engine::ids::WebhookId;
use agentcal_engine::model::{EventKind, WebhookEndpoint, WebhookHealth, WebhookStanding};
use agentcal_engine::ports::{
    ConnectionStore as _, Credentials, DeliveryClaim, FactStore as _, KeptCredentials, StoreError, WebhookStore as _,
    Write,
};
use agentcal_store_conformance::world::{MORNING, idempotent};
use agentcal_store_conformance::{TestClock, TestEntropy, World};
use agentcal_store_sqlite::{DurabilityProblem, OpenOptions, SqliteStore};
use agentcal_store_vault::KeyRing;
use sqlx::{Connection as _, SqliteConnection};

const SECRET: &str = "correct horse battery staple";
const ZEROS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const ONES: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// A file in a folder of its own, gone with it.
struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("agentcal.db");
        Self { _folder: folder, path }
    }

    async fn open(&self, keys: &str) -> SqliteStore {
        let options = OpenOptions {
            path: self.path.clone(),
            keyring: Arc::new(KeyRing::parse(keys).expect("a valid ring")),
            entropy: Arc::new(TestEntropy::default()),
            clock: Arc::new(TestClock::at(MORNING)),
        };
        SqliteStore::open(options).await.expect("opened")
    }

    /// A world on this file.
    async fn world(&self, keys: &str) -> World {
        let store = self.open(keys).await;
        store.migrate().await.expect("migrated");
        World::new(|_| async move { (store, ()) }).await
    }

    async fn raw(&self) -> SqliteConnection {
        SqliteConnection::connect(&format!("sqlite://{}", self.path.display())).await.expect("opened")
    }

    /// Every byte kept, journal included.
    fn bytes(&self) -> Vec<u8> {
        let journal = PathBuf::from(format!("{}-wal", self.path.display()));
        [&self.path, &journal].into_iter().flat_map(|path| read(path)).collect()
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_default()
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// As they are kept that were never replaced.
fn kept() -> KeptCredentials {
    KeptCredentials { credentials: credentials(), version: 0 }
}

fn credentials() -> Credentials {
    Credentials::CaldavBasic {
        server_url: "https://dav.example".into(),
        username: "sarah".into(),
        password: SECRET.into(),
    }
}

async fn connect_with_secret(world: &World) -> agentcal_engine::ids::ConnectionId {
    let (connection, calendars) = world.new_connection(&world.tenant, 1);
    let write = world.store.create_connection(&world.tenant, &connection, &credentials(), &calendars, None).await;
    assert_eq!(write.expect("answered"), Write::Done);
    connection.id
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let place = Place::new();
    let world = place.world(&format!("k:{ZEROS}")).await;
    let connection_id = connect_with_secret(&world).await;
    let user = world.user().await;
    let booking = world.book(&[&user], world.minutes(0, 30)).await;

    let store = place.open(&format!("k:{ZEROS}")).await;
    store.migrate().await.expect("nothing to do");
    assert!(store.schema_state().await.expect("readable").is_current());
    let account_id = world.tenant.account_id;
    assert_eq!(store.credentials(account_id, connection_id).await.expect("readable"), Some(kept()));
    let facts = store.load_facts(account_id, user.home_calendar_id).await.expect("readable").expect("there");
    assert_eq!(facts.claims[0].booking_id(), Some(booking.id));
    assert!(store.raise_epoch().await.expect("raised") > world.epoch);
    let (_, plan) = world.booking_plan(&[&user], world.minutes(60, 90));
    assert_eq!(world.commit(&plan).await, Outcome::Fenced, "the old program finds its writes fenced");
}

#[tokio::test]
async fn the_file_shows_no_secret() {
    let place = Place::new();
    let world = place.world(&format!("k:{ZEROS}")).await;
    connect_with_secret(&world).await;
    let user = world.user().await;
    let (_, plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    let plan = CommitPlan { idempotency: Some(idempotent(1, 1, SECRET)), ..plan };
    assert!(matches!(world.commit(&plan).await, Outcome::Committed { .. }));
    let bytes = place.bytes();
    assert!(contains(&bytes, b"Max.Mustermann@Example.com"), "the search itself works");
    assert!(!contains(&bytes, SECRET.as_bytes()));
    assert!(!contains(&bytes, b"https://dav.example"));
}

#[tokio::test]
async fn a_deleted_account_leaves_no_key_in_the_file() {
    let place = Place::new();
    let world = place.world(&format!("k:{ZEROS}")).await;
    connect_with_secret(&world).await;
    let select = "SELECT wrapped FROM account_keys";
    let wrapped: Vec<u8> = sqlx::query_scalar(select).fetch_one(&mut place.raw().await).await.expect("one account");
    assert!(contains(&place.bytes(), &wrapped), "the search itself works");
    assert_eq!(world.store.delete_account(&world.tenant, None).await.expect("answered"), Write::Done);
    assert!(!contains(&place.bytes(), &wrapped));
}

#[tokio::test]
async fn rotation_rewraps_keys_and_loses_nothing() {
    let place = Place::new();
    let world = place.world(&format!("old:{ZEROS}")).await;
    let connection_id = connect_with_secret(&world).await;
    let account_id = world.tenant.account_id;
    let read = async |store: &SqliteStore| store.credentials(account_id, connection_id).await;

    let new_alone = place.open(&format!("new:{ONES}")).await;
    assert_eq!(new_alone.missing_key_ids().await.expect("readable"), ["old"]);
    assert!(matches!(read(&new_alone).await, Err(StoreError::Corrupt(_))));
    let both = place.open(&format!("new:{ONES},old:{ZEROS}")).await;
    assert_eq!(both.rewrap_keys().await.expect("done"), 2, "one organization, one account");
    assert_eq!(both.rewrap_keys().await.expect("done"), 0);
    assert_eq!(new_alone.missing_key_ids().await.expect("readable"), [""; 0]);
    assert_eq!(read(&new_alone).await.expect("readable"), Some(kept()));
}

/// A sealed value copied into another row does not open there.
#[tokio::test]
async fn credentials_are_bound_to_their_row() {
    let place = Place::new();
    let world = place.world(&format!("k:{ZEROS}")).await;
    let one = connect_with_secret(&world).await;
    let (two, _) = world.connect(1).await;
    let copy = "UPDATE connections SET credentials = (SELECT credentials FROM connections WHERE connection_id = $1) \
                WHERE connection_id = $2";
    let copy = sqlx::query(copy).bind(one.as_uuid()).bind(two.id.as_uuid());
    copy.execute(&mut place.raw().await).await.expect("copied");
    let read = async |id| world.store.credentials(world.tenant.account_id, id).await;
    assert_eq!(read(one).await.expect("readable"), Some(kept()));
    assert!(matches!(read(two.id).await, Err(StoreError::Corrupt(_))));
}

/// While an installation is upgraded, nodes of two versions work on one store.
#[tokio::test]
async fn events_of_a_newer_program_hold_nothing_up() {
    let place = Place::new();
    let keys = format!("k:{ZEROS}");
    let world = place.world(&keys).await;
    let user = world.user().await;
    for minute in [0, 30] {
        let (_, plan) = world.booking_plan(&[&user], world.minutes(minute, minute + 30));
        assert!(matches!(world.commit(&plan).await, Outcome::Committed { .. }));
    }
    let newer = "UPDATE events SET kind = 'booking.dreamt', happened_at = happened_at - 1 WHERE rowid = 1";
    let changed = sqlx::query(newer).execute(&mut place.raw().await).await.expect("written").rows_affected();
    assert_eq!(changed, 1);
    let spread = async || place.open(&keys).await.spread_events(None, 1, MailFor::NOBODY).await.expect("answered");
    assert_eq!((spread().await.events, spread().await.events), (1, 0));
    let left = "SELECT kind FROM events WHERE state = 'new'";
    let left: Vec<String> = sqlx::query_scalar(left).fetch_all(&mut place.raw().await).await.expect("readable");
    assert_eq!(left, ["booking.dreamt"]);
}

/// An organization whose key cannot be opened goes without; the endpoints of others are told.
#[tokio::test]
async fn a_damaged_key_of_one_organization_stops_no_deliveries_of_others() {
    let place = Place::new();
    let world = place.world(&format!("k:{ZEROS}")).await;
    let store = place.open(&format!("k:{ZEROS}")).await;
    let other = world.another_organization().await;
    let mut room = Vec::new();
    for tenant in [&other, &world.tenant] {
        let user = world.user_for(tenant, None).await;
        let endpoint = WebhookEndpoint {
            id: WebhookId::from_uuid(world.uuid()),
            organization_id: tenant.organization_id,
            mode: tenant.mode,
            url: "https://example.com/hook".into(),
            events: BTreeSet::from(EventKind::ALL),
            account_ids: None,
            standing: WebhookStanding::Enabled,
            health: WebhookHealth::default(),
            created_at: world.now(),
        };
        let made = store.create_endpoint(&endpoint, b"a secret of an endpoint", None).await;
        assert_eq!(made.expect("answered"), Write::Done);
        let (_, plan) = world.booking_plan_for(tenant, &[&user], world.minutes(0, 30));
        assert!(matches!(world.commit(&plan).await, Outcome::Committed { .. }));
        room.push((endpoint.id, 10));
    }
    store.spread_events(None, 10, MailFor::NOBODY).await.expect("answered");
    let damage = "UPDATE organization_keys SET wrapped = zeroblob(60) WHERE organization_id = $1";
    let damage = sqlx::query(damage).bind(other.organization_id.as_uuid()).execute(&mut place.raw().await).await;
    assert_eq!(damage.expect("written").rows_affected(), 1);
    let claim = DeliveryClaim { owner: None, lease: Duration::from_secs(30), room: room.iter().copied().collect() };
    let claimed = store.claim_deliveries(&claim).await.expect("the others are told");
    assert_eq!(claimed.secrets.keys().copied().collect::<Vec<_>>(), [room[1].0]);
}

#[tokio::test]
async fn the_schema_says_where_it_stands() {
    let place = Place::new();
    let store = place.open(&format!("k:{ZEROS}")).await;
    let before = store.schema_state().await.expect("readable");
    assert!(!before.is_current());
    assert_eq!(before.applied, 0);
    assert!(!before.pending.is_empty());
    store.migrate().await.expect("migrated");
    let after = store.schema_state().await.expect("readable");
    assert!(after.is_current() && after.applied == before.pending.len());

    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (29990101000000, 'from the future', 1, x'00', 0)";
    sqlx::query(newer).execute(&mut place.raw().await).await.expect("written");
    let newer = store.schema_state().await.expect("readable");
    assert!(!newer.is_current());
    assert_eq!(newer.unknown, [29_990_101_000_000]);
    store.migrate().await.expect_err("an older program does not touch a newer schema");
}

#[tokio::test]
async fn a_database_that_would_lose_commits_is_named() {
    let place = Place::new();
    let store = place.open(&format!("k:{ZEROS}")).await;
    store.migrate().await.expect("migrated");
    assert_eq!(store.durability_check().await.expect("readable"), []);
    sqlx::query("DROP TRIGGER claims_no_overlap_update").execute(&mut place.raw().await).await.expect("dropped");
    let problems = store.durability_check().await.expect("readable");
    assert_eq!(problems, [DurabilityProblem::MissingTrigger("claims_no_overlap_update")]);
}

/// What would only be kept in memory until a commit asks nothing of the disk.
#[tokio::test]
async fn a_disk_is_asked_for_room_and_nothing_is_left() {
    let place = Place::new();
    let store = place.open(&format!("k:{ZEROS}")).await;
    store.migrate().await.expect("migrated");
    let mut raw = place.raw().await;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut raw).await.expect("folded back");
    let journal = PathBuf::from(format!("{}-wal", place.path.display()));
    assert_eq!(read(&journal).len(), 0);
    let before = read(&place.path);
    assert_eq!(store.durability_check().await.expect("readable"), []);
    // A megabyte, but for the few pages that stay in memory.
    assert!(read(&journal).len() > 900_000, "{} bytes were written", read(&journal).len());
    let tables = "SELECT count(*) FROM sqlite_master WHERE name LIKE '%trial%'";
    assert_eq!(sqlx::query_scalar::<_, i64>(tables).fetch_one(&mut raw).await.expect("readable"), 0);
    assert!(read(&place.path) == before, "the file is as it was");
}

/// The constraint itself refuses, however a row gets there.
#[tokio::test]
async fn the_schema_refuses_overlapping_claims_of_any_writer() {
    let place = Place::new();
    let world = place.world(&format!("k:{ZEROS}")).await;
    let user = world.user().await;
    world.book(&[&user], world.minutes(0, 30)).await;
    world.book(&[&user], world.minutes(60, 90)).await;
    let mut raw = place.raw().await;
    let check = async |raw: &mut SqliteConnection, statement: &'static str, expected: &str| {
        let error = sqlx::query(statement).execute(raw).await.expect_err(statement);
        let message = error.as_database_error().expect("the database refuses").message().to_owned();
        assert!(message.contains(expected), "{statement}: {message}");
    };
    let overlap = "claims_no_overlap";
    check(&mut raw, "UPDATE claims SET start_at = (SELECT min(start_at) FROM claims)", overlap).await;
    check(&mut raw, "UPDATE claims SET end_at = end_at + 1800000001", overlap).await;
    check(&mut raw, "UPDATE claims SET end_at = start_at", "claims_bounded").await;
    check(
        &mut raw,
        "UPDATE claims SET end_at = start_at + 86400000001 WHERE end_at = (SELECT max(end_at) FROM claims)",
        "claims_bounded",
    )
    .await;
    check(&mut raw, "UPDATE claims SET user_id = NULL", "NOT NULL").await;
    check(&mut raw, "UPDATE claims SET expires_at = 1", "claims_owner").await;
    check(
        &mut raw,
        "INSERT INTO claims SELECT account_id, randomblob(16), shard + 1, user_id, home_calendar_id, start_at + 1, end_at, \
         kind, hold_id, booking_id, event_type_id, 0, 0, expires_at, session_id FROM claims LIMIT 1",
        overlap,
    )
    .await;
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM claims").fetch_one(&mut raw).await.expect("readable");
    assert_eq!(kept, 2);
}
