//! The state of the model: what the store holds, what nodes believe, what is in flight, what callers were told.

use crate::scenario::{RequestIndex, Slot};

/// Who performs commits: two nodes, and a third party that owns nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Performer {
    /// A node, as the shard's owner.
    Node(u8),
    /// The node a request came to, when the owner stays silent.
    Ownerless,
}

/// Nodes there are.
pub const NODES: [u8; 2] = [0, 1];

/// Everybody who performs commits.
pub const PERFORMERS: [Performer; 3] = [Performer::Node(0), Performer::Node(1), Performer::Ownerless];

/// Counts up with every takeover.
pub type Epoch = u8;

/// An instant of the store's clock.
pub type Tick = u8;

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// Which scenario of the plan this is.
    pub scenario: u8,
    /// What is durable.
    pub store: Store,
    /// What each node has in memory.
    pub nodes: [Node; 2],
    /// The commit each performer has in flight, by [`Performer::index`].
    pub works: [Option<Work>; 3],
    /// The caller of each request.
    pub callers: Vec<Caller>,
    /// Crashes so far.
    pub crashes: u8,
}

/// What is durable, and the store's clock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    /// The clock that judges expiry.
    pub clock: Tick,
    /// The shard's epoch.
    pub epoch: Epoch,
    /// Whether the lease of the node that raised the epoch last has not run out.
    pub has_lease: bool,
    /// The revision of the person's claims.
    pub revision: u8,
    /// Claims, ascending by request.
    pub claims: Vec<Claim>,
    /// What became of each commit id.
    pub ledger: Vec<Entry>,
    /// Kept only to be judged.
    pub marks: Marks,
}

/// What the store knows of a commit id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Nothing.
    Open,
    /// It was performed.
    Performed,
    /// Its caller was told no, so it must not be performed any more.
    Closed,
}

/// Things that happened and leave no other trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Marks {
    /// A row was written on a decision of an epoch that was superseded.
    pub stale_epoch_write: bool,
    /// A hold was confirmed that had expired when the locks were taken.
    pub confirmed_late: bool,
    /// One request was performed a second time.
    pub performed_twice: bool,
    /// A confirmation was refused while its hold was live.
    pub refused_live_hold: bool,
}

/// Somebody's claim on the person's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The request that made it.
    pub by: RequestIndex,
    /// Which time.
    pub slot: Slot,
    /// When it ends by itself: at this tick, or never, which makes it a booking.
    pub expires_at: Option<Tick>,
}

impl Claim {
    /// Whether it counts at an instant.
    #[must_use]
    pub fn is_live(&self, now: Tick) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether it is a booking's.
    #[must_use]
    pub const fn is_booking(&self) -> bool {
        self.expires_at.is_none()
    }
}

/// The person's claims as they were at a revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Facts {
    /// The revision.
    pub revision: u8,
    /// Claims, ascending by request.
    pub claims: Vec<Claim>,
}

/// A node's memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Node {
    /// The epoch under which it believes to own the shard. It may be wrong.
    pub epoch: Option<Epoch>,
    /// The facts it answers from and decides on.
    pub facts: Option<Facts>,
}

/// A commit in flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Work {
    /// What was asked.
    pub request: RequestIndex,
    /// The epoch it is done under; `None` on the owner-less path.
    pub epoch: Option<Epoch>,
    /// How far it is.
    pub stage: Stage,
    /// Whether a transaction came to nothing and the decision was made anew.
    pub was_stale: bool,
}

/// What a decision rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Basis {
    /// The revision that was seen.
    pub revision: u8,
    /// The instant it was decided for, if by a clock that may be ahead of the store's.
    pub decided_at: Tick,
}

/// The steps of a commit, in order. Between any two, everybody else may move.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Has to read the store before it can decide.
    Reading,
    /// Decided yes.
    Decided(Basis),
    /// In the transaction, past the fence.
    Begun(Basis, Tick),
    /// In the transaction, with its locks, past the comparisons.
    Examined(Examined),
    /// Durable, and nobody knows. What the owner's facts become; `None` where they must be read again.
    Committed(Option<Facts>),
    /// Durable by the owner-less path, which has no facts to publish; the caller has not heard.
    Unheard,
    /// Only with a planted fault: the caller has heard, the owner's facts do not show it.
    AnsweredFirst(Option<Facts>),
    /// The owner-less path decided no, and has yet to say so in the store.
    Refusing,
    /// The store said that the shard is another's.
    Fenced,
}

/// What a transaction goes by once it has its locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Examined {
    /// What was decided on.
    pub basis: Basis,
    /// The instant by which it judges expiry.
    pub now: Tick,
    /// The store's clock when it had its locks.
    pub locked_at: Tick,
}

/// One request's caller, or rather the node the request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The highest epoch an owner was asked under; 0 when none was.
    pub asked_epoch: Epoch,
    /// Whether the owner-less path was begun. After that nobody else's no counts.
    pub went_ownerless: bool,
    /// What the caller was told.
    pub answer: Option<Answer>,
}

/// What a caller was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Done, by whom.
    Yes(Performer),
    /// Refused.
    No,
}

impl Performer {
    /// Where its work stands.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Node(node) => node as usize,
            Self::Ownerless => 2,
        }
    }
}

impl World {
    /// A world in which node 0 owns the shard, knows the facts, and nothing has been asked.
    #[must_use]
    pub fn new(scenario: u8, request_count: usize) -> Self {
        let owner = Node { epoch: Some(1), facts: Some(Facts { revision: 0, claims: Vec::new() }) };
        Self {
            scenario,
            store: Store::new(request_count),
            nodes: [owner, Node::default()],
            works: [None, None, None],
            callers: vec![Caller { asked_epoch: 0, went_ownerless: false, answer: None }; request_count],
            crashes: 0,
        }
    }

    /// The caller of a request.
    #[must_use]
    pub fn caller(&self, request: RequestIndex) -> &Caller {
        &self.callers[usize::from(request)]
    }

    /// The commit a performer has in flight.
    #[must_use]
    pub const fn work(&self, performer: Performer) -> Option<&Work> {
        self.works[performer.index()].as_ref()
    }

    /// A node's memory, if the performer is one.
    pub fn node_mut(&mut self, performer: Performer) -> Option<&mut Node> {
        match performer {
            Performer::Node(node) => Some(&mut self.nodes[usize::from(node)]),
            Performer::Ownerless => None,
        }
    }
}

impl Store {
    fn new(request_count: usize) -> Self {
        Self {
            clock: 0,
            epoch: 1,
            has_lease: true,
            revision: 0,
            claims: Vec::new(),
            ledger: vec![Entry::Open; request_count],
            marks: Marks::default(),
        }
    }
}
