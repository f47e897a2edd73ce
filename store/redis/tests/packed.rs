//! Packed facts come back as they were, whatever they hold; other bytes are refused, whatever they are.

#![expect(clippy::unwrap_used, reason = "a failure is what a test is for")]

use agentcal_engine::facts::{CalendarFacts, Knowledge, UnknownReason};
use agentcal_engine::ids::{AccountId, BookingId, CalendarId, ClaimId, EventTypeId, HoldId, UserId};
use agentcal_engine::model::{Claim, ClaimOwner};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::{TimeRange, Timestamp};
use agentcal_store_redis::packed::{VERSION_LEN, pack, unpack};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

/// What a calendar of 200 busy intervals may take, packed. Gaps of more than two hours take two bytes each, so some three an
/// interval.
const TYPICAL_BYTES_MAX: usize = 700;

fn uuid() -> impl Strategy<Value = Uuid> {
    // Few different ones, so that some are shared, and some that are not.
    prop_oneof![(0u128..4).prop_map(Uuid::from_u128), any::<u128>().prop_map(Uuid::from_u128)]
}

fn instant() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        any::<i64>().prop_map(Timestamp::from_micros),
        (-1_000_000i64..1_000_000).prop_map(|minute| Timestamp::from_seconds(minute * 60)),
        (-1_000_000i64..1_000_000).prop_map(Timestamp::from_seconds),
    ]
}

fn range() -> impl Strategy<Value = TimeRange> {
    (instant(), instant()).prop_filter_map("not empty", |(one, other)| TimeRange::new(one.min(other), one.max(other)))
}

fn knowledge() -> impl Strategy<Value = Knowledge> {
    let reasons = [
        UnknownReason::NotSynced,
        UnknownReason::CalendarGone,
        UnknownReason::ReauthorizationRequired,
        UnknownReason::ProviderError,
        UnknownReason::OutsideSyncedWindow,
        UnknownReason::DeadlineExceeded,
    ];
    prop_oneof![
        Just(Knowledge::Internal),
        (instant(), range(), prop::option::of(instant()))
            .prop_map(|(as_of, window, watched_until)| Knowledge::Synced { as_of, window, watched_until }),
        proptest::sample::select(reasons.to_vec()).prop_map(Knowledge::Unknown),
    ]
}

fn claim() -> impl Strategy<Value = Claim> {
    let ids = (uuid(), uuid(), uuid(), uuid(), uuid(), option::of(uuid()));
    (ids, range(), any::<bool>(), any::<(u32, u32)>(), option::of(instant()), option::of(".{0,20}")).prop_map(
        |((id, account, user, home, owner, event_type), range, is_hold, buffers, expires_at, session_id)| Claim {
            id: ClaimId::from_uuid(id),
            account_id: AccountId::from_uuid(account),
            user_id: UserId::from_uuid(user),
            home_calendar_id: CalendarId::from_uuid(home),
            range,
            owner: match is_hold {
                true => ClaimOwner::Hold(HoldId::from_uuid(owner)),
                false => ClaimOwner::Booking(BookingId::from_uuid(owner)),
            },
            event_type_id: event_type.map(EventTypeId::from_uuid),
            buffer_before_minutes: buffers.0,
            buffer_after_minutes: buffers.1,
            expires_at,
            session_id,
        },
    )
}

fn facts() -> impl Strategy<Value = CalendarFacts> {
    let displaced = (uuid().prop_map(BookingId::from_uuid), range());
    let head = (uuid(), uuid(), any::<u64>(), any::<u64>(), knowledge());
    (head, vec(range(), 0..20), vec(displaced, 0..4), vec(claim(), 0..6)).prop_map(
        |((calendar, account, epoch, revision, knowledge), external, displaced, claims)| CalendarFacts {
            calendar_id: CalendarId::from_uuid(calendar),
            account_id: AccountId::from_uuid(account),
            epoch: Epoch(epoch),
            revision,
            knowledge,
            external,
            displaced,
            claims,
        },
    )
}

fn checked(mut content: Vec<u8>) -> Vec<u8> {
    let checksum = xxhash_rust::xxh3::xxh3_64(&content);
    content.extend_from_slice(&checksum.to_le_bytes());
    content
}

proptest! {
    #[test]
    fn what_is_packed_comes_back(facts in facts()) {
        prop_assert_eq!(unpack(&pack(&facts)), Some(facts));
    }

    #[test]
    fn versions_compare_as_bytes(one in facts(), other in facts()) {
        let version = |facts: &CalendarFacts| (facts.epoch, facts.revision, facts.as_of());
        let bytes = |facts: &CalendarFacts| pack(facts)[..VERSION_LEN].to_vec();
        prop_assert_eq!(bytes(&one).cmp(&bytes(&other)), version(&one).cmp(&version(&other)));
    }

    #[test]
    fn a_changed_byte_is_noticed(facts in facts(), place in any::<prop::sample::Index>(), change in 1u8..) {
        let mut bytes = pack(&facts);
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        prop_assert_eq!(unpack(&bytes), None);
    }

    #[test]
    fn any_bytes_are_refused(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(unpack(&bytes), None);
    }

    /// Behind a right checksum too: what is read is what would be written, or nothing.
    #[test]
    fn hostile_bytes_behind_a_right_checksum_do_no_harm(
        facts in facts(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        len in any::<prop::sample::Index>(),
    ) {
        let mut content = pack(&facts);
        content.truncate(content.len() - 8);
        for (place, byte) in changes {
            let place = place.index(content.len());
            content[place] = byte;
        }
        let cut = content[..len.index(content.len())].to_vec();
        for bytes in [checked(content), checked(cut)] {
            if let Some(read) = unpack(&bytes) {
                prop_assert_eq!(unpack(&pack(&read)), Some(read));
            }
        }
    }
}

/// A busy person's half year: 200 meetings, none of them at the same distance.
fn typical(claims: usize) -> CalendarFacts {
    let minute = |minute: i64| Timestamp::from_seconds(1_800_000_000 + minute * 60);
    let range = |place: i64| {
        let start = place * 1_260 + (place * 37) % 300;
        TimeRange::new(minute(start), minute(start + 25 + place % 4 * 15)).unwrap()
    };
    let uuid = |number: usize| Uuid::from_u128(u128::MAX / 3 + number as u128);
    let (account_id, calendar_id) = (AccountId::from_uuid(uuid(1)), CalendarId::from_uuid(uuid(2)));
    let claim = |number: usize| Claim {
        id: ClaimId::from_uuid(uuid(10_000 + number)),
        account_id,
        user_id: UserId::from_uuid(uuid(3)),
        home_calendar_id: calendar_id,
        range: range(number as i64),
        owner: ClaimOwner::Booking(BookingId::from_uuid(uuid(20_000 + number))),
        event_type_id: Some(EventTypeId::from_uuid(uuid(4))),
        buffer_before_minutes: 0,
        buffer_after_minutes: 10,
        expires_at: None,
        session_id: None,
    };
    CalendarFacts {
        calendar_id,
        account_id,
        epoch: Epoch(12),
        revision: 3_456,
        knowledge: Knowledge::Synced { as_of: minute(0), window: range(0), watched_until: None },
        external: (0..200).map(range).collect(),
        displaced: Vec::new(),
        claims: (0..claims).map(claim).collect(),
    }
}

#[test]
fn a_typical_calendar_is_small() {
    let (bare, claimed) = (pack(&typical(0)).len(), pack(&typical(20)).len());
    println!("200 intervals: {bare} bytes; with 20 claims: {claimed} bytes");
    assert!(bare <= TYPICAL_BYTES_MAX, "{bare}");
    assert!(claimed - bare <= 20 * 52, "{claimed}");
}

/// `cargo test --release -p agentcal-store-redis --test packed -- --ignored --nocapture`
#[test]
#[ignore = "measures, in a release build"]
fn how_long_unpacking_takes() {
    for claims in [0, 20] {
        let bytes = pack(&typical(claims));
        let began = std::time::Instant::now();
        const ROUNDS: u32 = 100_000;
        for _ in 0..ROUNDS {
            assert!(std::hint::black_box(unpack(std::hint::black_box(&bytes))).is_some());
        }
        println!("200 intervals, {claims} claims: {:?} each", began.elapsed() / ROUNDS);
    }
}
