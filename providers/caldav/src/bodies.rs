//! What is sent: WebDAV and CalDAV request bodies.

use agentcal_engine::time::{DAY_US, TimeRange, Timestamp};

use crate::xml::escape;

/// How much wider than the window the server is asked: it may see floating and all-day events in another zone.
const MARGIN_US: i64 = 2 * DAY_US;

const NAMESPACES: &str =
    r#"xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:S="http://calendarserver.org/ns/""#;

fn propfind(properties: &str) -> String {
    format!("<D:propfind {NAMESPACES}><D:prop>{properties}</D:prop></D:propfind>")
}

/// Who is asking, and whether the address is a calendar already.
pub(crate) fn propfind_context() -> String {
    propfind("<D:current-user-principal/><D:resourcetype/>")
}

/// Where a principal's calendars are, and who it is.
pub(crate) fn propfind_principal() -> String {
    propfind("<C:calendar-home-set/><C:calendar-user-address-set/><D:displayname/>")
}

/// What is needed to show a calendar.
pub(crate) fn propfind_calendars() -> String {
    propfind(
        "<D:resourcetype/><D:displayname/><D:current-user-privilege-set/><C:supported-calendar-component-set/>\
         <C:calendar-timezone/><C:calendar-timezone-id/>",
    )
}

/// Where a collection's history stands.
pub(crate) fn propfind_state() -> String {
    propfind("<D:sync-token/><S:getctag/><D:supported-report-set/>")
}

/// The version of each resource, for servers that keep no history.
pub(crate) fn propfind_etags() -> String {
    propfind("<D:getetag/>")
}

/// What changed since a token (RFC 6578).
pub(crate) fn sync_collection(token: &str) -> String {
    format!(
        "<D:sync-collection {NAMESPACES}><D:sync-token>{}</D:sync-token><D:sync-level>1</D:sync-level>\
         <D:prop><D:getetag/></D:prop></D:sync-collection>",
        escape(token)
    )
}

/// Which resources hold an event in the window.
pub(crate) fn query_window(window: &TimeRange) -> String {
    let range = attributes(window);
    format!(
        "<C:calendar-query {NAMESPACES}><D:prop><D:getetag/></D:prop><C:filter><C:comp-filter name=\"VCALENDAR\">\
         <C:comp-filter name=\"VEVENT\"><C:time-range {range}/></C:comp-filter></C:comp-filter></C:filter>\
         </C:calendar-query>"
    )
}

/// Which resource holds the event with a UID.
pub(crate) fn query_uid(uid: &str) -> String {
    format!(
        "<C:calendar-query {NAMESPACES}><D:prop><D:getetag/></D:prop><C:filter><C:comp-filter name=\"VCALENDAR\">\
         <C:comp-filter name=\"VEVENT\"><C:prop-filter name=\"UID\"><C:text-match collation=\"i;octet\">{}\
         </C:text-match></C:prop-filter></C:comp-filter></C:comp-filter></C:filter></C:calendar-query>",
        escape(uid)
    )
}

/// The text of resources, their recurrences expanded in the window where one is given.
pub(crate) fn multiget(hrefs: &[String], expand: Option<&TimeRange>) -> String {
    let data = match expand {
        Some(window) => format!("<C:calendar-data><C:expand {}/></C:calendar-data>", attributes(window)),
        None => "<C:calendar-data/>".to_owned(),
    };
    let hrefs: String = hrefs.iter().map(|href| format!("<D:href>{}</D:href>", escape(href))).collect();
    format!("<C:calendar-multiget {NAMESPACES}><D:prop><D:getetag/>{data}</D:prop>{hrefs}</C:calendar-multiget>")
}

fn attributes(window: &TimeRange) -> String {
    let text = |instant: Timestamp| instant.clamped().to_utc().format("%Y%m%dT%H%M%SZ").to_string();
    let (start, end) = (window.start.plus_micros(-MARGIN_US), window.end.plus_micros(MARGIN_US));
    format!(r#"start="{}" end="{}""#, text(start), text(end))
}
