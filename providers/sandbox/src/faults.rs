//! Switches that make sandbox calendars misbehave, and counters that tell what was asked of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentcal_engine::ids::CalendarId;
use agentcal_engine::limits::LimitKind;
use agentcal_engine::ports::ProviderError;

/// Which calendars a fault concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultScope {
    /// Every calendar, and discovery.
    All,
    /// One calendar.
    Calendar(CalendarId),
}

/// A way to misbehave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers with an error that may pass.
    Unavailable,
    /// Asks to slow down.
    RateLimited {
        /// When to come again.
        retry_after: Option<Duration>,
    },
    /// Refuses the credentials.
    Unauthorized,
    /// Answers syncs with an error that may pass; everything else works.
    SyncsUnavailable,
    /// Knows no cursor; full syncs work.
    CursorGone,
    /// Says the calendar no longer exists.
    CalendarGone,
    /// Refuses for good.
    Refused,
    /// Answers rightly, but so much later.
    Slow(Duration),
    /// Does what is asked, then answers with an error: the caller cannot know that it was done.
    LostAnswer,
}

/// How often each thing was asked, failures included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SandboxCalls {
    /// Discoveries.
    pub discoveries: u64,
    /// First pages of full syncs.
    pub full_syncs: u64,
    /// Incremental syncs.
    pub incremental_syncs: u64,
    /// Ranges checked.
    pub spot_checks: u64,
    /// Events written.
    pub writes: u64,
    /// Events deleted.
    pub deletes: u64,
}

/// The switchboard. A fault of one calendar goes before one of all.
#[derive(Debug, Default)]
pub struct SandboxFaults {
    board: Mutex<Board>,
}

#[derive(Debug, Default)]
struct Board {
    faults: BTreeMap<FaultScope, Planned>,
    calls: BTreeMap<FaultScope, SandboxCalls>,
}

#[derive(Debug)]
struct Planned {
    fault: Fault,
    remaining: Option<u32>,
}

/// What is being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Discover,
    FullSync { first_page: bool },
    IncrementalSync,
    SpotCheck,
    Write,
    Delete,
}

/// How a call is to go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Proceed,
    ProceedAfter(Duration),
    LoseAnswer,
    Fail(ProviderError),
}

impl SandboxFaults {
    /// Misbehaves until cleared.
    pub fn fail(&self, scope: FaultScope, fault: Fault) {
        self.lock().faults.insert(scope, Planned { fault, remaining: None });
    }

    /// Misbehaves for the next `count` calls that the fault concerns.
    pub fn fail_next(&self, scope: FaultScope, fault: Fault, count: u32) {
        self.lock().faults.insert(scope, Planned { fault, remaining: Some(count) });
    }

    /// Behaves again.
    pub fn clear(&self, scope: FaultScope) {
        self.lock().faults.remove(&scope);
    }

    /// What was asked so far: of one calendar, or of all together.
    pub fn calls(&self, scope: FaultScope) -> SandboxCalls {
        self.lock().calls.get(&scope).copied().unwrap_or_default()
    }

    /// Counts a call and says how it goes on.
    pub(crate) fn judge(&self, calendar_id: Option<CalendarId>, call: Call) -> Verdict {
        let mut board = self.lock();
        board.count(FaultScope::All, call);
        let own = calendar_id.map(FaultScope::Calendar);
        if let Some(scope) = own {
            board.count(scope, call);
        }
        let scopes = [own, Some(FaultScope::All)];
        scopes.into_iter().flatten().find_map(|scope| board.use_up(scope, call)).unwrap_or(Verdict::Proceed)
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn count(&mut self, scope: FaultScope, call: Call) {
        let calls = self.calls.entry(scope).or_default();
        match call {
            Call::Discover => calls.discoveries += 1,
            Call::FullSync { first_page } => calls.full_syncs += u64::from(first_page),
            Call::IncrementalSync => calls.incremental_syncs += 1,
            Call::SpotCheck => calls.spot_checks += 1,
            Call::Write => calls.writes += 1,
            Call::Delete => calls.deletes += 1,
        }
    }

    fn use_up(&mut self, scope: FaultScope, call: Call) -> Option<Verdict> {
        let planned = self.faults.get_mut(&scope)?;
        let verdict = planned.fault.verdict(call)?;
        match &mut planned.remaining {
            None => {}
            Some(0) => return None,
            Some(remaining) => *remaining -= 1,
        }
        Some(verdict)
    }
}

impl Fault {
    /// What the fault makes of a call; `None` where it does not concern it.
    fn verdict(&self, call: Call) -> Option<Verdict> {
        let error = match self {
            Self::Slow(delay) => return Some(Verdict::ProceedAfter(*delay)),
            Self::LostAnswer => return Some(Verdict::LoseAnswer),
            Self::CursorGone if call == Call::IncrementalSync => ProviderError::CursorGone,
            Self::CalendarGone if call != Call::Discover => ProviderError::CalendarGone,
            Self::CursorGone | Self::CalendarGone => return None,
            Self::SyncsUnavailable if !matches!(call, Call::FullSync { .. } | Call::IncrementalSync) => return None,
            Self::SyncsUnavailable | Self::Unavailable => {
                ProviderError::Unavailable("the sandbox was told to fail".to_owned())
            }
            Self::RateLimited { retry_after } => {
                ProviderError::RateLimited { retry_after: *retry_after, of: LimitKind::Mailbox }
            }
            Self::Unauthorized => ProviderError::Unauthorized("the sandbox was told to refuse".to_owned()),
            Self::Refused => ProviderError::Refused("the sandbox was told to refuse".to_owned()),
        };
        Some(Verdict::Fail(error))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn calendar(number: u128) -> CalendarId {
        CalendarId::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn a_fault_concerns_its_scope_and_calls() {
        let unavailable = || Verdict::Fail(ProviderError::Unavailable("the sandbox was told to fail".to_owned()));
        let full = Call::FullSync { first_page: true };
        let check = |scope: FaultScope, fault: Fault, call: Call, expected: Verdict| {
            let faults = SandboxFaults::default();
            faults.fail(scope, fault.clone());
            assert_eq!(faults.judge(Some(calendar(1)), call), expected, "{scope:?} {fault:?} {call:?}");
        };
        let own = FaultScope::Calendar(calendar(1));
        let other = FaultScope::Calendar(calendar(2));
        check(FaultScope::All, Fault::Unavailable, Call::Write, unavailable());
        check(own, Fault::Unavailable, Call::Delete, unavailable());
        check(other, Fault::Unavailable, Call::Write, Verdict::Proceed);
        check(own, Fault::CursorGone, Call::IncrementalSync, Verdict::Fail(ProviderError::CursorGone));
        check(own, Fault::CursorGone, full, Verdict::Proceed);
        check(own, Fault::SyncsUnavailable, full, unavailable());
        check(own, Fault::SyncsUnavailable, Call::IncrementalSync, unavailable());
        check(own, Fault::SyncsUnavailable, Call::SpotCheck, Verdict::Proceed);
        check(own, Fault::Unavailable, Call::SpotCheck, unavailable());
        check(own, Fault::CalendarGone, full, Verdict::Fail(ProviderError::CalendarGone));
        check(FaultScope::All, Fault::CalendarGone, Call::Discover, Verdict::Proceed);
        check(own, Fault::LostAnswer, Call::Write, Verdict::LoseAnswer);
        check(own, Fault::Slow(Duration::from_secs(3)), full, Verdict::ProceedAfter(Duration::from_secs(3)));
        let limited = Some(Duration::from_secs(9));
        let answer = Verdict::Fail(ProviderError::RateLimited { retry_after: limited, of: LimitKind::Mailbox });
        check(own, Fault::RateLimited { retry_after: limited }, Call::Write, answer);
    }

    #[test]
    fn so_many_calls_fail_and_no_more() {
        let faults = SandboxFaults::default();
        faults.fail_next(FaultScope::All, Fault::CursorGone, 2);
        let gone = |call| faults.judge(Some(calendar(1)), call) != Verdict::Proceed;
        assert!(!gone(Call::Write), "a call that the fault does not concern uses nothing up");
        assert!(gone(Call::IncrementalSync));
        assert!(gone(Call::IncrementalSync));
        assert!(!gone(Call::IncrementalSync));
        let calls = faults.calls(FaultScope::Calendar(calendar(1)));
        assert_eq!(calls, SandboxCalls { incremental_syncs: 3, writes: 1, ..SandboxCalls::default() });
        assert_eq!(faults.calls(FaultScope::Calendar(calendar(2))), SandboxCalls::default());
    }
}
