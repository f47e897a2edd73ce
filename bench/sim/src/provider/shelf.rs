//! One calendar at a provider, with its history.

use std::collections::{BTreeMap, BTreeSet};

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ids::BookingId;
use agentcal_engine::ports::{
    EventWrite, Oddities, ProviderError, ResourceChange, SyncCursor, SyncMode, SyncNext, SyncPage, SyncRequest,
    WriteOutcome, WrittenEvent,
};
use agentcal_engine::time::{TimeRange, Timestamp};

use super::Shown;
use super::watches::Watches;

/// What a person does to a calendar.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// Puts an event in; several instances make a series.
    Put {
        /// Its name; that of an event that is there changes it.
        name: String,
        /// When.
        instances: Vec<TimeRange>,
        /// Whether it blocks.
        blocks: bool,
    },
    /// Deletes an event, ours or not.
    Delete {
        /// Its name.
        name: String,
    },
    /// Moves an event of ours.
    MoveOurs {
        /// Its name.
        name: String,
        /// Where to.
        range: TimeRange,
    },
}

/// Busy time of people in a calendar, as it truly was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BusySpan {
    pub(crate) range: TimeRange,
    /// Since when the provider tells it.
    pub(crate) since: Timestamp,
    /// When it told otherwise.
    pub(crate) until: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Entry {
    instances: Vec<TimeRange>,
    blocks: bool,
    booking_id: Option<BookingId>,
    is_deleted: bool,
    /// Whether a person deleted it.
    by_person: bool,
    /// The change that made it as it is.
    change: u64,
    /// Where its instances stand among the busy spans.
    spans: Vec<usize>,
}

/// A calendar.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    entries: BTreeMap<String, Entry>,
    changes: u64,
    /// Cursors below this are no longer known.
    oldest_cursor: u64,
    untold: BTreeMap<(Timestamp, u64), Edit>,
    edits: u64,
    truth: Vec<BusySpan>,
    touched: BTreeSet<BookingId>,
    pub(super) watches: Watches,
}

impl Shelf {
    pub(super) fn edit(&mut self, edit: Edit, told_at: Timestamp, now: Timestamp) {
        self.edits += 1;
        self.untold.insert((told_at, self.edits), edit);
        self.settle(now);
    }

    /// Tells what it is time to tell.
    pub(super) fn settle(&mut self, now: Timestamp) {
        while let Some(first) = self.untold.first_entry().filter(|first| first.key().0 <= now) {
            let ((told_at, _), edit) = first.remove_entry();
            self.apply(edit, told_at);
        }
    }

    fn apply(&mut self, edit: Edit, at: Timestamp) {
        match edit {
            Edit::Put { name, instances, blocks } => {
                self.close(&name, at);
                self.changes += 1;
                let spans = if blocks { self.open(&instances, at) } else { Vec::new() };
                let entry = Entry {
                    instances,
                    blocks,
                    booking_id: None,
                    is_deleted: false,
                    by_person: false,
                    change: self.changes,
                    spans,
                };
                self.entries.insert(name, entry);
            }
            Edit::Delete { name } => {
                self.close(&name, at);
                self.change(&name, |entry| {
                    entry.is_deleted = true;
                    entry.by_person = true;
                });
            }
            Edit::MoveOurs { name, range } => self.change(&name, |entry| entry.instances = vec![range]),
        }
    }

    fn open(&mut self, instances: &[TimeRange], since: Timestamp) -> Vec<usize> {
        let first = self.truth.len();
        self.truth.extend(instances.iter().map(|&range| BusySpan { range, since, until: None }));
        (first..self.truth.len()).collect()
    }

    /// What the event was is no longer told.
    fn close(&mut self, name: &str, at: Timestamp) {
        for index in self.entries.get_mut(name).map(|entry| std::mem::take(&mut entry.spans)).unwrap_or_default() {
            self.truth[index].until = Some(at);
        }
    }

    /// A person changes an event that is there.
    fn change(&mut self, name: &str, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.entries.get_mut(name).filter(|entry| !entry.is_deleted) else { return };
        self.changes += 1;
        entry.change = self.changes;
        change(entry);
        self.touched.extend(entry.booking_id);
    }

    /// Busy time of people, past and present.
    pub(crate) fn truth(&self) -> &[BusySpan] {
        &self.truth
    }

    /// Bookings whose events people changed.
    pub(crate) fn touched(&self) -> &BTreeSet<BookingId> {
        &self.touched
    }

    /// Names of events people put in and did not delete.
    pub(crate) fn names_of_people(&self) -> Vec<String> {
        let there = self.entries.iter().filter(|(_, entry)| !entry.is_deleted && entry.booking_id.is_none());
        there.map(|(name, _)| name.clone()).collect()
    }

    /// Events of ours, with their names.
    pub(crate) fn ours(&self) -> Vec<(String, Shown)> {
        let there = self.entries.iter().filter(|(_, entry)| !entry.is_deleted);
        let ours = there.filter_map(|(name, entry)| Some((name, entry.booking_id?, *entry.instances.first()?)));
        ours.map(|(name, booking_id, range)| (name.clone(), (booking_id, range))).collect()
    }

    /// From now on every cursor given out so far is unknown.
    pub(super) fn forget_cursors(&mut self) {
        self.oldest_cursor = self.changes + 1;
        self.changes += 1;
    }

    pub(super) fn page(&self, request: &SyncRequest, page_len: usize) -> Result<SyncPage, ProviderError> {
        match &request.mode {
            SyncMode::Full => self.full_page(request, page_len),
            SyncMode::Incremental { cursor } => {
                let after = request.page.as_deref().unwrap_or(&cursor.0).parse().map_err(nonsense)?;
                if after < self.oldest_cursor {
                    return Err(ProviderError::CursorGone);
                }
                Ok(self.changes_page(after, request.window, page_len))
            }
        }
    }

    /// Lists what is there by name. The cursor stands for the moment the listing began: what changes meanwhile comes again.
    fn full_page(&self, request: &SyncRequest, page_len: usize) -> Result<SyncPage, ProviderError> {
        let (began, last) = match request.page.as_deref() {
            None => (self.changes, None),
            Some(page) => {
                let (began, last) = page.split_once(' ').ok_or_else(|| nonsense("page"))?;
                (began.parse().map_err(nonsense)?, Some(last))
            }
        };
        let there = self.entries.iter().filter(|(_, entry)| !entry.is_deleted);
        let mut rest = there.filter(|(name, _)| last.is_none_or(|last| name.as_str() > last));
        let page: Vec<(&String, &Entry)> = rest.by_ref().take(page_len).collect();
        let next = match (page.last(), rest.next()) {
            (Some((name, _)), Some(_)) => SyncNext::Page(format!("{began} {name}")),
            _ => SyncNext::Done { cursor: SyncCursor(began.to_string()) },
        };
        Ok(SyncPage {
            changes: page.iter().map(|(name, entry)| of(name, entry, request.window)).collect(),
            next,
            oddities: Oddities::default(),
        })
    }

    /// What is in a range; `None` where that does not fit on a page.
    pub(super) fn within(&self, range: TimeRange, page_len: usize) -> Option<Vec<ExternalInstance>> {
        let found: Vec<ExternalInstance> =
            self.entries.iter().flat_map(|(name, entry)| of(name, entry, range).instances).collect();
        (found.len() <= page_len).then_some(found)
    }

    fn changes_page(&self, after: u64, window: TimeRange, page_len: usize) -> SyncPage {
        let mut changed: Vec<(&String, &Entry)> =
            self.entries.iter().filter(|(_, entry)| entry.change > after).collect();
        changed.sort_by_key(|(_, entry)| entry.change);
        let is_last = changed.len() <= page_len;
        changed.truncate(page_len);
        let next = match changed.last() {
            Some((_, entry)) if !is_last => SyncNext::Page(entry.change.to_string()),
            _ => SyncNext::Done { cursor: SyncCursor(self.changes.to_string()) },
        };
        SyncPage {
            changes: changed.iter().map(|(name, entry)| of(name, entry, window)).collect(),
            next,
            oddities: Oddities::default(),
        }
    }

    /// Shows a booking. With `has_them_back`, also where a person deleted it.
    pub(super) fn write(&mut self, write: &EventWrite, has_them_back: bool) -> WriteOutcome {
        let name = name_of(write.booking_id);
        let before = self.entries.get(&name);
        if before.is_some_and(|entry| entry.is_deleted && entry.by_person) && !has_them_back {
            return WriteOutcome::DeletedByHuman;
        }
        let stands = before.is_some_and(|entry| !entry.is_deleted && entry.instances == [write.range]);
        if !stands {
            self.changes += 1;
            let entry = Entry {
                instances: vec![write.range],
                blocks: true,
                booking_id: Some(write.booking_id),
                is_deleted: false,
                by_person: false,
                change: self.changes,
                spans: Vec::new(),
            };
            self.entries.insert(name.clone(), entry);
        }
        let change = self.entries.get(&name).map(|entry| entry.change.to_string());
        WriteOutcome::Written(WrittenEvent { provider_event_id: name, etag: change })
    }

    /// Takes a booking out, if it is there.
    pub(super) fn take_out(&mut self, booking_id: BookingId) {
        if let Some(entry) = self.entries.get_mut(&name_of(booking_id)).filter(|entry| !entry.is_deleted) {
            self.changes += 1;
            entry.change = self.changes;
            entry.is_deleted = true;
        }
    }
}

fn name_of(booking_id: BookingId) -> String {
    format!("ours-{booking_id}")
}

fn nonsense(error: impl std::fmt::Display) -> ProviderError {
    ProviderError::Refused(format!("no such page or cursor: {error}"))
}

fn of(name: &str, entry: &Entry, window: TimeRange) -> ResourceChange {
    let instances = entry.instances.iter().filter(|range| !entry.is_deleted && range.overlaps(&window));
    let instances = instances
        .map(|&range| ExternalInstance { range, booking_id: entry.booking_id, blocks: entry.blocks })
        .filter(|instance| instance.blocks || instance.booking_id.is_some());
    ResourceChange { provider_event_id: name.to_owned(), instances: instances.collect() }
}
