//! Changes made to sandbox calendars.

use agentcal_engine::ports::SandboxEvent;

use crate::World;

fn event(world: &World, event_id: &str) -> SandboxEvent {
    SandboxEvent { event_id: event_id.into(), range: Some(world.minutes(0, 30)), blocks: true, change: 0 }
}

/// Changes are numbered per calendar from 1 and come ascending, each event as it last became.
pub async fn changes_are_numbered_from_one(world: World) {
    let (_, calendars) = world.connect(2).await;
    let account_id = world.tenant.account_id;
    let put = async |event: &SandboxEvent, calendar: usize| {
        let put = world.store.put_sandbox_event(account_id, calendars[calendar].id, event, None).await;
        put.expect("written")
    };
    let deleted = SandboxEvent { range: None, ..event(&world, "a") };
    assert_eq!(put(&event(&world, "a"), 0).await, Some(1));
    assert_eq!(put(&event(&world, "b"), 0).await, Some(2));
    assert_eq!(put(&deleted, 0).await, Some(3));
    assert_eq!(put(&event(&world, "a"), 1).await, Some(1), "another calendar counts for itself");
    let changes = async |after| {
        let changes = world.store.sandbox_changes(account_id, calendars[0].id, after).await;
        changes.expect("readable")
    };
    let b = SandboxEvent { change: 2, ..event(&world, "b") };
    let a = SandboxEvent { change: 3, ..deleted };
    assert_eq!(changes(0).await, [b, a.clone()]);
    assert_eq!(changes(2).await, [a]);
    assert_eq!(changes(3).await, []);
}

/// With an expected change a write is done only on that very change; 0 expects that the event is not there.
pub async fn an_expected_change_guards_a_write(world: World) {
    let (_, calendars) = world.connect(1).await;
    let put = async |event: &SandboxEvent, expected| {
        let put = world.store.put_sandbox_event(world.tenant.account_id, calendars[0].id, event, Some(expected)).await;
        put.expect("answered")
    };
    assert_eq!(put(&event(&world, "a"), 1).await, None);
    assert_eq!(put(&event(&world, "a"), 0).await, Some(1));
    assert_eq!(put(&event(&world, "a"), 0).await, None);
    assert_eq!(put(&event(&world, "a"), 1).await, Some(2));
    let deleted = SandboxEvent { range: None, ..event(&world, "a") };
    assert_eq!(put(&deleted, 2).await, Some(3));
    assert_eq!(put(&event(&world, "a"), 0).await, Some(4), "a deleted event is not there");
}
