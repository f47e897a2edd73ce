//! The Microsoft identity platform, as far as an application that acts for people meets it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use agentcal_fake_kit::tokens;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::reply::{Outcome, Reply};
use crate::store::Store;

const ACCESS_SECONDS: i64 = 3_600;
const CODE_MINUTES: i64 = 10;

/// Who may act for whom.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    /// Applications and their secrets; without any, every application is known.
    pub(crate) applications: BTreeMap<String, String>,
    /// Scopes nobody grants.
    pub(crate) withheld: BTreeSet<String>,
    /// Who took back what was granted.
    pub(crate) revoked: BTreeSet<String>,
    /// Whether a refresh token works once.
    pub(crate) refresh_once: bool,
    /// Seconds for which the next access tokens count; those after them count as long as ever.
    pub(crate) lifetimes: VecDeque<i64>,
    codes: BTreeMap<String, Code>,
    access: BTreeMap<String, Access>,
    refresh: BTreeMap<String, Grant>,
}

#[derive(Clone, Debug)]
struct Grant {
    address: String,
    client_id: String,
    scopes: Vec<String>,
}

#[derive(Debug)]
struct Code {
    grant: Grant,
    redirect_uri: String,
    challenge: Option<String>,
    expires_at: DateTime<Utc>,
}

#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) address: String,
    pub(crate) client_id: String,
    expires_at: DateTime<Utc>,
}

/// The parameters of a query or a form.
pub(crate) type Parameters = BTreeMap<String, String>;

/// Consents at once, for the person the caller hints at, else for the first there is.
pub(crate) fn authorize(store: &mut Store, parameters: &Parameters) -> Outcome {
    let get = |name: &str| parameters.get(name).map(String::as_str).unwrap_or_default();
    let redirect_uri = url::Url::parse(get("redirect_uri")).or(Err(oauth(400, "invalid_request", 50_011)))?;
    let back = |pairs: &[(&str, &str)]| {
        let mut url = redirect_uri.clone();
        url.query_pairs_mut().extend_pairs(pairs).append_pair("state", get("state"));
        Ok(Reply::empty(302).with_header("location", url.into()))
    };
    if get("response_type") != "code" {
        return back(&[("error", "unsupported_response_type")]);
    }
    let hinted = get("login_hint").to_lowercase();
    let known = if hinted.is_empty() {
        store.mailboxes.keys().next()
    } else {
        store.mailboxes.get_key_value(&hinted).map(|(address, _)| address)
    };
    let Some(address) = known.cloned() else {
        return back(&[("error", "access_denied"), ("error_description", "AADSTS65004: User declined to consent.")]);
    };
    if !is_application(store, get("client_id")) {
        return back(&[("error", "unauthorized_client")]);
    }
    let scopes = get("scope").split(' ').filter(|scope| !store.identity.withheld.contains(*scope));
    let grant = Grant {
        address: address.clone(),
        client_id: get("client_id").to_owned(),
        scopes: scopes.map(str::to_owned).collect(),
    };
    // Whoever consents anew takes nothing back any more.
    store.identity.revoked.remove(&address);
    let code = format!("fake-code-{}", store.next());
    let challenge = parameters.get("code_challenge").cloned();
    let expires_at = store.now() + TimeDelta::minutes(CODE_MINUTES);
    store
        .identity
        .codes
        .insert(code.clone(), Code { grant, redirect_uri: get("redirect_uri").to_owned(), challenge, expires_at });
    back(&[("code", &code)])
}

pub(crate) fn token(store: &mut Store, form: &Parameters) -> Outcome {
    let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let secret = store.identity.applications.get(get("client_id"));
    let knows_secret =
        store.identity.applications.is_empty() || secret.is_some_and(|secret| secret == get("client_secret"));
    if !knows_secret {
        return Err(oauth(401, "invalid_client", 7_000_215));
    }
    match get("grant_type") {
        "authorization_code" => {
            let code = store.identity.codes.remove(get("code")).ok_or_else(|| oauth(400, "invalid_grant", 70_008))?;
            let verified = match &code.challenge {
                None => true,
                Some(challenge) => BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(get("code_verifier"))) == *challenge,
            };
            let same = code.redirect_uri == get("redirect_uri") && code.grant.client_id == get("client_id");
            if !verified || !same || code.expires_at <= store.now() {
                return Err(oauth(400, "invalid_grant", if verified { 70_000 } else { 501_481 }));
            }
            Ok(granted(store, code.grant))
        }
        "refresh_token" => {
            let invalid = || oauth(400, "invalid_grant", 70_000);
            let known = store.identity.refresh.get(get("refresh_token")).cloned().ok_or_else(invalid)?;
            let revoked = store.identity.revoked.contains(&known.address);
            if revoked || known.client_id != get("client_id") {
                return Err(oauth(400, "invalid_grant", if revoked { 50_173 } else { 70_000 }));
            }
            if store.identity.refresh_once {
                store.identity.refresh.remove(get("refresh_token"));
            }
            Ok(granted(store, known))
        }
        _ => Err(oauth(400, "unsupported_grant_type", 70_003)),
    }
}

fn is_application(store: &Store, client_id: &str) -> bool {
    store.identity.applications.is_empty() || store.identity.applications.contains_key(client_id)
}

fn granted(store: &mut Store, grant: Grant) -> Reply {
    let seconds = store.identity.lifetimes.pop_front().unwrap_or(ACCESS_SECONDS);
    let access = issue_for(store, &grant.address, &grant.client_id, seconds);
    let refresh = format!("fake-refresh-{}", store.next());
    let scope = grant.scopes.join(" ");
    let renewable = grant.scopes.iter().any(|scope| scope == "offline_access");
    let mut body = json!({
        "token_type": "Bearer", "scope": scope, "expires_in": seconds, "ext_expires_in": seconds,
        "access_token": access,
    });
    if grant.scopes.iter().any(|scope| scope == "openid") {
        body["id_token"] = json!(tokens::id_token(&grant.client_id, &grant.address));
    }
    if renewable {
        body["refresh_token"] = json!(refresh);
        store.identity.refresh.insert(refresh, grant);
    }
    Reply::ok(body).with_header("cache-control", "no-store, no-cache".to_owned())
}

/// An access token for somebody's mailbox.
pub(crate) fn issue(store: &mut Store, address: &str, client_id: &str) -> String {
    issue_for(store, address, client_id, ACCESS_SECONDS)
}

fn issue_for(store: &mut Store, address: &str, client_id: &str, seconds: i64) -> String {
    let token = format!("fake-access-{}", store.next());
    let expires_at = store.now() + TimeDelta::seconds(seconds);
    let access = Access { address: address.to_owned(), client_id: client_id.to_owned(), expires_at };
    store.identity.access.insert(token.clone(), access);
    token
}

/// Refresh tokens keep counting; access tokens do not.
pub(crate) fn expire_access(store: &mut Store) {
    store.identity.access.clear();
}

/// Whose mailbox a request is about, by its token.
pub(crate) fn access(store: &Store, authorization: Option<&str>) -> Result<Access, Reply> {
    let token = authorization.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
    let refused = |message| {
        Reply::refusal(401, "InvalidAuthenticationToken", message).with_header("www-authenticate", "Bearer".to_owned())
    };
    let access = store.identity.access.get(token).ok_or_else(|| refused("Access token is empty or malformed."))?;
    if access.expires_at <= store.now() || store.identity.revoked.contains(&access.address) {
        return Err(refused("Lifetime validation failed, the token is expired."));
    }
    Ok(access.clone())
}

fn oauth(status: u16, error: &str, number: u32) -> Reply {
    let body: Value = json!({
        "error": error, "error_description": format!("AADSTS{number}: refused by the fake."), "error_codes": [number],
        "timestamp": "2026-01-01 00:00:00Z", "trace_id": "fake", "correlation_id": "fake",
    });
    Reply { status, headers: Vec::new(), body: Some(body) }
}
