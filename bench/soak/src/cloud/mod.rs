//! Both fakes, and what people do in them.

mod google;
mod microsoft;

use std::time::Duration;

use agentcal_engine::busy::BusySet;
use agentcal_engine::ids::BookingId;
use agentcal_engine::model::ProviderKind;
use agentcal_engine::time::{TimeRange, Timestamp};
use agentcal_fake_google::{FakeGoogle, PROJECT_PER_MINUTE, USER_PER_MINUTE};
use agentcal_fake_kit::{Calls, Clock, Fault, Faults, Rule, Served, When, serve};
use agentcal_fake_microsoft::FakeGraph;
use agentcal_sim_store::Dice;
use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;
use url::Url;

use crate::brake::Brake;

/// Who we are to both.
pub(crate) const CLIENT_ID: &str = "installation";
pub(crate) const CLIENT_SECRET: &str = "the installation's secret";
/// Where everybody lives, so that clocks change in the middle of it.
pub(crate) const ZONE: Tz = Tz::Europe__Berlin;

/// Requests about one mailbox in ten minutes, as Graph grants them.
const MAILBOX_PER_TEN_MINUTES: usize = 10_000;
/// Notifications in a thousand that are lost, sent twice, and late.
const BELLS_LOST: u16 = 100;
const BELLS_REPEATED: u16 = 50;
const BELLS_LATE: u16 = 50;
const LATE: Duration = Duration::from_secs(90);

/// Somebody's calendar at a provider.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) provider: ProviderKind,
    /// Whose mailbox.
    pub(crate) address: String,
    /// The calendar's name at the provider.
    pub(crate) remote_id: String,
}

/// An event as somebody wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) range: TimeRange,
    pub(crate) kind: Kind,
}

/// What kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Takes its time.
    Busy,
    /// Is there, and takes none.
    Free,
    /// The whole days on which it begins and ends.
    AllDay,
    /// Takes its time, so many weeks in a row.
    Weekly(u32),
}

/// An event of ours at a provider.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) booking_id: BookingId,
    pub(crate) event_id: String,
    pub(crate) range: TimeRange,
}

/// Both providers.
pub(crate) struct Cloud {
    pub(crate) google: FakeGoogle,
    pub(crate) graph: FakeGraph,
    pub(crate) google_url: Url,
    _served: Served,
}

impl Cloud {
    /// Both, listening. Their notifications hold the brake while they are on their way.
    pub(crate) async fn open(clock: Clock, brake: &Brake, seed: u64) -> Self {
        let google = FakeGoogle::new(clock.clone());
        google.add_client(CLIENT_ID, CLIENT_SECRET);
        let served = serve(google.router(), 0).await;
        let graph = FakeGraph::start(clock, 0).await;
        graph.add_application(CLIENT_ID, CLIENT_SECRET);
        for under_way in [google.ringing(), graph.ringing()] {
            let brake = brake.clone();
            under_way.hold(move || brake.hold());
        }
        for (index, bells) in (1_u64..).zip([google.bells(), graph.bells()]) {
            let unreliable = [(BELLS_LOST, Fault::Drop), (BELLS_REPEATED, Fault::LoseAnswer)];
            for (number, (share, fault)) in (1_u64..).zip(unreliable) {
                let when = When::PerMille { share, seed: seed ^ (index << 32) ^ (number << 40) };
                bells.add(Rule { method: None, path_contains: String::new(), when, fault });
            }
        }
        let when = When::PerMille { share: BELLS_LATE, seed: seed ^ (7 << 40) };
        google.bells().add(Rule { method: None, path_contains: String::new(), when, fault: Fault::Delay(LATE) });
        let google_url = Url::parse(&served.base_url()).expect("an address of this machine");
        Self { google, graph, google_url, _served: served }
    }

    /// Somebody has a mailbox from now on.
    pub(crate) fn add(&self, provider: ProviderKind, address: &str) {
        match provider {
            ProviderKind::Microsoft => drop(self.graph.add_mailbox(address, microsoft::ZONE_NAME)),
            _ => self.google.add_user(address, ZONE),
        }
    }

    /// Makes an event; its name.
    pub(crate) fn put(&self, place: &Place, wish: Wish) -> String {
        match place.provider {
            ProviderKind::Microsoft => microsoft::put(&self.graph, place, wish),
            _ => google::put(&self.google, place, wish),
        }
    }

    /// Moves an event, of whatever kind it is, or an occurrence of one.
    pub(crate) fn shift(&self, place: &Place, event_id: &str, wish: Wish) {
        match place.provider {
            ProviderKind::Microsoft => microsoft::shift(&self.graph, place, event_id, wish),
            _ => google::shift(&self.google, place, event_id, wish),
        }
    }

    /// The occurrences of a series that are still there, and when they begin.
    pub(crate) fn occurrences(&self, place: &Place, event_id: &str, wish: Wish) -> Vec<(String, Timestamp)> {
        let Kind::Weekly(weeks) = wish.kind else { return Vec::new() };
        match place.provider {
            ProviderKind::Microsoft => microsoft::occurrences(&self.graph, place, event_id, wish.range.start),
            _ => google::occurrences(&self.google, place, event_id, (wish.range.start, weeks)),
        }
    }

    /// Deletes an event, or an occurrence of one.
    pub(crate) fn delete(&self, place: &Place, event_id: &str) {
        match place.provider {
            ProviderKind::Microsoft => microsoft::delete(&self.graph, place, event_id),
            _ => self.google.delete(&place.remote_id, event_id),
        }
    }

    /// What truly takes time.
    pub(crate) fn busy(&self, place: &Place, within: TimeRange) -> BusySet {
        let (from, to) = (within.start.to_utc(), within.end.to_utc());
        let busy = match place.provider {
            ProviderKind::Microsoft => self.graph.busy(&place.address, &place.remote_id, (from, to)),
            _ => self.google.busy(&place.remote_id, from, to),
        };
        let ranges = busy.into_iter().filter_map(|(start, end)| TimeRange::new(start.into(), end.into()));
        BusySet::from_ranges(ranges.filter_map(|range| range.intersection(&within)))
    }

    /// Events that were written for bookings.
    pub(crate) fn own(&self, place: &Place) -> Vec<Own> {
        match place.provider {
            ProviderKind::Microsoft => microsoft::own(&self.graph, place),
            _ => google::own(&self.google, place),
        }
    }

    /// No cursor of a calendar counts any more; at Graph, none of anybody's.
    pub(crate) fn forget_cursors(&self, place: &Place) {
        match place.provider {
            ProviderKind::Microsoft => self.graph.expire_rounds(),
            _ => google::forget_cursors(&self.google, place),
        }
    }

    /// The provider rings no more for a calendar: Google without a word, Graph with one.
    pub(crate) fn end_watches(&self, place: &Place, dice: &Dice) {
        let words = ["missed", "subscriptionRemoved", "reauthorizationRequired"];
        match place.provider {
            ProviderKind::Microsoft => self.graph.lifecycle(&place.address, words[dice.index(words.len())]),
            _ => self.google.forget_watches(&place.remote_id),
        }
    }

    /// Every access token is refused from now on.
    pub(crate) fn expire_tokens(&self, provider: ProviderKind) {
        match provider {
            ProviderKind::Microsoft => self.graph.expire_access_tokens(),
            _ => self.google.expire_access_tokens(),
        }
    }

    /// Few requests are put up with from now on.
    pub(crate) fn tighten(&self, provider: ProviderKind, dice: &Dice) {
        match provider {
            ProviderKind::Microsoft => self.graph.set_quota(dice.index(3)),
            _ if dice.happens(500) => self.google.user_quota().set_max(dice.index(2)),
            _ => self.google.project_quota().set_max(dice.index(5)),
        }
        self.google.refuse_with_429(dice.happens(500));
    }

    /// What goes wrong with requests to a provider.
    pub(crate) fn faults(&self, provider: ProviderKind) -> &Faults {
        match provider {
            ProviderKind::Microsoft => self.graph.faults(),
            _ => self.google.faults(),
        }
    }

    /// All is well with requests from now on. Notifications stay as they are.
    pub(crate) fn heal(&self) {
        self.google.faults().clear();
        self.graph.faults().clear();
        self.google.user_quota().set_max(USER_PER_MINUTE);
        self.google.project_quota().set_max(PROJECT_PER_MINUTE);
        self.graph.set_quota(MAILBOX_PER_TEN_MINUTES);
    }

    /// Requests, by user and operation.
    pub(crate) fn calls(&self) -> [(ProviderKind, &Calls); 2] {
        [(ProviderKind::Google, self.google.calls()), (ProviderKind::Microsoft, self.graph.calls())]
    }

    /// Notifications that were lost, repeated or late.
    pub(crate) fn bells_struck(&self) -> u64 {
        self.google.bells().struck() + self.graph.bells().struck()
    }

    /// Requests that were refused because there had been too many.
    pub(crate) fn refused(&self) -> u64 {
        self.google.user_quota().refused() + self.google.project_quota().refused()
    }
}

/// What an instant's clock on the wall shows where everybody lives.
fn wall(instant: Timestamp) -> NaiveDateTime {
    instant.to_utc().with_timezone(&ZONE).naive_local()
}

fn instant(text: &str) -> Option<Timestamp> {
    Some(DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc).into())
}
