//! Syncs: what they find is what is there, whatever happens in between.

use agentcal_engine::ports::ProviderError;
use serde_json::{Value, json};

use crate::support::{Mirror, World, hour};

/// What was done to a calendar, and what the next sync must find.
fn daily(first: &str) -> Value {
    json!({
        "pattern": { "type": "daily", "interval": 1 },
        "range": { "type": "numbered", "numberOfOccurrences": 20, "startDate": first },
    })
}

/// A calendar with some of everything, and the id of its series.
fn furnish(world: &World) -> (String, String) {
    let single = world.put(hour("2026-11-24T09:00:00", "2026-11-24T10:00:00", json!({})));
    world.put(hour("2026-11-24T11:00:00", "2026-11-24T12:00:00", json!({ "showAs": "free" })));
    world.put(hour("2026-11-24T13:00:00", "2026-11-24T14:00:00", json!({ "showAs": "tentative" })));
    world.put(hour("2026-11-24T15:00:00", "2026-11-24T16:00:00", json!({ "showAs": "workingElsewhere" })));
    world.put(hour("2026-11-24T17:00:00", "2026-11-24T18:00:00", json!({ "showAs": "oof" })));
    world.put(hour("2026-11-28T00:00:00", "2026-11-29T00:00:00", json!({ "isAllDay": true })));
    world.put(hour("2026-01-05T09:00:00", "2026-01-05T10:00:00", json!({})));
    let more = json!({ "recurrence": daily("2026-12-01"), "start": { "dateTime": "2026-12-01T09:00:00", "timeZone": "W. Europe Standard Time" },
        "end": { "dateTime": "2026-12-01T09:30:00", "timeZone": "W. Europe Standard Time" } });
    let series = world.put(hour("2026-12-01T08:00:00", "2026-12-01T08:30:00", more));
    (single, series)
}

async fn agree(world: &World, mirror: &mut Mirror, what: &str) -> usize {
    let changed = mirror.sync(world).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    assert_eq!(mirror.busy(), world.truth(), "{what}");
    changed
}

/// Whether occurrences come bare, and whether series come with them.
const MANNERS: [(bool, bool); 4] = [(true, true), (true, false), (false, true), (false, false)];

#[tokio::test]
async fn every_change_is_found_by_the_next_round() {
    for (bare_occurrences, sends_series) in MANNERS {
        let world = World::new().await;
        world.fake.behave(|behaviour| {
            (behaviour.bare_occurrences, behaviour.sends_series) = (bare_occurrences, sends_series);
        });
        let (single, series) = furnish(&world);
        let mut mirror = Mirror::default();
        agree(&world, &mut mirror, "first").await;
        assert_eq!(mirror.busy().len(), 5 - 1 + 20, "{:?}", mirror.busy());
        assert_eq!(agree(&world, &mut mirror, "nothing happened").await, 0);
        let edits: [(&str, &str, String, Value); 9] = [
            (
                "moved",
                "PATCH",
                format!("/events/{single}"),
                hour("2026-11-25T09:00:00", "2026-11-25T10:00:00", json!({})),
            ),
            (
                "an occurrence moved",
                "PATCH",
                format!("/events/{series}_o20261203"),
                hour("2026-12-03T15:00:00", "2026-12-03T16:00:00", json!({})),
            ),
            ("an occurrence deleted", "DELETE", format!("/events/{series}_o20261205"), Value::Null),
            ("an occurrence freed", "PATCH", format!("/events/{series}_o20261207"), json!({ "showAs": "free" })),
            ("the series freed", "PATCH", format!("/events/{series}"), json!({ "showAs": "free" })),
            ("the series blocks again", "PATCH", format!("/events/{series}"), json!({ "showAs": "busy" })),
            ("the series declined", "POST", format!("/events/{series}/decline"), json!({ "sendResponse": false })),
            ("the single one cancelled", "POST", format!("/events/{single}/cancel"), json!({})),
            ("the series deleted", "DELETE", format!("/events/{series}"), Value::Null),
        ];
        for (what, method, below, body) in edits {
            world.act(method, &below, body);
            let manner = format!("{what}, bare {bare_occurrences}, series {sends_series}");
            agree(&world, &mut mirror, &manner).await;
        }
    }
}

#[tokio::test]
async fn pages_are_followed_to_the_end() {
    let world = World::new().await;
    let (_, series) = furnish(&world);
    for number in 0..250 {
        let minute = number % 60;
        let start = format!("2027-01-{:02}T{:02}:{minute:02}:00", 4 + number / 60, 8 + number % 9);
        let end = format!("2027-01-{:02}T{:02}:{minute:02}:30", 4 + number / 60, 8 + number % 9);
        world.put(hour(&start, &end, json!({})));
    }
    let mut mirror = Mirror::default();
    agree(&world, &mut mirror, "first").await;
    assert!(mirror.pages >= 3, "{} pages", mirror.pages);
    // The series comes first, or its traits are carried to where its occurrences are; nothing is asked for besides.
    assert_eq!(world.fake.calls().of_operation("GET /me/calendars/{id}/events/{id}"), 0);
    world.act("PATCH", &format!("/events/{series}"), json!({ "showAs": "free" }));
    agree(&world, &mut mirror, "the series freed").await;
    assert_eq!(world.fake.calls().of_operation("GET /me/calendars/{id}/events/{id}/instances"), 1);
}

#[tokio::test]
async fn a_dead_link_asks_for_everything_anew() {
    let world = World::new().await;
    furnish(&world);
    let mut mirror = Mirror::default();
    agree(&world, &mut mirror, "first").await;
    world.fake.expire_rounds();
    assert_eq!(mirror.sync(&world).await, Err(ProviderError::CursorGone));
    mirror.cursor = None;
    agree(&world, &mut mirror, "anew").await;
    world.fake.clock().advance(std::time::Duration::from_secs(31 * 24 * 3_600));
    let mut late = World { calendar: world.calendar.clone(), ..world };
    late.calendar.credentials =
        std::sync::Arc::new(crate::support::credentials(late.fake.token(crate::support::ADDRESS, "app")));
    assert_eq!(mirror.sync(&late).await, Err(ProviderError::CursorGone));
}

#[tokio::test]
async fn a_cursor_of_another_graph_is_gone() {
    let world = World::new().await;
    let mut mirror = Mirror::default();
    for link in ["http://127.0.0.1:1/v1.0/me/calendarView/delta?$deltatoken=a", "nonsense", ""] {
        mirror.cursor = Some(agentcal_engine::ports::SyncCursor(link.to_owned()));
        assert_eq!(mirror.sync(&world).await, Err(ProviderError::CursorGone), "{link}");
    }
    assert_eq!(world.fake.calls().total(), 0, "the token went nowhere");
}

#[tokio::test]
async fn nothing_but_time_state_and_id_is_kept() {
    let world = World::new().await;
    furnish(&world);
    let page = world.page(agentcal_engine::ports::SyncMode::Full, None).await.unwrap();
    assert!(!format!("{page:?}").contains("Planted"), "titles are passed over unread");
}
