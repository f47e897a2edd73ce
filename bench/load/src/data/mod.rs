//! The data set that is measured on: seeded, so that everybody measures on the same, and dated from today, since nobody
//! books the past. Written straight through the store's port; the program is then started on it.

mod connected;
mod crowd;
mod people;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use agentcal_engine::ports::{Clock, Entropy, Store, Write};
use agentcal_engine::time::{DAY_US, TimeRange, Timestamp};
use agentcal_store_postgres::{OpenOptions as PostgresOptions, PostgresStore};
use agentcal_store_sqlite::{OpenOptions, SqliteStore};
use agentcal_store_vault::KeyRing;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) use connected::{Connected, FirstSync, Mailbox};
pub(crate) use crowd::{CALENDARS_PER_PERSON, Callers, Crowd, quick_place};
pub(crate) use people::Person;
use people::Written;

/// Names the data set; raised whenever something else is written for the same seed.
pub(crate) const NAME: &str = "sandbox-people-2";
/// What everything of chance in it is drawn from.
const SEED: u64 = 0x5eed_0001;
/// Days from tomorrow that have busy time to measure on.
pub(crate) const DAYS: i64 = 60;
/// Calendars whose people are asked about.
pub(crate) const CALENDARS: usize = people::ACCOUNTS * people::PEOPLE_PER_ACCOUNT;

const DATABASE_FILE: &str = "agentcal.db";
const KEYRING_FILE: &str = "keyring";

/// A data folder that a program can be started on, and whom to ask about there.
pub(crate) struct Data {
    folder: PathBuf,
    /// The database, as the program is told of it.
    pub(crate) database_url: String,
    pub(crate) keyring: String,
    pub(crate) secret_key: String,
    /// Those with a calendar in the sandbox.
    pub(crate) people: Vec<Person>,
    /// Those who have no other calendar than ours.
    pub(crate) at_home: Vec<Person>,
    /// Midnight, by UTC, before the first day that has busy time to measure on.
    pub(crate) first_day: Timestamp,
}

impl Data {
    /// Writes the people into a folder that is empty, or holds a crowd.
    pub(crate) async fn write(folder: &Path) -> Result<Self, String> {
        let keyring = keyring(folder)?;
        let store = open(folder, &keyring).await?;
        let database_url = format!("sqlite://{}", folder.join(DATABASE_FILE).display());
        let written = Self::write_to(&store, folder, keyring, database_url).await;
        store.close().await;
        written
    }

    /// Writes the people into an empty PostgreSQL database. The folder takes what else belongs to the data.
    pub(crate) async fn write_to_postgres(folder: &Path, database_url: String) -> Result<Self, String> {
        let text = keyring(folder)?;
        let ring = KeyRing::parse(&text).map_err(|error| error.to_string())?;
        let options =
            PostgresOptions::new(database_url.clone(), Arc::new(ring), Arc::new(Dice::new(SEED)) as Arc<dyn Entropy>);
        let store = PostgresStore::open(options).await.map_err(in_words)?;
        store.migrate().await.map_err(in_words)?;
        let written = Self::write_to(&store, folder, text, database_url).await;
        store.close().await;
        written
    }

    async fn write_to(store: &dyn Store, folder: &Path, keyring: String, database_url: String) -> Result<Self, String> {
        let now = SystemClock.now();
        let first_day = Timestamp::from_micros((now.as_micros() / DAY_US + 1) * DAY_US);
        let days = TimeRange { start: first_day, end: first_day.plus_micros(DAYS * DAY_US) };
        let Written { secret_key, people, at_home } = people::write(store, &Dice::new(SEED), now, days).await?;
        Ok(Self { folder: folder.to_owned(), database_url, keyring, secret_key, people, at_home, first_day })
    }

    /// A file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The keys of a folder; made with it.
fn keyring(folder: &Path) -> Result<String, String> {
    let file = folder.join(KEYRING_FILE);
    if let Ok(text) = fs::read_to_string(&file) {
        return Ok(text);
    }
    let text = KeyRing::generate("bench", &Dice::new(SEED)).to_secret_text().to_string();
    let failed = |error| format!("{}: {error}", file.display());
    fs::create_dir_all(folder).map_err(failed)?;
    fs::write(&file, &text).map_err(failed)?;
    Ok(text)
}

async fn open(folder: &Path, keyring: &str) -> Result<SqliteStore, String> {
    let keyring = KeyRing::parse(keyring).map_err(|error| error.to_string())?;
    let store = SqliteStore::open(OpenOptions {
        path: folder.join(DATABASE_FILE),
        keyring: Arc::new(keyring),
        entropy: Arc::new(Dice::new(SEED)),
        clock: Arc::new(SystemClock),
    });
    let store = store.await.map_err(in_words)?;
    store.migrate().await.map_err(in_words)?;
    Ok(store)
}

/// An error with its causes.
fn in_words(error: impl std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn done(what: &str, answer: Write) -> Result<(), String> {
    match answer {
        Write::Done => Ok(()),
        answer => Err(format!("the store did not take a row of {what}: {answer:?}")),
    }
}

/// The clock of the machine, on which the measured program runs too.
struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the program under measurement runs on the real clock, so this does too"
    )]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::EARLIEST + since_epoch
    }
}

/// Chance from a seed.
pub(crate) struct Dice(Mutex<ChaCha8Rng>);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(ChaCha8Rng::seed_from_u64(seed)))
    }

    /// A number below `bound`.
    pub(crate) fn below(&self, bound: usize) -> usize {
        let mut bytes = [0u8; 8];
        self.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % bound as u64) as usize
    }

    /// One of several.
    pub(crate) fn pick<T: Copy>(&self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// Puts values into an order of chance.
    pub(crate) fn shuffle<T>(&self, values: &mut [T]) {
        for place in (1..values.len()).rev() {
            values.swap(place, self.below(place + 1));
        }
    }
}

impl Entropy for Dice {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.lock().expect("nobody panics while drawing").fill_bytes(buffer);
    }
}
