//! What a node weighs that has many calendars connected and some of them awake.

use std::cell::Cell;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use agentcal_engine::time::{DAY_US, Timestamp};

use crate::connection::Connection;
use crate::data::{CALENDARS_PER_PERSON, Callers, Data};
use crate::drive::{Amount, closed_loop};
use crate::node::Node;
use crate::process::resident_mib;
use crate::progress::Progress;
use crate::report::{Row, Target};
use crate::summary::Summary;

/// Calendars that are woken.
const AWAKE: usize = 10_000;
/// People who read them.
pub(crate) const CALLERS: usize = AWAKE / CALENDARS_PER_PERSON;
/// Most it may weigh with all of them, in MiB.
const AT_MOST_MIB: f64 = 500.0;
const CONNECTIONS: usize = 16;
const DAYS: i64 = 7;
/// An hour: nobody is asked about who was synced longer ago.
const STALENESS_MS: u64 = 3_600_000;
/// Longest wait for one person's answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long the node is left alone before it is weighed.
const IDLE_FOR: Duration = Duration::from_secs(3);

/// Weighs the node asleep; asks about people until so many calendars are awake; weighs it again.
pub(crate) fn measure(data: &Data, callers: &Callers, binary: &Path, progress: &Progress) -> Result<Vec<Row>, String> {
    let node = Node::start(binary, data)?;
    progress.step("weighing a node that has 100,000 calendars asleep");
    let asleep = weigh(&node)?;
    progress.step("waking 10,000 of them");
    let woken = Cell::new(0);
    let count = Amount::Count(callers.people.len() as u64);
    closed_loop(node.target(), CONNECTIONS, count, async |connection: &mut _, n| {
        wake(connection, callers, data.first_day, n).await?;
        woken.set(woken.get() + 1);
        progress.detail(format!("waking people: {} of {}", woken.get(), callers.people.len()));
        Ok(())
    })?;
    let awake = weigh(&node)?;
    let (ceiling, target) = (Some(mib(AT_MOST_MIB)?), Some(Target::AtMost(1.0)));
    Ok(vec![
        Row { name: "memory_100k_asleep", value: mib(asleep)?, unit: "MiB", ceiling: None, target: None },
        Row { name: "memory_10k_awake", value: mib(awake)?, unit: "MiB", ceiling, target },
    ])
}

fn mib(value: f64) -> Result<Summary, String> {
    Summary::of(vec![value]).ok_or_else(|| "nothing was measured".to_owned())
}

fn weigh(node: &Node) -> Result<f64, String> {
    thread::sleep(IDLE_FOR);
    resident_mib(node.target().pid).ok_or_else(|| "the system does not say what a process weighs".to_owned())
}

/// Asks about one person until the answer is complete, which says that all their calendars are awake and known.
async fn wake(connection: &mut Connection, callers: &Callers, first_day: Timestamp, n: u64) -> Result<(), String> {
    let (account_id, user_id) = callers.people[n as usize];
    let date = |after: i64| first_day.plus_micros(after * DAY_US).to_utc().date_naive();
    let request = format!(
        "GET /v1/accounts/{account_id}/availability?user_id={user_id}&duration_minutes=30&start_date={}&end_date={}\
         &max_staleness_ms={STALENESS_MS} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\n\r\n",
        date(0),
        date(DAYS - 1),
        callers.secret_key,
    );
    let begun = Instant::now();
    loop {
        let reply =
            connection.exchange(request.as_bytes()).await.map_err(|error| format!("a question failed: {error}"))?;
        let text = String::from_utf8_lossy(reply.body);
        if reply.status == 200 && text.contains("\"state\":\"complete\"") {
            return Ok(());
        }
        if begun.elapsed() > ANSWER_WITHIN {
            return Err(format!("a question was answered with status {}: {text}", reply.status));
        }
    }
}
