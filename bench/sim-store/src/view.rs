//! What a store holds, for checkers: nothing here takes time, fails or changes anything.

use agentcal_engine::commit::{IdempotencyKey, RevisionKey};
use agentcal_engine::ids::{AccountId, BookingId, CalendarId, OrganizationId};
use agentcal_engine::model::{Account, Booking, Claim, DecisionRecord, Event, Hold};
use agentcal_engine::ports::{AccountConfig, CalendarRecord, NodeRecord, Ownership};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::Timestamp;

use crate::state::{AccountRows, AnswerRow, CommitNote, State, bookings, config, sync};

/// One state of a store, as committed at one instant. Everything comes in the order of ids.
#[derive(Clone, Debug)]
pub struct View {
    state: State,
    now: Timestamp,
}

/// Whose a kept answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnswerOwner {
    /// Of a route inside an account.
    Account(AccountId),
    /// Of a route above accounts.
    Organization(OrganizationId),
}

/// An answer kept under an idempotency key, whether it still counts or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Whose it is.
    pub owner: AnswerOwner,
    /// Which request it answers.
    pub key: IdempotencyKey,
    /// The answer, as in [`agentcal_engine::commit::IdempotentAnswer::answer`].
    pub answer: Vec<u8>,
    /// When it was kept, by the store's clock.
    pub created_at: Timestamp,
}

impl View {
    pub(crate) fn new(state: State, now: Timestamp) -> Self {
        Self { state, now }
    }

    /// The store's clock at that instant.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The epoch that writers of an account must hold.
    pub fn epoch_of(&self, account_id: AccountId) -> Epoch {
        self.state.globals.epoch_of(account_id)
    }

    /// All accounts.
    pub fn accounts(&self) -> Vec<Account> {
        self.state.all_rows().map(|(_, rows)| rows.account.clone()).collect()
    }

    /// Everything configured in an account.
    pub fn config(&self, account_id: AccountId) -> Option<AccountConfig> {
        self.state.account(account_id).map(config::account_config)
    }

    /// A calendar, with its connection and where its sync stands.
    pub fn calendar(&self, account_id: AccountId, calendar_id: CalendarId) -> Option<CalendarRecord> {
        sync::calendar_record(self.state.account(account_id)?, calendar_id, self.epoch_of(account_id), self.now)
    }

    /// Claims of an account, expired ones included.
    pub fn claims(&self, account_id: AccountId) -> Vec<Claim> {
        self.of(account_id, |rows| rows.claims.values().cloned().collect())
    }

    /// Claims of all accounts, expired ones included.
    pub fn all_claims(&self) -> Vec<Claim> {
        self.state.all_rows().flat_map(|(_, rows)| rows.claims.values().cloned()).collect()
    }

    /// Bookings of an account.
    pub fn bookings(&self, account_id: AccountId) -> Vec<Booking> {
        self.of(account_id, all_bookings)
    }

    /// Bookings of all accounts.
    pub fn all_bookings(&self) -> Vec<Booking> {
        self.state.all_rows().flat_map(|(_, rows)| all_bookings(rows)).collect()
    }

    /// A booking.
    pub fn booking(&self, account_id: AccountId, booking_id: BookingId) -> Option<Booking> {
        bookings::load(self.state.account(account_id)?, booking_id)
    }

    /// Holds of an account, in their stored state.
    pub fn holds(&self, account_id: AccountId) -> Vec<Hold> {
        self.of(account_id, |rows| rows.holds.values().cloned().collect())
    }

    /// Holds of all accounts, in their stored state.
    pub fn all_holds(&self) -> Vec<Hold> {
        self.state.all_rows().flat_map(|(_, rows)| rows.holds.values().cloned()).collect()
    }

    /// What the account's commits told of, in the order of ids.
    pub fn events(&self, account_id: AccountId) -> Vec<Event> {
        self.state.account(account_id).map(|rows| rows.events.values().cloned().collect()).unwrap_or_default()
    }

    /// Decision records of an account.
    pub fn decisions(&self, account_id: AccountId) -> Vec<DecisionRecord> {
        self.of(account_id, |rows| rows.decisions.values().cloned().collect())
    }

    /// Answers kept for routes inside an account.
    pub fn answers(&self, account_id: AccountId) -> Vec<KeptAnswer> {
        self.of(account_id, |rows| account_answers(account_id, rows))
    }

    /// All kept answers: those of routes above accounts first.
    pub fn all_answers(&self) -> Vec<KeptAnswer> {
        let above = self.state.globals.answers.iter().map(|(&(organization_id, scope), row)| {
            kept_answer(AnswerOwner::Organization(organization_id), scope, row)
        });
        above.chain(self.state.all_rows().flat_map(|(id, rows)| account_answers(id, rows))).collect()
    }

    /// The revision of a row of an account.
    pub fn revision(&self, account_id: AccountId, key: RevisionKey) -> Option<u64> {
        self.state.account(account_id)?.revision(key)
    }

    /// Who owns each shard, by its number, and the nodes whose lease has not run out, ascending.
    pub fn ownership(&self) -> (Vec<Ownership>, Vec<NodeRecord>) {
        let globals = &self.state.globals;
        let live = globals.nodes.values().filter(|member| member.expires_at > self.now);
        (globals.shards.to_vec(), live.map(|member| member.record.clone()).collect())
    }

    /// Who wrote in an account, from a number on; the oldest are forgotten after some hundred.
    pub fn notes(&self, account_id: AccountId, from: u64) -> Vec<CommitNote> {
        let late = |rows: &AccountRows| rows.notes.values().filter(|note| note.number >= from).cloned().collect();
        self.of(account_id, late)
    }

    /// Whether bookings, claims, holds and kept answers of an account are certainly the same in another view.
    pub fn sold_the_same(&self, account_id: AccountId, other: &Self) -> bool {
        match (self.state.account(account_id), other.state.account(account_id)) {
            (Some(rows), Some(others)) => {
                rows.bookings.is(&others.bookings)
                    && rows.claims.is(&others.claims)
                    && rows.holds.is(&others.holds)
                    && rows.answers.is(&others.answers)
            }
            (rows, others) => rows.is_none() == others.is_none(),
        }
    }

    fn of<T>(&self, account_id: AccountId, look: impl FnOnce(&AccountRows) -> Vec<T>) -> Vec<T> {
        self.state.account(account_id).map(look).unwrap_or_default()
    }
}

fn all_bookings(rows: &AccountRows) -> Vec<Booking> {
    rows.bookings.values().map(|booking| bookings::with_standing(rows, booking)).collect()
}

fn account_answers(account_id: AccountId, rows: &AccountRows) -> Vec<KeptAnswer> {
    let answers = rows.answers.iter();
    answers.map(|(&scope, row)| kept_answer(AnswerOwner::Account(account_id), scope, row)).collect()
}

fn kept_answer(owner: AnswerOwner, scope: [u8; 32], row: &AnswerRow) -> KeptAnswer {
    let key = IdempotencyKey { scope, fingerprint: row.fingerprint };
    KeptAnswer { owner, key, answer: row.answer.clone(), created_at: row.created_at }
}
