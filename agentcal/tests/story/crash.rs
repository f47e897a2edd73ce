//! The program dies between the commit of a booking and its writing to the calendar. After the next start the calendar
//! shows the booking, once.

use agentcal_testkit::{Dev, Server, WAIT_MAX, wait_for};
use chrono_tz::Tz;
use serde_json::{Value, json};

use crate::agenda::{Period, SLOT_MINUTES, SLOT_SECONDS, offered, stretch};
use crate::api::{Account, Api, calendar_id, text};
use crate::audit::Audited;
use crate::days::{Weeks, rfc3339};
use crate::dev;
use crate::other::{Event, OtherClient};
use crate::proxy::Proxy;

const CALENDAR: &str = "crash";
const TITLE: &str = "Crash test";

/// A program whose wire to the server can be cut, and one calendar.
struct Scene {
    dev: Dev,
    proxy: Proxy,
    other: OtherClient,
    weeks: Weeks,
    account_path: String,
    user_id: String,
    event_type_id: String,
}

/// The server cannot be reached when the booking is made.
pub(crate) fn before_the_writeback(server: &Server) {
    let mut scene = Scene::of(server);
    scene.proxy.cut();
    let (booking, start) = scene.book();
    scene.dev.kill9();
    assert_eq!(booking["writeback"]["state"], "pending");
    assert_eq!(scene.events().len(), 0, "nothing got through");
    scene.assert_written_once_after_a_restart(&booking, start);
}

/// The server writes the event, and its answer never arrives.
pub(crate) fn after_an_unanswered_write(server: &Server) {
    let mut scene = Scene::of(server);
    scene.proxy.lose_answers_to_writes();
    let (booking, start) = scene.book();
    wait_for("the event at the server", WAIT_MAX, || (scene.events().len() == 1).then_some(()));
    scene.dev.kill9();
    scene.assert_written_once_after_a_restart(&booking, start);
}

impl Scene {
    fn of(server: &Server) -> Self {
        let (dev, proxy, other) = (dev(), Proxy::to(server.address()), OtherClient::of(server));
        other.make(CALENDAR, "Europe/Berlin");
        let api = Api::of(&dev);
        let account = Account::create(&api);
        let connection = account.connect(&proxy.url());
        let user_id = account.user(json!({
            "name": "Alice", "email": "alice@example.com", "timezone": "Europe/Berlin",
            "calendar_id": calendar_id(&connection, CALENDAR),
        }));
        let event_type_id = account.event_type(json!({
            "name": TITLE, "slug": "crash-test", "duration_minutes": SLOT_MINUTES, "user_ids": [user_id],
        }));
        let account_path = account.path().to_owned();
        Self { dev, proxy, other, weeks: Weeks::from_now(), account_path, user_id, event_type_id }
    }

    fn with_account<T>(&self, act: impl FnOnce(&Account<'_>) -> T) -> T {
        let api = Api::of(&self.dev);
        act(&Account::again(&api, &self.account_path))
    }

    /// Books the first slot that is offered, with the wire as it is.
    fn book(&self) -> (Value, i64) {
        let period = Period::weeks_from(self.weeks.monday, 1, Tz::Europe__Berlin);
        self.with_account(|account| {
            let start = stretch(&offered(account, &self.event_type_id, &self.user_id, period), 0, 0);
            (account.book(&self.event_type_id, &self.user_id, &rfc3339(start)), start)
        })
    }

    /// The events at the server itself, past the wire.
    fn events(&self) -> Vec<Event> {
        self.other.events(CALENDAR, Audited::around(self.weeks.monday).seconds())
    }

    fn assert_written_once_after_a_restart(&mut self, booking: &Value, start: i64) {
        self.proxy.open();
        self.dev.restart();
        self.with_account(|account| {
            let written = account.booking_when_written(booking);
            assert_eq!(text(&written, "id"), text(booking, "id"));
            assert_eq!(written["external_state"], "in_sync");
        });
        let [event] = <[Event; 1]>::try_from(self.events()).expect("one event for one booking");
        assert_eq!((event.start, event.end), (start, start + SLOT_SECONDS));
        assert!(event.summary.contains(TITLE), "{event:?}");
    }
}
