use std::collections::BTreeSet;

use agentcal_engine::ids::AccountId;
use agentcal_engine::model::{EventKind, WebhookEndpoint, WebhookStanding};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::EventWire;
use crate::caller::Caller;
use crate::checks::Checks;
use crate::error::{ApiError, FieldCode};
use crate::v1::wire::{Change, Sent, new_body};

/// Most accounts a webhook names.
const ACCOUNTS_MAX: usize = 100;

/// What to change of a webhook. Fields left out stay as they are.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookPatch {
    /// Where to send messages: an https address without user name, password and fragment, on port 443 or 8443. `agentcal
    /// dev` also speaks to this machine, over http and on any port.
    #[serde(default)]
    #[schema(value_type = String, required = false, max_length = 2048, example = "https://example.com/agentcal")]
    url: Sent<String>,
    /// What to hear of, nothing twice.
    #[serde(default)]
    #[schema(value_type = Vec<EventWire>, required = false, min_items = 1, max_items = 8)]
    events: Sent<Vec<EventWire>>,
    /// Of which accounts, none twice; null, the default: of all. Where Svix delivers, at most 9.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100)]
    account_ids: Change<Vec<String>>,
    /// Whether to send messages. One that was switched off begins anew when it is switched on. Default true.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    enabled: Sent<bool>,
}

new_body! {
    /// A new webhook.
    NewWebhook = WebhookPatch requires &["url", "events"]
}

impl NewWebhook {
    /// Refuses a body without what a new webhook must have.
    pub(super) fn check_required(&self, checks: &mut Checks) {
        if self.0.url.0.is_none() {
            checks.required("url");
        }
        if self.0.events.0.is_none() {
            checks.required("events");
        }
    }
}

impl WebhookPatch {
    /// Puts what was sent into an endpoint.
    pub(super) async fn apply(
        &self,
        caller: &Caller,
        endpoint: &mut WebhookEndpoint,
        checks: &mut Checks,
    ) -> Result<(), ApiError> {
        if let Some(url) = &self.url.0 {
            endpoint.url.clone_from(url);
            // Whoever reads addresses would overlook some of these at the ends.
            if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
                checks.refuse("url", FieldCode::InvalidFormat, "must not contain blanks or control characters");
            } else if let Err(refusal) = caller.webhooks()?.sender.check_url(url) {
                checks.refuse("url", FieldCode::AddressNotAllowed, refusal);
            }
        }
        if let Some(events) = &self.events.0 {
            checks.unique_list("events", events, 1..=EventKind::ALL.len());
            endpoint.events = events.iter().map(|&event| event.into()).collect();
        }
        if let Some(enabled) = self.enabled.0 {
            endpoint.standing = match (enabled, endpoint.standing) {
                (true, _) => WebhookStanding::Enabled,
                (false, WebhookStanding::Enabled) => WebhookStanding::SwitchedOff,
                (false, off) => off,
            };
        }
        match &self.account_ids {
            Change::Keep => {}
            Change::Clear => endpoint.account_ids = None,
            Change::Set(ids) => endpoint.account_ids = Some(accounts(caller, ids, checks).await?),
        }
        Ok(())
    }
}

async fn accounts(caller: &Caller, ids: &[String], checks: &mut Checks) -> Result<BTreeSet<AccountId>, ApiError> {
    let accounts_max = caller.relay()?.map_or(ACCOUNTS_MAX, |service| service.accounts_max());
    checks.unique_list("account_ids", ids, 1..=accounts_max);
    let key = &caller.key.key;
    let mut read = BTreeSet::new();
    for (index, text) in ids.iter().enumerate().take(ACCOUNTS_MAX) {
        let field = format!("account_ids[{index}]");
        let Ok(id) = text.parse::<AccountId>() else {
            checks.refuse(&field, FieldCode::InvalidFormat, "is not the id of an account");
            continue;
        };
        if !caller.app.trust.owns(key.organization_id, key.mode, id).await? {
            checks.refuse(&field, FieldCode::NotFound, "names no account of this key's organization and mode");
        }
        read.insert(id);
    }
    Ok(read)
}
