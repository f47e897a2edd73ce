use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::support::{Reply, World};

fn slot_ids(reply: &Reply) -> Vec<String> {
    let slots = reply.at("/slots");
    let slots = slots.as_array().expect("slots");
    slots.iter().map(|slot| slot["slot_id"].as_str().expect("a slot id").to_owned()).collect()
}

/// The hosts a slot id of an event type names, as bits.
fn hosts_of(slot_id: &str) -> Vec<u8> {
    let bytes = URL_SAFE_NO_PAD.decode(slot_id.strip_prefix("slot_").expect("the prefix")).expect("base 64");
    bytes[12..bytes.len() - 8].to_vec()
}

#[tokio::test]
async fn every_slot_has_an_id_of_its_own() {
    let world = World::start().await;
    let query = format!("event_type_id={}&start_date=2026-11-24&end_date=2026-12-20", world.event_type);
    let reply = world.availability(&query).await.expect(200);
    let ids = slot_ids(&reply);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    assert!(ids.len() > 200 && ids.iter().all(|id| id.len() == 33), "{ids:?}");
    assert_eq!(slot_ids(&world.availability(&query).await), ids, "the same question at the same moment");
}

#[tokio::test]
async fn ids_name_hosts_by_their_place_in_the_event_type() {
    let world = World::start().await;
    let tom = world.new_user("Tom", json!({})).await;
    let eva = world.new_user("Eva", json!({})).await;
    let mut users: Vec<String> = vec![world.user.clone(), tom, eva];
    users.reverse();
    let hosts: Vec<&str> = users.iter().map(String::as_str).collect();
    let event = world.new_event_type("team", &hosts, json!({})).await;
    let query = format!("event_type_id={event}&start_date=2026-11-24&end_date=2026-11-24");
    let check = async |filter: String, user_ids: &[&str], bits: &[u8]| {
        let reply = world.availability(&format!("{query}{filter}")).await.expect(200);
        assert_eq!(reply.at("/slots/0/user_ids"), json!(user_ids));
        for id in slot_ids(&reply) {
            assert_eq!(hosts_of(&id), bits, "{filter}");
        }
    };
    check(String::new(), &hosts, &[0b111]).await;
    for (place, user) in hosts.iter().enumerate() {
        check(format!("&user_id={user}"), &[*user], &[1 << place]).await;
    }
}

#[tokio::test]
async fn ids_change_with_the_terms_and_with_nothing_else() {
    let world = World::start().await;
    let query = format!("event_type_id={}&start_date=2026-11-24&end_date=2026-11-24&limit=1", world.event_type);
    let ids = async || slot_ids(&world.availability(&query).await.expect(200));
    let first = ids().await;
    world.app.patch(&world.path(&format!("/users/{}", world.user)), json!({"name": "Sara"})).await.expect(200);
    assert_eq!(ids().await, first);
    let event_type = world.path(&format!("/event-types/{}", world.event_type));
    world.app.patch(&event_type, json!({"buffer_after": 5})).await.expect(200);
    let second = ids().await;
    assert_ne!(second, first);
    world.app.patch(&event_type, json!({"buffer_after": 0})).await.expect(200);
    assert_eq!(ids().await, first);
}
