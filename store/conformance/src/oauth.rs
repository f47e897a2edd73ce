//! Connecting by consent: attempts, what organizations set for it, and grants that are to be given back.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::ids::OrganizationId;
use agentcal_engine::model::{ProviderKind, Tenant};
use agentcal_engine::ports::{
    ATTEMPTS_PER_ACCOUNT_MAX, OauthAttempt, OauthClient, OauthStore, REDIRECT_URLS_MAX, REVOCATION_GRACE, Store, Write,
};

use crate::World;
use crate::mailboxes::{grant, mailbox};
use crate::world::TestClock;

/// How long a grant is held by whoever gives it back.
const LEASE: Duration = Duration::from_secs(60);

/// Every case of the [`OauthStore`] port, handed to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! each_oauth_case {
    ($then:ident, $($given:tt)*) => {
        $crate::$then! { $($given)*;
            an_attempt_is_taken_once
            an_attempt_ends
            attempts_have_a_limit
            redirect_urls_are_listed_by_organization
            a_client_is_its_organizations
            what_is_disconnected_is_given_back
            what_goes_with_its_account_is_given_back
            a_grant_that_serves_elsewhere_is_told
        }
    };
}

/// Makes a test of every case of the port. `$make` as for [`crate::store_suite`].
#[macro_export]
macro_rules! oauth_suite {
    ($make:path) => {
        $crate::each_oauth_case! { oauth_tests, $make }
    };
    ($make:path, where $available:path) => {
        $crate::each_oauth_case! { oauth_tests, $make, where $available }
    };
}

/// A test of each case about connecting by consent.
#[doc(hidden)]
#[macro_export]
macro_rules! oauth_tests {
    ($make:path; $($case:ident)*) => {
        $crate::oauth_tests! { $make, where $crate::oauth::everywhere; $($case)* }
    };
    ($make:path, where $available:path; $($case:ident)*) => {
        mod oauth {
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    if $available() {
                        $crate::oauth::$case($crate::oauth::OauthWorld::new($make).await).await;
                    }
                }
            )*
        }
    };
}

/// What a store that needs no server is available.
#[doc(hidden)]
pub fn everywhere() -> bool {
    true
}

#[doc(hidden)]
#[macro_export]
macro_rules! run_oauth_in_turn {
    ($make:ident; $($case:ident)*) => {
        $( $crate::oauth::$case($crate::oauth::OauthWorld::new(&$make).await).await; )*
    };
}

/// Runs every case of the port in turn, each on a store of its own.
pub async fn run_oauth_suite<S, G, F>(make: impl Fn(Arc<TestClock>) -> F)
where
    S: Store + OauthStore + Clone + 'static,
    G: Send + 'static,
    F: Future<Output = (S, G)>,
{
    each_oauth_case! { run_oauth_in_turn, make }
}

/// A world whose store keeps what connecting by consent takes, too.
pub struct OauthWorld {
    world: World,
    oauth: Arc<dyn OauthStore>,
}

impl Deref for OauthWorld {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl OauthWorld {
    /// A world on a store of this making.
    pub async fn new<S, G, F>(make: impl FnOnce(Arc<TestClock>) -> F) -> Self
    where
        S: Store + OauthStore + Clone + 'static,
        G: Send + 'static,
        F: Future<Output = (S, G)>,
    {
        let mut kept = None;
        let world = World::new(async |clock| {
            let (store, ground) = make(clock).await;
            kept = Some(store.clone());
            (store, ground)
        })
        .await;
        Self { world, oauth: Arc::new(kept.expect("the store was made")) }
    }

    fn attempt(&self, tenant: &Tenant) -> OauthAttempt {
        OauthAttempt {
            id: self.uuid(),
            tenant: *tenant,
            provider: ProviderKind::Google,
            client_id: "client".into(),
            redirect_url: "https://app.example.com/done".into(),
            verifier: "v".repeat(43),
            expires_at: self.now() + Duration::from_secs(600),
        }
    }

    async fn begin(&self, attempt: &OauthAttempt) {
        assert_eq!(self.oauth.begin_attempt(attempt).await.expect("answered"), Write::Done);
    }

    async fn connect_mailbox(&self, tenant: &Tenant) -> agentcal_engine::model::Connection {
        let mailbox = mailbox(self, tenant, "sarah", &["own"]);
        let connected = self.store.connect_mailbox(tenant, &mailbox).await.expect("answered");
        connected.expect("the account is there").0
    }

    /// Lets the watches of what was disconnected end.
    fn wait(&self) {
        self.clock.advance(REVOCATION_GRACE);
    }

    async fn claimed(&self) -> Vec<agentcal_engine::ports::Revocation> {
        self.oauth.claim_revocations(10, LEASE).await.expect("answered")
    }
}

/// Whoever comes back is known once, by the account and the name of the attempt together.
pub async fn an_attempt_is_taken_once(world: OauthWorld) {
    let attempt = world.attempt(&world.tenant);
    world.begin(&attempt).await;
    let take = async |account_id| world.oauth.take_attempt(account_id, attempt.id).await.expect("answered");
    let stranger = world.another_account().await;
    assert_eq!(take(stranger.account_id).await, None, "another account's");
    let taken = take(world.tenant.account_id).await.expect("it is there");
    assert_eq!((taken.attempt, taken.is_expired), (attempt.clone(), false));
    assert_eq!(take(world.tenant.account_id).await, None, "it was taken before");
    let nowhere = Tenant { mode: agentcal_engine::model::Mode::Live, ..world.tenant };
    let write = world.oauth.begin_attempt(&world.attempt(&nowhere)).await.expect("answered");
    assert_eq!(write, Write::Missing, "the account is one of tests");
}

/// An attempt ends by the store's clock; who comes back a little too late is told so.
pub async fn an_attempt_ends(world: OauthWorld) {
    let (first, second) = (world.attempt(&world.tenant), world.attempt(&world.tenant));
    world.begin(&first).await;
    world.begin(&second).await;
    world.clock.advance(Duration::from_secs(600));
    let taken = world.oauth.take_attempt(world.tenant.account_id, first.id).await.expect("answered");
    assert!(taken.expect("it is there").is_expired);
    world.clock.advance(Duration::from_secs(24 * 3_600));
    world.begin(&world.attempt(&world.tenant)).await;
    assert_eq!(world.oauth.take_attempt(world.tenant.account_id, second.id).await.expect("answered"), None);
}

/// However many attempts a caller begins, an account keeps so many: the oldest goes.
pub async fn attempts_have_a_limit(world: OauthWorld) {
    let mut ids = Vec::new();
    for _ in 0..=ATTEMPTS_PER_ACCOUNT_MAX {
        let attempt = world.attempt(&world.tenant);
        world.begin(&attempt).await;
        ids.push(attempt.id);
        world.clock.advance(Duration::from_millis(1));
    }
    let account_id = world.tenant.account_id;
    assert_eq!(world.oauth.take_attempt(account_id, ids[0]).await.expect("answered"), None, "the oldest");
    assert!(world.oauth.take_attempt(account_id, ids[1]).await.expect("answered").is_some());
}

/// Addresses to come back to are an organization's, in the order of their text, and not too many.
pub async fn redirect_urls_are_listed_by_organization(world: OauthWorld) {
    let own = world.tenant.organization_id;
    let other = world.another_organization().await.organization_id;
    let add = async |id, url: &str| world.oauth.add_redirect_url(id, url).await.expect("answered");
    for url in ["https://b.example/", "https://a.example/", "https://b.example/"] {
        assert_eq!(add(own, url).await, Write::Done);
    }
    assert_eq!(add(other, "https://c.example/").await, Write::Done);
    let listed = async |id| world.oauth.redirect_urls(id).await.expect("readable");
    assert_eq!(listed(own).await, ["https://a.example/", "https://b.example/"]);
    let remove = async |id, url: &str| world.oauth.remove_redirect_url(id, url).await.expect("answered");
    assert!(!remove(own, "https://c.example/").await, "another's");
    assert!(remove(own, "https://a.example/").await);
    assert!(!remove(own, "https://a.example/").await, "it is gone");
    assert_eq!(listed(own).await, ["https://b.example/"]);
    let nobody = OrganizationId::from_uuid(world.uuid());
    assert_eq!(add(nobody, "https://a.example/").await, Write::Missing);
    for number in 1..REDIRECT_URLS_MAX {
        assert_eq!(add(own, &format!("https://n{number}.example/")).await, Write::Done);
    }
    assert_eq!(add(own, "https://z.example/").await, Write::Refused("redirect_urls"));
}

/// An organization's client is found through it and through its accounts, and by nobody else.
pub async fn a_client_is_its_organizations(world: OauthWorld) {
    let own = world.tenant.organization_id;
    let other = world.another_organization().await;
    let client = |number: u8| OauthClient { client_id: format!("id-{number}"), client_secret: format!("s-{number}") };
    let google = ProviderKind::Google;
    for number in [1, 2] {
        assert!(world.oauth.put_oauth_client(own, google, &client(number)).await.expect("answered"));
    }
    let found = async |id, provider| world.oauth.oauth_client(id, provider).await.expect("readable");
    assert_eq!(found(own, google).await, Some(client(2)));
    assert_eq!(found(own, ProviderKind::Microsoft).await, None);
    assert_eq!(found(other.organization_id, google).await, None);
    let through = async |account_id| world.oauth.oauth_client_of_account(account_id, google).await.expect("readable");
    assert_eq!(through(world.tenant.account_id).await, Some(client(2)));
    assert_eq!(through(other.account_id).await, None);
    assert!(world.oauth.remove_oauth_client(own, google).await.expect("answered"));
    assert!(!world.oauth.remove_oauth_client(own, google).await.expect("answered"));
    assert_eq!(found(own, google).await, None);
    let nobody = OrganizationId::from_uuid(world.uuid());
    assert!(!world.oauth.put_oauth_client(nobody, google, &client(1)).await.expect("answered"));
}

/// What a connection was reached with is given back when it goes: once at a time, again after a lease or a wait, until it is
/// done.
pub async fn what_is_disconnected_is_given_back(world: OauthWorld) {
    let given = grant(&world, 1);
    let connection = world.connect_mailbox(&world.tenant).await;
    assert_eq!(world.claimed().await, []);
    let delete = world.store.delete_connection(&world.tenant, connection.id, &[], world.now(), None).await;
    assert_eq!(delete.expect("answered"), Write::Done);
    assert_eq!(world.claimed().await, [], "its watches end first");
    world.wait();
    let claimed = world.claimed().await;
    assert_eq!(claimed.len(), 1);
    let revocation = &claimed[0];
    assert_eq!((revocation.provider, revocation.attempts, revocation.is_shared), (ProviderKind::Google, 1, false));
    assert_eq!(revocation.grant, given);
    assert_eq!(world.claimed().await, [], "somebody has it in hand");
    world.clock.advance(LEASE);
    assert_eq!(world.claimed().await[0].attempts, 2, "whoever had it is gone");
    world.oauth.end_revocation(revocation.id, Some(Duration::from_secs(300))).await.expect("answered");
    world.clock.advance(Duration::from_secs(299));
    assert_eq!(world.claimed().await, []);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.claimed().await[0].attempts, 3);
    world.oauth.end_revocation(revocation.id, None).await.expect("answered");
    world.clock.advance(LEASE);
    assert_eq!(world.claimed().await, [], "it is done");
}

/// An account's key is gone with it; its grants are given back all the same. Where a provider takes none back, none is kept.
pub async fn what_goes_with_its_account_is_given_back(world: OauthWorld) {
    let given = grant(&world, 1);
    world.connect_mailbox(&world.tenant).await;
    let mut microsoft = mailbox(&world, &world.tenant, "tom", &["own"]);
    microsoft.connection.provider = ProviderKind::Microsoft;
    microsoft.calendars[0].provider = ProviderKind::Microsoft;
    world.store.connect_mailbox(&world.tenant, &microsoft).await.expect("answered");
    world.connect(1).await;
    assert_eq!(world.store.delete_account(&world.tenant, None).await.expect("answered"), Write::Done);
    world.wait();
    let claimed = world.claimed().await;
    assert_eq!(claimed.len(), 1, "that of Google alone");
    assert_eq!(claimed[0].grant, given);
}

/// A provider knows one grant for a person and a client. While another connection lives by it, it is not to be given back.
pub async fn a_grant_that_serves_elsewhere_is_told(world: OauthWorld) {
    let connection = world.connect_mailbox(&world.tenant).await;
    let elsewhere = world.another_organization().await;
    world.connect_mailbox(&elsewhere).await;
    let delete = world.store.delete_connection(&world.tenant, connection.id, &[], world.now(), None).await;
    assert_eq!(delete.expect("answered"), Write::Done);
    world.wait();
    let claimed = world.claimed().await;
    assert!(claimed[0].is_shared, "another connection lives by it");
    let alone = grant(&world, 9);
    let queued = world.oauth.queue_revocation(&world.tenant, ProviderKind::Google, "nobody else", &alone).await;
    queued.expect("answered");
    let claimed = world.claimed().await;
    assert_eq!((&claimed[0].grant, claimed[0].is_shared), (&alone, false));
}
