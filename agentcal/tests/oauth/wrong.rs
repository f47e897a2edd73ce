//! What goes wrong on the way, and what whoever sent the person hears of it.

use agentcal_fake_google::Consent;
use reqwest::{Method, StatusCode};
use sqlx::{Connection as _, SqliteConnection};
use url::Url;

use crate::stage::{DONE, Landing, Stage};

fn error_of(landing: &Landing) -> (String, String) {
    let of = |name| landing.parameter(name).unwrap_or_else(|| panic!("no {name}: {landing:?}"));
    (of("error"), of("error_description"))
}

fn connections(stage: &Stage) -> usize {
    let listed = stage.done(&Method::GET, &stage.of_account("connections"), None);
    listed["data"].as_array().map(Vec::len).expect("a list")
}

/// A box that is not ticked is named, what was granted is given back, and nothing is kept.
#[test]
fn a_scope_that_is_missing_is_named() {
    let stage = Stage::new();
    let unticked = vec!["https://www.googleapis.com/auth/calendar.events".to_owned()];
    stage.google.set_consent(Consent::Grants { user: None, unticked });
    let (error, says) = error_of(&stage.walk(&stage.consent_url("google")));
    assert_eq!(error, "scopes_missing");
    assert!(says.contains("calendar.events") && says.contains("tick every box"), "{says}");
    assert_eq!(connections(&stage), 0);
    stage
        .until("the grant to be given back", || (stage.google.calls().of_operation("oauth.revoke") == 1).then_some(()));

    stage.graph.withhold("offline_access");
    let (error, says) = error_of(&stage.walk(&stage.consent_url("microsoft")));
    assert_eq!(error, "scopes_missing");
    assert!(says.contains("offline_access"), "{says}");
}

#[test]
fn whoever_declines_is_sent_back() {
    let stage = Stage::new();
    stage.google.set_consent(Consent::Denies);
    assert_eq!(error_of(&stage.walk(&stage.consent_url("google"))).0, "access_denied");
    assert_eq!(connections(&stage), 0);
}

/// The state is signed, good once, for one account, and for a while.
#[test]
fn a_state_is_good_once() {
    let stage = Stage::new();
    let consent = stage.consent_url("google");
    let state = parameter(&consent, "state");
    let callback: Url = parameter(&consent, "redirect_uri").parse().expect("an address");
    let back = |state: &str| {
        let mut url = callback.clone();
        url.query_pairs_mut().append_pair("state", state).append_pair("code", "4/0code");
        stage.walk(&url)
    };
    let is_refused = |state: &str, expected: &str| match back(state) {
        Landing::Page(StatusCode::BAD_REQUEST, page) => {
            assert!(page.contains(expected) && page.contains("Go back"), "{page}");
        }
        other => panic!("{state}: {other:?}"),
    };
    is_refused("", "not made here");
    is_refused("nonsense", "not made here");
    // The other account's name before this one's signature.
    let theirs = parameter(&stage.consent_url_of_another(), "state");
    let forged = format!("{}{}", &theirs[..21], &state[21..]);
    is_refused(&forged, "not made here");
    assert_eq!(error_of(&back(&state)).0, "exchange_failed", "no such code");
    is_refused(&state, "used before");
    assert!(matches!(stage.walk(&callback), Landing::Page(StatusCode::BAD_REQUEST, _)));

    let late = stage.consent_url("google");
    stage.runtime.block_on(end_attempts(&stage));
    assert_eq!(error_of(&stage.walk(&late)).0, "expired");
    assert_eq!(connections(&stage), 0);
}

#[test]
fn addresses_to_come_back_to_are_listed() {
    let stage = Stage::new();
    let check = |redirect_url: &str, code: &str| {
        let encoded: String = url::form_urlencoded::byte_serialize(redirect_url.as_bytes()).collect();
        let path = stage.of_account(&format!("oauth/google?redirect_url={encoded}"));
        let (status, body) = stage.ask(&Method::GET, &path, None);
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{redirect_url}: {body}");
        assert_eq!(body["errors"][0]["field"], "redirect_url", "{body}");
        assert_eq!(body["errors"][0]["code"], code, "{redirect_url}: {body}");
    };
    check("https://app.example.com/done", "not_listed");
    check(&format!("{DONE}/more"), "not_listed");
    check("http://app.example.com/done", "invalid_format");
    check("javascript:alert(1)", "invalid_format");
    check(&format!("{DONE}?error=no"), "invalid_format");
    let (status, body) = stage.ask(&Method::GET, &stage.of_account("oauth/google"), None);
    assert_eq!((status, &body["errors"][0]["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &"required".into()));
    let organization = stage.organization().to_owned();
    stage.command(&["org", "redirect-url", "remove", "--organization", &organization, DONE]);
    check(DONE, "not_listed");
}

fn parameter(url: &Url, wanted: &str) -> String {
    let found = url.query_pairs().find(|(name, _)| name == wanted);
    found.map(|(_, value)| value.into_owned()).unwrap_or_else(|| panic!("no {wanted} in {url}"))
}

/// As if a quarter of an hour had passed.
async fn end_attempts(stage: &Stage) {
    let path = stage.folder.path().join("agentcal.db");
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("opened");
    let now = "CAST(unixepoch('subsec') * 1000000 AS INTEGER)";
    let update = sqlx::AssertSqlSafe(format!("UPDATE oauth_attempts SET expires_at = {now} - 1000000"));
    let ended = sqlx::query(update).execute(&mut connection).await.expect("written");
    assert!(ended.rows_affected() > 0);
}
