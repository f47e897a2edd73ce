//! Offers: a slot's `slot_id`, a short keyed token. Booking by it takes exactly what was offered.
//!
//! An answer offers hundreds of slots, so what they share is worked out once: an [`OfferWriter`] derives a key from the
//! account, the meeting and the terms, and each slot costs one short keyed hash (SipHash-2-4 with 128 bits, of which 80
//! are kept). Whoever was not offered a slot would have to guess those within the offer's life, through our own limits.
//!
//! Layout before base 64: form (1), tag of the event type or user (4), for ad hoc meetings the minutes (2), expiry in
//! seconds since 1970 (5), start in seconds since 1970 (5), set of hosts by their place in the event type (1 to 16, little
//! end first, no trailing zeros), signature (10).

use std::hash::Hasher;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use siphasher::sip128::{Hasher128, SipHasher24};
use subtle::ConstantTimeEq;

use super::keys::{Purpose, SigningKeys};
use crate::decision::HostSet;
use crate::ids::{AccountId, EventTypeId, UserId};
use crate::model::{AdHocMeeting, AvailabilityRules, EventType, User};
use crate::time::{SECOND_US, Timestamp};

/// How long an offer counts, in seconds: a long call.
pub const OFFER_TTL_SECONDS: u32 = 1_800;
/// What every slot id begins with.
pub const SLOT_ID_PREFIX: &str = "slot_";

const FORM_EVENT_TYPE: u8 = 1;
const FORM_AD_HOC: u8 = 2;
const SIGNATURE_LEN: usize = 10;
const TAG_LEN: usize = 4;
const INSTANT_LEN: usize = 5;
const HOSTS_LEN_MAX: usize = 16;
/// Longest token, in bytes before base 64.
const LEN_MAX: usize = 1 + TAG_LEN + 2 + 2 * INSTANT_LEN + HOSTS_LEN_MAX + SIGNATURE_LEN;
/// Longest token, in characters.
const TEXT_LEN_MAX: usize = SLOT_ID_PREFIX.len() + LEN_MAX.div_ceil(3) * 4;

/// What is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferSubject {
    /// An event type.
    EventType(EventTypeId),
    /// A meeting without one.
    AdHoc(AdHocMeeting),
}

/// The terms an offer is made on. Two offers on different terms never pass for one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferTerms {
    /// The account.
    pub account_id: AccountId,
    /// What is offered.
    pub subject: OfferSubject,
    /// The version of the rules: changes with the event type, its hosts and everybody's rules, and with nothing else.
    pub rules_version: u64,
}

impl OfferTerms {
    /// Terms of an event type with its hosts, in the order of its `user_ids`.
    pub fn of_event_type(
        event_type: &EventType,
        rules: Option<&AvailabilityRules>,
        hosts: &[(&User, &AvailabilityRules)],
    ) -> Self {
        let hosts: Vec<_> = hosts.iter().map(|(user, rules)| (user.id, user.timezone, *rules)).collect();
        let version = version_of(&(event_type, rules, hosts));
        let subject = OfferSubject::EventType(event_type.id);
        Self { account_id: event_type.account_id, subject, rules_version: version }
    }

    /// Terms of a meeting without an event type.
    pub fn ad_hoc(meeting: AdHocMeeting, user: &User, rules: &AvailabilityRules) -> Self {
        let version = version_of(&(meeting, user.timezone, rules));
        Self { account_id: user.account_id, subject: OfferSubject::AdHoc(meeting), rules_version: version }
    }

    /// The short keys slots of these terms are signed with: the one of the key that signs first.
    fn derived<'a>(&'a self, keys: &'a SigningKeys) -> impl Iterator<Item = [u8; 16]> + 'a {
        let parts = self.parts();
        let candidates: Vec<[u8; 32]> =
            keys.candidates(Purpose::Offer, &parts.iter().map(Vec::as_slice).collect::<Vec<_>>()).collect();
        candidates.into_iter().map(|signature| {
            let mut key = [0; 16];
            key.copy_from_slice(&signature[..16]);
            key
        })
    }

    fn parts(&self) -> [Vec<u8>; 3] {
        [self.account_id.as_uuid().as_bytes().to_vec(), self.subject.bytes(), self.rules_version.to_be_bytes().to_vec()]
    }
}

impl OfferSubject {
    /// What the account's signature covers.
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::EventType(id) => id.as_uuid().as_bytes().to_vec(),
            Self::AdHoc(meeting) => {
                let mut bytes = meeting.user_id.as_uuid().as_bytes().to_vec();
                bytes.extend_from_slice(&meeting.duration_minutes.to_be_bytes());
                bytes
            }
        }
    }

    /// Form and tag: what a token says of it, enough to find it in its account.
    fn push_hint(&self, out: &mut Vec<u8>) {
        match self {
            Self::EventType(id) => {
                out.push(FORM_EVENT_TYPE);
                out.extend_from_slice(&tag(&id.as_uuid()));
            }
            Self::AdHoc(meeting) => {
                out.push(FORM_AD_HOC);
                out.extend_from_slice(&tag(&meeting.user_id.as_uuid()));
                let minutes = u16::try_from(meeting.duration_minutes).unwrap_or(u16::MAX);
                out.extend_from_slice(&minutes.to_be_bytes());
            }
        }
    }
}

/// The last bytes of an id, which are random.
fn tag(id: &uuid::Uuid) -> [u8; TAG_LEN] {
    let mut tag = [0; TAG_LEN];
    tag.copy_from_slice(&id.as_bytes()[16 - TAG_LEN..]);
    tag
}

fn version_of(what: &impl serde::Serialize) -> u64 {
    let bytes = serde_json::to_vec(what).expect("terms are made of what JSON can say");
    xxhash_rust::xxh3::xxh3_64(&bytes)
}

/// Writes the slot ids of one answer.
#[derive(Clone, Debug)]
pub struct OfferWriter {
    prefix: Vec<u8>,
    key: [u8; 16],
}

/// What a slot id offers, once its signature was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// When the slot begins.
    pub start: Timestamp,
    /// Who was offered, by their place in the event type's `user_ids`; for ad hoc meetings the user alone, place 0.
    pub hosts: HostSet,
    /// When the offer ends, by the store's clock.
    pub expires_at: Timestamp,
}

/// Why a slot id does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotIdError {
    /// It was not made here, was changed, or belongs to another account or meeting, or to terms that have changed since.
    #[error("the slot id was not offered for this meeting on its present terms")]
    NotOffered,
    /// It was offered too long ago.
    #[error("the offer has expired")]
    Expired {
        /// The time it offered.
        start: Timestamp,
    },
}

impl OfferWriter {
    /// A writer of offers on these terms that count until `expires_at`.
    pub fn new(terms: &OfferTerms, keys: &SigningKeys, expires_at: Timestamp) -> Self {
        let mut prefix = Vec::with_capacity(LEN_MAX);
        terms.subject.push_hint(&mut prefix);
        push_seconds(expires_at, &mut prefix);
        let key = terms.derived(keys).next().expect("there is a key that signs");
        Self { prefix, key }
    }

    /// Appends the slot id of a start with the hosts that are free then.
    pub fn write(&self, start: Timestamp, hosts: HostSet, out: &mut Vec<u8>) {
        let mut bytes = [0; LEN_MAX];
        let mut len = self.prefix.len();
        bytes[..len].copy_from_slice(&self.prefix);
        bytes[len..len + INSTANT_LEN].copy_from_slice(&seconds(start));
        len += INSTANT_LEN;
        let hosts = hosts.bits().to_le_bytes();
        let hosts_len = hosts.iter().rposition(|&byte| byte != 0).map_or(1, |last| last + 1);
        bytes[len..len + hosts_len].copy_from_slice(&hosts[..hosts_len]);
        len += hosts_len;
        let signature = signature(&self.key, &bytes[..len]);
        bytes[len..len + SIGNATURE_LEN].copy_from_slice(&signature);
        len += SIGNATURE_LEN;
        let mut text = [0; TEXT_LEN_MAX];
        let text_len = URL_SAFE_NO_PAD.encode_slice(&bytes[..len], &mut text).expect("the longest token fits");
        out.extend_from_slice(SLOT_ID_PREFIX.as_bytes());
        out.extend_from_slice(&text[..text_len]);
    }
}

/// A slot id taken apart, its signature not yet checked: enough to find what it may be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedOffer {
    bytes: Vec<u8>,
    /// Bytes of form and tag.
    hint_len: usize,
}

impl UnverifiedOffer {
    /// Takes a slot id apart; `None` where it cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(SLOT_ID_PREFIX).filter(|text| text.len() <= TEXT_LEN_MAX)?;
        let bytes = super::decode(text)?;
        let hint_len = match bytes.first()? {
            &FORM_EVENT_TYPE => 1 + TAG_LEN,
            &FORM_AD_HOC => 1 + TAG_LEN + 2,
            _ => return None,
        };
        let hosts = bytes.len().checked_sub(hint_len + 2 * INSTANT_LEN + SIGNATURE_LEN)?;
        (1..=HOSTS_LEN_MAX).contains(&hosts).then_some(Self { bytes, hint_len })
    }

    /// Whether it may be about this event type.
    pub fn may_be_of(&self, id: EventTypeId) -> bool {
        self.bytes[0] == FORM_EVENT_TYPE && self.bytes[1..=TAG_LEN] == tag(&id.as_uuid())
    }

    /// The length of the meeting it may be about with this user, without an event type.
    pub fn ad_hoc_with(&self, id: UserId) -> Option<AdHocMeeting> {
        if self.bytes[0] != FORM_AD_HOC || self.bytes[1..=TAG_LEN] != tag(&id.as_uuid()) {
            return None;
        }
        let minutes = u16::from_be_bytes([self.bytes[TAG_LEN + 1], self.bytes[TAG_LEN + 2]]);
        Some(AdHocMeeting { user_id: id, duration_minutes: minutes.into() })
    }

    /// The offer, where it was made on these terms and still counts.
    pub fn verify(&self, terms: &OfferTerms, keys: &SigningKeys, store_now: Timestamp) -> Result<Offer, SlotIdError> {
        let mut hint = Vec::with_capacity(self.hint_len);
        terms.subject.push_hint(&mut hint);
        let (body, kept) = self.bytes.split_at(self.bytes.len() - SIGNATURE_LEN);
        let is_signed = terms.derived(keys).any(|key| bool::from(signature(&key, body).ct_eq(kept)));
        if hint != self.bytes[..self.hint_len] || !is_signed {
            return Err(SlotIdError::NotOffered);
        }
        let (expires_at, rest) = body[self.hint_len..].split_at(INSTANT_LEN);
        let (start, hosts) = rest.split_at(INSTANT_LEN);
        let (start, expires_at) = (from_seconds(start), from_seconds(expires_at));
        if expires_at <= store_now {
            return Err(SlotIdError::Expired { start });
        }
        let mut bits = [0; HOSTS_LEN_MAX];
        bits[..hosts.len()].copy_from_slice(hosts);
        Ok(Offer { start, hosts: HostSet::from_bits(u128::from_le_bytes(bits)), expires_at })
    }
}

fn signature(key: &[u8; 16], body: &[u8]) -> [u8; SIGNATURE_LEN] {
    let mut hasher = SipHasher24::new_with_key(key);
    hasher.write(body);
    let mut signature = [0; SIGNATURE_LEN];
    signature.copy_from_slice(&hasher.finish128().as_bytes()[..SIGNATURE_LEN]);
    signature
}

/// Slots begin at whole seconds, since windows are wall-clock minutes.
fn seconds(instant: Timestamp) -> [u8; INSTANT_LEN] {
    let seconds = u64::try_from(instant.as_micros().div_euclid(SECOND_US)).unwrap_or(0).to_be_bytes();
    let mut bytes = [0; INSTANT_LEN];
    bytes.copy_from_slice(&seconds[8 - INSTANT_LEN..]);
    bytes
}

fn push_seconds(instant: Timestamp, out: &mut Vec<u8>) {
    out.extend_from_slice(&seconds(instant));
}

fn from_seconds(bytes: &[u8]) -> Timestamp {
    let seconds = bytes.iter().fold(0, |seconds, &byte| seconds << 8 | i64::from(byte));
    Timestamp::from_seconds(seconds)
}
