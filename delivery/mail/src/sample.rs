//! Notices that never happened, for previews and for trying templates.

use agentcal_engine::time::{HOUR_US, TimeRange, Timestamp};
use chrono_tz::Tz;
use url::Url;

use crate::address::Address;
use crate::notice::{Branding, Contact, Links, Notice, NoticeEvent, NoticeKind, Participant, Reader, ReaderRole};
use crate::view::View;
use crate::words::Language;

/// 2027-03-16 14:00 UTC, a Tuesday.
const START: Timestamp = Timestamp::from_seconds(1_805_205_600);

/// A notice of a kind with everything that can be in one, as it is shown in a preview.
pub fn sample_notice(kind: NoticeKind, language: Language, role: ReaderRole, branding: Branding) -> Notice {
    let (guest, host) = (contact("Ada Lovelace", "ada"), contact("Grace Hopper", "grace"));
    let reader = if role == ReaderRole::Attendee { guest.clone() } else { host.clone() };
    let second = contact("Alan Turing", "alan");
    Notice {
        event: sample_event(kind, language),
        uid: "sample@agentcal".to_owned(),
        sequence: 1,
        range: TimeRange { start: START, end: START.plus_micros(HOUR_US / 2) },
        title: match language {
            Language::English => "Introductory call".to_owned(),
            Language::German => "Kennenlerngespräch".to_owned(),
        },
        location: Some("https://meet.example.com/ada-and-grace".to_owned()),
        organizer: host.clone(),
        hosts: vec![participant(&host), participant(&second)],
        attendee: participant(&guest),
        reader: Reader { role, contact: reader, timezone: Tz::Europe__Berlin, language },
        links: sample_links(),
        branding,
        at: START.plus_micros(-48 * HOUR_US),
    }
}

/// Samples of a kind as templates see them: with everything, and with nothing that can be missing.
pub(crate) fn views(kind: NoticeKind) -> impl Iterator<Item = View> {
    let roles = [ReaderRole::Attendee, ReaderRole::Host];
    let readers = Language::ALL.into_iter().flat_map(move |language| roles.map(|role| (language, role)));
    readers.flat_map(move |(language, role)| {
        let branding = Branding {
            organization: "Example Ltd".to_owned(),
            logo_url: Some(Url::parse("https://example.com/logo.png").expect("a URL")),
            accent: None,
        };
        let full = sample_notice(kind, language, role, branding);
        let bare = bare(full.clone());
        [View::of(&full), View::of(&bare)]
    })
}

fn bare(mut notice: Notice) -> Notice {
    notice.location = None;
    notice.hosts.clear();
    notice.attendee.address = None;
    notice.links = Links::default();
    notice.branding.logo_url = None;
    if let NoticeEvent::Cancellation { reason } = &mut notice.event {
        *reason = None;
    }
    notice
}

fn sample_event(kind: NoticeKind, language: Language) -> NoticeEvent {
    match kind {
        NoticeKind::Confirmation => NoticeEvent::Confirmation,
        NoticeKind::Reschedule => {
            let start = START.plus_micros(-3 * HOUR_US);
            NoticeEvent::Reschedule { previous: TimeRange { start, end: start.plus_micros(HOUR_US / 2) } }
        }
        NoticeKind::Cancellation => NoticeEvent::Cancellation { reason: Some(sample_reason(language).to_owned()) },
        NoticeKind::Reminder => NoticeEvent::Reminder { minutes_before: 60 },
    }
}

fn sample_reason(language: Language) -> &'static str {
    match language {
        Language::English => "I am on a train that day.",
        Language::German => "Ich sitze an dem Tag im Zug.",
    }
}

fn sample_links() -> Links {
    let url = |path: &str| Url::parse(&format!("https://cal.example.com/manage/sample{path}")).expect("a URL");
    let link = |path: &str| Some(url(path));
    Links { manage: link(""), reschedule: link("/reschedule"), cancel: link("/cancel") }
}

fn contact(name: &str, local: &str) -> Contact {
    let address: Address = format!("{local}@example.com").parse().expect("a plain address");
    Contact { name: name.to_owned(), address }
}

fn participant(contact: &Contact) -> Participant {
    Participant { name: contact.name.clone(), address: Some(contact.address.clone()) }
}
