use agentcal_engine::calendar::request::Meeting;
use agentcal_engine::ids::HoldId;
use agentcal_engine::model::{AdHocMeeting, Hold};
use agentcal_engine::ports::AccountConfig;
use agentcal_engine::time::{MINUTE_US, Timestamp};

use super::view::{HoldView, zone_of_hold};
use crate::caller::{Cx, PublicCx};
use crate::error::ApiError;
use crate::extract::{NamedParam, PathId, Query};
use crate::v1::answer::Answer;
use crate::v1::event_types::find_event_type;
use crate::v1::lists::NoQuery;

/// Read a hold, whether it is active or not. Publishable keys read holds of public event types.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/holds/{hold_id}", tag = "holds",
    params(("account_id" = String, Path), ("hold_id" = String, Path)),
    responses((status = 200, description = "The hold", body = HoldView))
)]
pub(super) async fn get_hold(
    cx: PublicCx,
    PathId(hold_id): PathId<HoldId>,
    _: Query<NoQuery>,
) -> Result<Answer<HoldView>, ApiError> {
    let config = cx.unchecked().config().await?;
    let (cx, hold) = find_hold(&cx, hold_id, &config).await?;
    let zone = zone_of_hold(&hold, &config);
    let now = cx.app.parts.scheduler.store_now().await;
    Ok(Answer::ok(HoldView::at(hold, now, zone)))
}

/// A hold this key may see: publishable ones see those of public event types, and others as little as missing ones.
pub(super) async fn find_hold<'a>(
    cx: &'a PublicCx,
    hold_id: HoldId,
    config: &AccountConfig,
) -> Result<(&'a Cx, Hold), ApiError> {
    let hold = stored_hold(cx.unchecked(), hold_id).await?.filter(|hold| may_see(cx.unchecked(), hold, config));
    hold.map(|hold| (cx.unchecked(), hold)).ok_or_else(|| ApiError::not_found(HoldId::KIND))
}

fn may_see(cx: &Cx, hold: &Hold, config: &AccountConfig) -> bool {
    let is_public = || {
        let event_type = hold.event_type_id.and_then(|id| find_event_type(config, id).ok());
        event_type.is_some_and(|(event_type, _)| event_type.public)
    };
    !cx.is_publishable() || is_public()
}

/// A hold of the account, where it has one of this id.
pub(in crate::v1) async fn stored_hold(cx: &Cx, hold_id: HoldId) -> Result<Option<Hold>, ApiError> {
    Ok(cx.app.store().hold(cx.account_id(), hold_id).await?.map(|item| item.hold))
}

/// The meeting and time a hold stands for.
pub(in crate::v1) trait HoldPlace {
    /// `None` where it has no host.
    fn place(&self) -> Option<(Meeting, Timestamp)>;
}

impl HoldPlace for Hold {
    fn place(&self) -> Option<(Meeting, Timestamp)> {
        let ad_hoc = || {
            let duration_minutes = u32::try_from(self.range.len_micros() / MINUTE_US).ok()?;
            Some(Meeting::AdHoc(AdHocMeeting { user_id: *self.user_ids.first()?, duration_minutes }))
        };
        let meeting = self.event_type_id.map(Meeting::EventType).or_else(ad_hoc)?;
        Some((meeting, self.range.start))
    }
}
