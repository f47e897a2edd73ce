//! Where somebody is sent to consent, and for how long. The way there and back is walked in `agentcal/tests/oauth`.

use std::time::Duration;

use agentcal_engine::model::{KeyKind, Mode, ProviderKind};
use agentcal_engine::ports::{OauthClient, OauthStore as _};
use http::Method;
use serde_json::json;

use crate::support::{LISTED, Reply, TestApp};

async fn begin(app: &TestApp, account: &str, provider: &str, redirect_url: &str) -> Reply {
    let redirect_url = redirect_url.replace(':', "%3A").replace('/', "%2F").replace('?', "%3F");
    app.get(&format!("/v1/accounts/{account}/oauth/{provider}?redirect_url={redirect_url}")).await
}

async fn account(app: &TestApp) -> String {
    app.post("/v1/accounts", json!({"name": "Practice"})).await.text_at("/id")
}

fn state_of(begun: &Reply) -> String {
    let url = begun.text_at("/url");
    url.rsplit_once("state=").expect("a state").1.to_owned()
}

#[tokio::test]
async fn a_provider_needs_a_client() {
    let app = TestApp::start().await;
    let account = account(&app).await;
    app.issuer.forget_clients();
    let refused = begin(&app, &account, "microsoft", LISTED).await;
    assert_eq!((refused.status, refused.text_at("/code").as_str()), (409, "provider_not_configured"));
    let own = OauthClient { client_id: "own".to_owned(), client_secret: "secret".to_owned() };
    app.store.put_oauth_client(app.organization_id, ProviderKind::Microsoft, &own).await.expect("kept");
    let begun = begin(&app, &account, "microsoft", LISTED).await;
    assert!(begun.text_at("/url").contains("client_id=own"), "{}", begun.shown());
    let stranger = app.stranger().await;
    let path = format!("/v1/accounts/{account}/oauth/microsoft?redirect_url={LISTED}");
    assert_eq!(app.ask_as(&stranger, Method::GET, &path, None).await.status, 404);
}

/// Plain http leads back to the browser's own machine, and only for test keys, listed or not.
#[tokio::test]
async fn plain_http_is_for_tests() {
    const PLAIN: &str = "http://127.0.0.1:3000/done";
    let app = TestApp::start().await;
    app.store.add_redirect_url(app.organization_id, PLAIN).await.expect("listed");
    let of_test = account(&app).await;
    assert_eq!(begin(&app, &of_test, "google", PLAIN).await.status, 200);
    let (live, _) = app.new_key(app.organization_id, KeyKind::Secret, Mode::Live, &[]).await;
    let named = Some(json!({"name": "Practice"}));
    let of_live = app.ask_as(&live, Method::POST, "/v1/accounts", named).await.text_at("/id");
    let path = format!("/v1/accounts/{of_live}/oauth/google?redirect_url={PLAIN}");
    let refused = app.ask_as(&live, Method::GET, &path, None).await;
    assert_eq!(refused.text_at("/errors/0/code"), "invalid_format", "{}", refused.shown());
    let path = format!("/v1/accounts/{of_live}/oauth/google?redirect_url={LISTED}");
    assert_eq!(app.ask_as(&live, Method::GET, &path, None).await.status, 200);
}

/// An attempt ends by the store's clock, and whoever comes later is sent back with that.
#[tokio::test]
async fn an_attempt_ends() {
    let app = TestApp::start().await;
    let account = account(&app).await;
    let back = |state: String, code: &'static str| {
        let app = &app;
        async move {
            let path = format!("/v1/oauth/callback/google?state={state}&code={code}");
            let reply = app.get(&path).await;
            assert_eq!(reply.status, 303, "{}", reply.shown());
            assert_eq!(reply.headers["referrer-policy"], "no-referrer");
            reply.headers["location"].to_str().expect("an address").to_owned()
        }
    };
    let [early, late] = [begin(&app, &account, "google", LISTED).await, begin(&app, &account, "google", LISTED).await];
    app.clock.advance(Duration::from_secs(15 * 60 - 1));
    let location = back(state_of(&early), "nonsense").await;
    assert!(location.starts_with(&format!("{LISTED}?error=exchange_failed&")), "{location}");
    app.clock.advance(Duration::from_secs(1));
    let location = back(state_of(&late), "code").await;
    assert!(location.starts_with(&format!("{LISTED}?error=expired&")), "{location}");
}
