use std::path::Path;

use agentcal_engine::ids::OrganizationId;
use agentcal_engine::model::{Account, Mode, Organization, Tenant};
use agentcal_engine::ports::{Clock, MailOwner, Store, Write};
use agentcal_store_vault::KeyRing;

use super::*;
use crate::clock::{OsEntropy, SystemClock};
use crate::durable::Durable;

const KIND: MailKind = MailKind::Confirmation;

struct Room {
    looks: Looks,
    store: Arc<dyn MailSettingsStore>,
    tenant: Tenant,
    _folder: tempfile::TempDir,
}

impl Room {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let durable = open(&folder.path().join("agentcal.db")).await;
        let (store, now) = (durable.port(), SystemClock.now());
        let tenant = tenant(&*store, now).await;
        let store = durable.mail_settings();
        Self { looks: Looks::new(Arc::clone(&store)), store, tenant, _folder: folder }
    }

    async fn put(&self, owner: MailOwner, template: MailTemplate) {
        let put = self.store.put_mail_template(&owner, KIND, &template, None).await;
        assert_eq!(put.expect("the store answers"), Write::Done);
    }

    /// The subject of a mail to an attendee, as it is composed now.
    async fn subject(&self) -> String {
        let look = self.looks.of(self.tenant.account_id, KIND).await.expect("readable").expect("an account");
        let notice = sample_notice(notice_kind(KIND), look.language, ReaderRole::Attendee, look.branding);
        let sender = agentcal_delivery_mail::Sender { address: "mail@example.com".parse().expect("an address") };
        agentcal_delivery_mail::compose(&notice, &sender, &look.templates).mail.shown.subject
    }
}

async fn open(path: &Path) -> Durable {
    let store = Durable::open_file(path, Arc::new(KeyRing::generate("test", &OsEntropy))).await.expect("a store");
    store.migrate(&|_| ()).await.expect("migrated");
    store
}

async fn tenant(store: &dyn Store, now: agentcal_engine::time::Timestamp) -> Tenant {
    let organization_id = OrganizationId::mint(now, &OsEntropy);
    let organization = Organization { id: organization_id, name: "Organization".into(), created_at: now };
    store.create_organization(&organization).await.expect("an organization");
    let account = Account {
        id: AccountId::mint(now, &OsEntropy),
        organization_id,
        mode: Mode::Test,
        name: "Harbour Dental".into(),
        timezone: None,
        metadata: serde_json::Map::new(),
        created_at: now,
    };
    assert_eq!(store.create_account(&account, None).await.expect("an account"), Write::Done);
    Tenant { organization_id, mode: Mode::Test, account_id: account.id }
}

fn subject(source: &str) -> MailTemplate {
    MailTemplate { subject: Some(source.to_owned()), ..MailTemplate::default() }
}

#[tokio::test]
async fn a_change_counts_with_the_next_mail() {
    let room = Room::new().await;
    let organization = MailOwner::Organization { organization_id: room.tenant.organization_id, mode: room.tenant.mode };
    assert!(room.subject().await.contains("Introductory call"), "the default one");
    room.put(organization, subject("{{ organization }}: {{ title }}")).await;
    assert_eq!(room.subject().await, "Harbour Dental: Introductory call");
    let german = MailBranding {
        organization_name: Some("Hafen".into()),
        language: Some(MailLanguage::German),
        ..MailBranding::default()
    };
    let put = room.store.put_mail_branding(&MailOwner::Account(room.tenant), &german, None).await;
    assert_eq!(put.expect("the store answers"), Write::Done);
    assert_eq!(room.subject().await, "Hafen: Kennenlerngespräch");
    room.put(MailOwner::Account(room.tenant), subject("own")).await;
    assert_eq!(room.subject().await, "own");
    room.put(MailOwner::Account(room.tenant), subject("own, changed")).await;
    assert_eq!(room.subject().await, "own, changed");
    let nobody = AccountId::mint(SystemClock.now(), &OsEntropy);
    assert!(room.looks.of(nobody, KIND).await.expect("readable").is_none());
}

/// What an older version accepted and this one does not is no reason to send nothing.
#[tokio::test]
async fn a_template_that_cannot_be_used_any_more_is_left_out() {
    let room = Room::new().await;
    let organization = MailOwner::Organization { organization_id: room.tenant.organization_id, mode: room.tenant.mode };
    room.put(organization, subject("above")).await;
    room.put(MailOwner::Account(room.tenant), subject("{{ titel }}")).await;
    assert_eq!(room.subject().await, "above");
    room.put(organization, subject("{% include 'a' %}")).await;
    assert!(room.subject().await.contains("Introductory call"), "the default one");
}

#[tokio::test]
async fn faults_name_part_line_and_reason() {
    let looks = Room::new().await.looks;
    let check = async |template: MailTemplate, part: MailPart, line: Option<usize>| {
        let fault = looks.check_template(KIND, &template).await.expect_err("it is broken");
        assert_eq!((fault.part, fault.line), (part, line), "{}", fault.reason);
        assert!(!fault.reason.is_empty());
    };
    check(subject("{{ titel }}"), MailPart::Subject, Some(1)).await;
    let text = Some("a\n\n{% if title %}".to_owned());
    check(MailTemplate { text, ..MailTemplate::default() }, MailPart::Text, Some(3)).await;
    let page = Some(MailPage::Mjml("<mjml>\n<mj-body>\n<mj-colum></mj-colum></mj-body></mjml>".to_owned()));
    check(MailTemplate { page, ..MailTemplate::default() }, MailPart::Page, Some(3)).await;
    for kind in MailKind::ALL {
        assert_eq!(looks.check_template(kind, &looks.default_template()).await, Ok(()));
    }
}

#[tokio::test]
async fn samples_are_shown_as_they_would_be_sent() {
    let looks = Room::new().await.looks;
    let branding = MailBranding {
        organization_name: Some("Hafen & Söhne".into()),
        logo_url: Some("https://example.com/logo.png".into()),
        accent_color: Some("#0b4fc4".into()),
        language: Some(MailLanguage::German),
    };
    for kind in MailKind::ALL {
        for reader in [MailRole::Attendee, MailRole::Host] {
            let sample = MailSample { kind, reader, language: None, template: None, branding: branding.clone() };
            let shown = looks.show(sample).await.expect("the default template shows every sample");
            assert!(shown.subject.contains("Kennenlerngespräch"), "{}", shown.subject);
            assert!(shown.html.contains("Hafen &amp; Söhne"), "{}", shown.html);
            assert!(shown.html.contains("https://example.com/logo.png") && shown.html.contains("#0b4fc4"));
            assert!(shown.text.contains("Grace Hopper") || reader == MailRole::Host, "{}", shown.text);
        }
    }
    let (template, language) = (Some(subject("{{ role }} {{ language }}")), Some(MailLanguage::English));
    let sample = MailSample { kind: KIND, reader: MailRole::Host, language, template, branding };
    assert_eq!(looks.show(sample).await.expect("it can be used").subject, "host en");
}
