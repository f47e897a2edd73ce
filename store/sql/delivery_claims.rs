//! Deliveries taken in hand: of many endpoints in one transaction, with what they tell and what they are signed with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use agentcal_engine::ids::{AccountId, DeliveryId, EventId, WebhookId};
use agentcal_engine::model::{Event, EventKind};
use agentcal_engine::ports::{
    CLAIMED_ENDPOINTS_MAX, ClaimedDeliveries, ClaimedDelivery, DeliveryClaim, StoreError, UntriedDelivery,
};
use agentcal_engine::time::Timestamp;
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::db::{Db, DbConnection, DbStore};
use crate::error::{Result, store_error};
use crate::rows::in_powers_of_two;
use crate::text::{Named, from_json, to_u32};
use crate::words;

#[derive(sqlx::FromRow)]
struct ClaimRow {
    account_id: Uuid,
    delivery_id: Uuid,
    endpoint_id: Uuid,
    event_id: Uuid,
    attempts: i64,
    tries: i64,
}

#[derive(sqlx::FromRow)]
struct EventRow {
    account_id: Uuid,
    event_id: Uuid,
    kind: String,
    happened_at: i64,
    subject: String,
}

impl EventRow {
    fn into_engine(self) -> Result<(Arc<Event>, Timestamp)> {
        let kind: EventKind = Named::named(&self.kind)?;
        let subject = from_json("what an event happened to", &self.subject)?;
        let event = Event { id: EventId::from_uuid(self.event_id), kind, subject };
        Ok((Arc::new(event), Timestamp::from_micros(self.happened_at)))
    }
}

/// Events by account and id; `None`: it cannot be read.
type Events = BTreeMap<(Uuid, Uuid), Option<(Arc<Event>, Timestamp)>>;

impl DbStore {
    /// Takes due deliveries in hand.
    pub(crate) async fn claim_due(
        &self,
        work: &mut DbConnection,
        claim: &DeliveryClaim,
        now: Timestamp,
    ) -> Result<ClaimedDeliveries> {
        let rows = take(work, claim, now).await?;
        let events = events(work, &rows).await?;
        let mut claimed = ClaimedDeliveries::default();
        for row in rows {
            let Some(Some((event, happened_at))) = events.get(&(row.account_id, row.event_id)) else {
                // It would hold up everything behind it, each time anew.
                give_up(work, row.account_id, row.delivery_id).await?;
                continue;
            };
            claimed.deliveries.push(ClaimedDelivery {
                endpoint_id: WebhookId::from_uuid(row.endpoint_id),
                account_id: AccountId::from_uuid(row.account_id),
                id: DeliveryId::from_uuid(row.delivery_id),
                number: to_u32(row.attempts)?,
                tries: to_u32(row.tries)?,
                event: Arc::clone(event),
                happened_at: *happened_at,
            });
        }
        let endpoints: BTreeSet<Uuid> =
            claimed.deliveries.iter().map(|delivery| delivery.endpoint_id.as_uuid()).collect();
        claimed.secrets = self.secrets_of(work, &endpoints.into_iter().collect::<Vec<_>>()).await?;
        Ok(claimed)
    }
}

async fn take(work: &mut DbConnection, claim: &DeliveryClaim, now: Timestamp) -> Result<Vec<ClaimRow>> {
    let mut room: Vec<(Uuid, i64)> =
        claim.room.iter().take(CLAIMED_ENDPOINTS_MAX).map(|(id, &room)| (id.as_uuid(), i64::from(room))).collect();
    if room.is_empty() {
        return Ok(Vec::new());
    }
    // Statements are kept by their words, and shall not be many: none of nobody's is taken.
    room.resize(room.len().next_power_of_two(), (Uuid::nil(), 0));
    let mut update =
        QueryBuilder::<Db>::new("UPDATE webhook_deliveries SET attempts = attempts + 1, tries = tries + 1, due_at = ");
    update.push_bind((now + claim.lease).as_micros()).push(" WHERE ");
    words::push_due_deliveries(&mut update, &room, now, claim.owner);
    update.push(" RETURNING account_id, delivery_id, endpoint_id, event_id, attempts, tries");
    update.build_query_as().fetch_all(work).await.map_err(store_error)
}

/// What deliveries tell, each event once.
async fn events(work: &mut DbConnection, rows: &[ClaimRow]) -> Result<Events> {
    let wanted: BTreeSet<(Uuid, Uuid)> = rows.iter().map(|row| (row.account_id, row.event_id)).collect();
    let wanted: Vec<_> = wanted.into_iter().collect();
    let mut read = Events::new();
    for some in in_powers_of_two(&wanted) {
        let mut select =
            QueryBuilder::<Db>::new("SELECT e.account_id, e.event_id, e.kind, e.happened_at, e.subject FROM (");
        select.push_values(some, |mut values, (account_id, event_id)| {
            values.push_bind(*account_id).push_bind(*event_id);
        });
        select.push(") AS wanted JOIN events AS e ON e.account_id = wanted.column1 AND e.event_id = wanted.column2");
        for row in select.build_query_as::<EventRow>().fetch_all(&mut *work).await.map_err(store_error)? {
            let key = (row.account_id, row.event_id);
            let event = match row.into_engine() {
                Ok(event) => Some(event),
                Err(StoreError::Corrupt(_)) => None,
                Err(error) => return Err(error),
            };
            read.insert(key, event);
        }
    }
    Ok(read)
}

/// Undoes the claims of deliveries that were not tried, unless another has followed.
pub(crate) async fn give_back(work: &mut DbConnection, untried: &[UntriedDelivery], now: Timestamp) -> Result<()> {
    for some in in_powers_of_two(untried) {
        let mut update = QueryBuilder::<Db>::new("UPDATE webhook_deliveries SET attempts = attempts - 1, due_at = ");
        // Somebody may have asked for it anew meanwhile, and then no try counts so far.
        update.push_bind(now.as_micros()).push(", tries = CASE WHEN tries > 0 THEN tries - 1 ELSE 0 END FROM (");
        update.push_values(some, |mut values, untried| {
            values.push_bind(untried.account_id.as_uuid()).push_bind(untried.id.as_uuid());
            values.push_bind(i64::from(untried.number));
        });
        update.push(
            ") AS told WHERE webhook_deliveries.account_id = told.column1 AND webhook_deliveries.delivery_id = told.column2 \
             AND webhook_deliveries.attempts = told.column3 AND webhook_deliveries.state = 'pending'",
        );
        update.build().execute(&mut *work).await.map_err(store_error)?;
    }
    Ok(())
}

async fn give_up(work: &mut DbConnection, account_id: Uuid, delivery_id: Uuid) -> Result<()> {
    let update =
        sqlx::query("UPDATE webhook_deliveries SET state = 'failed' WHERE account_id = $1 AND delivery_id = $2");
    update.bind(account_id).bind(delivery_id).execute(work).await.map(drop).map_err(store_error)
}
