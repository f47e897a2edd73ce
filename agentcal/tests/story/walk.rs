//! The story from a connected calendar to a booked slot, and what happens to the booking afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use agentcal_testkit::{Server, WAIT_MAX, wait_for};
use chrono_tz::Tz;
use serde_json::{Value, json};

use crate::agenda::{Period, SLOT_MINUTES, SLOT_SECONDS, offered, office_slots, stretch};
use crate::api::{Account, Api, calendar_id, text};
use crate::audit::{Audited, Auditor};
use crate::days::{Weeks, rfc3339, seconds};
use crate::dev;
use crate::other::{Event, OtherClient, Seconds};

/// What bookings of the story are called in calendars.
const TITLE: &str = "Consultation";
/// A change in a calendar is seen within one poll (10 s in `dev`) and the time a sync takes on a busy machine.
const SEEN_WITHIN: Duration = Duration::from_secs(40);

/// A person of the story and the time their calendars take.
struct Person {
    user_id: String,
    timezone: Tz,
    /// The calendar bookings are written to.
    calendar: &'static str,
    taken: Vec<Seconds>,
}

/// Everybody and everything.
struct Scene<'a> {
    account: Account<'a>,
    other: OtherClient,
    weeks: Weeks,
    event_type_id: String,
    alice: Person,
    auditor: Auditor,
}

pub(crate) fn story(server: &Server) {
    let dev = dev();
    let api = Api::of(&dev);
    let account = Account::create(&api);
    let other = OtherClient::of(server);
    let weeks = Weeks::from_now();
    let taken = other.fill(weeks);
    let connection = account.connect(&server.url());

    let people = people(&account, &connection, &taken);
    let user_ids: Vec<&str> = people.iter().map(|person| person.user_id.as_str()).collect();
    let event_type_id = account.event_type(json!({
        "name": TITLE, "slug": "consultation", "duration_minutes": SLOT_MINUTES, "booking_window_days": 365,
        "user_ids": user_ids,
    }));
    slots_are_what_the_calendars_leave(&account, &event_type_id, &people, weeks);
    let mut auditors = auditors(&account, &connection, &taken);
    time_taken_is_what_the_server_says(&account, &other, &auditors, &taken, weeks);

    let [alice, ..] = people;
    let auditor = auditors.remove(alice.calendar).expect("every calendar has its auditor");
    let scene = Scene { account, other, weeks, event_type_id, alice, auditor };
    let (booking, event) = scene.a_booking_appears_in_the_calendar();
    scene.a_moved_booking_moves_in_the_calendar(&booking, &event);
    scene.a_dragged_event_is_told_and_blocks(&booking, &event);
    scene.a_deleted_event_is_told(&booking, &event);
    scene.a_cancelled_booking_leaves_the_calendar();
    scene.an_event_of_somebody_else_takes_its_slot_away();
    scene.with_bookings_added_the_server_still_agrees();
}

fn people(account: &Account<'_>, connection: &Value, taken: &BTreeMap<String, Vec<Seconds>>) -> [Person; 4] {
    let person = |name: &str, timezone: Tz, calendars: &[&'static str]| {
        let ids: Vec<&str> = calendars.iter().map(|calendar| calendar_id(connection, calendar)).collect();
        let user_id = account.user(json!({
            "name": name, "email": format!("{}@example.com", name.to_lowercase()), "timezone": timezone.name(),
            "calendar_id": ids[0], "busy_calendar_ids": ids,
        }));
        let taken = calendars.iter().flat_map(|calendar| taken[*calendar].iter().copied()).collect();
        Person { user_id, timezone, calendar: calendars[0], taken }
    };
    [
        person("Alice", Tz::Europe__Berlin, &["work", "holidays"]),
        person("Ben", Tz::America__New_York, &["newyork"]),
        person("Chandra", Tz::Asia__Kolkata, &["kolkata"]),
        person("Dora", Tz::Europe__Berlin, &["odds"]),
    ]
}

/// Soon, and round the change of the clocks, everybody is offered what rules and calendars leave: no more, no less.
fn slots_are_what_the_calendars_leave(account: &Account<'_>, event_type_id: &str, people: &[Person], weeks: Weeks) {
    for monday in [weeks.monday, weeks.change_monday] {
        for person in people {
            let period = Period::weeks_from(monday, 3, person.timezone);
            let expected = office_slots(period, &person.taken);
            let found = settled(&expected, || offered(account, event_type_id, &person.user_id, period));
            assert_eq!(found, expected, "{} from {monday}", person.timezone);
        }
    }
}

/// What is found once it is as expected, or can no longer become so. Whose answer to an invitation counts is known a sync
/// after the calendar got its user; until then too much is taken, never too little.
fn settled(expected: &BTreeSet<i64>, find: impl Fn() -> BTreeSet<i64>) -> BTreeSet<i64> {
    let started = Instant::now();
    wait_for("an end to waiting", WAIT_MAX, || {
        let found = find();
        let may_settle = found.is_subset(expected) && started.elapsed() < SEEN_WITHIN;
        (found == *expected || !may_settle).then_some(found)
    })
}

fn auditors(
    account: &Account<'_>,
    connection: &Value,
    taken: &BTreeMap<String, Vec<Seconds>>,
) -> BTreeMap<String, Auditor> {
    taken.keys().map(|calendar| (calendar.clone(), Auditor::of(account, connection, calendar))).collect()
}

/// What the api takes for taken is what a person wrote down, in every calendar, and what the server itself answers where
/// servers agree: they differ on declined invitations, floating time and all-day events, which have calendars of their
/// own.
fn time_taken_is_what_the_server_says(
    account: &Account<'_>,
    other: &OtherClient,
    auditors: &BTreeMap<String, Auditor>,
    taken: &BTreeMap<String, Vec<Seconds>>,
    weeks: Weeks,
) {
    for (calendar, taken) in taken {
        let auditor = &auditors[calendar];
        for days in [weeks.monday, weeks.change_monday].map(Audited::around) {
            auditor.assert_taken(account, days, taken, "the calendar's owner");
            if !["holidays", "odds"].contains(&calendar.as_str()) {
                let said = other.free_busy(calendar, days.seconds());
                auditor.assert_taken(account, days, &said, "the server's free-busy report");
            }
        }
    }
}

impl Scene<'_> {
    fn period(&self) -> Period {
        Period::weeks_from(self.weeks.monday, 3, self.alice.timezone)
    }

    /// Starts of what Alice is offered.
    fn slots(&self) -> BTreeSet<i64> {
        offered(&self.account, &self.event_type_id, &self.alice.user_id, self.period())
    }

    fn events(&self) -> Vec<Event> {
        let events = self.other.events(self.alice.calendar, Audited::around(self.weeks.monday).seconds());
        events.into_iter().filter(|event| event.summary.contains(TITLE)).collect()
    }

    fn book(&self, start: i64) -> Value {
        self.account.book(&self.event_type_id, &self.alice.user_id, &rfc3339(start))
    }

    fn a_booking_appears_in_the_calendar(&self) -> (Value, Event) {
        let slots = self.slots();
        let start = stretch(&slots, 0, 4);
        let booking = self.book(start);
        assert!(!self.slots().contains(&start), "a sold slot is offered");
        let booking = self.account.booking_when_written(&booking);
        assert_eq!(seconds(text(&booking, "start_time")), start);
        assert_eq!(booking["external_state"], "in_sync");
        let [event] = <[Event; 1]>::try_from(self.events()).expect("one event for one booking");
        assert_eq!((event.start, event.end), (start, start + SLOT_SECONDS));
        (booking, event)
    }

    fn a_moved_booking_moves_in_the_calendar(&self, booking: &Value, event: &Event) {
        // A week later, so that nothing of before is near.
        let start = stretch(&self.slots(), event.start + 7 * 24 * 3600, 4);
        let path = self.account.booking_path(booking);
        let moved = self.account.api.patch(&path, json!({ "start_time": rfc3339(start) })).with(200);
        assert_eq!(seconds(text(&moved, "start_time")), start);
        let slots = self.slots();
        assert!(slots.contains(&event.start) && !slots.contains(&start), "the old slot is free, the new one is not");
        self.account.booking_when_written(booking);
        let [now] = <[Event; 1]>::try_from(self.events()).expect("one event for one booking");
        assert_eq!((now.start, now.end), (start, start + SLOT_SECONDS));
        assert_eq!(now.uid, event.uid);
        assert!(now.sequence > event.sequence, "{now:?} after {event:?}");
    }

    fn a_dragged_event_is_told_and_blocks(&self, booking: &Value, event: &Event) {
        let [before] = <[Event; 1]>::try_from(self.events()).expect("one event for one booking");
        let dragged = before.start + 3 * SLOT_SECONDS;
        assert!(self.slots().contains(&dragged));
        self.other.move_event(self.alice.calendar, &event.uid, 3 * SLOT_MINUTES);
        let told = self.account.booking_when(booking, "`moved`", |booking| booking["external_state"] == "moved");
        assert_eq!(seconds(text(&told, "start_time")), before.start, "the booking stands where it was booked");
        let slots = self.slots();
        assert!(!slots.contains(&dragged), "the time an event was dragged to is offered");
        assert!(!slots.contains(&before.start), "the time of a standing booking is offered");
    }

    fn a_deleted_event_is_told(&self, booking: &Value, event: &Event) {
        let [before] = <[Event; 1]>::try_from(self.events()).expect("one event for one booking");
        self.other.delete(self.alice.calendar, &event.uid);
        let told = self.account.booking_when(booking, "`deleted`", |booking| booking["external_state"] == "deleted");
        assert_eq!(told["status"], "confirmed");
        assert!(self.slots().contains(&before.start), "where the event was dragged to is free again");
    }

    fn a_cancelled_booking_leaves_the_calendar(&self) {
        let start = stretch(&self.slots(), 0, 0);
        let booking = self.account.booking_when_written(&self.book(start));
        assert_eq!(self.events().len(), 1);
        let cancelled = self.account.api.delete(&self.account.booking_path(&booking)).with(200);
        assert_eq!(cancelled["status"], "cancelled");
        assert!(self.slots().contains(&start), "the time of a cancelled booking is not offered");
        wait_for("the event's removal", SEEN_WITHIN, || self.events().is_empty().then_some(()));
        assert!(self.slots().contains(&start));
    }

    fn an_event_of_somebody_else_takes_its_slot_away(&self) {
        let start = stretch(&self.slots(), 0, 0);
        self.other.add(self.alice.calendar, (start, start + SLOT_SECONDS));
        let added = Instant::now();
        wait_for("the slot's end", SEEN_WITHIN, || (!self.slots().contains(&start)).then_some(()));
        println!("an event of somebody else took its slot away after {:.1} s", added.elapsed().as_secs_f64());
    }

    /// One booking stands in the calendar; of another the event was deleted there, yet it still takes its host's time.
    fn with_bookings_added_the_server_still_agrees(&self) {
        let start = stretch(&self.slots(), 0, 0);
        self.account.booking_when_written(&self.book(start));
        let bookings = self.account.api.get(&self.account.at("/bookings?status=confirmed")).with(200);
        let bookings = bookings["data"].as_array().expect("a list has data");
        assert_eq!(bookings.len(), 2);
        let range = |booking: &Value| (seconds(text(booking, "start_time")), seconds(text(booking, "end_time")));
        let days = Audited::around(self.weeks.monday);
        let mut taken = self.other.free_busy(self.alice.calendar, days.seconds());
        taken.extend(bookings.iter().map(range));
        self.auditor.assert_taken(&self.account, days, &taken, "the server's free-busy report, bookings added");
    }
}
