//! Tokens others carry for us: offers of slots, links for attendees, what providers ring
//! with, and what comes back from consenting. Signed, so that nothing need be kept.
//!
//! A token says what it is about in a few bytes; the signature covers that and everything it must not be used for: another
//! account, another purpose, other terms.

mod attempt;
mod bell;
mod keys;
mod link;
mod offer;
mod pair;

pub use attempt::ConsentState;
pub use bell::CalendarBell;
pub use keys::{SIGNING_KEY_LEN, SigningKeys};
pub use link::ManageLink;
pub use offer::{
    OFFER_TTL_SECONDS, Offer, OfferSigner, OfferSubject, OfferTerms, OfferWriter, SLOT_ID_PREFIX, SlotIdError,
    UnverifiedOffer,
};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
