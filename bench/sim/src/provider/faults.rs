//! How badly a provider serves.

use std::time::Duration;

use agentcal_engine::limits::LimitKind;
use agentcal_engine::ports::ProviderError;
use agentcal_sim_store::Dice;

/// How a provider is at the moment.
#[derive(Clone, Debug)]
pub(crate) struct Mood {
    /// Time of an answer, from and to, in milliseconds.
    pub(crate) latency_ms: (u64, u64),
    /// So many of a thousand requests are answered with 5xx.
    pub(crate) unavailable_per_mille: u64,
    /// So many are never answered.
    pub(crate) silent_per_mille: u64,
    /// So many are told to come later.
    pub(crate) rate_limited_per_mille: u64,
    /// So many of a thousand writes are done and answered with 5xx.
    pub(crate) doubt_per_mille: u64,
    /// So many syncs find that cursors are no longer known.
    pub(crate) cursor_gone_per_mille: u64,
    /// Whether credentials are refused.
    pub(crate) is_locked: bool,
    /// Resources on a page.
    pub(crate) page_len: usize,
}

impl Default for Mood {
    /// A good day.
    fn default() -> Self {
        Self {
            latency_ms: (40, 400),
            unavailable_per_mille: 0,
            silent_per_mille: 0,
            rate_limited_per_mille: 0,
            doubt_per_mille: 0,
            cursor_gone_per_mille: 0,
            is_locked: false,
            page_len: 7,
        }
    }
}

/// What goes wrong with one request.
pub(super) enum Fault {
    /// It is not done, and so is said.
    Refuses(ProviderError),
    /// It is not done, and nothing is said.
    Silent,
    /// It is done, and said to have failed.
    DoesAndFails,
}

impl Mood {
    /// One of the bad days there are.
    pub(crate) fn bad(dice: &Dice) -> Self {
        let usual = Self::default();
        match dice.below(7) {
            0 => Self { latency_ms: (1_000, 12_000), ..usual },
            1 => Self { unavailable_per_mille: 400, ..usual },
            2 => Self { silent_per_mille: 150, latency_ms: (100, 3_000), ..usual },
            3 => Self { rate_limited_per_mille: 600, ..usual },
            4 => Self { doubt_per_mille: 600, unavailable_per_mille: 100, ..usual },
            5 => Self { is_locked: true, ..usual },
            _ => Self { cursor_gone_per_mille: 300, page_len: 2, ..usual },
        }
    }

    pub(super) fn latency(&self, dice: &Dice) -> (Duration, Duration) {
        let (shortest, longest) = self.latency_ms;
        let whole = dice.millis(shortest, longest);
        let before = dice.millis(0, u64::try_from(whole.as_millis()).unwrap_or(0));
        (before, whole.saturating_sub(before))
    }

    pub(super) fn fault(&self, is_write: bool, dice: &Dice) -> Option<Fault> {
        if self.is_locked {
            return Some(Fault::Refuses(ProviderError::Unauthorized("the simulated token was revoked".into())));
        }
        if dice.happens(self.silent_per_mille) {
            return Some(Fault::Silent);
        }
        if dice.happens(self.rate_limited_per_mille) {
            let retry_after = dice.happens(500).then(|| dice.seconds(1, 20));
            return Some(Fault::Refuses(ProviderError::RateLimited { retry_after, of: LimitKind::Mailbox }));
        }
        if dice.happens(self.unavailable_per_mille) {
            return Some(Fault::Refuses(ProviderError::Unavailable("503 of the simulated provider".into())));
        }
        (is_write && dice.happens(self.doubt_per_mille)).then_some(Fault::DoesAndFails)
    }
}
