//! Questions about availability: how many a second against a bare route that returns the same bytes, what they cost in a
//! full store, and how long they take at half the maximum.

use hdrhistogram::Histogram;

use crate::drive::{Amount, Sample, Target as Driven, closed_loop, open_loop};
use crate::progress::Progress;
use crate::questions::Questions;
use crate::report::{Row, Target};
use crate::run::Stage;
use crate::series::Series;
use crate::summary::Summary;

/// Connections that ask at once.
pub(crate) const CONNECTIONS: usize = 64;
/// Requests before anything counts, so that connections, caches and branch predictors are warm.
const WARM_UP: Amount = Amount::Count(500);
/// Most a full store may cost: processor time per request against a store that holds a hundred calendars.
const CROWD_AT_MOST: f64 = 1.2;

/// A number of days that is asked about.
pub(crate) struct Window {
    /// So many days.
    pub(crate) days: i64,
    /// Different questions.
    pub(crate) questions: usize,
    /// What they are drawn from.
    pub(crate) seed: u64,
    /// Least share of the bare route's requests a second.
    pub(crate) at_least: f64,
}

/// Samples of one window, round by round.
#[derive(Default)]
struct Measured {
    node: Series,
    bare: Series,
}

/// Measures both windows, the crowd where there is one, and the latency of the first window.
pub(crate) fn measure(stage: &Stage, windows: &[Window; 2], progress: &Progress) -> Result<Vec<Row>, String> {
    progress.step("recording answers for the bare route");
    let sets =
        windows.each_ref().map(|window| Questions::draw(&stage.data, window.days, window.questions, window.seed));
    let bare = stage.bare(&sets.each_ref())?;
    let crowd = stage.crowded.as_ref().map(|(data, node)| {
        let window = &windows[0];
        (node.target(), Questions::draw(data, window.days, window.questions, window.seed))
    });
    let mut measured = [Measured::default(), Measured::default()];
    let mut crowded = Series::default();
    for round in 1..=stage.effort.rounds {
        for ((window, questions), measured) in windows.iter().zip(&sets).zip(&mut measured) {
            let says = |who: &str| progress.step(format!("round {round}: {} days, {who}", window.days));
            says("the program");
            measured.node.push(ask(stage, stage.node.target(), questions, round)?);
            says("a bare route");
            measured.bare.push(ask(stage, bare.target(), questions, round)?);
        }
        if let Some((target, questions)) = &crowd {
            progress.step(format!("round {round}: {} days, 100,000 calendars", windows[0].days));
            crowded.push(ask(stage, *target, questions, round)?);
        }
    }
    let [short, long] = &measured;
    let mut rows = vec![
        rate_row("availability_7d_rps", short, &windows[0])?,
        cpu_row("availability_7d_cpu", short)?,
        rate_row("availability_31d_rps", long, &windows[1])?,
        cpu_row("availability_31d_cpu", long)?,
    ];
    if crowd.is_some() {
        rows.push(Row {
            name: "availability_100k_calendars_cpu",
            value: crowded.of(Sample::cpu_us)?,
            unit: "us/request",
            ceiling: Some(short.node.of(Sample::cpu_us)?),
            target: Some(Target::AtMost(CROWD_AT_MOST)),
        });
    }
    progress.step(format!("latencies at half the maximum, {} days", windows[0].days));
    rows.extend(latency_rows(stage, &sets[0], short.node.of(Sample::per_second)?.median / 2.0)?);
    Ok(rows)
}

fn ask(stage: &Stage, target: Driven, questions: &Questions, round: u32) -> Result<Sample, String> {
    // Each round goes on where the one before ended, so that no request comes twice.
    let first = u64::from(round) << 32;
    let deed = async |connection: &mut _, n| questions.ask(connection, first + n).await;
    if round == 1 {
        closed_loop(target, CONNECTIONS, WARM_UP, deed)?;
    }
    closed_loop(target, CONNECTIONS, Amount::For(stage.effort.span), deed)
}

fn rate_row(name: &'static str, measured: &Measured, window: &Window) -> Result<Row, String> {
    Ok(Row {
        name,
        value: measured.node.of(Sample::per_second)?,
        unit: "requests/s",
        ceiling: Some(measured.bare.of(Sample::per_second)?),
        target: Some(Target::AtLeast(window.at_least)),
    })
}

fn cpu_row(name: &'static str, measured: &Measured) -> Result<Row, String> {
    Ok(Row {
        name,
        value: measured.node.of(Sample::cpu_us)?,
        unit: "us/request",
        ceiling: Some(measured.bare.of(Sample::cpu_us)?),
        target: None,
    })
}

fn latency_rows(stage: &Stage, questions: &Questions, per_second: f64) -> Result<Vec<Row>, String> {
    let deed = async |connection: &mut _, n| questions.ask(connection, n).await;
    let latencies = open_loop(stage.node.target(), CONNECTIONS, per_second, stage.effort.latency_span, deed)?;
    let row = |name, quantile| {
        let value = latency_ms(&latencies, quantile)?;
        Ok::<_, String>(Row { name, value, unit: "ms", ceiling: None, target: None })
    };
    Ok(vec![
        row("availability_7d_latency_p50", 0.5)?,
        row("availability_7d_latency_p99", 0.99)?,
        row("availability_7d_latency_p99_9", 0.999)?,
    ])
}

fn latency_ms(latencies: &Histogram<u64>, quantile: f64) -> Result<Summary, String> {
    let value_ms = latencies.value_at_quantile(quantile) as f64 / 1_000.0;
    Summary::of(vec![value_ms]).ok_or_else(|| "no latency was measured".to_owned())
}
