//! What is asked for, and what must have been granted.

/// A scope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    /// As it is asked for.
    pub(crate) name: &'static str,
    /// Whether nothing works without it.
    pub(crate) is_needed: bool,
}

const fn needed(name: &'static str) -> Scope {
    Scope { name, is_needed: true }
}

const fn wanted(name: &'static str) -> Scope {
    Scope { name, is_needed: false }
}

/// Reading and writing events, listing calendars, and a name of the person that stays.
pub(crate) const GOOGLE: &[Scope] = &[
    wanted("openid"),
    needed("https://www.googleapis.com/auth/calendar.events"),
    needed("https://www.googleapis.com/auth/calendar.calendarlist.readonly"),
];

/// The same; and `offline_access`, which is a scope here.
pub(crate) const MICROSOFT: &[Scope] =
    &[wanted("openid"), wanted("offline_access"), needed("User.Read"), needed("Calendars.ReadWrite")];

/// What says that somebody has to consent anew now and then, where it was not granted.
pub(crate) const OFFLINE: &str = "offline_access";

/// Needed scopes that were not granted, by the last part of their names. A server that does not say what it granted has
/// granted what was asked (RFC 6749, section 5.1).
pub(crate) fn missing<'a>(scopes: &[Scope], granted: Option<impl Iterator<Item = &'a str>>) -> Vec<&'static str> {
    let Some(granted) = granted else { return Vec::new() };
    let granted: Vec<String> = granted.map(|name| last_part(name).to_ascii_lowercase()).collect();
    let needed = scopes.iter().filter(|scope| scope.is_needed).map(|scope| last_part(scope.name));
    needed.filter(|name| !granted.contains(&name.to_ascii_lowercase())).collect()
}

/// Microsoft asks for `User.Read` and grants `https://graph.microsoft.com/User.Read`.
fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_granted_is_named() {
        let check = |scopes: &[Scope], granted: Option<&str>, expected: &[&str]| {
            let found = missing(scopes, granted.map(|text| text.split(' ')));
            assert_eq!(found, expected, "{granted:?}");
        };
        let events = "https://www.googleapis.com/auth/calendar.events";
        let list = "https://www.googleapis.com/auth/calendar.calendarlist.readonly";
        check(GOOGLE, Some(&format!("openid {list} {events}")), &[]);
        check(GOOGLE, Some(&format!("openid {list}")), &["calendar.events"]);
        check(GOOGLE, Some(""), &["calendar.events", "calendar.calendarlist.readonly"]);
        check(GOOGLE, None, &[]);
        let graph = "https://graph.microsoft.com/Calendars.ReadWrite https://graph.microsoft.com/user.read profile";
        check(MICROSOFT, Some(graph), &[]);
        check(MICROSOFT, Some("User.Read Calendars.Read"), &["Calendars.ReadWrite"]);
    }
}
