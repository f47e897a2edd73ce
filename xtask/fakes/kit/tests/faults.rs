//! Faults as a client meets them.

use std::time::Duration;

use agentcal_fake_kit::{Fault, Faults, Rule, When, serve, through_faults};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;

fn rule(when: When, fault: Fault) -> Rule {
    Rule::new("GET", "/hello", when, fault)
}

/// What a client sees: a status and a body, or that the connection broke.
async fn ask(url: &str) -> Result<(u16, String), &'static str> {
    let response = reqwest::get(url).await.map_err(|error| if error.is_connect() { "no server" } else { "broke" })?;
    let status = response.status().as_u16();
    let body = response.text().await.or(Err("broke"))?;
    Ok((status, body))
}

#[tokio::test]
async fn each_fault_strikes_as_it_says() {
    // Another test of this process may have been first.
    drop(rustls::crypto::ring::default_provider().install_default());
    let faults = Faults::default();
    let router = Router::new().route("/hello", get(|| async { "hello there" }));
    let served = serve(router.layer(from_fn_with_state(faults.clone(), through_faults)), 0).await;
    let url = format!("{}/hello?a=b", served.base_url());
    let well = Ok((200, "hello there".to_owned()));
    let json = Fault::json(429, &serde_json::json!({"a": 1})).with_header("retry-after", "7");
    let cases = [
        (rule(When::Always, Fault::Drop), [Err("broke"), Err("broke")]),
        (rule(When::Nth(2), Fault::LoseAnswer), [well.clone(), Err("broke")]),
        (rule(When::First(1), Fault::Cut { bytes: 5 }), [Err("broke"), well.clone()]),
        (rule(When::Nth(1), json), [Ok((429, r#"{"a":1}"#.to_owned())), well.clone()]),
        (rule(When::Always, Fault::Delay(Duration::from_millis(1))), [well.clone(), well.clone()]),
        (
            rule(When::Always, Fault::Replace("there".into(), "world".into())),
            [Ok((200, "hello world".to_owned())), Ok((200, "hello world".to_owned()))],
        ),
        (Rule::new("POST", "/hello", When::Always, Fault::Drop), [well.clone(), well.clone()]),
        (Rule::new("GET", "/bye", When::Always, Fault::Drop), [well.clone(), well.clone()]),
        (Rule::new("GET", "a=b", When::Nth(1), Fault::Drop), [Err("broke"), well.clone()]),
    ];
    for (rule, expected) in cases {
        faults.clear();
        faults.add(rule.clone());
        let seen = [ask(&url).await, ask(&url).await];
        assert_eq!(seen, expected, "{rule:?}");
    }
}

#[test]
fn chance_is_the_same_each_time_and_strikes_its_share() {
    let struck = |seed| {
        let faults = Faults::default();
        faults.add(rule(When::PerMille { share: 100, seed }, Fault::Drop));
        (0..2_000).map(|_| faults.judge("GET", "/hello").is_some()).collect::<Vec<_>>()
    };
    assert_eq!(struck(7), struck(7));
    assert_ne!(struck(7), struck(8));
    let share = struck(7).into_iter().filter(|&struck| struck).count();
    assert!((150..250).contains(&share), "{share} of 2,000");
}
