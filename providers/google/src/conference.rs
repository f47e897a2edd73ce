//! Google Meet: asked for with an event, and looked up afterwards, because Google makes conferences when it has time.

use agentcal_engine::ids::BookingId;
use agentcal_engine::ports::{CalendarRef, ConferenceSeen, ProviderError, WrittenEvent};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{Refusal, json};
use crate::session::{Call, Session};

/// All that is asked of an event about its conference.
const FIELDS: &str = "hangoutLink,conferenceData(createRequest/status/statusCode,entryPoints(entryPointType,uri))";

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WithConference {
    hangout_link: Option<String>,
    conference_data: Option<ConferenceData>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ConferenceData {
    create_request: CreateRequest,
    entry_points: Vec<EntryPoint>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CreateRequest {
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    status_code: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct EntryPoint {
    entry_point_type: String,
    uri: String,
}

/// What asks for the conference of a booking. Google takes no notice of a request it has seen before, and knows it by its id.
pub(crate) fn request(booking_id: BookingId) -> Value {
    let key = json!({"type": "hangoutsMeet"});
    json!({"createRequest": {"requestId": booking_id.to_string(), "conferenceSolutionKey": key}})
}

pub(crate) async fn conference(
    session: &Session<'_>,
    calendar: &CalendarRef,
    event: &WrittenEvent,
) -> Result<ConferenceSeen, ProviderError> {
    let path = ["calendars", &calendar.provider_calendar_id, "events", &event.provider_event_id];
    let response = session.send(Call::new(Method::GET, &path, &[("fields", FIELDS)])).await?;
    match response.status {
        status if status.is_success() => json(&response).map(seen),
        StatusCode::NOT_FOUND | StatusCode::GONE => Ok(ConferenceSeen::Failed("the event is gone".to_owned())),
        _ => Err(Refusal::of(&response).into_error()),
    }
}

fn seen(event: WithConference) -> ConferenceSeen {
    let data = event.conference_data.unwrap_or_default();
    let video = data.entry_points.into_iter().find(|point| point.entry_point_type == "video").map(|point| point.uri);
    match (video.or(event.hangout_link), data.create_request.status.status_code.as_str()) {
        (Some(join_url), _) => ConferenceSeen::at(&join_url),
        (None, "pending") => ConferenceSeen::Pending,
        (None, "failure") => ConferenceSeen::Failed("Google could not make the conference".to_owned()),
        (None, _) => ConferenceSeen::Failed("the event has no conference".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_google_says_of_a_conference_is_understood() {
        let check = |event: Value, expected: ConferenceSeen| {
            let read = serde_json::from_value(event.clone()).expect("any object will do");
            assert_eq!(seen(read), expected, "{event}");
        };
        let meet = "https://meet.google.com/abc-defg-hij";
        let ready = || ConferenceSeen::Ready { join_url: meet.to_owned() };
        let failed = |text: &str| ConferenceSeen::Failed(text.to_owned());
        let status = |code: &str| json!({"conferenceData": {"createRequest": {"status": {"statusCode": code}}}});
        let phone = json!({"entryPointType": "phone", "uri": "tel:+49"});
        let video = |uri: &str| json!({"entryPointType": "video", "uri": uri});
        check(json!({"hangoutLink": meet}), ready());
        check(json!({"conferenceData": {"entryPoints": [phone, video(meet)]}}), ready());
        check(json!({"conferenceData": {"entryPoints": [phone]}}), failed("the event has no conference"));
        check(status("pending"), ConferenceSeen::Pending);
        check(status("failure"), failed("Google could not make the conference"));
        check(json!({}), failed("the event has no conference"));
        let bad = failed("the provider gave an address that cannot be passed on");
        check(json!({"hangoutLink": "javascript:alert(1)"}), bad.clone());
        check(json!({"hangoutLink": format!("https://meet.google.com/{}", "a".repeat(2_000))}), bad);
    }
}
