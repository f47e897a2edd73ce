//! How a store behaves: its speed, its failures, and the guarantees it breaks on purpose.

use std::collections::BTreeSet;
use std::time::Duration;

/// A length of time, drawn evenly between two ends, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The shortest.
    pub shortest: Duration,
    /// The longest; shorter than `shortest` counts as equal to it.
    pub longest: Duration,
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self { shortest: Duration::ZERO, longest: Duration::ZERO };

    /// Between two numbers of milliseconds.
    pub const fn millis(shortest: u64, longest: u64) -> Self {
        Self { shortest: Duration::from_millis(shortest), longest: Duration::from_millis(longest) }
    }
}

/// Times in which the disk is slow, and times between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowPhases {
    /// Time from the end of one to the beginning of the next.
    pub gap: Span,
    /// How long one lasts.
    pub length: Span,
    /// How long a transaction takes in one, in place of [`Settings::latency`].
    pub latency: Span,
}

/// A guarantee that is broken on purpose, to see whether somebody notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Planted {
    /// Answers before anything is durable. What was committed within the last moments is lost in a crash.
    AckBeforeDurable,
    /// Takes claims that overlap.
    IgnoreConstraint,
    /// Commits plans that rest on revisions that no longer stand.
    SkipRevisionCheck,
    /// Confirms holds without looking at their expiry.
    ConfirmExpired,
    /// Knows no idempotency key.
    ForgetIdempotency,
    /// Takes what is written under an ownership that is over.
    NoFence,
    /// Keeps the cursor of some syncs without the facts it stands for.
    CursorWithoutFacts,
}

/// How a store behaves. The default is a perfect one that takes no time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a transaction takes, and at which instant of it it happens is drawn.
    pub latency: Span,
    /// Times in which the disk is slow, if any.
    pub slow: Option<SlowPhases>,
    /// How many of a thousand transactions fail before anything happened.
    pub unavailable_per_mille: u16,
    /// How many of a thousand writes are in doubt: performed or not, evenly, while the caller hears that the store is
    /// unavailable.
    pub doubt_per_mille: u16,
    /// Microseconds the store's clock is ahead of the clock the disk was made with.
    pub clock_offset_us: i64,
    /// Guarantees that are broken.
    pub planted: BTreeSet<Planted>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            latency: Span::ZERO,
            slow: None,
            unavailable_per_mille: 0,
            doubt_per_mille: 0,
            clock_offset_us: 0,
            planted: BTreeSet::new(),
        }
    }
}
