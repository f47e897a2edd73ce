//! Data keys of tenants, as rows.

use agentcal_engine::ids::{AccountId, OrganizationId};
use agentcal_store_vault::{DataKey, KeyOwner, WrappedKey};
use uuid::Uuid;

use crate::db::{DbConnection, DbStore};
use crate::error::{Result, sealed_error, store_error};
use crate::scope::Scope;

/// Data keys rewrapped in one transaction.
const REWRAP_BATCH: i64 = 256;

/// The statements of one of the two key tables.
struct KeyTable {
    owner: fn(Uuid) -> KeyOwner,
    insert: &'static str,
    select: &'static str,
    update: &'static str,
    wrapped_by_others: &'static str,
    wrappers: &'static str,
    one_wrapped_by: &'static str,
}

const ACCOUNT_KEYS: KeyTable = KeyTable {
    owner: |id| KeyOwner::Account(AccountId::from_uuid(id)),
    insert: "INSERT INTO account_keys (account_id, wrapped_by, wrapped) VALUES ($1, $2, $3)",
    select: "SELECT wrapped_by, wrapped FROM account_keys WHERE account_id = $1",
    update: "UPDATE account_keys SET wrapped_by = $2, wrapped = $3 WHERE account_id = $1",
    wrapped_by_others: "SELECT account_id, wrapped_by, wrapped FROM account_keys \
                        WHERE wrapped_by < $1 OR wrapped_by > $1 LIMIT $2",
    wrappers: "SELECT DISTINCT wrapped_by FROM account_keys",
    one_wrapped_by: "SELECT account_id, wrapped_by, wrapped FROM account_keys WHERE wrapped_by = $1 LIMIT 1",
};

const ORGANIZATION_KEYS: KeyTable = KeyTable {
    owner: |id| KeyOwner::Organization(OrganizationId::from_uuid(id)),
    insert: "INSERT INTO organization_keys (organization_id, wrapped_by, wrapped) VALUES ($1, $2, $3)",
    select: "SELECT wrapped_by, wrapped FROM organization_keys WHERE organization_id = $1",
    update: "UPDATE organization_keys SET wrapped_by = $2, wrapped = $3 WHERE organization_id = $1",
    wrapped_by_others: "SELECT organization_id, wrapped_by, wrapped FROM organization_keys \
                        WHERE wrapped_by < $1 OR wrapped_by > $1 LIMIT $2",
    wrappers: "SELECT DISTINCT wrapped_by FROM organization_keys",
    one_wrapped_by: "SELECT organization_id, wrapped_by, wrapped FROM organization_keys WHERE wrapped_by = $1 LIMIT 1",
};

fn table_of(owner: KeyOwner) -> (&'static KeyTable, Uuid) {
    match owner {
        KeyOwner::Account(id) => (&ACCOUNT_KEYS, id.as_uuid()),
        KeyOwner::Organization(id) => (&ORGANIZATION_KEYS, id.as_uuid()),
    }
}

impl DbStore {
    /// Makes a new owner's data key.
    pub(crate) async fn create_data_key(&self, connection: &mut DbConnection, owner: KeyOwner) -> Result<()> {
        let (table, id) = table_of(owner);
        let key = DataKey::generate(self.entropy.as_ref());
        let wrapped = self.keyring.wrap(owner, &key, self.entropy.as_ref());
        let insert = sqlx::query(table.insert).bind(id).bind(wrapped.key_id).bind(wrapped.bytes);
        insert.execute(connection).await.map(drop).map_err(store_error)
    }

    /// An owner's data key; `None` when there is no such owner.
    pub(crate) async fn data_key(&self, connection: &mut DbConnection, owner: KeyOwner) -> Result<Option<DataKey>> {
        let (table, id) = table_of(owner);
        let select = sqlx::query_as::<_, (String, Vec<u8>)>(table.select).bind(id);
        let Some((key_id, bytes)) = select.fetch_optional(connection).await.map_err(store_error)? else {
            return Ok(None);
        };
        self.keyring.unwrap(owner, &WrappedKey { key_id, bytes }).map(Some).map_err(sealed_error)
    }

    /// Wraps every data key with the ring's active key, after which older keys may leave the ring. Returns how many were
    /// wrapped anew; run again after a crash it does what is left.
    pub async fn rewrap_keys(&self) -> Result<u64> {
        let mut rewrapped = 0;
        loop {
            match self.rewrap_some_keys().await? {
                0 => return Ok(rewrapped),
                count => rewrapped += count,
            }
        }
    }

    /// The same for some of them, in one transaction; none: there are none left.
    pub async fn rewrap_some_keys(&self) -> Result<u64> {
        match self.rewrap_batch(&ACCOUNT_KEYS).await? {
            0 => self.rewrap_batch(&ORGANIZATION_KEYS).await,
            count => Ok(count),
        }
    }

    /// The id of the key that protects what is written.
    pub fn active_key_id(&self) -> &str {
        self.keyring.key_ids().next().unwrap_or_default()
    }

    async fn rewrap_batch(&self, table: &KeyTable) -> Result<u64> {
        let mut work = self.begin_write(Scope::All).await?;
        let active = self.active_key_id().to_owned();
        let select = sqlx::query_as::<_, (Uuid, String, Vec<u8>)>(table.wrapped_by_others);
        let rows = select.bind(active).bind(REWRAP_BATCH).fetch_all(&mut *work).await.map_err(store_error)?;
        let mut count = 0;
        for (id, key_id, bytes) in rows {
            let old = WrappedKey { key_id, bytes };
            let new = self.keyring.rewrap((table.owner)(id), &old, self.entropy.as_ref()).map_err(sealed_error)?;
            let Some(new) = new else { continue };
            let update = sqlx::query(table.update).bind(id).bind(new.key_id).bind(new.bytes);
            count += update.execute(&mut *work).await.map_err(store_error)?.rows_affected();
        }
        work.commit().await.map_err(store_error)?;
        Ok(count)
    }

    /// Ids of keys that wrap something here and are not in the ring: what they wrap cannot be read.
    pub async fn missing_key_ids(&self) -> Result<Vec<String>> {
        let used = "SELECT wrapped_by FROM account_keys UNION SELECT wrapped_by FROM organization_keys";
        let mut reader = self.reader(Scope::All).await?;
        let mut ids: Vec<String> = sqlx::query_scalar(used).fetch_all(&mut *reader).await.map_err(store_error)?;
        ids.retain(|id| self.keyring.key_ids().all(|known| known != id));
        Ok(ids)
    }

    /// Ids of keys that wrap something here and do not open it: they are not in the ring, or another key has their id there.
    /// Tries one data key of each, so that a wrong ring shows before anything is served.
    pub async fn unreadable_key_ids(&self) -> Result<Vec<String>> {
        let mut reader = self.reader(Scope::All).await?;
        let mut unreadable = Vec::new();
        for table in [&ACCOUNT_KEYS, &ORGANIZATION_KEYS] {
            let wrappers: Vec<String> =
                sqlx::query_scalar(table.wrappers).fetch_all(&mut *reader).await.map_err(store_error)?;
            for wrapper in wrappers {
                let select = sqlx::query_as::<_, (Uuid, String, Vec<u8>)>(table.one_wrapped_by).bind(&wrapper);
                let Some((id, key_id, bytes)) = select.fetch_optional(&mut *reader).await.map_err(store_error)? else {
                    continue;
                };
                let opened = self.keyring.unwrap((table.owner)(id), &WrappedKey { key_id, bytes });
                if opened.is_err() && !unreadable.contains(&wrapper) {
                    unreadable.push(wrapper);
                }
            }
        }
        Ok(unreadable)
    }
}
