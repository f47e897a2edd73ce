//! Offers: a slot's `slot_id`, a short keyed token. Booking by it takes exactly what was offered.
//!
//! An answer offers hundreds of slots, so what they share is worked out once: an [`OfferWriter`] derives a key from the
//! account, the meeting and the terms, and each slot costs one short keyed hash (SipHash-2-4, 64 bits). Whoever was not
//! offered a slot would have to guess those within the offer's life, through our own limits.
//!
//! Layout before base 64: form (1), tag of the event type or user (3), expiry (4), for ad hoc meetings their length (2),
//! start (4), set of hosts by their place in the event type (1 to 16, little end first, no trailing zeros), signature
//! (8). Instants are minutes since 1970: windows are wall-clock minutes and offsets from UTC whole minutes, so slots
//! begin at whole minutes. With up to eight hosts that makes 33 characters, prefix included.

use std::hash::Hasher;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use siphasher::sip::SipHasher24;
use subtle::ConstantTimeEq;

use super::keys::{Purpose, SigningKeys};
use crate::decision::HostSet;
use crate::ids::{AccountId, EventTypeId, UserId};
use crate::model::{AdHocMeeting, AvailabilityRules, EventType, User};
use crate::time::{MINUTE_US, Timestamp};

/// How long an offer counts, in seconds: a long call.
pub const OFFER_TTL_SECONDS: u32 = 1_800;
/// What every slot id begins with.
pub const SLOT_ID_PREFIX: &str = "slot_";

const FORM_EVENT_TYPE: u8 = 1;
const FORM_AD_HOC: u8 = 2;
const SIGNATURE_LEN: usize = 8;
const TAG_LEN: usize = 3;
const INSTANT_LEN: usize = 4;
const LENGTH_LEN: usize = 2;
const HOSTS_LEN_MAX: usize = 16;
/// Form, tag and expiry: what all slots of an answer begin with.
const HEAD_LEN: usize = 1 + TAG_LEN + INSTANT_LEN;
/// Longest token, in bytes before base 64.
const LEN_MAX: usize = HEAD_LEN + LENGTH_LEN + INSTANT_LEN + HOSTS_LEN_MAX + SIGNATURE_LEN;
/// Bytes of the head whose characters are the same for all slots of an answer.
const SHARED_LEN: usize = HEAD_LEN / 3 * 3;
const SHARED_TEXT_LEN: usize = SLOT_ID_PREFIX.len() + SHARED_LEN / 3 * 4;
/// Longest part of a token that is written for each slot, in bytes before base 64, made up to whole groups of three.
const OWN_LEN_MAX: usize = (LEN_MAX - SHARED_LEN).next_multiple_of(3);
/// The same in characters.
const OWN_TEXT_LEN_MAX: usize = OWN_LEN_MAX / 3 * 4;
/// What is written for each slot of an event type with up to eight hosts: bytes that the shared characters do not say, and
/// how many characters it makes.
const USUAL_REST_LEN: usize = HEAD_LEN - SHARED_LEN;
const USUAL_TEXT_LEN: usize = (USUAL_REST_LEN + INSTANT_LEN + 1 + SIGNATURE_LEN) / 3 * 4;
/// Longest token, in characters.
const TEXT_LEN_MAX: usize = SHARED_TEXT_LEN + OWN_TEXT_LEN_MAX;

/// What is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

    /// What signs offers on these terms, with the key that signs.
    pub fn signer(&self, keys: &SigningKeys) -> OfferSigner {
        let key = self.derived(keys).next().expect("there is a key that signs");
        OfferSigner { subject: self.subject, hasher: SipHasher24::new_with_key(&key) }
    }

    /// The short keys slots of these terms are signed with: the one of the key that signs first.
    fn derived(&self, keys: &SigningKeys) -> impl Iterator<Item = [u8; 16]> + use<> {
        let parts = self.parts();
        let parts = parts.each_ref().map(Vec::as_slice);
        let derived: Vec<[u8; 16]> =
            keys.candidates(Purpose::Offer, &parts).map(|signature| first(&signature)).collect();
        derived.into_iter()
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

    /// What a token says of it, enough to find it in its account.
    fn hint(&self) -> Hint {
        match self {
            Self::EventType(id) => Hint { form: FORM_EVENT_TYPE, tag: tag(&id.as_uuid()), minutes: None },
            Self::AdHoc(meeting) => {
                let minutes = u16::try_from(meeting.duration_minutes).unwrap_or(u16::MAX);
                Hint { form: FORM_AD_HOC, tag: tag(&meeting.user_id.as_uuid()), minutes: Some(minutes) }
            }
        }
    }
}

/// What a token says openly of its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hint {
    form: u8,
    tag: [u8; TAG_LEN],
    minutes: Option<u16>,
}

/// The last bytes of an id, which are random.
fn tag(id: &uuid::Uuid) -> [u8; TAG_LEN] {
    first(&id.as_bytes()[16 - TAG_LEN..])
}

fn first<const LEN: usize>(bytes: &[u8]) -> [u8; LEN] {
    let mut own = [0; LEN];
    own.copy_from_slice(&bytes[..LEN]);
    own
}

fn version_of(what: &impl serde::Serialize) -> u64 {
    let bytes = serde_json::to_vec(what).expect("terms are made of what JSON can say");
    xxhash_rust::xxh3::xxh3_64(&bytes)
}

/// Signs the offers of one meeting on its present terms. Worth keeping while these last: making one costs hashing all of
/// the terms.
#[derive(Clone, Debug)]
pub struct OfferSigner {
    subject: OfferSubject,
    hasher: SipHasher24,
}

/// Writes the slot ids of one answer.
#[derive(Clone, Debug)]
pub struct OfferWriter {
    /// Has seen the head.
    hasher: SipHasher24,
    /// The characters all slots share.
    text: [u8; SHARED_TEXT_LEN],
    /// The bytes before the start that these characters do not say.
    rest: [u8; HEAD_LEN - SHARED_LEN + LENGTH_LEN],
    rest_len: usize,
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

impl OfferSigner {
    /// A writer of offers that count until `expires_at`, or the whole minute after it.
    pub fn writer(&self, expires_at: Timestamp) -> OfferWriter {
        let hint = self.subject.hint();
        let mut bytes = [0; HEAD_LEN + LENGTH_LEN];
        bytes[0] = hint.form;
        bytes[1..=TAG_LEN].copy_from_slice(&hint.tag);
        bytes[1 + TAG_LEN..HEAD_LEN].copy_from_slice(&minutes(expires_at.plus_micros(MINUTE_US - 1)));
        let mut len = HEAD_LEN;
        if let Some(minutes) = hint.minutes {
            bytes[HEAD_LEN..].copy_from_slice(&minutes.to_be_bytes());
            len += LENGTH_LEN;
        }
        let mut text = [0; SHARED_TEXT_LEN];
        text[..SLOT_ID_PREFIX.len()].copy_from_slice(SLOT_ID_PREFIX.as_bytes());
        URL_SAFE_NO_PAD
            .encode_slice(&bytes[..SHARED_LEN], &mut text[SLOT_ID_PREFIX.len()..])
            .expect("the shared characters fit");
        let mut hasher = self.hasher;
        hasher.write(&bytes[..len]);
        OfferWriter { hasher, text, rest: first(&bytes[SHARED_LEN..]), rest_len: len - SHARED_LEN }
    }
}

impl OfferWriter {
    /// A writer of offers on these terms that count until `expires_at`, or the whole minute after it.
    pub fn new(terms: &OfferTerms, keys: &SigningKeys, expires_at: Timestamp) -> Self {
        terms.signer(keys).writer(expires_at)
    }

    /// Appends the slot id of a start, at a whole minute, with the hosts that are free then.
    pub fn write(&self, start: Timestamp, hosts: HostSet, out: &mut Vec<u8>) {
        let (text, len) = self.own_text(start, hosts);
        out.extend_from_slice(&self.text);
        out.extend_from_slice(&text[..len]);
    }

    /// Makes a slot id that this writer wrote for the same hosts the one of another start. Their length is the same.
    ///
    /// # Panics
    /// When `slot_id` is shorter than that.
    pub fn rewrite(&self, start: Timestamp, hosts: HostSet, slot_id: &mut [u8]) {
        let own = &mut slot_id[SHARED_TEXT_LEN..];
        if let Some(text) = self.usual_text(start, hosts) {
            own[..USUAL_TEXT_LEN].copy_from_slice(&text);
        } else {
            let (text, len) = self.own_text(start, hosts);
            own[..len].copy_from_slice(&text[..len]);
        }
    }

    /// As [`Self::own_text`], for up to eight hosts of an event type, which nearly all offers have: rest, start, hosts and
    /// signature are 120 bits then, put together as numbers.
    fn usual_text(&self, start: Timestamp, hosts: HostSet) -> Option<[u8; USUAL_TEXT_LEN]> {
        let hosts = u8::try_from(hosts.bits()).ok().filter(|_| self.rest_len == USUAL_REST_LEN)?;
        let start = minutes(start);
        let mut hasher = self.hasher;
        // As `write` of the five bytes would, which is made for any number of them.
        hasher.write_u32(u32::from_le_bytes(start));
        hasher.write_u8(hosts);
        let signature = hasher.finish();
        let rest = u16::from_be_bytes(first(&self.rest));
        let parts = [
            u64::from(rest) << 32 | u64::from(u32::from_be_bytes(start)),
            u64::from(hosts) << 40 | signature >> 24,
            signature << 24,
        ];
        // A few more than needed, so that they fill whole registers.
        let mut text = [0; 32];
        for (place, part) in text.as_chunks_mut::<8>().0.iter_mut().zip(parts) {
            *place = sextets(part);
        }
        for place in &mut text {
            *place = digit(*place);
        }
        Some(first(&text))
    }

    /// The characters that differ from slot to slot, and how many they are.
    fn own_text(&self, start: Timestamp, hosts: HostSet) -> ([u8; OWN_TEXT_LEN_MAX], usize) {
        debug_assert_eq!(start.as_micros() % MINUTE_US, 0, "slots begin at whole minutes");
        let mut bytes = [0; OWN_LEN_MAX];
        bytes[..self.rest.len()].copy_from_slice(&self.rest);
        let mut len = self.rest_len;
        bytes[len..len + INSTANT_LEN].copy_from_slice(&minutes(start));
        len += INSTANT_LEN;
        let hosts = hosts.bits();
        let hosts_len = HOSTS_LEN_MAX - ((hosts | 1).leading_zeros() / 8) as usize;
        bytes[len..len + HOSTS_LEN_MAX].copy_from_slice(&hosts.to_le_bytes());
        len += hosts_len;
        let mut hasher = self.hasher;
        hasher.write(&bytes[self.rest_len..len]);
        bytes[len..len + SIGNATURE_LEN].copy_from_slice(&finished(&hasher));
        own_text(&bytes, len + SIGNATURE_LEN)
    }
}

/// A slot id taken apart, its signature not yet checked: enough to find what it may be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedOffer {
    hint: Hint,
    offer: Offer,
    /// All that is signed.
    body: Vec<u8>,
    signature: [u8; SIGNATURE_LEN],
}

impl UnverifiedOffer {
    /// Takes a slot id apart; `None` where it cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(SLOT_ID_PREFIX).filter(|text| text.len() <= TEXT_LEN_MAX)?;
        let mut body = super::decode(text)?;
        let signature = first(&body.split_off(body.len().checked_sub(SIGNATURE_LEN)?));
        let (head, rest) = body.split_at_checked(HEAD_LEN)?;
        let (length, rest) = match head[0] {
            FORM_EVENT_TYPE => (None, rest),
            FORM_AD_HOC => rest.split_first_chunk::<LENGTH_LEN>().map(|(length, rest)| (Some(*length), rest))?,
            _ => return None,
        };
        let (start, hosts) = rest.split_first_chunk::<INSTANT_LEN>()?;
        let mut bits = [0; HOSTS_LEN_MAX];
        bits.get_mut(..hosts.len()).filter(|bits| !bits.is_empty())?.copy_from_slice(hosts);
        let offer = Offer {
            start: from_minutes(*start),
            hosts: HostSet::from_bits(u128::from_le_bytes(bits)),
            expires_at: from_minutes(first(&head[1 + TAG_LEN..])),
        };
        let hint = Hint { form: head[0], tag: first(&head[1..]), minutes: length.map(u16::from_be_bytes) };
        Some(Self { hint, offer, body, signature })
    }

    /// When the slot begins, as far as the slot id is to be believed.
    pub fn claimed_start(&self) -> Timestamp {
        self.offer.start
    }

    /// Whether it may be about this event type.
    pub fn may_be_of(&self, id: EventTypeId) -> bool {
        self.hint == OfferSubject::EventType(id).hint()
    }

    /// The length of the meeting it may be about with this user, without an event type.
    pub fn ad_hoc_with(&self, id: UserId) -> Option<AdHocMeeting> {
        let duration_minutes = self.hint.minutes?.into();
        (self.hint.tag == tag(&id.as_uuid())).then_some(AdHocMeeting { user_id: id, duration_minutes })
    }

    /// The offer, where it was made on these terms and still counts.
    pub fn verify(&self, terms: &OfferTerms, keys: &SigningKeys, store_now: Timestamp) -> Result<Offer, SlotIdError> {
        let is_signed = terms.derived(keys).any(|key| {
            let mut hasher = SipHasher24::new_with_key(&key);
            hasher.write(&self.body);
            bool::from(finished(&hasher).ct_eq(&self.signature))
        });
        if self.hint != terms.subject.hint() || !is_signed {
            return Err(SlotIdError::NotOffered);
        }
        if self.offer.expires_at <= store_now {
            return Err(SlotIdError::Expired { start: self.offer.start });
        }
        Ok(self.offer)
    }
}

/// The lowest 48 bits of a number, six to a byte, the highest first. They are moved apart all at once: halves, then
/// quarters, then eighths.
const fn sextets(bits: u64) -> [u8; 8] {
    let bits = (bits & 0xffff_ff00_0000) << 8 | bits & 0xff_ffff;
    let bits = (bits & 0x00ff_f000_00ff_f000) << 4 | bits & 0x0000_0fff_0000_0fff;
    let bits = (bits & 0x0fc0_0fc0_0fc0_0fc0) << 2 | bits & 0x003f_003f_003f_003f;
    bits.to_be_bytes()
}

/// The digit of six bits in base 64 for addresses (RFC 4648, section 5): worked out rather than looked up, so that the
/// compiler can do many at once.
#[inline]
const fn digit(sextet: u8) -> u8 {
    let mut digit = b'A' + sextet;
    if sextet >= 26 {
        digit += b'a' - b'Z' - 1;
    }
    if sextet >= 52 {
        digit -= b'z' + 1 - b'0';
    }
    if sextet >= 62 {
        digit -= b'9' + 1 - b'-';
    }
    if sextet == 63 {
        digit += b'_' - b'-' - 1;
    }
    digit
}

/// The first `len` bytes in base 64 without padding. For so few bytes three times as fast as encoders for any number.
fn own_text(bytes: &[u8; OWN_LEN_MAX], len: usize) -> ([u8; OWN_TEXT_LEN_MAX], usize) {
    let mut text = [0; OWN_TEXT_LEN_MAX];
    let groups = bytes.as_chunks::<3>().0.iter().zip(text.as_chunks_mut::<4>().0);
    for (&[a, b, c], digits) in groups.take(len.div_ceil(3)) {
        let group = u32::from_be_bytes([0, a, b, c]);
        *digits = [18, 12, 6, 0].map(|shift| digit((group >> shift & 63) as u8));
    }
    (text, (len * 8).div_ceil(6))
}

fn finished(hasher: &SipHasher24) -> [u8; SIGNATURE_LEN] {
    hasher.finish().to_be_bytes()
}

fn minutes(instant: Timestamp) -> [u8; INSTANT_LEN] {
    u32::try_from(instant.as_micros().div_euclid(MINUTE_US)).unwrap_or(0).to_be_bytes()
}

fn from_minutes(bytes: [u8; INSTANT_LEN]) -> Timestamp {
    Timestamp::from_micros(i64::from(u32::from_be_bytes(bytes)) * MINUTE_US)
}
