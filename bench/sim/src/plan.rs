//! What is simulated.

use std::collections::BTreeSet;

use agentcal_sim_store::Planted;

/// One simulation. The same plan gives the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where all chance comes from.
    pub seed: u64,
    /// Simulated hours.
    pub hours: u32,
    /// How many nodes share the work, from 1 to [`NODES_MAX`].
    pub nodes: usize,
    /// Guarantees the store breaks, to see whether that is found.
    pub planted: BTreeSet<Planted>,
    /// Whether an answer is wrong that offers what was sold past its owner a moment ago, and is called complete. A node that
    /// is cut off cannot know.
    pub is_strict: bool,
    /// Whether to print every request with its answer.
    pub is_traced: bool,
}

impl Plan {
    /// One node on a sound store.
    pub fn new(seed: u64, hours: u32) -> Self {
        Self { seed, hours, nodes: 1, planted: BTreeSet::new(), is_strict: false, is_traced: false }
    }

    /// The same with so many nodes.
    #[must_use]
    pub fn on(self, nodes: usize) -> Self {
        Self { nodes, ..self }
    }

    /// The same with a guarantee broken.
    #[must_use]
    pub fn with(mut self, planted: Planted) -> Self {
        self.planted.insert(planted);
        self
    }

    /// The command that runs it again.
    pub fn command(&self) -> String {
        let planted: String = self.planted.iter().map(|planted| format!(" --plant {}", name_of(*planted))).collect();
        let strict = if self.is_strict { " --strict" } else { "" };
        format!("cargo xtask sim --seed {} --hours {} --nodes {}{planted}{strict}", self.seed, self.hours, self.nodes)
    }
}

/// The names of the guarantees that can be broken.
pub const PLANTED_NAMES: [(&str, Planted); 6] = [
    ("ack-before-durable", Planted::AckBeforeDurable),
    ("ignore-constraint", Planted::IgnoreConstraint),
    ("skip-revision-check", Planted::SkipRevisionCheck),
    ("confirm-expired", Planted::ConfirmExpired),
    ("forget-idempotency", Planted::ForgetIdempotency),
    ("no-fence", Planted::NoFence),
];

fn name_of(planted: Planted) -> &'static str {
    PLANTED_NAMES.iter().find(|(_, known)| *known == planted).map_or("unknown", |(name, _)| name)
}
