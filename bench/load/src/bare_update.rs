//! What a notification is compared with: a bare axum route that does one SQL update, forced to disk, in a file of its own. Runs
//! as a process of its own, with as many threads as the program has.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::extract::{Path as PathOf, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::serve::ListenerExt;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::net::TcpListener;

use crate::connection::Connection;
use crate::drive::Target;

/// The route in its own process; killed on drop.
pub(crate) struct BareUpdate {
    child: Child,
    address: SocketAddr,
}

impl BareUpdate {
    /// Starts this very program as the route, over a new file with so many rows.
    pub(crate) fn start(file: &Path, rows: usize) -> Result<Self, String> {
        let failed = |error: io::Error| format!("the bare update did not start: {error}");
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.arg("bare-update").arg(file).args(["--rows", &rows.to_string()]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("the bare update has no output")?;
        let mut bare = Self { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) };
        BufReader::new(output).read_line(&mut line).map_err(failed)?;
        bare.address = line.trim().parse().map_err(|error| format!("the bare update said {line:?}: {error}"))?;
        Ok(bare)
    }

    /// Where it listens, and its process.
    pub(crate) fn target(&self) -> Target {
        Target { address: self.address, pid: self.child.id() }
    }

    /// Has a row updated.
    pub(crate) async fn update(&self, connection: &mut Connection, row: u64) -> Result<(), String> {
        let request = format!("POST /{row} HTTP/1.1\r\nHost: bench\r\nContent-Length: 0\r\n\r\n");
        let reply = connection.exchange(request.as_bytes()).await;
        let reply = reply.map_err(|error| format!("a bare update failed: {error}"))?;
        if reply.status == 204 { Ok(()) } else { Err(format!("a bare update was answered with {}", reply.status)) }
    }
}

impl Drop for BareUpdate {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until killed; says where on standard output.
pub(crate) fn serve(file: &Path, rows: i64) -> Result<(), String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(cores).enable_all().build();
    runtime.map_err(|error| format!("no runtime: {error}"))?.block_on(async {
        let pool = open(file, rows).await.map_err(|error| format!("{}: {error}", file.display()))?;
        listen(pool).await.map_err(|error| format!("the bare update ended: {error}"))
    })
}

/// As durable as the program's own store.
async fn open(file: &Path, rows: i64) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    sqlx::query("CREATE TABLE bells (id INTEGER PRIMARY KEY, rung INTEGER NOT NULL)").execute(&pool).await?;
    let mut filling = pool.begin().await?;
    for id in 0..rows {
        sqlx::query("INSERT INTO bells (id, rung) VALUES ($1, 0)").bind(id).execute(&mut *filling).await?;
    }
    filling.commit().await?;
    Ok(pool)
}

async fn listen(pool: SqlitePool) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut output = io::stdout();
    writeln!(output, "{}", listener.local_addr()?)?;
    output.flush()?;
    let route = Router::new().route("/{id}", post(update)).with_state(pool);
    let listener = listener.tap_io(|stream| {
        // As the program does; if it cannot be set, answers come later and the figures are worse for it.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, route).await
}

async fn update(State(pool): State<SqlitePool>, PathOf(id): PathOf<i64>) -> StatusCode {
    let update = sqlx::query("UPDATE bells SET rung = rung + 1 WHERE id = $1").bind(id);
    match update.execute(&pool).await {
        Ok(done) if done.rows_affected() == 1 => StatusCode::NO_CONTENT,
        Ok(_) => StatusCode::NOT_FOUND,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
