//! Events as lines of JSON, as tests with real processes write them.

use agentcal_history::{FreshnessState, read_events};

use crate::sketch::*;

#[test]
fn events_survive_their_lines() {
    let events = vec![
        ask(0, 1, slots(&[2], &[(1, 9)], FreshnessState::Partial, 0)),
        hold(2, 3, 1, 1, 9, 100),
        keyed(confirm(4, 5, 1, 1, 9), "k"),
        in_doubt(shift(6, 7, 1, 1, 10)),
        refused(cancel(8, 9, 1, 1, 10)),
    ];
    let lines: String = events.iter().map(|event| event.to_line() + "\n").collect();
    assert_eq!(read_events(&lines).unwrap(), events);
}

#[test]
fn an_answer_replaces_its_announcement() {
    let answered = book(0, 1, 1, 1, 9);
    let lines = [in_doubt(answered.clone()).to_line(), answered.to_line()].join("\n");
    assert_eq!(read_events(&lines).unwrap(), vec![answered]);
}

#[test]
fn a_line_cut_off_is_named() {
    let line = book(0, 1, 1, 1, 9).to_line();
    let lines = format!("{line}\n{}", &line[..line.len() / 2]);
    assert_eq!(read_events(&lines).unwrap_err().line, 2);
}
