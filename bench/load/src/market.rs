//! Open times, and how to use them up over HTTP.

use std::cell::RefCell;

use serde_json::{Value, json};

use crate::api::Api;
use crate::connection::Connection;
use crate::data::{DAYS, Data, Person};
use crate::drive::{Amount, Sample, Target, closed_loop, runtime};
use crate::questions::Questions;

/// Somebody's open time.
pub(crate) struct Open {
    person: Person,
    start_time: String,
}

/// Open times of these people that do not overlap, person by person.
pub(crate) fn open_times(target: Target, data: &Data, people: &[Person]) -> Result<Vec<Vec<Open>>, String> {
    let questions = Questions::about_each(data, people, DAYS);
    runtime()?.block_on(async {
        let opened = Connection::open(target.address).await;
        let mut connection = opened.map_err(|error| format!("the program takes no connection: {error}"))?;
        let mut open = Vec::new();
        for (n, person) in people.iter().enumerate() {
            let answer = questions.answer(&mut connection, n as u64).await?;
            open.push(apart(&answer).map(|start_time| Open { person: person.clone(), start_time }).collect());
        }
        Ok(open)
    })
}

/// Where open times are used up.
pub(crate) struct Market {
    target: Target,
    api: Api,
    /// Holds taken and not yet given back, as paths.
    held: RefCell<Vec<String>>,
}

impl Market {
    pub(crate) fn new(target: Target, data: &Data) -> Self {
        Self { target, api: Api::new(&data.secret_key), held: RefCell::default() }
    }

    /// Does one deed for each open time.
    pub(crate) fn deal(
        &self,
        connections: usize,
        open: &[Open],
        deed: impl AsyncFn(&Self, &mut Connection, &Open) -> Result<(), String>,
    ) -> Result<Sample, String> {
        closed_loop(self.target, connections, Amount::Count(open.len() as u64), async |connection: &mut _, n| {
            deed(self, connection, &open[n as usize]).await
        })
    }

    /// Frees what is held, outside of what is measured.
    pub(crate) fn give_back(&self, connections: usize) -> Result<(), String> {
        let held = self.held.take();
        let count = Amount::Count(held.len() as u64);
        closed_loop(self.target, connections, count, async |connection: &mut _, n| {
            self.api.send(connection, "DELETE", &held[n as usize], "", 204).await.map(drop)
        })?;
        Ok(())
    }

    pub(crate) async fn book(&self, connection: &mut Connection, open: &Open) -> Result<(), String> {
        let Open { person, start_time } = open;
        let body = json!({
            "event_type_id": person.event_type_id, "user_id": person.user_id, "start_time": start_time,
            "attendee": {"name": "Ada Lovelace"},
        });
        self.post(connection, person, "bookings", &body).await.map(drop)
    }

    /// Takes a hold, to be given back.
    pub(crate) async fn hold(&self, connection: &mut Connection, open: &Open) -> Result<(), String> {
        let path = self.hold_path(connection, open).await?;
        self.held.borrow_mut().push(path);
        Ok(())
    }

    /// Takes a hold and confirms it.
    pub(crate) async fn hold_and_confirm(&self, connection: &mut Connection, open: &Open) -> Result<(), String> {
        let path = self.hold_path(connection, open).await?;
        self.confirm(connection, open, &path).await
    }

    async fn hold_path(&self, connection: &mut Connection, open: &Open) -> Result<String, String> {
        let Open { person, start_time } = open;
        let body = json!({
            "event_type_id": person.event_type_id, "user_id": person.user_id, "start_time": start_time,
        });
        let hold = self.post(connection, person, "holds", &body).await?;
        let id = hold["id"].as_str().ok_or("a hold came back without an id")?;
        Ok(format!("/v1/accounts/{}/holds/{id}", person.account_id))
    }

    async fn confirm(&self, connection: &mut Connection, open: &Open, hold: &str) -> Result<(), String> {
        let hold_id = hold.rsplit('/').next().unwrap_or_default();
        let body = json!({"hold_id": hold_id, "attendee": {"name": "Ada Lovelace"}});
        self.post(connection, &open.person, "bookings", &body).await.map(drop)
    }

    async fn post(
        &self,
        connection: &mut Connection,
        person: &Person,
        what: &str,
        body: &Value,
    ) -> Result<Value, String> {
        let path = format!("/v1/accounts/{}/{what}", person.account_id);
        self.api.ask(connection, "POST", &path, body, 201).await
    }
}

/// The starts of slots of which none overlaps the one before. All instants of an answer in UTC are written alike, so that
/// their texts compare as they do.
pub(crate) fn apart(answer: &Value) -> impl Iterator<Item = String> + '_ {
    let mut free_from = "";
    let slots = answer["slots"].as_array().map_or(&[][..], Vec::as_slice);
    slots.iter().filter_map(move |slot| {
        let (start, end) = (slot["start_time"].as_str()?, slot["end_time"].as_str()?);
        (start >= free_from).then(|| {
            free_from = end;
            start.to_owned()
        })
    })
}

#[test]
fn open_times_do_not_overlap() {
    let slot = |start: &str, end: &str| json!({"start_time": start, "end_time": end});
    let answer = json!({"slots": [slot("09:00", "09:30"), slot("09:15", "09:45"), slot("09:30", "10:00")]});
    assert_eq!(apart(&answer).collect::<Vec<_>>(), ["09:00", "09:30"]);
}
