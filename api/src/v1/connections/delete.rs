use agentcal_engine::ids::{CalendarId, ConnectionId, UserId};
use agentcal_engine::model::Calendar;
use agentcal_engine::ports::AccountConfig;

use crate::caller::Cx;
use crate::error::ApiError;
use crate::extract::{NamedParam, PathId, Query};
use crate::idempotency::{Settled, keep};
use crate::v1::answer::Done;
use crate::v1::lists::NoQuery;

/// Delete a connection.
///
/// Its calendars are no longer watched and forgotten; its credentials are given back where the provider takes them, and
/// destroyed. Users lose the calendars from `calendar_id` and
/// `busy_calendar_ids`; their bookings stay. Events already written to the calendars stay there.
#[utoipa::path(
    delete, path = "/v1/accounts/{account_id}/connections/{connection_id}", tag = "connections",
    params(("account_id" = String, Path), ("connection_id" = String, Path)),
    responses((status = 204, description = "Deleted"))
)]
pub(super) async fn delete_connection(
    cx: Cx,
    PathId(connection_id): PathId<ConnectionId>,
    _: Query<NoQuery>,
) -> Result<Done, ApiError> {
    let key = cx.idempotency(&());
    if let Some(kept) = cx.replay::<()>(key.as_ref()).await? {
        return Ok(Done::no_content(&kept));
    }
    let kept = keep(key, &())?;
    let _turn = cx.app.config_turn(cx.account_id()).await;
    let config = cx.config().await?;
    let calendars = calendars_of(&config, connection_id);
    let own = |calendar: &&Calendar| calendar.connection_id == Some(connection_id);
    let farewell = cx.app.parts.scheduler.farewell(config.calendars.iter().filter(own)).await?;
    let homes = fresh_homes(&cx, &config);
    let write =
        cx.app.store().delete_connection(&cx.tenant, connection_id, &homes, cx.app.now(), kept.as_ref()).await?;
    let settled = Settled::of(write, (), ConnectionId::KIND)?;
    if !settled.replayed {
        cx.app.parts.scheduler.config_changed(cx.account_id()).await;
        cx.app.parts.scheduler.forget(&calendars).await;
        farewell.say_later();
    }
    Ok(Done::no_content(&settled))
}

fn calendars_of(config: &AccountConfig, connection_id: ConnectionId) -> Vec<CalendarId> {
    let of_connection = config.calendars.iter().filter(|calendar| calendar.connection_id == Some(connection_id));
    of_connection.map(|calendar| calendar.id).collect()
}

/// One for every user with a calendar: which of them lose theirs is for the store to see.
fn fresh_homes(cx: &Cx, config: &AccountConfig) -> Vec<(UserId, CalendarId)> {
    let (now, entropy) = (cx.app.now(), cx.app.parts.entropy.as_ref());
    let with_calendar = config.users.iter().filter(|(user, _)| user.calendar_id.is_some());
    with_calendar.map(|(user, _)| (user.id, CalendarId::mint(now, entropy))).collect()
}
