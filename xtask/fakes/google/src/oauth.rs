//! Google's OAuth 2.0: consent, codes, tokens.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use agentcal_fake_kit::tokens;
use axum::Json;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::FakeGoogle;

/// How long an access token counts.
const ACCESS_SECONDS: i64 = 3_599;
/// How long a code may be exchanged.
const CODE_SECONDS: i64 = 600;

/// What the person at the consent page does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Grants what is asked, but for these scopes.
    Grants {
        /// Who it is; `None`: whom the hint names, or the first there is.
        user: Option<String>,
        /// Scopes whose box is not ticked.
        unticked: Vec<String>,
    },
    /// Refuses.
    Denies,
}

impl Default for Consent {
    fn default() -> Self {
        Self::Grants { user: None, unticked: Vec::new() }
    }
}

/// Who may what, with which token.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    pub(crate) consent: Consent,
    /// Secrets by client; a client that is not here needs none.
    pub(crate) clients: BTreeMap<String, String>,
    /// Seconds for which the next access tokens count; those after them count as long as ever.
    pub(crate) lifetimes: VecDeque<i64>,
    codes: BTreeMap<String, Code>,
    access: BTreeMap<String, Access>,
    refresh: BTreeMap<String, Grant>,
    serial: u64,
}

#[derive(Clone, Debug)]
struct Grant {
    user: String,
    client_id: String,
    scopes: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Code {
    grant: Grant,
    redirect_uri: String,
    challenge: Option<String>,
    offline: bool,
    until: DateTime<Utc>,
}

#[derive(Clone, Debug)]
struct Access {
    grant: Grant,
    refresh_token: Option<String>,
    until: DateTime<Utc>,
    seconds: i64,
}

/// Whose token it is, and what it is good for.
#[derive(Clone, Debug)]
pub(crate) struct Bearer {
    pub(crate) user: String,
    pub(crate) client_id: String,
    pub(crate) scopes: BTreeSet<String>,
}

impl Grants {
    fn mint(&mut self, kind: &str) -> String {
        self.serial += 1;
        format!("{kind}-{:06}-{}", self.serial, BASE64_URL_SAFE_NO_PAD.encode(format!("{kind}{}", self.serial)))
    }

    fn grant_access(&mut self, grant: Grant, refresh_token: Option<String>, now: DateTime<Utc>) -> String {
        let token = self.mint("ya29");
        let seconds = self.lifetimes.pop_front().unwrap_or(ACCESS_SECONDS);
        let until = now + TimeDelta::seconds(seconds);
        self.access.insert(token.clone(), Access { grant, refresh_token, until, seconds });
        token
    }

    /// An access token, without the way there.
    pub(crate) fn token_for(&mut self, user: &str, client_id: &str, scopes: &[&str], now: DateTime<Utc>) -> String {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        let grant = Grant { user: user.to_owned(), client_id: client_id.to_owned(), scopes };
        self.grant_access(grant, None, now)
    }

    /// Whose token it is, if it counts.
    pub(crate) fn bearer(&self, token: &str, now: DateTime<Utc>) -> Option<Bearer> {
        let access = self.access.get(token).filter(|access| now < access.until)?;
        let Grant { user, client_id, scopes } = access.grant.clone();
        Some(Bearer { user, client_id, scopes })
    }

    /// Nothing that was granted to anybody by a user counts any more.
    pub(crate) fn revoke_user(&mut self, user: &str) {
        self.access.retain(|_, access| access.grant.user != user);
        self.refresh.retain(|_, grant| grant.user != user);
    }

    /// Refresh tokens keep counting; access tokens do not.
    pub(crate) fn expire_access(&mut self) {
        self.access.clear();
    }

    fn revoke(&mut self, token: &str) -> bool {
        let refresh = self.access.get(token).and_then(|access| access.refresh_token.clone());
        let refresh = refresh.unwrap_or_else(|| token.to_owned());
        let known = self.access.remove(token).is_some() | self.refresh.remove(&refresh).is_some();
        self.access.retain(|_, access| access.refresh_token.as_ref() != Some(&refresh));
        known
    }
}

type Params = BTreeMap<String, String>;

/// `GET /o/oauth2/v2/auth`: the person decides at once.
pub(crate) async fn consent(State(google): State<FakeGoogle>, Query(params): Query<Params>) -> Response {
    match consented(&google, &params) {
        Ok(target) => Redirect::to(target.as_str()).into_response(),
        Err(message) => (StatusCode::BAD_REQUEST, format!("Error 400: {message}")).into_response(),
    }
}

fn consented(google: &FakeGoogle, params: &Params) -> Result<Url, String> {
    let of = |name: &str| params.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let redirect_uri = of("redirect_uri").ok_or("invalid_request: missing redirect_uri")?;
    let mut target = Url::parse(redirect_uri).map_err(|error| format!("redirect_uri_mismatch: {error}"))?;
    let client_id = of("client_id").ok_or("invalid_client")?;
    if of("response_type") != Some("code") {
        return Err("unsupported_response_type".to_owned());
    }
    let asked: BTreeSet<String> = of("scope").unwrap_or_default().split(' ').map(str::to_owned).collect();
    if params.contains_key("code_challenge") && of("code_challenge_method") != Some("S256") {
        return Err("invalid_request: only S256 is known here".to_owned());
    }
    if let Some(state) = of("state") {
        target.query_pairs_mut().append_pair("state", state);
    }
    let now = google.clock().now();
    let mut world = google.world();
    let (user, unticked) = match world.grants.consent.clone() {
        Consent::Denies => {
            target.query_pairs_mut().append_pair("error", "access_denied");
            return Ok(target);
        }
        Consent::Grants { user, unticked } => (user, unticked),
    };
    let hinted = of("login_hint").filter(|hint| world.users.contains_key(*hint)).map(str::to_owned);
    let user = user.or(hinted).or_else(|| world.users.keys().next().cloned()).ok_or("there is no user")?;
    let scopes: BTreeSet<String> = asked.into_iter().filter(|scope| !unticked.contains(scope)).collect();
    let granted = scopes.iter().cloned().collect::<Vec<_>>().join(" ");
    let code = Code {
        grant: Grant { user, client_id: client_id.to_owned(), scopes },
        redirect_uri: redirect_uri.to_owned(),
        challenge: of("code_challenge").map(str::to_owned),
        offline: of("access_type") == Some("offline"),
        until: now + TimeDelta::seconds(CODE_SECONDS),
    };
    let name = world.grants.mint("4/0code");
    world.grants.codes.insert(name.clone(), code);
    target.query_pairs_mut().append_pair("code", &name).append_pair("scope", &granted);
    Ok(target)
}

/// `POST /token`
pub(crate) async fn token(State(google): State<FakeGoogle>, Form(params): Form<Params>) -> Response {
    google.calls().count("", "oauth.token");
    let of = |name: &str| params.get(name).map(String::as_str).unwrap_or_default();
    let now = google.clock().now();
    let mut world = google.world();
    let grants = &mut world.grants;
    if grants.clients.get(of("client_id")).is_some_and(|secret| secret != of("client_secret")) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client", "Unauthorized");
    }
    match of("grant_type") {
        "authorization_code" => exchange(grants, &params, now),
        "refresh_token" => match grants.refresh.get(of("refresh_token")).cloned() {
            Some(grant) if grant.client_id == of("client_id") => {
                let refresh = Some(of("refresh_token").to_owned());
                let access = grants.grant_access(grant.clone(), refresh, now);
                Json(answer(grants, &access, &grant, None)).into_response()
            }
            _ => refused(StatusCode::BAD_REQUEST, "invalid_grant", "Token has been expired or revoked."),
        },
        _ => refused(StatusCode::BAD_REQUEST, "unsupported_grant_type", "Invalid grant_type"),
    }
}

fn exchange(grants: &mut Grants, params: &Params, now: DateTime<Utc>) -> Response {
    let of = |name: &str| params.get(name).map(String::as_str).unwrap_or_default();
    let bad = |message: &str| refused(StatusCode::BAD_REQUEST, "invalid_grant", message);
    // A code is good for one exchange, whatever comes of it.
    let Some(code) = grants.codes.remove(of("code")) else { return bad("Malformed auth code.") };
    if now >= code.until || code.grant.client_id != of("client_id") {
        return bad("Bad Request");
    }
    if code.redirect_uri != of("redirect_uri") {
        return refused(StatusCode::BAD_REQUEST, "redirect_uri_mismatch", "Bad Request");
    }
    let proof = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(of("code_verifier")));
    match &code.challenge {
        Some(_) if of("code_verifier").is_empty() => return bad("Missing code verifier."),
        Some(challenge) if *challenge != proof => return bad("Invalid code verifier."),
        _ => {}
    }
    let refresh = code.offline.then(|| grants.mint("1//refresh"));
    if let Some(refresh) = &refresh {
        grants.refresh.insert(refresh.clone(), code.grant.clone());
    }
    let access = grants.grant_access(code.grant.clone(), refresh.clone(), now);
    Json(answer(grants, &access, &code.grant, refresh)).into_response()
}

fn answer(grants: &Grants, access: &str, grant: &Grant, refresh: Option<String>) -> Value {
    let scope = grant.scopes.iter().cloned().collect::<Vec<_>>().join(" ");
    let seconds = grants.access.get(access).map_or(ACCESS_SECONDS, |access| access.seconds);
    let mut answer = json!({"access_token": access, "expires_in": seconds, "scope": scope, "token_type": "Bearer"});
    if grant.scopes.contains("openid") {
        answer["id_token"] = tokens::id_token(&grant.client_id, &grant.user).into();
    }
    if let Some(refresh) = refresh {
        answer["refresh_token"] = refresh.into();
    }
    answer
}

/// `POST /revoke`
pub(crate) async fn revoke(
    State(google): State<FakeGoogle>,
    Query(query): Query<Params>,
    Form(form): Form<Params>,
) -> Response {
    google.calls().count("", "oauth.revoke");
    let token = form.get("token").or(query.get("token")).cloned().unwrap_or_default();
    match google.world().grants.revoke(&token) {
        true => Json(json!({})).into_response(),
        false => refused(StatusCode::BAD_REQUEST, "invalid_token", "Token expired or revoked"),
    }
}

fn refused(status: StatusCode, error: &str, description: &str) -> Response {
    (status, Json(json!({"error": error, "error_description": description}))).into_response()
}
