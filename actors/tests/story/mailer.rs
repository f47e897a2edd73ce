//! A way out for mails that does as the attendee's name says.

use std::sync::{Mutex, MutexGuard, PoisonError};

use agentcal_engine::followups::MailFor;
use agentcal_engine::ports::{JobNext, MailSent, Mailer, OutboundMail, OutboundNotice};
use async_trait::async_trait;
use tokio::sync::Semaphore;

/// Delivers to everybody, to `Later` with the third try, and to `Slow` when it is let go.
pub(crate) struct ScriptedMailer {
    sent: Mutex<Vec<OutboundMail>>,
    notices: Mutex<Vec<OutboundNotice>>,
    gate: Semaphore,
}

impl Default for ScriptedMailer {
    fn default() -> Self {
        Self { sent: Mutex::default(), notices: Mutex::default(), gate: Semaphore::new(0) }
    }
}

impl ScriptedMailer {
    /// What was sent, in order.
    pub(crate) fn sent(&self) -> Vec<OutboundMail> {
        lock(&self.sent).clone()
    }

    /// What organizations were told, in order.
    pub(crate) fn notices(&self) -> Vec<OutboundNotice> {
        lock(&self.notices).clone()
    }

    /// Delivers everything that waits, and all that comes.
    pub(crate) fn let_go(&self) {
        self.gate.close();
    }
}

#[async_trait]
impl Mailer for ScriptedMailer {
    fn mails_for(&self) -> MailFor {
        MailFor { live: false, test: true }
    }

    async fn send(&self, mail: OutboundMail) -> MailSent {
        let (name, attempts) = (mail.work.booking.attendee.name.clone(), mail.attempts);
        lock(&self.sent).push(mail);
        if name == "Slow" {
            // Closing it lets everybody through.
            let _ = self.gate.acquire().await;
        }
        if name == "Later" && attempts < 3 {
            let next = JobNext::Again(std::time::Duration::from_millis(1));
            return MailSent { outcome: "later", said: "451 not now".into(), next };
        }
        MailSent { outcome: "delivered", said: "250 ok".into(), next: JobNext::Done }
    }

    async fn send_notice(&self, notice: OutboundNotice) -> MailSent {
        lock(&self.notices).push(notice);
        MailSent { outcome: "delivered", said: "250 ok".into(), next: JobNext::Done }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
