//! What the fakes of calendar providers share: a clock that is set by hand, faults by script, a count of calls, quotas,
//! recurrence, and tokens for pages.
//!
//! Fakes are for tests and for trying things out. Nothing that ships imports them.

mod calls;
mod clock;
mod faults;
mod quota;
pub mod recurrence;
mod serve;
pub mod tokens;
mod under_way;

pub use calls::Calls;
pub use clock::Clock;
pub use faults::{Fault, Faults, Rule, When, through_faults};
pub use quota::Quota;
pub use serve::{Served, serve};
pub use under_way::{Begun, UnderWay};
