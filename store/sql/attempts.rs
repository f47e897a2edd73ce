//! What tries to tell endpoints came to, kept many at once.

use std::collections::BTreeMap;

use agentcal_engine::followups::MailFor;
use agentcal_engine::ids::WebhookId;
use agentcal_engine::model::{
    DELIVERY_ATTEMPTS_MAX, DeliveryAttempt, DeliveryState, Tenant, WebhookDisabled, WebhookStanding,
};
use agentcal_engine::ports::{AttemptRecord, EndedEndpoint, EndpointOwner};
use agentcal_engine::webhooks::{Next, endpoint_after, is_success, notice_of_end};
use sqlx::QueryBuilder;

use crate::db::{Db, DbConnection};
use crate::error::{Result, store_error};
use crate::events::Moment;
use crate::rows::in_powers_of_two;
use crate::text::Named;
use crate::work::has_tenant;
use crate::{endpoints, jobs, relays};

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
    let failed_before = endpoints::failed_of(work, &of_endpoints.keys().copied().collect::<Vec<_>>()).await?;
    let mut ended = Vec::new();
    for (&endpoint_id, of_endpoint) in &of_endpoints {
        let all_well = of_endpoint.iter().all(|record| is_success(record.tried.status));
        if all_well && !failed_before.contains(&endpoint_id) {
            continue;
        }
        let Some(end) = judge_endpoint(work, endpoint_id, of_endpoint).await? else { continue };
        let (organization_id, standing) = (end.owner.organization_id, end.told.standing);
        relays::changed(work, end.owner, endpoint_id, moment.now).await?;
        let is_told = mail.includes(end.owner.mode) && tell_of_end(work, end, of_endpoint, moment).await?;
        ended.push(EndedEndpoint { endpoint_id, organization_id, standing, is_told });
    }
    let is_delivered = |record: &&AttemptRecord| record.next == Next::Delivered;
    let (delivered, others): (Vec<_>, Vec<_>) = records.iter().partition(is_delivered);
    settle(work, SETTLE_DELIVERED, &delivered).await?;
    settle(work, SETTLE_LATEST, &others).await?;
    insert_attempts(work, records).await?;
    Ok(ended)
}

/// An endpoint that is spoken to no more.
struct End {
    owner: EndpointOwner,
    told: WebhookDisabled,
}

/// Keeps how an endpoint is after some tries, and says whether it ends by them.
async fn judge_endpoint(work: &mut DbConnection, id: WebhookId, records: &[&AttemptRecord]) -> Result<Option<End>> {
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
            jobs::insert(work, &[(tenant, notice_of_end(told))], moment).await?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes where deliveries stand.
async fn settle(work: &mut DbConnection, (before, after): (&str, &str), records: &[&AttemptRecord]) -> Result<()> {
    for some in in_powers_of_two(records) {
        let mut update = QueryBuilder::<Db>::new(before);
        update.push_values(some, |mut values, record| {
            let (state, due_at) = match record.next {
                Next::Delivered => (DeliveryState::Delivered, record.attempt.ended_at),
                Next::Retry(wait) => (DeliveryState::Pending, record.attempt.ended_at + wait),
                Next::GiveUp => (DeliveryState::Failed, record.attempt.ended_at),
            };
            values.push_bind(record.account_id.as_uuid()).push_bind(record.delivery_id.as_uuid());
            values.push_bind(state.name()).push_bind(due_at.as_micros()).push_bind(i64::from(record.attempt.number));
        });
        update.push(after).build().execute(&mut *work).await.map_err(store_error)?;
    }
    Ok(())
}

const SETTLE: &str = "UPDATE webhook_deliveries SET state = told.column3, due_at = told.column4 FROM (";
/// A success counts, whichever try it is of.
const SETTLE_DELIVERED: (&str, &str) = (
    SETTLE,
    ") AS told WHERE webhook_deliveries.account_id = told.column1 AND webhook_deliveries.delivery_id = told.column2 \
     AND webhook_deliveries.attempts >= told.column5",
);
/// A failure counts unless a later try has begun, or somebody gave the delivery up.
const SETTLE_LATEST: (&str, &str) = (
    SETTLE,
    ") AS told WHERE webhook_deliveries.account_id = told.column1 AND webhook_deliveries.delivery_id = told.column2 \
     AND webhook_deliveries.attempts = told.column5 AND webhook_deliveries.state = 'pending'",
);

async fn insert_attempts(work: &mut DbConnection, records: &[AttemptRecord]) -> Result<()> {
    for some in in_powers_of_two(records) {
        let mut insert = QueryBuilder::<Db>::new(
            "INSERT INTO webhook_attempts (account_id, delivery_id, number, ended_at, duration_us, status, error, answer) \
             SELECT d.account_id, d.delivery_id, told.column3, told.column4, told.column5, told.column6, told.column7, \
             told.column8 FROM (",
        );
        insert.push_values(some, |mut values, record| {
            let DeliveryAttempt { number, ended_at, duration, status, error, answer } = &record.attempt;
            values.push_bind(record.account_id.as_uuid()).push_bind(record.delivery_id.as_uuid());
            values.push_bind(i64::from(*number)).push_bind(ended_at.as_micros());
            values.push_bind(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX));
            values.push_bind(status.map(i64::from)).push_bind(error.clone()).push_bind(answer.clone());
        });
        // A delivery may be gone with its endpoint or account.
        insert.push(
            ") AS told JOIN webhook_deliveries AS d ON d.account_id = told.column1 AND d.delivery_id = told.column2 \
             WHERE true ON CONFLICT (account_id, delivery_id, number) DO NOTHING",
        );
        insert.build().execute(&mut *work).await.map_err(store_error)?;
    }
    for record in records.iter().filter(|record| record.attempt.number > DELIVERY_ATTEMPTS_MAX) {
        forget_first(work, record).await?;
    }
    Ok(())
}

/// Only so many are kept.
async fn forget_first(work: &mut DbConnection, record: &AttemptRecord) -> Result<()> {
    let delete =
        sqlx::query("DELETE FROM webhook_attempts WHERE account_id = $1 AND delivery_id = $2 AND number <= $3");
    let delete = delete.bind(record.account_id.as_uuid()).bind(record.delivery_id.as_uuid());
    let oldest = i64::from(record.attempt.number - DELIVERY_ATTEMPTS_MAX);
    delete.bind(oldest).execute(work).await.map(drop).map_err(store_error)
}
