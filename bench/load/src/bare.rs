//! The ceiling: a bare axum route that answers with bytes recorded from the program, chosen by the query. Runs as a
//! process of its own, with as many threads as the program has.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use crate::drive::Target;
use crate::questions::recorded_part;

/// Answers by path and query, without the part that differs from request to request.
pub(crate) type Answers = BTreeMap<String, String>;

/// The route in its own process; killed on drop.
pub(crate) struct Bare {
    child: Child,
    address: SocketAddr,
}

impl Bare {
    /// Starts this very program as the bare route over some answers.
    pub(crate) fn start(answers: &Answers, file: &Path) -> Result<Self, String> {
        let failed = |error: io::Error| format!("the bare route did not start: {error}");
        let write = || serde_json::to_writer(BufWriter::new(File::create(file)?), answers).map_err(io::Error::other);
        write().map_err(failed)?;
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.arg("bare").arg(file).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("the bare route has no output")?;
        BufReader::new(output).read_line(&mut line).map_err(failed)?;
        let mut bare = Self { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) };
        bare.address = line.trim().parse().map_err(|error| format!("the bare route said {line:?}: {error}"))?;
        Ok(bare)
    }

    /// Where it listens, and its process.
    pub(crate) fn target(&self) -> Target {
        Target { address: self.address, pid: self.child.id() }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves answers until killed; says where on standard output.
pub(crate) fn serve(file: &Path) -> io::Result<()> {
    let answers: Answers = serde_json::from_reader(BufReader::new(File::open(file)?))?;
    let answers: HashMap<String, Bytes> = answers.into_iter().map(|(key, body)| (key, body.into())).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(cores).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let mut output = io::stdout();
        writeln!(output, "{}", listener.local_addr()?)?;
        output.flush()?;
        let route = Router::new().route("/v1/accounts/{account_id}/availability", get(answer));
        let listener = listener.tap_io(|stream| {
            // As the program does; if it cannot be set, answers come later and the figures are worse for it.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, route.with_state(Arc::new(answers))).await
    })
}

async fn answer(State(answers): State<Arc<HashMap<String, Bytes>>>, uri: Uri) -> Response {
    let query = uri.path_and_query().map_or("", |whole| whole.as_str());
    match answers.get(recorded_part(query)) {
        Some(body) => ([(CONTENT_TYPE, "application/json")], body.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
