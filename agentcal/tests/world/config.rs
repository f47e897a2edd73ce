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
}

/// Which list the words of a parameter or field come from.
const PLACES: [(&str, &str); 24] = [
    ("path.user_id", "users_to_change"),
    ("path.event_type_id", "event_types_to_change"),
    ("path.booking_id", "bookings"),
    ("path.connection_id", "connections"),
    ("path.hold_id", "holds"),
    ("path.decision_id", "decisions"),
    ("header.X-Account-ID", "account"),
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
    ("body.busy_calendar_ids[*]", "calendars"),
];

/// Operations that take away what they name get lists of their own.
const DELETIONS: [(&str, &str, &str); 6] = [
    ("DELETE /v1/accounts/{account_id}", "path.account_id", "accounts_to_go"),
    ("DELETE /v1/accounts/{account_id}/users/{user_id}", "path.user_id", "users_to_go"),
    ("DELETE /v1/accounts/{account_id}/event-types/{event_type_id}", "path.event_type_id", "event_types_to_go"),
    ("DELETE /v1/accounts/{account_id}/connections/{connection_id}", "path.connection_id", "connections_to_go"),
    ("DELETE /v1/accounts/{account_id}/bookings/{booking_id}", "path.booking_id", "bookings_to_go"),
    ("DELETE /v1/accounts/{account_id}/holds/{hold_id}", "path.hold_id", "holds_to_go"),
];

impl Config {
    pub(crate) fn of(stage: &Stage, key: &str) -> Self {
        let words = vec![
            ("accounts_to_go", stage.accounts_to_go.clone()),
            ("account", vec![stage.account_id.clone()]),
            ("users", stage.users.clone()),
            ("users_to_change", stage.users_to_change.clone()),
            ("users_to_go", stage.users_to_go.clone()),
            ("event_types", stage.event_type_ids.clone()),
            ("event_types_to_change", stage.event_types_to_change.clone()),
            ("event_types_to_go", stage.event_types_to_go.clone()),
            ("connections", stage.connections.clone()),
            ("connections_to_go", stage.connections_to_go.clone()),
            ("bookings", stage.bookings.clone()),
            ("bookings_to_go", stage.bookings_to_go.clone()),
            ("holds", stage.holds.clone()),
            ("holds_to_go", stage.holds_to_go.clone()),
            ("start_times", stage.start_times.clone()),
            ("slot_ids", stage.slot_ids.clone()),
            ("first_dates", vec![stage.first_date.clone()]),
            ("last_dates", vec![stage.last_date.clone()]),
            ("zones", ["UTC", "Europe/Berlin", "America/Santiago", "Asia/Kathmandu"].map(str::to_owned).to_vec()),
            ("sessions", vec!["call-1".to_owned(), "call-2".to_owned()]),
            ("calendars", stage.calendars.clone()),
            ("decisions", stage.decisions.clone()),
        ];
        Self { key: key.to_owned(), words, account_id: stage.account_id.clone() }
    }

    pub(crate) fn to_toml(&self) -> String {
        let mut toml = String::new();
        let line = |toml: &mut String, text: &str| writeln!(toml, "{text}").expect("a text takes everything");
        line(&mut toml, "[headers]");
        line(&mut toml, &format!("Authorization = \"Bearer {}\"", self.key));
        // Where a publishable key may be used from; of no meaning with a secret one.
        line(&mut toml, "Origin = \"http://localhost:3000\"");
        for (name, words) in &self.words {
            line(&mut toml, &format!("[dictionaries.{name}]\nvalues = {words:?}"));
        }
        line(&mut toml, &format!("[parameters]\n\"path.account_id\" = \"{}\"", self.account_id));
        for (place, list) in PLACES {
            line(&mut toml, &format!("\"{place}\" = {{ dictionary = \"{list}\", probability = {REAL} }}"));
        }
        for (operation, place, list) in DELETIONS {
            line(&mut toml, &format!("[[operations]]\ninclude-name = \"{operation}\""));
            line(&mut toml, &format!("parameters = {{ \"{place}\" = {{ dictionary = \"{list}\" }} }}"));
        }
        toml
    }
}
