//! Links for attendees.

use agentcal_engine::decision::HostSet;
use agentcal_engine::ids::{BookingId, CalendarId};
use agentcal_engine::signed::{CalendarBell, ManageLink, OfferSubject, OfferTerms, OfferWriter};
use proptest::prelude::*;
use uuid::Uuid;

use crate::{NOW, account_id, event_type_id, keys, one_bit_off};

fn link(account: u128, booking: u128) -> ManageLink {
    ManageLink { account_id: account_id(account), booking_id: BookingId::from_uuid(Uuid::from_u128(booking)) }
}

#[test]
fn a_link_leads_to_its_booking() {
    for (account, booking) in [(1, 1), (2, 1), (1, u128::MAX), (5, 0)] {
        let token = link(account, booking).token(&keys(&[1]));
        assert_eq!(ManageLink::verify(&token, &keys(&[1])), Some(link(account, booking)));
        assert_eq!(token.len(), 64, "{token}");
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'), "{token}");
    }
}

#[test]
fn one_bit_of_a_link_changed_is_refused() {
    let token = link(1, 1).token(&keys(&[1]));
    for changed in one_bit_off(&token) {
        assert_eq!(ManageLink::verify(&changed, &keys(&[1])), None, "{changed}");
    }
    for len in 0..token.len() {
        assert_eq!(ManageLink::verify(&token[..len], &keys(&[1])), None);
    }
}

#[test]
fn the_signature_of_one_booking_opens_no_other() {
    let (first, second) = (link(1, 1).token(&keys(&[1])), link(1, 1 | 1 << 64).token(&keys(&[1])));
    let swapped = format!("{}{}", &second[..42], &first[42..]);
    assert_ne!(swapped, second);
    assert_eq!(ManageLink::verify(&swapped, &keys(&[1])), None);
}

#[test]
fn keys_rotate() {
    let check = |signing: &[u8], verifying: &[u8], expected: bool| {
        let token = link(1, 1).token(&keys(signing));
        assert_eq!(ManageLink::verify(&token, &keys(verifying)).is_some(), expected, "{signing:?} {verifying:?}");
    };
    check(&[1], &[2, 1], true);
    check(&[2, 1], &[2], true);
    check(&[2, 1], &[1], false);
    check(&[1], &[2], false);
}

#[test]
fn a_bell_rings_its_calendar_and_is_no_link() {
    let calendar_id = CalendarId::from_uuid(Uuid::from_u128(1));
    let bell = CalendarBell { account_id: account_id(1), calendar_id };
    let token = bell.token(&keys(&[1]));
    assert_eq!(CalendarBell::verify(&token, &keys(&[2, 1])), Some(bell));
    for changed in one_bit_off(&token) {
        assert_eq!(CalendarBell::verify(&changed, &keys(&[1])), None, "{changed}");
    }
    assert_eq!(ManageLink::verify(&token, &keys(&[1])), None);
    assert_eq!(CalendarBell::verify(&link(1, 1).token(&keys(&[1])), &keys(&[1])), None);
}

#[test]
fn an_offer_is_no_link() {
    let terms =
        OfferTerms { account_id: account_id(1), subject: OfferSubject::EventType(event_type_id(1)), rules_version: 7 };
    let mut out = Vec::new();
    OfferWriter::new(&terms, &keys(&[1]), NOW).write(NOW, HostSet::first(1), &mut out);
    let text = String::from_utf8(out).expect("slot ids are ASCII");
    assert_eq!(ManageLink::verify(&text, &keys(&[1])), None);
    assert_eq!(ManageLink::verify(text.trim_start_matches("slot_"), &keys(&[1])), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,90}", token in "[A-Za-z0-9_-]{60,68}") {
        prop_assert_eq!(ManageLink::verify(&text, &keys(&[1])), None);
        prop_assert_eq!(ManageLink::verify(&token, &keys(&[1])), None);
    }

    #[test]
    fn every_link_round_trips(account in 0u128..1 << 100, booking: u128) {
        let token = link(account, booking).token(&keys(&[1]));
        prop_assert_eq!(ManageLink::verify(&token, &keys(&[2, 1])), Some(link(account, booking)));
    }
}
