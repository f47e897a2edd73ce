//! A node's connection to a disk.

use std::future::pending;
use std::time::Duration;

use agentcal_engine::ports::StoreError;

use crate::disk::{Access, Disk, Fate};
use crate::line::{Line, Severed, Way};
use crate::state::{Done, Present, State, Work};

/// A shorthand of this crate.
pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Longest time a transaction waits for a way that is broken.
const PATIENCE: Duration = Duration::from_secs(5);

/// One node's connection to a [`Disk`]: the store port.
#[derive(Clone, Debug)]
pub struct SimStore {
    disk: Disk,
    endurance: Endurance,
    writer: u32,
    line: Line,
}

/// What becomes of a connection in a crash of the disk.
#[derive(Clone, Copy, Debug)]
enum Endurance {
    /// It is over, and nothing asked through it is ever answered.
    Life(u64),
    /// What is under way fails, and what is asked afterwards is answered.
    Lasting,
}

/// Why a simulated store did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing happened.
    #[error("the simulated store could not be reached")]
    Unreachable,
    /// Nobody can say whether anything happened.
    #[error("the simulated store did not say whether it committed")]
    InDoubt,
    /// A constraint that no caller may run into refused the write.
    #[error("the simulated store refuses {0}")]
    Refused(&'static str),
}

/// The error of a write that a constraint refuses which stands for a bug in whoever writes.
pub(crate) fn refused(what: &'static str) -> StoreError {
    unavailable(Fault::Refused(what))
}

fn unavailable(fault: Fault) -> StoreError {
    StoreError::Unavailable(Box::new(fault))
}

impl SimStore {
    pub(crate) fn new(disk: Disk, life: u64) -> Self {
        Self { disk, endurance: Endurance::Life(life), writer: 0, line: Line::default() }
    }

    pub(crate) fn lasting(disk: Disk, writer: u32, line: Line) -> Self {
        Self { disk, endurance: Endurance::Lasting, writer, line }
    }

    /// The disk it is connected to.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Lets nothing through from now on: what is asked waits, and happens when [`Self::resume`] is called. As for a node
    /// that is paused.
    pub fn hold(&self) {
        self.line.set(Way::Held);
    }

    /// Lets everything through again, what waits first.
    pub fn resume(&self) {
        self.line.set(Way::Open);
    }

    /// Whether whoever asks does not run. What it was about to send then leaves when it runs again, even if it would no
    /// longer wait for the answer.
    pub(crate) fn is_held(&self) -> bool {
        self.line.way() == Way::Held
    }

    /// A transaction that reads one state of the store.
    pub(crate) async fn read<T>(&self, look: impl FnOnce(&State, &Present) -> T) -> Result<T> {
        self.go().await?;
        let life = self.life();
        let course = self.disk.course(Access::Read);
        pause(course.before).await;
        let seen = match course.fate {
            Some(_) => Err(unavailable(Fault::Unreachable)),
            None => match self.disk.look(life, look) {
                Ok(seen) => Ok(seen),
                Err(_crashed) => self.lost().await,
            },
        };
        self.answer(life, seen, course.after).await
    }

    /// A transaction that writes.
    pub(crate) async fn write<T>(&self, transaction: impl FnOnce(&mut Work<'_>) -> Result<Done<T>>) -> Result<T> {
        self.go().await?;
        let life = self.life();
        let course = self.disk.course(Access::Write);
        pause(course.before).await;
        let performed = match course.fate {
            Some(Fate::Unavailable) => Err(unavailable(Fault::Unreachable)),
            Some(Fate::DoubtLost) => Err(unavailable(Fault::InDoubt)),
            Some(Fate::DoubtPerformed) | None => match self.disk.perform(life, self.writer, transaction) {
                Ok(performed) => performed,
                Err(_crashed) => self.lost().await,
            },
        };
        let answer = match course.fate {
            Some(Fate::DoubtPerformed) => Err(unavailable(Fault::InDoubt)),
            _ => performed,
        };
        self.answer(life, answer, course.after).await
    }

    async fn go(&self) -> Result<()> {
        self.line.go(PATIENCE).await.map_err(|Severed| unavailable(Fault::Unreachable))
    }

    fn life(&self) -> u64 {
        match self.endurance {
            Endurance::Life(life) => life,
            Endurance::Lasting => self.disk.life(),
        }
    }

    /// What is heard of a transaction that a crash met.
    async fn lost<T>(&self) -> Result<T> {
        match self.endurance {
            Endurance::Life(_) => pending().await,
            Endurance::Lasting => Err(unavailable(Fault::InDoubt)),
        }
    }

    /// The answer, when its time has come and the way back is open.
    async fn answer<T>(&self, life: u64, answer: Result<T>, after: Duration) -> Result<T> {
        pause(after).await;
        self.line.come_back(PATIENCE).await.map_err(|Severed| unavailable(Fault::InDoubt))?;
        if self.disk.lives(life) { answer } else { self.lost().await }
    }
}

async fn pause(length: Duration) {
    if !length.is_zero() {
        tokio::time::sleep(length).await;
    }
}
