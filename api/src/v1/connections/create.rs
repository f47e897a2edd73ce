use agentcal_engine::ids::AccountId;
use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::{Credentials, Discovery};
use http::StatusCode;

use super::ConnectionView;
use super::body::NewConnection;
use super::found::{CALENDARS_MAX, Connected, connection_of, ring};
use crate::caller::Cx;
use crate::error::{ApiError, FieldCode};
use crate::extract::{Body, NamedParam, Query};
use crate::idempotency::{Settled, keep};
use crate::refusals::of_connecting;
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;
use crate::v1::wire::zone_of;

/// Connect calendars without OAuth.
///
/// Credentials are tried before the answer. Every calendar found begins to sync at once, used by a user or not.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/connections", tag = "connections", params(("account_id" = String, Path)),
    request_body = NewConnection, responses((status = 201, description = "The connection", body = ConnectionView))
)]
pub(super) async fn create_connection(
    cx: Cx,
    _: Query<NoQuery>,
    Body(body): Body<NewConnection>,
) -> Result<Answer<ConnectionView>, ApiError> {
    let (zone, now) = (zone_of(&cx.config().await?.account), cx.app.now());
    let answer =
        |settled| Answer::settled(StatusCode::CREATED, settled, |connected| ConnectionView::of(connected, zone, now));
    let key = cx.idempotency(&body);
    if let Some(kept) = cx.replay::<Connected>(key.as_ref()).await? {
        return Ok(answer(kept));
    }
    let (kind, credentials) = body.read(cx.app.parts.entropy.as_ref())?;
    let discovery = discover(&cx, kind, &credentials).await?;
    let connected = connection_of(&cx.app, cx.account_id(), kind, discovery, zone);
    let kept = keep(key, &connected)?;
    let (connection, calendars) = &connected;
    let store = cx.app.store();
    let write = store.create_connection(&cx.tenant, connection, &credentials, calendars, kept.as_ref()).await?;
    let settled = Settled::of(write, connected, AccountId::KIND)?;
    if !settled.replayed {
        cx.app.parts.scheduler.config_changed(cx.account_id()).await;
        ring(&cx.app, cx.account_id(), &settled.value.1);
    }
    Ok(answer(settled))
}

async fn discover(cx: &Cx, kind: ProviderKind, credentials: &Credentials) -> Result<Discovery, ApiError> {
    let provider =
        cx.app.parts.providers.get(kind).ok_or_else(|| {
            ApiError::field("provider", FieldCode::UnknownValue, "is not offered by this installation")
        })?;
    let deadline = cx.app.parts.settings.discover_deadline;
    let discovery = tokio::time::timeout(deadline, provider.discover(credentials)).await.map_err(|elapsed| {
        tracing::info!(error = %elapsed, deadline_s = deadline.as_secs(), "a provider did not answer a discovery");
        ApiError::field("server_url", FieldCode::Unreachable, "did not answer in time")
    })?;
    let discovery = discovery.map_err(|error| of_connecting(&error))?;
    if discovery.calendars.len() > CALENDARS_MAX {
        let detail = format!(
            "offers {} calendars, more than the {CALENDARS_MAX} one connection may have",
            discovery.calendars.len()
        );
        return Err(ApiError::field("server_url", FieldCode::TooLong, detail));
    }
    Ok(discovery)
}
