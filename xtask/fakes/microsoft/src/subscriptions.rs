//! Subscriptions, and the notifications they bring.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::call::{Call, plain_id};
use crate::mailbox::user_id;
use crate::reply::{Outcome, Reply, bad_request, not_found};
use crate::store::{Change, Store, Subscription};
use crate::times::{Fields, stamp};

const NEEDED: [&str; 4] = ["changeType", "notificationUrl", "resource", "expirationDateTime"];
const CLIENT_STATE_LEN_MAX: usize = 128;

/// A notification on its way.
#[derive(Clone, Debug)]
pub(crate) struct Notification {
    pub(crate) url: String,
    pub(crate) body: Value,
}

/// Checks what a subscription is asked for, before the address is asked whether it wants to hear. Says which addresses to ask.
pub(crate) fn check(store: &Store, call: &Call) -> Result<Vec<String>, Reply> {
    let fields = call.body.as_object().ok_or_else(|| invalid("The body is not an object."))?;
    if let Some(missing) = NEEDED.iter().find(|name| !fields.get(**name).is_some_and(Value::is_string)) {
        return Err(invalid(&format!("{missing} is missing.")));
    }
    let state = fields.get("clientState").and_then(Value::as_str).unwrap_or_default();
    if state.len() > CLIENT_STATE_LEN_MAX {
        return Err(invalid("clientState is longer than 128 characters."));
    }
    calendar_in(store, call)?;
    expiration(store, call)?;
    let urls = ["notificationUrl", "lifecycleNotificationUrl"].into_iter();
    Ok(urls.filter_map(|name| fields.get(name)?.as_str().map(str::to_owned)).collect())
}

pub(crate) fn create(store: &mut Store, call: &Call) -> Outcome {
    let calendar = calendar_in(store, call)?;
    let expires_at = expiration(store, call)?;
    let id = format!("5b5c{:04x}-0000-4000-8000-000000000000", store.next());
    let fields = call.body.as_object().cloned().unwrap_or_default();
    let address = call.address.clone();
    let subscription = Subscription { id: id.clone(), address, calendar, fields, expires_at };
    let shown = show(call, &subscription);
    store.subscriptions.insert(id, subscription);
    Ok(Reply::created(shown))
}

pub(crate) fn list(store: &Store, call: &Call) -> Outcome {
    let own = store.subscriptions.values().filter(|found| found.address == call.address);
    Ok(Reply::ok(json!({ "value": own.map(|found| show(call, found)).collect::<Vec<Value>>() })))
}

pub(crate) fn get(store: &Store, call: &Call, id: &str) -> Outcome {
    Ok(Reply::ok(show(call, own(store, call, id)?)))
}

pub(crate) fn patch(store: &mut Store, call: &Call, id: &str) -> Outcome {
    own(store, call, id)?;
    let expires_at = expiration(store, call)?;
    let subscription = store.subscriptions.get_mut(id).ok_or_else(gone)?;
    subscription.expires_at = expires_at;
    let subscription = subscription.clone();
    Ok(Reply::ok(show(call, &subscription)))
}

pub(crate) fn delete(store: &mut Store, call: &Call, id: &str) -> Outcome {
    own(store, call, id)?;
    store.subscriptions.remove(id);
    Ok(Reply::empty(204))
}

fn own<'a>(store: &'a Store, call: &Call, id: &str) -> Result<&'a Subscription, Reply> {
    let found = store.subscriptions.get(id).filter(|found| found.address == call.address);
    found.filter(|found| found.expires_at > store.now()).ok_or_else(gone)
}

fn gone() -> Reply {
    Reply::refusal(404, "ResourceNotFound", "The object was not found.")
}

fn invalid(message: &str) -> Reply {
    bad_request("InvalidRequest", message)
}

fn expiration(store: &Store, call: &Call) -> Result<DateTime<Utc>, Reply> {
    let text = call.body["expirationDateTime"].as_str().unwrap_or_default();
    let expires_at = DateTime::parse_from_rfc3339(text).or(Err(invalid("expirationDateTime cannot be read.")))?;
    let minutes_max = store.behaviour.subscription_minutes_max;
    let (now, expires_at) = (store.now(), expires_at.to_utc());
    if expires_at <= now || expires_at > now + TimeDelta::minutes(minutes_max) {
        let message = format!("Subscription expiration can only be {minutes_max} minutes in the future.");
        return Err(bad_request("ValidationError", &message));
    }
    Ok(expires_at)
}

/// The calendar whose events are watched.
fn calendar_in(store: &Store, call: &Call) -> Result<String, Reply> {
    let resource = call.body["resource"].as_str().unwrap_or_default().trim_matches('/');
    let mailbox = store.mailbox(&call.address)?;
    let parts: Vec<&str> = resource.split('/').collect();
    let parts = match parts.as_slice() {
        ["me", rest @ ..] | ["users", _, rest @ ..] => rest,
        _ => return Err(invalid("The resource cannot be subscribed to.")),
    };
    match parts {
        ["events"] | ["calendar", "events"] => {
            mailbox.calendars.first().map(|calendar| calendar.id.clone()).ok_or_else(not_found)
        }
        ["calendars", id, "events"] => store.calendar(&call.address, plain_id(id)).map(|calendar| calendar.id.clone()),
        _ => Err(invalid("The resource cannot be subscribed to.")),
    }
}

fn show(call: &Call, subscription: &Subscription) -> Value {
    let mut shown: Fields = subscription.fields.clone();
    // It is told to the address alone.
    shown.remove("clientState");
    shown.insert("id".into(), json!(subscription.id));
    shown.insert("expirationDateTime".into(), json!(stamp(subscription.expires_at)));
    shown.insert("creatorId".into(), json!(user_id(&subscription.address)));
    shown.insert("applicationId".into(), json!("fake"));
    shown.insert("@odata.context".into(), json!(format!("{}/$metadata#subscriptions/$entity", call.base)));
    Value::Object(shown)
}

/// The notifications that changes bring, to those who still subscribe.
pub(crate) fn notifications(store: &mut Store) -> Vec<Notification> {
    let now = store.now();
    store.subscriptions.retain(|_, subscription| subscription.expires_at > now);
    let changes = std::mem::take(&mut store.changes);
    let all = changes.iter().flat_map(|change| {
        let hears = move |found: &&Subscription| {
            let types = found.fields.get("changeType").and_then(Value::as_str).unwrap_or_default();
            found.address == change.address
                && found.calendar == change.calendar
                && types.split(',').any(|kind| kind == change.what)
        };
        store.subscriptions.values().filter(hears).map(|found| notification(found, change))
    });
    all.collect()
}

fn notification(subscription: &Subscription, change: &Change) -> Notification {
    let resource = format!("Users/{}/Events/AAkA{}", user_id(&change.address), change.event);
    let data = json!({ "@odata.type": "#Microsoft.Graph.Event", "@odata.id": resource, "id": format!("AAkA{}", change.event) });
    let value = json!({
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": stamp(subscription.expires_at),
        "changeType": change.what,
        "resource": resource,
        "resourceData": data,
        "clientState": subscription.fields.get("clientState"),
        "tenantId": "00000000-0000-4000-8000-000000000000",
    });
    addressed(subscription, "notificationUrl", &value)
}

/// `missed`, `subscriptionRemoved` or `reauthorizationRequired`, to every subscription of a mailbox.
pub(crate) fn lifecycle(store: &mut Store, address: &str, event: &str) -> Vec<Notification> {
    let own: Vec<Subscription> =
        store.subscriptions.values().filter(|found| found.address == address).cloned().collect();
    if event == "subscriptionRemoved" {
        store.subscriptions.retain(|_, found| found.address != address);
    }
    let told = |subscription: &Subscription| {
        let value = json!({
            "subscriptionId": subscription.id,
            "subscriptionExpirationDateTime": stamp(subscription.expires_at),
            "lifecycleEvent": event,
            "clientState": subscription.fields.get("clientState"),
            "resource": subscription.fields.get("resource"),
            "tenantId": "00000000-0000-4000-8000-000000000000",
        });
        addressed(subscription, "lifecycleNotificationUrl", &value)
    };
    own.iter().filter(|found| found.fields.contains_key("lifecycleNotificationUrl")).map(told).collect()
}

fn addressed(subscription: &Subscription, to: &str, value: &Value) -> Notification {
    let url = subscription.fields.get(to).and_then(Value::as_str).unwrap_or_default().to_owned();
    Notification { url, body: json!({ "value": [value] }) }
}
