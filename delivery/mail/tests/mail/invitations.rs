//! What is in a mail and its invitation, as far as it can be told without other readers.

use std::collections::BTreeSet;

use agentcal_delivery_mail::{Mail, Notice, NoticeEvent};
use agentcal_engine::time::HOUR_US;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use calcard::icalendar::ICalendar;

use crate::world::{ODD_NAMES, address, all, events, mail_of, notice, to_host, with_odd_name};

/// The attached file, and the method the part beside it names.
pub(crate) fn invitation(mail: &Mail) -> Option<(String, String)> {
    let text = std::str::from_utf8(&mail.bytes).unwrap();
    let (_, attached) = text.split_once("Content-Type: application/ics")?;
    let (_, body) = attached.split_once("\r\n\r\n").unwrap();
    let (body, _) = body.split_once("\r\n--").unwrap();
    let file = String::from_utf8(STANDARD.decode(body.replace("\r\n", "")).unwrap()).unwrap();
    let (_, method) = text.split_once("Content-Type: text/calendar; method=").unwrap();
    Some((file, method.split(';').next().unwrap().to_owned()))
}

pub(crate) fn header_names(mail: &Mail) -> BTreeSet<String> {
    let text = std::str::from_utf8(&mail.bytes).unwrap();
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let begins = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
    begins.map(|line| line.split(':').next().unwrap().to_owned()).collect()
}

#[test]
fn the_invitation_to_a_moved_meeting() {
    let mut moved = notice(events()[1].clone());
    moved.sequence = 3;
    let (file, method) = invitation(&mail_of(&moved)).unwrap();
    assert_eq!(method, "REQUEST");
    let expected = "BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//AgentCal//AgentCal//EN
CALSCALE:GREGORIAN
METHOD:REQUEST
BEGIN:VEVENT
DESCRIPTION:“Introductory call” with Grace Hopper now takes place at an
 other time.\\n\\nSee your booking: https://cal.acme.example/manage/eyJ0b2tlb
 iI6MX0
DTEND:20261124T083000Z
DTSTAMP:20261121T183000Z
DTSTART:20261124T080000Z
LOCATION:https://meet.example.com/room?a=1&b=2
ORGANIZER;CN=Grace Hopper;SENT-BY=\"mailto:calendar@acme.example\":mailto:gra
 ce@acme.example
SEQUENCE:3
STATUS:CONFIRMED
SUMMARY:Introductory call
TRANSP:OPAQUE
UID:bkg_01jd8z@agentcal
ATTENDEE;CN=Ada Lovelace;CUTYPE=INDIVIDUAL;PARTSTAT=NEEDS-ACTION;ROLE=REQ-P
 ARTICIPANT;RSVP=TRUE:mailto:ada@example.com
ATTENDEE;CN=Grace Hopper;CUTYPE=INDIVIDUAL;PARTSTAT=ACCEPTED;ROLE=CHAIR;RSV
 P=FALSE:mailto:grace@acme.example
END:VEVENT
END:VCALENDAR
";
    assert_eq!(file, expected.replace('\n', "\r\n"));
}

/// Lines, line ends, methods, and one event with the booking's UID, whatever people are called.
#[test]
fn every_mail_keeps_to_the_rules() {
    for notice in all() {
        let mail = mail_of(&notice);
        assert_eq!(mail, mail_of(&notice), "the same notice is the same mail");
        assert!(mail.bytes.is_ascii());
        let text = std::str::from_utf8(&mail.bytes).unwrap();
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
        assert!(text.split("\r\n").all(|line| line.len() <= 998));
        let Some((file, method)) = invitation(&mail) else {
            assert!(matches!(notice.event, NoticeEvent::Reminder { .. }));
            assert!(!text.contains("METHOD") && !text.contains("text/calendar"));
            continue;
        };
        assert!(file.split("\r\n").all(|line| line.len() <= 75), "{file}");
        assert_eq!(file.matches("\r\nMETHOD:").count(), 1);
        assert!(file.contains(&format!("\r\nMETHOD:{method}\r\n")));
        assert!(file.contains(&format!("\r\nUID:{}\r\n", notice.uid)));
        assert!(file.contains(&format!("\r\nSEQUENCE:{}\r\n", notice.sequence)));
        let calendar = ICalendar::parse(&file).unwrap();
        assert_eq!(calendar.components.len(), 2, "a calendar and an event");
    }
}

#[test]
fn a_cancellation_takes_back_what_was_invited_to() {
    let cancelled = notice(events()[2].clone());
    let (file, method) = invitation(&mail_of(&cancelled)).unwrap();
    assert_eq!(method, "CANCEL");
    assert!(file.contains("\r\nSTATUS:CANCELLED\r\n"));
    assert!(file.contains("\r\nCOMMENT:I am ill\\; sorry\\, all.\\nSee you\\\\soon\r\n"));
    assert!(file.contains(&format!("\r\nUID:{}\r\n", notice(NoticeEvent::Confirmation).uid)));
    assert_eq!(file.matches("\r\nATTENDEE;").count(), 2);
}

/// An organizer cannot be invited by himself: he gets to know of it.
#[test]
fn the_organizer_is_told_and_not_asked() {
    for event in [NoticeEvent::Confirmation, events()[2].clone()] {
        let (file, method) = invitation(&mail_of(&to_host(notice(event)))).unwrap();
        assert_eq!(method, "PUBLISH");
        assert!(!file.contains("ATTENDEE"));
    }
}

/// Of the calendar and its event; the empty one is the end of the last line.
const PROPERTIES: [&str; 20] = [
    "",
    "ATTENDEE",
    "BEGIN",
    "CALSCALE",
    "COMMENT",
    "DESCRIPTION",
    "DTEND",
    "DTSTAMP",
    "DTSTART",
    "END",
    "LOCATION",
    "METHOD",
    "ORGANIZER",
    "PRODID",
    "SEQUENCE",
    "STATUS",
    "SUMMARY",
    "TRANSP",
    "UID",
    "VERSION",
];

#[test]
fn nobodys_name_makes_a_header() {
    let plain = header_names(&mail_of(&notice(NoticeEvent::Confirmation)));
    assert_eq!(plain.len(), 10, "{plain:?}");
    let mut names: Vec<String> = ODD_NAMES.map(str::to_owned).into();
    names.push("a".repeat(10_000));
    names.push("ü".repeat(10_000));
    for name in names {
        let mut odd = with_odd_name(notice(events()[2].clone()), &name);
        odd.event = NoticeEvent::Cancellation { reason: Some(name.clone()) };
        odd.uid = format!("a\r\nATTENDEE:mailto:eve@evil.example\r\n{}", odd.uid);
        let mail = mail_of(&odd);
        assert_eq!(header_names(&mail), plain, "{name}");
        let (file, _) = invitation(&mail).unwrap();
        let begins = file.split("\r\n").filter(|line| !line.starts_with(' '));
        let properties: BTreeSet<&str> = begins.map(|line| line.split([':', ';']).next().unwrap()).collect();
        assert!(properties.is_subset(&PROPERTIES.into()), "{properties:?}");
        assert_eq!(file.matches("\r\nATTENDEE;").count(), 2);
    }
}

/// The same mail has the same id, and no other mail has.
#[test]
fn ids_tell_mails_apart() {
    let base = notice(NoticeEvent::Confirmation);
    let changed = |change: fn(&mut Notice)| {
        let mut other = base.clone();
        change(&mut other);
        mail_of(&other).message_id
    };
    let mut ids = BTreeSet::from([mail_of(&base).message_id]);
    ids.insert(changed(|notice| notice.uid = "other@agentcal".to_owned()));
    ids.insert(changed(|notice| notice.sequence = 1));
    ids.insert(changed(|notice| notice.reader.contact.address = address("ben@example.com")));
    ids.insert(changed(|notice| notice.event = NoticeEvent::Reminder { minutes_before: 60 }));
    ids.insert(changed(|notice| notice.event = NoticeEvent::Reminder { minutes_before: 1_440 }));
    ids.insert(changed(|notice| notice.event = NoticeEvent::Cancellation { reason: None }));
    assert_eq!(ids.len(), 7);
    let again = changed(|notice| notice.at = notice.at.plus_micros(HOUR_US));
    assert!(ids.contains(&again), "another moment is not another mail");
    assert!(again.ends_with("@acme.example"));
}
