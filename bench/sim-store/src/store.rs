//! A node's connection to a disk.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agentcal_engine::ports::StoreError;
use tokio::sync::Notify;

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
    line: Line,
}

/// The way to the disk. Clones of a connection share it.
#[derive(Clone, Debug, Default)]
struct Line(Arc<LineState>);

#[derive(Debug, Default)]
struct LineState {
    is_held: AtomicBool,
    changed: Notify,
}

impl Line {
    async fn passable(&self) {
        while self.0.is_held.load(Ordering::SeqCst) {
            let mut resumed = pin!(self.0.changed.notified());
            // Waits from here on, so that a change between the look and the wait is not missed.
            resumed.as_mut().enable();
            if self.0.is_held.load(Ordering::SeqCst) {
                resumed.await;
            }
        }
    }
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
        Self { disk, life, line: Line::default() }
    }

    /// The disk it is connected to.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Lets nothing through from now on: what is asked waits, and happens when [`Self::resume`] is called. As for a node
    /// that is paused, or cut off from its store.
    pub fn hold(&self) {
        self.line.0.is_held.store(true, Ordering::SeqCst);
    }

    /// Lets everything through again, what waits first.
    pub fn resume(&self) {
        self.line.0.is_held.store(false, Ordering::SeqCst);
        self.line.0.changed.notify_waiters();
    }

    /// A transaction that reads one state of the store.
    pub(crate) async fn read<T>(&self, look: impl FnOnce(&State, &Present) -> T) -> Result<T> {
        self.line.passable().await;
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
        self.line.passable().await;
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
