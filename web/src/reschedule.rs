//! Choosing another time, and moving the booking there.

use std::sync::Arc;

use agentcal_engine::calendar::request::{CommitAnswer, Refusal};
use agentcal_engine::civil::date_of;
use axum::Form;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::response::Response;
use chrono::NaiveDate;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::book::Card;
use crate::outcome;
use crate::page;
use crate::parts::WebParts;
use crate::times::{Day, Times, by_day, search};
use crate::trouble::Trouble;
use crate::visit::Visit;
use crate::words;

/// Which days to show.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wish {
    #[serde(default)]
    date: String,
}

/// The time that was chosen.
#[derive(Debug, Deserialize)]
pub(crate) struct Choice {
    #[serde(default)]
    start: String,
}

/// Shows open times.
pub(crate) async fn choose(
    State(parts): State<Arc<WebParts>>,
    visit: Visit,
    wish: Result<Query<Wish>, QueryRejection>,
) -> Result<Response, Trouble> {
    let wanted = wish.ok().and_then(|Query(wish)| wish.date.parse::<NaiveDate>().ok());
    offer(&parts, &visit, wanted, Problem::None).await
}

/// Moves the booking. Sent again, it finds the booking where it shall be, and that is a success.
pub(crate) async fn reschedule(
    State(parts): State<Arc<WebParts>>,
    visit: Visit,
    form: Result<Form<Choice>, FormRejection>,
) -> Result<Response, Trouble> {
    let Form(choice) = form?;
    let Some(start) = words::read_machine(&choice.start) else {
        return offer(&parts, &visit, None, Problem::NothingChosen).await;
    };
    match visit.commit(&parts, visit.move_to(start)).await {
        CommitAnswer::Committed(_) | CommitAnswer::Replayed(_) => Ok(outcome::done(&visit, "moved")),
        CommitAnswer::Refused(refusal) => {
            let day = date_of(start, visit.booking().timezone);
            offer(&parts, &visit, Some(day), Problem::Taken(&refusal)).await
        }
        CommitAnswer::Rejected(rejection) => outcome::rejected(&parts, &visit, rejection).await,
        other => Err(outcome::undecided(&other)),
    }
}

/// Why times are shown once more.
enum Problem<'a> {
    None,
    NothingChosen,
    Taken(&'a Refusal),
}

#[derive(Serialize)]
struct ReschedulePage {
    card: Card,
    alert: Option<&'static str>,
    near: Vec<Day>,
    times: Times,
}

/// The page with open times, unless the booking cannot be moved at all.
async fn offer(
    parts: &WebParts,
    visit: &Visit,
    wanted: Option<NaiveDate>,
    problem: Problem<'_>,
) -> Result<Response, Trouble> {
    let ask = match visit.may_move() {
        Ok(ask) => ask,
        Err(rejection) => return outcome::told(visit, rejection),
    };
    let zone = visit.booking().timezone;
    let (status, alert, near) = match problem {
        Problem::None => (StatusCode::OK, None, Vec::new()),
        Problem::NothingChosen => {
            (StatusCode::UNPROCESSABLE_ENTITY, Some("Please choose one of the times."), Vec::new())
        }
        Problem::Taken(refusal) => {
            let near = by_day(refusal.alternatives.iter().map(|slot| slot.start), zone);
            let text = "That time is no longer open. Nothing was changed: your booking is still at the time below.";
            (StatusCode::CONFLICT, Some(text), near)
        }
    };
    // With times near the one that was lost, the page need not show all the others as well.
    let times = if near.is_empty() { search(parts, visit, &ask, wanted).await? } else { Times::default() };
    Ok(page::html(status, "reschedule.html", &ReschedulePage { card: Card::of(visit), alert, near, times }))
}
