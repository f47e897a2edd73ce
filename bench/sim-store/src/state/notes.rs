//! Who wrote, and by what right: for checkers alone. No port shows it.

use agentcal_engine::commit::{BookingChange, CommitPlan, HoldChange};
use agentcal_engine::ids::AccountId;
use agentcal_engine::model::ClaimOwner;
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::{TimeRange, Timestamp};

use super::Work;

/// Most notes that are kept of one account; the oldest go.
const NOTES_MAX: u64 = 256;

/// A write that an ownership must cover, or the lack of one excuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitNote {
    /// Counted up from 0 in each account.
    pub number: u64,
    /// When, by the store's clock.
    pub at: Timestamp,
    /// Whose connection it came over, as given to [`crate::Disk::connect_for_good`].
    pub writer: u32,
    /// The ownership it was written under; `None`: without one.
    pub epoch: Option<Epoch>,
    /// The ownership that stood at that instant.
    pub standing: Epoch,
    /// What has time since then that it had not before, and when.
    pub took: Option<(ClaimOwner, TimeRange)>,
}

/// Notes a commit that was performed.
pub(crate) fn note_commit(work: &mut Work<'_>, plan: &CommitPlan) {
    note(work, plan.tenant.account_id, plan.epoch, took(plan));
}

/// Notes facts that were saved.
pub(crate) fn note_sync(work: &mut Work<'_>, account_id: AccountId, epoch: Epoch) {
    note(work, account_id, Some(epoch), None);
}

fn note(work: &mut Work<'_>, account_id: AccountId, epoch: Option<Epoch>, took: Option<(ClaimOwner, TimeRange)>) {
    let (at, writer) = (work.now(), work.present().writer);
    let standing = work.state().globals.epoch_of(account_id);
    let Some(rows) = work.account_mut(account_id) else { return };
    let number = rows.notes.last().map_or(0, |note| note.number + 1);
    rows.notes.insert(number, CommitNote { number, at, writer, epoch, standing, took });
    if let Some(oldest) = number.checked_sub(NOTES_MAX) {
        rows.notes.remove(&oldest);
    }
}

/// A booking that confirms a hold has no time that the hold had not.
fn took(plan: &CommitPlan) -> Option<(ClaimOwner, TimeRange)> {
    let hold = plan.holds.iter().find_map(|change| match change {
        HoldChange::Insert { hold, .. } => Some((ClaimOwner::Hold(hold.id), hold.range)),
        _ => None,
    });
    hold.or_else(|| match plan.booking.as_ref()? {
        BookingChange::Insert(booking) => Some((ClaimOwner::Booking(booking.id), booking.range)),
        BookingChange::Reschedule { booking_id, range, .. } => Some((ClaimOwner::Booking(*booking_id), *range)),
        BookingChange::Cancel { .. } => None,
    })
}
