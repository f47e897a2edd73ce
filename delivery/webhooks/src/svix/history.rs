//! What became of messages, as Svix knows it, in our shape.

use agentcal_engine::ids::{AccountId, EventId, WebhookId};
use agentcal_engine::model::{DELIVERY_ATTEMPTS_MAX, DeliveryAttempt, DeliveryState, EventKind, WebhookDelivery};
use agentcal_engine::ports::{EndpointOwner, RelayPage, RelayPageRequest};
use agentcal_engine::relay::message_id;
use agentcal_engine::time::Timestamp;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};

use super::api::{Api, Failure};
use super::application;
use super::wire::{Attempt, AttemptedMessage, List};

/// Svix's statuses of messages. Its fourth, "pending", is of its past.
const SUCCESS: u8 = 0;
const FAIL: u8 = 2;
const SENDING: u8 = 3;
/// Requests for attempts at once.
const AT_ONCE: usize = 8;
/// Messages of a page that is only counted, and most such pages: Svix sends 10,000 again at a time.
const COUNTED_PAGE: usize = 250;
const COUNTED_PAGES_MAX: usize = 40;

/// A page of an endpoint's messages with what was tried.
pub(super) async fn read(
    api: &Api,
    owner: EndpointOwner,
    id: WebhookId,
    page: &RelayPageRequest,
) -> Result<RelayPage, Failure> {
    let mut query = vec![("limit", page.limit.to_string()), ("with_content", "true".to_owned())];
    query.extend(page.after.clone().map(|after| ("iterator", after)));
    query.extend(page.state.map(|state| ("status", status_of(state).to_string())));
    let path = format!("app/{}/endpoint/{id}/msg", application(owner));
    let listed: List<AttemptedMessage> = api.get(&path, &query).await?;
    let next = listed.iterator.filter(|_| !listed.done);
    let ours = listed.data.into_iter().filter_map(|message| Some((ours(&message)?, message)));
    let read = ours.map(|(ours, message)| async move {
        let attempts = attempts(api, owner, id, &message.id).await?;
        Ok::<_, Failure>(delivery(id, ours, &message, attempts))
    });
    let rows = stream::iter(read).buffered(AT_ONCE).try_collect().await?;
    Ok(RelayPage { rows, next })
}

/// How many messages were given up, of those since an instant.
pub(super) async fn count_given_up(
    api: &Api,
    owner: EndpointOwner,
    id: WebhookId,
    since: Timestamp,
) -> Result<u64, Failure> {
    let path = format!("app/{}/endpoint/{id}/msg", application(owner));
    let (mut count, mut after) = (0, None);
    for _ in 0..COUNTED_PAGES_MAX {
        let mut query = vec![
            ("limit", COUNTED_PAGE.to_string()),
            ("with_content", "false".to_owned()),
            ("status", FAIL.to_string()),
            ("after", since.to_utc().to_rfc3339()),
        ];
        query.extend(after.map(|after: String| ("iterator", after)));
        let listed: List<AttemptedMessage> = api.get(&path, &query).await?;
        // An iterator takes the place of `after`, so the page that reaches past it is the last.
        let since = since.to_utc();
        let new_enough = listed.data.iter().filter(|message| message.timestamp > since).count();
        count += u64::try_from(new_enough).unwrap_or(u64::MAX);
        after = listed.iterator;
        if listed.done || new_enough < listed.data.len() || after.is_none() {
            break;
        }
    }
    Ok(count)
}

/// What a message of ours tells, of which account.
struct Ours {
    event_id: EventId,
    kind: EventKind,
    account_id: AccountId,
}

/// Messages of others, and those that only try, are none of ours.
fn ours(message: &AttemptedMessage) -> Option<Ours> {
    let event_id = message.event_id.as_deref()?.parse().ok()?;
    let kind = EventKind::of_name(&message.event_type)?;
    let account_id = message.channels.iter().flatten().find_map(|channel| channel.parse().ok())?;
    Some(Ours { event_id, kind, account_id })
}

async fn attempts(
    api: &Api,
    owner: EndpointOwner,
    id: WebhookId,
    message: &str,
) -> Result<Vec<DeliveryAttempt>, Failure> {
    let path = format!("app/{}/attempt/msg/{message}", application(owner));
    let query = [("endpoint_id", id.to_string()), ("limit", DELIVERY_ATTEMPTS_MAX.to_string())];
    let mut tried: Vec<Attempt> = api.get::<List<Attempt>>(&path, &query).await?.data;
    tried.sort_by_key(|attempt| attempt.timestamp);
    Ok((1..).zip(tried).map(|(number, attempt)| shown(number, attempt)).collect())
}

fn shown(number: u32, attempt: Attempt) -> DeliveryAttempt {
    let (ended_at, duration, status) = (instant(attempt.timestamp), attempt.duration(), attempt.status());
    let (answer, error) = attempt.said();
    DeliveryAttempt { number, ended_at, duration, status, error, answer }
}

fn delivery(
    endpoint_id: WebhookId,
    ours: Ours,
    message: &AttemptedMessage,
    attempts: Vec<DeliveryAttempt>,
) -> WebhookDelivery {
    let created_at = instant(message.timestamp);
    // What it says is kept by Svix for a time only.
    let happened_at = message.payload["timestamp"].as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
    WebhookDelivery {
        id: message_id(ours.event_id),
        endpoint_id,
        account_id: ours.account_id,
        kind: ours.kind,
        happened_at: happened_at.map_or(created_at, instant),
        state: match message.status {
            SUCCESS => DeliveryState::Delivered,
            FAIL => DeliveryState::Failed,
            _ => DeliveryState::Pending,
        },
        due_at: message.next_attempt.map_or(created_at, instant),
        created_at,
        attempts,
    }
}

fn status_of(state: DeliveryState) -> u8 {
    match state {
        DeliveryState::Delivered => SUCCESS,
        DeliveryState::Failed => FAIL,
        DeliveryState::Pending => SENDING,
    }
}

fn instant(at: DateTime<Utc>) -> Timestamp {
    Timestamp::from_micros(at.timestamp_micros())
}
