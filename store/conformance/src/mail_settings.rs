//! What mails look like: templates and branding, an account's and its organization's.

use std::ops::Deref;
use std::sync::Arc;

use agentcal_engine::ids::OrganizationId;
use agentcal_engine::model::{MailBranding, MailKind, MailLanguage, MailPage, MailTemplate, Mode, Tenant};
use agentcal_engine::ports::{MailLook, MailOwner, MailSettingsStore, NoticeReader, Store, Write};

use crate::World;
use crate::world::{TestClock, idempotent};

/// Every case of the [`MailSettingsStore`] port, handed to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! each_mail_settings_case {
    ($then:ident, $($given:tt)*) => {
        $crate::$then! { $($given)*;
            what_was_put_is_there
            an_account_goes_before_its_organization
            settings_are_their_owners
            setting_twice_replays
            settings_raise_no_revision
            settings_end_with_their_account
            notices_reach_who_was_set
        }
    };
}

/// Makes a test of every case of the port of mail settings. `$make` as for [`crate::store_suite`].
#[macro_export]
macro_rules! mail_settings_suite {
    ($make:path) => {
        $crate::each_mail_settings_case! { mail_settings_tests, $make }
    };
    ($make:path, where $available:path) => {
        $crate::each_mail_settings_case! { mail_settings_tests, $make, where $available }
    };
}

/// A test of each case about mail settings.
#[doc(hidden)]
#[macro_export]
macro_rules! mail_settings_tests {
    ($make:path; $($case:ident)*) => {
        mod mail_settings {
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    $crate::mail_settings::$case($crate::mail_settings::MailWorld::new($make).await).await;
                }
            )*
        }
    };
    ($make:path, where $available:path; $($case:ident)*) => {
        mod mail_settings {
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    if $available() {
                        $crate::mail_settings::$case($crate::mail_settings::MailWorld::new($make).await).await;
                    }
                }
            )*
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! run_mail_settings_in_turn {
    ($make:ident; $($case:ident)*) => {
        $( $crate::mail_settings::$case($crate::mail_settings::MailWorld::new(&$make).await).await; )*
    };
}

/// Runs every case of the port of mail settings in turn, each on a store of its own.
pub async fn run_mail_settings_suite<S, G, F>(make: impl Fn(Arc<TestClock>) -> F)
where
    S: Store + MailSettingsStore + Clone + 'static,
    G: Send + 'static,
    F: Future<Output = (S, G)>,
{
    each_mail_settings_case! { run_mail_settings_in_turn, make }
}

/// A world whose store keeps what mails look like, too.
pub struct MailWorld {
    world: World,
    settings: Arc<dyn MailSettingsStore>,
}

impl Deref for MailWorld {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl MailWorld {
    /// A world on a store of this making.
    pub async fn new<S, G, F>(make: impl FnOnce(Arc<TestClock>) -> F) -> Self
    where
        S: Store + MailSettingsStore + Clone + 'static,
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
        Self { world, settings: Arc::new(kept.expect("the store was made")) }
    }

    async fn put(&self, owner: &MailOwner, kind: MailKind, template: &MailTemplate) {
        let put = self.settings.put_mail_template(owner, kind, template, None).await;
        assert_eq!(put.expect("the store answers"), Write::Done);
    }

    async fn brand(&self, owner: &MailOwner, branding: &MailBranding) {
        let put = self.settings.put_mail_branding(owner, branding, None).await;
        assert_eq!(put.expect("the store answers"), Write::Done);
    }

    async fn template(&self, owner: &MailOwner, kind: MailKind) -> Option<MailTemplate> {
        self.settings.mail_template(owner, kind).await.expect("readable")
    }

    async fn branding(&self, owner: &MailOwner) -> MailBranding {
        self.settings.mail_branding(owner).await.expect("readable")
    }

    async fn look(&self, tenant: &Tenant, kind: MailKind) -> Option<MailLook> {
        self.settings.mail_look(tenant.account_id, kind).await.expect("readable")
    }
}

fn account(tenant: &Tenant) -> MailOwner {
    MailOwner::Account(*tenant)
}

fn organization(tenant: &Tenant) -> MailOwner {
    MailOwner::Organization { organization_id: tenant.organization_id, mode: tenant.mode }
}

fn template(subject: &str) -> MailTemplate {
    MailTemplate {
        subject: Some(subject.to_owned()),
        text: None,
        page: Some(MailPage::Mjml("<mjml>\n\"ä\"</mjml>".to_owned())),
    }
}

fn branding(name: &str) -> MailBranding {
    MailBranding { organization_name: Some(name.to_owned()), ..MailBranding::default() }
}

/// A template and a branding come back as they were put, until others are put in their place or they are taken away.
pub async fn what_was_put_is_there(world: MailWorld) {
    for owner in [account(&world.tenant), organization(&world.tenant)] {
        for kind in MailKind::ALL {
            assert_eq!(world.template(&owner, kind).await, None);
            let first = template(kind.as_str());
            world.put(&owner, kind, &first).await;
            assert_eq!(world.template(&owner, kind).await, Some(first));
        }
        let second = MailTemplate { page: Some(MailPage::Html("<p>".to_owned())), ..MailTemplate::default() };
        world.put(&owner, MailKind::Reminder, &second).await;
        assert_eq!(world.template(&owner, MailKind::Reminder).await, Some(second));
        for _ in 0..2 {
            let gone = world.settings.delete_mail_template(&owner, MailKind::Reminder, None).await;
            assert_eq!(gone.expect("answered"), Write::Done);
            assert_eq!(world.template(&owner, MailKind::Reminder).await, None);
        }
        assert_eq!(world.template(&owner, MailKind::Confirmation).await, Some(template("confirmation")));

        assert_eq!(world.branding(&owner).await, MailBranding::default());
        let whole = MailBranding {
            organization_name: Some("Grün & Söhne".into()),
            logo_url: Some("https://example.com/logo.png".into()),
            accent_color: Some("#0b4fc4".into()),
            language: Some(MailLanguage::German),
        };
        world.brand(&owner, &whole).await;
        assert_eq!(world.branding(&owner).await, whole);
        world.brand(&owner, &branding("Grün")).await;
        assert_eq!(world.branding(&owner).await, branding("Grün"));
        for _ in 0..2 {
            let gone = world.settings.delete_mail_branding(&owner, None).await;
            assert_eq!(gone.expect("answered"), Write::Done);
            assert_eq!(world.branding(&owner).await, MailBranding::default());
        }
    }
}

/// What a mail looks like is its account's, then its organization's, and is sent in the account's name if nobody said otherwise.
pub async fn an_account_goes_before_its_organization(world: MailWorld) {
    let kind = MailKind::Confirmation;
    let (own, above) = (account(&world.tenant), organization(&world.tenant));
    let look = world.look(&world.tenant, kind).await.expect("the account is there");
    assert_eq!(look, MailLook { account: None, organization: None, branding: branding("Dr. Grün") });
    let logo = MailBranding { logo_url: Some("https://example.com/logo.png".into()), ..branding("Above") };
    world.put(&above, kind, &template("above")).await;
    world.brand(&above, &logo).await;
    let sibling = world.another_account().await;
    let expected = MailLook { account: None, organization: Some(template("above")), branding: logo.clone() };
    for tenant in [&world.tenant, &sibling] {
        assert_eq!(world.look(tenant, kind).await, Some(expected.clone()));
    }
    world.put(&own, kind, &template("own")).await;
    world.brand(&own, &branding("Own")).await;
    let look = world.look(&world.tenant, kind).await.expect("the account is there");
    assert_eq!((look.account, look.organization), (Some(template("own")), Some(template("above"))));
    assert_eq!(look.branding, MailBranding { organization_name: Some("Own".into()), ..logo });
    assert_eq!(world.look(&sibling, kind).await, Some(expected));
    let other = world.look(&world.tenant, MailKind::Reminder).await.expect("the account is there");
    assert_eq!((other.account, other.organization), (None, None));
}

/// Nobody else's settings are seen or changed: not another organization's, not the other mode's, not another account's.
pub async fn settings_are_their_owners(world: MailWorld) {
    let kind = MailKind::Confirmation;
    let other = world.another_organization().await;
    let live = world.account_in(world.tenant.organization_id, Mode::Live).await;
    let (own, above) = (account(&world.tenant), organization(&world.tenant));
    for owner in [&own, &above] {
        world.put(owner, kind, &template("mine")).await;
        world.brand(owner, &branding("Mine")).await;
    }
    let strangers = [
        account(&other),
        account(&live),
        organization(&other),
        organization(&live),
        account(&Tenant { account_id: world.tenant.account_id, ..other }),
        account(&Tenant { mode: Mode::Live, ..world.tenant }),
    ];
    for owner in &strangers {
        assert_eq!(world.template(owner, kind).await, None, "{owner:?}");
        assert_eq!(world.branding(owner).await, MailBranding::default(), "{owner:?}");
    }
    for owner in &strangers[4..] {
        let put = world.settings.put_mail_template(owner, kind, &template("theirs"), None).await;
        assert_eq!(put.expect("answered"), Write::Missing);
        let gone = world.settings.delete_mail_branding(owner, None).await;
        assert_eq!(gone.expect("answered"), Write::Missing);
    }
    for owner in &strangers[..4] {
        world.put(owner, kind, &template("theirs")).await;
        world.settings.delete_mail_branding(owner, None).await.expect("answered");
    }
    for owner in [&own, &above] {
        assert_eq!(world.template(owner, kind).await, Some(template("mine")));
        assert_eq!(world.branding(owner).await, branding("Mine"));
    }
    let look = world.look(&live, kind).await.expect("the account is there");
    assert_eq!((look.account, look.branding), (Some(template("theirs")), branding("Dr. Grün")));
}

/// A request that is repeated is answered, and not done again.
pub async fn setting_twice_replays(world: MailWorld) {
    let kind = MailKind::Cancellation;
    for (scope, owner) in [(1, account(&world.tenant)), (2, organization(&world.tenant))] {
        let answer = idempotent(scope, 1, "put");
        for expected in [Write::Done, Write::Replayed(b"put".to_vec())] {
            let put = world.settings.put_mail_template(&owner, kind, &template("first"), Some(&answer)).await;
            assert_eq!(put.expect("answered"), expected);
        }
        let other = idempotent(scope, 2, "put");
        let put = world.settings.put_mail_branding(&owner, &branding("other"), Some(&other)).await;
        assert_eq!(put.expect("answered"), Write::IdempotencyMismatch);
        assert_eq!(world.branding(&owner).await, MailBranding::default());
        world.put(&owner, kind, &template("second")).await;
        let put = world.settings.put_mail_template(&owner, kind, &template("first"), Some(&answer)).await;
        assert_eq!(put.expect("answered"), Write::Replayed(b"put".to_vec()));
        assert_eq!(world.template(&owner, kind).await, Some(template("second")));
    }
}

/// No decision rests on what mails look like, so none has to be made again.
pub async fn settings_raise_no_revision(world: MailWorld) {
    let before = world.config_revision(&world.tenant).await;
    for owner in [account(&world.tenant), organization(&world.tenant)] {
        world.put(&owner, MailKind::Reminder, &template("new")).await;
        world.brand(&owner, &branding("New")).await;
    }
    assert_eq!(world.config_revision(&world.tenant).await, before);
}

/// An account takes its settings along.
pub async fn settings_end_with_their_account(world: MailWorld) {
    let owner = account(&world.tenant);
    world.put(&owner, MailKind::Reminder, &template("mine")).await;
    assert_eq!(world.store.delete_account(&world.tenant, None).await.expect("answered"), Write::Done);
    assert_eq!(world.template(&owner, MailKind::Reminder).await, None);
    assert_eq!(world.look(&world.tenant, MailKind::Reminder).await, None);
    let put = world.settings.put_mail_template(&owner, MailKind::Reminder, &template("late"), None).await;
    assert_eq!(put.expect("answered"), Write::Missing);
}

/// Where an organization is told of its own affairs is nobody else's, and is there until it is taken away.
pub async fn notices_reach_who_was_set(world: MailWorld) {
    let tenant = world.tenant;
    let other = world.another_organization().await;
    let branding = MailBranding { language: Some(MailLanguage::German), ..MailBranding::default() };
    world.brand(&organization(&tenant), &branding).await;
    let read = async |id, mode| world.settings.notice_reader(id, mode).await.expect("readable");
    let set = async |id, email| world.settings.set_notice_email(id, email).await.expect("answered");
    let told = |email: Option<&str>, branding: &MailBranding| {
        Some(NoticeReader { name: "Acme".into(), email: email.map(str::to_owned), branding: branding.clone() })
    };
    assert_eq!(read(tenant.organization_id, Mode::Test).await, told(None, &branding));
    assert!(set(tenant.organization_id, Some("ops@example.com")).await);
    assert_eq!(read(tenant.organization_id, Mode::Test).await, told(Some("ops@example.com"), &branding));
    assert_eq!(read(tenant.organization_id, Mode::Live).await, told(Some("ops@example.com"), &MailBranding::default()));
    assert_eq!(read(other.organization_id, Mode::Test).await.and_then(|reader| reader.email), None);
    assert!(set(tenant.organization_id, None).await);
    assert_eq!(read(tenant.organization_id, Mode::Test).await, told(None, &branding));
    let nobody = OrganizationId::from_uuid(world.uuid());
    assert!(!set(nobody, Some("ops@example.com")).await);
    assert_eq!(read(nobody, Mode::Test).await, None);
}
