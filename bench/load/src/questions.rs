//! Questions about availability, no two alike: whom, which days and which zone vary, and on top of that each request
//! carries a number of its own, so that keeping answers wins nothing.

use agentcal_engine::time::{DAY_US, Timestamp};
use serde_json::Value;

use crate::bare::Answers;
use crate::connection::{Connection, Reply};
use crate::data::{DAYS, Data, Dice, Person};

/// Zones answers are asked for in.
const ZONES: [&str; 5] = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney"];
/// The parameter that carries the request's own number. It comes last.
const OWN_NUMBER: &str = "&max_staleness_ms=";
/// Two minutes, which is how old facts may be anyway, and up to one more for the number.
const STALENESS_MS: u64 = 120_000;
const STALENESS_MS_VARIES_BY: u64 = 60_000;

/// A set of questions that cover the same number of days.
pub(crate) struct Questions {
    /// Path and query, without the number.
    paths: Vec<String>,
    secret_key: String,
}

impl Questions {
    /// Draws so many questions.
    pub(crate) fn draw(data: &Data, days: i64, count: usize, seed: u64) -> Self {
        Self::draw_about(data, &data.people, (days, count), seed)
    }

    /// Draws so many questions about some of the people.
    pub(crate) fn draw_about(data: &Data, people: &[Person], (days, count): (i64, usize), seed: u64) -> Self {
        let dice = Dice::new(seed);
        let path = |_| {
            let person = &people[dice.below(people.len())];
            path(person, data.first_day, dice.below((DAYS - days + 1) as usize) as i64, days, dice.pick(&ZONES))
        };
        Self { paths: (0..count).map(path).collect(), secret_key: data.secret_key.clone() }
    }

    /// One question for each person with a calendar in the sandbox.
    pub(crate) fn about_everybody(data: &Data, days: i64) -> Self {
        Self::about_each(data, &data.people, days)
    }

    /// One question for each of these people.
    pub(crate) fn about_each(data: &Data, people: &[Person], days: i64) -> Self {
        let path = |person| path(person, data.first_day, 0, days, ZONES[0]);
        Self { paths: people.iter().map(path).collect(), secret_key: data.secret_key.clone() }
    }

    pub(crate) fn len(&self) -> usize {
        self.paths.len()
    }

    /// Asks the question whose turn it is, and looks at the answer.
    pub(crate) async fn ask(&self, connection: &mut Connection, n: u64) -> Result<(), String> {
        let request = self.request(n);
        let reply = connection.exchange(&request).await.map_err(|error| format!("a question failed: {error}"))?;
        check(&reply)
    }

    /// Asks the question whose turn it is; returns what was answered.
    pub(crate) async fn answer(&self, connection: &mut Connection, n: u64) -> Result<Value, String> {
        serde_json::from_str(&self.text(connection, n).await?).map_err(|error| format!("an answer is no JSON: {error}"))
    }

    /// Asks every question once and keeps the answers.
    pub(crate) async fn record(&self, connection: &mut Connection) -> Result<Answers, String> {
        let mut answers = Answers::new();
        for (n, path) in self.paths.iter().enumerate() {
            answers.insert(path.clone(), self.text(connection, n as u64).await?);
        }
        Ok(answers)
    }

    async fn text(&self, connection: &mut Connection, n: u64) -> Result<String, String> {
        let request = self.request(n);
        let reply = connection.exchange(&request).await.map_err(|error| format!("a question failed: {error}"))?;
        check(&reply)?;
        Ok(String::from_utf8_lossy(reply.body).into_owned())
    }

    fn request(&self, n: u64) -> Vec<u8> {
        let path = &self.paths[(n % self.paths.len() as u64) as usize];
        let number = STALENESS_MS + n / self.paths.len() as u64 % STALENESS_MS_VARIES_BY;
        let key = &self.secret_key;
        format!("GET {path}{OWN_NUMBER}{number} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n").into()
    }
}

/// What of a path and query is the same whenever the question is asked.
pub(crate) fn recorded_part(path_and_query: &str) -> &str {
    path_and_query.split_once(OWN_NUMBER).map_or(path_and_query, |(same, _)| same)
}

fn path(person: &Person, first_day: Timestamp, after_days: i64, days: i64, zone: &str) -> String {
    let date = |after: i64| first_day.plus_micros(after * DAY_US).to_utc().date_naive();
    let Person { account_id, event_type_id, user_id } = person;
    format!(
        "/v1/accounts/{account_id}/availability?event_type_id={event_type_id}&user_id={user_id}&start_date={}\
         &end_date={}&timezone={zone}",
        date(after_days),
        date(after_days + days - 1)
    )
}

/// An answer counts only if it is one: 200, with slots, and everything known.
fn check(reply: &Reply<'_>) -> Result<(), String> {
    let has = |part: &[u8], text: &[u8]| part.windows(text.len()).any(|window| window == text);
    let (first, last) = (&reply.body[..reply.body.len().min(300)], &reply.body[reply.body.len().saturating_sub(300)..]);
    if reply.status == 200 && has(first, b"\"slots\":[{") && has(last, b"\"state\":\"complete\"") {
        return Ok(());
    }
    let shown = String::from_utf8_lossy(last);
    Err(format!("a question was answered with status {} and not with slots that are complete: {shown}", reply.status))
}
