//! Connections that are kept for the next mail.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::connect::connect;
use super::session::{Session, not_begun};
use super::settings::SmtpSettings;
use crate::message::Mail;
use crate::transport::{Delivery, Transport, Trouble};

/// Mails after which a connection is closed; many servers close theirs at a hundred.
const MAILS_PER_CONNECTION_MAX: u32 = 50;

/// Sends mails to a server over SMTP, over a few connections that are used again.
pub struct SmtpTransport {
    settings: SmtpSettings,
    permits: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    session: Session,
    since: Instant,
}

impl SmtpTransport {
    /// Connects to nothing yet.
    pub fn new(settings: SmtpSettings) -> Self {
        let permits = Semaphore::new(settings.connections_max.max(1));
        Self { settings, permits, idle: Mutex::new(Vec::new()) }
    }

    /// Connects, encrypts and logs in, and sends nothing: whether the settings are right.
    ///
    /// # Errors
    /// What went wrong.
    pub async fn check(&self) -> Result<(), Trouble> {
        let mut connection = connect(&self.settings).await?;
        // Whether the server says goodbye is its own affair.
        let _ = timeout(self.settings.timeouts.connect, connection.quit()).await;
        Ok(())
    }

    /// A connection that was kept and still stands, else a new one.
    async fn session(&self) -> Result<Session, Trouble> {
        while let Some(mut session) = self.kept() {
            let stands = timeout(self.settings.timeouts.connect, session.reset()).await;
            if stands.unwrap_or(false) {
                return Ok(session);
            }
        }
        let connection = connect(&self.settings).await?;
        Ok(Session { connection, timeouts: self.settings.timeouts, mails: 0, is_ready: true })
    }

    /// The connection that was used last, of those that are not too old.
    fn kept(&self) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| kept.since.elapsed() < self.settings.timeouts.idle);
        idle.pop().map(|kept| kept.session)
    }

    fn keep(&self, session: Session) {
        if session.is_ready && session.mails < MAILS_PER_CONNECTION_MAX {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(Idle { session, since: Instant::now() });
        }
    }
}

#[async_trait]
impl Transport for SmtpTransport {
    async fn send(&self, mail: &Mail) -> Vec<Delivery> {
        let _permit = self.permits.acquire().await.expect("nobody closes it");
        let mut session = match self.session().await {
            Ok(session) => session,
            Err(trouble) => return not_begun(mail, trouble),
        };
        let deliveries = session.deliver(mail).await;
        self.keep(session);
        deliveries
    }
}
