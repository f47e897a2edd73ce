//! A node's connection to a disk.

use std::future::pending;
use std::time::Duration;

use agentcal_engine::ports::StoreError;

use crate::disk::{Access, Disk, Fate};
use crate::state::{Done, Present, State, Work};

/// A shorthand of this crate.
pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

/// One node's connection to a [`Disk`]: the store port. After a crash of the disk nothing asked through it is ever
/// answered.
#[derive(Clone, Debug)]
pub struct SimStore {
    disk: Disk,
    life: u64,
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
        Self { disk, life }
    }

    /// The disk it is connected to.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// A transaction that reads one state of the store.
    pub(crate) async fn read<T>(&self, look: impl FnOnce(&State, &Present) -> T) -> Result<T> {
        let course = self.disk.course(Access::Read);
        pause(course.before).await;
        let seen = match course.fate {
            Some(_) => Err(unavailable(Fault::Unreachable)),
            None => match self.disk.look(self.life, look) {
                Ok(seen) => Ok(seen),
                Err(_crashed) => pending().await,
            },
        };
        self.answer(seen, course.after).await
    }

    /// A transaction that writes.
    pub(crate) async fn write<T>(&self, transaction: impl FnOnce(&mut Work<'_>) -> Result<Done<T>>) -> Result<T> {
        let course = self.disk.course(Access::Write);
        pause(course.before).await;
        let performed = match course.fate {
            Some(Fate::Unavailable) => Err(unavailable(Fault::Unreachable)),
            Some(Fate::DoubtLost) => Err(unavailable(Fault::InDoubt)),
            Some(Fate::DoubtPerformed) | None => match self.disk.perform(self.life, transaction) {
                Ok(performed) => performed,
                Err(_crashed) => pending().await,
            },
        };
        let answer = match course.fate {
            Some(Fate::DoubtPerformed) => Err(unavailable(Fault::InDoubt)),
            _ => performed,
        };
        self.answer(answer, course.after).await
    }

    /// The answer, when its time has come; never, if the disk crashed meanwhile.
    async fn answer<T>(&self, answer: Result<T>, after: Duration) -> Result<T> {
        pause(after).await;
        if self.disk.lives(self.life) { answer } else { pending().await }
    }
}

async fn pause(length: Duration) {
    if !length.is_zero() {
        tokio::time::sleep(length).await;
    }
}
