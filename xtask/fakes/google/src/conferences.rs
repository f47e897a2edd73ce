//! Conferences: made for events that ask for one, at once, later or never.

use serde_json::{Value, json};

use crate::FakeGoogle;
use crate::params::Params;
use crate::times::Body;

/// What becomes of requests for a conference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conferences {
    /// They are made at once.
    #[default]
    AtOnce,
    /// They are made when [`FakeGoogle::make_conferences`] says so.
    Later,
    /// They fail.
    Never,
}

/// Settles what a client says of conferences: nothing, where it does not say that it knows what they are.
pub(crate) fn confer(google: &FakeGoogle, params: &Params, body: &mut Body) {
    if params.get("conferenceDataVersion") != Some("1") {
        body.remove("conferenceData");
        return;
    }
    let request_id = body.get("conferenceData").and_then(request_of).map(str::to_owned);
    let Some(request_id) = request_id else { return };
    let mut world = google.world();
    world.conferences_made += 1;
    let (how, number) = (world.conferences, world.conferences_made);
    drop(world);
    body.insert(
        "conferenceData".into(),
        asked(&request_id, if how == Conferences::Never { "failure" } else { "pending" }),
    );
    if how == Conferences::AtOnce {
        make(body, number);
    }
}

/// Whether a change asks for the conference that was asked for before; then it changes nothing.
pub(crate) fn is_asked_again(old: &Body, change: &Value) -> bool {
    let before = old.get("conferenceData").and_then(request_of);
    before.is_some() && before == request_of(change)
}

fn request_of(data: &Value) -> Option<&str> {
    data.pointer("/createRequest/requestId").and_then(Value::as_str)
}

fn asked(request_id: &str, status: &str) -> Value {
    json!({
        "createRequest": {
            "requestId": request_id,
            "conferenceSolutionKey": {"type": "hangoutsMeet"},
            "status": {"statusCode": status},
        },
    })
}

/// Makes a conference that was asked for.
fn make(body: &mut Body, number: u64) {
    let Some(request_id) = body.get("conferenceData").and_then(request_of).map(str::to_owned) else { return };
    let code = format!("abc-{number:04}-xyz");
    let link = format!("https://meet.google.com/{code}");
    let mut data = asked(&request_id, "success");
    data["entryPoints"] = json!([
        {"entryPointType": "video", "uri": link, "label": format!("meet.google.com/{code}")},
        {"entryPointType": "phone", "uri": "tel:+49-30-12345678", "label": "+49 30 12345678", "pin": "1234567"},
    ]);
    data["conferenceSolution"] = json!({"key": {"type": "hangoutsMeet"}, "name": "Google Meet"});
    data["conferenceId"] = code.into();
    body.insert("conferenceData".into(), data);
    body.insert("hangoutLink".into(), link.into());
}

impl FakeGoogle {
    /// What becomes of requests for a conference from now on.
    pub fn set_conferences(&self, how: Conferences) {
        self.world().conferences = how;
    }

    /// How many conferences were asked for so far; asking again for the same one does not count.
    pub fn conferences_asked(&self) -> u64 {
        self.world().conferences_made
    }

    /// Makes every conference that was asked for and is not made yet.
    pub fn make_conferences(&self) {
        let now = self.clock().now();
        let mut world = self.world();
        let mut number = world.conferences_made;
        let mut changed = Vec::new();
        for calendar in world.calendars.values_mut() {
            let waits = |body: &Body| {
                let status =
                    body.get("conferenceData").and_then(|data| data.pointer("/createRequest/status/statusCode"));
                status.and_then(Value::as_str) == Some("pending")
            };
            let waiting = calendar.events.iter().filter(|(_, stored)| waits(&stored.body));
            let waiting: Vec<(String, Body)> = waiting.map(|(id, stored)| (id.clone(), stored.body.clone())).collect();
            for (id, mut body) in waiting {
                number += 1;
                make(&mut body, number);
                calendar.put(&id, body, now);
                changed.push(calendar.id.clone());
            }
        }
        drop(world);
        changed.iter().for_each(|calendar_id| self.ring(calendar_id));
    }
}
