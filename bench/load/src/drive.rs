//! Driving load: as fast as a number of connections can (closed loop), or at a fixed rate (open loop).

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use hdrhistogram::Histogram;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::connection::Connection;
use crate::process::cpu_time;

/// Longest latency told apart, in microseconds: a minute. Longer ones count as this.
const LATENCY_US_MAX: u64 = 60_000_000;

/// What is put under load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its process.
    pub(crate) pid: u32,
}

/// How much is asked in one go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Amount {
    /// Whatever can be done in this time.
    For(Duration),
    /// So many deeds.
    Count(u64),
}

/// What one go came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Deeds done.
    pub(crate) done: u64,
    /// Time it took.
    pub(crate) took: Duration,
    /// Processor time of the target meanwhile, in user and system together.
    pub(crate) cpu: Duration,
}

impl Sample {
    /// Deeds a second.
    pub(crate) fn per_second(&self) -> f64 {
        self.done as f64 / self.took.as_secs_f64()
    }

    /// Time between two deeds, in microseconds.
    pub(crate) fn us_per_deed(&self) -> f64 {
        1e6 / self.per_second()
    }

    /// The target's processor time per deed, in microseconds.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.done as f64
    }
}

/// Something that is done over a connection; `n` numbers the deeds of all connections, from 0.
pub(crate) trait Deed: AsyncFn(&mut Connection, u64) -> Result<(), String> {}

impl<F: AsyncFn(&mut Connection, u64) -> Result<(), String>> Deed for F {}

/// Each connection does one deed after the other. The first deed that fails ends it.
pub(crate) fn closed_loop(
    target: Target,
    connections: usize,
    amount: Amount,
    deed: impl Deed,
) -> Result<Sample, String> {
    runtime()?.block_on(async {
        let connections = connect(target.address, connections).await?;
        let numbers = Cell::new(0);
        let (begun, cpu_before) = (Instant::now(), cpu_time(target.pid)?);
        let worker = async |mut connection: Connection| {
            while amount.has_more(numbers.get(), begun) {
                deed(&mut connection, numbers.replace(numbers.get() + 1)).await?;
            }
            Ok::<_, String>(())
        };
        try_join_all(connections.into_iter().map(worker)).await?;
        let took = begun.elapsed();
        Ok(Sample { done: numbers.get(), took, cpu: cpu_time(target.pid)? - cpu_before })
    })
}

impl Amount {
    fn has_more(self, done: u64, begun: Instant) -> bool {
        match self {
            Self::For(span) => begun.elapsed() < span,
            Self::Count(count) => done < count,
        }
    }
}

/// Deeds are due at a fixed rate, whether or not those before are done. A latency is counted from the moment the deed
/// was due, so that a target that stands still is charged for everybody who would have come meanwhile. Latencies are in
/// microseconds.
pub(crate) fn open_loop(
    target: Target,
    connections: usize,
    per_second: f64,
    span: Duration,
    deed: impl Deed,
) -> Result<Histogram<u64>, String> {
    open_loop_without(target, connections, per_second, span, async |connection: &mut Connection, n| {
        deed(connection, n).await?;
        Ok(Duration::ZERO)
    })
}

/// The same, less what each deed says was somebody else's time.
pub(crate) fn open_loop_without(
    target: Target,
    connections: usize,
    per_second: f64,
    span: Duration,
    deed: impl AsyncFn(&mut Connection, u64) -> Result<Duration, String>,
) -> Result<Histogram<u64>, String> {
    runtime()?.block_on(async {
        let connections = connect(target.address, connections).await?;
        let (due, dues) = unbounded_channel();
        let pacer = thread::spawn(move || pace(per_second, span, &due));
        let latencies = answer_dues(connections, dues, deed).await;
        pacer.join().map_err(|_panic| "the pacer panicked".to_owned())?;
        latencies
    })
}

/// A deed that is due: its number, and when.
type Due = (u64, Instant);

/// Calls deeds out when they are due, until nobody listens any more. A thread of its own, because the timers of a runtime
/// are good to a millisecond only.
fn pace(per_second: f64, span: Duration, due: &UnboundedSender<Due>) {
    let begun = Instant::now();
    for n in 0..(span.as_secs_f64() * per_second) as u64 {
        let at = begun + Duration::from_secs_f64(n as f64 / per_second);
        thread::sleep(at.saturating_duration_since(Instant::now()));
        if due.send((n, at)).is_err() {
            return;
        }
    }
}

async fn answer_dues(
    connections: Vec<Connection>,
    dues: UnboundedReceiver<Due>,
    deed: impl AsyncFn(&mut Connection, u64) -> Result<Duration, String>,
) -> Result<Histogram<u64>, String> {
    let dues = Mutex::new(dues);
    let latencies = RefCell::new(new_histogram());
    let worker = async |mut connection: Connection| {
        while let Some((n, at)) = next_due(&dues).await {
            let others = deed(&mut connection, n).await?;
            let latency_us = u64::try_from(at.elapsed().saturating_sub(others).as_micros()).unwrap_or(u64::MAX);
            latencies.borrow_mut().saturating_record(latency_us);
        }
        Ok::<_, String>(())
    };
    try_join_all(connections.into_iter().map(worker)).await?;
    Ok(latencies.into_inner())
}

async fn next_due(dues: &Mutex<UnboundedReceiver<Due>>) -> Option<Due> {
    dues.lock().await.recv().await
}

pub(crate) fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("the bounds are in order")
}

async fn connect(address: SocketAddr, count: usize) -> Result<Vec<Connection>, String> {
    let opened = try_join_all((0..count).map(|_| Connection::open(address))).await;
    opened.map_err(|error| format!("{address} takes no connection: {error}"))
}

/// One thread: the cores belong to what is measured.
pub(crate) fn runtime() -> Result<Runtime, String> {
    Builder::new_current_thread().enable_all().build().map_err(|error| format!("no runtime: {error}"))
}
