//! Microsoft Teams: asked for when an event is made, and looked up afterwards, because Graph may need a moment for it.

use agentcal_engine::ports::{CalendarRef, ConferenceSeen, ProviderError, WrittenEvent};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::error::of_writing;
use crate::session::Session;

/// What is read of an event about its online meeting.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WithMeeting {
    is_online_meeting: Value,
    online_meeting: Value,
}

pub(crate) async fn conference(
    session: &Session,
    calendar: &CalendarRef,
    event: &WrittenEvent,
) -> Result<ConferenceSeen, ProviderError> {
    let url = session.urls.event_meeting(&calendar.provider_calendar_id, &event.provider_event_id)?;
    let answer = session.get(url).await?;
    match answer.status {
        status if status.is_success() => answer.read().map(|event: WithMeeting| seen(&event)),
        StatusCode::NOT_FOUND if of_writing(&answer) == ProviderError::CalendarGone => {
            Ok(ConferenceSeen::Failed("the event is gone".to_owned()))
        }
        _ => Err(of_writing(&answer)),
    }
}

fn seen(event: &WithMeeting) -> ConferenceSeen {
    match event.online_meeting.get("joinUrl").and_then(Value::as_str) {
        Some(join_url) => ConferenceSeen::at(join_url),
        None if event.is_online_meeting == Value::Bool(true) => ConferenceSeen::Pending,
        None => ConferenceSeen::Failed("the mailbox has no Teams meetings".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_graph_says_of_a_meeting_is_understood() {
        let check = |event: Value, expected: ConferenceSeen| {
            let read: WithMeeting = serde_json::from_value(event.clone()).expect("any object will do");
            assert_eq!(seen(&read), expected, "{event}");
        };
        let teams = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_a%40thread.v2/0";
        let meeting = |url: Value| json!({"isOnlineMeeting": true, "onlineMeeting": {"joinUrl": url}});
        check(meeting(json!(teams)), ConferenceSeen::Ready { join_url: teams.to_owned() });
        check(meeting(Value::Null), ConferenceSeen::Pending);
        check(json!({"isOnlineMeeting": true, "onlineMeeting": null}), ConferenceSeen::Pending);
        let none = ConferenceSeen::Failed("the mailbox has no Teams meetings".to_owned());
        check(json!({"isOnlineMeeting": false, "onlineMeeting": null}), none.clone());
        check(json!({}), none);
        let bad = ConferenceSeen::Failed("the provider gave an address that cannot be passed on".to_owned());
        check(meeting(json!("http://teams.example.com")), bad);
    }
}
