//! The connections: bounded waits, quick refusals while Redis is away, and every command counted.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentcal_engine::ports::CacheError;
use fred::clients::{Client, Pool};
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, EventInterface};
use fred::types::config::Options;
use fred::types::scripts::Script;
use fred::types::{ClusterHash, CustomCommand, Value};
use fred::util::redis_keyslot;
use tokio::time::Instant;

use crate::breaker::Breaker;
use crate::config::{ConfigError, RedisConfig};
use crate::metrics;

/// The longest a broken-off connection is waited for before it counts as its own problem.
const RECONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Connections of two kinds, so that a question never stands behind a burst of writes.
pub(crate) struct Link {
    readers: Pool,
    writers: Pool,
    options: Options,
    breaker: Arc<Breaker>,
    reconnecting: Arc<Reconnecting>,
    last_error: Arc<Mutex<Option<String>>>,
}

impl Link {
    /// Begins to connect, and returns at once. Runs inside a tokio runtime.
    pub(crate) fn open(config: &RedisConfig) -> Result<Self, ConfigError> {
        let builder = config.builder()?;
        let pool = || builder.build_pool(config.connections.max(1)).map_err(ConfigError);
        let options = Options { fail_fast: true, timeout: Some(config.command_timeout), ..Default::default() };
        let link = Self {
            readers: pool()?,
            writers: pool()?,
            options,
            breaker: Arc::default(),
            reconnecting: Arc::default(),
            last_error: Arc::default(),
        };
        for client in link.readers.clients().iter().chain(link.writers.clients()) {
            link.watch(client);
            client.connect();
        }
        Ok(link)
    }

    /// Waits until all connections stand.
    pub(crate) async fn ready(&self, within: Duration) -> Result<(), CacheError> {
        let connected = async {
            self.readers.wait_for_connect().await?;
            self.writers.wait_for_connect().await
        };
        match tokio::time::timeout(within, connected).await {
            Ok(result) => result.map_err(|error| unavailable(&error)),
            Err(_elapsed) => Err(CacheError::Unavailable(self.why_down())),
        }
    }

    /// What the last attempt to connect ended with.
    pub(crate) fn why_down(&self) -> String {
        let last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone().unwrap_or_else(|| "no connection yet".to_owned())
    }

    /// Sends a command that reads.
    pub(crate) async fn read(&self, name: &'static str, args: Vec<Value>) -> Result<Value, CacheError> {
        self.send(name, self.readers.next_connected(), ClusterHash::FirstKey, args).await
    }

    /// Sends a command that names no key, to any server.
    pub(crate) async fn read_anywhere(&self, name: &'static str, args: Vec<Value>) -> Result<Value, CacheError> {
        self.send(name, self.readers.next_connected(), ClusterHash::Random, args).await
    }

    /// Sends a command that writes, and takes no more than the key.
    pub(crate) async fn write(&self, name: &'static str, key: String) -> Result<Value, CacheError> {
        self.send(name, self.writer(&key), ClusterHash::FirstKey, vec![Value::from(key)]).await
    }

    /// The connection for all writes of a key, and of a shard: a server performs what comes over one in the order in which it was
    /// sent, and what comes over two in any. So a withdrawal never overtakes what was published before it.
    ///
    /// While that connection is away its writes are refused, though the other may stand: what went over the other could be
    /// overtaken in its turn as soon as this one is back. Whoever was refused knows it, and tries again.
    fn writer(&self, key: &str) -> &Client {
        let clients = self.writers.clients();
        &clients[usize::from(redis_keyslot(key.as_bytes())) % clients.len()]
    }

    async fn send(
        &self,
        name: &'static str,
        client: &Client,
        hash: ClusterHash,
        args: Vec<Value>,
    ) -> Result<Value, CacheError> {
        let command = CustomCommand::new_static(name, hash, false);
        self.guarded(name, client, async || client.with_options(&self.options).custom(command, args).await).await
    }

    /// Has a script performed on one key. Sent by its hash; whole where the server has forgotten it.
    pub(crate) async fn perform(
        &self,
        name: &'static str,
        script: &Script,
        key: String,
        args: Vec<Value>,
    ) -> Result<Value, CacheError> {
        let client = self.writer(&key);
        self.guarded(name, client, async || {
            match self.evaluate(client, "EVALSHA", hash_of(script), &key, args.clone()).await {
                Err(error) if error.details().starts_with("NOSCRIPT") => {
                    self.evaluate(client, "EVAL", text_of(script), &key, args).await
                }
                result => result,
            }
        })
        .await
    }

    /// The same, sent whole at once: a second attempt would come after what was sent meanwhile.
    pub(crate) async fn perform_in_turn(
        &self,
        name: &'static str,
        script: &Script,
        key: String,
        args: Vec<Value>,
    ) -> Result<Value, CacheError> {
        let client = self.writer(&key);
        self.guarded(name, client, async || self.evaluate(client, "EVAL", text_of(script), &key, args).await).await
    }

    async fn evaluate(
        &self,
        client: &Client,
        command: &'static str,
        script: Value,
        key: &str,
        args: Vec<Value>,
    ) -> Result<Value, Error> {
        // Said by number: fred looks at the first argument otherwise, which is the script.
        let slot = ClusterHash::Custom(redis_keyslot(key.as_bytes()));
        // Not fred's own `evalsha`: that one lets nothing else onto the connection until it is answered.
        let command = CustomCommand::new_static(command, slot, false);
        let head = [script, Value::from(1), Value::from(key)];
        let args: Vec<Value> = head.into_iter().chain(args).collect();
        client.with_options(&self.options).custom(command, args).await
    }

    async fn guarded(
        &self,
        name: &'static str,
        client: &Client,
        send: impl AsyncFnOnce() -> Result<Value, Error>,
    ) -> Result<Value, CacheError> {
        let began = Instant::now();
        if !client.is_connected() || !self.breaker.admits(began) {
            metrics::refused(name);
            return Err(CacheError::Unavailable(self.why_down()));
        }
        let result = send().await;
        metrics::answered(name, result.is_ok(), began.elapsed());
        match &result {
            Err(error) if is_silence(error) => self.failed(client, error),
            _ => self.breaker.succeeded(),
        }
        result.map_err(|error| unavailable(&error))
    }

    fn failed(&self, client: &Client, error: &Error) {
        if self.breaker.failed(Instant::now()) {
            tracing::warn!(error = %error, "redis does not answer; going on without the fact cache");
        }
        if *error.kind() == ErrorKind::Timeout {
            self.drop_connection(client.clone());
        }
    }

    /// A late answer must not be taken for another's: after a time-out the connection is made anew, each one that had any.
    fn drop_connection(&self, client: Client) {
        if !self.reconnecting.begin(&client) {
            return;
        }
        let reconnecting = Arc::clone(&self.reconnecting);
        tokio::spawn(async move {
            // Whether it succeeds shows in the connection's state; fred goes on trying by itself.
            let _ = tokio::time::timeout(RECONNECT_WITHIN, client.force_reconnection()).await;
            reconnecting.end(&client);
        });
    }

    fn watch(&self, client: &Client) {
        let (last_error, breaker) = (Arc::clone(&self.last_error), Arc::clone(&self.breaker));
        // Both end with their client.
        client.on_error(move |(error, _server)| {
            *last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            async { Ok(()) }
        });
        client.on_reconnect(move |_server| {
            metrics::reconnected();
            breaker.succeeded();
            async { Ok(()) }
        });
    }

    /// Ends all connections.
    pub(crate) async fn close(&self) {
        // What cannot be told good-bye is gone already.
        let _ = self.readers.quit().await;
        let _ = self.writers.quit().await;
    }
}

/// Which connections are being made anew, by their clients' names: many commands on one may time out together.
#[derive(Default)]
struct Reconnecting(Mutex<BTreeSet<String>>);

impl Reconnecting {
    /// Whether this one was not among them.
    fn begin(&self, client: &Client) -> bool {
        self.names().insert(client.id().to_owned())
    }

    fn end(&self, client: &Client) {
        self.names().remove(client.id());
    }

    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash_of(script: &Script) -> Value {
    Value::from(script.sha1().clone())
}

fn text_of(script: &Script) -> Value {
    Value::from(script.lua().cloned().expect("made from its text"))
}

/// Whether nobody answered, as opposed to an answer that says no.
fn is_silence(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Timeout | ErrorKind::IO | ErrorKind::Canceled | ErrorKind::Backpressure | ErrorKind::Routing
    )
}

fn unavailable(error: &Error) -> CacheError {
    CacheError::Unavailable(error.to_string())
}
