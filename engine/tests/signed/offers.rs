//! Offers of slots.

use agentcal_engine::decision::HostSet;
use agentcal_engine::model::AdHocMeeting;
use agentcal_engine::signed::{Offer, OfferSubject, OfferTerms, OfferWriter, SlotIdError, UnverifiedOffer};
use agentcal_engine::time::{MINUTE_US, Timestamp};
use proptest::prelude::*;

use crate::{NOW, account_id, event_type, event_type_id, keys, one_bit_off, rules, user, user_id};

fn plain() -> OfferTerms {
    OfferTerms { account_id: account_id(1), subject: OfferSubject::EventType(event_type_id(1)), rules_version: 7 }
}

fn ad_hoc(user: u128, duration_minutes: u32) -> OfferTerms {
    let meeting = AdHocMeeting { user_id: user_id(user), duration_minutes };
    OfferTerms { subject: OfferSubject::AdHoc(meeting), ..plain() }
}

fn minutes(count: i64) -> Timestamp {
    NOW.plus_micros(count * MINUTE_US)
}

/// Signed by key 1, for half an hour.
fn slot_id(terms: &OfferTerms, start: Timestamp, hosts: HostSet) -> String {
    written(&OfferWriter::new(terms, &keys(&[1]), minutes(30)), start, hosts)
}

fn written(writer: &OfferWriter, start: Timestamp, hosts: HostSet) -> String {
    let mut out = Vec::new();
    writer.write(start, hosts, &mut out);
    String::from_utf8(out).expect("slot ids are ASCII")
}

fn verify(text: &str, terms: &OfferTerms) -> Result<Offer, SlotIdError> {
    let offer = UnverifiedOffer::parse(text).ok_or(SlotIdError::NotOffered)?;
    offer.verify(terms, &keys(&[1]), NOW)
}

fn subjects() -> [OfferTerms; 4] {
    [plain(), ad_hoc(1, 1), ad_hoc(2, 30), ad_hoc(3, 1_440)]
}

#[test]
fn an_offer_says_start_and_hosts() {
    let hosts: [&[usize]; 7] = [&[], &[0], &[7], &[8], &[0, 3, 99], &[127], &[0, 64, 127]];
    for terms in subjects() {
        for places in hosts {
            for start in [0, 1, 60 * 24 * 365] {
                let (start, hosts) = (minutes(start), places.iter().copied().collect());
                let text = slot_id(&terms, start, hosts);
                let offer = Offer { start, hosts, expires_at: minutes(30) };
                assert_eq!(verify(&text, &terms), Ok(offer), "{text} {places:?}");
            }
        }
    }
}

#[test]
fn ends_of_time_round_trip() {
    for start in [Timestamp::EARLIEST, Timestamp::LATEST] {
        let text = slot_id(&plain(), start, HostSet::first(1));
        assert_eq!(verify(&text, &plain()).map(|offer| offer.start), Ok(start));
    }
}

/// A model has to repeat it without a slip: shorter is better.
#[test]
fn an_offer_is_short() {
    let check = |terms: &OfferTerms, hosts: HostSet, expected: usize| {
        let text = slot_id(terms, minutes(90), hosts);
        assert_eq!(text.len(), expected, "{text}");
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'), "{text}");
    };
    check(&plain(), HostSet::first(1), 33);
    check(&plain(), HostSet::first(8), 33);
    check(&plain(), HostSet::first(9), 35);
    check(&plain(), HostSet::first(100), 49);
    check(&ad_hoc(1, 30), HostSet::first(1), 36);
}

#[test]
fn one_bit_of_an_offer_changed_is_refused() {
    for terms in subjects() {
        for hosts in [HostSet::first(1), HostSet::first(20)] {
            let text = slot_id(&terms, minutes(90), hosts);
            for changed in one_bit_off(&text) {
                assert_eq!(verify(&changed, &terms), Err(SlotIdError::NotOffered), "{text} {changed}");
            }
        }
    }
}

#[test]
fn an_offer_cut_short_or_prolonged_is_refused() {
    let text = slot_id(&plain(), minutes(90), HostSet::first(1));
    for len in 0..text.len() {
        assert_eq!(verify(&text[..len], &plain()), Err(SlotIdError::NotOffered), "{}", &text[..len]);
    }
    for more in ["A", "AA", "AAA", "AAAA", "=", "\n", " "] {
        assert_eq!(verify(&format!("{text}{more}"), &plain()), Err(SlotIdError::NotOffered), "{more:?}");
    }
}

#[test]
fn an_offer_counts_for_its_own_terms_only() {
    let others = [
        OfferTerms { account_id: account_id(2), ..plain() },
        OfferTerms { subject: OfferSubject::EventType(event_type_id(2)), ..plain() },
        OfferTerms { rules_version: 8, ..plain() },
        ad_hoc(1, 30),
        ad_hoc(2, 30),
        ad_hoc(1, 31),
        OfferTerms { account_id: account_id(2), ..ad_hoc(1, 30) },
    ];
    let all: Vec<OfferTerms> = std::iter::once(plain()).chain(others).collect();
    for (offered_at, offered) in all.iter().enumerate() {
        let text = slot_id(offered, minutes(90), HostSet::first(1));
        for (asked_at, asked) in all.iter().enumerate() {
            assert_eq!(verify(&text, asked).is_ok(), offered_at == asked_at, "{offered:?} {asked:?}");
        }
    }
}

/// Two subjects whose ids end alike are found by the same hint; the signature still tells them apart.
#[test]
fn ids_that_end_alike_are_told_apart() {
    let twin = OfferTerms { subject: OfferSubject::EventType(event_type_id(1 << 64)), ..plain() };
    let original = OfferTerms { subject: OfferSubject::EventType(event_type_id(0)), ..plain() };
    let text = slot_id(&original, minutes(90), HostSet::first(1));
    let parsed = UnverifiedOffer::parse(&text).expect("a slot id");
    assert!(parsed.may_be_of(event_type_id(0)) && parsed.may_be_of(event_type_id(1 << 64)));
    assert_eq!(verify(&text, &twin), Err(SlotIdError::NotOffered));
    assert!(verify(&text, &original).is_ok());
}

#[test]
fn an_offer_leads_to_its_subject() {
    let parse = |terms: &OfferTerms| {
        UnverifiedOffer::parse(&slot_id(terms, minutes(90), HostSet::first(1))).expect("a slot id")
    };
    let of_event_type = parse(&plain());
    assert!(of_event_type.may_be_of(event_type_id(1)) && !of_event_type.may_be_of(event_type_id(2)));
    assert_eq!(of_event_type.ad_hoc_with(user_id(1)), None);
    let of_user = parse(&ad_hoc(2, 45));
    let meeting = AdHocMeeting { user_id: user_id(2), duration_minutes: 45 };
    assert_eq!((of_user.ad_hoc_with(user_id(2)), of_user.ad_hoc_with(user_id(1))), (Some(meeting), None));
    assert!(!of_user.may_be_of(event_type_id(1)));
}

#[test]
fn keys_rotate() {
    let check = |signing: &[u8], verifying: &[u8], expected: bool| {
        let text = written(&OfferWriter::new(&plain(), &keys(signing), minutes(30)), minutes(90), HostSet::first(1));
        let offer = UnverifiedOffer::parse(&text).expect("a slot id");
        assert_eq!(offer.verify(&plain(), &keys(verifying), NOW).is_ok(), expected, "{signing:?} {verifying:?}");
    };
    check(&[1], &[1], true);
    check(&[1], &[2, 1], true);
    check(&[1], &[3, 2, 1], true);
    check(&[2, 1], &[2], true);
    check(&[2, 1], &[1], false);
    check(&[1], &[2], false);
}

#[test]
fn an_offer_expires_to_the_microsecond() {
    let check = |offered_until: Timestamp, now: Timestamp, expected: Result<Timestamp, SlotIdError>| {
        let writer = OfferWriter::new(&plain(), &keys(&[1]), offered_until);
        let offer = UnverifiedOffer::parse(&written(&writer, minutes(90), HostSet::first(1))).expect("a slot id");
        let found = offer.verify(&plain(), &keys(&[1]), now).map(|offer| offer.expires_at);
        assert_eq!(found, expected, "{offered_until:?} {now:?}");
    };
    let expired = Err(SlotIdError::Expired { start: minutes(90) });
    check(minutes(30), minutes(30).plus_micros(-1), Ok(minutes(30)));
    check(minutes(30), minutes(30), expired);
    // It is never shorter than promised, and less than a minute longer.
    check(minutes(30).plus_micros(1), minutes(30), Ok(minutes(31)));
    check(minutes(30).plus_micros(1), minutes(31), expired);
    check(minutes(30).plus_micros(MINUTE_US), minutes(31), expired);
}

/// Whoever guesses learns nothing from the expiry: a forged id is never called expired.
#[test]
fn an_expired_forgery_is_a_forgery() {
    let text = slot_id(&plain(), minutes(90), HostSet::first(1));
    for changed in one_bit_off(&text).filter_map(|text| UnverifiedOffer::parse(&text)) {
        assert_eq!(changed.verify(&plain(), &keys(&[1]), minutes(60)), Err(SlotIdError::NotOffered));
    }
}

#[test]
fn the_rules_version_changes_with_the_terms_and_with_nothing_else() {
    let (host, second, rules) = (user(1), user(2), rules());
    let version =
        |event_type: &_, own: Option<&_>, hosts: &[_]| OfferTerms::of_event_type(event_type, own, hosts).rules_version;
    let event = event_type(1);
    let first = version(&event, None, &[(&host, &rules)]);
    let mut shorter = event.clone();
    shorter.duration_minutes = 20;
    let mut earlier = rules.clone();
    earlier.weekly[0].day_of_week = 2;
    let mut elsewhere = host.clone();
    elsewhere.timezone = chrono_tz::Asia::Kolkata;
    let changed = [
        version(&shorter, None, &[(&host, &rules)]),
        version(&event, Some(&rules), &[(&host, &rules)]),
        version(&event, Some(&earlier), &[(&host, &rules)]),
        version(&event, None, &[(&host, &earlier)]),
        version(&event, None, &[(&elsewhere, &rules)]),
        version(&event, None, &[(&host, &rules), (&second, &rules)]),
        version(&event, None, &[]),
    ];
    for (index, version) in changed.iter().enumerate() {
        assert_ne!(*version, first, "{index}");
        assert!(!changed[..index].contains(version), "{index}");
    }
    let mut renamed = host.clone();
    (renamed.name, renamed.email) = ("Sara".to_owned(), "sara@example.com".to_owned());
    assert_eq!(version(&event, None, &[(&renamed, &rules)]), first);
    let meeting = AdHocMeeting { user_id: user_id(1), duration_minutes: 30 };
    let ad_hoc = |rules| OfferTerms::ad_hoc(meeting, &host, rules).rules_version;
    assert_eq!(ad_hoc(&rules), OfferTerms::ad_hoc(meeting, &renamed, &rules).rules_version);
    assert_ne!(ad_hoc(&rules), ad_hoc(&earlier));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,90}", token in "[A-Za-z0-9_-]{0,80}", cut in 0usize..33) {
        let made = slot_id(&plain(), minutes(90), HostSet::first(1));
        for text in [text, format!("slot_{token}"), format!("{}{token}", &made[..cut])] {
            prop_assert_eq!(verify(&text, &plain()), Err(SlotIdError::NotOffered));
        }
    }

    #[test]
    fn every_offer_round_trips(minute in 0i64..=120_000_000, bits in any::<u128>(), length in 1u32..=1_440, rotated: bool) {
        let start = Timestamp::from_micros(minute * MINUTE_US);
        let hosts = HostSet::from_bits(bits);
        for terms in [plain(), ad_hoc(1, length)] {
            let verifying = if rotated { keys(&[2, 1]) } else { keys(&[1]) };
            let offer = UnverifiedOffer::parse(&slot_id(&terms, start, hosts)).expect("a slot id");
            let expected = Offer { start, hosts, expires_at: minutes(30) };
            prop_assert_eq!(offer.verify(&terms, &verifying, NOW), Ok(expected));
        }
    }
}

#[test]
fn a_slot_id_rewritten_is_the_one_written() {
    for terms in subjects() {
        let writer = OfferWriter::new(&terms, &keys(&[1]), minutes(30));
        for hosts in [HostSet::first(1), HostSet::first(9), HostSet::from_bits(1 << 100 | 1)] {
            let mut text = written(&writer, minutes(0), hosts).into_bytes();
            for minute in [1, 15, 65_536, 20_000_000] {
                writer.rewrite(minutes(minute), hosts, &mut text);
                assert_eq!(String::from_utf8_lossy(&text), written(&writer, minutes(minute), hosts));
            }
        }
    }
}

/// Run with `--release -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_slot_id() {
    const SLOTS: i64 = 1_000_000;
    let writer = OfferWriter::new(&plain(), &keys(&[1]), minutes(30));
    let mut out = Vec::with_capacity(64);
    let begun = std::time::Instant::now();
    let mut seen = 0u64;
    for minute in 0..SLOTS {
        out.clear();
        writer.write(minutes(minute), HostSet::first(1), &mut out);
        seen += u64::from(out[20]);
    }
    println!("{:.1} ns a slot id ({seen})", begun.elapsed().as_nanos() as f64 / SLOTS as f64);
}
