//! Whether all was told as it should be, in one line.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use crate::receiver::Message;

/// How the program was built.
const BUILD: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

/// What happened.
pub(crate) struct Run<'r> {
    pub(crate) nodes: usize,
    pub(crate) kills: usize,
    pub(crate) booked: &'r BTreeSet<String>,
    /// How often somebody asked again for what was given up.
    pub(crate) replayed: usize,
    /// Messages that the libraries of others verified.
    pub(crate) verified: usize,
    pub(crate) took: Duration,
    pub(crate) messages: Vec<Message>,
}

/// Prints what came of it.
///
/// # Panics
/// When a booking was not told, or under two ids, or a message was not looked at by others.
pub(crate) fn judge(run: &Run<'_>) {
    let (ids, taken) = (ids(&run.messages), taken(&run.messages));
    let lost = run.booked.difference(&taken).count();
    let under_two_ids = ids.values().filter(|ids| ids.len() != 1).count();
    let distinct: BTreeSet<&String> = ids.values().flatten().collect();
    let unasked = ids.keys().filter(|booking| !run.booked.contains(*booking)).count();
    let repeated = run.messages.iter().filter(|message| message.is_taken && message.booking().is_some()).count();
    let repeated = repeated - taken.len();
    let holds = (lost, under_two_ids, unasked) == (0, 0, 0)
        && distinct.len() == run.booked.len()
        && run.verified == run.messages.len();
    let (nodes, kills, bookings, messages) = (run.nodes, run.kills, run.booked.len(), run.messages.len());
    let (replayed, verified, seconds) = (run.replayed, run.verified, run.took.as_secs());
    let verdict = if holds { "holds" } else { "violated" };
    println!(
        "VERDICT effects nodes={nodes} bookings={bookings} kills={kills} messages={messages} lost={lost} \
         under_two_ids={under_two_ids} unasked={unasked} taken_again={repeated} replayed={replayed} verified={verified} \
         seconds={seconds} build={BUILD} verdict={verdict}"
    );
    assert!(holds, "see the verdict");
}

/// By booking, the ids under which it was told.
fn ids(messages: &[Message]) -> BTreeMap<String, BTreeSet<String>> {
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for message in messages {
        let event = message.event();
        if let Some(booking) = message.booking() {
            assert_eq!((&event["type"], &event["data"]["sequence"]), (&json!("booking.created"), &json!(0)));
            ids.entry(booking).or_default().insert(message.id.clone());
        }
    }
    ids
}

fn taken(messages: &[Message]) -> BTreeSet<String> {
    messages.iter().filter(|message| message.is_taken).filter_map(Message::booking).collect()
}
