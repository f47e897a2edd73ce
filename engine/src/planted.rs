//! Bugs that are planted on purpose, to see that some check finds each of them. Only a build with the feature `planted` has
//! them, and only one of them at a time, for the whole process.

use std::sync::OnceLock;

use crate::commit::{Access, CommitPlan, RevisionKey};

/// A bug. Where it lies is wherever [`planted!`](crate::planted!) names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A commit does not compare its epoch with the shard's.
    NoFence,
    /// A commit reads the shard's epoch without locking it.
    PlainSelectFence,
    /// A commit is published before it is made.
    CacheBeforeCommit,
    /// What must follow from a booking is written after its transaction.
    EffectsOutside,
    /// A commit does not compare the revisions it was decided on.
    NoRevisionCheck,
    /// Claims of expired holds stay in the way of new ones.
    ExpiredHoldKept,
    /// A reader believes an owner that the map knows to be superseded.
    OldEpochAccepted,
    /// A beat counts for ever.
    EternalBeat,
    /// A commit that two nodes may perform does not use its id up.
    IdNotUsedUp,
    /// A refusal without the owner leaves the commit's id to whoever comes next.
    RefusalUsesNothing,
    /// The cache takes facts of any epoch over those it has.
    AnyEpochReplaces,
    /// A commit without its owner tells only the owner it knows.
    HeirNotTold,
    /// An owner does not listen when its renewal tells of commits without it.
    TouchedUnheard,
    /// A lease never runs out for the node that has it.
    LeaseForever,
    /// An owner vouches for a cache that it owes something.
    BeatWhileOwing,
}

/// All bugs, by the name that plants them.
pub const BUGS: [(&str, Bug); 15] = [
    ("no-fence", Bug::NoFence),
    ("plain-select-fence", Bug::PlainSelectFence),
    ("cache-before-commit", Bug::CacheBeforeCommit),
    ("effects-outside", Bug::EffectsOutside),
    ("no-revision-check", Bug::NoRevisionCheck),
    ("expired-hold-kept", Bug::ExpiredHoldKept),
    ("old-epoch-accepted", Bug::OldEpochAccepted),
    ("eternal-beat", Bug::EternalBeat),
    ("id-not-used-up", Bug::IdNotUsedUp),
    ("refusal-uses-nothing", Bug::RefusalUsesNothing),
    ("any-epoch-replaces", Bug::AnyEpochReplaces),
    ("heir-not-told", Bug::HeirNotTold),
    ("touched-unheard", Bug::TouchedUnheard),
    ("lease-forever", Bug::LeaseForever),
    ("beat-while-owing", Bug::BeatWhileOwing),
];

static PLANTED: OnceLock<Option<Bug>> = OnceLock::new();

/// Plants a bug by its name for the rest of the process; `None` plants nothing. The first call counts.
///
/// # Panics
/// When there is no bug of this name.
pub fn plant(name: Option<&str>) {
    let find = |name: &str| BUGS.iter().find(|(known, _)| *known == name).map(|&(_, bug)| bug);
    PLANTED.get_or_init(|| name.map(|name| find(name).expect("a bug of this name")));
}

/// Whether this bug is planted.
pub fn is_planted(bug: Bug) -> bool {
    PLANTED.get().copied().flatten() == Some(bug)
}

impl CommitPlan {
    /// The revisions as they will be if the plan is performed; those without an expectation are left out.
    pub fn foreseen(&self) -> Vec<(RevisionKey, u64)> {
        let written = self.expected_revisions.iter().filter(|expected| expected.access == Access::Write);
        written.filter_map(|expected| Some((expected.key, expected.revision? + 1))).collect()
    }
}
