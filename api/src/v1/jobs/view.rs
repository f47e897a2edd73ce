//! Jobs as callers see them.

use agentcal_engine::model::{Job, JobKind, JobState};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::instant::rfc3339;

/// What kind of thing is to be done.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = JobKind)]
pub(super) enum KindWire {
    /// Send a mail.
    Mail,
    /// Tell an organization of its own affairs, by mail.
    Notice,
    /// Tell that a booking begins soon.
    Reminder,
    /// Tell that a booking's time is over.
    Completed,
    /// Write a booking to a host's calendar; listed here once it was given up.
    Writeback,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = JobState)]
pub(super) enum StateWire {
    /// Will be done when it is due, or is being done.
    Pending,
    /// Was done, or came to be of no use; `last_outcome` says which.
    Done,
    /// Given up.
    Dead,
}

/// What follows from a booking, or tells an organization of its own affairs, and is due at a time.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = Job)]
pub(super) struct JobView {
    /// Its id.
    #[schema(example = "job_01kaj2wz5rfv8t6xg3m9c1nq4d")]
    id: String,
    /// In whose account it follows from something.
    account_id: String,
    /// The booking it follows from; null where it follows from something else.
    #[schema(required = true)]
    booking_id: Option<String>,
    /// What is to be done.
    kind: KindWire,
    /// Where it stands.
    state: StateWire,
    /// When it is due; null where it is not any more. While it is being done, when it counts as lost.
    #[schema(required = true, format = DateTime)]
    due_at: Option<String>,
    /// Tries so far, since it was last asked for.
    attempts: u32,
    /// What the last try came to; null before the first.
    #[schema(required = true)]
    last_outcome: Option<String>,
    /// When it was made; of a writeback, when it was last given up.
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        let is_pending = job.state == JobState::Pending;
        Self {
            id: job.id.to_string(),
            account_id: job.account_id.to_string(),
            booking_id: job.booking_id.map(|id| id.to_string()),
            kind: match job.kind {
                JobKind::Mail => KindWire::Mail,
                JobKind::Notice => KindWire::Notice,
                JobKind::Reminder => KindWire::Reminder,
                JobKind::Completed => KindWire::Completed,
                JobKind::Writeback => KindWire::Writeback,
            },
            state: match job.state {
                JobState::Pending => StateWire::Pending,
                JobState::Done => StateWire::Done,
                JobState::Dead => StateWire::Dead,
            },
            due_at: is_pending.then(|| rfc3339(job.due_at, Tz::UTC)),
            attempts: job.attempts,
            last_outcome: job.last_outcome,
            created_at: rfc3339(job.created_at, Tz::UTC),
        }
    }
}
