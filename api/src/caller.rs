//! Who asks, and for which account.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use agentcal_engine::ids::AccountId;
use agentcal_engine::model::{EventType, KeyKind, Tenant};
use agentcal_engine::ports::{AccountConfig, KeyRecord};
use axum::extract::FromRequestParts;
use http::header::{AUTHORIZATION, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use crate::app::{App, AppState};
use crate::error::{ApiError, Code, FieldCode, FieldError};
use crate::extract::{NamedParam, PathId};
use crate::idempotency::RequestKey;
use crate::key;
use crate::limits::{Gate, Told, refusal};
use crate::trust::KnownKey;

/// Names the account a second time; must agree with the path.
pub(crate) const ACCOUNT_HEADER: &str = "x-account-id";

/// A key that may do what it wants in its organization and mode.
pub(crate) struct Caller {
    pub(crate) app: AppState,
    pub(crate) key: Arc<KeyRecord>,
    pub(crate) request_key: Option<RequestKey>,
}

/// A secret key, and an account it may see.
pub(crate) struct Cx {
    pub(crate) app: AppState,
    pub(crate) tenant: Tenant,
    pub(crate) request_key: Option<RequestKey>,
    publishable: bool,
}

/// Any key, and an account it may see. What a publishable key may see in there is for [`PublicCx::open`] to say.
pub(crate) struct PublicCx(Cx);

/// Where the outermost layer learns what an answer is to say besides: for which origin it is, and how much is left of the
/// key's limit.
#[derive(Clone, Default)]
pub(crate) struct Noted(Arc<Notes>);

#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) origin: OnceLock<HeaderValue>,
    pub(crate) limit: OnceLock<Told>,
}

impl Deref for Noted {
    type Target = Notes;

    fn deref(&self) -> &Notes {
        &self.0
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let caller = authenticate(parts, app).await?;
        if caller.key.key.kind == KeyKind::Publishable {
            return Err(not_for_publishable());
        }
        Ok(caller)
    }
}

impl FromRequestParts<AppState> for Cx {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        enter_account(parts, caller).await
    }
}

impl FromRequestParts<AppState> for PublicCx {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let caller = authenticate(parts, app).await?;
        enter_account(parts, caller).await.map(Self)
    }
}

impl Cx {
    pub(crate) fn account_id(&self) -> AccountId {
        self.tenant.account_id
    }

    pub(crate) fn is_publishable(&self) -> bool {
        self.publishable
    }

    /// The account's configuration as this process last read it.
    pub(crate) async fn config(&self) -> Result<Arc<AccountConfig>, ApiError> {
        let config = self.app.parts.scheduler.config(self.account_id()).await?;
        config.ok_or_else(|| ApiError::not_found(AccountId::KIND))
    }
}

impl PublicCx {
    /// Lets a secret key pass, and a publishable one only to a public event type.
    pub(crate) fn open(&self, event_type: Option<&EventType>) -> Result<&Cx, ApiError> {
        let public = event_type.is_some_and(|event_type| event_type.public);
        if self.0.publishable && !public { Err(not_for_publishable()) } else { Ok(&self.0) }
    }

    /// The account, for reading what decides whether the key may pass.
    pub(crate) fn unchecked(&self) -> &Cx {
        &self.0
    }
}

fn not_for_publishable() -> ApiError {
    ApiError::new(
        Code::KeyNotAllowed,
        "publishable keys reach public event types, their availability and bookings only; use a secret key on a server",
    )
}

async fn authenticate(parts: &Parts, app: &AppState) -> Result<Caller, ApiError> {
    let text = bearer(&parts.headers)?;
    let known = if key::is_well_formed(text) { app.trust.key(&key::hash(text)).await? } else { None };
    let KnownKey { record: key, gate } = known.ok_or_else(|| {
        ApiError::new(Code::Unauthorized, "there is no such key, or it was revoked; check the key, or make a new one")
    })?;
    if let Some(gate) = &gate {
        pass(parts, gate).await?;
    }
    if key.key.kind == KeyKind::Publishable {
        check_origin(parts, &key.key.allowed_origins)?;
    }
    let request_key = RequestKey::of(parts)?;
    Ok(Caller { app: Arc::clone(app), key, request_key })
}

/// Lets the request through unless its key asks too often.
async fn pass(parts: &Parts, gate: &Arc<Gate>) -> Result<(), ApiError> {
    let (admitted, told) = gate.admit().await;
    if let Some(noted) = parts.extensions.get::<Noted>() {
        noted.limit.get_or_init(|| told);
    }
    admitted.map_err(refusal)
}

fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = value.and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    key.ok_or_else(|| ApiError::new(Code::Unauthorized, "send the header `Authorization: Bearer sk_..`"))
}

/// `*` in the list admits every origin, and callers that are no browser and send none.
fn check_origin(parts: &Parts, allowed: &[String]) -> Result<(), ApiError> {
    let origin = parts.headers.get(ORIGIN);
    let named = origin.and_then(|origin| origin.to_str().ok());
    let admitted =
        allowed.iter().any(|entry| entry == "*" || named.is_some_and(|named| entry.eq_ignore_ascii_case(named)));
    if !admitted {
        let detail = match origin {
            Some(_) => {
                "the `Origin` of this request is not in the key's list; make a key for it with `agentcal key create --origin`"
            }
            None => {
                "this key is for web pages of certain origins, and the request names no `Origin`; use a secret key on a server"
            }
        };
        return Err(ApiError::new(Code::OriginNotAllowed, detail));
    }
    if let (Some(origin), Some(slot)) = (origin, parts.extensions.get::<Noted>()) {
        slot.origin.get_or_init(|| origin.clone());
    }
    Ok(())
}

async fn enter_account(parts: &mut Parts, caller: Caller) -> Result<Cx, ApiError> {
    let PathId(account_id) = PathId::<AccountId>::from_request_parts(parts, &()).await?;
    check_account_header(&parts.headers, account_id)?;
    let Caller { app, key, request_key } = caller;
    let (organization_id, mode) = (key.key.organization_id, key.key.mode);
    if !owns(&app, &key, account_id).await? {
        return Err(ApiError::not_found(AccountId::KIND));
    }
    let publishable = key.key.kind == KeyKind::Publishable;
    Ok(Cx { app, tenant: Tenant { organization_id, mode, account_id }, request_key, publishable })
}

async fn owns(app: &App, key: &KeyRecord, account_id: AccountId) -> Result<bool, ApiError> {
    Ok(app.trust.owns(key.key.organization_id, key.key.mode, account_id).await?)
}

fn check_account_header(headers: &HeaderMap, account_id: AccountId) -> Result<(), ApiError> {
    let Some(value) = headers.get(ACCOUNT_HEADER) else { return Ok(()) };
    if value.to_str().ok().and_then(|text| text.parse().ok()) == Some(account_id) {
        return Ok(());
    }
    let detail = format!("must be the account of the path, {account_id}, or be left out");
    Err(ApiError::of_fields(
        Code::AccountMismatch,
        vec![FieldError::new("X-Account-ID", FieldCode::NotTogether, detail)],
    ))
}
