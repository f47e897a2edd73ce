//! What the store has of a request: what it names, and what it made in an earlier attempt.

use agentcal_engine::calendar::ask::Stored;
use agentcal_engine::calendar::attempt::replayed;
use agentcal_engine::calendar::request::{CommitAnswer, CommitKind, CommitRequest, HoldSelection, Made};
use agentcal_engine::model::HoldState;
use agentcal_engine::ports::{StoreError, Write};

use crate::context::Context;

/// What a request that was performed has made, as it now is.
pub(crate) async fn what_is_there(context: &Context, request: &CommitRequest) -> Result<Option<Made>, StoreError> {
    let (store, account_id) = (&context.parts.store, request.tenant.account_id);
    Ok(match &request.kind {
        CommitKind::Reschedule { booking_id, .. } | CommitKind::Cancel { booking_id, .. } => {
            store.booking(account_id, *booking_id).await?.map(|item| Made::Booking(Box::new(item.booking)))
        }
        CommitKind::Extend { hold_id, .. } => {
            store.hold(account_id, *hold_id).await?.map(|item| Made::Hold(Box::new(item.hold)))
        }
        CommitKind::Release(HoldSelection::One(hold_id)) => Some(Made::Released(vec![*hold_id])),
        // Which of them this very request gave back is not known any more; none is left, and that is what was asked.
        CommitKind::Release(HoldSelection::Session(_)) => Some(Made::Released(Vec::new())),
        CommitKind::Book(_) | CommitKind::Confirm(_) | CommitKind::Hold(_) => made_before(context, request).await?,
    })
}

/// What the store has of what a request names; for something new, whether it is there already, where that may be.
pub(crate) async fn stored(
    context: &Context,
    request: &CommitRequest,
    may_be_there: bool,
) -> Result<Stored, StoreError> {
    let (store, account_id) = (&context.parts.store, request.tenant.account_id);
    let mut stored = Stored::default();
    match &request.kind {
        CommitKind::Reschedule { booking_id, .. } | CommitKind::Cancel { booking_id, .. } => {
            stored.booking = store.booking(account_id, *booking_id).await?;
        }
        CommitKind::Book(book) if may_be_there => stored.booking = store.booking(account_id, book.booking_id).await?,
        CommitKind::Book(_) => {}
        CommitKind::Confirm(confirm) => {
            stored.holds.extend(store.hold(account_id, confirm.hold_id).await?);
            if may_be_there {
                stored.booking = store.booking(account_id, confirm.booking_id).await?;
            }
        }
        CommitKind::Hold(hold) if may_be_there => stored.holds.extend(store.hold(account_id, hold.hold_id).await?),
        CommitKind::Hold(_) => {}
        CommitKind::Extend { hold_id, .. } | CommitKind::Release(HoldSelection::One(hold_id)) => {
            stored.holds.extend(store.hold(account_id, *hold_id).await?);
        }
        CommitKind::Release(HoldSelection::Session(session_id)) => {
            stored.holds = store.live_holds_of_session(account_id, session_id).await?;
        }
    }
    Ok(stored)
}

/// Whether the store has what was planned.
pub(crate) async fn is_there(context: &Context, request: &CommitRequest, made: &Made) -> Result<bool, StoreError> {
    let (store, account_id) = (&context.parts.store, request.tenant.account_id);
    Ok(match made {
        Made::Booking(planned) => store
            .booking(account_id, planned.id)
            .await?
            .is_some_and(|item| item.booking.sequence == planned.sequence && item.booking.range == planned.range),
        Made::Hold(planned) => store
            .hold(account_id, planned.id)
            .await?
            .is_some_and(|item| item.hold.expires_at == planned.expires_at && item.hold.state == planned.state),
        Made::Released(hold_ids) => {
            for &hold_id in hold_ids {
                let item = store.hold(account_id, hold_id).await?;
                if item.is_some_and(|item| !matches!(item.state(), HoldState::Released | HoldState::Expired)) {
                    return Ok(false);
                }
            }
            true
        }
    })
}

/// What this very request made in an earlier attempt.
pub(crate) async fn made_before(context: &Context, request: &CommitRequest) -> Result<Option<Made>, StoreError> {
    let (store, account_id) = (&context.parts.store, request.tenant.account_id);
    Ok(match &request.kind {
        CommitKind::Book(book) => {
            store.booking(account_id, book.booking_id).await?.map(|item| Made::Booking(Box::new(item.booking)))
        }
        CommitKind::Confirm(confirm) => {
            store.booking(account_id, confirm.booking_id).await?.map(|item| Made::Booking(Box::new(item.booking)))
        }
        CommitKind::Hold(hold) => {
            store.hold(account_id, hold.hold_id).await?.map(|item| Made::Hold(Box::new(item.hold)))
        }
        CommitKind::Reschedule { .. }
        | CommitKind::Cancel { .. }
        | CommitKind::Extend { .. }
        | CommitKind::Release(_) => None,
    })
}

pub(crate) async fn kept_answer(
    context: &Context,
    request: &CommitRequest,
) -> Result<Option<CommitAnswer>, StoreError> {
    let Some(key) = &request.idempotency else { return Ok(None) };
    let tenant = &request.tenant;
    let store = &context.parts.store;
    Ok(match store.kept_answer(tenant.organization_id, Some(tenant.account_id), key).await? {
        Write::Replayed(answer) => Some(replayed(&request.kind, &answer)),
        Write::IdempotencyMismatch => Some(CommitAnswer::IdempotencyMismatch),
        Write::Done | Write::Stale | Write::Missing | Write::Refused(_) => None,
    })
}
