//! What is soaked.

/// What a soak is to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where all chance comes from.
    pub seed: u64,
    /// Simulated days.
    pub days: u32,
    /// Calendars at each provider.
    pub calendars: u32,
    /// Nodes.
    pub nodes: u32,
    /// A bug, to see whether it is found.
    pub planted: Option<Planted>,
}

/// A bug that is planted on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// A sync's cursor is kept, and now and then the facts it stands for are not.
    CursorWithoutFacts,
    /// A calendar whose provider rings is looked at only when it does.
    BellsAreTrusted,
    /// Now and then a booking is said to be in its calendar, and is not.
    SaysWritten,
}

/// The names of what can be planted.
pub const PLANTED_NAMES: [(&str, Planted); 3] = [
    ("cursor-without-facts", Planted::CursorWithoutFacts),
    ("bells-are-trusted", Planted::BellsAreTrusted),
    ("says-written", Planted::SaysWritten),
];

impl Plan {
    /// A plan for one node, without a bug.
    pub fn new(seed: u64, days: u32, calendars: u32) -> Self {
        Self { seed, days, calendars, nodes: 1, planted: None }
    }

    /// The same for so many nodes.
    #[must_use]
    pub fn among(self, nodes: u32) -> Self {
        Self { nodes, ..self }
    }

    /// The same with a bug.
    #[must_use]
    pub fn with(self, planted: Planted) -> Self {
        Self { planted: Some(planted), ..self }
    }
}
