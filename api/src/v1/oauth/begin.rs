use std::time::Duration;

use agentcal_engine::ids::{AccountId, mint_uuid};
use agentcal_engine::model::{Mode, ProviderKind};
use agentcal_engine::oauth::{RedirectTarget, RedirectUrl};
use agentcal_engine::ports::{ConsentRequest, OauthAttempt, OauthClient, StoreError, Write};
use agentcal_engine::signed::ConsentState;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{callback_url, name};
use crate::caller::Cx;
use crate::error::{ApiError, Code, FieldCode};
use crate::extract::{NamedParam as _, Query};
use crate::parts::OauthSettings;
use crate::v1::answer::Answer;

/// How long somebody may take to consent, second factors and all.
const ATTEMPT_TTL: Duration = Duration::from_secs(15 * 60);
/// Bytes of chance in a verifier (RFC 7636, section 7.1).
const VERIFIER_LEN: usize = 32;

/// Where the browser goes in the end.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BeginQuery {
    /// An address in the organization's list, by origin and path. `connection_id`, or `error` and `error_description`, are
    /// added to its query.
    #[param(value_type = String, required = true, max_length = 2048, example = "https://app.example.com/calendars")]
    redirect_url: Option<String>,
}

/// Where to send somebody.
#[derive(Serialize, ToSchema)]
#[schema(as = Consent)]
pub(super) struct ConsentView {
    /// The page on which the calendar's owner consents. Good once, for 15 minutes.
    #[schema(format = "uri")]
    url: String,
}

/// Connect a Google calendar.
///
/// Send the calendar's owner to `url`. When they have consented, the browser goes to `redirect_url` with `connection_id` in
/// its query, and every calendar found begins to sync; else with `error` and `error_description`. Somebody who connects the
/// same mailbox again mends its connection, which keeps its id and its calendars.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/oauth/google", tag = "connections",
    params(("account_id" = String, Path), BeginQuery),
    responses((status = 200, description = "Where to send the calendar's owner", body = ConsentView))
)]
pub(super) async fn begin_google(cx: Cx, Query(query): Query<BeginQuery>) -> Result<Answer<ConsentView>, ApiError> {
    begin(&cx, ProviderKind::Google, &query).await
}

/// Connect a Microsoft 365 calendar.
///
/// Like connecting a Google calendar.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/oauth/microsoft", tag = "connections",
    params(("account_id" = String, Path), BeginQuery),
    responses((status = 200, description = "Where to send the calendar's owner", body = ConsentView))
)]
pub(super) async fn begin_microsoft(cx: Cx, Query(query): Query<BeginQuery>) -> Result<Answer<ConsentView>, ApiError> {
    begin(&cx, ProviderKind::Microsoft, &query).await
}

async fn begin(cx: &Cx, provider: ProviderKind, query: &BeginQuery) -> Result<Answer<ConsentView>, ApiError> {
    let oauth = cx.app.parts.oauth.as_ref().ok_or_else(|| not_configured(provider))?;
    let target = target(cx, oauth, query.redirect_url.as_deref()).await?;
    let client = client(cx, oauth, provider).await?.ok_or_else(|| not_configured(provider))?;
    let entropy = cx.app.parts.entropy.as_ref();
    let mut verifier = [0u8; VERIFIER_LEN];
    entropy.fill(&mut verifier);
    let attempt = OauthAttempt {
        id: mint_uuid(cx.app.now(), entropy),
        tenant: cx.tenant,
        provider,
        client_id: client.client_id.clone(),
        redirect_url: target.to_string(),
        verifier: URL_SAFE_NO_PAD.encode(verifier),
        expires_at: cx.app.parts.scheduler.store_now().await + ATTEMPT_TTL,
    };
    if oauth.store.begin_attempt(&attempt).await? != Write::Done {
        return Err(ApiError::not_found(AccountId::KIND));
    }
    let state = ConsentState { account_id: cx.account_id(), attempt_id: attempt.id };
    let request = ConsentRequest {
        redirect_uri: callback_url(&cx.app, provider),
        state: state.token(&cx.app.parts.signing),
        verifier: attempt.verifier,
    };
    let url = oauth.issuer.consent_url(provider, &client, &request).map_err(|error| {
        tracing::error!(%error, "an address to consent at cannot be made: is AGENTCAL_PUBLIC_URL right?");
        ApiError::new(Code::InternalError, "the address to consent at cannot be made")
    })?;
    Ok(Answer::ok(ConsentView { url }))
}

/// The organization's own client, or the installation's.
async fn client(cx: &Cx, oauth: &OauthSettings, provider: ProviderKind) -> Result<Option<OauthClient>, StoreError> {
    let brought = oauth.store.oauth_client(cx.tenant.organization_id, provider).await?;
    Ok(brought.or_else(|| oauth.issuer.client(provider)))
}

/// Where the browser goes in the end, which somebody has listed.
async fn target(cx: &Cx, oauth: &OauthSettings, text: Option<&str>) -> Result<RedirectTarget, ApiError> {
    const FIELD: &str = "redirect_url";
    let text = text.ok_or_else(|| ApiError::field(FIELD, FieldCode::Required, "must be sent"))?;
    let target = RedirectTarget::parse(text)
        .map_err(|refusal| ApiError::field(FIELD, FieldCode::InvalidFormat, refusal.to_string()))?;
    if target.is_plain() && cx.tenant.mode == Mode::Live && !cx.app.parts.settings.dev {
        let detail = "must be https; http on the browser's own machine is for test keys";
        return Err(ApiError::field(FIELD, FieldCode::InvalidFormat, detail));
    }
    let listed = oauth.store.redirect_urls(cx.tenant.organization_id).await?;
    let is_listed = oauth.redirect_urls.iter().any(|url| url.admits(&target))
        || listed.iter().any(|url| RedirectUrl::parse(url).is_ok_and(|url| url.admits(&target)));
    if !is_listed {
        let detail = "is not among the addresses browsers may come back to, by origin and path; its administrator adds \
                      it with `agentcal org redirect-url add`";
        return Err(ApiError::field(FIELD, FieldCode::NotListed, detail));
    }
    Ok(target)
}

fn not_configured(provider: ProviderKind) -> ApiError {
    let name = name(provider);
    ApiError::new(
        Code::ProviderNotConfigured,
        format!(
            "this installation has no OAuth client at {name}; its administrator sets one, or brings the organization's"
        ),
    )
}
