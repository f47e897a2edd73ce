//! What a soak came to, in numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use agentcal_engine::model::ProviderKind;

use crate::cloud::Cloud;
use crate::trouble::Tally;

/// Requests a calendar of a provider that rings may cost in a day, those for access tokens among them.
pub(crate) const CALLS_PER_DAY_MAX: f64 = 15.0;
/// What it would cost to ask every five minutes.
const CALLS_POLLING: u32 = 288;
/// Requests that are about no calendar: tokens, which are counted apart, and what only wraps others, which are counted themselves.
const BESIDES: [&str; 3] = ["oauth.token", "POST /token", "POST /$batch"];
const DAY_SECONDS: f64 = 86_400.0;

/// Requests to providers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Requests {
    /// About calendars, by provider and kind.
    pub by_kind: BTreeMap<(&'static str, String), u64>,
    /// About calendars, in all.
    pub total: u64,
    /// About the calendar that cost most.
    pub most: u64,
    /// For tokens.
    pub tokens: u64,
}

impl Requests {
    /// Those both fakes have counted.
    pub(crate) fn of(cloud: &Cloud) -> Self {
        let (mut requests, mut by_user) = (Self::default(), BTreeMap::<String, u64>::new());
        for (provider, calls) in cloud.calls() {
            let provider = if provider == ProviderKind::Google { "google" } else { "microsoft" };
            for ((user, operation), count) in calls.all() {
                if BESIDES.contains(&operation.as_str()) {
                    requests.tokens += if operation.contains("token") { count } else { 0 };
                    continue;
                }
                requests.total += count;
                // A request with a token that counts no more is nobody's.
                if !user.is_empty() {
                    *by_user.entry(user).or_default() += count;
                }
                *requests.by_kind.entry((provider, operation)).or_default() += count;
            }
        }
        requests.most = by_user.values().copied().max().unwrap_or(0);
        requests
    }
}

/// What happened in a soak.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Calendars.
    pub calendars: u32,
    /// Virtual time that was soaked.
    pub lasted: Duration,
    /// Changes people made in their calendars.
    pub edits: u64,
    /// Single occurrences of series among them.
    pub exceptions: u64,
    /// Events of ours that people moved or deleted.
    pub touches: u64,
    /// Bookings that were made.
    pub bookings: u64,
    /// Requests of callers that were acknowledged.
    pub acknowledged: u64,
    /// Requests of callers that were sent again, because nobody knew.
    pub repeated: u64,
    /// Questions that nobody could answer at that time.
    pub unanswered: u64,
    /// Notifications that were lost, repeated or late.
    pub bells_struck: u64,
    /// Requests the fake of Google refused because there had been too many.
    pub refused: u64,
    /// What went wrong.
    pub tally: Tally,
    /// Requests to providers.
    pub requests: Requests,
    /// Times every calendar was looked at.
    pub looks: u64,
    /// Looks at which a calendar's facts were compared with what there was.
    pub compared: u64,
    /// Looks at which a calendar was unknown, and said so.
    pub unknown: u64,
    /// The oldest facts of a calendar that were seen, while it was watched.
    pub oldest_watched: Duration,
    /// The same of one that was asked at intervals.
    pub oldest_polled: Duration,
    /// Quiet points.
    pub quiet_points: u32,
    /// The longest time from the last change until everything was known.
    pub longest_calm: Duration,
}

impl Figures {
    /// Requests about a calendar in a day.
    pub fn calls_per_day(&self) -> f64 {
        self.requests.total as f64 / self.calendar_days()
    }

    /// Access tokens that were asked for in a day, for a connection with one calendar.
    pub fn tokens_per_day(&self) -> f64 {
        self.requests.tokens as f64 / self.calendar_days()
    }

    /// The same of the calendar that cost most.
    pub fn calls_per_day_most(&self) -> f64 {
        self.requests.most as f64 / self.days()
    }

    fn days(&self) -> f64 {
        (self.lasted.as_secs_f64() / DAY_SECONDS).max(f64::MIN_POSITIVE)
    }

    fn calendar_days(&self) -> f64 {
        self.days() * f64::from(self.calendars.max(1))
    }

    /// Requests by kind, a line for each.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let per_day = |count: u64| count as f64 / self.calendar_days() * 2.0;
        self.requests.by_kind.iter().map(move |((provider, kind), count)| {
            format!("{provider:<9} {kind:<52} {count:>9} {:>7.2} per calendar and day", per_day(*count))
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "edits={} exceptions={} touches={} ", self.edits, self.exceptions, self.touches)?;
        write!(f, "bookings={} ", self.bookings)?;
        write!(f, "acknowledged={} repeated={} ", self.acknowledged, self.repeated)?;
        write!(f, "unanswered={} bells_struck={} refused={} ", self.unanswered, self.bells_struck, self.refused)?;
        write!(f, "{} looks={} compared={} unknown={} ", self.tally, self.looks, self.compared, self.unknown)?;
        write!(f, "oldest_watched_min={} ", self.oldest_watched.as_secs() / 60)?;
        write!(f, "oldest_polled_min={} ", self.oldest_polled.as_secs() / 60)?;
        write!(f, "quiet_points={} longest_calm_min={} ", self.quiet_points, self.longest_calm.as_secs() / 60)?;
        write!(f, "calls={} tokens={} ", self.requests.total, self.requests.tokens)?;
        write!(f, "calls_per_calendar_day={:.1} most={:.1} ", self.calls_per_day(), self.calls_per_day_most())?;
        write!(f, "tokens_per_calendar_day={:.1} ", self.tokens_per_day())?;
        write!(f, "polling={CALLS_POLLING}")
    }
}
