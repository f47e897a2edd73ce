//! What schemathesis is told: mostly to name things that are there, so that requests get past the first check.

use std::fmt::Write;

use crate::stage::Stage;

/// How often a request names something that is there.
const REAL: &str = "0.85";

/// A configuration file for schemathesis.
pub(crate) struct Config {
    key: String,
    /// Words by the name of their list.
    words: Vec<(&'static str, Vec<String>)>,
    account_id: String,
    account_to_go: String,
}

/// Which list the words of a parameter or field come from.
const PLACES: [(&str, &str); 22] = [
    ("path.user_id", "users_to_change"),
    ("path.event_type_id", "event_types_to_change"),
    ("path.booking_id", "bookings"),
    ("path.connection_id", "connections"),
    ("path.hold_id", "holds"),
    ("path.decision_id", "decisions"),
    ("query.user_id", "users"),
    ("query.event_type_id", "event_types"),
    ("query.start_date", "first_dates"),
    ("query.end_date", "last_dates"),
    ("query.timezone", "zones"),
    ("query.session_id", "sessions"),
    ("query.at", "start_times"),
    ("body.user_id", "users"),
    ("body.event_type_id", "event_types"),
    ("body.start_time", "start_times"),
    ("body.slot_id", "slot_ids"),
    ("body.hold_id", "holds"),
    ("body.session_id", "sessions"),
    ("body.timezone", "zones"),
    ("body.user_ids[*]", "users"),
    ("body.calendar_id", "calendars"),
];

/// Of the fields that name a time few combinations agree, so it takes more requests to meet one.
const ASKED_OFTEN: [&str; 2] = ["POST /v1/accounts/{account_id}/holds", "POST /v1/accounts/{account_id}/bookings"];
const OFTEN: u32 = 120;

impl Config {
    pub(crate) fn of(stage: &Stage, key: &str) -> Self {
        let words = vec![
            ("users", stage.users.clone()),
            ("users_to_change", stage.users_to_change.clone()),
            ("event_types", stage.event_types.clone()),
            ("event_types_to_change", stage.event_types_to_change.clone()),
            ("connections", stage.connections.clone()),
            ("calendars", stage.calendars.clone()),
            ("bookings", stage.bookings.clone()),
            ("holds", stage.holds.clone()),
            ("decisions", stage.decisions.clone()),
            ("start_times", stage.start_times.clone()),
            ("slot_ids", stage.slot_ids.clone()),
            ("first_dates", vec![stage.first_date.clone()]),
            ("last_dates", vec![stage.last_date.clone()]),
            ("zones", ["UTC", "Europe/Berlin", "America/Santiago", "Asia/Kathmandu"].map(str::to_owned).to_vec()),
            ("sessions", vec!["call-1".to_owned(), "call-2".to_owned()]),
        ];
        let (account_id, account_to_go) = (stage.account_id.clone(), stage.account_to_go.clone());
        Self { key: key.to_owned(), words, account_id, account_to_go }
    }

    pub(crate) fn to_toml(&self) -> String {
        let mut toml = String::new();
        let mut line = |text: &str| writeln!(toml, "{text}").expect("a text takes everything");
        // The origin is one a publishable key may be used from; of no meaning with a secret one.
        line(&format!("[headers]\nAuthorization = \"Bearer {}\"\nOrigin = \"http://localhost:3000\"", self.key));
        for (name, words) in &self.words {
            line(&format!("[dictionaries.{name}]\nvalues = {words:?}"));
        }
        line(&format!("[parameters]\n{}", of_account(&self.account_id)));
        for (place, list) in PLACES {
            line(&format!("\"{place}\" = {{ dictionary = \"{list}\", probability = {REAL} }}"));
        }
        line("[[operations]]\ninclude-name = \"DELETE /v1/accounts/{account_id}\"\n[operations.parameters]");
        line(&of_account(&self.account_to_go));
        for operation in ASKED_OFTEN {
            line(&format!("[[operations]]\ninclude-name = \"{operation}\"\ngeneration = {{ max-examples = {OFTEN} }}"));
        }
        toml
    }
}

/// Fixed, since under any other account there is nothing, and a header that says otherwise hides whatever else is wrong.
fn of_account(id: &str) -> String {
    format!("\"path.account_id\" = \"{id}\"\n\"header.X-Account-ID\" = \"{id}\"")
}
