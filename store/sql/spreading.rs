//! New events: who hears of them, and what follows from them. All of a batch is settled by a few statements.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use agentcal_engine::followups::{Happened, MailFor, followers, has_followers};
use agentcal_engine::ids::{AccountId, DeliveryId, EventId, EventTypeId, OrganizationId};
use agentcal_engine::model::{Event, EventKind, EventSubject, FollowUp, NewJob, Tenant, WebhookEndpoint};
use agentcal_engine::ports::{EndpointOwner, Spread};
use agentcal_engine::shard::{NodeId, Shard};
use agentcal_engine::time::Timestamp;
use agentcal_engine::webhooks::hears;
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::db::{Db, DbConnection};
use crate::error::{Result, store_error};
use crate::events::Moment;
use crate::rows::in_powers_of_two;
use crate::text::{Named, from_json};
use crate::{endpoints, event_types, jobs, words};

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

/// A new event, and who hears of it.
struct Heard<'a> {
    event: &'a NewEvent,
    owner: EndpointOwner,
    kind: EventKind,
    by: Vec<Uuid>,
}

/// Has events heard of, and makes the jobs that follow from them. What somebody else has looked at meanwhile is left.
pub(crate) async fn spread(
    work: &mut DbConnection,
    new: &[NewEvent],
    moment: Moment<'_>,
    mail: MailFor,
    way: Way,
) -> Result<Spread> {
    let mut known: BTreeMap<(Uuid, &str), Vec<WebhookEndpoint>> = BTreeMap::new();
    let mut events = Vec::with_capacity(new.len());
    for event in new {
        let organization_id = OrganizationId::from_uuid(event.organization_id);
        let owner = EndpointOwner { organization_id, mode: Named::named(&event.mode)? };
        let whose = (event.organization_id, event.mode.as_str());
        let endpoints = match known.entry(whose) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(endpoints::all_of(work, owner).await?),
        };
        let kind: EventKind = Named::named(&event.kind)?;
        let (account_id, at) = (AccountId::from_uuid(event.account_id), Timestamp::from_micros(event.happened_at));
        let heard = endpoints.iter().filter(|one| hears(one, account_id, kind, at));
        let by = heard.map(|one| one.id.as_uuid()).collect();
        events.push(Heard { event, owner, kind, by });
    }
    let settled = settle(work, &events, moment.now, way).await?;
    let is_ours = |heard: &&Heard<'_>| settled.contains(&(heard.event.account_id, heard.event.event_id));
    let told: Vec<&Heard<'_>> = events.iter().filter(is_ours).filter(|heard| !heard.by.is_empty()).collect();
    let deliveries = match way {
        Way::Own => insert_deliveries(work, &told, moment).await?,
        Way::Relay => told.len(),
    };
    let mut terms = Terms::new();
    let mut follow_up = Vec::new();
    for heard in events.iter().filter(is_ours).filter(|heard| has_followers(heard.kind)) {
        follow_up.extend(followers_of(work, heard, mail.includes(heard.owner.mode), &mut terms).await?);
    }
    jobs::insert(work, &follow_up, moment).await?;
    let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    Ok(Spread { events: count(new.len()), deliveries: count(deliveries) })
}

/// Each on the condition that nobody else has looked at the event: whoever comes second finds nothing to do. Account and event
/// of those that were settled here.
async fn settle(
    work: &mut DbConnection,
    events: &[Heard<'_>],
    now: Timestamp,
    way: Way,
) -> Result<BTreeSet<(Uuid, Uuid)>> {
    let (unheard, heard): (Vec<_>, Vec<_>) = events.iter().partition(|heard| heard.by.is_empty());
    let mut settled = BTreeSet::new();
    for (some, is_heard) in [(unheard, false), (heard, true)] {
        for some in in_powers_of_two(&some) {
            let mut statement = QueryBuilder::<Db>::new(match (is_heard, way) {
                (false, _) => "DELETE FROM events",
                (true, Way::Own) => "UPDATE events SET state = 'spread'",
                (true, Way::Relay) => "UPDATE events SET state = 'spread', relay_due_at = ",
            });
            if is_heard && way == Way::Relay {
                statement.push_bind(now.as_micros());
            }
            // One search for each: a list of pairs would have SQLite look at every event.
            for (index, heard) in some.iter().enumerate() {
                statement.push(if index == 0 { " WHERE (account_id = " } else { " OR (account_id = " });
                statement.push_bind(heard.event.account_id).push(" AND event_id = ").push_bind(heard.event.event_id);
                statement.push(" AND state = 'new')");
            }
            statement.push(" RETURNING account_id, event_id");
            let rows = statement.build_query_as::<(Uuid, Uuid)>().fetch_all(&mut *work).await;
            settled.extend(rows.map_err(store_error)?);
        }
    }
    Ok(settled)
}

/// One delivery for each endpoint that hears of an event; how many.
async fn insert_deliveries(
    work: &mut DbConnection,
    told: &[&Heard<'_>],
    Moment { now, entropy }: Moment<'_>,
) -> Result<usize> {
    let of_all = told.iter().flat_map(|heard| heard.by.iter().map(|&endpoint_id| (heard.event, endpoint_id)));
    let deliveries: Vec<(&NewEvent, Uuid)> = of_all.collect();
    for some in in_powers_of_two(&deliveries) {
        let mut insert = QueryBuilder::<Db>::new(
            "INSERT INTO webhook_deliveries (account_id, delivery_id, organization_id, endpoint_id, event_id, shard, state, \
             attempts, tries, due_at, created_at) ",
        );
        insert.push_values(some, |mut values, (event, endpoint_id)| {
            let shard = Shard::of(AccountId::from_uuid(event.account_id));
            values.push_bind(event.account_id).push_bind(DeliveryId::mint(now, entropy).as_uuid());
            values.push_bind(event.organization_id).push_bind(*endpoint_id).push_bind(event.event_id);
            values.push_bind(i32::from(shard.number())).push("'pending'").push("0").push("0");
            values.push_bind(now.as_micros()).push_bind(now.as_micros());
        });
        insert.build().execute(&mut *work).await.map_err(store_error)?;
    }
    Ok(deliveries.len())
}

/// On what terms jobs follow from bookings of an event type, as far as it was read.
type Terms = BTreeMap<(AccountId, EventTypeId), FollowUp>;

/// The jobs that follow from an event.
async fn followers_of(
    work: &mut DbConnection,
    heard: &Heard<'_>,
    mails: bool,
    terms: &mut Terms,
) -> Result<Vec<(Tenant, NewJob)>> {
    let event = heard.event;
    // One that cannot be read tells nobody anything, and must not hold up what comes after it.
    let Ok(subject) = from_json::<EventSubject>("what an event happened to", &event.subject) else {
        return Ok(Vec::new());
    };
    let account_id = AccountId::from_uuid(event.account_id);
    let event_type_id = match &subject {
        EventSubject::Booking { booking, .. } => booking.event_type_id,
        EventSubject::Connection { .. } => None,
    };
    let of_type = match event_type_id {
        Some(id) => match terms.entry((account_id, id)) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(place) => place.insert(event_types::follow_up(work, account_id, id).await?).clone(),
        },
        None => FollowUp::default(),
    };
    let EndpointOwner { organization_id, mode } = heard.owner;
    let told = Event { id: EventId::from_uuid(event.event_id), kind: heard.kind, subject };
    let at = Timestamp::from_micros(event.happened_at);
    let new = followers(Happened { event: &told, at, terms: &of_type, mails });
    Ok(new.into_iter().map(|job| (Tenant { organization_id, mode, account_id }, job)).collect())
}
