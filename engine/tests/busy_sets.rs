//! Sets of ranges: against a set of single minutes, and packed and read again.

use std::collections::BTreeSet;

use agentcal_engine::busy::{BusySet, DecodeError, PACKED_RANGES_MAX};
use agentcal_engine::invariants::ranges_are_merged;
use agentcal_engine::time::{MINUTE_US, TimeRange, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

fn micros(start: i64, end: i64) -> TimeRange {
    TimeRange { start: Timestamp::from_micros(start), end: Timestamp::from_micros(end) }
}

fn set(ranges: &[(i64, i64)]) -> BusySet {
    ranges.iter().map(|&(start, end)| micros(start, end)).collect()
}

fn plain(set: &BusySet) -> Vec<(i64, i64)> {
    set.iter().map(|range| (range.start.as_micros(), range.end.as_micros())).collect()
}

#[test]
fn ranges_merge_when_they_meet_and_stay_apart_otherwise() {
    type Ranges = &'static [(i64, i64)];
    let cases: &[(Ranges, Ranges)] = &[
        (&[], &[]),
        (&[(5, 5), (9, 3)], &[]),
        (&[(3, 5), (1, 2)], &[(1, 2), (3, 5)]),
        (&[(1, 3), (3, 5)], &[(1, 5)]),
        (&[(1, 9), (2, 3), (8, 12), (13, 14)], &[(1, 12), (13, 14)]),
    ];
    for (ranges, expected) in cases {
        assert_eq!(plain(&set(ranges)), *expected, "{ranges:?}");
    }
}

#[test]
fn lesson_a_delta_merges_and_never_replaces() {
    let known = set(&[(10, 20), (40, 50)]);
    let newer = set(&[(15, 25), (40, 50), (60, 70)]);
    let diff = known.diff(&newer);
    assert_eq!(plain(&diff.added), [(20, 25), (60, 70)]);
    assert_eq!(plain(&diff.removed), [(10, 15)]);
    assert_eq!(known.subtract(&diff.removed).union(&diff.added), newer);
}

fn small_ranges() -> impl Strategy<Value = Vec<(i64, i64)>> {
    vec((0i64..60, 0i64..12).prop_map(|(start, length)| (start, start + length)), 0..14)
}

fn minutes(set: &BusySet) -> BTreeSet<i64> {
    plain(set).into_iter().flat_map(|(start, end)| start..end).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn sets_behave_like_sets(left in small_ranges(), right in small_ranges(), start in 0i64..70, length in 1i64..9) {
        let (a, b) = (set(&left), set(&right));
        let (in_a, in_b) = (minutes(&a), minutes(&b));
        prop_assert_eq!(&in_a, &left.iter().flat_map(|&(start, end)| start..end).collect::<BTreeSet<_>>());
        prop_assert_eq!(minutes(&a.union(&b)), &in_a | &in_b);
        prop_assert_eq!(minutes(&a.intersect(&b)), &in_a & &in_b);
        prop_assert_eq!(minutes(&a.subtract(&b)), &in_a - &in_b);
        for result in [&a, &a.union(&b), &a.intersect(&b), &a.subtract(&b)] {
            prop_assert_eq!(ranges_are_merged(result.as_slice()), Ok(()));
        }
        let diff = a.diff(&b);
        prop_assert_eq!(a.subtract(&diff.removed).union(&diff.added), b.clone());
        let wanted = micros(start, start + length);
        prop_assert_eq!(a.covers(&wanted), (start..start + length).all(|minute| in_a.contains(&minute)));
        prop_assert_eq!(a.contains(wanted.start), in_a.contains(&start));
        let overlapping: Vec<_> = a.iter().filter(|range| range.overlaps(&wanted)).collect();
        prop_assert_eq!(a.overlapping(&wanted), &overlapping[..]);
    }

    #[test]
    fn packed_sets_come_back_exactly(ends in vec(any::<i64>(), 0..40), near in small_ranges(), by_minute: bool) {
        let unit = if by_minute { MINUTE_US } else { 1 };
        let wild = ends.chunks_exact(2).map(|pair| micros(pair[0].min(pair[1]), pair[0].max(pair[1])));
        let wild: BusySet = wild.filter(|_| !by_minute).collect();
        let near: BusySet = near.iter().map(|&(start, end)| micros((start - 30) * unit, (end - 30) * unit)).collect();
        let all = wild.union(&near);
        let bytes = all.encode().expect("few ranges");
        prop_assert_eq!(BusySet::decode(&bytes), Ok(all.clone()));
        for cut in 0..bytes.len() {
            prop_assert!(BusySet::decode(&bytes[..cut]).is_err());
        }
        let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
        prop_assert_eq!(BusySet::decode(&longer), Err(DecodeError::Trailing));
    }

    #[test]
    fn whatever_the_bytes_reading_never_panics(mut bytes in vec(any::<u8>(), 0..80), header: bool) {
        if header && bytes.len() > 2 {
            bytes[..2].copy_from_slice(&[1, 1]);
        }
        if let Ok(set) = BusySet::decode(&bytes) {
            prop_assert_eq!(ranges_are_merged(set.as_slice()), Ok(()));
            prop_assert_eq!(BusySet::decode(&set.encode().expect("few ranges")), Ok(set));
        }
    }
}

#[test]
fn bad_bytes_are_named() {
    let max = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let cases: &[(&[u8], DecodeError)] = &[
        (&[], DecodeError::CutShort),
        (&[2, 0, 0], DecodeError::Version(2)),
        (&[1, 7, 0], DecodeError::Unit(7)),
        (&[1, 0], DecodeError::CutShort),
        (&[1, 0, 0xff, 0xff, 0x7f], DecodeError::TooMany(2_097_151)),
        (&[1, 0, 9, 0, 1], DecodeError::CutShort),
        (&[1, 0, 1, 2, 0], DecodeError::Number),
        (&[1, 0, 2, 2, 1, 0, 1], DecodeError::Number),
        // The last instant of all, and one more.
        (&[&[1, 0, 1, 0xfe][..], &max[1..], &[1]].concat(), DecodeError::Number),
        (&[&[1, 1, 1][..], &max, &[1]].concat(), DecodeError::Number),
        (&[1, 0, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02, 1], DecodeError::Number),
    ];
    for (bytes, expected) in cases {
        assert_eq!(BusySet::decode(bytes), Err(*expected), "{bytes:?}");
    }
}

#[test]
fn a_full_working_year_packs_small() {
    let meetings = (0..2_000).map(|index| micros(index * 120 * MINUTE_US, (index * 120 + 30) * MINUTE_US));
    let bytes = meetings.collect::<BusySet>().encode().expect("few ranges");
    assert!(bytes.len() <= 3 * 2_000 + 16, "{} bytes", bytes.len());
    let too_many = (0..=PACKED_RANGES_MAX as i64).map(|index| micros(index * 2, index * 2 + 1));
    assert_eq!(too_many.collect::<BusySet>().encode(), None);
}
