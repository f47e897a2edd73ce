//! What a job says, as a notice for its reader.

use agentcal_delivery_mail::{
    Address, Contact, Links as OwnLinks, Notice, NoticeEvent, Participant, Reader, ReaderRole, Sender,
};
use agentcal_engine::icalendar::booking_uid;
use agentcal_engine::model::{MailEvent, MailReader, User};
use agentcal_engine::ports::OutboundMail;
use agentcal_engine::signed::ManageLink;
use url::Url;

use super::Links;
use crate::looks::Look;

/// The notice; `None` where its reader is gone, or has no address that mail can be sent to.
pub(super) fn notice(mail: &OutboundMail, look: &Look, sender: &Sender, links: &Links) -> Option<Notice> {
    let booking = &mail.work.booking;
    let hosts: Vec<Participant> = mail.hosts.iter().map(|user| participant(&user.name, Some(&user.email))).collect();
    let organizer = hosts.iter().find_map(contact);
    let own = Contact { name: look.branding.organization.clone(), address: sender.address.clone() };
    Some(Notice {
        event: event(mail),
        uid: booking_uid(booking.id),
        sequence: booking.sequence,
        range: booking.range,
        title: booking.title.clone(),
        location: booking.place().map(str::to_owned),
        organizer: organizer.unwrap_or(own),
        hosts,
        attendee: participant(&booking.attendee.name, booking.attendee.email.as_deref()),
        reader: reader(mail, look)?,
        links: own_links(mail, links),
        branding: look.branding.clone(),
        at: mail.work.at,
    })
}

fn event(mail: &OutboundMail) -> NoticeEvent {
    match mail.work.event {
        MailEvent::Confirmation => NoticeEvent::Confirmation,
        MailEvent::Reschedule { previous } => NoticeEvent::Reschedule { previous },
        MailEvent::Cancellation => {
            let reason = mail.work.booking.cancel_reason.clone();
            NoticeEvent::Cancellation { reason }
        }
        MailEvent::Reminder { minutes_before } => NoticeEvent::Reminder { minutes_before },
    }
}

fn reader(mail: &OutboundMail, look: &Look) -> Option<Reader> {
    let booking = &mail.work.booking;
    let language = look.language;
    match mail.work.reader {
        MailReader::Attendee => {
            let attendee = &booking.attendee;
            let contact = contact(&participant(&attendee.name, attendee.email.as_deref()))?;
            let timezone = attendee.timezone.unwrap_or(booking.timezone);
            Some(Reader { role: ReaderRole::Attendee, contact, timezone, language })
        }
        MailReader::Host(user_id) => {
            let user: &User = mail.hosts.iter().find(|user| user.id == user_id)?;
            let contact = contact(&participant(&user.name, Some(&user.email)))?;
            Some(Reader { role: ReaderRole::Host, contact, timezone: user.timezone, language })
        }
    }
}

/// Attendees have links of their own. Whoever has one has its permission, so hosts get none.
fn own_links(mail: &OutboundMail, links: &Links) -> OwnLinks {
    if mail.work.reader != MailReader::Attendee {
        return OwnLinks::default();
    }
    let link = ManageLink { account_id: mail.account.id, booking_id: mail.work.booking.id };
    let manage = format!("{}/manage/{}", links.public_url, link.token(&links.signing));
    // The public URL was parsed when it was configured, and a token is letters, digits, `-` and `_`.
    let leads_to = |step: &str| Some(Url::parse(&format!("{manage}{step}")).expect("a URL with a longer path"));
    OwnLinks { manage: leads_to(""), reschedule: leads_to("/reschedule"), cancel: leads_to("/cancel") }
}

fn participant(name: &str, address: Option<&str>) -> Participant {
    let address = address.and_then(|text| text.parse::<Address>().ok());
    Participant { name: name.to_owned(), address }
}

fn contact(participant: &Participant) -> Option<Contact> {
    let address = participant.address.clone()?;
    Some(Contact { name: participant.name.clone(), address })
}
