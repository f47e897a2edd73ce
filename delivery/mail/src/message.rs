//! A notice to a mail: headers and parts (RFC 5322, RFC 2045), with the invitation as iMIP wants it (RFC 6047).

use std::time::{Duration, SystemTime};

use agentcal_engine::time::Timestamp;
use email_encoding::headers::rfc2047;
use email_encoding::headers::writer::EmailWriter;
use lettre::message::header::{ContentDisposition, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use sha2::{Digest, Sha256};

use crate::address::Address;
use crate::invitation::{Invitation, Method, invitation};
use crate::notice::{Contact, Notice, NoticeEvent, ReaderRole};
use crate::sender::Sender;
use crate::template::{Rendered, TemplateError, Templates};
use crate::text::{NAME_CHARS_MAX, line};
use crate::view::View;

/// Name of the attached file.
const FILE_NAME: &str = "invite.ics";

/// A complete mail, as a server takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its Message-ID, without brackets: the same whenever the same notice is composed for the same reader, so that a
    /// second delivery can be known for what it is.
    pub message_id: String,
    /// The envelope's sender.
    pub from: Address,
    /// The envelope's recipients.
    pub to: Vec<Address>,
    /// Its date.
    pub at: Timestamp,
    /// Its subject, its plain text and its page once more, for whoever shows it.
    pub shown: Shown,
    /// The iCalendar object in it, if there is one.
    pub invitation: Option<String>,
    /// The message: ASCII, lines that end in CRLF and have at most 998 characters.
    pub bytes: Vec<u8>,
}

/// What a reader sees of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The subject.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The page.
    pub html: String,
}

/// A mail, and what was wrong with the template that should have made it.
#[derive(Clone, Debug)]
pub struct Composed {
    /// The mail.
    pub mail: Mail,
    /// Why the default template had to stand in, where it had to.
    pub template_error: Option<TemplateError>,
}

/// Composes the mail of a notice. The same values give the same bytes.
pub fn compose(notice: &Notice, sender: &Sender, templates: &Templates) -> Composed {
    let (rendered, template_error) = templates.render(notice.event.kind(), &View::of(notice));
    let message_id = message_id(notice, sender);
    let invitation = invitation(notice, sender);
    let message = message(notice, sender, &rendered, invitation.as_ref(), &message_id);
    let mail = Mail {
        message_id,
        from: sender.address.clone(),
        to: vec![notice.reader.contact.address.clone()],
        at: notice.at.clamped(),
        shown: Shown { subject: rendered.subject, text: rendered.text, html: rendered.html },
        invitation: invitation.map(|invitation| invitation.text),
        bytes: message.formatted(),
    };
    Composed { mail, template_error }
}

/// Shows a template on a sample, without sending anything.
///
/// # Errors
/// When the template fails on it.
pub fn preview(notice: &Notice, template: &crate::template::Template) -> Result<Shown, TemplateError> {
    let Rendered { subject, text, html } = template.render(&View::of(notice))?;
    Ok(Shown { subject, text, html })
}

/// Derives from what is told, about what, to whom. Two reminders of one booking differ, two attempts at one do not.
fn message_id(notice: &Notice, sender: &Sender) -> String {
    let minutes_before = match notice.event {
        NoticeEvent::Reminder { minutes_before } => minutes_before,
        _ => 0,
    };
    let kind = notice.event.kind().name();
    let (uid, sequence, reader) = (&notice.uid, notice.sequence, &notice.reader.contact.address);
    let told = format!("{kind}\n{minutes_before}\n{sequence}\n{reader}\n{}\n{uid}", notice.range.start.as_micros());
    format!("{}@{}", short_hash(&told), sender.address.domain())
}

pub(crate) fn short_hash(text: &str) -> String {
    Sha256::digest(text).iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}

fn message(
    notice: &Notice,
    sender: &Sender,
    rendered: &Rendered,
    invitation: Option<&Invitation>,
    message_id: &str,
) -> Message {
    let from = Contact { name: notice.branding.organization.clone(), address: sender.address.clone() };
    let mut builder = Message::builder()
        .from(mailbox(&from))
        .to(mailbox(&notice.reader.contact))
        .raw_header(subject(&rendered.subject))
        .date(date(notice.at))
        .message_id(Some(format!("<{message_id}>")))
        .raw_header(header("X-Auto-Response-Suppress", "OOF, AutoReply"))
        .raw_header(header("Content-Language", notice.reader.language.tag()));
    if let Some(contact) = reply_to(notice, sender) {
        builder = builder.reply_to(mailbox(&contact));
    }
    if !is_to_be_acted_upon(invitation) {
        builder = builder.raw_header(header("Auto-Submitted", "auto-generated"));
    }
    let parts = body(rendered, invitation, message_id);
    builder.multipart(parts).expect("it has a sender and a recipient")
}

/// Whether a calendar server should take the invitation in. Some take in none that says it was submitted by a program
/// (RFC 3834), to be safe from each other; so an invitation does not say it.
fn is_to_be_acted_upon(invitation: Option<&Invitation>) -> bool {
    invitation.is_some_and(|invitation| invitation.method != Method::Publish)
}

/// Answers go to the other side: an attendee's to the organizer, a host's to the attendee.
fn reply_to(notice: &Notice, sender: &Sender) -> Option<Contact> {
    let other = match notice.reader.role {
        ReaderRole::Attendee => Some(notice.organizer.clone()),
        ReaderRole::Host => notice.attendee.address.clone().map(|address| {
            let name = notice.attendee.name.clone();
            Contact { name, address }
        }),
    };
    other.filter(|contact| contact.address != sender.address)
}

pub(crate) fn body(rendered: &Rendered, invitation: Option<&Invitation>, message_id: &str) -> MultiPart {
    let boundary = |part: &str| format!("={}", short_hash(&format!("{part}{message_id}")));
    let mut alternative = MultiPart::alternative()
        .boundary(boundary("alternative"))
        .singlepart(SinglePart::plain(rendered.text.clone()))
        .singlepart(SinglePart::html(rendered.html.clone()));
    let Some(invitation) = invitation else { return alternative };
    alternative = alternative.singlepart(inline(invitation));
    MultiPart::mixed().boundary(boundary("mixed")).multipart(alternative).singlepart(attachment(invitation))
}

/// The part that mail programs act upon (RFC 6047, 2.4): last among the alternatives, because it is the richest.
fn inline(invitation: &Invitation) -> SinglePart {
    let method = invitation.method.name();
    let content_type = format!("text/calendar; method={method}; component=VEVENT; charset=utf-8");
    SinglePart::builder()
        .header(ContentType::parse(&content_type).expect("a method is a word"))
        .body(invitation.text.clone())
}

/// The same as a file, for programs that know calendars only as files. Its type is another, so that no program takes it
/// for a second invitation.
fn attachment(invitation: &Invitation) -> SinglePart {
    let content_type = format!("application/ics; name=\"{FILE_NAME}\"");
    SinglePart::builder()
        .header(ContentType::parse(&content_type).expect("a constant"))
        .header(ContentDisposition::attachment(FILE_NAME))
        .body(invitation.text.clone().into_bytes())
}

pub(crate) fn mailbox(contact: &Contact) -> Mailbox {
    let name = line(&contact.name, NAME_CHARS_MAX);
    Mailbox::new((!name.is_empty()).then_some(name), contact.address.to_lettre())
}

pub(crate) fn date(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(at.clamped().as_micros()).unwrap_or(0))
}

/// A subject that looks encoded is encoded, so that nobody reads in it what is not there.
pub(crate) fn subject(text: &str) -> HeaderValue {
    let name = HeaderName::new_from_ascii_str("Subject");
    if !text.contains("=?") {
        return HeaderValue::new(name, text.to_owned());
    }
    let mut encoded = String::new();
    {
        let mut writer = EmailWriter::new(&mut encoded, "Subject: ".len(), 0, false);
        rfc2047::encode(text, &mut writer).expect("a text can be written to");
    }
    HeaderValue::dangerous_new_pre_encoded(name, text.to_owned(), encoded)
}

pub(crate) fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}
