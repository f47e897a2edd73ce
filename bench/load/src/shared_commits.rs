//! Bookings on a PostgreSQL that nodes share, over HTTP, against pgbench that makes the same call on the same server.

use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::drive::Sample;
use crate::market::{Market, Open, open_times};
use crate::pgbench::{Pgbench, Who, Whose};
use crate::process::at_rest;
use crate::progress::Progress;
use crate::report::{Row, Target};
use crate::run::{Effort, wait_for_syncs};
use crate::series::Series;
use crate::summary::Summary;

const CLIENTS: u32 = 16;
/// Least share of what pgbench does.
const SPREAD_AT_LEAST: f64 = 0.6;
const HOT_AT_LEAST: f64 = 0.8;
/// Bookings for one hot person in a round; then it is the next one's turn, since nobody has more open times.
const HOT_DEEDS: usize = 250;
/// Longest wait until every booking stands in its calendar.
const WRITTEN_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What one kind of load came to.
#[derive(Default)]
struct Measured {
    program: Series,
    pgbench: Vec<f64>,
    /// Bookings a second, counted until every one of them stands in its calendar.
    written: Vec<f64>,
}

/// Measures both kinds side by side.
pub(crate) fn measure(cluster: &Cluster, effort: Effort, progress: &Progress) -> Result<Vec<Row>, String> {
    let node = cluster.nodes().first().ok_or("no node was started")?;
    progress.step("waiting for syncs, and looking for open times");
    wait_for_syncs(&cluster.data, node)?;
    let market = Market::new(node.target(), &cluster.data);
    let mut open = open_times(node.target(), &cluster.data, &cluster.data.people)?;
    let mut open_at_home = open_times(node.target(), &cluster.data, &cluster.data.at_home)?;
    // Connections, caches and prepared statements are warm before anything counts.
    for open in [&mut open, &mut open_at_home] {
        market.deal(CLIENTS as usize, &in_turn(open, 500)?, Market::book)?;
    }
    written(cluster)?;
    let record = some_record(cluster)?;
    let pgbench = Pgbench::new(cluster, Who::InSandbox, record.clone())?;
    let pgbench_at_home = Pgbench::new(cluster, Who::AtHome, record)?;
    // Set aside first: rounds of many people leave nobody enough.
    let of_round = |_| (0..effort.hot_people).map(|_| of_one(&mut open)).collect::<Result<Vec<_>, _>>();
    let lots_of_hot_people = (0..effort.rounds).map(of_round).collect::<Result<Vec<_>, _>>()?;
    let (mut spread, mut at_home, mut hot) = (Measured::default(), Measured::default(), Measured::default());
    for (round, hot_people) in (1..).zip(lots_of_hot_people) {
        at_rest(node.target().pid)?;
        progress.step(format!("round {round}: bookings on PostgreSQL"));
        let used = in_turn(&mut open, effort.shared_deeds)?;
        spread.push(book(cluster, &market, &[used])?);
        at_rest(node.target().pid)?;
        progress.step(format!("round {round}: the same by pgbench"));
        spread.pgbench.push(pgbench.run(Whose::Everybodys { clients: CLIENTS }, round, effort.span)?);
        progress.step(format!("round {round}: bookings of people whose calendar is ours"));
        let used = in_turn(&mut open_at_home, effort.shared_deeds)?;
        at_rest(node.target().pid)?;
        at_home.push(book(cluster, &market, &[used])?);
        at_rest(node.target().pid)?;
        progress.step(format!("round {round}: the same by pgbench"));
        at_home.pgbench.push(pgbench_at_home.run(Whose::Everybodys { clients: CLIENTS }, round, effort.span)?);
        progress.step(format!("round {round}: bookings of one hot person"));
        at_rest(node.target().pid)?;
        hot.push(book(cluster, &market, &hot_people)?);
        at_rest(node.target().pid)?;
        progress.step(format!("round {round}: the same by pgbench"));
        hot.pgbench.push(pgbench.run(Whose::Ones, round + effort.rounds, effort.span)?);
    }
    Ok([
        spread.rows("commits_pg_rps", "commits_pg_cpu", SPREAD_AT_LEAST)?,
        spread.written_row("commits_pg_written_rps")?,
        at_home.rows("commits_pg_home_rps", "commits_pg_home_cpu", SPREAD_AT_LEAST)?,
        hot.rows("commits_pg_hot_rps", "commits_pg_hot_cpu", HOT_AT_LEAST)?,
        hot.written_row("commits_pg_hot_written_rps")?,
    ]
    .concat())
}

impl Measured {
    fn push(&mut self, (sample, written): (Sample, Duration)) {
        self.program.push(sample);
        self.written.push(sample.done as f64 / (sample.took + written).as_secs_f64());
    }

    fn rows(&self, rate: &'static str, cpu: &'static str, at_least: f64) -> Result<Vec<Row>, String> {
        let (value, ceiling) = (self.program.of(Sample::per_second)?, Some(summary(&self.pgbench)?));
        let target = Some(Target::AtLeast(at_least));
        Ok(vec![
            Row { name: rate, value, unit: "bookings/s", ceiling, target },
            Row { name: cpu, value: self.program.of(Sample::cpu_us)?, unit: "us/booking", ceiling: None, target: None },
        ])
    }

    fn written_row(&self, name: &'static str) -> Result<Vec<Row>, String> {
        let (value, ceiling) = (summary(&self.written)?, Some(summary(&self.pgbench)?));
        Ok(vec![Row { name, value, unit: "bookings/s", ceiling, target: None }])
    }
}

fn summary(values: &[f64]) -> Result<Summary, String> {
    Summary::of(values.to_vec()).ok_or_else(|| "nothing was measured".to_owned())
}

/// Books one lot after the other; how it went, and how long it took from there until all of them stand in their calendars.
fn book(cluster: &Cluster, market: &Market, lots: &[Vec<Open>]) -> Result<(Sample, Duration), String> {
    let mut whole = Sample { done: 0, took: Duration::ZERO, cpu: Duration::ZERO };
    for lot in lots {
        let sample = market.deal(CLIENTS as usize, lot, Market::book)?;
        whole.done += sample.done;
        whole.took += sample.took;
        whole.cpu += sample.cpu;
    }
    let begun = Instant::now();
    written(cluster)?;
    Ok((whole, begun.elapsed()))
}

/// Waits until every booking stands in its calendar.
fn written(cluster: &Cluster) -> Result<(), String> {
    let begun = Instant::now();
    while cluster.ask("SELECT EXISTS (SELECT 1 FROM writebacks WHERE state = 'pending')") == "t" {
        if begun.elapsed() > WRITTEN_WITHIN {
            return Err(cluster.told("bookings did not reach their calendars"));
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// A decision record as the program keeps them.
fn some_record(cluster: &Cluster) -> Result<String, String> {
    let record = cluster.ask("SELECT record FROM decisions WHERE booking_id IS NOT NULL LIMIT 1");
    if record.is_empty() { Err("the program kept no record of a decision".to_owned()) } else { Ok(record) }
}

/// The next open times, person after person in turn.
fn in_turn(people: &mut [Vec<Open>], count: usize) -> Result<Vec<Open>, String> {
    let mut taken = Vec::with_capacity(count);
    while taken.len() < count {
        let before = taken.len();
        taken.extend(people.iter_mut().filter_map(Vec::pop).take(count - before));
        if taken.len() == before {
            return Err("there are too few open times in the data set for so many rounds".to_owned());
        }
    }
    Ok(taken)
}

/// Open times of whoever has the most left.
fn of_one(people: &mut [Vec<Open>]) -> Result<Vec<Open>, String> {
    let most = people.iter_mut().max_by_key(|open| open.len()).filter(|open| open.len() >= HOT_DEEDS);
    let most = most.ok_or("nobody has enough open times in the data set")?;
    Ok(most.split_off(most.len() - HOT_DEEDS))
}
