//! One run of the whole benchmark.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::availability::{self, Window};
use crate::bare::{Answers, Bare};
use crate::cluster::Cluster;
use crate::commits;
use crate::connection::Connection;
use crate::data::{CALENDARS, Crowd, Data, quick_place};
use crate::drive::runtime;
use crate::effects;
use crate::elsewhere;
use crate::memory;
use crate::node::Node;
use crate::progress::Progress;
use crate::providers;
use crate::questions::Questions;
use crate::report::Report;
use crate::shared_commits;

/// Calendars in the store of the program with a crowd.
const CALENDARS_WITH_CROWD: usize = 100_000;
/// Longest wait until every calendar has synced.
const SYNC_WITHIN: Duration = Duration::from_secs(180);
/// Days and seed of the questions, and how many different ones.
const WINDOWS: [Window; 2] = [
    Window { days: 7, questions: 1_000, seed: 7, at_least: 0.5 },
    Window { days: 31, questions: 400, seed: 31, at_least: 0.45 },
];

/// What to run, and where.
pub(crate) struct Options {
    /// The program to measure.
    pub(crate) binary: PathBuf,
    /// Where data sets that are made once are kept.
    pub(crate) kept: PathBuf,
    /// What to measure.
    pub(crate) parts: Vec<Part>,
    /// How long.
    pub(crate) effort: Effort,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Questions about availability against a bare route, and their latency at half the maximum.
    Availability,
    /// The same questions with a hundred thousand calendars in the store.
    Crowd,
    /// Memory with a hundred thousand calendars connected, ten thousand of them awake.
    Memory,
    /// Holds, and holds confirmed, against plain bookings.
    Commits,
    /// Bookings with webhooks, mail and reminders against bookings without, and messages a second.
    Effects,
    /// Bookings on PostgreSQL, of many people and of one, against pgbench with the same call.
    Postgres,
    /// Questions to one of two nodes about calendars of the other.
    Nodes,
    /// Notifications of Google and Microsoft until what they are about is known, and what a first sync takes.
    Providers,
    /// Ten thousand calendars at Google and Microsoft, and what both count meanwhile.
    Connected,
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Rounds; in each, everything is measured once, side by side.
    pub(crate) rounds: u32,
    /// How long one thing is asked in one round.
    pub(crate) span: Duration,
    /// How long latencies are gathered.
    pub(crate) latency_span: Duration,
    /// Deeds of one kind in one round, for deeds that use up open times.
    pub(crate) deeds: u64,
    /// The same on PostgreSQL.
    pub(crate) shared_deeds: usize,
    /// People who are hot in one round, one after the other.
    pub(crate) hot_people: usize,
}

impl Effort {
    pub(crate) const QUICK: Self = Self {
        rounds: 3,
        span: Duration::from_secs(2),
        latency_span: Duration::from_secs(6),
        deeds: 600,
        shared_deeds: 2_000,
        hot_people: 3,
    };
    pub(crate) const FULL: Self = Self {
        rounds: 7,
        span: Duration::from_secs(5),
        latency_span: Duration::from_secs(30),
        deeds: 1_200,
        shared_deeds: 3_500,
        hot_people: 4,
    };
}

/// Everything that runs while it is measured.
pub(crate) struct Stage {
    pub(crate) data: Data,
    pub(crate) node: Node,
    pub(crate) crowded: Option<(Data, Node)>,
    pub(crate) effort: Effort,
    folder: TempDir,
}

/// Measures what was asked for.
pub(crate) fn run(options: &Options) -> Result<Report, String> {
    let has = |part| options.parts.contains(&part);
    let progress = Progress::of(steps(options));
    let mut rows = Vec::new();
    if has(Part::Availability) || has(Part::Crowd) || has(Part::Commits) {
        let stage = Stage::build(options, &progress)?;
        if has(Part::Availability) || has(Part::Crowd) {
            rows.extend(availability::measure(&stage, &WINDOWS, &progress).map_err(|error| stage.told(error))?);
        }
        if has(Part::Commits) {
            rows.extend(commits::measure(&stage, &progress).map_err(|error| stage.told(error))?);
        }
    }
    if has(Part::Memory) {
        let folder = tempfile::tempdir_in(quick_place(&std::env::temp_dir()));
        let folder = folder.map_err(|error| format!("no temporary folder: {error}"))?;
        let data = crowded_data(options, folder.path(), &progress)?;
        let callers = runtime()?.block_on(Crowd::callers(folder.path(), memory::CALLERS))?;
        rows.extend(memory::measure(&data, &callers, &options.binary, &progress)?);
    }
    if has(Part::Effects) {
        rows.extend(effects::measure(&options.binary, options.effort, &progress)?);
    }
    if has(Part::Postgres) {
        let mut cluster = Cluster::build(&options.binary, &progress)?;
        cluster.start_node()?;
        let measured = shared_commits::measure(&cluster, options.effort, &progress);
        rows.extend(measured.map_err(|error| cluster.told(&error))?);
    }
    if has(Part::Nodes) {
        // Of its own: bookings leave some people without an open time to answer with.
        let mut cluster = Cluster::build(&options.binary, &progress)?;
        cluster.start_node()?;
        cluster.start_node()?;
        let measured = elsewhere::measure(&cluster, options.effort, &progress);
        rows.extend(measured.map_err(|error| cluster.told(&error))?);
    }
    if has(Part::Providers) {
        rows.extend(providers::measure(&options.binary, options.effort, &progress)?);
    }
    if has(Part::Connected) {
        rows.extend(providers::measure_connected(&options.binary, &progress)?);
    }
    Ok(Report { rows })
}

fn steps(options: &Options) -> u64 {
    let rounds = u64::from(options.effort.rounds);
    let has = |part| u64::from(options.parts.contains(&part));
    let questions = has(Part::Availability).max(has(Part::Crowd));
    let alone = questions.max(has(Part::Commits));
    let shared = has(Part::Postgres) * (2 + 6 * rounds);
    let of_nodes = has(Part::Nodes) * (2 + 2 * rounds);
    let [providers, connected] = providers::steps(rounds);
    2 * alone
        + questions * (1 + 4 * rounds + 1)
        + has(Part::Crowd) * (2 + rounds)
        + has(Part::Memory) * 3
        + has(Part::Commits) * (1 + 3 * rounds)
        + has(Part::Effects) * (1 + 4 * rounds)
        + shared
        + of_nodes
        + has(Part::Providers) * providers
        + has(Part::Connected) * connected
}

impl Stage {
    fn build(options: &Options, progress: &Progress) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        progress.step("writing the data set");
        let data = runtime()?.block_on(Data::write(&folder.path().join("few")))?;
        let crowded = if options.parts.contains(&Part::Crowd) {
            Some(crowded(options, &folder.path().join("many"), progress)?)
        } else {
            None
        };
        progress.step("starting the program and waiting for its syncs");
        let node = Node::start(&options.binary, &data)?;
        wait_for_syncs(&data, &node)?;
        Ok(Self { data, node, crowded, effort: options.effort, folder })
    }

    /// A bare route that answers these questions as the program does.
    pub(crate) fn bare(&self, questions: &[&Questions]) -> Result<Bare, String> {
        let answers = runtime()?.block_on(async {
            let opened = Connection::open(self.node.target().address).await;
            let mut connection = opened.map_err(|error| format!("the program takes no connection: {error}"))?;
            let mut answers = Answers::new();
            for questions in questions {
                answers.extend(questions.record(&mut connection).await?);
            }
            Ok::<_, String>(answers)
        })?;
        Bare::start(&answers, &self.folder.path().join("answers.json"))
    }

    fn told(&self, error: String) -> String {
        let crowded = self.crowded.iter().map(|(_, node)| node.last_words());
        let logs: Vec<String> = std::iter::once(self.node.last_words()).chain(crowded).collect();
        format!("{error}\nthe program's last lines:\n{}", logs.join("\n"))
    }
}

fn crowded(options: &Options, folder: &Path, progress: &Progress) -> Result<(Data, Node), String> {
    let data = crowded_data(options, folder, progress)?;
    progress.step("starting the program on it");
    let node = Node::start(&options.binary, &data)?;
    wait_for_syncs(&data, &node)?;
    Ok((data, node))
}

/// The data set, in a folder that holds everybody else as well.
fn crowded_data(options: &Options, folder: &Path, progress: &Progress) -> Result<Data, String> {
    let others = CALENDARS_WITH_CROWD - CALENDARS;
    progress.step("writing a crowd of calendars");
    let told = |written| progress.detail(format!("writing a crowd: {written} of {others} calendars"));
    runtime()?.block_on(async {
        Crowd::of(&options.kept, others, told).await?.copy_to(folder)?;
        Data::write(folder).await
    })
}

/// Asks about everybody until all answers are complete.
pub(crate) fn wait_for_syncs(data: &Data, node: &Node) -> Result<(), String> {
    let questions = Questions::about_everybody(data, 7);
    let begun = Instant::now();
    runtime()?.block_on(async {
        for n in 0..questions.len() as u64 {
            loop {
                let opened = Connection::open(node.target().address).await;
                let mut connection = opened.map_err(|error| format!("the program takes no connection: {error}"))?;
                match questions.ask(&mut connection, n).await {
                    Ok(()) => break,
                    Err(error) if begun.elapsed() > SYNC_WITHIN => {
                        return Err(format!("the calendars did not sync: {error}\n{}", node.last_words()));
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        }
        Ok(())
    })
}

/// Looks until there is something to see.
pub(crate) fn wait_until<T>(otherwise: &str, look: impl FnMut() -> Option<T>) -> Result<T, String> {
    wait_until_within(SYNC_WITHIN, otherwise, look)
}

/// The same for what takes longer, or must not.
pub(crate) fn wait_until_within<T>(
    within: Duration,
    otherwise: &str,
    mut look: impl FnMut() -> Option<T>,
) -> Result<T, String> {
    let begun = Instant::now();
    loop {
        match look() {
            Some(seen) => return Ok(seen),
            None if begun.elapsed() > within => return Err(otherwise.to_owned()),
            None => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// Writes the report for programs, whole or not at all.
pub(crate) fn write(report: &Report, file: &Path) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", file.display());
    fs::create_dir_all(file.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    let half_written = file.with_extension("json.new");
    fs::write(&half_written, format!("{:#}\n", report.to_json())).map_err(failed)?;
    fs::rename(half_written, file).map_err(failed)
}
