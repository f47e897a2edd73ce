use super::*;
use crate::calendar::fixtures::{account, at, booking, calendar, hours, job};
use crate::model::Writeback;
use crate::shard::Epoch;

fn facts(external: &[TimeRange]) -> CalendarFacts {
    CalendarFacts {
        calendar_id: calendar(2),
        account_id: account(),
        epoch: Epoch(1),
        revision: 1,
        knowledge: Knowledge::Synced { as_of: at(0), window: hours(-48, 1_000), watched_until: None },
        external: external.to_vec(),
        displaced: Vec::new(),
        claims: Vec::new(),
    }
}

fn own(range: TimeRange) -> ExternalInstance {
    ExternalInstance { range, booking_id: Some(crate::calendar::fixtures::booking_id(1)), blocks: true }
}

fn state_of(written: &WritebackJob, seen: &[TimeRange], external: &[TimeRange]) -> Option<ExternalState> {
    let own: Vec<_> = seen.iter().map(|&range| own(range)).collect();
    let found = observations(std::slice::from_ref(written), &own, &facts(external));
    found.first().map(|observation| observation.state)
}

#[test]
fn only_what_differs_from_before_is_reported() {
    let check = |before: ExternalState, seen: &[TimeRange], external: &[TimeRange], expected: Option<ExternalState>| {
        let mut written = job(booking(1, hours(5, 6)));
        written.booking.hosts[0].external_state = Some(before);
        assert_eq!(state_of(&written, seen, external), expected, "{before:?} {seen:?} {external:?}");
    };
    use ExternalState::{Conflict, Deleted, InSync, Moved};
    check(InSync, &[hours(5, 6)], &[], None);
    check(InSync, &[hours(7, 8)], &[], Some(Moved));
    check(Moved, &[hours(7, 8)], &[], None);
    check(Moved, &[hours(5, 6)], &[], Some(InSync));
    check(InSync, &[], &[], Some(Deleted));
    check(Deleted, &[hours(5, 6)], &[], Some(InSync));
    check(InSync, &[hours(5, 6)], &[hours(1, 5), hours(6, 9)], None);
    check(InSync, &[hours(5, 6)], &[hours(1, 2), hours(4, 9)], Some(Conflict));
    check(Conflict, &[hours(5, 6)], &[hours(4, 5)], Some(InSync));
    check(InSync, &[], &[hours(4, 9)], Some(Deleted));
}

#[test]
fn nothing_is_said_of_what_was_not_written_or_cannot_be_seen() {
    let check = |change: fn(&mut WritebackJob)| {
        let mut written = job(booking(1, hours(5, 6)));
        change(&mut written);
        assert_eq!(state_of(&written, &[], &[]), None);
    };
    check(|job| job.written = None);
    check(|job| job.booking.status = BookingStatus::Cancelled);
    check(|job| job.booking.range = hours(2_000, 2_001));
    check(|job| {
        let pending = Writeback { state: WritebackState::Pending, attempts: 0, last_error: None };
        job.booking.hosts[0].writeback = Some(pending);
    });
}
