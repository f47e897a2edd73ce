use agentcal_engine::model::{KeyKind, Mode};
use http::Method;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{BROKEN, TestApp, World};

#[tokio::test]
async fn a_template_applies_until_it_is_taken_away() {
    let world = World::start().await;
    let (own, above) = (world.path("/mail/templates/confirmation"), "/v1/mail/templates/confirmation");
    let read = async || world.app.get(&own).await.expect(200);
    assert_snapshot!(read().await.shown(), @r#"
    200
    {
      "html": null,
      "kind": "confirmation",
      "mjml": "<mjml>default</mjml>",
      "origin": "default",
      "subject": "default subject",
      "text": "default text"
    }
    "#);
    let put = async |path: &str, body: Value| world.app.ask(Method::PUT, path, Some(body)).await.expect(200);
    put(above, json!({"subject": "above", "html": "<p>above</p>"})).await;
    assert_eq!((read().await.text_at("/origin"), read().await.text_at("/html")), texts("organization", "<p>above</p>"));
    assert_eq!(world.app.get(above).await.text_at("/origin"), "organization");
    let made = put(&own, json!({"subject": "own", "mjml": null})).await;
    assert_eq!(
        (made.text_at("/origin"), made.text_at("/subject"), made.at("/html")),
        ("account".into(), "own".into(), Value::Null)
    );
    assert_eq!(read().await.json(), made.json());
    let reminder = world.app.get(&world.path("/mail/templates/reminder")).await.expect(200);
    assert_eq!(reminder.text_at("/origin"), "default");
    for (path, origin) in [(own.as_str(), "organization"), (above, "default"), (above, "default")] {
        assert_eq!(world.app.delete(path).await.expect(204).text, "");
        assert_eq!(read().await.text_at("/origin"), origin);
    }
}

fn texts(one: &str, other: &str) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

#[tokio::test]
async fn a_template_that_cannot_be_used_is_refused_with_its_line() {
    let world = World::start().await;
    for path in [world.path("/mail/templates/reminder"), "/v1/mail/templates/reminder".to_owned()] {
        let check = async |body: Value, problem: &str, line: Value| {
            let refused = world.app.ask(Method::PUT, &path, Some(body)).await;
            assert_eq!((refused.problem(), refused.at("/errors/0/line")), (problem.to_owned(), line));
            assert_eq!(world.app.get(&path).await.text_at("/origin"), "default");
        };
        let broken = format!("a\n\n{BROKEN}");
        check(json!({"subject": BROKEN}), "422 validation_failed subject:invalid_template", json!(1)).await;
        check(json!({"text": &broken}), "422 validation_failed text:invalid_template", json!(3)).await;
        check(json!({"html": &broken}), "422 validation_failed html:invalid_template", json!(3)).await;
        check(json!({"mjml": &broken}), "422 validation_failed mjml:invalid_template", json!(3)).await;
        check(json!({"html": "a", "mjml": "b"}), "422 validation_failed mjml:not_together", Value::Null).await;
        check(json!({"text": " \n"}), "422 validation_failed text:too_short", Value::Null).await;
        check(json!({"subject": "x".repeat(2_001)}), "422 validation_failed subject:too_long", Value::Null).await;
        let preview = world.app.post(&format!("{path}/preview"), json!({"template": {"text": &broken}})).await;
        assert_eq!(preview.problem(), "422 validation_failed template.text:invalid_template");
    }
    let detail = world.app.ask(Method::PUT, "/v1/mail/templates/reminder", Some(json!({"text": BROKEN}))).await;
    assert_eq!(detail.text_at("/detail"), "`text` cannot be used: line 1: there is no `titel`");
}

#[tokio::test]
async fn branding_is_replaced_whole() {
    let world = World::start().await;
    let nothing = json!({"organization_name": null, "logo_url": null, "accent_color": null, "language": null});
    for path in [world.path("/mail/branding"), "/v1/mail/branding".to_owned()] {
        assert_eq!(world.app.get(&path).await.expect(200).json(), nothing);
        let whole = json!({"organization_name": "Harbour Dental", "logo_url": "https://example.com/logo.png",
            "accent_color": "#0B4fc4", "language": "de"});
        for body in
            [whole, json!({"organization_name": null, "logo_url": null, "accent_color": null, "language": "en"})]
        {
            let put = world.app.ask(Method::PUT, &path, Some(body.clone())).await.expect(200);
            assert_eq!((put.json(), world.app.get(&path).await.json()), (body.clone(), body));
        }
        let refused = json!({"organization_name": "", "logo_url": "http://example.com/a", "accent_color": "red"});
        assert_eq!(
            world.app.ask(Method::PUT, &path, Some(refused)).await.problem(),
            "422 validation_failed organization_name:too_short logo_url:invalid_format accent_color:invalid_format"
        );
        world.app.delete(&path).await.expect(204);
        assert_eq!(world.app.get(&path).await.json(), nothing);
    }
}

#[tokio::test]
async fn a_preview_shows_what_would_be_sent() {
    let world = World::start().await;
    let path = world.path("/mail/templates/cancellation");
    let preview = async |body: Value| world.app.post(&format!("{path}/preview"), body).await.expect(200);
    let shown = preview(json!({})).await;
    assert_eq!(shown.text_at("/subject"), "default subject");
    assert!(shown.text_at("/text").starts_with("Cancellation Attendee None "), "{}", shown.text);
    assert!(shown.text_at("/text").contains("Some(\"Dental\")"), "the account's name: {}", shown.text);
    world.app.ask(Method::PUT, &path, Some(json!({"subject": "own"}))).await.expect(200);
    world.app.ask(Method::PUT, "/v1/mail/branding", Some(json!({"organization_name": "Above"}))).await.expect(200);
    let shown = preview(json!({"reader": "host", "language": "de"})).await;
    assert_eq!(shown.text_at("/subject"), "own");
    let text = shown.text_at("/text");
    assert!(text.starts_with("Cancellation Host Some(German) ") && text.contains("Some(\"Above\")"), "{text}");
    let given = preview(json!({"template": {"subject": "given", "html": "<p>"}})).await;
    assert_eq!((given.text_at("/subject"), given.text_at("/html")), texts("given", "<p>"));
    assert_eq!(world.app.get(&path).await.text_at("/subject"), "own", "nothing is kept");
    let above = world.app.post("/v1/mail/templates/cancellation/preview", json!({})).await.expect(200);
    assert!(above.text_at("/text").contains("Some(\"Above\")"), "{}", above.text);
}

#[tokio::test]
async fn what_a_test_key_sets_is_for_test_accounts() {
    let app = TestApp::start().await;
    let (live, _) = app.new_key(app.organization_id, KeyKind::Secret, Mode::Live, &[]).await;
    let stranger = app.stranger().await;
    app.ask(Method::PUT, "/v1/mail/templates/reminder", Some(json!({"subject": "test"}))).await.expect(200);
    app.ask(Method::PUT, "/v1/mail/branding", Some(json!({"organization_name": "Test"}))).await.expect(200);
    for key in [&live, &stranger] {
        let template = app.ask_as(key, Method::GET, "/v1/mail/templates/reminder", None).await.expect(200);
        assert_eq!(template.text_at("/origin"), "default");
        let branding = app.ask_as(key, Method::GET, "/v1/mail/branding", None).await.expect(200);
        assert_eq!(branding.at("/organization_name"), Value::Null);
    }
}
