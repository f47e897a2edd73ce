//! What waits to be told to a service that delivers webhooks in our place: endpoints that changed, and events.

use agentcal_engine::followups::MailFor;
use agentcal_engine::ids::{AccountId, EventId, OrganizationId, WebhookId};
use agentcal_engine::model::{Event, EventKind};
use agentcal_engine::ports::{
    ClaimedEndpoint, ClaimedEvent, EndpointOwner, EndpointTold, EventTold, JobNext, RelayClaim, RelayStore, Spread,
    StoreError,
};
use agentcal_engine::shard::NodeId;
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;
use uuid::Uuid;

use crate::db::{DbConnection, DbStore};
use crate::error::{Result, corrupt, store_error};
use crate::scope::Scope;
use crate::spreading::Way;
use crate::text::{Named, from_json, to_u32};
use crate::{endpoints, words};

#[async_trait]
impl RelayStore for DbStore {
    async fn spread_to_relay(&self, owner: Option<NodeId>, limit: u32, mail: MailFor) -> Result<Spread, StoreError> {
        self.spread(owner, limit, mail, Way::Relay).await
    }

    async fn claim_endpoints(&self, claim: RelayClaim) -> Result<Vec<ClaimedEndpoint>, StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let now = self.now_on(&mut work).await?;
        let update = sqlx::query_as::<_, RelayRow>(words::CLAIM_RELAYS).bind(now.as_micros());
        let update = update.bind((now + claim.lease).as_micros()).bind(i64::from(claim.limit));
        let rows = update.fetch_all(&mut *work).await.map_err(store_error)?;
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            claimed.push(self.claimed(&mut work, &row).await?);
        }
        work.commit().await.map_err(store_error)?;
        Ok(claimed)
    }

    async fn record_endpoints(&self, told: &[EndpointTold]) -> Result<(), StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        for one in told {
            record_endpoint(&mut work, one).await?;
        }
        work.commit().await.map_err(store_error)
    }

    async fn claim_events(&self, claim: RelayClaim) -> Result<Vec<ClaimedEvent>, StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let now = self.now_on(&mut work).await?;
        let update = sqlx::query_as::<_, EventRow>(words::CLAIM_RELAYED_EVENTS).bind(now.as_micros());
        let update = update.bind((now + claim.lease).as_micros()).bind(i64::from(claim.limit));
        let rows = update.bind(claim.owner.map(|node| node.0)).fetch_all(&mut *work).await.map_err(store_error)?;
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            let (account_id, event_id) = (row.account_id, row.event_id);
            match row.into_engine() {
                Ok(event) => claimed.push(event),
                // It would come again and again.
                Err(StoreError::Corrupt(_)) => give_up(&mut work, account_id, event_id).await?,
                Err(error) => return Err(error),
            }
        }
        work.commit().await.map_err(store_error)?;
        Ok(claimed)
    }

    async fn record_events(&self, told: &[EventTold]) -> Result<(), StoreError> {
        // Lost, they are told again, under the same ids.
        let mut work = self.begin_repeatable(Scope::All).await?;
        for one in told {
            record_event(&mut work, one).await?;
        }
        work.commit().await.map_err(store_error)
    }

    async fn relay_anew(&self, owner: EndpointOwner) -> Result<(), StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let now = self.now_on(&mut work).await?;
        let update = sqlx::query(
            "UPDATE webhook_relays SET told_revision = 0, due_at = $3 \
             WHERE organization_id = $1 AND mode = $2 AND told_revision > 0",
        );
        let update = update.bind(owner.organization_id.as_uuid()).bind(owner.mode.name()).bind(now.as_micros());
        update.execute(&mut *work).await.map_err(store_error)?;
        work.commit().await.map_err(store_error)
    }

    async fn first_event_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut reader = self.reader(Scope::All).await?;
        let select = sqlx::query_scalar("SELECT min(relay_due_at) FROM events WHERE relay_due_at IS NOT NULL");
        let due_at: Option<i64> = select.fetch_one(&mut *reader).await.map_err(store_error)?;
        Ok(due_at.map(Timestamp::from_micros))
    }
}

#[derive(sqlx::FromRow)]
struct RelayRow {
    endpoint_id: Uuid,
    organization_id: Uuid,
    mode: String,
    revision: i64,
    told_revision: i64,
    tries: i64,
}

impl DbStore {
    /// The endpoint a row is about, as it is in the transaction that took it in hand.
    async fn claimed(&self, work: &mut DbConnection, row: &RelayRow) -> Result<ClaimedEndpoint> {
        let id = WebhookId::from_uuid(row.endpoint_id);
        let organization_id = OrganizationId::from_uuid(row.organization_id);
        let owner = EndpointOwner { organization_id, mode: Named::named(&row.mode)? };
        let endpoint = endpoints::lookup(work, owner, id).await?;
        let secrets = self.read_secrets(work, organization_id, id).await?;
        Ok(ClaimedEndpoint {
            id,
            owner,
            revision: u64::try_from(row.revision).map_err(|error| corrupt("a revision", error))?,
            tries: to_u32(row.tries)?,
            is_known: row.told_revision > 0,
            present: endpoint.zip(secrets).map(Box::new),
        })
    }
}

/// An endpoint is otherwise than before, or new.
pub(crate) async fn changed(
    work: &mut DbConnection,
    owner: EndpointOwner,
    id: WebhookId,
    now: Timestamp,
) -> Result<()> {
    let insert = sqlx::query(
        "INSERT INTO webhook_relays (endpoint_id, organization_id, mode, revision, told_revision, due_at, held_until, tries) \
         VALUES ($1, $2, $3, 1, 0, $4, 0, 0) \
         ON CONFLICT (endpoint_id) DO UPDATE SET revision = webhook_relays.revision + 1, due_at = $4",
    );
    let insert = insert.bind(id.as_uuid()).bind(owner.organization_id.as_uuid()).bind(owner.mode.name());
    insert.bind(now.as_micros()).execute(work).await.map(drop).map_err(store_error)
}

/// An endpoint is gone. Where the service may have heard of it, it is to hear of this, too.
pub(crate) async fn deleted(work: &mut DbConnection, id: WebhookId, now: Timestamp) -> Result<()> {
    let delete = sqlx::query("DELETE FROM webhook_relays WHERE endpoint_id = $1 AND told_revision = 0 AND tries = 0");
    delete.bind(id.as_uuid()).execute(&mut *work).await.map_err(store_error)?;
    let update = sqlx::query("UPDATE webhook_relays SET revision = revision + 1, due_at = $2 WHERE endpoint_id = $1");
    update.bind(id.as_uuid()).bind(now.as_micros()).execute(work).await.map(drop).map_err(store_error)
}

/// Of a try that was overtaken nothing is kept: another has it in hand, or will.
async fn record_endpoint(work: &mut DbConnection, told: &EndpointTold) -> Result<()> {
    let revision = i64::try_from(told.revision).unwrap_or(i64::MAX);
    let (statement, due_at) = match told.next {
        JobNext::Done if told.is_deleted => (TOLD_GONE, None),
        JobNext::Done => (TOLD, None),
        JobNext::GiveUp => (REFUSED, None),
        JobNext::Again(wait) | JobNext::NotYet(wait) => (UNTOLD, Some((told.ended_at + wait).as_micros())),
    };
    let query = sqlx::query(statement).bind(told.id.as_uuid()).bind(i64::from(told.tries)).bind(revision);
    let query = if due_at.is_some() { query.bind(due_at) } else { query };
    query.execute(work).await.map(drop).map_err(store_error)
}

const TOLD: &str = "UPDATE webhook_relays SET told_revision = $3, held_until = 0, tries = 0, \
     due_at = CASE WHEN revision > $3 THEN due_at END WHERE endpoint_id = $1 AND tries = $2";
/// Nothing changes what is gone.
const TOLD_GONE: &str = "DELETE FROM webhook_relays WHERE endpoint_id = $1 AND tries = $2 AND revision = $3";
const REFUSED: &str = "UPDATE webhook_relays SET held_until = 0, tries = 0, \
     due_at = CASE WHEN revision > $3 THEN due_at END WHERE endpoint_id = $1 AND tries = $2";
const UNTOLD: &str = "UPDATE webhook_relays SET held_until = 0, \
     due_at = CASE WHEN revision > $3 THEN due_at ELSE $4 END WHERE endpoint_id = $1 AND tries = $2";

#[derive(sqlx::FromRow)]
struct EventRow {
    account_id: Uuid,
    event_id: Uuid,
    organization_id: Uuid,
    mode: String,
    kind: String,
    happened_at: i64,
    subject: String,
    relay_tries: i64,
}

impl EventRow {
    fn into_engine(self) -> Result<ClaimedEvent> {
        let owner = EndpointOwner {
            organization_id: OrganizationId::from_uuid(self.organization_id),
            mode: Named::named(&self.mode)?,
        };
        let kind: EventKind = Named::named(&self.kind)?;
        let subject = from_json("what an event happened to", &self.subject)?;
        Ok(ClaimedEvent {
            owner,
            account_id: AccountId::from_uuid(self.account_id),
            event: Event { id: EventId::from_uuid(self.event_id), kind, subject },
            happened_at: Timestamp::from_micros(self.happened_at),
            tries: to_u32(self.relay_tries)?,
        })
    }
}

async fn record_event(work: &mut DbConnection, told: &EventTold) -> Result<()> {
    let (account_id, event_id) = (told.account_id.as_uuid(), told.event_id.as_uuid());
    match told.next {
        JobNext::Done => {
            let delete = sqlx::query("DELETE FROM events WHERE account_id = $1 AND event_id = $2");
            delete.bind(account_id).bind(event_id).execute(work).await.map(drop).map_err(store_error)
        }
        JobNext::GiveUp => give_up(work, account_id, event_id).await,
        JobNext::Again(wait) | JobNext::NotYet(wait) => {
            let update = sqlx::query(
                "UPDATE events SET relay_due_at = $4 \
                 WHERE account_id = $1 AND event_id = $2 AND relay_tries = $3 AND relay_due_at IS NOT NULL",
            );
            let update = update.bind(account_id).bind(event_id).bind(i64::from(told.tries));
            let update = update.bind((told.ended_at + wait).as_micros());
            update.execute(work).await.map(drop).map_err(store_error)
        }
    }
}

/// An event that is told no more. It is kept for as long as any other.
async fn give_up(work: &mut DbConnection, account_id: Uuid, event_id: Uuid) -> Result<()> {
    let update = sqlx::query("UPDATE events SET relay_due_at = NULL WHERE account_id = $1 AND event_id = $2");
    update.bind(account_id).bind(event_id).execute(work).await.map(drop).map_err(store_error)
}
