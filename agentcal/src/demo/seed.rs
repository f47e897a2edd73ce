//! Writing the demo into an empty store. Each row is written if it is not there, so an interrupted seeding goes on.

use agentcal_engine::ids::{CalendarId, UserId};
use agentcal_engine::model::{
    Account, Calendar, Connection, ConnectionStatus, Mode, Organization, ProviderKind, Tenant, Watch, WatchState,
};
use agentcal_engine::ports::{AccountConfig, Credentials, Store, StoreError, Write};
use agentcal_engine::time::Timestamp;
use agentcal_provider_sandbox::HOLIDAYS;

use super::manifest::{DemoKey, Manifest, PersonIds};
use super::people::{OFFERS, PEOPLE, Person};

/// Why the demo could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SeedError {
    /// The store did not serve.
    #[error("failed to write the demo data")]
    Store(#[from] StoreError),
    /// The store did not take a row.
    #[error("failed to write the demo's {what}: the store answered {answer:?}")]
    NotTaken {
        /// Which row.
        what: &'static str,
        /// What it answered.
        answer: Write,
    },
}

/// Writes whatever of the demo is not there.
pub(crate) async fn seed(store: &dyn Store, manifest: &Manifest, now: Timestamp) -> Result<(), SeedError> {
    seed_organization(store, manifest, now).await?;
    let tenant = tenant(manifest);
    if store.account(tenant.organization_id, tenant.mode, tenant.account_id).await?.is_none() {
        done("account", store.create_account(&account(manifest, now), None).await?)?;
    }
    for (person, ids) in PEOPLE.iter().zip(&manifest.people) {
        seed_person(store, &tenant, person, ids, now).await?;
    }
    let known = config(store, &tenant).await?;
    let user_ids: Vec<UserId> = manifest.people.iter().map(|ids| ids.user_id).collect();
    for (offer, &id) in OFFERS.iter().zip(&manifest.event_type_ids) {
        if known.event_types.iter().all(|(event_type, _)| event_type.id != id) {
            let event_type = offer.event_type(id, tenant.account_id, user_ids.clone(), now);
            done("event type", store.create_event_type(&tenant, &event_type, None).await?)?;
        }
    }
    Ok(())
}

fn tenant(manifest: &Manifest) -> Tenant {
    Tenant { organization_id: manifest.organization_id, mode: Mode::Test, account_id: manifest.account_id }
}

fn done(what: &'static str, answer: Write) -> Result<(), SeedError> {
    match answer {
        Write::Done => Ok(()),
        answer => Err(SeedError::NotTaken { what, answer }),
    }
}

async fn config(store: &dyn Store, tenant: &Tenant) -> Result<AccountConfig, SeedError> {
    let missing = SeedError::NotTaken { what: "account", answer: Write::Missing };
    store.account_config(tenant.account_id).await?.ok_or(missing)
}

async fn seed_organization(store: &dyn Store, manifest: &Manifest, now: Timestamp) -> Result<(), SeedError> {
    let id = manifest.organization_id;
    if store.organization(id).await?.is_none() {
        let organization = Organization { id, name: "Demo organization".to_owned(), created_at: now };
        store.create_organization(&organization).await?;
    }
    for DemoKey { row, .. } in [&manifest.secret_key, &manifest.publishable_key] {
        if store.key_by_hash(&row.hash).await?.is_none() {
            store.create_key(row).await?;
        }
    }
    Ok(())
}

fn account(manifest: &Manifest, now: Timestamp) -> Account {
    Account {
        id: manifest.account_id,
        organization_id: manifest.organization_id,
        mode: Mode::Test,
        name: "Demo account".to_owned(),
        timezone: Some(PEOPLE[0].timezone),
        metadata: serde_json::Map::new(),
        created_at: now,
    }
}

async fn seed_person(
    store: &dyn Store,
    tenant: &Tenant,
    person: &Person,
    ids: &PersonIds,
    now: Timestamp,
) -> Result<(), SeedError> {
    let known = config(store, tenant).await?;
    if store.connection(tenant.account_id, ids.connection_id).await?.is_none() {
        let calendars = calendars(tenant, person, ids, now);
        let credentials = Credentials::Sandbox { seed: person.seed };
        let connection = connection(tenant, person, ids, now);
        let answer = store.create_connection(tenant, &connection, &credentials, &calendars, None).await?;
        done("connection", answer)?;
    }
    if known.users.iter().all(|(user, _)| user.id != ids.user_id) {
        let user = person.user(ids.user_id, tenant.account_id, ids.work_calendar_id, now);
        done("user", store.create_user(tenant, &user, &person.rules(), None).await?)?;
    }
    Ok(())
}

fn connection(tenant: &Tenant, person: &Person, ids: &PersonIds, now: Timestamp) -> Connection {
    Connection {
        id: ids.connection_id,
        account_id: tenant.account_id,
        provider: ProviderKind::Sandbox,
        display_name: person.name.to_owned(),
        owner_addresses: vec![person.email.to_owned()],
        status: ConnectionStatus::Syncing,
        status_reason: None,
        created_at: now,
    }
}

fn calendars(tenant: &Tenant, person: &Person, ids: &PersonIds, now: Timestamp) -> Vec<Calendar> {
    let calendar = |id: CalendarId, provider_calendar_id: &str, name: &str, writable: bool| Calendar {
        id,
        account_id: tenant.account_id,
        connection_id: Some(ids.connection_id),
        provider: ProviderKind::Sandbox,
        provider_calendar_id: provider_calendar_id.to_owned(),
        name: name.to_owned(),
        timezone: person.timezone,
        writable,
        watch: Watch { state: WatchState::Polling, expires_at: None },
        last_synced_at: None,
        created_at: now,
    };
    vec![
        calendar(ids.work_calendar_id, person.work_calendar, "Work", true),
        calendar(ids.holidays_calendar_id, HOLIDAYS, "Holidays", false),
    ]
}
