use agentcal_engine::ids::{CalendarId, UserId};
use agentcal_engine::model::{AvailabilityRules, User};
use agentcal_engine::ports::AccountConfig;
use chrono_tz::Tz;
use http::StatusCode;

use super::{NewUser, UserView};
use crate::caller::Cx;
use crate::checks::Checks;
use crate::error::ApiError;
use crate::extract::{Body, Query};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Make a user.
///
/// A new user can be booked Monday to Friday from 09:00 to 17:00 in its zone; change that with its availability rules.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/users", tag = "users", params(("account_id" = String, Path)),
    request_body = NewUser, responses((status = 201, description = "The user", body = UserView))
)]
pub(super) async fn create_user(
    cx: Cx,
    _: Query<NoQuery>,
    Body(body): Body<NewUser>,
) -> Result<Answer<UserView>, ApiError> {
    let blank = blank(&cx);
    let settled = cx
        .write_config(
            cx.idempotency(&body),
            |config| read(&body, blank.clone(), config),
            |pen, user: &User| {
                Box::pin(async move {
                    let rules = AvailabilityRules::office_hours(user.timezone);
                    pen.store.create_user(&pen.cx.tenant, user, &rules, pen.answer).await
                })
            },
        )
        .await?;
    Ok(Answer::settled(StatusCode::CREATED, settled, UserView::from))
}

fn blank(cx: &Cx) -> User {
    let (now, entropy) = (cx.app.now(), cx.app.parts.entropy.as_ref());
    User {
        id: UserId::mint(now, entropy),
        account_id: cx.account_id(),
        name: String::new(),
        email: String::new(),
        timezone: Tz::UTC,
        calendar_id: None,
        home_calendar_id: CalendarId::mint(now, entropy),
        busy_calendar_ids: Vec::new(),
        created_at: now,
    }
}

fn read(body: &NewUser, mut user: User, config: &AccountConfig) -> Result<User, ApiError> {
    let mut checks = Checks::default();
    let sent = [("name", &body.0.name), ("email", &body.0.email), ("timezone", &body.0.timezone)];
    for (field, _) in sent.iter().filter(|(_, value)| value.0.is_none()) {
        checks.required(field);
    }
    let home = user.home_calendar_id;
    body.0.apply(&mut user, home, config, &mut checks);
    checks.finish().map(|()| user)
}
