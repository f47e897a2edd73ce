//! The whole set of mails through a server nobody here wrote, read by readers nobody here wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use agentcal_delivery_mail::{
    Language, Notice, NoticeEvent, Outcome, ReaderRole, SmtpSettings, SmtpTransport, Transport, compose_report,
};
use agentcal_testkit::{javascript, python, skip_or_fail, venv};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::reports::report;
use crate::world::{all, mail_of, sender};

/// What a reader found in an invitation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Read {
    method: String,
    uid: String,
    sequence: u32,
    status: String,
    summary: String,
    location: String,
    description: String,
    comment: String,
    stamp: String,
    start: String,
    end: String,
    /// Address, CN, SENT-BY.
    organizer: [String; 3],
    /// Address, CN, CUTYPE, ROLE, PARTSTAT, RSVP.
    attendees: Vec<[String; 6]>,
}

#[derive(Debug, Deserialize)]
struct Invitation {
    mime_method: String,
    icalendar: Read,
    vobject: Read,
    xandikos: Option<Taken>,
}

/// What a calendar server takes out of a mail.
#[derive(Debug, Deserialize)]
struct Taken {
    method: String,
    data: String,
    is_taken_in: bool,
    targets: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Envelope {
    from: String,
    to: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Mail {
    headers: Vec<String>,
    message_id: String,
    date: String,
    from: Vec<[String; 2]>,
    to: Vec<[String; 2]>,
    reply_to: Vec<[String; 2]>,
    subject: String,
    auto_submitted: String,
    parts: Vec<String>,
    text: String,
    html: String,
    envelope: Envelope,
    invitation: Option<Invitation>,
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers").join(name)
}

/// Starts the server, which ends by itself when it has so many mails, and gives its port.
async fn receiver(folder: &Path, count: usize) -> Option<(Child, u16)> {
    let Some(venv) = venv().filter(|venv| venv.join("bin/node").exists()) else {
        skip_or_fail("there is no Python environment with a mail server");
        return None;
    };
    let mut command = Command::new(venv.join("bin/python"));
    command.arg("-B").arg(script("receive.py")).arg(folder).args([count.to_string(), "300".to_owned()]);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).await.unwrap();
    Some((child, line.trim().parse().unwrap()))
}

#[tokio::test]
async fn every_mail_is_read_as_it_was_meant() {
    let (notices, folder) = (all(), tempfile::tempdir().unwrap());
    let reports = Language::ALL.map(|language| compose_report(&report(language), &sender()));
    let count = notices.len() + reports.len();
    let Some((mut server, port)) = receiver(folder.path(), count).await else { return };
    let transport = SmtpTransport::new(SmtpSettings::parse(&format!("smtp://127.0.0.1:{port}")).unwrap());
    for mail in notices.iter().map(mail_of).chain(reports.clone()) {
        let deliveries = transport.send(&mail).await;
        assert!(matches!(deliveries[0].outcome, Outcome::Delivered(_)), "{deliveries:?}");
    }
    assert!(server.wait().await.unwrap().success());
    let path = folder.path().to_str().unwrap();
    let mails: Vec<Mail> = serde_json::from_str(&python(&script("read.py"), &[path]).unwrap()).unwrap();
    let Some(read) = javascript(&script("read.js"), &[path]) else { return };
    let by_ical_js: BTreeMap<String, Read> = serde_json::from_str(&read).unwrap();
    assert_eq!(mails.len(), count);
    for (index, (notice, mail)) in notices.iter().zip(&mails).enumerate() {
        check_headers(notice, mail);
        check_content(notice, mail);
        check_invitation(notice, mail, by_ical_js.get(&format!("{index:04}.ics")));
    }
    for (report, mail) in reports.iter().zip(&mails[notices.len()..]) {
        let shown = (&report.shown.subject, &report.shown.text);
        assert_eq!((&mail.subject, &mail.text.replace("\r\n", "\n")), shown);
        assert_eq!((mail.invitation.is_none(), mail.auto_submitted.as_str()), (true, "auto-generated"));
    }
}

/// What a text becomes where it has to stand in a line: told here once more, in other words.
fn straight(text: &str, chars_max: usize) -> String {
    let hidden = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}');
    let text: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || hidden(c)).filter(|word| !word.is_empty()).collect();
    let text = text.join(" ");
    if text.chars().count() <= chars_max {
        return text;
    }
    let cut: String = text.chars().take(chars_max - 1).collect();
    format!("{}…", cut.trim_end())
}

fn check_headers(notice: &Notice, mail: &Mail) {
    let reader = &notice.reader.contact;
    let mut expected = vec![
        "content-language",
        "content-type",
        "date",
        "from",
        "message-id",
        "mime-version",
        "subject",
        "to",
        "x-auto-response-suppress",
    ];
    if !is_request_or_cancel(notice) {
        expected.push("auto-submitted");
    }
    expected.push("reply-to");
    expected.sort_unstable();
    assert_eq!(mail.headers, expected, "{}", notice.uid);
    assert_eq!(mail.envelope.from, "calendar@acme.example");
    assert_eq!(mail.envelope.to, [reader.address.to_string()]);
    let (sender, name) = (straight(&notice.branding.organization, 120), straight(&reader.name, 120));
    assert_eq!(mail.from, [[sender, "calendar@acme.example".to_owned()]]);
    assert_eq!(mail.to, [[name, reader.address.to_string()]]);
    let answers = match notice.reader.role {
        ReaderRole::Attendee => notice.organizer.address.to_string(),
        ReaderRole::Host => notice.attendee.address.as_ref().unwrap().to_string(),
    };
    assert_eq!(mail.reply_to[0][1], answers);
    assert_eq!(mail.message_id, format!("<{}>", mail_of(notice).message_id));
    assert_eq!(mail.date, "2026-11-21T18:30:00Z");
    assert_eq!(mail.auto_submitted.is_empty(), is_request_or_cancel(notice));
}

fn check_content(notice: &Notice, mail: &Mail) {
    let shown = mail_of(notice).shown;
    assert_eq!(mail.subject, shown.subject);
    assert_eq!(mail.text.replace("\r\n", "\n"), shown.text);
    assert_eq!(mail.html.replace("\r\n", "\n"), shown.html);
    assert!(mail.text.contains(&straight(&notice.title, 250)), "{}", mail.text);
    let alternative = ["multipart/alternative", "text/plain", "text/html"];
    if matches!(notice.event, NoticeEvent::Reminder { .. }) {
        assert_eq!(mail.parts, alternative);
    } else {
        let parts: Vec<&str> =
            ["multipart/mixed"].into_iter().chain(alternative).chain(["text/calendar", "application/ics"]).collect();
        assert_eq!(mail.parts, parts);
    }
}

fn is_organizer(notice: &Notice) -> bool {
    notice.reader.contact.address == notice.organizer.address
}

fn is_request_or_cancel(notice: &Notice) -> bool {
    !is_organizer(notice) && !matches!(notice.event, NoticeEvent::Reminder { .. })
}

fn check_invitation(notice: &Notice, mail: &Mail, by_ical_js: Option<&Read>) {
    let Some(invitation) = &mail.invitation else {
        assert!(matches!(notice.event, NoticeEvent::Reminder { .. }) && by_ical_js.is_none());
        return;
    };
    let expected = expected(notice, &invitation.icalendar);
    assert_eq!(invitation.icalendar, expected, "icalendar");
    assert_eq!(invitation.vobject, expected, "vobject");
    assert_eq!(by_ical_js, Some(&expected), "ical.js");
    assert_eq!(invitation.mime_method, expected.method);
    assert_eq!(invitation.xandikos.is_some(), is_request_or_cancel(notice));
    let Some(taken) = &invitation.xandikos else { return };
    assert_eq!(taken.method, expected.method);
    assert!(taken.data.starts_with("BEGIN:VCALENDAR\r\n"));
    assert!(taken.is_taken_in, "not taken for a program's answer to a program");
    let reader = format!("mailto:{}", notice.reader.contact.address);
    assert!(taken.targets.iter().any(|target| percent_decoded(target) == reader), "{:?}", taken.targets);
}

fn percent_decoded(text: &str) -> String {
    text.replace("%3D", "=").replace("%25", "%")
}

fn expected(notice: &Notice, found: &Read) -> Read {
    let name = |name: &str| {
        let name = straight(name, 120).replace('"', "'");
        if name.is_empty() { "?".to_owned() } else { name }
    };
    let method = match notice.event {
        _ if is_organizer(notice) => "PUBLISH",
        NoticeEvent::Cancellation { .. } => "CANCEL",
        _ => "REQUEST",
    };
    let reason = match &notice.event {
        NoticeEvent::Cancellation { reason: Some(reason) } => reason.clone(),
        _ => String::new(),
    };
    let status = if matches!(notice.event, NoticeEvent::Cancellation { .. }) { "CANCELLED" } else { "CONFIRMED" };
    let instant = |at: agentcal_engine::time::Timestamp| at.to_utc().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    // A location keeps its lines; everything else about it is as in a line.
    let lines = |text: &str| text.replace(['\r', '\u{2028}'], "\n");
    let location = notice.location.as_deref().map(lines).unwrap_or_default();
    assert_eq!(straight(&found.location, 2_000), straight(&location, 2_000));
    assert!(found.description.contains(&straight(&notice.title, 250)), "{}", found.description);
    Read {
        method: method.to_owned(),
        uid: notice.uid.clone(),
        sequence: notice.sequence,
        status: status.to_owned(),
        summary: straight(&notice.title, 250),
        location: found.location.clone(),
        description: found.description.clone(),
        comment: reason,
        stamp: "2026-11-21T18:30:00Z".to_owned(),
        start: instant(notice.range.start),
        end: instant(notice.range.end),
        organizer: [
            format!("mailto:{}", notice.organizer.address),
            name(&notice.organizer.name),
            "mailto:calendar@acme.example".to_owned(),
        ],
        attendees: if method == "PUBLISH" { Vec::new() } else { expected_attendees(notice, &name) },
    }
}

fn expected_attendees(notice: &Notice, name: &dyn Fn(&str) -> String) -> Vec<[String; 6]> {
    let person = |address: &str, cn: &str, role: &str, answer: &str, is_asked: &str| {
        [address, &name(cn), "INDIVIDUAL", role, answer, is_asked].map(str::to_owned)
    };
    let booked = match notice.attendee.address.as_ref().unwrap().to_string().as_str() {
        "o'neil+a=b%c@xn--bcher-kva.example" => "mailto:o'neil+a%3Db%25c@xn--bcher-kva.example".to_owned(),
        plain => format!("mailto:{plain}"),
    };
    let mut attendees = vec![person(&booked, &notice.attendee.name, "REQ-PARTICIPANT", "NEEDS-ACTION", "TRUE")];
    for host in notice.hosts.iter().take(50) {
        let Some(address) = &host.address else { continue };
        let mailto = format!("mailto:{address}");
        let role = if *address == notice.organizer.address { "CHAIR" } else { "REQ-PARTICIPANT" };
        if attendees.iter().all(|attendee| attendee[0] != mailto) {
            attendees.push(person(&mailto, &host.name, role, "ACCEPTED", "FALSE"));
        }
    }
    attendees
}
