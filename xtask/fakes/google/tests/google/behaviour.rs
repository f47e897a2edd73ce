//! What the server refuses and how, its OAuth endpoints, its versions, and its tokens.

use std::time::Duration;

use agentcal_fake_google::Consent;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::client::{Client, SARAH, read};

const EVENTS: &str = "calendars/primary/events";

fn event() -> Value {
    json!({"start": {"dateTime": "2026-11-23T09:00:00Z"}, "end": {"dateTime": "2026-11-23T10:00:00Z"}})
}

fn with(change: Value) -> Value {
    let mut event = event();
    event.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    event
}

fn reason(answer: &Value) -> &str {
    answer["error"]["errors"][0]["reason"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_googles_words() {
    let client = Client::new().await;
    let get = |query: &str| (Method::GET, format!("{EVENTS}?{query}"), Value::Null);
    let post = |body: Value| (Method::POST, EVENTS.to_owned(), body);
    let watch = |body: Value| (Method::POST, format!("{EVENTS}/watch"), body);
    let sync_token = client.get(EVENTS).await.1["nextSyncToken"].as_str().unwrap().to_owned();
    client.post(EVENTS, &with(json!({"id": "aaaaa"}))).await;
    let cases = [
        (get("maxResults=0"), 400, "invalid"),
        (get("maxResults=many"), 400, "invalid"),
        (get("pageToken=abc"), 400, "invalid"),
        (get("singleEvents=perhaps"), 400, "invalid"),
        (get("orderBy=startTime"), 400, "invalid"),
        (get("timeMin=yesterday"), 400, "badRequest"),
        (get("timeMin=2026-11-23T00:00:00Z&timeMax=2026-11-22T00:00:00Z"), 400, "timeRangeEmpty"),
        (get("fields=items(id"), 400, "invalidParameter"),
        (get("syncToken=abc"), 410, "fullSyncRequired"),
        (get(&format!("syncToken={sync_token}&timeMin=2026-11-22T00:00:00Z")), 400, "badRequest"),
        (get(&format!("syncToken={sync_token}&showDeleted=false")), 400, "badRequest"),
        (get(&format!("syncToken={sync_token}&singleEvents=true")), 400, "badRequest"),
        (post(json!({})), 400, "required"),
        (post(json!({"start": {"date": "2026-11-23"}})), 400, "required"),
        (post(with(json!({"end": {"date": "2026-11-23"}}))), 400, "invalid"),
        (post(with(json!({"end": {"dateTime": "2026-11-23T08:00:00Z"}}))), 400, "timeRangeEmpty"),
        (
            post(with(json!({"start": {"dateTime": "2026-11-23T09:00:00Z", "timeZone": "Mars/Olympus"}}))),
            400,
            "invalid",
        ),
        (post(with(json!({"id": "UPPER"}))), 400, "invalid"),
        (post(with(json!({"id": "wxyzw"}))), 400, "invalid"),
        (post(with(json!({"id": "abcd"}))), 400, "invalid"),
        (post(with(json!({"id": "aaaaa"}))), 409, "duplicate"),
        (post(with(json!({"recurrence": ["RRULE:FREQ=DAILY"]}))), 400, "required"),
        ((Method::POST, format!("{EVENTS}?sendUpdates=some"), event()), 400, "invalid"),
        ((Method::GET, format!("{EVENTS}/nothing"), Value::Null), 404, "notFound"),
        ((Method::PATCH, format!("{EVENTS}/nothing"), json!({})), 404, "notFound"),
        ((Method::DELETE, format!("{EVENTS}/nothing"), Value::Null), 404, "notFound"),
        ((Method::GET, "calendars/nobody@example.com/events".to_owned(), Value::Null), 404, "notFound"),
        (watch(json!({"type": "web_hook", "address": "https://example.com"})), 400, "channelIdNotSpecified"),
        (watch(json!({"id": "c", "type": "letter", "address": "https://example.com"})), 400, "channelTypeNotSupported"),
        (watch(json!({"id": "c", "type": "web_hook"})), 400, "required"),
        (
            watch(json!({"id": "c", "type": "web_hook", "address": "http://example.com"})),
            400,
            "push.webhookUrlNotHttps",
        ),
        ((Method::POST, "channels/stop".to_owned(), json!({"id": "c", "resourceId": "r"})), 404, "notFound"),
    ];
    for ((method, path, body), status, expected) in cases {
        let mut request = client.request(method, &path);
        if !body.is_null() {
            request = request.json(&body);
        }
        let (answered, answer) = read(request).await;
        assert_eq!((answered, reason(&answer)), (status, expected), "{path} {body}: {answer}");
        assert_eq!(answer["error"]["code"], status, "{path}");
    }
}

#[tokio::test]
async fn a_version_guards_every_change() {
    let client = Client::new().await;
    let (_, made) = client.post(EVENTS, &with(json!({"id": "aaaaa"}))).await;
    let (path, old) = (format!("{EVENTS}/aaaaa"), made["etag"].as_str().unwrap().to_owned());
    let conditional = |method: Method, etag: &str| client.request(method, &path).header("if-match", etag);
    let (status, changed) = read(conditional(Method::PATCH, &old).json(&json!({"summary": "a"}))).await;
    assert_eq!(status, 200);
    let new = changed["etag"].as_str().unwrap();
    assert_ne!(new, old);
    for request in [
        conditional(Method::PATCH, &old).json(&json!({"summary": "b"})),
        conditional(Method::PUT, &old).json(&event()),
        conditional(Method::DELETE, &old),
    ] {
        let (status, answer) = read(request).await;
        assert_eq!((status, reason(&answer)), (412, "conditionNotMet"));
    }
    let known = client.request(Method::GET, &path).header("if-none-match", new);
    assert_eq!(read(known).await.0, 304);
    assert_eq!(read(conditional(Method::DELETE, new)).await.0, 204);
    let (status, answer) = client.delete(&path).await;
    assert_eq!((status, reason(&answer)), (410, "deleted"));
    let (status, answer) = client.post(EVENTS, &with(json!({"id": "aaaaa"}))).await;
    assert_eq!((status, reason(&answer)), (409, "duplicate"), "a name is taken for ever");
    assert_eq!(client.get(&path).await.1["status"], "cancelled");
    let (_, back) = client.patch(&path, &json!({"status": "confirmed"})).await;
    assert_eq!(back["status"], "confirmed");
}

#[tokio::test]
async fn quotas_hold_for_each_user_and_all() {
    let client = Client::new().await;
    client.google.user_quota().set_max(3);
    for _ in 0..3 {
        assert_eq!(client.get(EVENTS).await.0, 200);
    }
    let (status, answer) = client.get(EVENTS).await;
    assert_eq!((status, reason(&answer)), (403, "userRateLimitExceeded"));
    client.google.refuse_with_429(true);
    let refused = client.request(Method::GET, EVENTS).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "61");
    client.google.clock().advance(Duration::from_secs(60));
    assert_eq!(client.get(EVENTS).await.0, 200);
    client.google.project_quota().set_max(0);
    assert_eq!(reason(&client.get(EVENTS).await.1), "rateLimitExceeded");
    assert_eq!(client.google.calls().of(SARAH, "events.list"), 7);
}

#[tokio::test]
async fn an_access_token_ends_and_another_is_granted() {
    let client = Client::new().await;
    assert_eq!(client.get(EVENTS).await.0, 200);
    client.google.clock().advance(Duration::from_secs(3_600));
    let (status, answer) = client.get(EVENTS).await;
    assert_eq!((status, reason(&answer)), (401, "authError"));
}

/// A client that goes through consent.
struct Flow {
    client: Client,
    base: String,
}

impl Flow {
    async fn new() -> Self {
        let client = Client::new().await;
        let base = client.base_url();
        client.google.add_client("client", "secret");
        Self { client, base }
    }

    /// Where the consent page leads, as its query.
    async fn consent(&self, query: &str) -> Vec<(String, String)> {
        let url = format!("{}/o/oauth2/v2/auth?{query}", self.base);
        let response = self.client.raw(Method::GET, &url, "").await;
        let target = response.headers()["location"].to_str().unwrap().to_owned();
        Url::parse(&target).unwrap().query_pairs().into_owned().collect()
    }

    async fn token(&self, form: &str) -> (u16, Value) {
        let response = self.client.raw(Method::POST, &format!("{}/token", self.base), form).await;
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }
}

fn of<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
    pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str()).unwrap_or_default()
}

#[tokio::test]
async fn consent_leads_to_tokens_that_can_be_taken_back() {
    let flow = Flow::new().await;
    let proof = "a-verifier-of-at-least-forty-three-characters-1";
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(proof));
    let asked = format!(
        "client_id=client&redirect_uri=https%3A%2F%2Fapp.example%2Fback&response_type=code&state=s1&scope=a+b\
         &access_type=offline&code_challenge={challenge}&code_challenge_method=S256"
    );
    let exchange = |code: &str, proof: &str| {
        format!(
            "grant_type=authorization_code&client_id=client&client_secret=secret&code={}&code_verifier={proof}\
             &redirect_uri=https%3A%2F%2Fapp.example%2Fback",
            code.replace('/', "%2F")
        )
    };
    let back = flow.consent(&asked).await;
    assert_eq!((of(&back, "state"), of(&back, "scope")), ("s1", "a b"));
    let (status, answer) = flow.token(&exchange(of(&back, "code"), "wrong")).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
    let (_, answer) = flow.token(&exchange(of(&back, "code"), proof)).await;
    assert_eq!(answer["error"], "invalid_grant", "a code is good for one try");

    let unticked = Consent::Grants { user: Some(SARAH.to_owned()), unticked: vec!["b".to_owned()] };
    flow.client.google.set_consent(unticked);
    let back = flow.consent(&asked).await;
    let (status, granted) = flow.token(&exchange(of(&back, "code"), proof)).await;
    assert_eq!((status, &granted["scope"], &granted["token_type"]), (200, &json!("a"), &json!("Bearer")));
    let refresh = granted["refresh_token"].as_str().unwrap().replace('/', "%2F");
    let again = format!("grant_type=refresh_token&client_id=client&client_secret=secret&refresh_token={refresh}");
    let (status, refreshed) = flow.token(&again).await;
    assert_eq!(status, 200);
    assert_ne!(refreshed["access_token"], granted["access_token"]);
    assert_eq!(flow.token(&again.replace("secret=secret", "secret=other")).await.1["error"], "invalid_client");
    let url = format!("{}/revoke", flow.base);
    let form = format!("token={}", refreshed["access_token"].as_str().unwrap());
    assert_eq!(flow.client.raw(Method::POST, &url, &form).await.status(), 200);
    assert_eq!(flow.token(&again).await.1["error"], "invalid_grant");
    assert_eq!(flow.client.raw(Method::POST, &url, &form).await.status(), 400);

    flow.client.google.set_consent(Consent::Denies);
    assert_eq!(of(&flow.consent(&asked).await, "error"), "access_denied");
}
