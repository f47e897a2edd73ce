//! Mails on their way: what a job says becomes a notice, the notice a mail, and the mail leaves by the way its account has.

mod letter;
mod report;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use agentcal_delivery_mail::{
    Composed, Delivery, Mail, NextAttempt, Notice, Outbox, Outcome, Report, Sender, SmtpTransport, Templates,
    Transport, compose, compose_report, next_attempt,
};
use agentcal_engine::followups::MailFor;
use agentcal_engine::model::{MailEvent, MailKind, Mode};
use agentcal_engine::ports::{Entropy, JobNext, MailSent, Mailer, OutboundMail, OutboundNotice};
use agentcal_engine::signed::SigningKeys;
use async_trait::async_trait;

use crate::config::MailConfig;
use crate::looks::Looks;

/// The wait after what has nothing to do with the mail or its reader.
const WAIT_INSIDE: Duration = Duration::from_secs(900);
/// Tries after which a mail is given up that never got as far as a server.
const TRIES_INSIDE_MAX: u32 = 192;

/// What links to bookings are made of.
#[derive(Clone)]
pub(crate) struct Links {
    /// What signs them.
    pub(crate) signing: Arc<SigningKeys>,
    /// Where they lead, without a slash at the end.
    pub(crate) public_url: String,
}

/// Sends mails.
pub(crate) struct Postman {
    live: Option<Arc<dyn Transport>>,
    test: Option<Arc<dyn Transport>>,
    sender: Sender,
    links: Links,
    looks: Arc<Looks>,
    entropy: Arc<dyn Entropy>,
}

impl Postman {
    /// Connects to nothing yet. Fails where the folder of the outbox cannot be made.
    pub(crate) fn new(
        config: MailConfig,
        links: Links,
        looks: Arc<Looks>,
        entropy: Arc<dyn Entropy>,
    ) -> io::Result<Self> {
        let MailConfig { smtp, outbox, from, is_dev } = config;
        let outbox = outbox.map(|folder| Outbox::open(&folder)).transpose()?;
        let test = outbox.map(|outbox| Arc::new(outbox) as Arc<dyn Transport>);
        let server = smtp.map(|settings| Arc::new(SmtpTransport::new(settings)) as Arc<dyn Transport>);
        let live = if is_dev { test.clone() } else { server };
        Ok(Self { live, test, sender: Sender { address: from }, links, looks, entropy })
    }

    fn transport(&self, mode: Mode) -> Option<&Arc<dyn Transport>> {
        match mode {
            Mode::Live => self.live.as_ref(),
            Mode::Test => self.test.as_ref(),
        }
    }

    fn chance(&self) -> u16 {
        let mut bytes = [0; 2];
        self.entropy.fill(&mut bytes);
        u16::from_le_bytes(bytes)
    }

    /// Sends a mail that has one reader.
    async fn hand_over(&self, transport: &dyn Transport, mail: &Mail, attempts: u32) -> MailSent {
        match transport.send(mail).await.first() {
            Some(delivery) => self.outcome(delivery, attempts),
            None => inside("failed", "the way out said nothing of the reader", attempts),
        }
    }

    fn outcome(&self, delivery: &Delivery, attempts: u32) -> MailSent {
        let (outcome, said) = match &delivery.outcome {
            Outcome::Delivered(answer) => ("delivered", format!("the server answered {answer}")),
            Outcome::Refused(answer) => ("refused", format!("the server answered {answer}")),
            Outcome::Later(trouble) => ("later", trouble.to_string()),
            Outcome::Unusable(trouble) => ("unusable", trouble.to_string()),
        };
        let next = match next_attempt(&delivery.outcome, attempts, self.chance()) {
            NextAttempt::Done => JobNext::Done,
            NextAttempt::GivenUp => JobNext::GiveUp,
            NextAttempt::After(wait) => JobNext::Again(wait),
        };
        if outcome == "unusable" {
            tracing::error!(said, attempts, "the mail server cannot be used as it is set up");
        }
        MailSent { outcome, said, next }
    }
}

#[async_trait]
impl Mailer for Postman {
    fn mails_for(&self) -> MailFor {
        MailFor { live: self.live.is_some(), test: self.test.is_some() }
    }

    async fn send(&self, mail: OutboundMail) -> MailSent {
        let Some(transport) = self.transport(mail.account.mode) else {
            return inside("unusable", "there is no way for mails of such accounts", mail.attempts);
        };
        let (account_id, attempts) = (mail.account.id, mail.attempts);
        let look = match self.looks.of(account_id, kind_of(mail.work.event)).await {
            Ok(Some(look)) => look,
            Ok(None) => return unneeded("of no use: the account is gone"),
            Err(error) => return inside("failed", &format!("what it looks like is not known: {error}"), attempts),
        };
        let Some(notice) = letter::notice(&mail, &look, &self.sender, &self.links) else {
            return unneeded("of no use: its reader is gone, or has no address that mail can be sent to");
        };
        let composed = match composed(notice, self.sender.clone(), look.templates).await {
            Ok(composed) => composed,
            Err(error) => return inside("failed", &format!("composing failed inside: {error}"), attempts),
        };
        let mut sent = self.hand_over(&**transport, &composed.mail, attempts).await;
        if let Some(error) = composed.template_error {
            tracing::warn!(account = %account_id, %error, "a template failed; the default one stood in");
            sent.said = format!("{}; the default template stood in: {error}", sent.said);
        }
        sent
    }

    async fn send_notice(&self, notice: OutboundNotice) -> MailSent {
        let attempts = notice.attempts;
        let Some(transport) = self.transport(notice.mode) else {
            return inside("unusable", "there is no way for mails of such accounts", attempts);
        };
        let look = match self.looks.of_notices(notice.organization_id, notice.mode).await {
            Ok(Some(look)) => look,
            Ok(None) => return unneeded("of no use: the organization is gone"),
            Err(error) => return inside("failed", &format!("whom it reaches is not known: {error}"), attempts),
        };
        let Some(report) = report::report(&notice, look, &self.links) else {
            let organization_id = notice.organization_id;
            tracing::warn!(%organization_id, "an organization is not told of its own affairs: it has no address for notices");
            return MailSent { outcome: "unaddressed", ..unneeded(UNADDRESSED) };
        };
        let mail = match composed_report(report, self.sender.clone()).await {
            Ok(mail) => mail,
            Err(error) => return inside("failed", &format!("composing failed inside: {error}"), attempts),
        };
        self.hand_over(&**transport, &mail, attempts).await
    }
}

/// What becomes of a notice that nobody can be sent.
const UNADDRESSED: &str = "not sent: the organization has no address for notices (`agentcal org update --email`)";

async fn composed_report(report: Report, sender: Sender) -> Result<Mail, tokio::task::JoinError> {
    tokio::task::spawn_blocking(move || compose_report(&report, &sender)).await
}

/// Templates take their time, and are worked through where nothing else waits.
async fn composed(notice: Notice, sender: Sender, templates: Templates) -> Result<Composed, tokio::task::JoinError> {
    tokio::task::spawn_blocking(move || compose(&notice, &sender, &templates)).await
}

fn kind_of(event: MailEvent) -> MailKind {
    match event {
        MailEvent::Confirmation => MailKind::Confirmation,
        MailEvent::Reschedule { .. } => MailKind::Reschedule,
        MailEvent::Cancellation => MailKind::Cancellation,
        MailEvent::Reminder { .. } => MailKind::Reminder,
    }
}

fn unneeded(said: &str) -> MailSent {
    MailSent { outcome: "unneeded", said: said.to_owned(), next: JobNext::Done }
}

fn inside(outcome: &'static str, said: &str, attempts: u32) -> MailSent {
    let next = if attempts < TRIES_INSIDE_MAX { JobNext::Again(WAIT_INSIDE) } else { JobNext::GiveUp };
    MailSent { outcome, said: said.to_owned(), next }
}
