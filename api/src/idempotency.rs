//! Repeating a request repeats its answer, not its deed.

use agentcal_engine::commit::{IdempotencyKey, IdempotentAnswer};
use agentcal_engine::ids::{AccountId, OrganizationId};
use agentcal_engine::model::Mode;
use agentcal_engine::ports::Write;
use http::Method;
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::caller::{Caller, Cx};
use crate::error::{ApiError, Code, FieldCode, FieldError};
use crate::refusals::{of_refused_write, store_unavailable};

/// The header that carries the caller's key.
pub(crate) const IDEMPOTENCY_HEADER: &str = "idempotency-key";
/// Longest key.
pub(crate) const KEY_LEN_MAX: usize = 255;

/// The caller's idempotency key, and the request it stands on.
#[derive(Debug)]
pub(crate) struct RequestKey {
    method: Method,
    path: String,
    key: String,
}

/// What a write came to: the value as it now is, or as it was answered before.
pub(crate) struct Settled<T> {
    pub(crate) value: T,
    pub(crate) replayed: bool,
}

/// Who repeats: the key's organization and mode, and the account where the path names one.
struct Scope {
    organization_id: OrganizationId,
    mode: Mode,
    account_id: Option<AccountId>,
}

impl<T: DeserializeOwned> Settled<T> {
    /// Of a write to one thing of a kind: `value` where it was done, what was answered before where it is repeated.
    pub(crate) fn of(write: Write, value: T, kind: &'static str) -> Result<Self, ApiError> {
        match write {
            Write::Done => Ok(Self { value, replayed: false }),
            Write::Replayed(kept) => read_kept(&kept),
            Write::IdempotencyMismatch => Err(mismatch()),
            Write::Missing => Err(ApiError::not_found(kind)),
            Write::Refused(reason) => Err(of_refused_write(reason)),
            Write::Stale => Err(store_unavailable()),
        }
    }
}

impl RequestKey {
    /// The key of a request that changes something; other requests' keys mean nothing.
    pub(crate) fn of(parts: &Parts) -> Result<Option<Self>, ApiError> {
        let Some(value) = parts.headers.get(IDEMPOTENCY_HEADER) else { return Ok(None) };
        if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(None);
        }
        let key = value.to_str().ok().filter(|key| (1..=KEY_LEN_MAX).contains(&key.len()));
        // A tab within a value is the one character besides that HTTP lets through (RFC 9110, 5.5).
        let key = key.filter(|key| !key.contains('\t'));
        let single = parts.headers.get_all(IDEMPOTENCY_HEADER).iter().count() == 1;
        let Some(key) = key.filter(|_| single) else {
            let detail = "must be sent once, with 1 to 255 printable ASCII characters";
            let error = FieldError::new("Idempotency-Key", FieldCode::InvalidFormat, detail);
            return Err(ApiError::of_fields(Code::InvalidRequest, vec![error]));
        };
        Ok(Some(Self { method: parts.method.clone(), path: parts.uri.path().to_owned(), key: key.to_owned() }))
    }

    fn scoped(&self, scope: &Scope, body: &impl Serialize) -> IdempotencyKey {
        let account = scope.account_id.map(|id| id.to_string()).unwrap_or_default();
        let mode = match scope.mode {
            Mode::Live => "live",
            Mode::Test => "test",
        };
        let organization = scope.organization_id.to_string();
        let parts = [organization.as_str(), mode, &account, self.method.as_str(), &self.path, &self.key];
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        IdempotencyKey { scope: hasher.finalize().into(), fingerprint: fingerprint(body) }
    }
}

impl Caller {
    /// Names this request, if the caller named it; `body` is what was asked, as understood.
    pub(crate) fn idempotency(&self, body: &impl Serialize) -> Option<IdempotencyKey> {
        self.request_key.as_ref().map(|key| key.scoped(&self.scope(), body))
    }

    /// The answer kept for this request, if there is one.
    pub(crate) async fn replay<T: DeserializeOwned>(
        &self,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<Settled<T>>, ApiError> {
        kept(&self.app, &self.scope(), key).await
    }

    fn scope(&self) -> Scope {
        Scope { organization_id: self.key.key.organization_id, mode: self.key.key.mode, account_id: None }
    }
}

impl Cx {
    /// Names this request, if the caller named it; `body` is what was asked, as understood.
    pub(crate) fn idempotency(&self, body: &impl Serialize) -> Option<IdempotencyKey> {
        self.request_key.as_ref().map(|key| key.scoped(&self.scope(), body))
    }

    /// The answer kept for this request, if there is one. Publishable keys are not shown it: they are in the hands of
    /// strangers, who may guess keys.
    pub(crate) async fn replay<T: DeserializeOwned>(
        &self,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<Settled<T>>, ApiError> {
        let kept = kept(&self.app, &self.scope(), key).await?;
        if self.is_publishable() && kept.is_some() { Err(withheld()) } else { Ok(kept) }
    }

    fn scope(&self) -> Scope {
        let account_id = Some(self.tenant.account_id);
        Scope { organization_id: self.tenant.organization_id, mode: self.tenant.mode, account_id }
    }
}

/// A kept answer may not be shown to this key.
pub(crate) fn withheld() -> ApiError {
    ApiError::new(
        Code::ReplayWithheld,
        "this Idempotency-Key was used and its request was done; use a new key for a new one",
    )
}

/// The answer to keep with a write, if the caller named its request.
pub(crate) fn keep(key: Option<IdempotencyKey>, value: &impl Serialize) -> Result<Option<IdempotentAnswer>, ApiError> {
    let Some(key) = key else { return Ok(None) };
    let answer = serde_json::to_vec(value).map_err(|error| ApiError::internal(&error))?;
    Ok(Some(IdempotentAnswer { key, answer }))
}

/// Reads a kept answer.
pub(crate) fn read_kept<T: DeserializeOwned>(answer: &[u8]) -> Result<Settled<T>, ApiError> {
    let value = serde_json::from_slice(answer).map_err(|error| ApiError::internal(&error))?;
    Ok(Settled { value, replayed: true })
}

/// The key belongs to another request.
pub(crate) fn mismatch() -> ApiError {
    ApiError::new(
        Code::IdempotencyMismatch,
        "this Idempotency-Key was used with another body; repeat that body, or use a new key for a new request",
    )
}

async fn kept<T: DeserializeOwned>(
    app: &App,
    scope: &Scope,
    key: Option<&IdempotencyKey>,
) -> Result<Option<Settled<T>>, ApiError> {
    let Some(key) = key else { return Ok(None) };
    match app.store().kept_answer(scope.organization_id, scope.account_id, key).await? {
        Write::Replayed(answer) => read_kept(&answer).map(Some),
        Write::IdempotencyMismatch => Err(mismatch()),
        Write::Done | Write::Missing | Write::Stale | Write::Refused(_) => Ok(None),
    }
}

/// SHA-256 over the request as understood, members in one order: two spellings of one request have one fingerprint.
fn fingerprint(body: &impl Serialize) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hash_value(&serde_json::to_value(body).unwrap_or_default(), &mut hasher);
    hasher.finalize().into()
}

fn hash_value(value: &Value, hasher: &mut Sha256) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| name.as_str());
            hasher.update([b'{']);
            for (name, value) in sorted {
                hash_text(name, hasher);
                hash_value(value, hasher);
            }
            hasher.update([b'}']);
        }
        Value::Array(values) => {
            hasher.update([b'[']);
            for value in values {
                hash_value(value, hasher);
            }
            hasher.update([b']']);
        }
        Value::String(text) => hash_text(text, hasher),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            hasher.update([b'#']);
            hash_text(&value.to_string(), hasher);
        }
    }
}

fn hash_text(text: &str, hasher: &mut Sha256) {
    hasher.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
    hasher.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_fingerprint_is_of_what_is_said_not_of_how() {
        let same = |a: Value, b: Value| assert_eq!(fingerprint(&a), fingerprint(&b));
        let differ = |a: Value, b: Value| assert_ne!(fingerprint(&a), fingerprint(&b), "{a} {b}");
        same(
            serde_json::from_str(r#"{"a":1,"b":[2]}"#).expect("json"),
            serde_json::from_str(r#"{ "b":[2], "a":1 }"#).expect("json"),
        );
        differ(json!({"a": 1}), json!({"a": "1"}));
        differ(json!({"a": null}), json!({}));
        differ(json!(["ab", "c"]), json!(["a", "bc"]));
        differ(json!([["a"], "b"]), json!([["a", "b"]]));
        differ(json!({"a": {"b": 1}}), json!({"a": {}, "b": 1}));
    }

    fn key(method: Method, path: &str) -> RequestKey {
        RequestKey { method, path: path.to_owned(), key: "k".to_owned() }
    }

    #[test]
    fn one_key_means_different_things_in_different_scopes() {
        let organization_id = OrganizationId::from_uuid(uuid::Uuid::nil());
        let account_id = Some(AccountId::from_uuid(uuid::Uuid::nil()));
        let here = Scope { organization_id, mode: Mode::Live, account_id };
        let test = Scope { organization_id, mode: Mode::Test, account_id };
        let above = Scope { organization_id, mode: Mode::Live, account_id: None };
        let scopes = [
            key(Method::POST, "/a").scoped(&here, &()).scope,
            key(Method::POST, "/a").scoped(&test, &()).scope,
            key(Method::POST, "/a").scoped(&above, &()).scope,
            key(Method::PATCH, "/a").scoped(&here, &()).scope,
            key(Method::POST, "/b").scoped(&here, &()).scope,
        ];
        let distinct: std::collections::BTreeSet<_> = scopes.iter().collect();
        assert_eq!(distinct.len(), scopes.len());
    }
}
