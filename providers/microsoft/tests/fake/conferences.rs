//! Microsoft Teams for bookings that want it: at once, later, never; once, and still there when the booking moves.

use agentcal_engine::model::ConferenceKind;
use agentcal_engine::ports::{ConferenceSeen, EventWrite, Provider, WriteOutcome, WrittenEvent};
use agentcal_engine::time::TimeRange;
use agentcal_fake_kit::{Fault, Rule, When};
use agentcal_fake_microsoft::OnlineMeetings;

use crate::support::{World, booking, range, write_of};

fn first() -> TimeRange {
    range("2026-11-24T09:00:00Z", "2026-11-24T09:30:00Z")
}

async fn written(world: &World, at: TimeRange, known: Option<WrittenEvent>) -> WrittenEvent {
    let conference = Some(ConferenceKind::MicrosoftTeams);
    let write = EventWrite { conference, ..write_of(booking(7), at, known) };
    match world.provider.write_event(&world.calendar, &write).await.unwrap() {
        WriteOutcome::Written(event) => event,
        WriteOutcome::DeletedByHuman => panic!("nobody deleted it"),
    }
}

async fn seen(world: &World, event: &WrittenEvent) -> ConferenceSeen {
    world.provider.conference(&world.calendar, event).await.unwrap()
}

fn is_ready(seen: &ConferenceSeen) -> bool {
    matches!(seen, ConferenceSeen::Ready { join_url } if join_url.starts_with("https://teams.microsoft.com/"))
}

#[tokio::test]
async fn a_meeting_that_takes_its_time_is_seen_when_it_is_there() {
    let world = World::new().await;
    world.fake.behave(|behaviour| behaviour.online_meetings = OnlineMeetings::Later);
    let event = written(&world, first(), None).await;
    assert_eq!(seen(&world, &event).await, ConferenceSeen::Pending);
    let again = written(&world, first(), Some(event)).await;
    assert_eq!(seen(&world, &again).await, ConferenceSeen::Pending);
    world.fake.make_online_meetings();
    let ready = seen(&world, &again).await;
    assert!(is_ready(&ready), "{ready:?}");
    assert_eq!(world.fake.online_meetings_asked(), 1);
}

#[tokio::test]
async fn it_is_asked_for_once_however_often_answers_are_lost() {
    let world = World::new().await;
    world.fake.faults().add(Rule::new("POST", "/events", When::Nth(1), Fault::LoseAnswer));
    let lost = EventWrite { conference: Some(ConferenceKind::MicrosoftTeams), ..write_of(booking(7), first(), None) };
    world.provider.write_event(&world.calendar, &lost).await.unwrap_err();
    let event = written(&world, first(), None).await;
    let ready = seen(&world, &event).await;
    assert!(is_ready(&ready), "{ready:?}");
    let later = range("2026-11-25T14:00:00Z", "2026-11-25T14:30:00Z");
    let event = written(&world, later, Some(event)).await;
    assert_eq!(seen(&world, &event).await, ready, "the booking moves, and its link stays");
    assert_eq!(world.fake.online_meetings_asked(), 1);
}

#[tokio::test]
async fn none_is_told_where_there_is_none() {
    let world = World::new().await;
    let plain = write_of(booking(7), first(), None);
    let WriteOutcome::Written(event) = world.provider.write_event(&world.calendar, &plain).await.unwrap() else {
        panic!("nobody deleted it")
    };
    assert!(matches!(seen(&world, &event).await, ConferenceSeen::Failed(_)), "nobody asked for one");
    assert_eq!(world.fake.online_meetings_asked(), 0);
    let world = World::new().await;
    world.fake.behave(|behaviour| behaviour.online_meetings = OnlineMeetings::Never);
    let event = written(&world, first(), None).await;
    assert!(matches!(seen(&world, &event).await, ConferenceSeen::Failed(_)), "the mailbox has no Teams");
    let gone = WrittenEvent { provider_event_id: "E99999999".to_owned(), etag: None };
    assert!(matches!(seen(&world, &gone).await, ConferenceSeen::Failed(_)), "somebody deleted the event");
}
