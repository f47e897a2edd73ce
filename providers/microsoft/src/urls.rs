//! Where requests go.

use agentcal_engine::ports::ProviderError;
use agentcal_engine::time::{TimeRange, Timestamp};
use url::Url;

/// What may be in an id besides letters and digits. Ids are put into paths as they are.
const ID_MARKS: &str = "-_=.+!";
/// Longest id.
pub(crate) const ID_LEN_MAX: usize = 1_024;

/// What is wanted of an event.
pub(crate) const EVENT_FIELDS: &str =
    "id,type,seriesMasterId,start,end,isAllDay,isCancelled,showAs,responseStatus,transactionId";

/// URLs of one Graph.
pub(crate) struct Urls {
    base: Url,
}

impl Urls {
    /// `None` for a base that nothing can be appended to.
    pub(crate) fn at(base: &Url) -> Option<Self> {
        let usable = base.has_host() && !base.cannot_be_a_base() && base.query().is_none() && base.fragment().is_none();
        usable.then(|| Self { base: base.clone() })
    }

    pub(crate) fn me(&self) -> Result<Url, ProviderError> {
        let url = self.place(&["me"])?;
        Ok(with(url, &[("$select", "displayName,mail,userPrincipalName")]))
    }

    pub(crate) fn mailbox_settings(&self) -> Result<Url, ProviderError> {
        let url = self.place(&["me", "mailboxSettings"])?;
        Ok(with(url, &[("$select", "timeZone")]))
    }

    pub(crate) fn calendars(&self) -> Result<Url, ProviderError> {
        let url = self.place(&["me", "calendars"])?;
        Ok(with(url, &[("$select", "id,name,canEdit"), ("$top", "100")]))
    }

    /// The beginning of a round: everything in the window.
    pub(crate) fn delta(&self, calendar: &str, window: &TimeRange) -> Result<Url, ProviderError> {
        let url = self.place(&["me", "calendars", usable(calendar)?, "calendarView", "delta"])?;
        Ok(with(url, &[("startDateTime", &instant(window.start)), ("endDateTime", &instant(window.end))]))
    }

    /// What a calendar shows in a window, series expanded.
    pub(crate) fn view(&self, calendar: &str, window: &TimeRange) -> Result<Url, ProviderError> {
        let url = self.place(&["me", "calendars", usable(calendar)?, "calendarView"])?;
        let (start, end) = (instant(window.start), instant(window.end));
        Ok(with(url, &[("startDateTime", &start), ("endDateTime", &end), ("$select", EVENT_FIELDS), ("$top", "250")]))
    }

    pub(crate) fn events(&self, calendar: &str) -> Result<Url, ProviderError> {
        self.place(&["me", "calendars", usable(calendar)?, "events"])
    }

    /// Events that carry a value in a property of ours.
    pub(crate) fn events_with(&self, calendar: &str, property: &str, value: &str) -> Result<Url, ProviderError> {
        let has = format!("singleValueExtendedProperties/any(ep: ep/id eq '{property}' and ep/value eq '{value}')");
        Ok(with(self.events(calendar)?, &[("$filter", &has), ("$select", EVENT_FIELDS), ("$top", "10")]))
    }

    pub(crate) fn event(&self, calendar: &str, event: &str) -> Result<Url, ProviderError> {
        self.place(&["me", "calendars", usable(calendar)?, "events", usable(event)?])
    }

    pub(crate) fn event_read(&self, calendar: &str, event: &str) -> Result<Url, ProviderError> {
        Ok(with(self.event(calendar, event)?, &[("$select", EVENT_FIELDS)]))
    }

    /// The online meeting of an event.
    pub(crate) fn event_meeting(&self, calendar: &str, event: &str) -> Result<Url, ProviderError> {
        Ok(with(self.event(calendar, event)?, &[("$select", "isOnlineMeeting,onlineMeeting")]))
    }

    /// The instances of a series.
    pub(crate) fn instances(&self, calendar: &str, series: &str, window: &TimeRange) -> Result<Url, ProviderError> {
        let url = self.place(&["me", "calendars", usable(calendar)?, "events", usable(series)?, "instances"])?;
        let (start, end) = (instant(window.start), instant(window.end));
        Ok(with(url, &[("startDateTime", &start), ("endDateTime", &end), ("$select", EVENT_FIELDS), ("$top", "500")]))
    }

    pub(crate) fn subscriptions(&self) -> Result<Url, ProviderError> {
        self.place(&["subscriptions"])
    }

    pub(crate) fn subscription(&self, id: &str) -> Result<Url, ProviderError> {
        self.place(&["subscriptions", usable(id)?])
    }

    pub(crate) fn batch(&self) -> Result<Url, ProviderError> {
        self.place(&["$batch"])
    }

    /// The way a request is named inside a batch: what follows the version.
    pub(crate) fn in_batch(&self, url: &Url) -> String {
        let path = url.path().strip_prefix(self.base.path().trim_end_matches('/')).unwrap_or(url.path());
        url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
    }

    /// A link Graph gave, if it leads to Graph: the token goes there.
    pub(crate) fn followed(&self, link: &str) -> Result<Url, ProviderError> {
        let url = Url::parse(link)
            .map_err(|error| ProviderError::Refused(format!("a link to the next page cannot be read: {error}")))?;
        if url.origin() != self.base.origin() || !url.path().starts_with(self.base.path()) {
            return Err(ProviderError::Refused("a link to the next page leads elsewhere".to_owned()));
        }
        Ok(url)
    }

    fn place(&self, path: &[&str]) -> Result<Url, ProviderError> {
        let below = format!("{}/{}", self.base.as_str().trim_end_matches('/'), path.join("/"));
        Url::parse(&below).map_err(|error| ProviderError::Refused(format!("a URL cannot be built: {error}")))
    }
}

/// Whether an id means itself in a path.
pub(crate) fn is_usable(id: &str) -> bool {
    usable(id).is_ok()
}

/// An id that means itself in a path.
fn usable(id: &str) -> Result<&str, ProviderError> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || ID_MARKS.contains(character);
    let plain = (1..=ID_LEN_MAX).contains(&id.len()) && id.chars().all(is_plain) && !id.starts_with('.');
    plain.then_some(id).ok_or_else(|| ProviderError::Refused("an id holds what no id of Graph's holds".to_owned()))
}

fn with(mut url: Url, parameters: &[(&str, &str)]) -> Url {
    url.query_pairs_mut().extend_pairs(parameters);
    url
}

pub(crate) fn instant(at: Timestamp) -> String {
    at.clamped().to_utc().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "http://127.0.0.1:8090/v1.0";

    fn urls() -> Urls {
        Urls::at(&Url::parse(BASE).expect("a literal url")).expect("a base")
    }

    #[test]
    fn requests_go_where_graph_is() {
        let (urls, window) =
            (urls(), TimeRange::new(Timestamp::EARLIEST, Timestamp::from_seconds(60)).expect("a range"));
        let check = |url: Result<Url, ProviderError>, expected: &str| {
            assert_eq!(url.map(|url| url.to_string()), Ok(format!("{BASE}{expected}")));
        };
        check(urls.me(), "/me?%24select=displayName%2Cmail%2CuserPrincipalName");
        check(urls.mailbox_settings(), "/me/mailboxSettings?%24select=timeZone");
        check(urls.calendars(), "/me/calendars?%24select=id%2Cname%2CcanEdit&%24top=100");
        check(
            urls.delta("AAk-_=", &window),
            "/me/calendars/AAk-_=/calendarView/delta?startDateTime=1970-01-01T00%3A00%3A00.000Z&\
             endDateTime=1970-01-01T00%3A01%3A00.000Z",
        );
        check(urls.events("c"), "/me/calendars/c/events");
        check(urls.event("c", "e=="), "/me/calendars/c/events/e==");
        check(urls.subscriptions(), "/subscriptions");
        check(urls.subscription("7-a"), "/subscriptions/7-a");
        check(urls.batch(), "/$batch");
        let instances = urls.instances("c", "e", &window).expect("a url");
        assert!(urls.in_batch(&instances).starts_with("/me/calendars/c/events/e/instances?startDateTime=1970"));
    }

    #[test]
    fn ids_cannot_leave_their_place() {
        for id in ["", "a/b", "..", "a?b", "a#b", "a%2fb", "a b", "{{id}}", "<a>", &"a".repeat(1_025)] {
            assert!(urls().event("c", id).is_err(), "{id}");
            assert!(urls().events(id).is_err(), "{id}");
        }
    }

    #[test]
    fn links_that_lead_elsewhere_are_not_followed() {
        let check = |link: &str, followed: bool| assert_eq!(urls().followed(link).is_ok(), followed, "{link}");
        check("http://127.0.0.1:8090/v1.0/me/calendarView/delta?$skiptoken=a", true);
        check("http://127.0.0.1:8091/v1.0/me/calendarView/delta?$skiptoken=a", false);
        check("https://127.0.0.1:8090/v1.0/me", false);
        check("http://127.0.0.1:8090/elsewhere", false);
        check("http://evil.example/v1.0/me", false);
        check("not a link", false);
    }
}
