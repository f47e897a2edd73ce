//! Three hundred bookings told to an endpoint that fails, hangs and goes away, by a program that is killed meanwhile:
//! every one of them arrives, under one id, signed as the libraries of others read it, two of Python and two of JavaScript.
//!
//! Lesson: webhooks stop after three failures, and one that answers badly holds up everybody's.

mod caller;
mod program;
mod receiver;
mod verdict;
mod verifier;

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use agentcal_testkit::wait_for;
use reqwest::Method;
use serde_json::{Value, json};

use caller::{Account, Caller, text};
use program::Program;
use receiver::Receiver;
use verdict::Run;
use verifier::Verifier;

/// Names how many bookings are made, in place of [`BOOKINGS`].
const BOOKINGS_VARIABLE: &str = "AGENTCAL_EFFECTS_BOOKINGS";
const BOOKINGS: usize = 300;
/// Names how many nodes there are; one is on a file, several are on PostgreSQL.
const NODES_VARIABLE: &str = "AGENTCAL_EFFECTS_NODES";
/// Bookings of one account, and messages to one endpoint.
const BOOKINGS_PER_ACCOUNT: usize = 1_000;
/// Misfortunes come again after so many bookings.
const ROUND: usize = 300;
/// A message that hangs is given up after 15 seconds, and one that was in hand when the program died after 30.
const TOLD_WITHIN: Duration = Duration::from_secs(180);
/// So much longer for each booking: one endpoint is sent eight messages at once, and some wait for ten minutes in the end.
const LONGER_FOR_EACH: Duration = Duration::from_millis(250);
/// Time between two looks for what was given up: of ten thousand messages now and then one fails ten times.
const LOOK_EVERY: Duration = Duration::from_secs(10);

#[test]
fn every_booking_is_told_whatever_the_endpoint_does() {
    let (bookings, nodes) = (number(BOOKINGS_VARIABLE, BOOKINGS), number(NODES_VARIABLE, 1));
    let Some(mut program) = Program::start(nodes) else { return };
    let (mut receiver, caller) = (Receiver::start(), Caller::new());
    let accounts: Vec<Account> = (0..bookings.div_ceil(BOOKINGS_PER_ACCOUNT))
        .map(|index| caller.account(&program, &receiver.url(index)))
        .collect();
    let gone = told_when_gone(&caller, &program, &accounts[0], &receiver);

    let mut verifier = Verifier::new(&accounts, &program.folder());
    let began = Instant::now();
    let (mut booked, mut kills) = (BTreeSet::new(), 0);
    for number in 0..bookings {
        match number % ROUND {
            100 => receiver.stop(),
            150 => {
                program.kill(kills);
                kills += 1;
            }
            160 => receiver.start_again(),
            200 => {
                receiver.stop();
                receiver.start_again();
            }
            _ => {}
        }
        let account = &accounts[number % accounts.len()];
        booked.insert(caller.book(&program, account, number / accounts.len()));
        verifier.look(&receiver);
    }
    assert_eq!(booked.len(), bookings);
    let last_booked = Instant::now();
    println!("{bookings} booked in {:.1} s", began.elapsed().as_secs_f64());
    if bookings % ROUND > 100 && bookings % ROUND <= 160 {
        receiver.start_again();
    }
    let replayed = wait_until_told(&caller, &program, &accounts, bookings, || {
        verifier.look(&receiver);
        receiver.taken_count()
    });
    println!("all told {:.1} s after the last booking", last_booked.elapsed().as_secs_f64());

    its_end_was_told(&caller, &program, &gone, &receiver);
    // Nothing is on its way any more.
    verifier.verify(&receiver);
    let (messages, verified, took) = (receiver.messages_from(0), verifier.verified, began.elapsed());
    verdict::judge(&Run { nodes, kills, booked: &booked, replayed, verified, took, messages });
}

fn number(variable: &str, otherwise: usize) -> usize {
    let said = std::env::var(variable).ok();
    said.map_or(otherwise, |text| text.parse().unwrap_or_else(|error| panic!("{variable}: {error}")))
}

/// Waits until the endpoints have everything, and the program knows it. Asks again for what was given up; how often.
fn wait_until_told(
    caller: &Caller,
    program: &Program,
    accounts: &[Account],
    bookings: usize,
    mut taken_count: impl FnMut() -> usize,
) -> usize {
    let bound = TOLD_WITHIN + LONGER_FOR_EACH * u32::try_from(bookings).expect("few bookings");
    let (mut looked, mut replayed) = (Instant::now(), 0);
    wait_for("every booking to be told", bound, || {
        if looked.elapsed() >= LOOK_EVERY {
            looked = Instant::now();
            for account in accounts.iter().filter(|account| caller.deliveries(program, account, "failed") > 0) {
                caller.replay(program, account);
                replayed += 1;
            }
        }
        (taken_count() >= bookings).then_some(())
    });
    wait_for("deliveries to be kept as such", bound, || {
        let left = |account: &&Account| caller.deliveries(program, account, "pending") > 0;
        accounts.iter().find(left).is_none().then_some(())
    });
    for account in accounts {
        assert_eq!(caller.deliveries(program, account, "failed"), 0);
    }
    replayed
}

/// An endpoint that will say that it is gone, of an organization that wants to know.
fn told_when_gone(caller: &Caller, program: &Program, account: &Account, receiver: &Receiver) -> String {
    let organizations = program.beside(&["org", "list"]);
    let organization = organizations.split_whitespace().next().expect("an organization");
    program.beside(&["org", "update", organization, "--email", "ops@example.com"]);
    let url = format!("{}?token=secret", receiver.gone_url());
    let body = json!({"url": url, "events": ["booking.created"], "account_ids": [account.id]});
    text(&caller.ask(program, &Method::POST, "/webhooks", Some(&body)), "id").to_owned()
}

/// Its organization got one mail, which says what it needs to know and no secret.
fn its_end_was_told(caller: &Caller, program: &Program, id: &str, receiver: &Receiver) {
    let webhook = caller.ask(program, &Method::GET, &format!("/webhooks/{id}"), None);
    assert_eq!((&webhook["enabled"], &webhook["disabled_reason"]), (&json!(false), &json!("gone")), "{webhook}");
    let pages = wait_for("a mail in the outbox", TOLD_WITHIN, || {
        let folders = program.outboxes();
        let files = folders.iter().flat_map(fs::read_dir).flatten().flatten().map(|entry| entry.path());
        let pages = files.filter(|path| path.extension().is_some_and(|end| end == "json"));
        let pages: Vec<Value> = pages.filter_map(|path| serde_json::from_slice(&fs::read(path).ok()?).ok()).collect();
        (!pages.is_empty()).then_some(pages)
    });
    let [page] = pages.as_slice() else { panic!("one mail: {pages:#?}") };
    let said = text(page, "text");
    assert_eq!((&page["to"], &page["invitation"]), (&json!(["ops@example.com"]), &Value::Null), "{page:#}");
    assert!(said.contains(&receiver.gone_url()) && said.contains(id) && said.contains("410"), "{said}");
    assert!(!page.to_string().contains("secret"), "{page:#}");
    let jobs = wait_for("its job to be done", TOLD_WITHIN, || {
        let jobs = caller.ask(program, &Method::GET, "/jobs?kind=notice", None);
        (jobs["data"][0]["state"] == json!("done")).then_some(jobs)
    });
    assert_eq!(jobs["data"][0]["booking_id"], Value::Null, "{jobs}");
}
