//! What callers ask, and how far a run goes.

/// A time somebody may want. One and two overlap; three begins where two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// From 0 to 2.
    One,
    /// From 1 to 3.
    Two,
    /// From 3 to 4.
    Three,
}

/// The time the rules want between two claims. Only the decision knows it; the store's constraint does not.
const BUFFER: u8 = 1;

impl Slot {
    const fn range(self) -> (u8, u8) {
        match self {
            Self::One => (0, 2),
            Self::Two => (1, 3),
            Self::Three => (3, 4),
        }
    }

    /// Whether both take some of the same time.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.is_within(other, 0)
    }

    /// Whether the rules forbid one beside the other.
    #[must_use]
    pub fn is_too_close_to(self, other: Self) -> bool {
        self.is_within(other, BUFFER)
    }

    fn is_within(self, other: Self, gap: u8) -> bool {
        let ((start, end), (other_start, other_end)) = (self.range(), other.range());
        start < other_end + gap && other_start < end + gap
    }
}

/// Which request of a scenario; also the commit's id, and the name of the claim it makes.
pub type RequestIndex = u8;

/// What a caller asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Book a time.
    Book(Slot),
    /// Hold a time for one tick of the store's clock.
    Hold(Slot),
    /// Make a booking of the hold that request made. Asked once the caller has heard of the hold.
    Confirm(RequestIndex),
    /// Cancel the booking that request made. Asked once the caller has heard of the booking.
    Cancel(RequestIndex),
}

/// Some requests, and how much may go wrong around them.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What is tried here.
    pub name: &'static str,
    /// What callers ask, in any order that the requests allow.
    pub requests: Vec<Request>,
    /// The highest epoch; ownership begins at 1.
    pub epoch_max: u8,
    /// The last tick of the store's clock; it begins at 0.
    pub clock_max: u8,
    /// How many times a node may lose everything it has in memory.
    pub crashes_max: u8,
}

impl Scenario {
    /// A request.
    #[must_use]
    pub fn request(&self, index: RequestIndex) -> Request {
        self.requests[usize::from(index)]
    }

    /// The claim a request is about: its own, or the one it confirms or cancels.
    #[must_use]
    pub fn claim_of(&self, index: RequestIndex) -> RequestIndex {
        match self.request(index) {
            Request::Book(_) | Request::Hold(_) => index,
            Request::Confirm(earlier) | Request::Cancel(earlier) => self.claim_of(earlier),
        }
    }

    /// Indexes of all requests.
    pub fn indexes(&self) -> impl Iterator<Item = RequestIndex> + use<> {
        (0u8..).take(self.requests.len())
    }
}

/// The scenarios every plan is tried in.
#[must_use]
pub fn all() -> Vec<Scenario> {
    use Request::{Book, Cancel, Confirm, Hold};
    use Slot::{One, Three, Two};
    let scenario = |name, requests: &[Request], (epoch_max, clock_max, crashes_max)| Scenario {
        name,
        requests: requests.to_vec(),
        epoch_max,
        clock_max,
        crashes_max,
    };
    vec![
        scenario("two callers want overlapping times", &[Book(One), Book(Two)], (3, 0, 1)),
        scenario("a neighbour comes too close", &[Book(Two), Book(Three)], (2, 0, 1)),
        scenario("a hold, its confirmation and a rival", &[Hold(Two), Confirm(0), Book(One)], (2, 1, 0)),
        scenario("a hold, its confirmation and a neighbour", &[Hold(Two), Confirm(0), Book(Three)], (1, 1, 1)),
        scenario("two holds of overlapping times", &[Hold(One), Hold(Two), Confirm(1)], (2, 1, 0)),
        scenario("a booking is cancelled and its time taken", &[Book(One), Cancel(0), Book(Two)], (2, 0, 0)),
    ]
}

/// One of [`all`].
///
/// # Panics
/// When there is none of that name.
#[must_use]
pub fn named(name: &str) -> Scenario {
    all().into_iter().find(|scenario| scenario.name == name).expect("the name is one of the scenarios' names")
}
