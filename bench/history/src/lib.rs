//! What clients saw beside what the store holds: finds overlaps, losses and lies.
//!
//! A test writes down an [`Event`] for every request its clients made: when it went out, when its answer came, what was
//! asked and what was said. A request without an answer is *in doubt*: it may have happened or not, and every check
//! allows either. Afterwards it reads the store ([`Final`]), and [`check`] compares the two.
//!
//! ```
//! use agentcal_history::{Allowances, Final, check};
//!
//! let report = check(&[], &Final::default(), &Allowances::default());
//! assert!(report.is_sound());
//! // A check that looked at nothing proves nothing: assert on the counts, too.
//! assert_eq!(report.counts.bookings_acknowledged, 0);
//! ```
//!
//! Real processes are checked the same way: [`Event::to_line`] writes a JSON line as soon as an answer came (and before
//! it came, one without an answer), [`read_events`] reads the lines back.
//!
//! All instants of events must come from one clock. Holds expire by the store's clock; how far the two may lie apart is
//! [`Allowances::clock_slack_us`].
//!
//! Bookings are recognised by their *intent*: a name for one wish of one person, that the client puts into the booking's
//! metadata as [`INTENT`]. Retries of one wish share the intent.

mod certain;
mod checks;
mod event;
mod finale;
mod ledger;
mod report;
mod timeline;
mod violation;

pub use event::{
    Answer, BookingSeen, Event, FreshnessSeen, FreshnessState, HoldSeen, Operation, Outcome, ReadError, SlotSeen,
    SlotsSeen, Wish, read_events,
};
pub use finale::{EventAtProvider, Final, Late, LateCause, ProviderFinal, Superseded, Truth};
pub use report::{Allowances, Counts, LateOffer, Report, check};
pub use violation::Violation;

/// The key in a booking's metadata under which clients name their intent.
pub const INTENT: &str = "intent";
