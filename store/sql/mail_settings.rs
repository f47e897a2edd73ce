//! What mails look like, as rows: for each owner one for each kind's template and one for the branding, as JSON.

use agentcal_engine::commit::IdempotentAnswer;
use agentcal_engine::ids::{AccountId, OrganizationId};
use agentcal_engine::model::{MailBranding, MailKind, MailTemplate, Mode};
use agentcal_engine::ports::{MailLook, MailOwner, MailSettingsStore, NoticeReader, StoreError, Write};
use async_trait::async_trait;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::db::{DbConnection, DbStore};
use crate::error::{Result, store_error};
use crate::frame::Framed;
use crate::scope::Scope;
use crate::text::{Named, from_json, to_json};
use crate::work::{Begun, Expected};

/// The name of the row that holds the branding; the others go by their kinds.
const BRANDING: &str = "branding";

/// What is done to an owner's row of a name.
enum Change {
    Put(String),
    Delete,
}

#[async_trait]
impl MailSettingsStore for DbStore {
    async fn mail_template(&self, owner: &MailOwner, kind: MailKind) -> Result<Option<MailTemplate>, StoreError> {
        self.mail_setting(owner, kind.name()).await
    }

    async fn put_mail_template(
        &self,
        owner: &MailOwner,
        kind: MailKind,
        template: &MailTemplate,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        self.change_mail_setting(owner, kind.name(), Change::Put(to_json(template)), idempotency).await
    }

    async fn delete_mail_template(
        &self,
        owner: &MailOwner,
        kind: MailKind,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        self.change_mail_setting(owner, kind.name(), Change::Delete, idempotency).await
    }

    async fn mail_branding(&self, owner: &MailOwner) -> Result<MailBranding, StoreError> {
        Ok(self.mail_setting(owner, BRANDING).await?.unwrap_or_default())
    }

    async fn put_mail_branding(
        &self,
        owner: &MailOwner,
        branding: &MailBranding,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        self.change_mail_setting(owner, BRANDING, Change::Put(to_json(branding)), idempotency).await
    }

    async fn delete_mail_branding(
        &self,
        owner: &MailOwner,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        self.change_mail_setting(owner, BRANDING, Change::Delete, idempotency).await
    }

    async fn mail_look(&self, account_id: AccountId, kind: MailKind) -> Result<Option<MailLook>, StoreError> {
        let mut reader = self.begin_read(Scope::Account(account_id)).await?;
        let select = sqlx::query_as::<_, (String, Uuid, String)>(
            "SELECT name, organization_id, mode FROM accounts WHERE account_id = $1",
        );
        let select = select.bind(account_id.as_uuid());
        let Some((name, organization_id, mode)) = select.fetch_optional(&mut *reader).await.map_err(store_error)?
        else {
            return Ok(None);
        };
        let account = of_account(&mut reader, account_id, kind).await?;
        let organization = of_organization(&mut reader, organization_id, &mode, kind).await?;
        let unnamed = MailBranding { organization_name: Some(name), ..MailBranding::default() };
        Ok(Some(MailLook {
            account: account.template,
            organization: organization.template,
            branding: account.branding.over(organization.branding).over(unnamed),
        }))
    }

    async fn notice_reader(
        &self,
        organization_id: OrganizationId,
        mode: Mode,
    ) -> Result<Option<NoticeReader>, StoreError> {
        let branding = self.mail_branding(&MailOwner::Organization { organization_id, mode }).await?;
        let select = sqlx::query_as::<_, (String, Option<String>)>(
            "SELECT name, notice_email FROM organizations WHERE organization_id = $1",
        );
        let mut reader = self.reader(Scope::All).await?;
        let row = select.bind(organization_id.as_uuid()).fetch_optional(&mut *reader).await.map_err(store_error)?;
        Ok(row.map(|(name, email)| NoticeReader { name, email, branding }))
    }

    async fn set_notice_email(&self, organization_id: OrganizationId, email: Option<&str>) -> Result<bool, StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let update = sqlx::query("UPDATE organizations SET notice_email = $2 WHERE organization_id = $1");
        let update = update.bind(organization_id.as_uuid()).bind(email);
        let done = update.execute(&mut *work).await.map_err(store_error)?.rows_affected() == 1;
        work.commit().await.map_err(store_error)?;
        Ok(done)
    }
}

impl DbStore {
    async fn mail_setting<T: DeserializeOwned>(&self, owner: &MailOwner, name: &'static str) -> Result<Option<T>> {
        let value: Option<String> = match owner {
            MailOwner::Account(tenant) => {
                let select = sqlx::query_scalar(
                    "SELECT m.value FROM account_mail_settings AS m JOIN accounts AS a ON a.account_id = m.account_id \
                     WHERE m.account_id = $1 AND m.name = $2 AND a.organization_id = $3 AND a.mode = $4",
                );
                let select = select.bind(tenant.account_id.as_uuid()).bind(name);
                let select = select.bind(tenant.organization_id.as_uuid()).bind(tenant.mode.name());
                let mut reader = self.reader(Scope::Account(tenant.account_id)).await?;
                select.fetch_optional(&mut *reader).await.map_err(store_error)?
            }
            MailOwner::Organization { organization_id, mode } => {
                let select = sqlx::query_scalar(
                    "SELECT value FROM organization_mail_settings WHERE organization_id = $1 AND mode = $2 AND name = $3",
                );
                let select = select.bind(organization_id.as_uuid()).bind(mode.name()).bind(name);
                let mut reader = self.reader(Scope::All).await?;
                select.fetch_optional(&mut *reader).await.map_err(store_error)?
            }
        };
        value.as_deref().map(|value| from_json(name, value)).transpose()
    }

    async fn change_mail_setting(
        &self,
        owner: &MailOwner,
        name: &str,
        change: Change,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write> {
        match owner {
            MailOwner::Account(tenant) => {
                let mut work = match self.begin_config(tenant, idempotency, Expected::Any).await? {
                    Begun::Fresh(work) => work,
                    Begun::Ended(write) => return Ok(write),
                };
                change_of_account(work.connection(), tenant.account_id, name, change).await?;
                work.finish_beside().await
            }
            MailOwner::Organization { organization_id, mode } => {
                let key = idempotency.map(|answer| &answer.key);
                let mut frame = match self.begin_frame(*organization_id, key).await? {
                    Framed::Fresh(frame) => frame,
                    Framed::Ended(write) => return Ok(write),
                };
                change_of_organization(&mut frame.work, *organization_id, *mode, name, change).await?;
                self.finish_frame(frame, idempotency).await
            }
        }
    }
}

async fn change_of_account(
    connection: &mut DbConnection,
    account_id: AccountId,
    name: &str,
    change: Change,
) -> Result<()> {
    let statement = match &change {
        Change::Put(_) => {
            "INSERT INTO account_mail_settings (account_id, name, value) VALUES ($1, $2, $3) \
             ON CONFLICT (account_id, name) DO UPDATE SET value = excluded.value"
        }
        Change::Delete => "DELETE FROM account_mail_settings WHERE account_id = $1 AND name = $2",
    };
    let query = sqlx::query(statement).bind(account_id.as_uuid()).bind(name);
    let query = match change {
        Change::Put(value) => query.bind(value),
        Change::Delete => query,
    };
    query.execute(connection).await.map(drop).map_err(store_error)
}

async fn change_of_organization(
    connection: &mut DbConnection,
    organization_id: OrganizationId,
    mode: Mode,
    name: &str,
    change: Change,
) -> Result<()> {
    let statement = match &change {
        Change::Put(_) => {
            "INSERT INTO organization_mail_settings (organization_id, mode, name, value) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (organization_id, mode, name) DO UPDATE SET value = excluded.value"
        }
        Change::Delete => {
            "DELETE FROM organization_mail_settings WHERE organization_id = $1 AND mode = $2 AND name = $3"
        }
    };
    let query = sqlx::query(statement).bind(organization_id.as_uuid()).bind(mode.name()).bind(name);
    let query = match change {
        Change::Put(value) => query.bind(value),
        Change::Delete => query,
    };
    query.execute(connection).await.map(drop).map_err(store_error)
}

/// What an owner says of mails of a kind.
#[derive(Default)]
struct Said {
    template: Option<MailTemplate>,
    branding: MailBranding,
}

impl Said {
    fn read(rows: Vec<(String, String)>) -> Result<Self> {
        let mut said = Self::default();
        for (name, value) in rows {
            if name == BRANDING {
                said.branding = from_json("branding", &value)?;
            } else {
                said.template = Some(from_json("a template of mails", &value)?);
            }
        }
        Ok(said)
    }
}

async fn of_account(connection: &mut DbConnection, account_id: AccountId, kind: MailKind) -> Result<Said> {
    let select = sqlx::query_as(
        "SELECT name, value FROM account_mail_settings WHERE account_id = $1 AND name IN ($2, 'branding')",
    );
    let select = select.bind(account_id.as_uuid()).bind(kind.name());
    Said::read(select.fetch_all(connection).await.map_err(store_error)?)
}

async fn of_organization(connection: &mut DbConnection, id: Uuid, mode: &str, kind: MailKind) -> Result<Said> {
    let select = sqlx::query_as(
        "SELECT name, value FROM organization_mail_settings WHERE organization_id = $1 AND mode = $2 \
         AND name IN ($3, 'branding')",
    );
    let select = select.bind(id).bind(mode).bind(kind.name());
    Said::read(select.fetch_all(connection).await.map_err(store_error)?)
}
