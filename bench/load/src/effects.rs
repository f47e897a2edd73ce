//! What follows from a booking: whether it costs its caller anything, when the first endpoint hears, and how many messages
//! leave a second.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::Api;
use crate::connection::Connection;
use crate::drive::{Amount, Target as Address, closed_loop, open_loop, runtime};
use crate::market::apart;
use crate::process::{at_rest, cpu_time};
use crate::program::Program;
use crate::progress::Progress;
use crate::receiver::Receiver;
use crate::report::{Row, Target};
use crate::run::Effort;
use crate::sender::{self, Sending};
use crate::startup::{days_from_today, start};
use crate::summary::Summary;

/// Endpoints that hear of every booking.
const ENDPOINTS: usize = 20;
/// Messages under way to each at once, as the program has it.
const AT_ONCE: usize = 8;
/// Bookings a second while latencies are gathered: few enough that one's messages are out before the next one comes.
const BOOKINGS_PER_SECOND: f64 = 10.0;
const BOOKED_FOR: Duration = Duration::from_secs(4);
/// Bookings that are made, and cancelled again, while the gate is shut.
const HELD_BACK: usize = 100;
const CONNECTIONS: usize = 4;
/// Days of open times, today included.
const DAYS: u64 = 60;
/// Most a booking may take with all that follows, against one that nothing follows from.
const FOLLOWED_AT_MOST: f64 = 1.1;
/// Least share of what reqwest sends in a loop.
const DELIVERIES_AT_LEAST: f64 = 0.5;

/// A demo that runs, and what may be booked there.
struct Demo {
    address: Address,
    api: Api,
    account: String,
    event_type_id: String,
    open: RefCell<Vec<String>>,
    folder: TempDir,
    _program: Program,
}

/// Bookings at a steady rate.
struct Booked {
    latencies: Histogram<u64>,
    /// When each was answered.
    answered: BTreeMap<String, Instant>,
}

/// What was measured, round by round.
#[derive(Default)]
struct Measured {
    plain_us: Vec<f64>,
    followed_us: Vec<f64>,
    plain_cpu_us: Vec<f64>,
    followed_cpu_us: Vec<f64>,
    first_attempts_ms: [Vec<f64>; 2],
    delivered: Vec<f64>,
    looped: Vec<f64>,
    delivered_cpu_us: Vec<f64>,
    looped_cpu_us: Vec<f64>,
}

/// Measures bookings that nothing follows from and such that much follows from, side by side.
pub(crate) fn measure(binary: &Path, effort: Effort, progress: &Progress) -> Result<Vec<Row>, String> {
    progress.step("starting two demos");
    let receiver = Receiver::start()?;
    let plain = Demo::start(binary)?;
    plain.change(&json!({"mail": {"attendee": false, "hosts": false}, "reminders": []}))?;
    let followed = Demo::start(binary)?;
    let reminders = json!([{"minutes_before": 60}, {"minutes_before": 1_440}]);
    followed.change(&json!({"mail": {"attendee": true, "hosts": true}, "reminders": reminders}))?;
    followed.tell(&receiver)?;
    let mut measured = Measured::default();
    for round in 1..=effort.rounds {
        progress.step(format!("round {round}: bookings that nothing follows from"));
        measured.push_plain(&plain)?;
        progress.step(format!("round {round}: bookings that {ENDPOINTS} endpoints hear of"));
        measured.push_followed(&followed, &receiver)?;
        progress.step(format!("round {round}: messages that were held back"));
        measured.push_delivered(&followed, &receiver)?;
        progress.step(format!("round {round}: reqwest in a loop"));
        measured.push_looped(&followed, &receiver)?;
    }
    measured.rows()
}

impl Measured {
    fn push_plain(&mut self, demo: &Demo) -> Result<(), String> {
        let before = cpu_time(demo.address.pid)?;
        let booked = demo.book()?;
        self.plain_us.push(booked.latencies.value_at_quantile(0.5) as f64);
        self.plain_cpu_us.push(per_booking(cpu_time(demo.address.pid)? - before, &booked));
        Ok(())
    }

    fn push_followed(&mut self, demo: &Demo, receiver: &Receiver) -> Result<(), String> {
        receiver.clear();
        let before = cpu_time(demo.address.pid)?;
        let booked = demo.book()?;
        let told = receiver.wait_for((booked.answered.len() * ENDPOINTS) as u64, |told| told.of_bookings.clone())?;
        self.followed_us.push(booked.latencies.value_at_quantile(0.5) as f64);
        self.followed_cpu_us.push(per_booking(cpu_time(demo.address.pid)? - before, &booked));
        let waits = booked.answered.iter().filter_map(|(id, answered)| Some(told.get(id)?.duration_since(*answered)));
        let mut waits: Vec<f64> = waits.map(|wait| wait.as_secs_f64() * 1_000.0).collect();
        waits.sort_by(f64::total_cmp);
        for (place, quantile) in [0.5, 0.99].into_iter().enumerate() {
            let at = ((waits.len() as f64 * quantile) as usize).min(waits.len().saturating_sub(1));
            self.first_attempts_ms[place].extend(waits.get(at));
        }
        Ok(())
    }

    fn push_delivered(&mut self, demo: &Demo, receiver: &Receiver) -> Result<(), String> {
        receiver.clear();
        receiver.close();
        demo.book_and_cancel()?;
        // Mails and calendars are served meanwhile.
        at_rest(demo.address.pid)?;
        let before = cpu_time(demo.address.pid)?;
        let opened = receiver.open();
        let last = receiver.wait_for(held_back(), |told| told.last)?.ok_or("no message came")?;
        // Those at the gate were out already.
        let sent = (held_back() - (ENDPOINTS * AT_ONCE) as u64) as f64;
        self.delivered.push(sent / last.duration_since(opened).as_secs_f64());
        // What they came to is kept as well.
        at_rest(demo.address.pid)?;
        self.delivered_cpu_us.push((cpu_time(demo.address.pid)? - before).as_secs_f64() * 1e6 / sent);
        Ok(())
    }

    fn push_looped(&mut self, demo: &Demo, receiver: &Receiver) -> Result<(), String> {
        let message = receiver.wait_for(1, |told| told.sample.clone())?.ok_or("no message came")?;
        receiver.clear();
        let sending =
            Sending { authority: receiver.authority(), endpoints: ENDPOINTS, at_once: AT_ONCE, count: held_back() };
        let cpu = sender::run(&sending, &message, &demo.folder.path().join("message.json"))?;
        self.looped_cpu_us.push(cpu.as_secs_f64() * 1e6 / held_back() as f64);
        let (first, last) =
            receiver.wait_for(held_back(), |told| told.first.zip(told.last))?.ok_or("no message came")?;
        self.looped.push(held_back() as f64 / last.duration_since(first).as_secs_f64());
        Ok(())
    }

    fn rows(self) -> Result<Vec<Row>, String> {
        let of = |values: Vec<f64>| Summary::of(values).ok_or("nothing was measured");
        let row = |name, values, unit, ceiling: Option<Vec<f64>>, target| {
            Ok::<_, String>(Row { name, value: of(values)?, unit, ceiling: ceiling.map(of).transpose()?, target })
        };
        let [median, slowest] = self.first_attempts_ms;
        Ok(vec![
            row(
                "booking_followed_p50",
                self.followed_us,
                "us",
                Some(self.plain_us),
                Some(Target::AtMost(FOLLOWED_AT_MOST)),
            )?,
            row("booking_followed_cpu", self.followed_cpu_us, "us/booking", Some(self.plain_cpu_us), None)?,
            row("webhook_first_attempt_p50", median, "ms", None, None)?,
            row("webhook_first_attempt_p99", slowest, "ms", None, None)?,
            row(
                "webhook_deliveries_rps",
                self.delivered,
                "messages/s",
                Some(self.looped),
                Some(Target::AtLeast(DELIVERIES_AT_LEAST)),
            )?,
            row("webhook_deliveries_cpu", self.delivered_cpu_us, "us/message", Some(self.looped_cpu_us), None)?,
        ])
    }
}

impl Demo {
    fn start(binary: &Path) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        let (first_day, last_day) = days_from_today(DAYS);
        let (program, _) = start(binary, folder.path(), &first_day, &last_day)?;
        let dev = std::fs::read(folder.path().join("dev.json")).map_err(|error| format!("dev.json: {error}"))?;
        let dev: Value = serde_json::from_slice(&dev).map_err(|error| format!("dev.json: {error}"))?;
        let text = |name: &str| dev[name].as_str().ok_or_else(|| format!("dev.json does not say {name}"));
        let address = text("base_url")?.trim_start_matches("http://").parse();
        let address = address.map_err(|error| format!("dev.json has no address: {error}"))?;
        let demo = Self {
            address: Address { address, pid: program.pid() },
            api: Api::new(text("secret_key")?),
            account: format!("/v1/accounts/{}", text("account_id")?),
            event_type_id: text("event_type_id")?.to_owned(),
            open: RefCell::default(),
            folder,
            _program: program,
        };
        let (account, event_type_id) = (&demo.account, &demo.event_type_id);
        let path = format!(
            "{account}/availability?event_type_id={event_type_id}&start_date={first_day}&end_date={last_day}&timezone=UTC"
        );
        let answer = demo.ask("GET", &path, &json!({}), 200)?;
        demo.open.replace(apart(&answer).collect());
        Ok(demo)
    }

    /// Changes the event type.
    fn change(&self, patch: &Value) -> Result<(), String> {
        self.ask("PATCH", &format!("{}/event-types/{}", self.account, self.event_type_id), patch, 200).map(drop)
    }

    /// Has every endpoint told.
    fn tell(&self, receiver: &Receiver) -> Result<(), String> {
        for endpoint in 0..ENDPOINTS {
            let body = json!({"url": receiver.url(endpoint), "events": ["booking.created", "booking.cancelled"]});
            self.ask("POST", "/v1/webhooks", &body, 201)?;
        }
        Ok(())
    }

    fn ask(&self, method: &str, path: &str, body: &Value, expected: u16) -> Result<Value, String> {
        runtime()?.block_on(async {
            let opened = Connection::open(self.address.address).await;
            let mut connection = opened.map_err(|error| format!("the demo takes no connection: {error}"))?;
            self.api.ask(&mut connection, method, path, body, expected).await
        })
    }

    /// Books at a steady rate, each time another open time.
    fn book(&self) -> Result<Booked, String> {
        let answered = RefCell::new(BTreeMap::new());
        let latencies =
            open_loop(self.address, CONNECTIONS, BOOKINGS_PER_SECOND, BOOKED_FOR, async |connection: &mut _, _| {
                let id = self.book_next(connection).await?.0;
                answered.borrow_mut().insert(id, Instant::now());
                Ok(())
            })?;
        Ok(Booked { latencies, answered: answered.into_inner() })
    }

    /// The next open time, booked: the booking's id, and the time.
    async fn book_next(&self, connection: &mut Connection) -> Result<(String, String), String> {
        let start_time = self.open.borrow_mut().pop().ok_or("the demo has no open time left")?;
        let body = json!({
            "event_type_id": self.event_type_id, "start_time": start_time,
            "attendee": {"name": "Ada Lovelace", "email": "ada@example.com"},
        });
        let booking = self.api.ask(connection, "POST", &format!("{}/bookings", self.account), &body, 201).await?;
        let id = booking["id"].as_str().ok_or("a booking came back without an id")?;
        Ok((id.to_owned(), start_time))
    }

    /// Books some open times and gives them back.
    fn book_and_cancel(&self) -> Result<(), String> {
        let deeds = Amount::Count(HELD_BACK as u64);
        closed_loop(self.address, CONNECTIONS, deeds, async |connection: &mut _, _| {
            let (id, start_time) = self.book_next(connection).await?;
            let path = format!("{}/bookings/{id}", self.account);
            self.api.send(connection, "DELETE", &path, "", 200).await?;
            // Not at the end, where it would be taken again at once.
            self.open.borrow_mut().insert(0, start_time);
            Ok(())
        })
        .map(drop)
    }
}

/// Messages that are held back in a round: of a booking and its end, to each endpoint.
fn held_back() -> u64 {
    (2 * HELD_BACK * ENDPOINTS) as u64
}

fn per_booking(cpu: Duration, booked: &Booked) -> f64 {
    cpu.as_secs_f64() * 1e6 / booked.latencies.len() as f64
}
