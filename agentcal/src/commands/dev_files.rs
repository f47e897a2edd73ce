//! What `agentcal dev` tells the developer: `dev.json` for programs, the banner for people.

use std::io;
use std::path::Path;

use agentcal_engine::ids::{AccountId, EventTypeId, UserId};
use agentcal_engine::ports::Clock;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use chrono::{Days, NaiveDate};
use serde::Serialize;
use tower::ServiceExt;

use crate::clock::SystemClock;
use crate::demo::Manifest;
use crate::files;

/// Name of the file in the data folder.
const DEV_FILE: &str = "dev.json";
/// Days the banner asks about.
const DAYS_ASKED: u64 = 14;
/// For whom the banner books.
const ATTENDEE: &str = r#"{"name":"Ada Lovelace","email":"ada@example.com"}"#;
/// Longest answer to the banner's own question.
const ANSWER_LEN_MAX: usize = 256 * 1_024;

/// All a program needs to use the demo.
#[derive(Debug, Serialize)]
pub(super) struct DevFile {
    base_url: String,
    secret_key: String,
    publishable_key: String,
    account_id: AccountId,
    user_ids: Vec<UserId>,
    event_type_id: EventTypeId,
}

impl DevFile {
    pub(super) fn of(base_url: String, manifest: &Manifest) -> Self {
        Self {
            base_url,
            secret_key: manifest.secret_key.text.clone(),
            publishable_key: manifest.publishable_key.text.clone(),
            account_id: manifest.account_id,
            user_ids: manifest.people.iter().map(|ids| ids.user_id).collect(),
            event_type_id: manifest.event_type_ids[0],
        }
    }

    /// Whole or not at all.
    pub(super) fn write(&self, data_dir: &Path) -> io::Result<()> {
        let content = serde_json::to_vec_pretty(self).expect("ids and texts can be written as JSON");
        files::replace(&data_dir.join(DEV_FILE), &content)
    }

    /// A line that sends a body, which is quoted for the shell.
    fn post(&self, what: &str, body: &str) -> String {
        let Self { base_url, secret_key, account_id, .. } = self;
        format!(
            "curl -s '{base_url}/v1/accounts/{account_id}/{what}' \\\n  -H 'Authorization: Bearer {secret_key}' \
             -H 'Content-Type: application/json' \\\n  -d {body}"
        )
    }

    fn availability_path(&self, from: NaiveDate) -> String {
        let to = from + Days::new(DAYS_ASKED - 1);
        let Self { account_id, event_type_id, .. } = self;
        format!("/v1/accounts/{account_id}/availability?event_type_id={event_type_id}&start_date={from}&end_date={to}")
    }
}

/// Lines to copy into a terminal. The times to book are open ones, as the api itself says.
pub(super) async fn banner(file: &DevFile, data_dir: &Path, router: Router) -> String {
    let today = SystemClock.now().to_utc().date_naive();
    let start_times = first_open_slots(file, today, router).await;
    text(file, &data_dir.join(DEV_FILE), today, &start_times)
}

fn text(file: &DevFile, dev_file: &Path, today: NaiveDate, start_times: &[String]) -> String {
    let DevFile { base_url, secret_key, event_type_id, .. } = file;
    let path = file.availability_path(today);
    let mut text = format!(
        "\nAgentCal is ready at {base_url} (documentation: {base_url}/docs)\nIds and keys are in {}\n\n\
         # When is somebody free?\ncurl -s '{base_url}{path}&limit=3' \\\n  -H 'Authorization: Bearer {secret_key}'\n",
        dev_file.display(),
    );
    if let Some(start_time) = start_times.first() {
        let body = format!(
            "'{{\"event_type_id\":\"{event_type_id}\",\"start_time\":\"{start_time}\",\"attendee\":{ATTENDEE}}}'"
        );
        text.push_str(&format!("\n# Book it\n{}\n", file.post("bookings", &body)));
    }
    if let Some(start_time) = start_times.get(1) {
        let body = format!("'{{\"event_type_id\":\"{event_type_id}\",\"start_time\":\"{start_time}\"}}'");
        let (hold, confirm) =
            (file.post("holds", &body), format!("'{{\"hold_id\":\"'$HOLD'\",\"attendee\":{ATTENDEE}}}'"));
        text.push_str(&format!(
            "\n# Or keep another time for two minutes, while somebody says yes, and then book it\n\
             HOLD=$({hold} | sed 's/.*\"id\":\"\\(hold_[^\"]*\\)\".*/\\1/')\n{}\n",
            file.post("bookings", &confirm)
        ));
    }
    text
}

/// The first open slots, at different times.
async fn first_open_slots(file: &DevFile, today: NaiveDate, router: Router) -> Vec<String> {
    let answer = ask(&format!("{}&limit=2", file.availability_path(today)), file, router).await;
    let slots = answer.as_ref().and_then(|answer| answer["slots"].as_array());
    slots.into_iter().flatten().filter_map(|slot| slot["start_time"].as_str().map(str::to_owned)).collect()
}

async fn ask(path: &str, file: &DevFile, router: Router) -> Option<serde_json::Value> {
    let authorization = format!("Bearer {}", file.secret_key);
    let request = Request::get(path).header("authorization", authorization).body(Body::empty()).ok()?;
    let response = router.oneshot(request).await.ok()?;
    let body = to_bytes(response.into_body(), ANSWER_LEN_MAX).await.ok()?;
    serde_json::from_slice(&body).ok()
}
