//! The ceiling of deliveries: reqwest in a loop, in a process of its own, with as many threads as the program has.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::task::JoinSet;

use crate::process::cpu_time;
use crate::receiver::{Message, url};

/// What is sent, and how much at once.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Sending {
    /// Where the endpoints are
    pub(crate) authority: String,
    /// How many there are
    #[arg(long)]
    pub(crate) endpoints: usize,
    /// How many messages are under way to each
    #[arg(long)]
    pub(crate) at_once: usize,
    /// How many messages in all
    #[arg(long)]
    pub(crate) count: u64,
}

/// Starts this very program as the sender of one message, again and again, and waits for its end: what processor time it used.
pub(crate) fn run(sending: &Sending, message: &Message, file: &Path) -> Result<Duration, String> {
    let failed = |error: std::io::Error| format!("the sender did not start: {error}");
    serde_json::to_writer(File::create(file).map_err(failed)?, message).map_err(|error| error.to_string())?;
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.arg("send").arg(file).arg(&sending.authority);
    command.args(["--endpoints", &sending.endpoints.to_string(), "--at-once", &sending.at_once.to_string()]);
    command.args(["--count", &sending.count.to_string()]).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().map_err(failed)?;
    if !output.status.success() {
        return Err(format!("the sender failed ({})", output.status));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let micros = said.trim().parse().map_err(|error| format!("the sender said {said:?}: {error}"))?;
    Ok(Duration::from_micros(micros))
}

/// Sends, says how many microseconds of a processor that took, and ends.
pub(crate) fn send(file: &Path, sending: &Sending) -> Result<(), String> {
    let in_words = |error: std::io::Error| format!("{}: {error}", file.display());
    let message: Message =
        serde_json::from_reader(File::open(file).map_err(in_words)?).map_err(|error| error.to_string())?;
    // Nothing here is encrypted, but a client is not made without. Somebody else's is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(cores).enable_all().build();
    let before = cpu_time(std::process::id())?;
    runtime.map_err(in_words)?.block_on(loops(&message, sending))?;
    println!("{}", (cpu_time(std::process::id())? - before).as_micros());
    Ok(())
}

async fn loops(message: &Message, sending: &Sending) -> Result<(), String> {
    let client = reqwest::Client::builder().build().map_err(|error| error.to_string())?;
    let headers = headers(message)?;
    let sent = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for n in 0..sending.endpoints * sending.at_once {
        let (client, headers, sent) = (client.clone(), headers.clone(), Arc::clone(&sent));
        let (url, body, count) = (url(&sending.authority, n % sending.endpoints), message.body.clone(), sending.count);
        tasks.spawn(async move {
            while sent.fetch_add(1, Ordering::Relaxed) < count {
                let request = client.post(&url).headers(headers.clone()).body(body.clone());
                let answer = request.send().await.and_then(reqwest::Response::error_for_status);
                answer.map_err(|error| error.to_string())?.bytes().await.map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(())
        });
    }
    tasks.join_all().await.into_iter().collect()
}

fn headers(message: &Message) -> Result<HeaderMap, String> {
    let header = |(name, value): (&String, &String)| {
        let name: HeaderName = name.parse().map_err(|_error| format!("{name} is no header"))?;
        Ok((name, HeaderValue::try_from(value).map_err(|_error| format!("{value} is no header's value"))?))
    };
    message.headers.iter().map(header).collect()
}
