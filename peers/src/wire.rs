//! What travels between nodes: paths, headers and bodies. Bodies are the engine's own values as JSON.
//!
//! Nodes' clocks differ, so no instant of theirs is sent: a deadline travels as the milliseconds that are left. The store's
//! clock is one for all.

use std::time::Duration;

use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::facts::MaxAge;
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::FactsWanted;
use http::HeaderName;
use serde::{Deserialize, Serialize};

/// Milliseconds the caller still waits.
pub(crate) const LEFT_HEADER: HeaderName = HeaderName::from_static("agentcal-left-ms");
/// The id under which both nodes log a request.
pub(crate) const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest time that may be left; a caller that names more is held to this.
const LEFT_MAX: Duration = Duration::from_secs(60);
/// Most that is kept back of a caller's time for the way there and back.
const TRIP_MAX: Duration = Duration::from_millis(20);

/// Where the map of shards is to be seen.
pub(crate) const SHARDS_PATH: &str = "/internal/v1/shards";

/// What one node may ask of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Commit,
    Facts,
    Bell,
    ConfigChanged,
    BeatsEnded,
    ShardsGiven,
}

impl Kind {
    /// All there are. What is missing here is not answered.
    pub(crate) const ALL: [Self; 6] =
        [Self::Commit, Self::Facts, Self::Bell, Self::ConfigChanged, Self::BeatsEnded, Self::ShardsGiven];

    /// A short name, for metrics and logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Facts => "facts",
            Self::Bell => "bell",
            Self::ConfigChanged => "config_changed",
            Self::BeatsEnded => "beats_ended",
            Self::ShardsGiven => "shards_given",
        }
    }

    /// Where it is asked for.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Commit => "/internal/v1/commit",
            Self::Facts => "/internal/v1/facts",
            Self::Bell => "/internal/v1/bell",
            Self::ConfigChanged => "/internal/v1/config-changed",
            Self::BeatsEnded => "/internal/v1/beats-ended",
            Self::ShardsGiven => "/internal/v1/shards-given",
        }
    }
}

/// What is told of a caller's time: all but what the way takes, so that an answer at the last moment still arrives.
pub(crate) fn left_to_send(left: Duration) -> u64 {
    let trip = (left / 10).min(TRIP_MAX);
    u64::try_from((left - trip).as_millis()).unwrap_or(u64::MAX)
}

/// The time that is left by a header's text; `None` when it is no number.
pub(crate) fn left_received(text: &str) -> Option<Duration> {
    text.parse().ok().map(|left_ms| Duration::from_millis(left_ms).min(LEFT_MAX))
}

/// A question for facts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FactsBody {
    pub(crate) account_id: AccountId,
    pub(crate) wanted: Vec<WantedBody>,
}

/// One calendar of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WantedBody {
    pub(crate) calendar_id: CalendarId,
    /// Absent: whatever is known will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_age_ms: Option<u64>,
    /// The same where the provider rings. Absent: no other age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) watched_max_age_ms: Option<u64>,
}

impl From<&FactsWanted> for WantedBody {
    fn from(wanted: &FactsWanted) -> Self {
        let millis = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let other = wanted.max_age.filter(|age| age.watched != age.polled);
        Self {
            calendar_id: wanted.calendar_id,
            max_age_ms: wanted.max_age.map(|age| millis(age.polled)),
            watched_max_age_ms: other.map(|age| millis(age.watched)),
        }
    }
}

impl From<&WantedBody> for FactsWanted {
    fn from(body: &WantedBody) -> Self {
        let max_age = body.max_age_ms.map(|polled_ms| MaxAge {
            polled: Duration::from_millis(polled_ms),
            watched: Duration::from_millis(body.watched_max_age_ms.unwrap_or(polled_ms)),
        });
        Self { calendar_id: body.calendar_id, max_age }
    }
}

/// A calendar to be rung.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BellBody {
    pub(crate) account_id: AccountId,
    pub(crate) calendar_id: CalendarId,
    /// What is said; absent: that something may have changed.
    #[serde(default)]
    pub(crate) ring: Ring,
}

/// An account whose configuration was written.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ConfigChangedBody {
    pub(crate) account_id: AccountId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_kept_back_for_the_way_and_never_more_than_a_trip() {
        let check = |left_ms, expected| assert_eq!(left_to_send(Duration::from_millis(left_ms)), expected, "{left_ms}");
        check(0, 0);
        check(10, 9);
        check(100, 90);
        check(200, 180);
        check(3_000, 2_980);
        assert_eq!(left_to_send(Duration::MAX), u64::MAX);
    }

    #[test]
    fn time_left_is_read_and_bounded() {
        let check = |text, expected: Option<u64>| {
            assert_eq!(left_received(text), expected.map(Duration::from_millis), "{text}");
        };
        check("0", Some(0));
        check("2980", Some(2_980));
        check("60001", Some(60_000));
        check("18446744073709551615", Some(60_000));
        for wrong in ["", "-1", "1.5", "1 ", "soon", "18446744073709551616"] {
            check(wrong, None);
        }
    }

    #[test]
    fn ages_of_every_length_survive_the_way() {
        let calendar_id = CalendarId::from_uuid(uuid::Uuid::nil());
        let same = |millis| Some(MaxAge::from(Duration::from_millis(millis)));
        let apart = MaxAge { polled: Duration::from_secs(60), watched: Duration::from_secs(3_600) };
        for max_age in [None, same(0), same(1_500), same(86_400_000), Some(apart)] {
            let wanted = FactsWanted { calendar_id, max_age };
            let text = serde_json::to_string(&WantedBody::from(&wanted)).expect("JSON");
            let body: WantedBody = serde_json::from_str(&text).expect("the same");
            assert_eq!(FactsWanted::from(&body), wanted, "{text}");
        }
    }
}
