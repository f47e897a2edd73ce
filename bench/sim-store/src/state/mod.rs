//! Everything a store holds, as values, and the transactions on it.

pub(crate) mod answers;
pub(crate) mod bookings;
pub(crate) mod calendars;
pub(crate) mod claims;
pub(crate) mod config;
pub(crate) mod frame;
pub(crate) mod holds;
pub(crate) mod lists;
pub(crate) mod mailboxes;
mod notes;
pub(crate) mod revisions;
pub(crate) mod sync;
pub(crate) mod table;
pub(crate) mod tenants;
pub(crate) mod users;
pub(crate) mod work;
pub(crate) mod writebacks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use agentcal_engine::commit::RevisionKey;
use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ids::{
    AccountId, BookingId, CalendarId, ClaimId, ConnectionId, DecisionId, EventId, EventTypeId, HoldId, KeyId,
    OrganizationId, UserId,
};
use agentcal_engine::model::{
    Account, ApiKey, AvailabilityRules, Booking, Calendar, Claim, Connection, DecisionRecord, Event, EventType,
    ExternalState, Hold, Organization, User, WritebackState,
};
use agentcal_engine::ports::{
    ChangeCounters, KeptCredentials, NodeRecord, Ownership, SandboxEvent, SyncState, WatchRecord, WrittenEvent,
};
use agentcal_engine::shard::{Epoch, NodeId, SHARD_COUNT, Shard};
use agentcal_engine::time::{TimeRange, Timestamp};
use uuid::Uuid;

use crate::settings::Planted;
pub use notes::CommitNote;
pub(crate) use notes::{note_commit, note_sync};
pub(crate) use table::Table;
pub(crate) use work::{Done, Work};

/// Everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) globals: Globals,
    pub(crate) accounts: BTreeMap<AccountId, Arc<AccountRows>>,
    /// Whose each calendar is; no calendar id is used twice.
    pub(crate) calendar_owners: BTreeMap<CalendarId, AccountId>,
}

/// What stands above accounts.
#[derive(Clone, Debug)]
pub(crate) struct Globals {
    pub(crate) nodes: Table<NodeId, Member>,
    /// Who owns each shard, by its number.
    pub(crate) shards: Arc<Vec<Ownership>>,
    /// Raised by every change of an owner or an epoch.
    pub(crate) map_version: u64,
    pub(crate) changes: ChangeCounters,
    pub(crate) organizations: Table<OrganizationId, Organization>,
    pub(crate) keys: Table<KeyId, ApiKey>,
    pub(crate) answers: Table<(OrganizationId, [u8; 32]), AnswerRow>,
}

/// A node and its lease.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) record: NodeRecord,
    pub(crate) expires_at: Timestamp,
}

impl Default for Globals {
    fn default() -> Self {
        let nobody = Ownership { owner: None, epoch: Epoch(0) };
        Self {
            nodes: Table::default(),
            shards: Arc::new(vec![nobody; usize::from(SHARD_COUNT)]),
            map_version: 1,
            changes: ChangeCounters::default(),
            organizations: Table::default(),
            keys: Table::default(),
            answers: Table::default(),
        }
    }
}

impl Globals {
    /// The ownership that writers of an account must hold.
    pub(crate) fn epoch_of(&self, account_id: AccountId) -> Epoch {
        self.ownership_of(account_id).epoch
    }

    /// Who owns an account's shard.
    pub(crate) fn ownership_of(&self, account_id: AccountId) -> Ownership {
        self.shards[usize::from(Shard::of(account_id).number())]
    }
}

/// What a connection is reached with.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) kept: KeptCredentials,
    /// Who owns the mailbox, where its provider said.
    pub(crate) subject: Option<String>,
}

/// Everything of one account. Deleting it deletes all of this.
#[derive(Clone, Debug)]
pub(crate) struct AccountRows {
    pub(crate) account: Account,
    pub(crate) revisions: BTreeMap<RevisionKey, u64>,
    pub(crate) connections: Table<ConnectionId, (Connection, Kept)>,
    pub(crate) calendars: Table<CalendarId, CalendarRow>,
    pub(crate) users: Table<UserId, (User, AvailabilityRules)>,
    pub(crate) event_types: Table<EventTypeId, (EventType, Option<AvailabilityRules>)>,
    /// Hosts' standing in their calendars is not kept here: it follows from `writebacks`.
    pub(crate) bookings: Table<BookingId, Booking>,
    pub(crate) claims: Table<ClaimId, Claim>,
    pub(crate) holds: Table<HoldId, Hold>,
    pub(crate) decisions: Table<DecisionId, DecisionRecord>,
    /// What commits told of. Nobody takes it away here: simulations have no endpoints.
    pub(crate) events: Table<EventId, Event>,
    pub(crate) writebacks: Table<(BookingId, CalendarId), WritebackRow>,
    pub(crate) answers: Table<[u8; 32], AnswerRow>,
    /// Ids of commits nobody may perform any more; whether they were performed.
    pub(crate) used_commits: Table<Uuid, UsedCommit>,
    /// When the last commit without an epoch was made.
    pub(crate) touched_at: Option<Timestamp>,
    /// Who wrote last, and by what right; by number.
    pub(crate) notes: Table<u64, CommitNote>,
}

/// A commit's id that was used up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsedCommit {
    pub(crate) is_performed: bool,
    pub(crate) used_at: Timestamp,
}

/// A calendar with what was found in it.
#[derive(Clone, Debug)]
pub(crate) struct CalendarRow {
    pub(crate) calendar: Calendar,
    pub(crate) watch: WatchRecord,
    /// `None` for internal calendars.
    pub(crate) sync: Option<SyncRow>,
    pub(crate) sandbox: BTreeMap<String, SandboxEvent>,
}

/// Where a calendar's sync stands, and the rows of every generation: instances by the name of their resource.
#[derive(Clone, Debug, Default)]
pub(crate) struct SyncRow {
    pub(crate) state: SyncState,
    /// Rows of the generation that counts are not those of the calendar's revision any more.
    pub(crate) rows_changed: bool,
    pub(crate) generations: BTreeMap<u64, Generation>,
}

/// Instances by the name of their resource.
pub(crate) type Generation = Table<String, Vec<ExternalInstance>>;

/// A booking in a calendar.
#[derive(Clone, Debug)]
pub(crate) struct WritebackRow {
    pub(crate) version: u64,
    pub(crate) state: WritebackState,
    pub(crate) attempts: u32,
    pub(crate) due_at: Timestamp,
    pub(crate) last_error: Option<String>,
    pub(crate) written: Option<(WrittenEvent, TimeRange)>,
    pub(crate) external_state: ExternalState,
}

/// An answer kept under an idempotency key.
#[derive(Clone, Debug)]
pub(crate) struct AnswerRow {
    pub(crate) fingerprint: [u8; 32],
    pub(crate) answer: Vec<u8>,
    pub(crate) created_at: Timestamp,
}

/// The present, as a transaction sees it.
#[derive(Clone, Debug)]
pub(crate) struct Present {
    /// The store's clock, read once.
    pub(crate) now: Timestamp,
    /// Whose connection it is.
    pub(crate) writer: u32,
    /// What is broken on purpose.
    pub(crate) planted: BTreeSet<Planted>,
}

impl State {
    pub(crate) fn account(&self, id: AccountId) -> Option<&AccountRows> {
        self.accounts.get(&id).map(|rows| &**rows)
    }

    /// Every account whose shard a node owns, or every account, with its rows.
    pub(crate) fn rows_of(&self, owner: Option<NodeId>) -> impl Iterator<Item = (AccountId, &AccountRows)> {
        let is_own = move |id| owner.is_none() || self.globals.ownership_of(id).owner == owner;
        self.all_rows().filter(move |&(id, _)| is_own(id))
    }

    /// Every account with its rows.
    pub(crate) fn all_rows(&self) -> impl Iterator<Item = (AccountId, &AccountRows)> {
        self.accounts.iter().map(|(&id, rows)| (id, &**rows))
    }
}

impl AccountRows {
    pub(crate) fn new(account: Account) -> Self {
        Self {
            account,
            revisions: BTreeMap::from([(RevisionKey::Config, revisions::FIRST)]),
            connections: Table::default(),
            calendars: Table::default(),
            users: Table::default(),
            event_types: Table::default(),
            bookings: Table::default(),
            claims: Table::default(),
            holds: Table::default(),
            decisions: Table::default(),
            events: Table::default(),
            writebacks: Table::default(),
            answers: Table::default(),
            used_commits: Table::default(),
            touched_at: None,
            notes: Table::default(),
        }
    }
}
