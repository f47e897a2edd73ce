//! What schemathesis is told: mostly to name things that are there, so that requests get past the first check.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::stage::Stage;

/// How often a request names a word that makes sense.
const SENSE: &str = "0.85";

/// Where browsers may come back to.
pub(crate) const REDIRECT_URL: &str = "https://app.example.com/calendars";

/// Which list the words of a parameter or field come from.
const PLACES: [(&str, &str); 9] = [
    ("query.start_date", "first_dates"),
    ("query.end_date", "last_dates"),
    ("query.timezone", "zones"),
    ("query.session_id", "sessions"),
    ("query.at", "start_times"),
    ("query.redirect_url", "redirect_urls"),
    ("body.start_time", "start_times"),
    ("body.session_id", "sessions"),
    ("body.timezone", "zones"),
];

/// Of the fields that name a time few combinations agree, so it takes more requests to meet one.
const ASKED_OFTEN: [&str; 2] = ["POST /v1/accounts/{account_id}/holds", "POST /v1/accounts/{account_id}/bookings"];
const OFTEN: u32 = 150;

/// The configuration file.
pub(crate) fn to_toml(stage: &Stage, key: &str) -> String {
    let zones = ["UTC", "Europe/Berlin", "America/Santiago", "Asia/Kathmandu"].map(str::to_owned).to_vec();
    let lists = [
        ("first_dates", vec![stage.first_date.clone()]),
        ("last_dates", vec![stage.last_date.clone()]),
        ("zones", zones),
        ("sessions", vec!["call-1".to_owned(), "call-2".to_owned()]),
        ("start_times", stage.start_times.clone()),
        ("redirect_urls", vec![REDIRECT_URL.to_owned()]),
    ];
    let mut toml = String::from("hooks = \"real_ids\"\n");
    let mut line = |text: &str| writeln!(toml, "{text}").expect("a text takes everything");
    // The origin is one a publishable key may be used from; of no meaning with a secret one.
    line(&format!("[headers]\nAuthorization = \"Bearer {key}\"\nOrigin = \"http://localhost:3000\""));
    // A list that is far too long is refused for its length in bytes.
    line("[checks.negative_data_rejection]\nexpected-statuses = [\"4xx\", \"5xx\"]");
    for (name, words) in lists {
        line(&format!("[dictionaries.{name}]\nvalues = {words:?}"));
    }
    line("[parameters]");
    for (place, list) in PLACES {
        line(&format!("\"{place}\" = {{ dictionary = \"{list}\", probability = {SENSE} }}"));
    }
    for operation in ASKED_OFTEN {
        line(&format!("[[operations]]\ninclude-name = \"{operation}\"\ngeneration = {{ max-examples = {OFTEN} }}"));
    }
    toml
}

/// What the hook puts in the place of ids: by path parameter, and by prefix elsewhere.
pub(crate) fn real_ids(stage: &Stage) -> Value {
    json!({
        "account": [stage.account_id],
        "account_to_go": [stage.account_to_go],
        "path.user_id": stage.users_to_change,
        "path.event_type_id": stage.event_types_to_change,
        "path.booking_id": stage.bookings,
        "path.connection_id": stage.connections,
        "path.hold_id": stage.holds,
        "path.decision_id": stage.decisions,
        "path.job_id": stage.jobs,
        "path.webhook_id": stage.webhooks_to_change,
        "delivery": stage.delivery,
        "user": stage.users,
        "evt": stage.event_types,
        "cal": stage.calendars,
        "book": stage.bookings,
        "hold": stage.holds_to_confirm,
        "slot": stage.slot_ids,
    })
}
