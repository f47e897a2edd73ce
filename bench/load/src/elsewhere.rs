//! Questions to a node about calendars that another owns, against those about its own.

use crate::availability::CONNECTIONS;
use crate::cluster::Cluster;
use crate::data::Person;
use crate::drive::{Amount, Sample, closed_loop};
use crate::progress::Progress;
use crate::questions::Questions;
use crate::report::{Row, Target};
use crate::run::{Effort, wait_for_syncs, wait_until};
use crate::series::Series;

/// Least share of the requests a second about calendars of its own.
const AT_LEAST: f64 = 0.5;
const DAYS: i64 = 7;
const QUESTIONS: usize = 1_000;
const SEED: u64 = 77;
const WARM_UP: Amount = Amount::Count(500);
/// Least people each of two nodes owns, before it is measured.
const PEOPLE_MIN: usize = 20;

/// Asks one node both kinds of questions, in turns.
pub(crate) fn measure(cluster: &Cluster, effort: Effort, progress: &Progress) -> Result<Vec<Row>, String> {
    let [asked, other, ..] = cluster.nodes() else { return Err("two nodes are needed".to_owned()) };
    progress.step("waiting until both nodes own calendars");
    let (own, others) = wait_until("the nodes did not share the shards", || {
        let (own, others) = (cluster.people_of(asked), cluster.people_of(other));
        let is_shared = own.len().min(others.len()) >= PEOPLE_MIN;
        (is_shared && own.len() + others.len() == cluster.data.people.len()).then_some((own, others))
    })?;
    wait_for_syncs(&cluster.data, other)?;
    wait_for_syncs(&cluster.data, asked)?;
    let draw = |people: &[Person]| Questions::draw_about(&cluster.data, people, (DAYS, QUESTIONS), SEED);
    let sets = [draw(&own), draw(&others)];
    let mut measured = [Series::default(), Series::default()];
    for round in 1..=effort.rounds {
        for ((questions, measured), whose) in sets.iter().zip(&mut measured).zip(["its own", "another's"]) {
            progress.step(format!("round {round}: questions to a node about {whose} calendars"));
            let first = u64::from(round) << 32;
            let deed = async |connection: &mut _, n| questions.ask(connection, first + n).await;
            if round == 1 {
                closed_loop(asked.target(), CONNECTIONS, WARM_UP, deed)?;
            }
            measured.push(closed_loop(asked.target(), CONNECTIONS, Amount::For(effort.span), deed)?);
        }
    }
    let [here, elsewhere] = &measured;
    let (rate, cpu) = (Sample::per_second, Sample::cpu_us);
    Ok(vec![
        Row {
            name: "availability_elsewhere_rps",
            value: elsewhere.of(rate)?,
            unit: "requests/s",
            ceiling: Some(here.of(rate)?),
            target: Some(Target::AtLeast(AT_LEAST)),
        },
        Row {
            name: "availability_elsewhere_cpu",
            value: elsewhere.of(cpu)?,
            unit: "us/request",
            ceiling: Some(here.of(cpu)?),
            target: None,
        },
    ])
}
