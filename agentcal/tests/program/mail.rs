//! What mails look like, set and shown by the program as it is.

use agentcal_testkit::Dev;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Caller, PROGRAM};

#[tokio::test]
async fn templates_are_tried_before_they_are_kept() {
    let dev = Dev::start(PROGRAM);
    let (caller, info) = (Caller::of(&dev), dev.info());
    let path = format!("/v1/accounts/{}/mail/templates/confirmation", info.account_id);
    let default = caller.get_ok(&path).await;
    assert_eq!(default["origin"], "default");
    let mjml = default["mjml"].as_str().expect("the default page is MJML").to_owned();

    let broken = mjml.replacen("{{ intro }}", "{{ intor }}", 1);
    assert_ne!(broken, mjml);
    let line = broken.lines().position(|line| line.contains("intor")).expect("it was put there") + 1;
    let (status, refused) = caller.send(Method::PUT, &path, Some(json!({"mjml": broken}))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
    let error = &refused["errors"][0];
    assert_eq!(
        (&error["field"], &error["code"], &error["line"]),
        (&json!("mjml"), &json!("invalid_template"), &json!(line))
    );
    assert_eq!(caller.get_ok(&path).await, default);

    let own = json!({"subject": "{{ organization }}: {{ title }}, {{ when.short }}", "mjml": mjml});
    let (status, put) = caller.send(Method::PUT, &path, Some(own)).await;
    assert_eq!((status, &put["origin"]), (StatusCode::OK, &json!("account")), "{put}");
    let branding = json!({"organization_name": "Hafen & Söhne", "accent_color": "#7a1fa2", "language": "de"});
    let (status, answer) = caller.send(Method::PUT, "/v1/mail/branding", Some(branding)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let (status, shown) = caller.post(&format!("{path}/preview"), json!({"reader": "host"})).await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    let part = |name: &str| shown[name].as_str().expect("a text").to_owned();
    assert!(part("subject").starts_with("Hafen & Söhne: Kennenlerngespräch, "), "{shown}");
    assert!(part("html").contains("#7a1fa2") && part("html").contains("Hafen &amp; Söhne"), "{shown}");
    assert!(part("text").contains("ada@example.com"), "a host reads the attendee's address: {shown}");
    let (status, shown) = caller.post(&format!("{path}/preview"), Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{shown}");
}
