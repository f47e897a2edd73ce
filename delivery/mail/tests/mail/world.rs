//! Notices of all sorts.

use agentcal_delivery_mail::{
    Address, Branding, Color, Contact, Language, Links, Mail, Notice, NoticeEvent, Participant, Reader, ReaderRole,
    Sender, Shown, Templates, compose,
};
use agentcal_engine::time::{MINUTE_US, TimeRange, Timestamp};
use chrono::DateTime;
use chrono_tz::Tz;
use url::Url;

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::from(DateTime::parse_from_rfc3339(text).unwrap().to_utc())
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

pub(crate) fn sender() -> Sender {
    Sender { address: address("calendar@acme.example") }
}

fn contact(name: &str, text: &str) -> Contact {
    Contact { name: name.to_owned(), address: address(text) }
}

pub(crate) fn participant(name: &str, text: &str) -> Participant {
    Participant { name: name.to_owned(), address: Some(address(text)) }
}

/// Half an hour of Grace's time for Ada, told to Ada.
pub(crate) fn notice(event: NoticeEvent) -> Notice {
    let start = at("2026-11-24T08:00:00Z");
    Notice {
        event,
        uid: "bkg_01jd8z@agentcal".to_owned(),
        sequence: 0,
        range: TimeRange { start, end: start.plus_micros(30 * MINUTE_US) },
        title: "Introductory call".to_owned(),
        location: Some("https://meet.example.com/room?a=1&b=2".to_owned()),
        organizer: contact("Grace Hopper", "grace@acme.example"),
        hosts: vec![participant("Grace Hopper", "grace@acme.example")],
        attendee: participant("Ada Lovelace", "ada@example.com"),
        reader: Reader {
            role: ReaderRole::Attendee,
            contact: contact("Ada Lovelace", "ada@example.com"),
            timezone: Tz::Europe__Berlin,
            language: Language::English,
        },
        links: links(),
        branding: Branding {
            organization: "Acme GmbH".to_owned(),
            logo_url: Url::parse("https://acme.example/logo.png").ok(),
            accent: "#0a7d5a".parse::<Color>().ok(),
        },
        at: at("2026-11-21T18:30:00.5Z"),
    }
}

fn links() -> Links {
    let link = |path: &str| Url::parse(&format!("https://cal.acme.example/manage/eyJ0b2tlbiI6MX0{path}")).ok();
    Links { manage: link(""), reschedule: link("/reschedule"), cancel: link("/cancel") }
}

fn previous() -> TimeRange {
    TimeRange { start: at("2026-11-23T10:00:00Z"), end: at("2026-11-23T10:30:00Z") }
}

pub(crate) fn events() -> Vec<NoticeEvent> {
    vec![
        NoticeEvent::Confirmation,
        NoticeEvent::Reschedule { previous: previous() },
        NoticeEvent::Cancellation { reason: Some("I am ill; sorry, all.\nSee you\\soon".to_owned()) },
        NoticeEvent::Cancellation { reason: None },
        NoticeEvent::Reminder { minutes_before: 60 },
    ]
}

/// Names nobody should have, and some have.
pub(crate) const ODD_NAMES: [&str; 10] = [
    "Zoë O'Neil-Şahin",
    "李小龍 \"Bruce\"",
    "Ada\r\nBcc: eve@evil.example\r\n\r\n<script>",
    "Semi; colon: comma, back\\slash = ?UTF-8?Q?a?=",
    "=?UTF-8?B?QmNjOiBldmU=?=",
    "\u{202e}gnitseuqer\u{2028}METHOD:CANCEL",
    "\"quoted\" <eve@evil.example>",
    "💙💚💛🧡❤️ the hearts, each of four octets 💙💚💛🧡❤️ and on and on and on",
    "",
    "\u{0}\u{7}\u{1b}[31m",
];

/// Every kind in both languages to both sides, and then one of each oddity.
pub(crate) fn all() -> Vec<Notice> {
    let mut all = Vec::new();
    for event in events() {
        for language in Language::ALL {
            all.push(in_language(notice(event.clone()), language));
            all.push(to_host(in_language(notice(event.clone()), language)));
        }
    }
    for (index, name) in ODD_NAMES.into_iter().enumerate() {
        all.push(with_odd_name(notice(events()[index % 3].clone()), name));
    }
    all.push(with_odd_name(notice(NoticeEvent::Confirmation), &"Ünendlich, ".repeat(400)));
    all.push(with_many_hosts(notice(NoticeEvent::Confirmation)));
    all.push(to_second_host(with_many_hosts(notice(NoticeEvent::Confirmation))));
    for (start, end, zone) in CLOCK_CHANGES {
        let mut changed = in_language(notice(NoticeEvent::Confirmation), Language::German);
        changed.range = TimeRange { start: at(start), end: at(end) };
        changed.reader.timezone = zone;
        all.push(changed);
    }
    all.push(bare(notice(NoticeEvent::Confirmation)));
    for (index, notice) in all.iter_mut().enumerate() {
        notice.uid = format!("bkg_{index:04}@agentcal");
        notice.sequence = index as u32;
    }
    all
}

/// Meetings on nights when clocks change, and days that are half an hour long or do not begin at midnight.
const CLOCK_CHANGES: [(&str, &str, Tz); 5] = [
    ("2026-10-25T00:30:00Z", "2026-10-25T01:15:00Z", Tz::Europe__Berlin),
    ("2027-03-14T06:30:00Z", "2027-03-14T07:30:00Z", Tz::America__New_York),
    ("2026-09-06T03:30:00Z", "2026-09-06T05:00:00Z", Tz::America__Santiago),
    ("2027-04-03T14:45:00Z", "2027-04-03T15:15:00Z", Tz::Australia__Lord_Howe),
    ("2026-11-24T18:10:00Z", "2026-11-24T18:40:00Z", Tz::Asia__Kathmandu),
];

fn in_language(mut notice: Notice, language: Language) -> Notice {
    notice.reader.language = language;
    notice
}

pub(crate) fn to_host(mut notice: Notice) -> Notice {
    notice.reader.role = ReaderRole::Host;
    notice.reader.contact = notice.organizer.clone();
    notice
}

fn to_second_host(mut notice: Notice) -> Notice {
    notice.reader.role = ReaderRole::Host;
    notice.reader.contact = contact("Host 7", "host7@acme.example");
    notice
}

pub(crate) fn with_odd_name(mut notice: Notice, name: &str) -> Notice {
    notice.title = name.to_owned();
    notice.location = Some(name.to_owned());
    notice.organizer.name = name.to_owned();
    notice.hosts[0].name = name.to_owned();
    notice.attendee = participant(name, "o'neil+a=b%c@bücher.example");
    notice.reader.contact = contact(name, "o'neil+a=b%c@bücher.example");
    notice.branding.organization = name.to_owned();
    notice
}

pub(crate) fn with_many_hosts(mut notice: Notice) -> Notice {
    notice
        .hosts
        .extend((0..60).map(|index| participant(&format!("Host {index}"), &format!("host{index}@acme.example"))));
    notice.hosts[3].address = None;
    notice.hosts[4] = notice.hosts[0].clone();
    notice
}

fn bare(mut notice: Notice) -> Notice {
    notice.location = None;
    notice.hosts.clear();
    notice.links = Links::default();
    notice.branding = Branding { organization: String::new(), logo_url: None, accent: None };
    notice
}

pub(crate) fn mail_of(notice: &Notice) -> Mail {
    let composed = compose(notice, &sender(), &Templates::default());
    assert_eq!(composed.template_error, None);
    composed.mail
}

/// A mail with nothing in it, for those whose content does not matter.
pub(crate) fn plain_mail(to: &[&str]) -> Mail {
    let bytes =
        b"Message-ID: <plain@acme.example>\r\nSubject: plain\r\n\r\n.a line that begins with a dot\r\n".to_vec();
    Mail {
        message_id: "plain@acme.example".to_owned(),
        from: address("calendar@acme.example"),
        to: to.iter().map(|text| address(text)).collect(),
        at: at("2026-11-21T18:30:00Z"),
        shown: Shown { subject: "plain".to_owned(), text: "text".to_owned(), html: "<p>html</p>".to_owned() },
        invitation: None,
        bytes,
    }
}
