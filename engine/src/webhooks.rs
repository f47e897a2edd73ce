//! What is decided about webhooks: who hears of an event, what follows from a try, and how many tries run at once.

use std::time::Duration;

use crate::ids::AccountId;
use crate::model::{
    EventKind, JobWork, NewJob, NoticeWork, WebhookDisabled, WebhookEndpoint, WebhookHealth, WebhookStanding,
};
use crate::ports::Entropy;
use crate::time::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// Waits between the tries of one delivery: about 75 hours in all.
pub const RETRY_WAITS: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * MINUTE),
    Duration::from_secs(30 * MINUTE),
    Duration::from_secs(2 * HOUR),
    Duration::from_secs(5 * HOUR),
    Duration::from_secs(10 * HOUR),
    Duration::from_secs(14 * HOUR),
    Duration::from_secs(20 * HOUR),
    Duration::from_secs(24 * HOUR),
];
/// Longest `Retry-After` that is heeded.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * HOUR);
/// An endpoint that has done nothing but fail for this long is not spoken to any more.
pub const FAILING_MAX: Duration = Duration::from_secs(5 * 24 * HOUR);
/// How long the secret before the present one is used as well.
pub const PREVIOUS_SECRET_FOR: Duration = Duration::from_secs(24 * HOUR);
/// Most tries at once to one endpoint, by one node.
pub const TRIES_PER_ENDPOINT_MAX: u32 = 8;
/// Most messages of one endpoint that wait for a place in the hands of one node.
pub const WAITING_PER_ENDPOINT_MAX: u32 = 56;
/// Failures in a row from which on an endpoint is tried by one message at a time.
const FAILURES_UNTIL_ONE: u32 = 10;

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The answer's status, if one came.
    pub status: Option<u16>,
    /// How long the answer asks to wait.
    pub retry_after: Option<Duration>,
}

/// What follows from a try for its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is done.
    Delivered,
    /// Again, after a wait.
    Retry(Duration),
    /// It is given up.
    GiveUp,
}

/// What follows from a try for its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointAfter {
    /// How it has been of late, this try included.
    pub health: WebhookHealth,
    /// Why it is not spoken to any more, if so.
    pub ends: Option<WebhookStanding>,
}

/// Whether an endpoint hears of an event. What happened before it was made is none of its business.
pub fn hears(endpoint: &WebhookEndpoint, account_id: AccountId, kind: EventKind, happened_at: Timestamp) -> bool {
    endpoint.standing == WebhookStanding::Enabled
        && endpoint.events.contains(&kind)
        && endpoint.account_ids.as_ref().is_none_or(|ids| ids.contains(&account_id))
        && endpoint.created_at <= happened_at
}

/// What follows for a delivery from its `tries`-th try (1 is the first). Waits are up to a tenth longer by chance, so that
/// what failed together does not come back together.
pub fn next(tried: &Tried, tries: u32, waits: &[Duration], entropy: &dyn Entropy) -> Next {
    if is_success(tried.status) {
        return Next::Delivered;
    }
    let place = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(&wait) = waits.get(place).filter(|_| tried.status != Some(GONE)) else { return Next::GiveUp };
    let asked = tried.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
    Next::Retry(lengthen(wait.max(asked), entropy))
}

/// What follows for the endpoint. `now`: when the try ended.
pub fn endpoint_after(health: WebhookHealth, tried: &Tried, now: Timestamp) -> EndpointAfter {
    if is_success(tried.status) {
        return EndpointAfter { health: WebhookHealth::default(), ends: None };
    }
    let since = health.failing_since.unwrap_or(now);
    let health = WebhookHealth { failures: health.failures.saturating_add(1), failing_since: Some(since) };
    let ends = match tried.status {
        Some(GONE) => Some(WebhookStanding::Gone),
        _ if now.saturating_since(since) >= FAILING_MAX => Some(WebhookStanding::Failing),
        _ => None,
    };
    EndpointAfter { health, ends }
}

/// The job that tells an organization of an endpoint that is not spoken to any more. It has one name for each time this
/// happens to the endpoint.
pub fn notice_of_end(ended: WebhookDisabled) -> NewJob {
    let name = format!("notice/webhook/{}/{}", ended.endpoint_id, ended.at.as_micros());
    let (url, due_at) = (without_secrets(&ended.url), ended.at);
    NewJob { name, due_at, work: JobWork::Notice(NoticeWork::WebhookDisabled(WebhookDisabled { url, ..ended })) }
}

/// An address without the parts of it in which secrets are kept: user, query and fragment.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

/// How many tries may run at once to an endpoint that has been like this.
pub fn tries_at_once(health: WebhookHealth) -> u32 {
    if health.failures < FAILURES_UNTIL_ONE { TRIES_PER_ENDPOINT_MAX } else { 1 }
}

/// How many messages of an endpoint may wait for a place in a node's hands, so that none of its places is empty while the store
/// is asked for more: twice as many as it took since it was last asked. For one that is slow these are few, and for one that
/// fails there are none.
pub fn waiting_at_most(health: WebhookHealth, answered: u32) -> u32 {
    if health.failures > 0 { 0 } else { answered.saturating_mul(2).min(WAITING_PER_ENDPOINT_MAX) }
}

const GONE: u16 = 410;

/// Any 2xx says that the message was taken.
pub fn is_success(status: Option<u16>) -> bool {
    status.is_some_and(|status| (200..300).contains(&status))
}

/// A wait that is up to a tenth longer by chance.
pub(crate) fn lengthen(wait: Duration, entropy: &dyn Entropy) -> Duration {
    let mut random = [0u8; 2];
    entropy.fill(&mut random);
    let share = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX);
    wait.mul_f64(1.0 + 0.1 * share)
}

#[cfg(test)]
mod tests;
