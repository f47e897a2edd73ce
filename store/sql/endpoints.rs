//! Webhook endpoints, as rows, and what their messages are signed with.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use agentcal_engine::ids::{AccountId, OrganizationId, WebhookId};
use agentcal_engine::model::{EventKind, WebhookEndpoint, WebhookHealth, WebhookSecrets, WebhookStanding};
use agentcal_engine::ports::{DueEndpoint, EndpointOwner, ListPage, PageRequest, StoreError};
use agentcal_engine::time::Timestamp;
use agentcal_engine::webhooks::PREVIOUS_SECRET_FOR;
use agentcal_store_vault::{Binding, DataKey, KeyOwner, Purpose};
use sqlx::QueryBuilder;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::answers::no_data_key;
use crate::db::{Db, DbConnection, DbStore};
use crate::error::{Result, Violation, sealed_error, store_error, violation};
use crate::locks;
use crate::rows::{before, in_powers_of_two, into_page, probe};
use crate::text::{Named, from_json, to_json, to_u32};

#[derive(sqlx::FromRow)]
struct EndpointRow {
    organization_id: Uuid,
    endpoint_id: Uuid,
    mode: String,
    url: String,
    events: String,
    account_ids: Option<String>,
    standing: String,
    failures: i64,
    failing_since: Option<i64>,
    created_at: i64,
}

impl EndpointRow {
    fn into_engine(self) -> Result<WebhookEndpoint> {
        let account_ids = self.account_ids.as_deref().map(|text| from_json("an endpoint's accounts", text));
        Ok(WebhookEndpoint {
            id: WebhookId::from_uuid(self.endpoint_id),
            organization_id: OrganizationId::from_uuid(self.organization_id),
            mode: Named::named(&self.mode)?,
            url: self.url,
            events: known_events(&self.events)?,
            account_ids: account_ids.transpose()?,
            standing: Named::named(&self.standing)?,
            health: health(self.failures, self.failing_since)?,
            created_at: Timestamp::from_micros(self.created_at),
        })
    }
}

fn health(failures: i64, failing_since: Option<i64>) -> Result<WebhookHealth> {
    Ok(WebhookHealth { failures: to_u32(failures)?, failing_since: failing_since.map(Timestamp::from_micros) })
}

/// The events an endpoint hears of that this program knows; a newer one may have written of more.
fn known_events(events: &str) -> Result<BTreeSet<EventKind>> {
    let names: Vec<String> = from_json("an endpoint's events", events)?;
    Ok(names.iter().filter_map(|name| EventKind::of_name(name)).collect())
}

fn accounts_text(account_ids: Option<&BTreeSet<AccountId>>) -> Option<String> {
    account_ids.map(to_json)
}

/// Writes an endpoint; false when there is no such organization.
pub(crate) async fn insert(
    connection: &mut DbConnection,
    new: &WebhookEndpoint,
    sealed_secret: Vec<u8>,
) -> Result<bool> {
    let insert = sqlx::query(
        "INSERT INTO webhook_endpoints (organization_id, endpoint_id, mode, url, events, account_ids, standing, failures, \
         secret, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    );
    let insert = insert.bind(new.organization_id.as_uuid()).bind(new.id.as_uuid()).bind(new.mode.name());
    let insert = insert.bind(&new.url).bind(to_json(&new.events)).bind(accounts_text(new.account_ids.as_ref()));
    let insert = insert.bind(new.standing.name()).bind(i64::from(new.health.failures)).bind(sealed_secret);
    match insert.bind(new.created_at.as_micros()).execute(connection).await {
        Ok(_) => Ok(true),
        Err(error) if violation(&error) == Some(Violation::ForeignKey) => Ok(false),
        Err(error) => Err(store_error(error)),
    }
}

/// How many endpoints there are of an organization and mode.
pub(crate) async fn count(connection: &mut DbConnection, owner: EndpointOwner) -> Result<i64> {
    let select = sqlx::query_scalar("SELECT count(*) FROM webhook_endpoints WHERE organization_id = $1 AND mode = $2");
    let select = select.bind(owner.organization_id.as_uuid()).bind(owner.mode.name());
    select.fetch_one(connection).await.map_err(store_error)
}

/// An endpoint.
pub(crate) async fn lookup(
    connection: &mut DbConnection,
    owner: EndpointOwner,
    id: WebhookId,
) -> Result<Option<WebhookEndpoint>> {
    let select = sqlx::query_as::<_, EndpointRow>(
        "SELECT organization_id, endpoint_id, mode, url, events, account_ids, standing, failures, failing_since, created_at \
         FROM webhook_endpoints WHERE organization_id = $1 AND mode = $2 AND endpoint_id = $3",
    );
    let select = select.bind(owner.organization_id.as_uuid()).bind(owner.mode.name()).bind(id.as_uuid());
    let row = select.fetch_optional(connection).await.map_err(store_error)?;
    row.map(EndpointRow::into_engine).transpose()
}

/// A page of endpoints, newest first.
pub(crate) async fn list(
    connection: &mut DbConnection,
    owner: EndpointOwner,
    page: &PageRequest,
) -> Result<ListPage<WebhookEndpoint>> {
    let (created_at, id) = before(page);
    let select = sqlx::query_as::<_, EndpointRow>(
        "SELECT organization_id, endpoint_id, mode, url, events, account_ids, standing, failures, failing_since, created_at \
         FROM webhook_endpoints WHERE organization_id = $1 AND mode = $2 AND (created_at, endpoint_id) < ($3, $4) \
         ORDER BY created_at DESC, endpoint_id DESC LIMIT $5",
    );
    let select = select.bind(owner.organization_id.as_uuid()).bind(owner.mode.name()).bind(created_at).bind(id);
    let rows = select.bind(probe(page)).fetch_all(connection).await.map_err(store_error)?;
    let endpoints = rows.into_iter().map(EndpointRow::into_engine).collect::<Result<Vec<_>>>()?;
    Ok(into_page(endpoints, page, |endpoint| (endpoint.created_at.as_micros(), endpoint.id.as_uuid())))
}

/// All endpoints of an organization and mode; there are never many.
pub(crate) async fn all_of(connection: &mut DbConnection, owner: EndpointOwner) -> Result<Vec<WebhookEndpoint>> {
    let select = sqlx::query_as::<_, EndpointRow>(
        "SELECT organization_id, endpoint_id, mode, url, events, account_ids, standing, failures, failing_since, created_at \
         FROM webhook_endpoints WHERE organization_id = $1 AND mode = $2 ORDER BY created_at, endpoint_id",
    );
    let select = select.bind(owner.organization_id.as_uuid()).bind(owner.mode.name());
    let rows = select.fetch_all(connection).await.map_err(store_error)?;
    rows.into_iter().map(EndpointRow::into_engine).collect()
}

/// Replaces what its organization may change, where it is as it was; false otherwise.
pub(crate) async fn update(
    connection: &mut DbConnection,
    before: &WebhookEndpoint,
    after: &WebhookEndpoint,
) -> Result<bool> {
    let update = sqlx::query(
        "UPDATE webhook_endpoints SET url = $3, events = $4, account_ids = $5, standing = $6 \
         WHERE organization_id = $1 AND endpoint_id = $2 AND url = $7 AND events = $8 \
         AND coalesce(account_ids, '') = $9 AND standing = $10",
    );
    let update = update.bind(after.organization_id.as_uuid()).bind(after.id.as_uuid()).bind(&after.url);
    let update = update.bind(to_json(&after.events)).bind(accounts_text(after.account_ids.as_ref()));
    let update = update.bind(after.standing.name()).bind(&before.url).bind(to_json(&before.events));
    let update = update.bind(accounts_text(before.account_ids.as_ref()).unwrap_or_default());
    let done = update.bind(before.standing.name()).execute(&mut *connection).await.map_err(store_error)?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    let is_on = |endpoint: &WebhookEndpoint| endpoint.standing == WebhookStanding::Enabled;
    match (is_on(before), is_on(after)) {
        (false, true) => set_health(connection, after.id, WebhookHealth::default()).await?,
        (true, false) => give_up_pending(connection, after.id).await?,
        _ => {}
    }
    Ok(true)
}

/// An endpoint as it is, locked to the end of the transaction; `None` when it is gone.
pub(crate) async fn held(connection: &mut DbConnection, id: WebhookId) -> Result<Option<WebhookEndpoint>> {
    // Writing a row locks it wherever rows are locked.
    let update = sqlx::query_as::<_, EndpointRow>(
        "UPDATE webhook_endpoints SET failures = failures WHERE endpoint_id = $1 \
         RETURNING organization_id, endpoint_id, mode, url, events, account_ids, standing, failures, failing_since, created_at",
    );
    let row = update.bind(id.as_uuid()).fetch_optional(connection).await.map_err(store_error)?;
    row.map(EndpointRow::into_engine).transpose()
}

/// Which of some endpoints have failed since they last took a message.
pub(crate) async fn failed_of(connection: &mut DbConnection, ids: &[WebhookId]) -> Result<BTreeSet<WebhookId>> {
    let mut failed = BTreeSet::new();
    for some in in_powers_of_two(ids) {
        let mut select = QueryBuilder::<Db>::new(
            "SELECT endpoint_id FROM webhook_endpoints WHERE failures > 0 AND endpoint_id IN (",
        );
        let mut listed = select.separated(", ");
        some.iter().for_each(|id| {
            listed.push_bind(id.as_uuid());
        });
        select.push(")");
        let ids: Vec<Uuid> = select.build_query_scalar().fetch_all(&mut *connection).await.map_err(store_error)?;
        failed.extend(ids.into_iter().map(WebhookId::from_uuid));
    }
    Ok(failed)
}

/// Writes how an endpoint has been of late.
pub(crate) async fn set_health(connection: &mut DbConnection, id: WebhookId, health: WebhookHealth) -> Result<()> {
    let update = sqlx::query("UPDATE webhook_endpoints SET failures = $2, failing_since = $3 WHERE endpoint_id = $1");
    let update = update.bind(id.as_uuid()).bind(i64::from(health.failures));
    let update = update.bind(health.failing_since.map(Timestamp::as_micros));
    update.execute(connection).await.map(drop).map_err(store_error)
}

/// Speaks to an endpoint no more.
pub(crate) async fn end(connection: &mut DbConnection, id: WebhookId, standing: WebhookStanding) -> Result<()> {
    let update =
        sqlx::query("UPDATE webhook_endpoints SET standing = $2 WHERE endpoint_id = $1 AND standing = 'enabled'");
    let update = update.bind(id.as_uuid()).bind(standing.name());
    update.execute(&mut *connection).await.map_err(store_error)?;
    give_up_pending(connection, id).await
}

async fn give_up_pending(connection: &mut DbConnection, id: WebhookId) -> Result<()> {
    locks::take_time(connection).await?;
    let update =
        sqlx::query("UPDATE webhook_deliveries SET state = 'failed' WHERE endpoint_id = $1 AND state = 'pending'");
    update.bind(id.as_uuid()).execute(connection).await.map(drop).map_err(store_error)
}

/// Deletes an endpoint with its deliveries; false when there is none.
pub(crate) async fn delete(connection: &mut DbConnection, owner: EndpointOwner, id: WebhookId) -> Result<bool> {
    locks::take_time(connection).await?;
    let delete =
        sqlx::query("DELETE FROM webhook_endpoints WHERE organization_id = $1 AND mode = $2 AND endpoint_id = $3");
    let delete = delete.bind(owner.organization_id.as_uuid()).bind(owner.mode.name()).bind(id.as_uuid());
    Ok(delete.execute(connection).await.map_err(store_error)?.rows_affected() == 1)
}

/// Endpoints with something due until `$1`. Walks from one endpoint that something waits for to the next, in an index that
/// holds nothing else: what is done, and who has nothing to hear, cost nothing.
const DUE: &str = "WITH RECURSIVE waiting (endpoint_id) AS (\
     SELECT (SELECT d.endpoint_id FROM webhook_deliveries AS d WHERE d.state = 'pending' ORDER BY d.endpoint_id LIMIT 1) \
     UNION ALL SELECT (SELECT d.endpoint_id FROM webhook_deliveries AS d WHERE d.state = 'pending' \
     AND d.endpoint_id > waiting.endpoint_id ORDER BY d.endpoint_id LIMIT 1) FROM waiting WHERE waiting.endpoint_id IS NOT NULL) \
     SELECT endpoint_id, organization_id, url, failures, failing_since, first_due_at FROM \
     (SELECT e.endpoint_id, e.organization_id, e.url, e.failures, e.failing_since, (SELECT min(d.due_at) \
     FROM webhook_deliveries AS d WHERE d.endpoint_id = e.endpoint_id AND d.state = 'pending') AS first_due_at \
     FROM waiting CROSS JOIN webhook_endpoints AS e WHERE e.endpoint_id = waiting.endpoint_id AND e.standing = 'enabled') AS due \
     WHERE first_due_at <= $1 ORDER BY first_due_at LIMIT $2";

/// Endpoints with something due until an instant, the most overdue first.
pub(crate) async fn due(connection: &mut DbConnection, now: Timestamp, limit: u32) -> Result<Vec<DueEndpoint>> {
    let select = sqlx::query_as::<_, DueRow>(DUE).bind(now.as_micros()).bind(i64::from(limit));
    let rows = select.fetch_all(connection).await.map_err(store_error)?;
    rows.into_iter().map(DueRow::into_engine).collect()
}

#[derive(sqlx::FromRow)]
struct DueRow {
    endpoint_id: Uuid,
    organization_id: Uuid,
    url: String,
    failures: i64,
    failing_since: Option<i64>,
    first_due_at: i64,
}

impl DueRow {
    fn into_engine(self) -> Result<DueEndpoint> {
        Ok(DueEndpoint {
            id: WebhookId::from_uuid(self.endpoint_id),
            organization_id: OrganizationId::from_uuid(self.organization_id),
            url: self.url,
            health: health(self.failures, self.failing_since)?,
            first_due_at: Timestamp::from_micros(self.first_due_at),
        })
    }
}

#[derive(sqlx::FromRow)]
struct SecretsRow {
    organization_id: Uuid,
    endpoint_id: Uuid,
    secret: Vec<u8>,
    previous_secret: Option<Vec<u8>>,
    previous_until: Option<i64>,
}

impl SecretsRow {
    fn open(&self, key: &DataKey) -> Result<WebhookSecrets> {
        let organization_id = OrganizationId::from_uuid(self.organization_id);
        let open = |sealed: &[u8]| -> Result<Zeroizing<Vec<u8>>> {
            key.open(&secret_binding(organization_id, &self.endpoint_id), sealed).map_err(sealed_error)
        };
        let previous = self.previous_secret.as_deref().zip(self.previous_until);
        let previous = previous.map(|(sealed, until)| Ok((open(sealed)?, Timestamp::from_micros(until))));
        Ok(WebhookSecrets { present: open(&self.secret)?, previous: previous.transpose()? })
    }
}

fn secret_binding(organization_id: OrganizationId, id: &Uuid) -> Binding<'_> {
    Binding { owner: KeyOwner::Organization(organization_id), purpose: Purpose::WebhookSecret, row: id.as_bytes() }
}

/// What was read; `None` where it is damaged.
fn unless_corrupt<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Err(StoreError::Corrupt(_)) => Ok(None),
        read => read.map(Some),
    }
}

impl DbStore {
    async fn organization_key(&self, connection: &mut DbConnection, id: OrganizationId) -> Result<DataKey> {
        self.data_key(connection, KeyOwner::Organization(id)).await?.ok_or_else(no_data_key)
    }

    /// A secret as it is kept.
    pub(crate) async fn sealed_secret(
        &self,
        connection: &mut DbConnection,
        organization_id: OrganizationId,
        id: WebhookId,
        secret: &[u8],
    ) -> Result<Vec<u8>> {
        let key = self.organization_key(connection, organization_id).await?;
        Ok(key.seal(&secret_binding(organization_id, &id.as_uuid()), secret, self.entropy.as_ref()))
    }

    /// What an endpoint's messages are signed with.
    pub(crate) async fn read_secrets(
        &self,
        connection: &mut DbConnection,
        organization_id: OrganizationId,
        id: WebhookId,
    ) -> Result<Option<WebhookSecrets>, StoreError> {
        let select = sqlx::query_as::<_, SecretsRow>(
            "SELECT organization_id, endpoint_id, secret, previous_secret, previous_until FROM webhook_endpoints \
             WHERE organization_id = $1 AND endpoint_id = $2",
        );
        let select = select.bind(organization_id.as_uuid()).bind(id.as_uuid());
        let Some(row) = select.fetch_optional(&mut *connection).await.map_err(store_error)? else { return Ok(None) };
        row.open(&self.organization_key(connection, organization_id).await?).map(Some)
    }

    /// What messages to some endpoints are signed with. Of one that cannot be opened nothing is said, since the others are not
    /// to wait for it.
    pub(crate) async fn secrets_of(
        &self,
        connection: &mut DbConnection,
        ids: &[Uuid],
    ) -> Result<BTreeMap<WebhookId, WebhookSecrets>, StoreError> {
        let (mut keys, mut secrets) = (BTreeMap::new(), BTreeMap::new());
        for some in in_powers_of_two(ids) {
            let mut select = QueryBuilder::<Db>::new(
                "SELECT organization_id, endpoint_id, secret, previous_secret, previous_until FROM webhook_endpoints \
                 WHERE endpoint_id IN (",
            );
            let mut listed = select.separated(", ");
            some.iter().for_each(|id| {
                listed.push_bind(*id);
            });
            select.push(")");
            let rows: Vec<SecretsRow> =
                select.build_query_as().fetch_all(&mut *connection).await.map_err(store_error)?;
            for row in rows {
                let organization_id = OrganizationId::from_uuid(row.organization_id);
                let key = match keys.entry(organization_id) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => {
                        place.insert(unless_corrupt(self.organization_key(connection, organization_id).await)?)
                    }
                };
                if let Some(key) = key
                    && let Some(opened) = unless_corrupt(row.open(key))?
                {
                    secrets.insert(WebhookId::from_uuid(row.endpoint_id), opened);
                }
            }
        }
        Ok(secrets)
    }
}

/// Puts a secret in place of the present one, which is used for some time still; false when there is no such endpoint.
pub(crate) async fn rotate(
    connection: &mut DbConnection,
    owner: EndpointOwner,
    id: WebhookId,
    sealed: Vec<u8>,
    now: Timestamp,
) -> Result<bool> {
    let update = sqlx::query(
        "UPDATE webhook_endpoints SET previous_secret = secret, previous_until = $5, secret = $4 \
         WHERE organization_id = $1 AND mode = $2 AND endpoint_id = $3",
    );
    let update = update.bind(owner.organization_id.as_uuid()).bind(owner.mode.name()).bind(id.as_uuid());
    let update = update.bind(sealed).bind((now + PREVIOUS_SECRET_FOR).as_micros());
    Ok(update.execute(connection).await.map_err(store_error)?.rows_affected() == 1)
}
