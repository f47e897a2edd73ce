use http::Method;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{TestApp, Things};

async fn ids(app: &TestApp, query: &str) -> Vec<Value> {
    let listed = app.get(&format!("/v1/jobs?{query}")).await.expect(200);
    listed.at("/data").as_array().expect("rows").iter().map(|job| job["id"].clone()).collect()
}

#[tokio::test]
async fn what_was_given_up_is_listed_and_tried_again() {
    let app = TestApp::start().await;
    let things = Things::made(&app, &app.key).await;
    let (id, path) = (json!(things.id("job_id")), format!("/v1/jobs/{}", things.id("job_id")));
    assert_snapshot!(app.get(&path).await.shown(), @r#"
    200
    {
      "account_id": "acct_1",
      "attempts": 0,
      "booking_id": "book_2",
      "created_at": "2026-11-23T07:00:00+00:00",
      "due_at": null,
      "id": "job_3",
      "kind": "completed",
      "last_outcome": "given up for a test",
      "state": "dead"
    }
    "#);
    assert_eq!(ids(&app, "state=dead").await, std::slice::from_ref(&id));
    assert_eq!(ids(&app, "state=dead&kind=completed").await, std::slice::from_ref(&id));
    for nothing in ["state=pending", "state=done", "kind=mail", "state=dead&kind=reminder"] {
        assert_eq!(ids(&app, nothing).await, Vec::<Value>::new(), "{nothing}");
    }
    let ask = async |what: &str| app.ask(Method::POST, &format!("{path}/{what}"), None).await;
    let retried = ask("retry").await.expect(200);
    assert_eq!(
        (retried.text_at("/state"), retried.text_at("/due_at")),
        ("pending".into(), "2026-11-23T07:00:00+00:00".into())
    );
    assert_eq!(app.get(&path).await.json(), retried.json());
    assert_eq!(ask("retry").await.problem(), "409 job_not_dead");
    for _ in 0..2 {
        let cancelled = ask("cancel").await.expect(200);
        assert_eq!(
            (cancelled.text_at("/state"), cancelled.text_at("/last_outcome")),
            ("done".into(), "cancelled".into())
        );
        assert_eq!(app.get(&path).await.json(), cancelled.json());
    }
    assert_eq!(ask("retry").await.problem(), "409 job_not_dead");
    assert_eq!(ids(&app, "state=done").await, [id]);
}

#[tokio::test]
async fn unknown_states_and_kinds_are_named() {
    let app = TestApp::start().await;
    let refused = app.get("/v1/jobs?state=failed&kind=webhook").await;
    assert_eq!(refused.problem(), "400 invalid_request state:wrong_type kind:wrong_type");
}
