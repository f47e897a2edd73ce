//! One mail over one connection.

use std::future::Future;
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt, Rset};
use lettre::transport::smtp::response::Response;
use tokio::time::timeout;

use super::classify::{of_mail, of_recipient, of_server, trouble_of};
use super::settings::SmtpTimeouts;
use crate::address::Address;
use crate::message::Mail;
use crate::transport::{Answer, Delivery, Moment, Outcome, Trouble};

/// The server closes the connection (RFC 5321, 4.2.3).
const CLOSING: u16 = 421;

/// Hundreds of the codes that say yes, and that say go on (RFC 5321, 4.2.1).
const DONE: u16 = 2;
const GO_ON: u16 = 3;

/// A connection that was greeted, and what was sent over it.
pub(super) struct Session {
    pub(super) connection: AsyncSmtpConnection,
    pub(super) timeouts: SmtpTimeouts,
    pub(super) mails: u32,
    /// Whether the conversation is where the next mail can begin.
    pub(super) is_ready: bool,
}

/// Waits for a step of the conversation, for so long.
pub(super) async fn within<T>(
    limit: Duration,
    moment: Moment,
    step: impl Future<Output = Result<T, Error>>,
) -> Result<T, Trouble> {
    match timeout(limit, step).await {
        Ok(done) => done.map_err(|error| trouble_of(&error, moment)),
        Err(_) => Err(Trouble::Silent(moment)),
    }
}

impl Session {
    /// Sends a mail: the envelope, one recipient after the other, and for those that were accepted the content.
    pub(super) async fn deliver(&mut self, mail: &Mail) -> Vec<Delivery> {
        self.mails += 1;
        self.is_ready = false;
        let sender = MailFrom::new(Some(mail.from.to_lettre()), Vec::new());
        if let Err(trouble) = self.command(sender, DONE).await {
            self.is_ready = is_said(&trouble);
            return for_all(&mail.to, &of_server(trouble));
        }
        let mut deliveries = Vec::new();
        let mut accepted = Vec::new();
        for recipient in &mail.to {
            match self.command(Rcpt::new(recipient.to_lettre(), Vec::new()), DONE).await {
                Ok(_) => accepted.push(recipient.clone()),
                Err(trouble) if is_said(&trouble) => {
                    deliveries.push(Delivery { recipient: recipient.clone(), outcome: of_recipient(trouble) });
                }
                Err(trouble) => return ended_early(mail, deliveries, &trouble),
            }
        }
        if accepted.is_empty() {
            self.is_ready = true;
            return deliveries;
        }
        deliveries.extend(for_all(&accepted, &self.content(&mail.bytes).await));
        in_order(mail, deliveries)
    }

    /// Whether the connection still stands and is ready for another mail.
    pub(super) async fn reset(&mut self) -> bool {
        self.command(Rset, DONE).await.is_ok()
    }

    async fn content(&mut self, bytes: &[u8]) -> Outcome {
        if let Err(trouble) = self.command(Data, GO_ON).await {
            self.is_ready = is_said(&trouble);
            return of_recipient(trouble);
        }
        let answered = within(self.timeouts.mail, Moment::Envelope, self.connection.message(bytes)).await;
        match answered.and_then(|response| of_class(response, DONE)) {
            Ok(response) => {
                self.is_ready = true;
                Outcome::Delivered(answer(&response))
            }
            Err(trouble) => {
                self.is_ready = is_said(&trouble);
                of_mail(trouble)
            }
        }
    }

    async fn command(&mut self, command: impl std::fmt::Display, class: u16) -> Result<Response, Trouble> {
        let answered = within(self.timeouts.command, Moment::Envelope, self.connection.command(command)).await;
        of_class(answered?, class)
    }
}

/// For the library every code below 400 is a yes.
fn of_class(response: Response, class: u16) -> Result<Response, Trouble> {
    let is_of_class = u16::from(response.code()) / 100 == class;
    if is_of_class { Ok(response) } else { Err(Trouble::Garbled(Moment::Envelope)) }
}

/// Whether the server said so itself, and stays to hear what follows.
fn is_said(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Answered(answer) if answer.code != CLOSING)
}

fn answer(response: &Response) -> Answer {
    let words: Vec<&str> = response.message().collect();
    Answer::new(response.code().into(), &words.join(" "))
}

fn for_all(recipients: &[Address], outcome: &Outcome) -> Vec<Delivery> {
    recipients.iter().map(|recipient| Delivery { recipient: recipient.clone(), outcome: outcome.clone() }).collect()
}

/// The connection ended before the mail was sent: who was refused is refused, everybody else comes later.
fn ended_early(mail: &Mail, deliveries: Vec<Delivery>, trouble: &Trouble) -> Vec<Delivery> {
    let is_decided = |recipient: &&Address| deliveries.iter().any(|delivery| delivery.recipient == **recipient);
    let open: Vec<Address> = mail.to.iter().filter(|recipient| !is_decided(recipient)).cloned().collect();
    let later = for_all(&open, &Outcome::Later(trouble.clone()));
    in_order(mail, deliveries.into_iter().chain(later).collect())
}

/// In the order of the mail's recipients.
fn in_order(mail: &Mail, mut deliveries: Vec<Delivery>) -> Vec<Delivery> {
    let place = |delivery: &Delivery| mail.to.iter().position(|recipient| *recipient == delivery.recipient);
    deliveries.sort_by_key(place);
    deliveries
}

/// The mail could not even be begun: nothing is known of any recipient.
pub(super) fn not_begun(mail: &Mail, trouble: Trouble) -> Vec<Delivery> {
    for_all(&mail.to, &of_server(trouble))
}
