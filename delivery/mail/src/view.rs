//! A notice as templates see it.

use serde::Serialize;
use url::Url;

use crate::color::Color;
use crate::notice::{HOSTS_MAX, Notice, NoticeEvent, ReaderRole};
use crate::text::{NAME_CHARS_MAX, PROSE_CHARS_MAX, TITLE_CHARS_MAX, line, lines};
use crate::words::{Labels, When, when};

/// The variables of a template. What is not there is an empty text, an empty list or none, so that `if` works on all.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct View {
    kind: &'static str,
    language: &'static str,
    role: &'static str,
    /// What the default subject begins with.
    lead: &'static str,
    heading: &'static str,
    greeting: String,
    intro: String,
    title: String,
    when: When,
    previous: Option<When>,
    location: String,
    /// The location, where it is a web address.
    location_url: String,
    reason: String,
    reader: String,
    attendee: String,
    attendee_email: String,
    hosts: Vec<String>,
    /// Whom the reader meets.
    with: Vec<String>,
    organization: String,
    logo_url: String,
    colors: Colors,
    links: LinkTexts,
    words: Labels,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Colors {
    accent: String,
    on_accent: String,
    /// The accent as text on white, and on the dark ground.
    link: String,
    link_dark: String,
}

#[derive(Clone, Debug, Serialize)]
struct LinkTexts {
    manage: String,
    reschedule: String,
    cancel: String,
}

impl View {
    pub(crate) fn of(notice: &Notice) -> Self {
        let words = notice.reader.language.words();
        let (kind, role) = (notice.event.kind(), notice.reader.role);
        let title = line(&notice.title, TITLE_CHARS_MAX);
        let with = counterparts(notice);
        let reader = line(&notice.reader.contact.name, NAME_CHARS_MAX);
        let location = notice.location.as_deref().map(|text| lines(text, PROSE_CHARS_MAX)).unwrap_or_default();
        Self {
            kind: kind.name(),
            language: notice.reader.language.tag(),
            role: if role == ReaderRole::Host { "host" } else { "attendee" },
            lead: words.lead(kind),
            heading: words.heading(kind, role),
            greeting: words.greeting(&reader),
            intro: words.intro(kind, role, &title, &introduced(notice, &with)),
            when: when(notice.range, notice.reader.timezone, words),
            previous: previous(notice),
            location_url: web_address(&location),
            location,
            reason: reason(notice),
            attendee: line(&notice.attendee.name, NAME_CHARS_MAX),
            attendee_email: attendee_email(notice),
            hosts: host_names(notice),
            with,
            organization: line(&notice.branding.organization, NAME_CHARS_MAX),
            logo_url: notice
                .branding
                .logo_url
                .as_ref()
                .filter(|url| url.scheme() == "https")
                .map_or(String::new(), text),
            colors: colors(notice.branding.accent.unwrap_or(Color::DEFAULT)),
            links: links(notice),
            words: words.labels(),
            reader,
            title,
        }
    }
}

/// What a calendar shows below the title: plain, in the reader's language, with the reader's link.
pub(crate) fn description(notice: &Notice) -> String {
    let view = View::of(notice);
    let mut text = view.intro.clone();
    if !view.reason.is_empty() {
        text.push_str(&format!("\n\n{}: {}", view.words.reason, view.reason));
    }
    if !view.links.manage.is_empty() {
        text.push_str(&format!("\n\n{}: {}", view.words.manage, view.links.manage));
    }
    text
}

/// Whom the reader meets: an attendee the hosts, a host the attendee and the other hosts.
fn counterparts(notice: &Notice) -> Vec<String> {
    match notice.reader.role {
        ReaderRole::Attendee => host_names(notice),
        ReaderRole::Host => {
            let is_reader = |address: &Option<_>| address.as_ref() == Some(&notice.reader.contact.address);
            let others = notice.hosts.iter().take(HOSTS_MAX).filter(|host| !is_reader(&host.address));
            let names = std::iter::once(&notice.attendee.name).chain(others.map(|host| &host.name));
            names.map(|name| line(name, NAME_CHARS_MAX)).filter(|name| !name.is_empty()).collect()
        }
    }
}

/// Whom the first sentence names: to a host who booked, not who else hosts.
fn introduced(notice: &Notice, with: &[String]) -> Vec<String> {
    match notice.reader.role {
        ReaderRole::Attendee => with.to_vec(),
        ReaderRole::Host => vec![line(&notice.attendee.name, NAME_CHARS_MAX)],
    }
}

fn host_names(notice: &Notice) -> Vec<String> {
    let names = notice.hosts.iter().take(HOSTS_MAX).map(|host| line(&host.name, NAME_CHARS_MAX));
    let names: Vec<String> = names.filter(|name| !name.is_empty()).collect();
    if names.is_empty() { vec![line(&notice.organizer.name, NAME_CHARS_MAX)] } else { names }
}

fn previous(notice: &Notice) -> Option<When> {
    let NoticeEvent::Reschedule { previous } = notice.event else { return None };
    Some(when(previous, notice.reader.timezone, notice.reader.language.words()))
}

fn reason(notice: &Notice) -> String {
    match &notice.event {
        NoticeEvent::Cancellation { reason: Some(reason) } => lines(reason, PROSE_CHARS_MAX),
        _ => String::new(),
    }
}

/// Only hosts are told how to reach the attendee.
fn attendee_email(notice: &Notice) -> String {
    match (notice.reader.role, &notice.attendee.address) {
        (ReaderRole::Host, Some(address)) => address.to_string(),
        _ => String::new(),
    }
}

fn web_address(location: &str) -> String {
    let url = Url::parse(location).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.map(String::from).unwrap_or_default()
}

pub(crate) fn colors(accent: Color) -> Colors {
    Colors {
        accent: accent.to_string(),
        on_accent: accent.ink().to_string(),
        link: accent.readable_on(Color::WHITE).to_string(),
        link_dark: accent.readable_on(Color::NIGHT).to_string(),
    }
}

/// Links that lead to web pages. What was cancelled can be seen, and nothing else.
fn links(notice: &Notice) -> LinkTexts {
    let is_cancelled = matches!(notice.event, NoticeEvent::Cancellation { .. });
    let shown = |url: &Option<Url>| {
        let url = url.as_ref().filter(|url| matches!(url.scheme(), "http" | "https"));
        url.map_or(String::new(), text)
    };
    let changing = |url: &Option<Url>| if is_cancelled { String::new() } else { shown(url) };
    LinkTexts {
        manage: shown(&notice.links.manage),
        reschedule: changing(&notice.links.reschedule),
        cancel: changing(&notice.links.cancel),
    }
}

fn text(url: &Url) -> String {
    url.to_string()
}
