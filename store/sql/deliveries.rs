//! Events on their way to endpoints: spreading, taking in hand, keeping what came of it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use agentcal_engine::followups::{Happened, MailFor, followers, has_followers};
use agentcal_engine::ids::{AccountId, DeliveryId, EventId, OrganizationId, WebhookId};
use agentcal_engine::model::{
    DELIVERY_ATTEMPTS_MAX, DeliveryAttempt, DeliveryState, Event, EventKind, EventSubject, FollowUp, Tenant,
    WebhookDelivery, WebhookDisabled, WebhookEndpoint, WebhookStanding,
};
use agentcal_engine::ports::{
    AttemptRecord, ClaimedDelivery, EndedEndpoint, EndpointClaim, EndpointOwner, ListPage, PageRequest, Spread,
    StoreError,
};
use agentcal_engine::shard::{NodeId, Shard};
use agentcal_engine::time::Timestamp;
use agentcal_engine::webhooks::{Next, endpoint_after, hears, is_success, notice_of_end};
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::db::{Db, DbConnection};
use crate::error::{Result, corrupt, store_error};
use crate::events::Moment;
use crate::rows::{before, into_page, probe};
use crate::text::{Named, from_json, to_u32};
use crate::work::has_tenant;
use crate::{endpoints, event_types, jobs, relays, words};

/// How long an event is kept.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Each on the condition that nobody else has looked at the event: whoever comes second finds nothing to do.
const DROP_NEW: &str = "DELETE FROM events WHERE account_id = $1 AND event_id = $2 AND state = 'new'";
const MARK_SPREAD: &str =
    "UPDATE events SET state = 'spread' WHERE account_id = $1 AND event_id = $2 AND state = 'new'";
const MARK_RELAYED: &str = "UPDATE events SET state = 'spread', relay_due_at = $3 \
     WHERE account_id = $1 AND event_id = $2 AND state = 'new'";

/// How endpoints hear of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From us, each by a delivery.
    Own,
    /// From a service that is told once.
    Relay,
}

/// An event nobody has looked at.
#[derive(sqlx::FromRow)]
pub(crate) struct NewEvent {
    account_id: Uuid,
    event_id: Uuid,
    organization_id: Uuid,
    mode: String,
    kind: String,
    happened_at: i64,
    subject: String,
}

/// Events nobody has looked at, the oldest first. Those of kinds that only a newer program knows are left to it, and must not
/// stand in the way of the others.
pub(crate) async fn new_events(
    connection: &mut DbConnection,
    owner: Option<NodeId>,
    limit: u32,
) -> Result<Vec<NewEvent>> {
    let known: String = EventKind::ALL.iter().map(|kind| format!(" {} ", kind.as_str())).collect();
    let select = sqlx::query_as(words::NEW_EVENTS).bind(i64::from(limit)).bind(owner.map(|node| node.0)).bind(known);
    select.fetch_all(connection).await.map_err(store_error)
}

/// Makes deliveries of events, and the jobs that follow from them. One that somebody else has looked at meanwhile is left.
pub(crate) async fn spread(
    work: &mut DbConnection,
    new: &[NewEvent],
    moment: Moment<'_>,
    mail: MailFor,
    way: Way,
) -> Result<Spread> {
    let mut known: BTreeMap<(Uuid, &str), Vec<WebhookEndpoint>> = BTreeMap::new();
    let mut spread = Spread::default();
    for event in new {
        let owner = EndpointOwner {
            organization_id: OrganizationId::from_uuid(event.organization_id),
            mode: Named::named(&event.mode)?,
        };
        let endpoints = match known.entry((event.organization_id, event.mode.as_str())) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(endpoints::all_of(work, owner).await?),
        };
        let kind: EventKind = Named::named(&event.kind)?;
        if let Some(deliveries) = spread_one(work, event, kind, endpoints, (moment, way)).await? {
            spread.deliveries += deliveries;
            if has_followers(kind) {
                follow(work, event, kind, moment, mail.includes(owner.mode)).await?;
            }
        }
        spread.events += 1;
    }
    Ok(spread)
}

/// Makes deliveries of an event, and says how many; `None`: somebody else has looked at it.
async fn spread_one(
    work: &mut DbConnection,
    event: &NewEvent,
    kind: EventKind,
    endpoints: &[WebhookEndpoint],
    (Moment { now, entropy }, way): (Moment<'_>, Way),
) -> Result<Option<u32>> {
    let account_id = AccountId::from_uuid(event.account_id);
    let happened_at = Timestamp::from_micros(event.happened_at);
    let heard: Vec<_> = endpoints.iter().filter(|one| hears(one, account_id, kind, happened_at)).collect();
    let settle = match way {
        _ if heard.is_empty() => DROP_NEW,
        Way::Own => MARK_SPREAD,
        Way::Relay => MARK_RELAYED,
    };
    let mut statement = sqlx::query(settle).bind(event.account_id).bind(event.event_id);
    if settle == MARK_RELAYED {
        statement = statement.bind(now.as_micros());
    }
    if statement.execute(&mut *work).await.map_err(store_error)?.rows_affected() != 1 {
        return Ok(None);
    }
    if heard.is_empty() {
        return Ok(Some(0));
    }
    if way == Way::Relay {
        return Ok(Some(1));
    }
    let mut insert = QueryBuilder::<Db>::new(
        "INSERT INTO webhook_deliveries (account_id, delivery_id, organization_id, endpoint_id, event_id, shard, state, \
         attempts, tries, due_at, created_at) ",
    );
    let shard = i32::from(Shard::of(account_id).number());
    insert.push_values(&heard, |mut values, endpoint| {
        values.push_bind(event.account_id).push_bind(DeliveryId::mint(now, entropy).as_uuid());
        values.push_bind(event.organization_id).push_bind(endpoint.id.as_uuid()).push_bind(event.event_id);
        values.push_bind(shard).push("'pending'").push("0").push("0");
        values.push_bind(now.as_micros()).push_bind(now.as_micros());
    });
    insert.build().execute(work).await.map_err(store_error)?;
    Ok(Some(u32::try_from(heard.len()).unwrap_or(u32::MAX)))
}

/// Makes the jobs that follow from an event.
async fn follow(
    work: &mut DbConnection,
    event: &NewEvent,
    kind: EventKind,
    moment: Moment<'_>,
    mails: bool,
) -> Result<()> {
    // One that cannot be read tells nobody anything, and must not hold up what comes after it.
    let Ok(subject) = from_json::<EventSubject>("what an event happened to", &event.subject) else { return Ok(()) };
    let account_id = AccountId::from_uuid(event.account_id);
    let event_type_id = match &subject {
        EventSubject::Booking { booking, .. } => booking.event_type_id,
        EventSubject::Connection { .. } => None,
    };
    let terms = match event_type_id {
        Some(id) => event_types::follow_up(work, account_id, id).await?,
        None => FollowUp::default(),
    };
    let tenant = Tenant {
        organization_id: OrganizationId::from_uuid(event.organization_id),
        mode: Named::named(&event.mode)?,
        account_id,
    };
    let told = Event { id: EventId::from_uuid(event.event_id), kind, subject };
    let at = Timestamp::from_micros(event.happened_at);
    let new = followers(Happened { event: &told, at, terms: &terms, mails });
    jobs::insert(work, &tenant, &new, moment).await
}

#[derive(sqlx::FromRow)]
struct ClaimRow {
    account_id: Uuid,
    delivery_id: Uuid,
    event_id: Uuid,
    attempts: i64,
    tries: i64,
}

/// Takes due deliveries of an endpoint in hand.
pub(crate) async fn claim(
    work: &mut DbConnection,
    claim: EndpointClaim,
    now: Timestamp,
) -> Result<Vec<ClaimedDelivery>> {
    let update = sqlx::query_as::<_, ClaimRow>(words::CLAIM_DELIVERIES).bind(claim.endpoint_id.as_uuid());
    let update = update.bind(now.as_micros()).bind((now + claim.lease).as_micros()).bind(i64::from(claim.limit));
    let rows = update.bind(claim.owner.map(|node| node.0)).fetch_all(&mut *work).await.map_err(store_error)?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in rows {
        let (event, happened_at) = match event(work, row.account_id, row.event_id).await {
            Ok(read) => read,
            // It would hold up everything behind it, each time anew.
            Err(StoreError::Corrupt(_)) => {
                give_up(work, row.account_id, row.delivery_id).await?;
                continue;
            }
            Err(error) => return Err(error),
        };
        claimed.push(ClaimedDelivery {
            account_id: AccountId::from_uuid(row.account_id),
            id: DeliveryId::from_uuid(row.delivery_id),
            number: to_u32(row.attempts)?,
            tries: to_u32(row.tries)?,
            event,
            happened_at,
        });
    }
    Ok(claimed)
}

async fn give_up(work: &mut DbConnection, account_id: Uuid, delivery_id: Uuid) -> Result<()> {
    let update =
        sqlx::query("UPDATE webhook_deliveries SET state = 'failed' WHERE account_id = $1 AND delivery_id = $2");
    update.bind(account_id).bind(delivery_id).execute(work).await.map(drop).map_err(store_error)
}

async fn event(connection: &mut DbConnection, account_id: Uuid, event_id: Uuid) -> Result<(Event, Timestamp)> {
    let select = sqlx::query_as::<_, (String, i64, String)>(
        "SELECT kind, happened_at, subject FROM events WHERE account_id = $1 AND event_id = $2",
    );
    let select = select.bind(account_id).bind(event_id);
    let (kind, happened_at, subject) = select.fetch_one(connection).await.map_err(store_error)?;
    let (kind, subject) = (EventKind::named(&kind)?, from_json("what an event happened to", &subject)?);
    Ok((Event { id: EventId::from_uuid(event_id), kind, subject }, Timestamp::from_micros(happened_at)))
}

/// Keeps what tries came to. Endpoints come first and in one order, because a row of theirs may be locked.
pub(crate) async fn record(
    work: &mut DbConnection,
    records: &[AttemptRecord],
    moment: Moment<'_>,
    mail: MailFor,
) -> Result<Vec<EndedEndpoint>> {
    let mut of_endpoints: BTreeMap<WebhookId, Vec<&AttemptRecord>> = BTreeMap::new();
    for record in records {
        of_endpoints.entry(record.endpoint_id).or_default().push(record);
    }
    let mut ended = Vec::new();
    for (&endpoint_id, of_endpoint) in &of_endpoints {
        let Some(end) = judge_endpoint(work, endpoint_id, of_endpoint).await? else { continue };
        let (organization_id, standing) = (end.owner.organization_id, end.told.standing);
        relays::changed(work, end.owner, endpoint_id, moment.now).await?;
        let is_told = mail.includes(end.owner.mode) && tell_of_end(work, end, of_endpoint, moment).await?;
        ended.push(EndedEndpoint { endpoint_id, organization_id, standing, is_told });
    }
    for record in records {
        record_one(work, record).await?;
    }
    Ok(ended)
}

/// An endpoint that is spoken to no more.
struct End {
    owner: EndpointOwner,
    told: WebhookDisabled,
}

/// Keeps how an endpoint is after some tries, and says whether it ends by them.
async fn judge_endpoint(work: &mut DbConnection, id: WebhookId, records: &[&AttemptRecord]) -> Result<Option<End>> {
    let all_well = records.iter().all(|record| is_success(record.tried.status));
    if all_well && !endpoints::has_failed(work, id).await? {
        return Ok(None);
    }
    let Some(endpoint) = endpoints::held(work, id).await? else { return Ok(None) };
    let owner = EndpointOwner { organization_id: endpoint.organization_id, mode: endpoint.mode };
    let (mut health, mut end) = (endpoint.health, None);
    for record in records {
        let at = record.attempt.ended_at;
        let after = endpoint_after(health, &record.tried, at);
        health = after.health;
        end = end.or_else(|| {
            let (url, last_status) = (endpoint.url.clone(), record.tried.status);
            let failing_since = health.failing_since.unwrap_or(at);
            let told = |standing| WebhookDisabled { endpoint_id: id, url, standing, failing_since, last_status, at };
            after.ends.map(told)
        });
    }
    endpoints::set_health(work, id, health).await?;
    let Some(told) = end.filter(|_| endpoint.standing == WebhookStanding::Enabled) else { return Ok(None) };
    endpoints::end(work, id, told.standing).await?;
    Ok(Some(End { owner, told }))
}

/// Makes the job that tells an organization of an end. It is of an account in which something was to be told that is still
/// there; false where there is none.
async fn tell_of_end(
    work: &mut DbConnection,
    End { owner, told }: End,
    records: &[&AttemptRecord],
    moment: Moment<'_>,
) -> Result<bool> {
    for record in records {
        let tenant = Tenant { organization_id: owner.organization_id, mode: owner.mode, account_id: record.account_id };
        if has_tenant(work, &tenant).await? {
            jobs::insert(work, &tenant, &[notice_of_end(told)], moment).await?;
            return Ok(true);
        }
    }
    Ok(false)
}

async fn record_one(work: &mut DbConnection, record: &AttemptRecord) -> Result<()> {
    let (state, due_at) = match record.next {
        Next::Delivered => (DeliveryState::Delivered, record.attempt.ended_at),
        Next::Retry(wait) => (DeliveryState::Pending, record.attempt.ended_at + wait),
        Next::GiveUp => (DeliveryState::Failed, record.attempt.ended_at),
    };
    let update = match state {
        DeliveryState::Delivered => SETTLE_DELIVERED,
        DeliveryState::Pending | DeliveryState::Failed => SETTLE_LATEST,
    };
    let update = sqlx::query(update).bind(record.account_id.as_uuid()).bind(record.delivery_id.as_uuid());
    let update = update.bind(state.name()).bind(due_at.as_micros()).bind(i64::from(record.attempt.number));
    update.execute(&mut *work).await.map_err(store_error)?;
    insert_attempt(work, record).await
}

/// A success counts, whichever try it is of.
const SETTLE_DELIVERED: &str = "UPDATE webhook_deliveries SET state = $3, due_at = $4 \
     WHERE account_id = $1 AND delivery_id = $2 AND attempts >= $5";
/// A failure counts unless a later try has begun, or somebody gave the delivery up.
const SETTLE_LATEST: &str = "UPDATE webhook_deliveries SET state = $3, due_at = $4 \
     WHERE account_id = $1 AND delivery_id = $2 AND attempts = $5 AND state = 'pending'";

async fn insert_attempt(work: &mut DbConnection, record: &AttemptRecord) -> Result<()> {
    let DeliveryAttempt { number, ended_at, duration, status, error, answer } = &record.attempt;
    // The delivery may be gone with its endpoint or account.
    let insert = sqlx::query(
        "INSERT INTO webhook_attempts (account_id, delivery_id, number, ended_at, duration_us, status, error, answer) \
         SELECT account_id, delivery_id, $3, $4, $5, $6, $7, $8 FROM webhook_deliveries \
         WHERE account_id = $1 AND delivery_id = $2 ON CONFLICT (account_id, delivery_id, number) DO NOTHING",
    );
    let insert = insert.bind(record.account_id.as_uuid()).bind(record.delivery_id.as_uuid()).bind(i64::from(*number));
    let insert = insert.bind(ended_at.as_micros()).bind(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX));
    let insert = insert.bind(status.map(i64::from)).bind(error).bind(answer);
    insert.execute(&mut *work).await.map_err(store_error)?;
    let Some(oldest) = number.checked_sub(DELIVERY_ATTEMPTS_MAX).filter(|&oldest| oldest > 0) else { return Ok(()) };
    let delete =
        sqlx::query("DELETE FROM webhook_attempts WHERE account_id = $1 AND delivery_id = $2 AND number <= $3");
    let delete = delete.bind(record.account_id.as_uuid()).bind(record.delivery_id.as_uuid());
    delete.bind(i64::from(oldest)).execute(work).await.map(drop).map_err(store_error)
}

#[derive(sqlx::FromRow)]
struct DeliveryRow {
    account_id: Uuid,
    delivery_id: Uuid,
    endpoint_id: Uuid,
    kind: String,
    happened_at: i64,
    state: String,
    due_at: i64,
    created_at: i64,
}

impl DeliveryRow {
    fn into_engine(self, attempts: Vec<DeliveryAttempt>) -> Result<WebhookDelivery> {
        Ok(WebhookDelivery {
            id: DeliveryId::from_uuid(self.delivery_id),
            endpoint_id: WebhookId::from_uuid(self.endpoint_id),
            account_id: AccountId::from_uuid(self.account_id),
            kind: Named::named(&self.kind)?,
            happened_at: Timestamp::from_micros(self.happened_at),
            state: Named::named(&self.state)?,
            due_at: Timestamp::from_micros(self.due_at),
            created_at: Timestamp::from_micros(self.created_at),
            attempts,
        })
    }
}

/// A page of an endpoint's deliveries, newest first.
pub(crate) async fn list(
    reader: &mut DbConnection,
    organization_id: OrganizationId,
    id: WebhookId,
    state: Option<DeliveryState>,
    page: &PageRequest,
) -> Result<ListPage<WebhookDelivery>> {
    let mut select = QueryBuilder::<Db>::new(
        "SELECT d.account_id, d.delivery_id, d.endpoint_id, e.kind, e.happened_at, d.state, d.due_at, d.created_at \
         FROM webhook_deliveries AS d JOIN events AS e ON e.account_id = d.account_id AND e.event_id = d.event_id \
         WHERE d.organization_id = ",
    );
    select.push_bind(organization_id.as_uuid()).push(" AND d.endpoint_id = ").push_bind(id.as_uuid());
    if let Some(state) = state {
        select.push(" AND d.state = ").push_bind(state.name());
    }
    let (created_at, delivery_id) = before(page);
    select.push(" AND (d.created_at, d.delivery_id) < (").push_bind(created_at).push(", ").push_bind(delivery_id);
    select.push(") ORDER BY d.created_at DESC, d.delivery_id DESC LIMIT ").push_bind(probe(page));
    let rows = select.build_query_as::<DeliveryRow>().fetch_all(&mut *reader).await.map_err(store_error)?;
    let ListPage { rows, next } = into_page(rows, page, |row| (row.created_at, row.delivery_id));
    let mut deliveries = Vec::with_capacity(rows.len());
    for row in rows {
        let attempts = attempts(reader, row.account_id, row.delivery_id).await?;
        deliveries.push(row.into_engine(attempts)?);
    }
    Ok(ListPage { rows: deliveries, next })
}

#[derive(sqlx::FromRow)]
struct AttemptRow {
    number: i64,
    ended_at: i64,
    duration_us: i64,
    status: Option<i64>,
    error: Option<String>,
    answer: String,
}

impl AttemptRow {
    fn into_engine(self) -> Result<DeliveryAttempt> {
        let status = self.status.map(|status| u16::try_from(status).map_err(|error| corrupt("a status", error)));
        Ok(DeliveryAttempt {
            number: to_u32(self.number)?,
            ended_at: Timestamp::from_micros(self.ended_at),
            duration: Duration::from_micros(self.duration_us.unsigned_abs()),
            status: status.transpose()?,
            error: self.error,
            answer: self.answer,
        })
    }
}

async fn attempts(reader: &mut DbConnection, account_id: Uuid, delivery_id: Uuid) -> Result<Vec<DeliveryAttempt>> {
    let select = sqlx::query_as::<_, AttemptRow>(
        "SELECT number, ended_at, duration_us, status, error, answer FROM webhook_attempts \
         WHERE account_id = $1 AND delivery_id = $2 ORDER BY number",
    );
    let rows = select.bind(account_id).bind(delivery_id).fetch_all(reader).await.map_err(store_error)?;
    rows.into_iter().map(AttemptRow::into_engine).collect()
}

/// Makes a delivery pending and due now; false when there is none.
pub(crate) async fn resend(
    work: &mut DbConnection,
    organization_id: OrganizationId,
    id: WebhookId,
    delivery_id: DeliveryId,
    now: Timestamp,
) -> Result<bool> {
    let update = sqlx::query(
        "UPDATE webhook_deliveries SET state = 'pending', tries = 0, due_at = $4 \
         WHERE organization_id = $1 AND endpoint_id = $2 AND delivery_id = $3",
    );
    let update = update.bind(organization_id.as_uuid()).bind(id.as_uuid()).bind(delivery_id.as_uuid());
    Ok(update.bind(now.as_micros()).execute(work).await.map_err(store_error)?.rows_affected() == 1)
}

/// Makes deliveries that were given up pending and due now, of events since an instant; how many.
pub(crate) async fn replay(
    work: &mut DbConnection,
    organization_id: OrganizationId,
    id: WebhookId,
    since: Timestamp,
    now: Timestamp,
) -> Result<u64> {
    // A delivery is made after its event happened, so looking at deliveries since then misses none.
    let update = sqlx::query(
        "UPDATE webhook_deliveries SET state = 'pending', tries = 0, due_at = $4 \
         WHERE organization_id = $1 AND endpoint_id = $2 AND state = 'failed' AND created_at >= $3 \
         AND EXISTS (SELECT 1 FROM events AS e WHERE e.account_id = webhook_deliveries.account_id \
         AND e.event_id = webhook_deliveries.event_id AND e.happened_at >= $3)",
    );
    let update = update.bind(organization_id.as_uuid()).bind(id.as_uuid()).bind(since.as_micros());
    Ok(update.bind(now.as_micros()).execute(work).await.map_err(store_error)?.rows_affected())
}

/// Deletes what is too old, with its deliveries; how many.
pub(crate) async fn forget(work: &mut DbConnection, now: Timestamp, limit: u32) -> Result<u64> {
    let delete = sqlx::query(words::FORGET_EVENTS).bind((now - KEPT_FOR).as_micros()).bind(i64::from(limit));
    Ok(delete.execute(work).await.map_err(store_error)?.rows_affected())
}
