//! Google Meet for bookings that want it: at once, later, never; once, and still there when the booking moves.

use agentcal_engine::model::ConferenceKind;
use agentcal_engine::ports::{ConferenceSeen, EventWrite, Provider, ProviderError, WriteOutcome, WrittenEvent};
use agentcal_fake_google::Conferences;
use agentcal_fake_kit::{Fault, Rule, When};
use serde_json::json;

use crate::support::{SARAH, Stage, range, write};

fn wanted() -> EventWrite {
    EventWrite { conference: Some(ConferenceKind::GoogleMeet), ..write(7, range(60, 30)) }
}

async fn written(stage: &Stage, write: &EventWrite) -> WrittenEvent {
    match stage.provider.write_event(&stage.calendar, write).await.unwrap() {
        WriteOutcome::Written(event) => event,
        WriteOutcome::DeletedByHuman => panic!("nobody deleted it"),
    }
}

async fn seen(stage: &Stage, event: &WrittenEvent) -> ConferenceSeen {
    stage.provider.conference(&stage.calendar, event).await.unwrap()
}

fn is_ready(seen: &ConferenceSeen) -> bool {
    matches!(seen, ConferenceSeen::Ready { join_url } if join_url.starts_with("https://meet.google.com/"))
}

#[tokio::test]
async fn a_conference_that_takes_its_time_is_seen_when_it_is_there() {
    let stage = Stage::new().await;
    stage.google.set_conferences(Conferences::Later);
    let event = written(&stage, &wanted()).await;
    assert_eq!(seen(&stage, &event).await, ConferenceSeen::Pending);
    let again = written(&stage, &EventWrite { known: Some(event), ..wanted() }).await;
    assert_eq!(
        seen(&stage, &again).await,
        ConferenceSeen::Pending,
        "writing again neither hastens it nor starts another"
    );
    stage.google.make_conferences();
    let ready = seen(&stage, &again).await;
    assert!(is_ready(&ready), "{ready:?}");
    assert_eq!(stage.google.conferences_asked(), 1);
}

#[tokio::test]
async fn it_is_asked_for_once_however_often_answers_are_lost() {
    let stage = Stage::new().await;
    stage.google.faults().add(Rule::new("POST", "/events", When::Nth(1), Fault::LoseAnswer));
    let lost = stage.provider.write_event(&stage.calendar, &wanted()).await;
    assert!(matches!(lost, Err(ProviderError::Unavailable(_))), "{lost:?}");
    let event = written(&stage, &wanted()).await;
    let first = seen(&stage, &event).await;
    assert!(is_ready(&first), "{first:?}");
    let moved = EventWrite { sequence: 1, range: range(240, 30), known: Some(event), ..wanted() };
    let event = written(&stage, &moved).await;
    assert_eq!(seen(&stage, &event).await, first, "the booking moves, and its link stays");
    assert_eq!(stage.google.conferences_asked(), 1);
}

#[tokio::test]
async fn none_is_made_where_none_is_wanted_and_none_is_told_where_there_is_none() {
    let stage = Stage::new().await;
    let event = written(&stage, &EventWrite { conference: None, ..wanted() }).await;
    assert_eq!(stage.google.conferences_asked(), 0);
    assert!(matches!(seen(&stage, &event).await, ConferenceSeen::Failed(_)));
    let stage = Stage::new().await;
    stage.google.set_conferences(Conferences::Never);
    let event = written(&stage, &wanted()).await;
    assert!(matches!(seen(&stage, &event).await, ConferenceSeen::Failed(_)), "Google could not");
    stage.google.patch(SARAH, &event.provider_event_id, json!({"conferenceData": null, "hangoutLink": null}));
    assert!(matches!(seen(&stage, &event).await, ConferenceSeen::Failed(_)), "somebody took it off");
    let gone = WrittenEvent { provider_event_id: "nothing".to_owned(), etag: None };
    assert!(matches!(seen(&stage, &gone).await, ConferenceSeen::Failed(_)), "somebody deleted the event");
}

#[tokio::test]
async fn a_provider_that_is_down_says_nothing_of_it() {
    let stage = Stage::new().await;
    let event = written(&stage, &wanted()).await;
    stage.google.faults().add(Rule::new("GET", "/events/", When::Always, Fault::Drop));
    let down = stage.provider.conference(&stage.calendar, &event).await;
    assert!(matches!(down, Err(ProviderError::Unavailable(_))), "{down:?}");
}
