//! The identity platform: codes with proof, refresh tokens, and what is refused.

use agentcal_fake_kit::Clock;
use agentcal_fake_microsoft::FakeGraph;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::DateTime;
use serde_json::Value;
use sha2::{Digest, Sha256};

const ADDRESS: &str = "sarah@example.com";
const BACK: &str = "http://127.0.0.1:1/callback";
const SCOPES: &str = "offline_access User.Read Calendars.ReadWrite";

struct Platform {
    fake: FakeGraph,
    client: reqwest::Client,
}

impl Platform {
    async fn new() -> Self {
        let fake =
            FakeGraph::start(Clock::at(DateTime::from_timestamp(1_800_000_000, 0).expect("an instant")), 0).await;
        fake.add_mailbox(ADDRESS, "UTC");
        fake.add_application("app", "secret");
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        Self { fake, client: client.expect("a client") }
    }

    /// The parameters somebody is sent back with.
    async fn authorize(&self, verifier: &str) -> Vec<(String, String)> {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        let mut url =
            url::Url::parse(&format!("{}/common/oauth2/v2.0/authorize", self.fake.base_url())).expect("a url");
        url.query_pairs_mut()
            .append_pair("client_id", "app")
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", BACK)
            .append_pair("scope", SCOPES)
            .append_pair("state", "s t")
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        let answer = self.client.get(url).send().await.expect("an answer");
        assert_eq!(answer.status(), 302);
        let location = answer.headers()["location"].to_str().expect("text");
        let back = url::Url::parse(location).expect("a url");
        assert!(location.starts_with(BACK));
        back.query_pairs().into_owned().collect()
    }

    async fn token(&self, form: &[(&str, &str)]) -> (u16, Value) {
        let url = format!("{}/common/oauth2/v2.0/token", self.fake.base_url());
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        let request = self.client.post(url).header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(body.finish()).send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON"))
    }

    async fn me(&self, token: &str) -> u16 {
        let request = self.client.get(format!("{}/me", self.fake.graph_url()));
        request.bearer_auth(token).send().await.expect("an answer").status().as_u16()
    }
}

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
    pairs.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
}

fn exchange<'a>(code: &'a str, verifier: &'a str, secret: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", "app"),
        ("client_secret", secret),
        ("redirect_uri", BACK),
        ("code", code),
        ("code_verifier", verifier),
    ]
}

#[tokio::test]
async fn a_code_is_exchanged_once_by_whoever_can_prove_having_asked() {
    let platform = Platform::new().await;
    let back = platform.authorize("verifier").await;
    assert_eq!(value(&back, "state"), "s t");
    let code = value(&back, "code");
    let (status, refused) = platform.token(&exchange(code, "verifier", "wrong")).await;
    assert_eq!((status, refused["error"].as_str()), (401, Some("invalid_client")));
    let (status, granted) = platform.token(&exchange(code, "verifier", "secret")).await;
    assert_eq!((status, granted["scope"].as_str()), (200, Some(SCOPES)));
    assert_eq!(platform.me(granted["access_token"].as_str().expect("a token")).await, 200);
    let (status, refused) = platform.token(&exchange(code, "verifier", "secret")).await;
    assert_eq!((status, refused["error"].as_str()), (400, Some("invalid_grant")));
    let back = platform.authorize("verifier").await;
    let (status, refused) = platform.token(&exchange(value(&back, "code"), "another", "secret")).await;
    assert_eq!((status, refused["error"].as_str()), (400, Some("invalid_grant")));
}

#[tokio::test]
async fn a_refresh_token_works_until_it_is_taken_back() {
    let platform = Platform::new().await;
    platform.fake.set_refresh_once(true);
    let back = platform.authorize("verifier").await;
    let (_, granted) = platform.token(&exchange(value(&back, "code"), "verifier", "secret")).await;
    let first = granted["refresh_token"].as_str().expect("a token").to_owned();
    let platform = &platform;
    let ask = |token: String| async move {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", "app"),
            ("client_secret", "secret"),
            ("refresh_token", &token),
        ];
        platform.token(&form).await
    };
    platform.fake.clock().advance(std::time::Duration::from_secs(3_601));
    assert_eq!(platform.me(granted["access_token"].as_str().expect("a token")).await, 401);
    let (status, renewed) = ask(first.clone()).await;
    assert_eq!(status, 200);
    assert_eq!(platform.me(renewed["access_token"].as_str().expect("a token")).await, 200);
    let (status, refused) = ask(first).await;
    assert_eq!((status, refused["error"].as_str()), (400, Some("invalid_grant")), "it was used");
    platform.fake.revoke(ADDRESS);
    assert_eq!(platform.me(renewed["access_token"].as_str().expect("a token")).await, 401);
    let (status, refused) = ask(renewed["refresh_token"].as_str().expect("a token").to_owned()).await;
    assert_eq!((status, refused["error"].as_str()), (400, Some("invalid_grant")), "it was taken back");
}

#[tokio::test]
async fn a_scope_that_is_not_granted_is_missing_from_the_answer() {
    let platform = Platform::new().await;
    platform.fake.withhold("Calendars.ReadWrite");
    let back = platform.authorize("verifier").await;
    let (_, granted) = platform.token(&exchange(value(&back, "code"), "verifier", "secret")).await;
    assert_eq!(granted["scope"].as_str(), Some("offline_access User.Read"));
}
