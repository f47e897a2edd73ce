//! Tables of decisions: buffers, holds, limits, knowledge, grid, and who takes a meeting.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentcal_engine::decision::{
    Decision, Host, Question, Reason, Terms, alternatives, choose_hosts, decide, next_available, slots,
};
use agentcal_engine::facts::{Knowledge, UnknownReason};
use agentcal_engine::invariants;
use agentcal_engine::model::{BufferMode, ClaimOwner, SchedulingMode};
use agentcal_engine::time::{DAY_US, HOUR_US, MINUTE_US, TimeRange, Timestamp};

use crate::people::{self, Person, at, booking, hold, on, span, terms};

fn ask<'a>(terms: &'a Terms, hosts: &'a [Host]) -> Question<'a> {
    Question { terms, hosts, now: at("2026-06-01 00:00"), ignoring: None }
}

fn reasons(question: &Question<'_>, start: &str) -> Vec<Reason> {
    decide(question, at(start)).verdicts.remove(0).reasons
}

fn starts(question: &Question<'_>, first: &str, last: &str) -> Vec<String> {
    let range = TimeRange { start: at(first), end: at(last) };
    let search = slots(question, range, usize::MAX);
    assert_eq!(invariants::slots_are_sound(&search), Ok(()));
    search.slots.iter().map(|slot| on(slot.start)).collect()
}

#[test]
fn an_event_blocks_what_it_meets_buffers_included() {
    let host = Person::new(0).busy("2026-06-02 12:00", 60).host();
    let mut terms = terms(30);
    (terms.buffer_before_minutes, terms.buffer_after_minutes, terms.slot_interval_minutes) = (15, 20, 1);
    let cases: &[(&str, &[Reason])] = &[
        ("2026-06-02 11:10", &[]),
        ("2026-06-02 11:11", &[Reason::Buffer]),
        ("2026-06-02 11:30", &[Reason::Buffer]),
        ("2026-06-02 11:31", &[Reason::Busy]),
        ("2026-06-02 12:59", &[Reason::Busy]),
        ("2026-06-02 13:00", &[Reason::Buffer]),
        ("2026-06-02 13:14", &[Reason::Buffer]),
        ("2026-06-02 13:15", &[]),
    ];
    for (start, expected) in cases {
        assert_eq!(reasons(&ask(&terms, std::slice::from_ref(&host)), start), *expected, "{start}");
    }
}

#[test]
fn neighbours_want_the_larger_of_facing_buffers_or_their_sum() {
    // A booking from 12:00 to 13:00 that wants 20 minutes before it and 10 after.
    let claimed = booking(1, 0, "2026-06-02 12:00", 60).buffers(20, 10);
    let host = Person::new(0).claim(claimed).host();
    let mut terms = terms(30);
    (terms.buffer_before_minutes, terms.buffer_after_minutes, terms.slot_interval_minutes) = (15, 5, 1);
    let cases: &[(BufferMode, &str, &[Reason])] = &[
        (BufferMode::Larger, "2026-06-02 11:10", &[]),
        (BufferMode::Larger, "2026-06-02 11:11", &[Reason::Buffer]),
        (BufferMode::Larger, "2026-06-02 11:30", &[Reason::Buffer]),
        (BufferMode::Larger, "2026-06-02 11:31", &[Reason::Booked]),
        (BufferMode::Larger, "2026-06-02 13:14", &[Reason::Buffer]),
        (BufferMode::Larger, "2026-06-02 13:15", &[]),
        (BufferMode::Sum, "2026-06-02 11:05", &[]),
        (BufferMode::Sum, "2026-06-02 11:06", &[Reason::Buffer]),
        (BufferMode::Sum, "2026-06-02 13:24", &[Reason::Buffer]),
        (BufferMode::Sum, "2026-06-02 13:25", &[]),
    ];
    for (mode, start, expected) in cases {
        terms.buffer_mode = *mode;
        assert_eq!(reasons(&ask(&terms, std::slice::from_ref(&host)), start), *expected, "{mode:?} {start}");
    }
}

#[test]
fn a_hold_blocks_until_the_stores_clock_says_it_ended() {
    let host = Person::new(0).claim(hold(1, 0, "2026-06-02 12:00", 30, "2026-06-01 00:02")).host();
    let terms = terms(30);
    let hosts = [host];
    let cases: &[(&str, i64, &[Reason])] = &[
        ("2026-06-01 00:01", 0, &[Reason::Held]),
        ("2026-06-01 00:02", -1, &[Reason::Held]),
        ("2026-06-01 00:02", 0, &[]),
    ];
    for (now, micros, expected) in cases {
        let question = Question { now: at(now).plus_micros(*micros), ..ask(&terms, &hosts) };
        assert_eq!(reasons(&question, "2026-06-02 12:00"), *expected, "{now} {micros}");
    }
}

#[test]
fn a_move_looks_past_its_own_booking_only() {
    let person = Person::new(0).claim(booking(1, 0, "2026-06-02 12:00", 30)).displaced(1, "2026-06-02 15:00", 30);
    let hosts = [person.claim(booking(2, 0, "2026-06-02 13:00", 30)).displaced(2, "2026-06-02 16:00", 30).host()];
    let terms = terms(30);
    let own = Question { ignoring: Some(ClaimOwner::Booking(people::booking_id(1))), ..ask(&terms, &hosts) };
    let cases: &[(&str, &[Reason], &[Reason])] = &[
        ("2026-06-02 12:00", &[Reason::Booked], &[]),
        ("2026-06-02 15:00", &[Reason::Busy], &[]),
        ("2026-06-02 13:00", &[Reason::Booked], &[Reason::Booked]),
        ("2026-06-02 16:00", &[Reason::Busy], &[Reason::Busy]),
    ];
    for (start, anew, moving) in cases {
        assert_eq!(reasons(&ask(&terms, &hosts), start), *anew, "{start}");
        assert_eq!(reasons(&own, start), *moving, "{start} moving");
    }
}

#[test]
fn the_daily_limit_counts_by_the_hosts_own_day() {
    // 23:30 and 00:30 on the wall in Kolkata: two days there, one day by UTC.
    let person = Person::new(0).zone(chrono_tz::Asia::Kolkata).claim(booking(1, 0, "2026-06-02 18:00", 30));
    let person = person.claim(booking(2, 0, "2026-06-03 03:00", 30));
    let hosts = [person.host()];
    let mut terms = terms(30);
    let limited: &[Reason] = &[Reason::DailyLimitReached];
    let cases: &[(u32, &str, &[Reason])] = &[
        (1, "2026-06-02 17:00", limited),
        (1, "2026-06-02 18:30", limited),
        (1, "2026-06-03 18:00", limited),
        (1, "2026-06-03 18:30", &[]),
        (1, "2026-06-01 18:00", &[]),
        (2, "2026-06-02 17:00", &[]),
        (0, "2026-06-09 12:00", limited),
    ];
    for (limit, start, expected) in cases {
        terms.max_bookings_per_day = Some(*limit);
        assert_eq!(reasons(&ask(&terms, &hosts), start), *expected, "{limit} {start}");
    }
    terms.max_bookings_per_day = Some(1);
    terms.event_type_id = Some(people::event_type_id(2));
    assert_eq!(reasons(&ask(&terms, &hosts), "2026-06-02 17:00"), [], "another event type's are not counted");
}

#[test]
fn a_shared_calendar_blocks_both_and_is_counted_for_its_own() {
    // Two people share a calendar on which a claim of the second is published.
    let shared = people::facts(90, Knowledge::Internal, vec![booking(1, 1, "2026-06-02 12:00", 30).claim()]);
    let hosts = [Person::new(0).also(shared.clone()).host(), Person::new(1).also(shared).host()];
    let mut terms = terms(30);
    terms.max_bookings_per_day = Some(1);
    let verdicts = decide(&ask(&terms, &hosts), at("2026-06-02 12:00")).verdicts;
    assert_eq!(verdicts[0].reasons, [Reason::Booked]);
    assert_eq!(verdicts[1].reasons, [Reason::Booked, Reason::DailyLimitReached]);
    let later = decide(&ask(&terms, &hosts), at("2026-06-02 14:00")).verdicts;
    assert_eq!(later[0].reasons, []);
    assert_eq!(later[1].reasons, [Reason::DailyLimitReached]);
}

#[test]
fn notice_window_and_past_bound_the_start() {
    let hosts = [Person::new(0).host()];
    let mut terms = terms(30);
    (terms.min_notice_hours, terms.booking_window_days) = (4, 2);
    let cases: &[(&str, &[Reason])] = &[
        ("2026-05-31 23:30", &[Reason::TooSoon]),
        ("2026-06-01 03:30", &[Reason::TooSoon]),
        ("2026-06-01 04:00", &[]),
        ("2026-06-03 00:00", &[]),
        ("2026-06-03 00:30", &[Reason::BeyondBookingWindow]),
    ];
    for (start, expected) in cases {
        assert_eq!(reasons(&ask(&terms, &hosts), start), *expected, "{start}");
    }
    assert_eq!(starts(&ask(&terms, &hosts), "2026-05-01 00:00", "2026-06-01 05:00"), ["06-01 04:00", "06-01 04:30"]);
    assert_eq!(starts(&ask(&terms, &hosts), "2026-06-02 23:30", "2027-01-01 00:00"), ["06-02 23:30", "06-03 00:00"]);
    assert_eq!(next_available(&ask(&terms, &hosts), at("2026-06-03 00:01")), None);
}

#[test]
fn slots_count_from_the_window_before_busy_time_is_taken_away() {
    let hosts = [Person::new(0).open("09:00", "12:00").busy("2026-06-02 09:10", 10).host()];
    let mut terms = terms(45);
    terms.slot_interval_minutes = 30;
    let question = ask(&terms, &hosts);
    assert_eq!(
        starts(&question, "2026-06-02 00:00", "2026-06-03 00:00"),
        ["06-02 09:30", "06-02 10:00", "06-02 10:30", "06-02 11:00"]
    );
    let cases: &[(&str, &[Reason])] = &[
        ("2026-06-02 09:00", &[Reason::Busy]),
        ("2026-06-02 09:20", &[Reason::NotOnSlotGrid]),
        ("2026-06-02 11:15", &[Reason::NotOnSlotGrid]),
        ("2026-06-02 11:30", &[Reason::OutsideRules]),
        ("2026-06-02 08:15", &[Reason::OutsideRules]),
    ];
    for (start, expected) in cases {
        assert_eq!(reasons(&question, start), *expected, "{start}");
    }
}

#[test]
fn the_event_types_rules_intersect_with_the_hosts() {
    let hosts = [Person::new(0).open("09:00", "12:00").host()];
    let mut terms = terms(60);
    terms.rules = Some(Arc::new(people::open_rules(chrono_tz::Asia::Kolkata, "15:45", "20:00").into()));
    // From 10:15 by UTC: that is where the intersection begins, and so does the grid.
    assert_eq!(starts(&ask(&terms, &hosts), "2026-06-02 00:00", "2026-06-03 00:00"), ["06-02 10:15"]);
}

#[test]
fn a_collective_meets_when_all_are_free() {
    let hosts = [
        Person::new(0).open("09:00", "13:00").busy("2026-06-02 11:15", 30).host(),
        Person::new(1).open("10:15", "14:00").host(),
    ];
    let mut terms = terms(30);
    terms.scheduling_mode = SchedulingMode::Collective;
    let question = ask(&terms, &hosts);
    assert_eq!(
        starts(&question, "2026-06-02 00:00", "2026-06-03 00:00"),
        ["06-02 10:15", "06-02 10:45", "06-02 11:45", "06-02 12:15"]
    );
    let verdicts = decide(&question, at("2026-06-02 10:30")).verdicts;
    assert!(verdicts.iter().all(|verdict| verdict.reasons == [Reason::NotOnSlotGrid]), "{verdicts:?}");
    let verdicts = decide(&question, at("2026-06-02 09:00")).verdicts;
    assert_eq!((verdicts[0].is_free(), &verdicts[1].reasons[..]), (true, &[Reason::OutsideRules][..]));
    assert_eq!(
        choose_hosts(SchedulingMode::Collective, &decide(&question, at("2026-06-02 09:00")), &BTreeMap::new()),
        None
    );
}

#[test]
fn lesson_unknown_is_never_free() {
    let synced = |first, last| Knowledge::Synced {
        as_of: at("2026-06-01 00:00"),
        window: span(first, last),
        watched_until: None,
    };
    let partly = people::facts(90, synced("2026-05-20 00:00", "2026-06-03 00:00"), Vec::new());
    let gone = people::facts(91, Knowledge::Unknown(UnknownReason::CalendarGone), Vec::new());
    let hosts = [
        Person::new(0).host(),
        Person::new(1).also(partly).host(),
        Person::new(2).also(gone).host(),
        Person::new(3).also(people::facts(92, Knowledge::Internal, Vec::new())).forgetting().host(),
    ];
    let mut terms = terms(30);
    terms.buffer_after_minutes = 10;
    let question = ask(&terms, &hosts);
    let unknown = |start: &str| -> Vec<Option<UnknownReason>> {
        decide(&question, at(start)).verdicts.iter().map(|verdict| verdict.unknown()).collect()
    };
    let (gone, outside, missing) = (
        Some(UnknownReason::CalendarGone),
        Some(UnknownReason::OutsideSyncedWindow),
        Some(UnknownReason::DeadlineExceeded),
    );
    assert_eq!(unknown("2026-06-02 23:00"), [None, None, gone, missing]);
    assert_eq!(unknown("2026-06-02 23:30"), [None, outside, gone, missing], "the buffer reaches beyond");
    // Left out whole, and only for what was asked.
    let user = |index: usize| hosts[index].user.id;
    let whole = |search: &agentcal_engine::decision::SlotSearch| -> Vec<Vec<usize>> {
        search.slots.iter().map(|slot| slot.hosts.iter().collect()).collect()
    };
    let known = slots(&question, span("2026-06-02 10:00", "2026-06-02 10:30"), usize::MAX);
    assert_eq!(known.unknown, [(user(2), UnknownReason::CalendarGone), (user(3), UnknownReason::DeadlineExceeded)]);
    assert_eq!(whole(&known), [[0, 1]]);
    let across = slots(&question, span("2026-06-02 10:00", "2026-06-03 10:00"), 1);
    assert_eq!(across.unknown.len(), 3);
    assert_eq!(whole(&across), [[0]]);
    // A long question is clamped to what could be booked, so it makes nobody unknown.
    terms.booking_window_days = 1;
    let clamped = slots(&ask(&terms, &hosts), span("2026-06-01 10:00", "2026-08-01 00:00"), 1);
    assert_eq!(clamped.unknown.len(), 2);
    terms.scheduling_mode = SchedulingMode::Collective;
    let together = slots(&ask(&terms, &hosts), span("2026-06-01 10:00", "2026-06-01 12:00"), usize::MAX);
    assert_eq!((together.slots.len(), together.unknown.len()), (0, 2));
}

#[test]
fn lesson_many_busy_blocks_cost_no_more_than_one() {
    // Every quarter of an hour of the year holds a five-minute event; the answer is the gaps.
    let mut person = Person::new(0);
    for quarter in 0..4 * 24 * 365 {
        person = person.busy_at(at("2026-01-01 00:00").plus_micros(quarter * 15 * MINUTE_US), 5);
    }
    let hosts = [person.host()];
    let mut terms = terms(10);
    terms.slot_interval_minutes = 5;
    assert_eq!(starts(&ask(&terms, &hosts), "2026-06-02 10:00", "2026-06-02 10:30"), ["06-02 10:05", "06-02 10:20"]);
    assert_eq!(starts(&ask(&terms, &hosts), "2026-06-01 00:00", "2026-07-31 00:00").len(), 60 * 96);
}

#[test]
fn slots_name_everybody_who_is_free() {
    let hosts =
        [Person::new(0).busy("2026-06-02 10:00", 30).host(), Person::new(1).busy("2026-06-02 10:30", 30).host()];
    let terms = terms(30);
    let search = slots(&ask(&terms, &hosts), span("2026-06-02 09:30", "2026-06-02 11:00"), usize::MAX);
    let found: Vec<_> =
        search.slots.iter().map(|slot| (on(slot.start), slot.hosts.iter().collect::<Vec<_>>())).collect();
    let expected = [("06-02 09:30", vec![0, 1]), ("06-02 10:00", vec![1]), ("06-02 10:30", vec![0])];
    assert_eq!(found, expected.map(|(start, hosts)| (start.to_owned(), hosts)));
    assert_eq!(slots(&ask(&terms, &hosts), span("2026-06-02 09:30", "2026-06-02 11:00"), 2).slots.len(), 2);
}

#[test]
fn hosts_are_chosen_by_mode() {
    let people = |busy: &[u8]| -> Vec<Host> {
        (0..3)
            .map(|index| {
                if busy.contains(&index) { Person::new(index).busy("2026-06-02 10:00", 30) } else { Person::new(index) }
            })
            .map(|person| person.host())
            .collect()
    };
    let counts = |counts: &[u64]| (0..).map(people::user_id).zip(counts.iter().copied()).collect::<BTreeMap<_, _>>();
    use SchedulingMode::{Collective, Individual, RoundRobin};
    /// Mode, who is busy, how many each has taken, who takes it.
    type Case = (SchedulingMode, &'static [u8], &'static [u64], Option<&'static [u8]>);
    let cases: &[Case] = &[
        (Individual, &[], &[5, 1, 1], Some(&[0])),
        (Individual, &[0], &[], Some(&[1])),
        (Individual, &[0, 1, 2], &[], None),
        (RoundRobin, &[], &[2, 1, 1], Some(&[1])),
        (RoundRobin, &[1], &[2, 1, 1], Some(&[2])),
        (RoundRobin, &[], &[1, 1], Some(&[2])),
        (RoundRobin, &[], &[], Some(&[0])),
        (RoundRobin, &[0, 1, 2], &[], None),
        (Collective, &[], &[], Some(&[0, 1, 2])),
        (Collective, &[2], &[], None),
    ];
    let mut terms = terms(30);
    for (mode, busy, taken, expected) in cases {
        terms.scheduling_mode = *mode;
        let decision = decide(&ask(&terms, &people(busy)), at("2026-06-02 10:00"));
        let expected = expected.map(|hosts| hosts.iter().map(|&index| people::user_id(index)).collect::<Vec<_>>());
        assert_eq!(choose_hosts(*mode, &decision, &counts(taken)), expected, "{mode:?} {busy:?} {taken:?}");
    }
    let nobody = Decision { range: span("2026-06-02 10:00", "2026-06-02 10:30"), verdicts: Vec::new() };
    assert_eq!(choose_hosts(Collective, &nobody, &BTreeMap::new()), None);
}

#[test]
fn lesson_alternatives_are_not_all_on_one_day() {
    let offered = |person: Person, wanted: &str| -> Vec<String> {
        let (terms, hosts) = (terms(30), [person.host()]);
        let near = TimeRange { start: at(wanted), end: at(wanted).plus_micros(30 * MINUTE_US) };
        alternatives(&ask(&terms, &hosts), near, 5).iter().map(|slot| on(slot.start)).collect()
    };
    // Nearest first, two a day, though the day itself has more.
    let open = || Person::new(0).open("09:00", "12:00");
    assert_eq!(
        offered(open().busy("2026-06-03 10:00", 30), "2026-06-03 10:00"),
        ["06-03 09:30", "06-03 10:30", "06-02 11:30", "06-02 11:00", "06-04 09:00"]
    );
    // Two of a day lie in different parts of it, where it has several; 17:00 begins the evening.
    assert_eq!(
        offered(Person::new(0).open("09:00", "19:00").busy("2026-06-03 10:00", 30), "2026-06-03 10:00"),
        ["06-03 09:30", "06-03 12:00", "06-02 18:30", "06-02 16:30", "06-04 09:00"]
    );
    // Days and parts are those of the host's wall: in Kathmandu noon is 06:15 by UTC, midnight 18:15.
    let kathmandu = Person::new(0).zone(chrono_tz::Asia::Kathmandu).open("05:15", "07:45");
    assert_eq!(
        offered(kathmandu.busy("2026-06-03 05:15", 30), "2026-06-03 05:15"),
        ["06-03 05:45", "06-03 06:15", "06-02 07:15", "06-02 05:45", "06-04 05:15"]
    );
    // One day only: then all of it.
    let one_day = Person::new(0).open("09:00", "09:00").off_but("2026-06-03", "09:00", "12:00");
    assert_eq!(
        offered(one_day.busy("2026-06-03 10:00", 30), "2026-06-03 10:00"),
        ["06-03 09:30", "06-03 10:30", "06-03 09:00", "06-03 11:00", "06-03 11:30"]
    );
    // In the past or too far: from the nearest end of what can be booked.
    assert_eq!(offered(open(), "2020-01-01 10:00")[0], "06-01 09:00");
    assert_eq!(offered(open(), "2030-01-01 10:00")[0], "07-30 11:30");
}

#[test]
fn instants_at_the_ends_of_time_are_refused_without_panic() {
    let hosts = [Person::new(0).busy("2026-06-02 10:00", 30).claim(booking(1, 0, "2026-06-02 12:00", 30)).host()];
    let mut terms = terms(30);
    (terms.max_bookings_per_day, terms.booking_window_days, terms.min_notice_hours) = (Some(1), u32::MAX, u32::MAX);
    let ends = [i64::MIN, -1, 0, Timestamp::LATEST.as_micros(), i64::MAX].map(Timestamp::from_micros);
    for now in ends {
        for start in ends {
            let question = Question { now, ..ask(&terms, &hosts) };
            let decision = decide(&question, start);
            assert!(decision.range.start < decision.range.end);
            assert_eq!(decision.free().count(), 0, "{now:?} {start:?}");
            let range = TimeRange { start, end: start.plus_micros(HOUR_US) };
            assert_eq!(slots(&question, range, 10).slots, []);
            let _ = alternatives(&question, range, 5);
        }
    }
    terms.min_notice_hours = 0;
    for start in [i64::MIN, -DAY_US, Timestamp::LATEST.as_micros() + 1, i64::MAX].map(Timestamp::from_micros) {
        assert_eq!(decide(&ask(&terms, &hosts), start).free().count(), 0, "{start:?}");
    }
}
