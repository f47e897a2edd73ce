use http::Method;
use insta::assert_snapshot;
use serde_json::json;

use crate::support::TestApp;

#[tokio::test]
async fn an_account_is_made_read_changed_and_deleted() {
    let app = TestApp::start().await;
    let body = json!({"name": "Dental", "timezone": "Europe/Berlin", "metadata": {"plan": "gold"}});
    let made = app.post("/v1/accounts", body).await;
    assert_snapshot!(made.shown(), @r#"
    201
    {
      "created_at": "2026-11-23T08:00:00+01:00",
      "id": "acct_1",
      "metadata": {
        "plan": "gold"
      },
      "name": "Dental",
      "timezone": "Europe/Berlin"
    }
    "#);
    let path = format!("/v1/accounts/{}", made.id());
    assert_eq!(app.get(&path).await.json(), made.json());

    let changed = app.patch(&path, json!({"name": "Dental & Co", "timezone": null})).await;
    assert_snapshot!(changed.shown(), @r#"
    200
    {
      "created_at": "2026-11-23T07:00:00+00:00",
      "id": "acct_1",
      "metadata": {
        "plan": "gold"
      },
      "name": "Dental & Co",
      "timezone": null
    }
    "#);
    assert_eq!(app.get(&path).await.json(), changed.json());
    assert_eq!(app.patch(&path, json!({})).await.expect(200).json(), changed.json());

    let deleted = app.delete(&path).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (202, ""));
    assert_eq!(app.get(&path).await.problem(), "404 not_found");
    assert_eq!(app.delete(&path).await.problem(), "404 not_found");
}

#[tokio::test]
async fn a_deletion_can_be_repeated_under_its_key() {
    let app = TestApp::start().await;
    let path = format!("/v1/accounts/{}", app.post("/v1/accounts", json!({"name": "Gone"})).await.id());
    for replayed in [None, Some("true"), Some("true")] {
        let reply = app.ask_keyed("once", Method::DELETE, &path, None).await.expect(202);
        assert_eq!(reply.header("idempotent-replayed"), replayed);
    }
}

#[tokio::test]
async fn lists_are_paged_newest_first_and_to_the_end() {
    let app = TestApp::start().await;
    let mut made = Vec::new();
    for index in 0..7 {
        app.clock.advance(std::time::Duration::from_secs(1));
        made.push(app.post("/v1/accounts", json!({"name": format!("a{index}")})).await.expect(201).id());
    }
    made.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for _page in 0..3 {
        let page = app.get(&format!("/v1/accounts?limit=3{cursor}")).await.expect(200);
        let data = page.at("/data");
        seen.extend(data.as_array().expect("rows").iter().map(|row| row["id"].as_str().expect("an id").to_owned()));
        cursor = match page.at("/next_cursor").as_str() {
            Some(next) => format!("&cursor={next}"),
            None => break,
        };
    }
    assert_eq!(seen, made);
}

#[tokio::test]
async fn the_other_mode_sees_nothing() {
    let app = TestApp::start().await;
    let path = format!("/v1/accounts/{}", app.post("/v1/accounts", json!({"name": "Test"})).await.id());
    let secret = agentcal_engine::model::KeyKind::Secret;
    let (live, _) = app.new_key(app.organization_id, secret, agentcal_engine::model::Mode::Live, &[]).await;
    assert_eq!(app.ask_as(&live, Method::GET, &path, None).await.problem(), "404 not_found");
    assert_eq!(app.ask_as(&live, Method::GET, "/v1/accounts", None).await.at("/data"), json!([]));
}
