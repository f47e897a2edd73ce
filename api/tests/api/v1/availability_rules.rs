use insta::assert_snapshot;
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn a_new_user_has_office_hours_and_can_be_given_others() {
    let world = World::start().await;
    let path = world.path(&format!("/users/{}/availability-rules", world.user));
    assert_snapshot!(world.app.get(&path).await.text, @r#"{"timezone":"Europe/Berlin","rules":[{"day_of_week":1,"start_time":"09:00","end_time":"17:00"},{"day_of_week":2,"start_time":"09:00","end_time":"17:00"},{"day_of_week":3,"start_time":"09:00","end_time":"17:00"},{"day_of_week":4,"start_time":"09:00","end_time":"17:00"},{"day_of_week":5,"start_time":"09:00","end_time":"17:00"}],"overrides":[]}"#);
    let body = json!({
        "timezone": "Asia/Kathmandu",
        "rules": [{"day_of_week": 2, "start_time": "22:00", "end_time": "02:00"}],
        "overrides": [{"date": "2026-11-25", "windows": []}],
    });
    assert_eq!(world.app.put(&path, body.clone()).await.expect(200).json(), body);
    assert_eq!(world.app.get(&path).await.json(), body);
}

#[tokio::test]
async fn rules_of_an_event_type_narrow_those_of_its_hosts() {
    let world = World::start().await;
    let path = world.path(&format!("/event-types/{}/availability-rules", world.event_type));
    assert_eq!(world.app.get(&path).await.problem(), "404 not_found");
    assert_eq!(world.starts_on("2026-11-24").await.len(), 16);
    let rule = json!({"day_of_week": 2, "start_time": "16:00", "end_time": "20:00"});
    let body = json!({"timezone": "Europe/Berlin", "rules": [rule], "overrides": []});
    assert_eq!(world.app.put(&path, body.clone()).await.expect(200).json(), body);
    assert_eq!(world.app.get(&path).await.json(), body);
    let expected = ["2026-11-24T16:00:00+01:00", "2026-11-24T16:30:00+01:00"];
    assert_eq!(world.starts_on("2026-11-24").await, expected);
    assert!(world.starts_on("2026-11-25").await.is_empty());
}
