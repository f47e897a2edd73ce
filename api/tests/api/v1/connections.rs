use insta::assert_snapshot;
use serde_json::json;

use crate::support::{World, caldav};

#[tokio::test]
async fn a_connection_brings_every_calendar() {
    let world = World::start().await;
    let made = world.app.post(&world.path("/connections"), caldav("https://dav.example")).await;
    assert_snapshot!(made.shown(), @r#"
    201
    {
      "calendars": [
        {
          "id": "cal_1",
          "last_synced_at": null,
          "name": "mine",
          "timezone": "Europe/Berlin",
          "watch": {
            "expires_at": null,
            "state": "none"
          },
          "writable": true
        },
        {
          "id": "cal_2",
          "last_synced_at": null,
          "name": "theirs",
          "timezone": "Europe/Berlin",
          "watch": {
            "expires_at": null,
            "state": "none"
          },
          "writable": false
        }
      ],
      "created_at": "2026-11-23T08:00:00+01:00",
      "display_name": "sarah",
      "id": "conn_3",
      "provider": "caldav",
      "status": "syncing",
      "status_reason": null
    }
    "#);
}

#[tokio::test]
async fn a_connection_shows_how_its_calendars_are() {
    let world = World::start().await;
    let second = world.connect().await;
    let shown = world.app.get(&world.path(&format!("/connections/{}", second.id()))).await;
    assert_snapshot!(shown.shown(), @r#"
    200
    {
      "calendars": [
        {
          "id": "cal_1",
          "last_synced_at": "2026-11-23T08:00:00+01:00",
          "name": "mine",
          "timezone": "Europe/Berlin",
          "watch": {
            "expires_at": null,
            "state": "polling"
          },
          "writable": true
        },
        {
          "id": "cal_2",
          "last_synced_at": "2026-11-23T08:00:00+01:00",
          "name": "theirs",
          "timezone": "Europe/Berlin",
          "watch": {
            "expires_at": null,
            "state": "polling"
          },
          "writable": false
        }
      ],
      "created_at": "2026-11-23T08:00:00+01:00",
      "display_name": "sarah",
      "id": "conn_3",
      "provider": "caldav",
      "status": "active",
      "status_reason": null
    }
    "#);
    let list = world.app.get(&world.path("/connections")).await.expect(200);
    assert_eq!(list.at("/data/0"), shown.json());
    let bearer = json!({"provider": "caldav", "server_url": "https://dav.example", "token": "t"});
    let bearer = world.app.post(&world.path("/connections"), bearer).await.expect(201);
    assert_eq!(bearer.text_at("/display_name"), "bearer");
}

#[tokio::test]
async fn a_sandbox_needs_nothing() {
    let world = World::start().await;
    let made = world.app.post(&world.path("/connections"), json!({"provider": "sandbox"})).await.expect(201);
    assert_eq!(made.text_at("/provider"), "sandbox");
    assert!(made.at("/calendars").as_array().is_some_and(|calendars| !calendars.is_empty()));
}

#[tokio::test]
async fn what_goes_wrong_at_the_server_is_said_of_the_field() {
    let world = World::start().await;
    let check = async |body, problem: &str| {
        let reply = world.app.post(&world.path("/connections"), body).await;
        assert_eq!(reply.problem(), problem);
        reply
    };
    let server = caldav;
    check(server("https://wrong-password.example"), "422 validation_failed password:credentials_refused").await;
    check(server("https://down.example"), "422 validation_failed server_url:unreachable").await;
    check(server("https://silent.example"), "422 validation_failed server_url:unreachable").await;
    check(server("http://10.0.0.1"), "422 validation_failed server_url:address_not_allowed").await;
    check(server("https://blog.example"), "422 validation_failed server_url:provider_refused").await;
    check(server("https://many.example"), "422 validation_failed server_url:too_long").await;
    let slow = check(server("https://slow-down.example"), "429 too_many_requests").await;
    assert_eq!(slow.header("retry-after"), Some("7"));
    check(
        json!({"provider": "caldav"}),
        "422 validation_failed server_url:required username:required password:required",
    )
    .await;
    check(json!({"provider": "sandbox", "username": "a"}), "422 validation_failed username:not_together").await;
    check(json!({"provider": "google"}), "422 validation_failed provider:unknown_value").await;
    let list = world.app.get(&world.path("/connections")).await.expect(200);
    assert_eq!(list.at("/data"), json!([]));
}

#[tokio::test]
async fn secrets_are_never_answered() {
    let world = World::start().await;
    let made = world.connect().await;
    let read = world.app.get(&world.path(&format!("/connections/{}", made.id()))).await;
    for reply in [made, read] {
        assert!(!reply.text.contains("secret") && !reply.text.contains("password"), "{}", reply.text);
    }
}
