//! Mistakes that can be planted in the plan, to see that the properties would notice them.

/// What is done wrong on purpose. Each field is a mistake that somebody made, or that is easily made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The epoch is read with a plain `SELECT`, so that a takeover may commit between the look and the write.
    pub plain_select_fence: bool,
    /// The epoch compared is the one the node holds now, not the one it decided under.
    pub fences_by_present_epoch: bool,
    /// The revision a decision rests on is locked but not compared.
    pub skips_revision_check: bool,
    /// The store has no constraint on overlapping claims.
    pub drops_constraint: bool,
    /// A confirmation that changed no row counts as done.
    pub skips_row_count: bool,
    /// A confirmation does not ask whether the hold has expired.
    pub skips_expiry: bool,
    /// The transaction judges expiry by the instant it began, not by one read after it has its locks.
    pub clock_of_begin: bool,
    /// A confirmation locks only the hold, a creation only what it inserts and overlooks expired holds, so that the two
    /// never meet.
    pub overlooks_expired_holds: bool,
    /// A node's clock may run ahead, and the store does not compare the instant of the decision with its own.
    pub trusts_fast_clocks: bool,
    /// The caller hears yes before the transaction is committed.
    pub acknowledges_before_commit: bool,
    /// The caller hears yes before the owner's own facts show the claim.
    pub acknowledges_before_publishing: bool,
    /// The store does not look whether the commit was performed already.
    pub ignores_commit_id: bool,
    /// The owner-less path says no without writing into the store that this commit must not happen any more.
    pub leaves_refusals_open: bool,
    /// An owner says no from its cached facts, without reading the store once more.
    pub refuses_from_cache: bool,
    /// The owner-less path does not raise the revision of what it changes.
    pub ownerless_raises_nothing: bool,
}
