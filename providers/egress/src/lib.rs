//! The one way out to addresses that customers name: CalDAV servers now, webhook receivers later.
//!
//! Every address is checked after resolution, inside the connector, so that a name whose answer changes between a check
//! and its use gains nothing. Redirects are followed by hand, on the same origin only; bodies and time are bounded;
//! nothing is decompressed, and no proxy, cookie or referrer comes into play.

mod address;
mod at_most;
mod client;
mod dns;
mod error;
mod policy;

pub use address::{AddressClass, classify};
pub use at_most::AtMost;
pub use client::{EgressClient, EgressOptions, EgressRequest, EgressResponse, REDIRECTS_MAX};
pub use dns::{Dns, ServiceTarget};
pub use error::EgressError;
pub use policy::EgressPolicy;
