//! Holds: one owner, an end by the store's clock, and only live ones become bookings.

use agentcal_engine::model::HoldState;
use agentcal_history::{Event, Operation, Outcome};

use crate::sketch::*;

fn confirmed() -> HoldState {
    HoldState::Confirmed(booking_id(1))
}

#[test]
fn confirmed_at_the_moment_of_expiry_and_sold_to_another() {
    let finale = nothing().booking(1, 1, 9).hold(1, 1, 9, 100, confirmed());
    let held = hold(0, 1, 1, 1, 9, 100);
    is_wrong("expired", &[held.clone(), confirm(101, 102, 1, 1, 9)], &finale, &["confirmed_expired"]);
    is_sound("in time", &[held.clone(), confirm(99, 102, 1, 1, 9)], &finale);
    let extension =
        event(50, 51, Operation::Extend { hold_id: hold_id(1) }, Outcome::Hold(crate::sketch::held(1, 1, 9, 200)));
    is_sound("extended", &[held.clone(), extension.clone(), confirm(101, 102, 1, 1, 9)], &finale);
    is_sound("perhaps extended", &[held, in_doubt(extension), confirm(101, 102, 1, 1, 9)], &finale);
}

#[test]
fn a_replayed_confirmation_was_made_in_time() {
    let finale = nothing().booking(1, 1, 9).hold(1, 1, 9, 100, confirmed());
    let lost = keyed(in_doubt(confirm(99, 100, 1, 1, 9)), "k");
    let again = replayed(keyed(confirm(130, 131, 1, 1, 9), "k"));
    is_sound("replayed", &[hold(0, 1, 1, 1, 9, 100), lost, again], &finale);
}

#[test]
fn a_released_hold_is_not_confirmed() {
    let finale = nothing().booking(1, 1, 9).hold(1, 1, 9, 100, confirmed());
    let held = hold(0, 1, 1, 1, 9, 100);
    is_wrong("released", &[held.clone(), release(2, 3, 1), confirm(4, 5, 1, 1, 9)], &finale, &["confirmed_released"]);
    is_sound("released meanwhile", &[held.clone(), release(2, 6, 1), confirm(4, 5, 1, 1, 9)], &finale);
    let session =
        |from: i64, to: i64| event(from, to, Operation::ReleaseSession { session_id: "s".into() }, Outcome::Done);
    is_wrong(
        "its session was released",
        &[held.clone(), session(2, 3), confirm(4, 5, 1, 1, 9)],
        &finale,
        &["confirmed_released"],
    );
    is_sound("its session was released before", &[session(-3, -2), held, confirm(4, 5, 1, 1, 9)], &finale);
}

#[test]
fn a_hold_becomes_one_booking() {
    let second = |event: Event| {
        let operation = Operation::Book { intent: "2".into(), wish: wish(1, 9), hold_id: Some(hold_id(1)) };
        Event {
            operation,
            answer: event.answer.map(|mut answer| {
                answer.outcome = Outcome::Booking(seen(2, 1, 9));
                answer
            }),
            ..event
        }
    };
    let finale = nothing().booking(1, 1, 9).cancelled(2, 1, 9).hold(1, 1, 9, 100, confirmed());
    let events =
        [hold(0, 1, 1, 1, 9, 100), confirm(2, 3, 1, 1, 9), second(confirm(4, 5, 1, 1, 9)), cancel(4, 6, 2, 1, 9)];
    is_wrong("two bookings", &events, &finale, &["confirmed_twice"]);
}

#[test]
fn an_acknowledged_hold_is_there_for_a_day() {
    let held = [hold(0, 1, 1, 1, 9, 100)];
    is_wrong("lost", &held, &nothing(), &["hold_lost"]);
    is_sound("expired", &held, &nothing().hold(1, 1, 9, 100, HoldState::Active));
    let mut later = nothing();
    later.at = at(100 + 86_400);
    is_sound("tidied after a day", &held, &later);
}

#[test]
fn a_hold_is_in_a_state_the_answers_explain() {
    let held = hold(0, 1, 1, 1, 9, 2_000);
    let released = nothing().hold(1, 1, 9, 2_000, HoldState::Released);
    let active = nothing().hold(1, 1, 9, 2_000, HoldState::Active).hold_claim(1, 1, 9, 2_000);
    is_wrong("released by nobody", std::slice::from_ref(&held), &released, &["hold_altered"]);
    is_sound("active", std::slice::from_ref(&held), &active);
    is_wrong("not released", &[held.clone(), release(2, 3, 1)], &active, &["hold_altered"]);
    is_sound("perhaps released", &[held.clone(), in_doubt(release(2, 3, 1))], &active);
    is_sound("released", &[held, release(2, 3, 1)], &released);
}

#[test]
fn a_live_hold_takes_its_time_and_an_ended_one_does_not() {
    let held = [hold(0, 1, 1, 1, 9, 2_000)];
    is_wrong("no claim", &held, &nothing().hold(1, 1, 9, 2_000, HoldState::Active), &["claim_missing"]);
    let ended = [hold(0, 1, 1, 1, 9, 2_000), release(2, 3, 1)];
    let still = nothing().hold(1, 1, 9, 2_000, HoldState::Released).hold_claim(1, 1, 9, 2_000);
    is_wrong("still taken", &ended, &still, &["claim_astray"]);
    let expired = nothing().hold(1, 1, 9, 100, HoldState::Active).hold_claim(1, 1, 9, 100);
    is_sound("expired and not tidied", &[hold(0, 1, 1, 1, 9, 100)], &expired);
}

#[test]
fn a_held_time_is_sold_to_nobody_else() {
    let finale = nothing().hold(1, 1, 9, 100, HoldState::Active).booking(2, 1, 9);
    is_wrong("held", &[hold(0, 1, 1, 1, 9, 100), book(2, 3, 2, 1, 9)], &finale, &["sold_twice"]);
    is_sound("expired", &[hold(0, 1, 1, 1, 9, 100), book(99, 101, 2, 1, 9)], &finale);
}

#[test]
fn nobody_holds_unasked() {
    let finale = nothing().hold(1, 1, 9, 100, HoldState::Active);
    is_wrong("no request", &[], &finale, &["hold_unasked"]);
    is_sound("in doubt", &[in_doubt(hold(0, 1, 1, 1, 9, 100))], &finale);
    let both = finale.hold(2, 1, 9, 300, HoldState::Active);
    let lost = in_doubt(hold(0, 1, 1, 1, 9, 100));
    is_wrong("one request", std::slice::from_ref(&lost), &both, &["hold_unasked"]);
    let again = hold(100, 101, 2, 1, 9, 300);
    is_sound("two requests", &[lost.clone(), again.clone()], &both);
    is_wrong("two under one key", &[keyed(lost, "k"), keyed(again, "k")], &both, &["hold_unasked"]);
}
