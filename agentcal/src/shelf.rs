//! The folder of mails that were not sent, as the engine's shelf.

use agentcal_delivery_mail::{Outbox, OutboxMail};
use agentcal_engine::ports::{MailShelf, ShelvedMail, StoreError};
use async_trait::async_trait;

/// The outbox, for whoever reads it.
#[derive(Clone, Debug)]
pub(crate) struct Shelf(pub(crate) Outbox);

#[async_trait]
impl MailShelf for Shelf {
    async fn list(&self, limit: usize) -> Result<Vec<ShelvedMail>, StoreError> {
        let mails = self.0.list(limit).await.map_err(|error| StoreError::Unavailable(error.into()))?;
        Ok(mails.into_iter().map(shelved).collect())
    }

    async fn read(&self, name: &str) -> Result<Option<(ShelvedMail, Vec<u8>)>, StoreError> {
        let found = self.0.read(name).await.map_err(|error| StoreError::Unavailable(error.into()))?;
        Ok(found.map(|(mail, bytes)| (shelved(mail), bytes)))
    }
}

fn shelved(mail: OutboxMail) -> ShelvedMail {
    let OutboxMail { name, message_id: _, at, to, subject, text, html, invitation } = mail;
    ShelvedMail { name, at, to, subject, text, html, invitation }
}
