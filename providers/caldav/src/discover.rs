//! From a server URL or a mail address to calendars (RFC 6764, RFC 4791).

use agentcal_engine::icalendar::timezone_of;
use agentcal_engine::ports::{Credentials, Discovery, ProviderError, RemoteCalendar};
use agentcal_provider_egress::{EgressClient, ServiceTarget};
use chrono_tz::Tz;
use url::Url;

use crate::bodies;
use crate::error::from_egress;
use crate::href::resolve;
use crate::session::{Depth, Session};
use crate::xml::{CALDAV, CALENDAR_SERVER, DAV, Multistatus, Response};

/// Most home collections of one principal that are listed.
const HOMES_MAX: usize = 8;
/// Most calendars of one connection.
const CALENDARS_MAX: usize = 500;
/// Longest name of a calendar that is kept, in characters.
const NAME_CHARS_MAX: usize = 200;
/// Where a server says where CalDAV begins (RFC 6764, 5).
const WELL_KNOWN: &str = "/.well-known/caldav";

pub(crate) async fn discover(client: &EgressClient, credentials: &Credentials) -> Result<Discovery, ProviderError> {
    let (server, username) = match credentials {
        Credentials::CaldavBasic { server_url, username, .. } => (server_url, Some(username.as_str())),
        Credentials::CaldavBearer { server_url, .. } => (server_url, None),
        Credentials::Sandbox { .. } | Credentials::Oauth(_) => {
            return Err(ProviderError::Refused("these are no CalDAV credentials".to_owned()));
        }
    };
    let (session, context) = find_context(client, credentials, server.trim()).await?;
    let principal = match &context {
        Context::Principal(url) => Some(read_principal(&session, url).await?),
        Context::Calendar => None,
    };
    let homes = principal.as_ref().map_or_else(|| vec![session.base.clone()], |principal| principal.homes.clone());
    let mut calendars = Vec::new();
    for home in homes {
        calendars.extend(list_calendars(&session, &home).await?);
    }
    calendars.truncate(CALENDARS_MAX);
    let addresses = principal.as_ref().map(|principal| principal.addresses.clone()).unwrap_or_default();
    let display_name = username.map(str::to_owned).or_else(|| principal.and_then(|principal| principal.name));
    Ok(Discovery {
        display_name: display_name.unwrap_or_else(|| session.base.host_str().unwrap_or_default().to_owned()),
        owner_addresses: owner_addresses(addresses, username),
        calendars,
    })
}

/// What an address turned out to be.
enum Context {
    /// The principal is there.
    Principal(Url),
    /// No principal is named, and it is a calendar itself.
    Calendar,
}

/// Tries the candidates in turn. A refusal of the credentials is final, since they would be sent elsewhere otherwise.
async fn find_context(
    client: &EgressClient,
    credentials: &Credentials,
    server: &str,
) -> Result<(Session, Context), ProviderError> {
    let mut first_error = None;
    for candidate in candidates(client, server).await? {
        let session = Session::new(client.clone(), credentials, candidate.clone())?;
        match ask_context(session).await {
            Ok(found) => return Ok(found),
            Err(error @ (ProviderError::Unauthorized(_) | ProviderError::AddressNotAllowed(_))) => return Err(error),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    Err(match first_error {
        Some(ProviderError::CalendarGone) | None => {
            ProviderError::Refused("no CalDAV server was found at this address".to_owned())
        }
        Some(error) => error,
    })
}

async fn ask_context(session: Session) -> Result<(Session, Context), ProviderError> {
    let (url, answer) = session.propfind(&session.base, Depth::Resource, bodies::propfind_context()).await?;
    let session = session.at(url);
    let response = answer.responses.first().ok_or_else(|| nothing_said("about the address"))?;
    let principal = response.property(DAV, "current-user-principal");
    if let Some(href) = principal.and_then(|principal| principal.hrefs().first().map(|href| (*href).to_owned())) {
        let url = resolve(&session.base, &href)?;
        return Ok((session, Context::Principal(url)));
    }
    if principal.is_some_and(|principal| principal.child(DAV, "unauthenticated").is_some()) {
        return Err(ProviderError::Unauthorized("the server takes the credentials for nobody".to_owned()));
    }
    if is_calendar(response) {
        return Ok((session, Context::Calendar));
    }
    Err(nothing_said("about who is asking"))
}

fn nothing_said(about: &str) -> ProviderError {
    ProviderError::Refused(format!("the server says nothing {about}; is this the address of a CalDAV server?"))
}

/// Where to begin: the URL itself, then the well-known path of its host; for a mail address or a domain what DNS says.
async fn candidates(client: &EgressClient, server: &str) -> Result<Vec<Url>, ProviderError> {
    if server.contains("://") {
        let url = parse(server)?;
        let well_known = url.join(WELL_KNOWN).ok().filter(|well_known| *well_known != url);
        return Ok([url].into_iter().chain(well_known).collect());
    }
    let domain = server.rsplit_once('@').map_or(server, |(_, domain)| domain).trim_end_matches('.');
    if domain.is_empty() || domain.contains(['/', ' ', ':']) {
        return Err(ProviderError::Refused("give an https:// URL, a mail address or a domain".to_owned()));
    }
    for (scheme, service) in [("https", "_caldavs._tcp"), ("http", "_caldav._tcp")] {
        let name = format!("{service}.{domain}");
        let targets = client.dns().services(&name).await.map_err(from_egress)?;
        if !targets.is_empty() {
            let path = announced_path(client, &name).await?;
            return targets.iter().map(|target| announced(domain, scheme, target, &path)).collect();
        }
    }
    Ok(vec![parse(&format!("https://{domain}{WELL_KNOWN}"))?, parse(&format!("https://{domain}/"))?])
}

async fn announced_path(client: &EgressClient, name: &str) -> Result<String, ProviderError> {
    let texts = client.dns().texts(name).await.map_err(from_egress)?;
    let path = texts.iter().find_map(|text| text.strip_prefix("path=")).filter(|path| path.starts_with('/'));
    Ok(path.unwrap_or(WELL_KNOWN).to_owned())
}

/// An announced host outside the domain has to be confirmed by whoever owns the credentials (RFC 6764, 8): DNS alone
/// could send them anywhere.
fn announced(domain: &str, scheme: &str, target: &ServiceTarget, path: &str) -> Result<Url, ProviderError> {
    let url = parse(&format!("{scheme}://{}:{}{path}", target.host, target.port))?;
    let host = target.host.to_ascii_lowercase();
    let inside = host == domain.to_ascii_lowercase() || host.ends_with(&format!(".{}", domain.to_ascii_lowercase()));
    if inside {
        return Ok(url);
    }
    let origin = url.origin().ascii_serialization();
    Err(ProviderError::Refused(format!("the domain announces {origin}; give that address to confirm it")))
}

fn parse(url: &str) -> Result<Url, ProviderError> {
    Url::parse(url).map_err(|error| ProviderError::Refused(format!("the address cannot be read: {error}")))
}

struct Principal {
    name: Option<String>,
    homes: Vec<Url>,
    addresses: Vec<String>,
}

async fn read_principal(session: &Session, url: &Url) -> Result<Principal, ProviderError> {
    let (url, answer) = session.propfind(url, Depth::Resource, bodies::propfind_principal()).await?;
    let response = answer.responses.first().ok_or_else(|| nothing_said("about the user"))?;
    let hrefs = |name| response.property(CALDAV, name).map(|set| set.hrefs()).unwrap_or_default();
    let homes = hrefs("calendar-home-set").into_iter().take(HOMES_MAX).map(|href| resolve(&url, href));
    let homes = homes.collect::<Result<Vec<_>, _>>()?;
    if homes.is_empty() {
        return Err(nothing_said("about where the user's calendars are"));
    }
    let addresses = hrefs("calendar-user-address-set").into_iter().map(str::to_owned).collect();
    Ok(Principal { name: response.text(DAV, "displayname").map(str::to_owned), homes, addresses })
}

async fn list_calendars(session: &Session, home: &Url) -> Result<Vec<RemoteCalendar>, ProviderError> {
    let (home, answer) = session.propfind(home, Depth::Members, bodies::propfind_calendars()).await?;
    let Multistatus { responses, .. } = answer;
    responses.iter().filter(|response| is_calendar(response)).map(|response| remote(&home, response)).collect()
}

/// A collection of events; inboxes, task lists and subscriptions are not.
fn is_calendar(response: &Response) -> bool {
    let Some(kinds) = response.property(DAV, "resourcetype") else { return false };
    let other = [(CALDAV, "schedule-inbox"), (CALDAV, "schedule-outbox"), (CALENDAR_SERVER, "subscribed")];
    let components = response.property(CALDAV, "supported-calendar-component-set");
    let holds_events = components.is_none_or(|set| {
        let named = |name: &str| name.eq_ignore_ascii_case("VEVENT");
        set.children.is_empty() || set.children.iter().any(|comp| comp.attributes.get("name").is_some_and(|n| named(n)))
    });
    kinds.child(CALDAV, "calendar").is_some()
        && !other.iter().any(|&(namespace, name)| kinds.child(namespace, name).is_some())
        && holds_events
}

fn remote(home: &Url, response: &Response) -> Result<RemoteCalendar, ProviderError> {
    let mut url = resolve(home, &response.href)?;
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    let last_segment = url.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    let name = response.text(DAV, "displayname").map_or(last_segment, str::to_owned);
    Ok(RemoteCalendar {
        provider_calendar_id: url.to_string(),
        name: name.chars().filter(|character| !character.is_control()).take(NAME_CHARS_MAX).collect(),
        timezone: zone_of(response),
        writable: is_writable(response),
    })
}

fn zone_of(response: &Response) -> Option<Tz> {
    let by_id = response.text(CALDAV, "calendar-timezone-id").and_then(|id| id.parse().ok());
    by_id.or_else(|| response.text(CALDAV, "calendar-timezone").and_then(timezone_of))
}

/// A server that names no privileges has none to name; the first write will tell.
fn is_writable(response: &Response) -> bool {
    let writing = ["all", "write", "write-content", "bind"];
    response.property(DAV, "current-user-privilege-set").is_none_or(|set| {
        let granted = set.children.iter().flat_map(|privilege| &privilege.children);
        granted.filter(|privilege| privilege.namespace == DAV).any(|privilege| writing.contains(&&*privilege.name))
    })
}

/// The `mailto:` addresses of the principal, else the user name where it is an address.
fn owner_addresses(hrefs: Vec<String>, username: Option<&str>) -> Vec<String> {
    let mailto = |href: &String| {
        let (scheme, address) = href.split_once(':')?;
        scheme.eq_ignore_ascii_case("mailto").then(|| address.trim().to_lowercase())
    };
    let mut addresses: Vec<String> = hrefs.iter().filter_map(mailto).collect();
    if addresses.is_empty() {
        addresses.extend(username.filter(|name| name.contains('@')).map(str::to_lowercase));
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}
