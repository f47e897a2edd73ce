//! Accounts: the customers of an organization.

mod create;
mod delete;
mod get;
mod list;
mod update;

use agentcal_engine::model::Account;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::wire::{Change, Sent, new_body, zone_of};
use crate::app::AppState;
use crate::checks::{Checks, NAME_LEN_MAX};
use crate::instant::rfc3339;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create::create_account, list::list_accounts)).routes(routes!(
        get::get_account,
        update::update_account,
        delete::delete_account
    ))
}

/// An account.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub(super) struct AccountView {
    /// Its id.
    #[schema(example = "acct_01kaj2wz5rfv8t6xg3m9c1nq4d")]
    id: String,
    /// Its name.
    name: String,
    /// IANA zone for what has none of its own; null means UTC.
    #[schema(required = true)]
    timezone: Option<&'static str>,
    /// The caller's own data.
    metadata: Map<String, Value>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<Account> for AccountView {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.to_string(),
            timezone: account.timezone.map(Tz::name),
            created_at: rfc3339(account.created_at, zone_of(&account)),
            name: account.name,
            metadata: account.metadata,
        }
    }
}

/// What to change of an account. Fields left out stay as they are.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountPatch {
    /// Its name.
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 200)]
    name: Sent<String>,
    /// IANA zone for what has none of its own; null means UTC.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<String>, example = "Europe/Berlin")]
    timezone: Change<String>,
    /// The caller's own data, kept and answered, never read. Replaces what was there.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<Object>)]
    metadata: Change<Map<String, Value>>,
}

new_body! {
    /// A new account.
    NewAccount = AccountPatch requires &["name"]
}

impl AccountPatch {
    fn apply(&self, account: &mut Account, checks: &mut Checks) {
        if let Some(name) = &self.name.0 {
            account.name = checks.text("name", name, NAME_LEN_MAX);
        }
        account.timezone = self.timezone.onto(account.timezone, |zone| checks.zone("timezone", zone));
        let present = Some(std::mem::take(&mut account.metadata));
        let metadata = self.metadata.onto(present, |metadata| checks.metadata("metadata", metadata));
        account.metadata = metadata.unwrap_or_default();
    }
}
