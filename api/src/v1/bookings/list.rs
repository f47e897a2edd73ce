use agentcal_engine::model::BookingStatus;
use agentcal_engine::ports::{BookingFilter, PageRequest};
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::PHONE_LEN_MAX;
use super::view::{BookingView, StatusWire};
use crate::caller::Cx;
use crate::checks::Checks;
use crate::error::{ApiError, FieldCode};
use crate::extract::Query;
use crate::page::{List, page_request};
use crate::v1::answer::Answer;

/// Which bookings.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BookingsQuery {
    /// Where they are in their lives.
    #[param(inline, value_type = Option<StatusWire>)]
    status: Option<String>,
    /// One of the hosts.
    user_id: Option<String>,
    /// Start at or after this instant.
    #[param(format = DateTime)]
    starts_after: Option<String>,
    /// Start before this instant.
    #[param(format = DateTime)]
    starts_before: Option<String>,
    /// The attendee's e-mail address, compared without regard to case.
    #[param(format = Email)]
    attendee_email: Option<String>,
    /// The attendee's telephone number, compared by its digits and a leading plus.
    #[param(max_length = 40)]
    attendee_phone: Option<String>,
    /// Most rows of the page, 1 to 100; 20 when left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List bookings by start, then id.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/bookings", tag = "bookings",
    params(("account_id" = String, Path), BookingsQuery),
    responses((status = 200, description = "A page of bookings", body = List<BookingView>))
)]
pub(super) async fn list_bookings(
    cx: Cx,
    Query(query): Query<BookingsQuery>,
) -> Result<Answer<List<BookingView>>, ApiError> {
    let (filter, page) = query.read()?;
    let now = cx.app.parts.scheduler.store_now().await;
    let rows = cx.app.store().list_bookings(&cx.tenant, &filter, now, &page).await?;
    Ok(Answer::ok(List::of(rows, |booking| BookingView::at(&cx.app, booking, now))))
}

impl BookingsQuery {
    fn read(self) -> Result<(BookingFilter, PageRequest), ApiError> {
        let mut checks = Checks::default();
        let page = page_request(&mut checks, self.limit.as_deref(), self.cursor.as_deref());
        let filter = BookingFilter {
            status: self.status.as_deref().and_then(|status| read_status(status, &mut checks)),
            user_id: self.user_id.map(|id| checks.query_id("user_id", &id)),
            starts_after: self.starts_after.map(|instant| checks.query_instant("starts_after", &instant)),
            starts_before: self.starts_before.map(|instant| checks.query_instant("starts_before", &instant)),
            attendee_email: self.attendee_email.map(|email| checks.email("attendee_email", &email)),
            attendee_phone: self.attendee_phone.map(|phone| phone_filter(&phone, &mut checks)),
        };
        checks.finish().map(|()| (filter, page))
    }
}

fn read_status(text: &str, checks: &mut Checks) -> Option<BookingStatus> {
    match text {
        "confirmed" => Some(BookingStatus::Confirmed),
        "cancelled" => Some(BookingStatus::Cancelled),
        "completed" => Some(BookingStatus::Completed),
        _ => {
            checks.refuse("status", FieldCode::UnknownValue, "must be `confirmed`, `cancelled` or `completed`");
            None
        }
    }
}

/// A plus sign that was not percent-encoded arrives as a space, and is taken for what it was.
fn phone_filter(text: &str, checks: &mut Checks) -> String {
    let text = text.strip_prefix(' ').map_or_else(|| text.to_owned(), |rest| format!("+{rest}"));
    if text.chars().count() > PHONE_LEN_MAX || !text.chars().any(|c| c.is_ascii_digit()) {
        checks.refuse("attendee_phone", FieldCode::InvalidFormat, "must be a telephone number");
    }
    text
}
