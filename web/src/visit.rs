//! A visit: the link was good, and this is what it leads to.

use std::sync::Arc;

use agentcal_engine::calendar::ask::{Ask, DecideAsk, Stored, ask_of};
use agentcal_engine::calendar::request::{ChangedBy, CommitAnswer, CommitKind, CommitRequest, Intent, Rejection};
use agentcal_engine::ids::mint_uuid;
use agentcal_engine::model::{AttendeePolicy, Booking, Tenant};
use agentcal_engine::ports::{AccountConfig, BookingStoreItem, StoreError};
use agentcal_engine::signed::ManageLink;
use agentcal_engine::time::{MINUTE_US, Timestamp};
use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

use crate::parts::WebParts;
use crate::trouble::Trouble;

/// A booking, seen by its attendee.
pub(crate) struct Visit {
    token: String,
    /// The path of the booking's page.
    pub(crate) path: String,
    /// The account the booking belongs to.
    pub(crate) config: Arc<AccountConfig>,
    /// The booking.
    pub(crate) item: BookingStoreItem,
    /// The store's clock.
    pub(crate) now: Timestamp,
}

/// Follows the link that the path holds.
impl FromRequestParts<Arc<WebParts>> for Visit {
    type Rejection = Trouble;

    async fn from_request_parts(request: &mut Parts, parts: &Arc<WebParts>) -> Result<Self, Trouble> {
        match Path::<String>::from_request_parts(request, parts).await {
            Ok(Path(token)) => Self::of(parts, &token).await,
            Err(_unreadable) => Err(Trouble::NotThere),
        }
    }
}

impl Visit {
    async fn of(parts: &WebParts, token: &str) -> Result<Self, Trouble> {
        let link = ManageLink::verify(token, &parts.signing).ok_or(Trouble::NotThere)?;
        let config = parts.scheduler.config(link.account_id).await.map_err(unread)?.ok_or(Trouble::NotThere)?;
        let item = parts.store.booking(link.account_id, link.booking_id).await.map_err(unread)?;
        let item = item.ok_or(Trouble::NotThere)?;
        let now = parts.scheduler.store_now().await;
        Ok(Self { token: token.to_owned(), path: parts.path_of(token), config, item, now })
    }

    /// The same link again, leading to the booking as it is by now.
    pub(crate) async fn again(&self, parts: &WebParts) -> Result<Self, Trouble> {
        Self::of(parts, &self.token).await
    }

    /// The booking.
    pub(crate) fn booking(&self) -> &Booking {
        &self.item.booking
    }

    /// The policy the booking is under, as the engine finds it: that of its event type, while there is one.
    pub(crate) fn policy(&self) -> AttendeePolicy {
        let of = |id| self.config.event_types.iter().find(|(event_type, _)| event_type.id == id);
        let event_type = self.booking().event_type_id.and_then(of);
        event_type.map_or_else(AttendeePolicy::default, |(event_type, _)| event_type.attendee_policy)
    }

    /// The question a move would have to be decided by, asked of the engine with some other start, or why there is none.
    pub(crate) fn may_move(&self) -> Result<Box<DecideAsk>, Rejection> {
        let start = self.booking().range.start.plus_micros(MINUTE_US);
        match self.ask(&self.move_to(start)) {
            Ask::Decide(ask) => Ok(ask),
            other => Err(rejection_in(&other)),
        }
    }

    /// Whether the attendee may cancel, or why not.
    pub(crate) fn may_cancel(&self) -> Result<(), Rejection> {
        match self.ask(&self.cancellation(None)) {
            Ask::Cancel(_) => Ok(()),
            Ask::Answered(answer) if matches!(*answer, CommitAnswer::Committed(_)) => Err(Rejection::BookingCancelled),
            other => Err(rejection_in(&other)),
        }
    }

    /// The attendee's wish to have the booking at another time.
    pub(crate) fn move_to(&self, start: Timestamp) -> CommitKind {
        CommitKind::Reschedule { booking_id: self.booking().id, start, offered: false, by: ChangedBy::Attendee }
    }

    /// The attendee's wish to cancel.
    pub(crate) fn cancellation(&self, reason: Option<String>) -> CommitKind {
        CommitKind::Cancel { booking_id: self.booking().id, reason, by: ChangedBy::Attendee }
    }

    /// Commits such a wish.
    pub(crate) async fn commit(&self, parts: &WebParts, kind: CommitKind) -> CommitAnswer {
        let account = &self.config.account;
        let now = parts.clock.now();
        let request = CommitRequest {
            commit_id: mint_uuid(now, parts.entropy.as_ref()),
            tenant: Tenant { organization_id: account.organization_id, mode: account.mode, account_id: account.id },
            kind,
            intent: Intent::Commit,
            idempotency: None,
            deadline: now + parts.settings.commit_deadline,
        };
        parts.scheduler.commit(request).await
    }

    fn ask(&self, kind: &CommitKind) -> Ask {
        ask_of(kind, &self.config, Stored::from(Some(self.item.clone())), self.now)
    }
}

fn rejection_in(ask: &Ask) -> Rejection {
    match ask {
        Ask::Answered(answer) => match **answer {
            CommitAnswer::Rejected(rejection) => rejection,
            _ => Rejection::StartOutOfRange,
        },
        _ => Rejection::BookingMissing,
    }
}

fn unread(error: StoreError) -> Trouble {
    tracing::error!(error = %error, "a booking could not be read for its page");
    Trouble::Unavailable
}
