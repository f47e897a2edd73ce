//! Answers kept under idempotency keys: written in the transaction they guard.

use std::time::Duration;

use agentcal_engine::commit::{IdempotencyKey, IdempotentAnswer};
use agentcal_engine::ids::{AccountId, OrganizationId};
use agentcal_engine::ports::Write;

use super::{AnswerRow, Present, State, UsedCommit, Work};
use crate::settings::Planted;

/// How long an answer is kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Whose an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    Account(AccountId),
    Organization(OrganizationId),
}

/// What is kept under a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nothing, or nothing that still counts.
    Nothing,
    /// The answer to the same request.
    Answer(Vec<u8>),
    /// The answer to another request.
    OtherRequest,
}

impl Kept {
    /// What it means for a write; `None`: go on.
    pub(crate) fn answered(self) -> Option<Write> {
        match self {
            Self::Nothing => None,
            Self::Answer(answer) => Some(Write::Replayed(answer)),
            Self::OtherRequest => Some(Write::IdempotencyMismatch),
        }
    }
}

/// What is kept under a key by its keeper.
pub(crate) fn kept(state: &State, keeper: Keeper, key: &IdempotencyKey, present: &Present) -> Kept {
    let row = match keeper {
        Keeper::Account(id) => state.account(id).and_then(|rows| rows.answers.get(&key.scope)),
        Keeper::Organization(id) => state.globals.answers.get(&(id, key.scope)),
    };
    let counts = |row: &&AnswerRow| row.created_at > present.now - KEPT_FOR;
    match row.filter(counts) {
        _ if present.planted.contains(&Planted::ForgetIdempotency) => Kept::Nothing,
        None => Kept::Nothing,
        Some(row) if row.fingerprint == key.fingerprint => Kept::Answer(row.answer.clone()),
        Some(_) => Kept::OtherRequest,
    }
}

/// Keeps an answer; one too old to count makes room.
pub(crate) fn keep(work: &mut Work<'_>, keeper: Keeper, idempotent: &IdempotentAnswer) {
    let IdempotentAnswer { key, answer } = idempotent;
    let row = AnswerRow { fingerprint: key.fingerprint, answer: answer.clone(), created_at: work.now() };
    match keeper {
        Keeper::Account(id) => {
            if let Some(rows) = work.account_mut(id) {
                rows.answers.insert(key.scope, row);
            }
        }
        Keeper::Organization(id) => {
            work.globals().answers.insert((id, key.scope), row);
        }
    }
}

/// Deletes answers that no longer count, at most `limit`; returns how many.
pub(crate) fn forget_old(work: &mut Work<'_>, limit: u32) -> u64 {
    let until = work.now() - KEPT_FOR;
    let is_old = |row: &AnswerRow| row.created_at <= until;
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut forgotten = 0;
    let is_used_long_ago = |used: &UsedCommit| used.used_at <= until;
    let with_old = |rows: &super::AccountRows| {
        rows.answers.values().any(is_old) || rows.used_commits.values().any(is_used_long_ago)
    };
    let ids: Vec<AccountId> = work.state().all_rows().filter(|(_, rows)| with_old(rows)).map(|(id, _)| id).collect();
    for id in ids {
        let Some(rows) = work.account_mut(id) else { continue };
        let mut old = rows.answers.keys_where(is_old);
        old.truncate(left);
        let gone = rows.answers.remove_all(&old);
        (left, forgotten) = (left - gone, forgotten + gone);
        let used = rows.used_commits.keys_where(is_used_long_ago);
        rows.used_commits.remove_all(&used);
    }
    let globals = work.globals();
    let mut old = globals.answers.keys_where(is_old);
    old.truncate(left);
    forgotten += globals.answers.remove_all(&old);
    u64::try_from(forgotten).unwrap_or(u64::MAX)
}
