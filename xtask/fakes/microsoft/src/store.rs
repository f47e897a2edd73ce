//! What the fake remembers.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentcal_fake_kit::{Clock, Quota};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::identity::Identity;
use crate::reply::{Reply, not_found};
use crate::times::{Fields, Span};
use crate::zones::zone_of;

/// How the fake behaves where Graph's documents leave room, or change with the years.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Rounds send of an occurrence only when it is; the rest stands with its series.
    pub bare_occurrences: bool,
    /// Rounds send series besides their occurrences.
    pub sends_series: bool,
    /// A transaction whose event was deleted makes no other one.
    pub remembers_transactions: bool,
    /// Longest life of a subscription.
    pub subscription_minutes_max: i64,
    /// How long a link to the next round works.
    pub round_days_max: i64,
    /// Events of a page where the caller names no number, and at most.
    pub page_len: (usize, usize),
    /// Most requests about one mailbox that are under way.
    pub mailbox_at_once: usize,
    /// What becomes of events that ask for an online meeting.
    pub online_meetings: OnlineMeetings,
}

/// What becomes of events that ask for an online meeting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnlineMeetings {
    /// They have one at once.
    #[default]
    AtOnce,
    /// They have one once [`crate::FakeGraph::make_online_meetings`] says so.
    Later,
    /// The mailbox has no such thing, as personal ones have no Teams for business.
    Never,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            bare_occurrences: true,
            sends_series: true,
            remembers_transactions: true,
            subscription_minutes_max: 10_080,
            round_days_max: 30,
            page_len: (10, 1_000),
            mailbox_at_once: 4,
            online_meetings: OnlineMeetings::AtOnce,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) clock: Clock,
    pub(crate) behaviour: Behaviour,
    pub(crate) mailboxes: BTreeMap<String, Mailbox>,
    pub(crate) identity: Identity,
    pub(crate) subscriptions: BTreeMap<String, Subscription>,
    /// Rounds that ended or go on, by number.
    pub(crate) rounds: BTreeMap<u64, Round>,
    /// Mailboxes whose requests are under way.
    pub(crate) under_way: BTreeMap<String, usize>,
    /// Most that were under way about one mailbox, and requests refused for being too many.
    pub(crate) most_under_way: usize,
    pub(crate) refused_at_once: u64,
    /// Online meetings that were asked for.
    pub(crate) online_meetings: u64,
    pub(crate) quota: Quota,
    /// Changes nobody was told of yet: mailbox, calendar, event, what happened.
    pub(crate) changes: Vec<Change>,
    counter: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) address: String,
    pub(crate) calendar: String,
    pub(crate) event: String,
    pub(crate) what: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    pub(crate) address: String,
    pub(crate) display_name: String,
    /// As Windows names it.
    pub(crate) timezone: String,
    pub(crate) calendars: Vec<Calendar>,
    /// Transactions that made an event once.
    pub(crate) transactions: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Calendar {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) can_edit: bool,
    pub(crate) events: BTreeMap<String, Event>,
}

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: String,
    /// Grows with every change.
    pub(crate) change: u64,
    pub(crate) created: DateTime<Utc>,
    pub(crate) modified: DateTime<Utc>,
    pub(crate) fields: Fields,
    pub(crate) exceptions: BTreeMap<NaiveDate, Exception>,
}

#[derive(Clone, Debug)]
pub(crate) enum Exception {
    Deleted,
    Changed { fields: Fields, change: u64 },
}

#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) calendar: String,
    pub(crate) fields: Fields,
    pub(crate) expires_at: DateTime<Utc>,
}

/// What a round has told, or is telling.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) address: String,
    pub(crate) calendar: String,
    pub(crate) within: Span,
    pub(crate) began_at: DateTime<Utc>,
    /// The number of the last change it knows of.
    pub(crate) change: u64,
    /// Every row in the window, and its version.
    pub(crate) rows: Arc<BTreeMap<String, String>>,
    /// Rows to be told in this round, in order.
    pub(crate) told: Arc<Vec<String>>,
}

impl Store {
    pub(crate) fn new(clock: Clock) -> Self {
        let quota = Quota::new(10_000, std::time::Duration::from_secs(600));
        Self {
            clock,
            behaviour: Behaviour::default(),
            mailboxes: BTreeMap::new(),
            identity: Identity::default(),
            subscriptions: BTreeMap::new(),
            rounds: BTreeMap::new(),
            under_way: BTreeMap::new(),
            most_under_way: 0,
            refused_at_once: 0,
            online_meetings: 0,
            quota,
            changes: Vec::new(),
            counter: 0,
        }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// A number that was not given before.
    pub(crate) fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// The number of the last change.
    pub(crate) fn last_change(&self) -> u64 {
        self.counter
    }

    pub(crate) fn mailbox(&self, address: &str) -> Result<&Mailbox, Reply> {
        self.mailboxes.get(address).ok_or_else(not_found)
    }

    pub(crate) fn mailbox_mut(&mut self, address: &str) -> Result<&mut Mailbox, Reply> {
        self.mailboxes.get_mut(address).ok_or_else(not_found)
    }

    pub(crate) fn calendar(&self, address: &str, id: &str) -> Result<&Calendar, Reply> {
        self.mailbox(address)?.calendars.iter().find(|calendar| calendar.id == id).ok_or_else(not_found)
    }

    pub(crate) fn calendar_mut(&mut self, address: &str, id: &str) -> Result<&mut Calendar, Reply> {
        let mailbox = self.mailbox_mut(address)?;
        mailbox.calendars.iter_mut().find(|calendar| calendar.id == id).ok_or_else(not_found)
    }

    pub(crate) fn changed(&mut self, address: &str, calendar: &str, event: &str, what: &'static str) {
        self.changes.push(Change {
            address: address.to_owned(),
            calendar: calendar.to_owned(),
            event: event.to_owned(),
            what,
        });
    }

    /// Forgets rounds that are too old to be continued.
    pub(crate) fn forget_rounds(&mut self) {
        let oldest = self.now() - TimeDelta::days(self.behaviour.round_days_max);
        self.rounds.retain(|_, round| round.began_at >= oldest);
    }
}

impl Mailbox {
    pub(crate) fn zone(&self) -> Tz {
        zone_of(&self.timezone).unwrap_or(Tz::UTC)
    }

    /// The calendar an event is in.
    pub(crate) fn calendar_of(&self, event: &str) -> Option<&Calendar> {
        self.calendars.iter().find(|calendar| calendar.events.contains_key(event))
    }
}
