//! Random cases, as small numbers that shrink well.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// A case, before it is turned into people and calendars. Times are minutes from the case's present.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) era: usize,
    pub(crate) moment: usize,
    /// How long before the change of the clock the present is.
    pub(crate) lead_minutes: i64,
    pub(crate) odd_micros: i64,
    pub(crate) terms: RawTerms,
    pub(crate) rules: Option<RawRules>,
    pub(crate) hosts: Vec<RawHost>,
    /// Whether the hosts read one more calendar together.
    pub(crate) shared: Option<RawCalendar>,
    pub(crate) range: (i64, i64),
    pub(crate) ignoring: Option<RawOwner>,
    pub(crate) probes: Vec<(i64, bool)>,
    pub(crate) look_for_alternatives: bool,
}

/// Whose claims are looked past.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RawOwner {
    Booking(usize),
    /// Host, and number of its claim.
    Hold(usize, usize),
}

#[derive(Clone, Debug)]
pub(crate) struct RawTerms {
    pub(crate) duration: u32,
    pub(crate) interval: u32,
    pub(crate) buffers: (u32, u32),
    pub(crate) sum: bool,
    pub(crate) notice_hours: u32,
    pub(crate) window_days: u32,
    pub(crate) per_day: Option<u32>,
    pub(crate) mode: u8,
}

#[derive(Clone, Debug)]
pub(crate) struct RawRules {
    pub(crate) zone: usize,
    /// Day of the week, start, end.
    pub(crate) weekly: Vec<(u8, u16, u16)>,
    /// Days from the present, and windows.
    pub(crate) overrides: Vec<(i64, Vec<(u16, u16)>)>,
}

#[derive(Clone, Debug)]
pub(crate) struct RawHost {
    pub(crate) zone: usize,
    pub(crate) rules: RawRules,
    pub(crate) calendars: Vec<RawCalendar>,
    pub(crate) claims: Vec<RawClaim>,
    /// Whether a calendar's facts are missing.
    pub(crate) forgets_calendar: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct RawCalendar {
    pub(crate) knowledge: RawKnowledge,
    /// Start, length, whether it begins off the minute.
    pub(crate) blocks: Vec<(i64, i64, bool)>,
    /// Booking of ours, start, length.
    pub(crate) displaced: Vec<(usize, i64, i64)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum RawKnowledge {
    Internal,
    Synced(i64, i64),
    Unknown(u8),
}

#[derive(Clone, Debug)]
pub(crate) struct RawClaim {
    pub(crate) start: i64,
    pub(crate) length: i64,
    pub(crate) booking: Option<usize>,
    /// For a hold: when it ends.
    pub(crate) expires: i64,
    pub(crate) event_type: u8,
    pub(crate) buffers: (u32, u32),
    /// Whether another calendar shows it too.
    pub(crate) twice: bool,
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    let when = (prop_oneof![9 => Just(0usize), 1 => Just(1)], any::<usize>(), 0i64..8_000, odd_micros());
    let who = (option::weighted(0.3, rules()), vec(host(), 1..=3), option::weighted(0.3, calendar()));
    let asked = (
        (prop_oneof![6 => 0i64..3_000, 1 => -1_000i64..9_000], 30i64..3_500),
        option::weighted(0.5, owner()),
        vec((0i64..5_000, any::<bool>()), 4),
        prop::bool::weighted(0.2),
    );
    (when, terms(), who, asked).prop_map(|(when, terms, who, asked)| Case {
        era: when.0,
        moment: when.1,
        lead_minutes: when.2,
        odd_micros: when.3,
        terms,
        rules: who.0,
        hosts: who.1,
        shared: who.2,
        range: asked.0,
        ignoring: asked.1,
        probes: asked.2,
        look_for_alternatives: asked.3,
    })
}

fn owner() -> impl Strategy<Value = RawOwner> {
    prop_oneof![
        (0usize..6).prop_map(RawOwner::Booking),
        (prop_oneof![3 => Just(0usize), 1 => 1usize..3], 0usize..4)
            .prop_map(|(host, claim)| RawOwner::Hold(host, claim)),
    ]
}

fn odd_micros() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0i64), 1i64..60_000_000]
}

fn terms() -> impl Strategy<Value = RawTerms> {
    let duration = prop_oneof![
        8 => prop::sample::select(vec![15u32, 20, 30, 30, 45, 60, 90]),
        1 => prop::sample::select(vec![1u32, 7, 240, 600, 1_440]),
    ];
    let interval = prop::sample::select(vec![5u32, 10, 15, 15, 20, 30, 30, 45, 50, 60, 60, 90, 7, 11, 480, 1_440]);
    let buffer = || prop::sample::select(vec![0u32, 0, 0, 0, 5, 10, 15, 15, 30, 30, 60, 60, 1, 1_440]);
    let limits = (
        prop::sample::select(vec![0u32, 0, 0, 0, 1, 4, 24, 48]),
        prop::sample::select(vec![1u32, 3, 5, 7, 14, 60, 60]),
        option::weighted(0.4, prop::sample::select(vec![0u32, 1, 1, 1, 2, 2, 2, 3, 4])),
    );
    (duration, interval, (buffer(), buffer()), any::<bool>(), limits, prop::sample::select(vec![0u8, 0, 1, 1, 2]))
        .prop_map(|(duration, interval, buffers, sum, limits, mode)| RawTerms {
            duration,
            interval,
            buffers,
            sum,
            notice_hours: limits.0,
            window_days: limits.1,
            per_day: limits.2,
            mode,
        })
}

/// Minutes of the day: mostly quarters, often those at which clocks are changed.
fn minute() -> impl Strategy<Value = u16> {
    prop_oneof![
        5 => (0u16..=96).prop_map(|quarter| quarter * 15),
        3 => prop::sample::select(vec![0u16, 30, 60, 90, 120, 135, 150, 165, 180, 1_380, 1_410, 1_440]),
        1 => 0u16..=1_440,
    ]
}

fn rules() -> impl Strategy<Value = RawRules> {
    let every_day = |start: u16, end: u16| Just((0..7).map(|day| (day, start, end)).collect::<Vec<_>>());
    let weekly = prop_oneof![
        4 => vec((0u8..7, minute(), minute()), 0..12),
        2 => (minute(), minute()).prop_map(|(start, end)| (0..7).map(|day| (day, start, end)).collect::<Vec<_>>()),
        2 => every_day(540, 1_020),
        2 => every_day(0, 1_440),
        1 => every_day(1_320, 120),
        1 => every_day(150, 150),
    ];
    let overrides = vec((-3i64..9, vec((minute(), minute()), 0..3)), 0..3);
    (0usize..40, weekly, overrides).prop_map(|(zone, weekly, overrides)| RawRules { zone, weekly, overrides })
}

fn host() -> impl Strategy<Value = RawHost> {
    let claims = vec(claim(), 0..8);
    (0usize..40, rules(), vec(calendar(), 1..=3), claims, prop::bool::weighted(0.01)).prop_map(
        |(zone, rules, calendars, claims, forgets_calendar)| RawHost {
            zone,
            rules,
            calendars,
            claims,
            forgets_calendar,
        },
    )
}

fn calendar() -> impl Strategy<Value = RawCalendar> {
    let knowledge = prop_oneof![
        20 => Just(RawKnowledge::Internal),
        60 => Just(RawKnowledge::Synced(-10_000, 100_000)),
        2 => (-3_000i64..3_000, 3_000i64..15_000).prop_map(|(from, to)| RawKnowledge::Synced(from, to)),
        1 => (0u8..6).prop_map(RawKnowledge::Unknown),
    ];
    let length = || prop_oneof![4 => 5i64..120, 1 => 1i64..3_000];
    let few = vec((-1_500i64..9_000, length(), prop::bool::weighted(0.1)), 0..10);
    let many = (-600i64..7_000, 10i64..90, 15i64..40, 1i64..30).prop_map(|(from, count, step, length)| {
        (0..count).map(|index| (from + index * step, length, false)).collect::<Vec<_>>()
    });
    let displaced = vec((0usize..6, -500i64..8_000, 5i64..180), 0..3);
    (knowledge, prop_oneof![3 => few, 1 => many], displaced).prop_map(|(knowledge, blocks, displaced)| RawCalendar {
        knowledge,
        blocks,
        displaced,
    })
}

fn claim() -> impl Strategy<Value = RawClaim> {
    let buffer = || prop::sample::select(vec![0u32, 0, 0, 5, 5, 15, 15, 30, 60, 1_440]);
    let time = (
        prop_oneof![3 => (-40i64..300).prop_map(|half| half * 30), 1 => -1_200i64..9_000],
        prop_oneof![4 => prop::sample::select(vec![15i64, 30, 60]), 1 => 1i64..=1_440],
    );
    let expires = prop_oneof![1 => -100i64..=1, 2 => 1i64..900];
    let owner = (option::weighted(0.55, 0usize..6), expires);
    (time, owner, 0u8..4, (buffer(), buffer()), prop::bool::weighted(0.2)).prop_map(
        |(time, owner, event_type, buffers, twice)| RawClaim {
            start: time.0,
            length: time.1,
            booking: owner.0,
            expires: owner.1,
            event_type,
            buffers,
            twice,
        },
    )
}
