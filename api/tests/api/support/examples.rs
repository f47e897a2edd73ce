//! Requests to begin from, for every operation of the document: accepted as they are, and together naming every field.

use serde_json::{Value, json};

use super::{LISTED, Operation, Things, caldav};

/// A request that is accepted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Example {
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Option<Value>,
}

impl Example {
    fn of(body: Value) -> Self {
        Self { query: Vec::new(), body: Some(body) }
    }

    fn asking(query: &[(&str, &str)]) -> Self {
        Self { query: query.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(), body: None }
    }

    /// The address of an operation, its path's parameters filled in with these things.
    pub(crate) fn address(&self, operation: &Operation, things: &Things) -> String {
        address(&self.query, operation, |name| things.id(name).to_owned())
    }
}

/// An address with this query, its path's parameters as told.
pub(crate) fn address(query: &[(String, String)], operation: &Operation, id: impl Fn(&str) -> String) -> String {
    let mut path = operation.template.clone();
    for name in operation.path_parameters() {
        path = path.replace(&format!("{{{name}}}"), &id(name));
    }
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    if pairs.is_empty() { path } else { format!("{path}?{}", pairs.join("&")) }
}

/// Percent-encodes what has a meaning in queries; what is encoded already stays.
fn encoded(text: &str) -> String {
    text.replace('+', "%2B").replace(' ', "%20").replace('&', "%26").replace('\u{0}', "%00")
}

/// Examples of an operation; none where nobody has thought of it yet.
pub(crate) fn examples(operation: &Operation, things: &Things) -> Vec<Example> {
    let id = |name| things.id(name).to_owned();
    let (user, event_type) = (id("user_id"), id("event_type_id"));
    match operation.id.as_str() {
        "get_account"
        | "delete_account"
        | "get_connection"
        | "delete_connection"
        | "get_user"
        | "get_event_type"
        | "delete_event_type"
        | "get_user_rules"
        | "get_event_type_rules"
        | "get_booking"
        | "get_hold"
        | "release_hold"
        | "get_decision"
        | "get_webhook"
        | "delete_webhook"
        | "rotate_webhook_secret"
        | "test_webhook"
        | "resend_webhook_delivery" => vec![Example::default()],
        "list_accounts" | "list_connections" | "list_users" | "list_event_types" | "list_webhooks" => vec![page(&[])],
        "list_webhook_deliveries" => vec![page(&[("status", "delivered")])],
        "replay_webhook_deliveries" => vec![Example::of(json!({"since": "2026-11-20T10:00:00Z"}))],
        "create_webhook" | "update_webhook" => vec![Example::of(json!({
            "url": "https://example.com/hook", "events": ["booking.created"], "account_ids": [id("account_id")],
            "enabled": true,
        }))],
        "list_bookings" => bookings(&user),
        "list_decisions" => vec![page(&[("booking_id", &id("booking_id"))]), page(&[("hold_id", &id("hold_id"))])],
        "create_account" | "update_account" => {
            vec![Example::of(json!({"name": "A", "timezone": "UTC", "metadata": {"a": 1}}))]
        }
        "create_connection" => connections(),
        "create_user" | "update_user" => vec![Example::of(json!({
            "name": "A", "email": "a@example.com", "timezone": "UTC", "calendar_id": id("calendar_id"),
            "busy_calendar_ids": [id("calendar_id")],
        }))],
        "begin_google" | "begin_microsoft" => vec![Example::asking(&[("redirect_url", LISTED)])],
        "delete_user" => vec![Example::asking(&[("cancel_bookings", "true")])],
        "create_event_type" | "update_event_type" => vec![Example::of(event_type_body(&user))],
        "put_user_rules" | "put_event_type_rules" => vec![Example::of(rules())],
        "get_availability" => vec![
            question(&[("event_type_id", &event_type), ("user_id", &user), ("limit", "5")]),
            question(&[("user_id", &user), ("duration_minutes", "30")]),
        ],
        "explain_availability" => vec![
            explanation(&[("event_type_id", &event_type), ("user_id", &user)]),
            explanation(&[("user_id", &user), ("duration_minutes", "30")]),
        ],
        "create_hold" => times(things, &json!({"ttl_seconds": 60, "session_id": "call-2"})),
        "extend_hold" => vec![Example::of(json!({"ttl_seconds": 300}))],
        "release_session" => vec![Example::asking(&[("session_id", "call-1")])],
        "create_booking" => create_booking(things),
        "reschedule_booking" => vec![
            Example::of(json!({"start_time": "2026-11-25T11:00:00+01:00", "dry_run": false})),
            Example::of(json!({"slot_id": id("slot_id")})),
        ],
        "cancel_booking" => vec![Example::asking(&[("reason", "ill"), ("dry_run", "false")])],
        other => of_what_follows(other),
    }
}

/// Examples of what is said about mail and jobs.
fn of_what_follows(operation: &str) -> Vec<Example> {
    match operation {
        "list_jobs" => vec![page(&[("state", "dead"), ("kind", "completed")])],
        "get_job" | "retry_job" | "cancel_job" => vec![Example::default()],
        "get_mail_template"
        | "get_account_mail_template"
        | "delete_mail_template"
        | "delete_account_mail_template"
        | "get_mail_branding"
        | "get_account_mail_branding"
        | "delete_mail_branding"
        | "delete_account_mail_branding" => vec![Example::default()],
        "put_mail_template" | "put_account_mail_template" => templates().map(Example::of).into(),
        "preview_mail" | "preview_account_mail" => templates()
            .map(|template| Example::of(json!({"reader": "host", "language": "de", "template": template})))
            .into(),
        "put_mail_branding" | "put_account_mail_branding" => vec![Example::of(json!({
            "organization_name": "Harbour Dental", "logo_url": "https://example.com/logo.png",
            "accent_color": "#0b4fc4", "language": "de",
        }))],
        _ => Vec::new(),
    }
}

fn page(more: &[(&str, &str)]) -> Example {
    // Of the shape a list would have answered.
    let cursor = "A".repeat(32);
    let more = more.iter().copied().chain([("limit", "5"), ("cursor", cursor.as_str())]);
    Example::asking(&more.collect::<Vec<_>>())
}

/// Both ways to write a page.
fn templates() -> [Value; 2] {
    let of = |page: &str| json!({"subject": "{{ title }}", "text": "{{ intro }}", page: "<p>{{ intro }}</p>"});
    [of("html"), of("mjml")]
}

fn bookings(user: &str) -> Vec<Example> {
    vec![page(&[
        ("status", "confirmed"),
        ("user_id", user),
        ("starts_after", "2026-11-24T10:00:00+01:00"),
        ("starts_before", "2026-11-26T10:00:00Z"),
        ("attendee_email", "tom@example.com"),
        ("attendee_phone", "+49301"),
    ])]
}

fn connections() -> Vec<Example> {
    let token = json!({"provider": "caldav", "server_url": "https://dav.example", "token": "t"});
    vec![Example::of(caldav("https://dav.example")), Example::of(token), Example::of(json!({"provider": "sandbox"}))]
}

fn event_type_body(user: &str) -> Value {
    json!({
        "name": "E", "slug": "e", "duration_minutes": 30, "slot_interval_minutes": 30, "buffer_before": 0,
        "buffer_after": 0, "buffer_mode": "larger", "min_notice_hours": 0, "booking_window_days": 60,
        "max_bookings_per_day": 5, "user_ids": [user], "scheduling_mode": "individual", "public": false,
        "location": "Room", "conference": null, "require_slot_id": false, "on_stale": "verify", "cancel_notice_hours": 24,
        "reschedule_notice_hours": 24, "reschedules_max": 2, "reminders": [{"minutes_before": 60}],
        "mail": {"attendee": true, "hosts": true},
    })
}

fn rules() -> Value {
    json!({
        "timezone": "Europe/Berlin",
        "rules": [{"day_of_week": 1, "start_time": "09:00", "end_time": "17:00"}],
        "overrides": [{"date": "2026-12-24", "windows": [{"start_time": "09:00", "end_time": "12:00"}]}],
    })
}

fn question(more: &[(&str, &str)]) -> Example {
    let fixed = [
        ("start_date", "2026-11-24"),
        ("end_date", "2026-11-25"),
        ("timezone", "Europe/Berlin"),
        ("max_staleness_ms", "60000"),
        ("deadline_ms", "5000"),
    ];
    Example::asking(&[more, &fixed].concat())
}

fn explanation(more: &[(&str, &str)]) -> Example {
    let fixed = [
        ("at", "2026-11-25T16:00:00+01:00"),
        ("timezone", "Europe/Berlin"),
        ("max_staleness_ms", "60000"),
        ("deadline_ms", "5000"),
    ];
    Example::asking(&[more, &fixed].concat())
}

/// The ways to name a time, each with the rest of the body.
fn times(things: &Things, rest: &Value) -> Vec<Example> {
    let (user, event_type) = (things.id("user_id"), things.id("event_type_id"));
    let named = [
        json!({"event_type_id": event_type, "user_id": user, "start_time": "2026-11-25T10:00:00+01:00"}),
        json!({"user_id": user, "duration_minutes": 30, "start_time": "2026-11-25T10:30:00+01:00"}),
        json!({"slot_id": things.id("slot_id")}),
    ];
    named.into_iter().map(|named| Example::of(super::merged(named, rest.clone()))).collect()
}

fn create_booking(things: &Things) -> Vec<Example> {
    let rest = json!({
        "attendee": {"name": "A", "email": "a@example.com", "phone": "+49301", "timezone": "UTC"},
        "metadata": {"a": 1}, "dry_run": false,
    });
    let mut all = times(things, &rest);
    all.push(Example::of(super::merged(json!({"hold_id": things.id("hold_id")}), rest)));
    all
}
