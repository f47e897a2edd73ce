//! Holds, and holds confirmed, against plain bookings. Every deed takes an open time of its own, so nothing competes for
//! time; what is measured is the way of one commit.

use std::cell::RefCell;

use serde_json::{Value, json};

use crate::connection::Connection;
use crate::data::{DAYS, Dice, Person};
use crate::drive::{Amount, Sample, Target as Driven, closed_loop, runtime};
use crate::progress::Progress;
use crate::questions::Questions;
use crate::report::{Row, Target};
use crate::run::Stage;
use crate::series::Series;

const CONNECTIONS: usize = 16;
const SEED: u64 = 0x5eed_0003;
/// Most a hold may take against a booking, in time.
const HOLD_AT_MOST: f64 = 1.2;
/// Most a hold and its confirmation may take together against a booking.
const CONFIRMED_AT_MOST: f64 = 2.0;

/// Somebody's open time.
struct Open {
    person: Person,
    start_time: String,
}

/// Open times not yet used up, and how to use them.
struct Market<'a> {
    target: Driven,
    secret_key: &'a str,
    open: Vec<Open>,
    /// Holds taken and not yet given back, as paths.
    held: RefCell<Vec<String>>,
}

/// Measures all three side by side.
pub(crate) fn measure(stage: &Stage, progress: &Progress) -> Result<Vec<Row>, String> {
    progress.step("looking for open times");
    let mut market = Market::find(stage)?;
    let (mut bookings, mut holds, mut confirmed) = (Series::default(), Series::default(), Series::default());
    for round in 1..=stage.effort.rounds {
        progress.step(format!("round {round}: bookings"));
        bookings.push(
            market.deal(stage, async |market: &Market<'_>, connection, open| market.book(connection, open).await)?,
        );
        progress.step(format!("round {round}: holds"));
        holds.push(market.deal(stage, async |market: &Market<'_>, connection, open| {
            let path = market.hold(connection, open).await?;
            market.held.borrow_mut().push(path);
            Ok(())
        })?);
        market.give_back()?;
        progress.step(format!("round {round}: holds, confirmed"));
        confirmed.push(market.deal(stage, async |market: &Market<'_>, connection, open| {
            let path = market.hold(connection, open).await?;
            market.confirm(connection, open, &path).await
        })?);
    }
    let time = Sample::us_per_deed;
    let row = |name, series: &Series, figure: fn(&Sample) -> f64, at_most: Option<f64>| {
        let (value, ceiling) = (series.of(figure)?, Some(bookings.of(figure)?));
        Ok::<_, String>(Row { name, value, unit: "us/deed", ceiling, target: at_most.map(Target::AtMost) })
    };
    Ok(vec![
        Row {
            name: "bookings_rps",
            value: bookings.of(Sample::per_second)?,
            unit: "bookings/s",
            ceiling: None,
            target: None,
        },
        row("hold_vs_booking", &holds, time, Some(HOLD_AT_MOST))?,
        row("hold_confirm_vs_booking", &confirmed, time, Some(CONFIRMED_AT_MOST))?,
        row("hold_vs_booking_cpu", &holds, Sample::cpu_us, None)?,
        row("hold_confirm_vs_booking_cpu", &confirmed, Sample::cpu_us, None)?,
    ])
}

impl<'a> Market<'a> {
    /// Everybody's open times that do not overlap, in an order of chance.
    fn find(stage: &'a Stage) -> Result<Self, String> {
        let target = stage.node.target();
        let questions = Questions::about_everybody(&stage.data, DAYS);
        let mut open = Vec::new();
        runtime()?.block_on(async {
            let opened = Connection::open(target.address).await;
            let mut connection = opened.map_err(|error| format!("the program takes no connection: {error}"))?;
            for (n, person) in stage.data.people.iter().enumerate() {
                let answer = questions.answer(&mut connection, n as u64).await?;
                open.extend(apart(&answer).map(|start_time| Open { person: person.clone(), start_time }));
            }
            Ok::<_, String>(())
        })?;
        Dice::new(SEED).shuffle(&mut open);
        Ok(Self { target, secret_key: &stage.data.secret_key, open, held: RefCell::default() })
    }

    /// Does one deed for each of the next open times.
    fn deal(
        &mut self,
        stage: &Stage,
        deed: impl AsyncFn(&Self, &mut Connection, &Open) -> Result<(), String>,
    ) -> Result<Sample, String> {
        let deeds = stage.effort.deeds as usize;
        if self.open.len() < deeds {
            return Err("there are too few open times in the data set for so many rounds".to_owned());
        }
        let used = self.open.split_off(self.open.len() - deeds);
        closed_loop(self.target, CONNECTIONS, Amount::Count(deeds as u64), async |connection: &mut _, n| {
            deed(self, connection, &used[n as usize]).await
        })
    }

    /// Frees what is held, outside of what is measured.
    fn give_back(&mut self) -> Result<(), String> {
        let held = self.held.take();
        let count = Amount::Count(held.len() as u64);
        closed_loop(self.target, CONNECTIONS, count, async |connection: &mut _, n| {
            self.send(connection, "DELETE", &held[n as usize], "", 204).await.map(drop)
        })?;
        Ok(())
    }

    async fn book(&self, connection: &mut Connection, open: &Open) -> Result<(), String> {
        let Open { person, start_time } = open;
        let body = json!({
            "event_type_id": person.event_type_id, "user_id": person.user_id, "start_time": start_time,
            "attendee": {"name": "Ada Lovelace"},
        });
        self.post(connection, person, "bookings", &body).await.map(drop)
    }

    /// Returns the hold's path.
    async fn hold(&self, connection: &mut Connection, open: &Open) -> Result<String, String> {
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
        let answer = self.send(connection, "POST", &path, &body.to_string(), 201).await?;
        serde_json::from_slice(&answer).map_err(|error| format!("POST {what} was not answered with JSON: {error}"))
    }

    async fn send(
        &self,
        connection: &mut Connection,
        method: &str,
        path: &str,
        body: &str,
        expected: u16,
    ) -> Result<Vec<u8>, String> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.secret_key,
            body.len()
        );
        let reply =
            connection.exchange(request.as_bytes()).await.map_err(|error| format!("{method} failed: {error}"))?;
        if reply.status != expected {
            let shown = String::from_utf8_lossy(reply.body);
            return Err(format!("{method} {path} was answered with status {}: {shown}", reply.status));
        }
        Ok(reply.body.to_vec())
    }
}

/// The starts of slots of which none overlaps the one before. All instants of an answer in UTC are written alike, so that
/// their texts compare as they do.
fn apart(answer: &Value) -> impl Iterator<Item = String> + '_ {
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
