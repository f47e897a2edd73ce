//! Whose mailbox it is, and what is in it.

use agentcal_engine::ports::{Credentials, Provider, ProviderError};
use agentcal_fake_kit::{Fault, Rule, When};
use chrono_tz::Tz;
use serde_json::json;

use crate::support::{ADDRESS, World, credentials};

#[tokio::test]
async fn a_mailbox_is_found_with_one_request() {
    let world = World::new().await;
    world.fake.act(ADDRESS, "POST", "/me/calendars", json!({ "name": "Team" }));
    world.fake.set_writable(ADDRESS, &world.calendar.provider_calendar_id, false);
    let found = world.provider.discover(&world.calendar.credentials).await.unwrap();
    assert_eq!((found.display_name.as_str(), found.owner_addresses), (ADDRESS, vec![ADDRESS.to_owned()]));
    let calendars: Vec<_> =
        found.calendars.iter().map(|calendar| (calendar.name.as_str(), calendar.writable)).collect();
    assert_eq!(calendars, [("Calendar", false), ("Team", true)]);
    assert_eq!(found.calendars[0].provider_calendar_id, world.calendar.provider_calendar_id);
    assert!(found.calendars.iter().all(|calendar| calendar.timezone == Some(Tz::Europe__Berlin)));
    assert_eq!(world.fake.calls().of(ADDRESS, "POST /$batch"), 1);
}

#[tokio::test]
async fn a_list_of_many_pages_is_read_to_its_end() {
    let world = World::new().await;
    for number in 0..230 {
        world.fake.act(ADDRESS, "POST", "/me/calendars", json!({ "name": format!("Team {number}") }));
    }
    let found = world.provider.discover(&world.calendar.credentials).await.unwrap();
    assert_eq!(found.calendars.len(), 231);
}

#[tokio::test]
async fn who_may_not_ask_for_the_zone_still_reads_calendars() {
    let world = World::new().await;
    let denied = Fault::json(403, &json!({ "error": { "code": "ErrorAccessDenied" } }));
    world.fake.faults().add(Rule::new("GET", "mailboxSettings", When::Always, denied));
    let found = world.provider.discover(&world.calendar.credentials).await.unwrap();
    assert_eq!(found.calendars[0].timezone, None);
}

#[tokio::test]
async fn what_is_refused_for_haste_is_asked_again() {
    let world = World::new().await;
    let hasty =
        Fault::json(429, &json!({ "error": { "code": "ApplicationThrottled" } })).with_header("retry-after", "1");
    world.fake.faults().add(Rule::new("GET", "/me/calendars", When::First(1), hasty.clone()));
    assert_eq!(world.provider.discover(&world.calendar.credentials).await.unwrap().calendars.len(), 1);
    world.fake.faults().clear();
    world.fake.faults().add(Rule::new("GET", "/me/calendars", When::Always, hasty));
    let refused = world.provider.discover(&world.calendar.credentials).await.unwrap_err();
    assert!(matches!(refused, ProviderError::RateLimited { .. }), "{refused:?}");
}

#[tokio::test]
async fn other_credentials_are_refused_before_anything_is_sent() {
    let world = World::new().await;
    let refused = world.provider.discover(&Credentials::Sandbox { seed: 1 }).await.unwrap_err();
    assert!(matches!(refused, ProviderError::Refused(_)), "{refused:?}");
    assert_eq!(world.fake.calls().total(), 0);
    let dead = world.provider.discover(&credentials("made-up".to_owned())).await.unwrap_err();
    assert!(matches!(dead, ProviderError::Unauthorized(_)), "{dead:?}");
}
