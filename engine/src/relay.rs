//! What is decided about a service that delivers to endpoints in our place: what it is told of, and when it is told again.

use std::time::Duration;

use crate::ids::{DeliveryId, EventId};
use crate::ports::{Entropy, JobNext, RelayError};

/// First wait after the service could not be asked; it doubles with each try.
pub const WAIT_FIRST: Duration = Duration::from_secs(1);
/// Longest wait, unless the service asks for a longer one.
pub const WAIT_MAX: Duration = Duration::from_secs(5 * 60);
/// Longest wait the service may ask for.
pub const ASKED_MAX: Duration = Duration::from_secs(60 * 60);

/// What a message is called in lists: one event is one message to the service, however many endpoints hear of it.
pub fn message_id(event_id: EventId) -> DeliveryId {
    DeliveryId::from_uuid(event_id.as_uuid())
}

/// The event a message tells of.
pub fn event_id(message_id: DeliveryId) -> EventId {
    EventId::from_uuid(message_id.as_uuid())
}

/// What follows from the `tries`-th try (1 is the first) to tell the service something. Waits are up to a tenth longer by
/// chance. What it refuses is given up; a change makes it be told again.
pub fn next(told: &Result<(), RelayError>, tries: u32, entropy: &dyn Entropy) -> JobNext {
    let asked = match told {
        Ok(()) => return JobNext::Done,
        Err(RelayError::Refused(_)) => return JobNext::GiveUp,
        Err(RelayError::Away { retry_after, .. }) => retry_after.unwrap_or_default().min(ASKED_MAX),
        Err(RelayError::Missing) => Duration::ZERO,
    };
    let doublings = tries.saturating_sub(1).min(16);
    let wait = WAIT_FIRST.saturating_mul(1 << doublings).min(WAIT_MAX);
    JobNext::Again(crate::webhooks::lengthen(wait.max(asked), entropy))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    struct Always(u8);

    impl Entropy for Always {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    #[test]
    fn what_could_not_be_told_is_told_again() {
        let away = |seconds: Option<u64>| {
            Err(RelayError::Away { says: "nobody answers".into(), retry_after: seconds.map(Duration::from_secs) })
        };
        let check = |told: Result<(), RelayError>, tries: u32, expected: JobNext| {
            assert_eq!(next(&told, tries, &Always(0)), expected, "{told:?} after {tries}");
        };
        let after = |seconds: u64| JobNext::Again(Duration::from_secs(seconds));
        check(Ok(()), 1, JobNext::Done);
        check(Err(RelayError::Refused("the address".into())), 1, JobNext::GiveUp);
        for (tries, seconds) in (1..).zip([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]) {
            check(away(None), tries, after(seconds));
        }
        check(away(None), u32::MAX, after(300));
        check(Err(RelayError::Missing), 1, after(1));
        check(away(Some(30)), 1, after(30));
        check(away(Some(30)), 9, after(256));
        check(away(Some(u64::MAX)), 1, after(3_600));
        assert_eq!(next(&away(None), 4, &Always(255)), JobNext::Again(Duration::from_millis(8_800)));
    }

    #[test]
    fn an_event_is_found_by_its_message() {
        let event = EventId::from_uuid(Uuid::from_u128(7));
        assert_eq!(event_id(message_id(event)), event);
    }
}
