//! Who mails come from.

use crate::address::Address;

/// Where mails come from, and where servers report to what they could not deliver later on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The address in From and in the envelope. The name beside it is the organization's.
    pub address: Address,
}
