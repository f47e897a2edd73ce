//! Both servers against the fakes, which Google's and Microsoft's own clients drive as well.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::{Clock, ConsentRequest, Consented, OauthClient, OauthGrant, TokenError, TokenIssuer as _};
use agentcal_engine::time::Timestamp;
use agentcal_fake_google::{Consent, FakeGoogle};
use agentcal_fake_kit::{Clock as FakeClock, Fault, Rule, Served, When, serve};
use agentcal_fake_microsoft::FakeGraph;
use chrono::DateTime;
use chrono_tz::Tz;
use reqwest::redirect::Policy;
use url::Url;

use super::{OauthOptions, OauthServers};

const NOON: i64 = 1_800_000_000;
const BACK: &str = "http://127.0.0.1:9/callback";

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(NOON * 1_000_000)
    }
}

struct Stage {
    google: FakeGoogle,
    graph: FakeGraph,
    servers: OauthServers,
    _served: Served,
}

fn client() -> OauthClient {
    OauthClient { client_id: "client".into(), client_secret: "secret".into() }
}

fn request() -> ConsentRequest {
    ConsentRequest { redirect_uri: BACK.into(), state: "state".into(), verifier: "v".repeat(43) }
}

impl Stage {
    async fn new() -> Self {
        let clock = FakeClock::at(DateTime::from_timestamp(NOON, 0).expect("an instant"));
        let google = FakeGoogle::new(clock.clone());
        google.add_user("sarah@example.com", Tz::UTC);
        google.add_client("client", "secret");
        let served = serve(google.router(), 0).await;
        let graph = FakeGraph::start(clock, 0).await;
        graph.add_mailbox("sarah@example.com", "UTC");
        graph.add_application("client", "secret");
        let url = |text: String| Url::parse(&text).expect("an address");
        let options = OauthOptions {
            google_consent_url: url(served.base_url()),
            google_oauth_url: url(served.base_url()),
            google_client: Some(client()),
            microsoft_login_url: url(graph.base_url()),
            microsoft_tenant: "common".into(),
            microsoft_client: None,
        };
        let servers = OauthServers::new(options, Arc::new(Noon)).expect("clients can be made");
        Self { google, graph, servers, _served: served }
    }

    /// What a browser comes back with.
    async fn consent(&self, provider: ProviderKind) -> String {
        let url = self.servers.consent_url(provider, &client(), &request()).expect("an address");
        let browser = reqwest::Client::builder().redirect(Policy::none()).build().expect("a browser");
        let response = browser.get(url).send().await.expect("an answer");
        let location = response.headers()["location"].to_str().expect("an address").to_owned();
        let back = Url::parse(&location).expect("an address");
        assert!(location.starts_with(BACK) && location.contains("state=state"), "{location}");
        back.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned()
    }

    async fn connect(&self, provider: ProviderKind) -> Consented {
        let code = self.consent(provider).await;
        self.servers.exchange(provider, &client(), &request(), &code).await.expect("exchanged")
    }
}

fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_micros((NOON + seconds) * 1_000_000)
}

#[tokio::test]
async fn a_code_becomes_a_grant_and_a_grant_another_token() {
    let stage = Stage::new().await;
    for (provider, until) in [(ProviderKind::Google, 3_599), (ProviderKind::Microsoft, 3_600)] {
        let consented = stage.connect(provider).await;
        assert_eq!(consented.missing, Vec::<&str>::new());
        assert!(consented.subject.is_some(), "both say who it is");
        assert_eq!(consented.grant.expires_at, seconds(until));
        let renewed = stage.servers.refresh(provider, &client(), &consented.grant).await.expect("renewed");
        assert_ne!(renewed.access_token, consented.grant.access_token);
        assert_eq!(renewed.client_id, "client");
        // Microsoft rotates, Google does not.
        let is_kept = renewed.refresh_token == consented.grant.refresh_token;
        assert_eq!(is_kept, provider == ProviderKind::Google);
    }
    let (first, second) =
        (stage.connect(ProviderKind::Google).await.subject, stage.connect(ProviderKind::Google).await.subject);
    assert_eq!(first, second, "the same person");
}

#[tokio::test]
async fn what_was_not_granted_is_named() {
    let stage = Stage::new().await;
    let unticked = vec!["https://www.googleapis.com/auth/calendar.events".to_owned()];
    stage.google.set_consent(Consent::Grants { user: None, unticked });
    assert_eq!(stage.connect(ProviderKind::Google).await.missing, ["calendar.events"]);
    stage.graph.withhold("offline_access");
    assert_eq!(stage.connect(ProviderKind::Microsoft).await.missing, ["offline_access"]);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let stage = Stage::new().await;
    let google = ProviderKind::Google;
    let exchange = async |client: OauthClient, request: ConsentRequest| {
        let code = stage.consent(google).await;
        stage.servers.exchange(google, &client, &request, &code).await.expect_err("refused")
    };
    let stranger = OauthClient { client_secret: "another".into(), ..client() };
    let refused = exchange(stranger.clone(), request()).await;
    assert_eq!(refused, TokenError::ClientRefused("invalid_client".into()));
    let unproven = ConsentRequest { verifier: "x".repeat(43), ..request() };
    assert_eq!(exchange(client(), unproven).await, TokenError::GrantRefused("invalid_grant".into()));
    let answer = stage.servers.exchange(google, &client(), &request(), "nonsense").await;
    assert_eq!(answer, Err(TokenError::GrantRefused("invalid_grant".into())));

    let grant = stage.connect(google).await.grant;
    stage.google.faults().add(Rule::new("POST", "/token", When::Always, Fault::json(503, &serde_json::json!({}))));
    let answer = stage.servers.refresh(google, &client(), &grant).await;
    assert!(matches!(answer, Err(TokenError::Unavailable(_))), "{answer:?}");
    let nowhere = stage.servers.refresh(ProviderKind::Sandbox, &client(), &grant).await;
    assert!(matches!(nowhere, Err(TokenError::Refused(_))), "{nowhere:?}");
}

#[tokio::test]
async fn a_grant_is_given_back() {
    let stage = Stage::new().await;
    let google = ProviderKind::Google;
    let grant = stage.connect(google).await.grant;
    for _ in 0..2 {
        stage.servers.revoke(google, &grant).await.expect("given back, now or already");
    }
    let answer = stage.servers.refresh(google, &client(), &grant).await;
    assert_eq!(answer, Err(TokenError::GrantRefused("invalid_grant".into())));
    let microsoft = stage.connect(ProviderKind::Microsoft).await.grant;
    stage.servers.revoke(ProviderKind::Microsoft, &microsoft).await.expect("there is no such thing");
    stage.servers.refresh(ProviderKind::Microsoft, &client(), &microsoft).await.expect("it still counts");
}

/// Nothing that is logged or told repeats a secret.
#[tokio::test]
async fn errors_repeat_no_secret() {
    let stage = Stage::new().await;
    let grant = OauthGrant {
        client_id: "client".into(),
        access_token: "access-secret".into(),
        expires_at: Noon.now() + Duration::from_secs(1),
        refresh_token: "refresh-secret".into(),
    };
    let error = stage.servers.refresh(ProviderKind::Google, &client(), &grant).await.expect_err("no such token");
    let said = format!("{error} {error:?} {:?} {:?} {grant:?}", client(), request());
    assert!(!said.contains("secret\"") && !said.contains("-secret") && !said.contains("vvvv"), "{said}");
}
