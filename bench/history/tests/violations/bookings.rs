//! Bookings: sold once, kept, moved whole, cancelled whole, made once.

use agentcal_engine::model::HoldState;
use agentcal_history::{Event, Final, FreshnessState, Operation, Outcome};

use crate::sketch::*;

#[test]
fn two_bookings_of_one_time_are_found_in_the_store_and_in_the_answers() {
    let answers = [book(0, 1, 1, 1, 9), book(2, 3, 2, 1, 9)];
    let both = nothing().booking(1, 1, 9).booking(2, 1, 9);
    is_wrong("both", &answers, &both, &["claims_overlap", "bookings_overlap", "sold_twice"]);
    is_sound("two people", &[book(0, 1, 1, 1, 9), book(2, 3, 2, 2, 9)], &nothing().booking(1, 1, 9).booking(2, 2, 9));
    is_sound("neighbours", &[book(0, 1, 1, 1, 9), book(2, 3, 2, 1, 10)], &nothing().booking(1, 1, 9).booking(2, 1, 10));
}

#[test]
fn a_time_sold_twice_is_found_though_both_were_cancelled_later() {
    let finale = nothing().cancelled(1, 1, 9).cancelled(2, 1, 9);
    let cancels = [cancel(6, 7, 1, 1, 9), cancel(6, 7, 2, 1, 9)];
    let [first, second] = cancels;
    is_wrong(
        "both stood from 4 to 6",
        &[book(0, 1, 1, 1, 9), book(3, 4, 2, 1, 9), first.clone(), second.clone()],
        &finale,
        &["sold_twice"],
    );
    let early = cancel(2, 5, 1, 1, 9);
    is_sound("cancelled meanwhile", &[book(0, 1, 1, 1, 9), early, book(3, 4, 2, 1, 9), second], &finale);
}

#[test]
fn an_acknowledged_booking_is_there() {
    is_wrong("lost", &[book(0, 1, 1, 1, 9)], &nothing(), &["booking_lost"]);
    is_sound("kept", &[book(0, 1, 1, 1, 9)], &nothing().booking(1, 1, 9));
    is_sound("in doubt and not made", &[in_doubt(book(0, 1, 1, 1, 9))], &nothing());
    is_sound("in doubt and made", &[in_doubt(book(0, 1, 1, 1, 9))], &nothing().booking(1, 1, 9));
    let part = Final { is_whole: false, ..nothing() };
    is_sound("not looked for", &[book(0, 1, 1, 1, 9)], &part);
}

#[test]
fn an_acknowledged_booking_is_as_acknowledged() {
    let answers = [book(0, 1, 1, 1, 9)];
    is_wrong("another time", &answers, &nothing().booking(1, 1, 10), &["booking_altered"]);
    is_wrong("cancelled by nobody", &answers, &nothing().cancelled(1, 1, 9), &["booking_altered"]);
    let other_host = nothing().booking(1, 2, 9);
    is_wrong("another host", &answers, &other_host, &["booking_unasked", "booking_altered"]);
}

#[test]
fn moves_end_where_an_order_of_the_answers_puts_them() {
    let moved = [book(0, 1, 1, 1, 9), shift(2, 3, 1, 1, 10)];
    is_wrong("not moved", &moved, &nothing().booking(1, 1, 9), &["booking_altered"]);
    is_sound("moved", &moved, &nothing().booking(1, 1, 10));
    let doubtful = [book(0, 1, 1, 1, 9), in_doubt(shift(2, 3, 1, 1, 10)), shift(4, 5, 1, 1, 11)];
    is_sound("a late one", &doubtful, &nothing().booking(1, 1, 10));
    is_wrong("the first place is over", &doubtful, &nothing().booking(1, 1, 9), &["booking_altered"]);
    let racing = [book(0, 1, 1, 1, 9), shift(2, 5, 1, 1, 10), shift(3, 4, 1, 1, 11)];
    is_sound("one order", &racing, &nothing().booking(1, 1, 10));
    is_sound("the other", &racing, &nothing().booking(1, 1, 11));
}

#[test]
fn a_move_takes_all_its_time_along() {
    let moved = [book(0, 1, 1, 1, 9), shift(2, 3, 1, 1, 10)];
    let both = nothing().booking(1, 1, 10).claim(1, 1, 9);
    is_wrong("in two places", &moved, &both, &["claim_astray", "claim_twice"]);
    let mut none = nothing().booking(1, 1, 10);
    none.claims.clear();
    is_wrong("in none", &moved, &none, &["claim_missing"]);
}

#[test]
fn a_cancelled_booking_gives_its_time_back() {
    let cancelled = [book(0, 1, 1, 1, 9), cancel(2, 3, 1, 1, 9)];
    is_wrong("still taken", &cancelled, &nothing().cancelled(1, 1, 9).claim(1, 1, 9), &["claim_astray"]);
    is_sound("given back", &cancelled, &nothing().cancelled(1, 1, 9));
    is_wrong("not cancelled", &cancelled, &nothing().booking(1, 1, 9), &["booking_altered"]);
    let doubtful = [book(0, 1, 1, 1, 9), in_doubt(cancel(2, 3, 1, 1, 9))];
    is_sound("in doubt and cancelled", &doubtful, &nothing().cancelled(1, 1, 9));
    is_sound("in doubt and not", &doubtful, &nothing().booking(1, 1, 9));
}

#[test]
fn a_cancelled_booking_is_not_moved() {
    let finale = nothing().cancelled(1, 1, 10);
    let late = [book(0, 1, 1, 1, 9), cancel(2, 3, 1, 1, 9), shift(4, 5, 1, 1, 10)];
    is_wrong("moved after", &late, &finale, &["moved_after_cancel"]);
    let racing = [book(0, 1, 1, 1, 9), cancel(2, 5, 1, 1, 10), shift(3, 4, 1, 1, 10)];
    is_sound("moved meanwhile", &racing, &finale);
}

#[test]
fn a_replayed_move_was_made_when_it_was_first_sent() {
    let first = in_doubt(keyed(shift(2, 3, 1, 1, 10), "m"));
    let moved_again = shift(4, 5, 1, 1, 11);
    let replay = replayed(keyed(shift(6, 7, 1, 1, 10), "m"));
    let events = [book(0, 1, 1, 1, 9), first, moved_again, replay];
    is_sound("before another", &events, &nothing().booking(1, 1, 11));
    is_sound("after another, with its answer on the way", &events, &nothing().booking(1, 1, 10));
    is_wrong("not at all", &events, &nothing().booking(1, 1, 9), &["booking_altered"]);
    let offered = ask(8, 9, slots(&[], &[(1, 10)], FreshnessState::Complete, 8));
    let mut asked = events.to_vec();
    asked.push(offered);
    is_sound("its place is free again", &asked, &nothing().booking(1, 1, 11));
}

#[test]
fn one_key_makes_one_booking() {
    let twice = nothing().booking(1, 1, 9).booking(2, 1, 10);
    let mut one_intent = twice.clone();
    one_intent.bookings[1].metadata = one_intent.bookings[0].metadata.clone();
    let tries = |key: Option<&str>| -> Vec<Event> {
        let event = in_doubt(book(0, 1, 1, 1, 9));
        let one = key.map_or_else(|| event.clone(), |key| keyed(event.clone(), key));
        vec![one.clone(), Event { invoked_at: at(2), ..one }]
    };
    is_wrong("one key", &tries(Some("k")), &one_intent, &["booked_twice"]);
    is_sound("no key", &tries(None), &one_intent);
    is_sound("one booking", &tries(Some("k")), &nothing().booking(1, 1, 9));
}

#[test]
fn nobody_books_unasked() {
    is_wrong("no request", &[], &nothing().booking(1, 1, 9), &["booking_unasked"]);
    is_wrong("refused", &[refused(book(0, 1, 1, 1, 9))], &nothing().booking(1, 1, 9), &["booking_unasked"]);
    is_sound("refused", &[refused(book(0, 1, 1, 1, 9))], &nothing());
    let mut nameless = nothing().booking(1, 1, 9);
    nameless.bookings[0].metadata.clear();
    is_wrong("no intent", &[book(0, 1, 1, 1, 9)], &nameless, &["booking_unasked"]);
}

#[test]
fn answers_give_what_was_asked_for() {
    let mut other = book(0, 1, 1, 1, 9);
    other.answer.as_mut().unwrap().outcome = Outcome::Booking(seen(1, 1, 10));
    is_wrong("another time", &[other], &nothing().booking(1, 1, 10), &["not_as_asked"]);
    let mut other = hold(0, 1, 1, 1, 9, 100);
    other.answer.as_mut().unwrap().outcome = Outcome::Hold(held(1, 2, 9, 100));
    is_wrong("another host", &[other], &nothing().hold(1, 2, 9, 100, HoldState::Active), &["not_as_asked"]);
}

#[test]
fn replays_repeat_the_first_answer() {
    let finale = nothing().booking(1, 1, 9);
    let first = keyed(book(0, 1, 1, 1, 9), "k");
    let second = keyed(book(2, 3, 1, 1, 9), "k");
    is_sound("a replay", &[first.clone(), replayed(second.clone())], &finale);
    is_wrong("done again", &[first.clone(), second.clone()], &finale, &["done_twice"]);
    is_wrong("judged again", &[first.clone(), refused(second.clone())], &finale, &["replay_refused"]);
    let rehearsal = keyed(event(0, 1, Operation::Rehearse { intent: "r".into() }, Outcome::Done), "r");
    is_sound("rehearsed again", &[first.clone(), rehearsal.clone(), rehearsal], &finale);
    let cancels = [keyed(cancel(2, 3, 1, 1, 9), "c"), keyed(cancel(4, 5, 1, 1, 9), "c")];
    is_sound("cancelled again", &[std::slice::from_ref(&first), &cancels[..]].concat(), &nothing().cancelled(1, 1, 9));
    let moves = [keyed(shift(2, 3, 1, 1, 10), "m"), keyed(shift(4, 5, 1, 1, 10), "m")];
    let moved = nothing().booking(1, 1, 10);
    is_wrong("moved again", &[std::slice::from_ref(&first), &moves[..]].concat(), &moved, &["done_twice"]);
    let there = [first.clone(), shift(1, 2, 1, 1, 10)];
    is_sound("it was there already", &[&there[..], &moves[..]].concat(), &moved);
    let meanwhile = keyed(refused(book(0, 3, 1, 1, 9)), "k");
    is_sound("refused at the same time", &[first.clone(), meanwhile], &finale);
    let mut other = replayed(second);
    other.answer.as_mut().unwrap().outcome = Outcome::Booking(seen(1, 1, 10));
    is_wrong("another answer", &[first.clone(), other], &finale, &["not_as_asked", "replay_differs"]);
    let mixed = replayed(keyed(cancel(2, 3, 1, 1, 9), "k"));
    let cancelled = nothing().cancelled(1, 1, 9);
    is_wrong("another request", &[first, mixed], &cancelled, &["key_mixed_up"]);
}

#[test]
fn reads_show_what_stood_at_their_time() {
    let finale = nothing().booking(1, 1, 10);
    let moved = [book(0, 1, 1, 1, 9), shift(2, 3, 1, 1, 10)];
    let after = |read: Event| [moved.as_slice(), &[read]].concat();
    is_wrong("old", &after(read(4, 5, 1, 1, 9)), &finale, &["read_outdated"]);
    is_sound("new", &after(read(4, 5, 1, 1, 10)), &finale);
    is_sound("meanwhile old", &after(read(2, 5, 1, 1, 9)), &finale);
    let gone = [book(0, 1, 1, 1, 9), cancel(2, 3, 1, 1, 9), read(4, 5, 1, 1, 9)];
    is_wrong("cancelled", &gone, &nothing().cancelled(1, 1, 9), &["read_outdated"]);
}

#[test]
fn counts_tell_what_was_looked_at() {
    let events = [book(0, 1, 1, 1, 9), shift(2, 3, 1, 1, 10), in_doubt(cancel(4, 5, 1, 1, 10))];
    let counts = run(&events, &nothing().booking(1, 1, 10)).counts;
    assert_eq!((counts.events, counts.in_doubt, counts.bookings_acknowledged, counts.moves_acknowledged), (3, 1, 1, 1));
    assert_eq!((counts.claims, counts.bookings, counts.holds), (1, 1, 0));
}
