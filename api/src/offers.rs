//! Offers: slot ids for what is shown to be free, and back from a slot id to what was offered.
//!
//! Signing begins with a hash of all the terms a slot is offered on. That is done once per meeting and version of the
//! account's configuration, and remembered.

mod instead;

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::ask::{event_type_in, user_in};
use agentcal_engine::calendar::request::Meeting;
use agentcal_engine::decision::{Host, HostSet};
use agentcal_engine::ids::{AccountId, UserId};
use agentcal_engine::model::AdHocMeeting;
use agentcal_engine::ports::AccountConfig;
use agentcal_engine::signed::{
    OFFER_TTL_SECONDS, OfferSigner, OfferSubject, OfferTerms, OfferWriter, SigningKeys, SlotIdError, UnverifiedOffer,
};
use agentcal_engine::time::Timestamp;
use quick_cache::sync::Cache;

use crate::caller::Cx;

pub(crate) use instead::{fresh_slots, refused_offer, rendered_alternatives};

/// Most meetings whose terms are remembered.
const REMEMBERED_MAX: usize = 20_000;

/// What makes and reads slot ids.
pub(crate) struct Offers {
    keys: Arc<SigningKeys>,
    remembered: Cache<(AccountId, u64, OfferSubject), Arc<Offering>>,
}

/// A meeting as it is offered at one version of its account's configuration.
pub(crate) struct Offering {
    terms: OfferTerms,
    signer: OfferSigner,
    /// Hosts by their place in offers.
    user_ids: Vec<UserId>,
    /// Whether publishable keys see it.
    public: bool,
}

/// What a slot id offered, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResolvedOffer {
    /// What.
    pub(crate) meeting: Meeting,
    /// When it begins.
    pub(crate) start: Timestamp,
    /// Who was offered, in the order of the event type.
    pub(crate) user_ids: Vec<UserId>,
}

/// Why a slot id does not count, and what it seems to have been about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OfferFault {
    expired: bool,
    /// What it says it offers, where the caller may see that.
    meeting: Option<Meeting>,
    /// When it says that begins.
    start: Option<Timestamp>,
}

/// Writes the slot ids of one answer, whose slots name hosts by their place in the question.
pub(crate) struct SlotIds {
    writer: OfferWriter,
    /// For each host of the question its place in offers; `None` where these are the same.
    places: Option<Vec<usize>>,
}

impl Offers {
    pub(crate) fn new(keys: Arc<SigningKeys>) -> Self {
        Self { keys, remembered: Cache::new(REMEMBERED_MAX) }
    }

    /// How a meeting is offered; `None` where the account does not have it.
    pub(crate) fn offering(&self, config: &AccountConfig, meeting: Meeting) -> Option<Arc<Offering>> {
        let subject = match meeting {
            Meeting::EventType(id) => OfferSubject::EventType(id),
            Meeting::AdHoc(meeting) => OfferSubject::AdHoc(meeting),
        };
        let key = (config.account.id, config.config_revision, subject);
        if let Some(known) = self.remembered.get(&key) {
            return Some(known);
        }
        let offering = Arc::new(Offering::read(config, meeting, &self.keys)?);
        self.remembered.insert(key, Arc::clone(&offering));
        Some(offering)
    }
}

impl Offering {
    fn read(config: &AccountConfig, meeting: Meeting, keys: &SigningKeys) -> Option<Self> {
        let (terms, user_ids, public) = match meeting {
            Meeting::EventType(id) => {
                let (event_type, rules) = event_type_in(config, id)?;
                let hosts = event_type.user_ids.iter().filter_map(|&id| user_in(config, id));
                let hosts: Vec<_> = hosts.map(|(user, rules)| (&**user, rules.rules())).collect();
                let rules = rules.as_ref().map(|schedule| schedule.rules());
                let terms = OfferTerms::of_event_type(event_type, rules, &hosts);
                (terms, event_type.user_ids.clone(), event_type.public)
            }
            Meeting::AdHoc(meeting) => {
                let (user, rules) = user_in(config, meeting.user_id)?;
                (OfferTerms::ad_hoc(meeting, user, rules), vec![user.id], false)
            }
        };
        Some(Self { signer: terms.signer(keys), terms, user_ids, public })
    }

    /// What writes the slot ids of an answer given now, by the store's clock, about these hosts; `None` where one of them
    /// is no host of the meeting.
    pub(crate) fn slot_ids(&self, hosts: &[Host], store_now: Timestamp) -> Option<SlotIds> {
        let same = hosts.iter().map(|host| &host.user.id).eq(self.user_ids.iter().take(hosts.len()));
        let place = |host: &Host| self.place(host.user.id);
        let places = if same { None } else { Some(hosts.iter().map(place).collect::<Option<Vec<usize>>>()?) };
        Some(SlotIds { writer: self.writer(store_now), places })
    }

    /// The slot id of one slot; `None` where one of these users is no host of the meeting.
    fn slot_id(&self, start: Timestamp, user_ids: &[UserId], store_now: Timestamp) -> Option<String> {
        let hosts = user_ids.iter().map(|&user_id| self.place(user_id)).collect::<Option<HostSet>>()?;
        let mut text = Vec::with_capacity(48);
        self.writer(store_now).write(start, hosts, &mut text);
        String::from_utf8(text).ok()
    }

    fn writer(&self, store_now: Timestamp) -> OfferWriter {
        self.signer.writer(store_now + Duration::from_secs(OFFER_TTL_SECONDS.into()))
    }

    fn place(&self, user_id: UserId) -> Option<usize> {
        self.user_ids.iter().position(|&own| own == user_id)
    }
}

impl SlotIds {
    /// Makes a slot id written before for the same hosts the one of another start.
    pub(crate) fn rewrite(&self, start: Timestamp, hosts: HostSet, slot_id: &mut [u8]) {
        self.writer.rewrite(start, self.placed(hosts), slot_id);
    }

    /// Appends the slot id of a start with the hosts of the question that are free then. Allocates nothing.
    pub(crate) fn write(&self, start: Timestamp, hosts: HostSet, out: &mut Vec<u8>) {
        self.writer.write(start, self.placed(hosts), out);
    }

    /// Hosts of the question by their place in offers.
    fn placed(&self, hosts: HostSet) -> HostSet {
        match &self.places {
            None => hosts,
            Some(places) => hosts.iter().filter_map(|host| places.get(host).copied()).collect(),
        }
    }
}

/// What a slot id offered, where it was offered to whoever holds this key, on the present terms, and still counts.
pub(crate) fn resolve(
    cx: &Cx,
    config: &AccountConfig,
    slot_id: &str,
    store_now: Timestamp,
) -> Result<ResolvedOffer, OfferFault> {
    let nowhere = OfferFault { expired: false, meeting: None, start: None };
    let Some(offer) = UnverifiedOffer::parse(slot_id) else { return Err(nowhere) };
    let mut fault = OfferFault { start: Some(offer.claimed_start()), ..nowhere };
    for meeting in candidates(config, &offer) {
        let offers = &cx.app.offers;
        let Some(offering) = offers.offering(config, meeting).filter(|offering| cx.may_see(offering)) else { continue };
        match offer.verify(&offering.terms, &offers.keys, store_now) {
            Ok(offer) => {
                let user_ids = offer.hosts.iter().filter_map(|place| offering.user_ids.get(place).copied());
                return Ok(ResolvedOffer { meeting, start: offer.start, user_ids: user_ids.collect() });
            }
            Err(SlotIdError::Expired { start }) => {
                return Err(OfferFault { expired: true, meeting: Some(meeting), start: Some(start) });
            }
            Err(SlotIdError::NotOffered) => fault.meeting = Some(meeting),
        }
    }
    Err(fault)
}

/// Meetings of the account a slot id may be about: as a rule one.
fn candidates<'a>(config: &'a AccountConfig, offer: &'a UnverifiedOffer) -> impl Iterator<Item = Meeting> + 'a {
    let event_types = config.event_types.iter().map(|(event_type, _)| event_type.id);
    let of_event_types = event_types.filter(|&id| offer.may_be_of(id)).map(Meeting::EventType);
    let ad_hoc = config.users.iter().filter_map(|(user, _)| offer.ad_hoc_with(user.id));
    of_event_types.chain(ad_hoc.filter(is_possible).map(Meeting::AdHoc))
}

/// A forged slot id can say any length.
fn is_possible(meeting: &AdHocMeeting) -> bool {
    (1..=agentcal_engine::model::DURATION_MINUTES_MAX).contains(&meeting.duration_minutes)
}

impl Cx {
    fn may_see(&self, offering: &Offering) -> bool {
        offering.public || !self.is_publishable()
    }
}
