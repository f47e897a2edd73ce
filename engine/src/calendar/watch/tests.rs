//! The watch machine against tables: what it asks for after each sync, and what it keeps.

use super::*;
use crate::limits::LimitKind;

struct Zero;

impl Entropy for Zero {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

const URL: &str = "https://cal.example.com/v1/notifications/google";

const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

fn handle(name: &str) -> WatchHandle {
    WatchHandle(name.to_owned())
}

fn push(until: i64) -> Watch {
    Watch { state: WatchState::Push, expires_at: Some(at(until)) }
}

/// A watch of this name, granted until then.
fn granted(name: &str, until: i64) -> Result<Watched, ProviderError> {
    Ok(Watched { watch: push(until), handle: Some(handle(name)), renewed: false })
}

fn prolonged(name: &str, until: i64) -> Result<Watched, ProviderError> {
    granted(name, until).map(|watched| Watched { renewed: true, ..watched })
}

fn away() -> ProviderError {
    ProviderError::Unavailable("away".into())
}

fn machine() -> WatchMachine {
    WatchMachine::new(Some(URL.into()), WatchRecord::default())
}

/// A machine whose watch `name` stands from 0 to 1,000.
fn watched(name: &str) -> WatchMachine {
    let mut machine = machine();
    machine.handle_synced(at(0));
    expect(&mut machine, &[&format!("ask after {:?}", None::<&str>)]);
    assert!(machine.handle_watched(granted(name, 1_000), at(0), &Zero), "none stood before");
    kept(&mut machine);
    machine.handle_saved(Saved::Done, at(0));
    expect(&mut machine, &[]);
    machine
}

fn kept(machine: &mut WatchMachine) -> WatchRecord {
    match machine.poll_effect() {
        Some(WatchEffect::Save(record)) => record,
        other => panic!("expected a save, got {other:?}"),
    }
}

fn expect(machine: &mut WatchMachine, expected: &[&str]) {
    let mut effects = Vec::new();
    while let Some(effect) = machine.poll_effect() {
        effects.push(match effect {
            WatchEffect::Ask { previous } => {
                format!("ask after {:?}", previous.as_ref().map(|handle| handle.0.as_str()))
            }
            WatchEffect::Save(record) => format!("save {:?}", record.watch.state),
            WatchEffect::End(handle) => format!("end {}", handle.0),
            WatchEffect::Abandon(handle) => format!("abandon {}", handle.0),
        });
    }
    assert_eq!(effects, expected);
}

fn outdated(machine: &WatchMachine) -> Vec<(&str, Timestamp)> {
    machine.record().outdated.iter().map(|outdated| (outdated.handle.0.as_str(), outdated.until)).collect()
}

#[test]
fn a_watch_is_asked_for_after_a_sync_and_renewed_after_sixty_percent() {
    let mut machine = watched("one");
    let record = machine.record().clone();
    assert_eq!((record.watch, record.due_at, record.failures), (push(1_000), at(600), 0));
    assert_eq!((record.handle, record.url.as_deref()), (Some(handle("one")), Some(URL)));
    assert_eq!(machine.standing(at(999)), Some(Standing { until: at(1_000), renew_at: at(600) }));
    assert_eq!(machine.standing(at(1_000)), None, "one that ran out is none");
    machine.handle_synced(at(599));
    expect(&mut machine, &[]);
    machine.handle_synced(at(600));
    expect(&mut machine, &["ask after Some(\"one\")"]);
}

/// The old watch and the new one overlap, and the old one is known as long as it may have to be ended.
#[test]
fn a_watch_beside_another_is_kept_before_that_is_ended() {
    let mut machine = watched("one");
    machine.handle_synced(at(600));
    expect(&mut machine, &["ask after Some(\"one\")"]);
    assert!(!machine.handle_watched(granted("two", 1_600), at(601), &Zero), "one stood all the time");
    let record = kept(&mut machine);
    assert_eq!(record.outdated, [OutdatedWatch { handle: handle("one"), until: at(1_000) }]);
    expect(&mut machine, &[]);
    machine.handle_saved(Saved::Done, at(601));
    expect(&mut machine, &["end one"]);
    machine.handle_ended(Ok(()), at(602));
    assert_eq!(kept(&mut machine).outdated, []);
    machine.handle_saved(Saved::Done, at(602));
    assert!(machine.is_at_rest());
}

#[test]
fn a_watch_renewed_in_place_ends_no_other() {
    let mut machine = watched("one");
    machine.handle_synced(at(600));
    expect(&mut machine, &["ask after Some(\"one\")"]);
    assert!(!machine.handle_watched(prolonged("one, longer", 1_600), at(600), &Zero));
    let record = kept(&mut machine);
    assert_eq!((record.handle, record.outdated, record.due_at), (Some(handle("one, longer")), Vec::new(), at(1_200)));
    machine.handle_saved(Saved::Done, at(600));
    expect(&mut machine, &[]);
}

/// What a crash left behind is ended by whoever continues, once; what ran out meanwhile is forgotten.
#[test]
fn watches_left_behind_are_ended_until_they_run_out() {
    let left = |name: &str, until| OutdatedWatch { handle: handle(name), until: at(until) };
    let record = WatchRecord {
        watch: push(1_000),
        url: Some(URL.into()),
        handle: Some(handle("present")),
        outdated: vec![left("old", 50), left("older", 900), left("oldest", 900)],
        due_at: at(600),
        failures: 0,
    };
    let mut machine = WatchMachine::new(Some(URL.into()), record);
    machine.handle_synced(at(100));
    expect(&mut machine, &["end older"]);
    machine.handle_ended(Err(away()), at(100));
    machine.handle_synced(at(200));
    expect(&mut machine, &["save Push"]);
    machine.handle_saved(Saved::Done, at(200));
    expect(&mut machine, &[]);
    machine.handle_synced(at(700 - 1));
    expect(&mut machine, &["ask after Some(\"present\")"]);
    machine.handle_watched(prolonged("present", 2_000), at(700), &Zero);
    expect(&mut machine, &["save Push"]);
    machine.handle_saved(Saved::Done, at(700));
    expect(&mut machine, &["end older"]);
    machine.handle_ended(Ok(()), at(701));
    expect(&mut machine, &["save Push"]);
    machine.handle_saved(Saved::Done, at(950));
    assert_eq!(outdated(&machine), [], "the last one ran out");
}

#[test]
fn failures_wait_longer_each_time_and_the_watch_that_stands_goes_on() {
    let mut machine = watched("one");
    let mut now = 600;
    for (failures, wait) in [(1, 60), (2, 120), (3, 240)] {
        machine.handle_synced(at(now));
        expect(&mut machine, &["ask after Some(\"one\")"]);
        assert!(!machine.handle_watched(Err(away()), at(now), &Zero));
        let record = kept(&mut machine);
        assert_eq!((record.failures, record.due_at), (failures, at(now + wait)));
        let stands = now < 1_000;
        assert_eq!((record.watch == push(1_000), record.handle.is_some()), (stands, stands), "at {now}");
        machine.handle_saved(Saved::Done, at(now));
        machine.handle_synced(at(now + wait - 1));
        expect(&mut machine, &[]);
        now += wait;
    }
    assert_eq!(machine.record().watch, push(1_000), "not noticed before the provider is asked again");
    machine.handle_synced(at(now));
    expect(&mut machine, &["ask after Some(\"one\")"]);
    machine.handle_watched(Err(away()), at(now), &Zero);
    let record = kept(&mut machine);
    assert_eq!((record.watch, record.handle), (Watch::POLLING, None), "it ran out");
}

#[test]
fn a_provider_that_asks_for_time_gets_it() {
    let mut machine = machine();
    machine.handle_synced(at(0));
    expect(&mut machine, &["ask after None"]);
    let slow = ProviderError::RateLimited { retry_after: Some(Duration::from_secs(900)), of: LimitKind::Mailbox };
    machine.handle_watched(Err(slow), at(0), &Zero);
    let record = kept(&mut machine);
    assert_eq!((record.watch, record.due_at), (Watch::POLLING, at(900)));
}

#[test]
fn what_cannot_be_watched_is_polled_and_asked_about_again_later() {
    let mut machine = watched("one");
    machine.handle_synced(at(600));
    expect(&mut machine, &["ask after Some(\"one\")"]);
    machine.handle_watched(Ok(Watched::POLLING), at(600), &Zero);
    let record = kept(&mut machine);
    let hours = 6 * 3_600;
    assert_eq!((record.watch, record.handle, record.due_at), (Watch::POLLING, None, at(600 + hours)));
    machine.handle_saved(Saved::Done, at(600));
    expect(&mut machine, &["end one"]);
    machine.handle_ended(Ok(()), at(600));
    kept(&mut machine);
    machine.handle_saved(Saved::Done, at(600));
    machine.handle_synced(at(600 + hours));
    expect(&mut machine, &["ask after None"]);
}

/// An installation that moved, or that providers do not ring at any more.
#[test]
fn another_doorbell_takes_another_watch_and_none_ends_it() {
    let record = watched("one").record().clone();
    let mut moved = WatchMachine::new(Some("https://elsewhere.example.com".into()), record.clone());
    moved.handle_synced(at(10));
    expect(&mut moved, &["ask after Some(\"one\")"]);
    moved.handle_watched(Err(away()), at(10), &Zero);
    kept(&mut moved);
    moved.handle_saved(Saved::Done, at(10));
    moved.handle_synced(at(20));
    expect(&mut moved, &[]);

    let mut silent = WatchMachine::new(None, record);
    silent.handle_synced(at(10));
    let record = kept(&mut silent);
    assert_eq!((record.watch, record.handle, record.url), (Watch::POLLING, None, None));
    silent.handle_saved(Saved::Done, at(10));
    expect(&mut silent, &["end one"]);
    silent.handle_ended(Ok(()), at(10));
    expect(&mut silent, &["save Polling"]);
    silent.handle_saved(Saved::Done, at(10));
    silent.handle_synced(at(20));
    expect(&mut silent, &[]);
}

#[test]
fn what_the_provider_says_of_a_watch_is_looked_into() {
    let check = |ring: Ring, stands: bool, asks: bool| {
        let mut machine = watched("one");
        machine.handle_ring(ring, at(10));
        assert_eq!(machine.standing(at(10)).is_some(), stands, "{ring:?}");
        machine.handle_synced(at(11));
        expect(&mut machine, if asks { &["ask after Some(\"one\")"] } else { &[] });
    };
    check(Ring::Changed, true, false);
    check(Ring::WatchToRenew, true, true);
    check(Ring::WatchEnded, false, true);
    // Somebody who says so without end is not believed without end.
    let mut machine = watched("one");
    machine.handle_ring(Ring::WatchEnded, at(10));
    machine.handle_synced(at(10));
    expect(&mut machine, &["ask after Some(\"one\")"]);
    machine.handle_watched(Err(away()), at(10), &Zero);
    kept(&mut machine);
    machine.handle_saved(Saved::Done, at(10));
    machine.handle_ring(Ring::WatchEnded, at(11));
    machine.handle_synced(at(11));
    expect(&mut machine, &[]);
    machine.handle_synced(at(70));
    expect(&mut machine, &["ask after Some(\"one\")"]);
    assert!(machine.handle_watched(granted("two", 2_000), at(70), &Zero), "none was known to stand");
}

#[test]
fn what_cannot_be_kept_is_given_back_or_kept_later() {
    let mut machine = machine();
    machine.handle_synced(at(0));
    expect(&mut machine, &["ask after None"]);
    machine.handle_watched(granted("one", 1_000), at(0), &Zero);
    expect(&mut machine, &["save Push"]);
    let mut lost = machine.clone();
    lost.handle_saved(Saved::Lost, at(1));
    expect(&mut lost, &["abandon one"]);
    lost.handle_synced(at(700));
    expect(&mut lost, &[]);

    machine.handle_saved(Saved::Failed, at(1));
    expect(&mut machine, &[]);
    machine.handle_synced(at(2));
    expect(&mut machine, &["save Push"]);
    machine.handle_saved(Saved::Done, at(2));
    machine.handle_synced(at(3));
    expect(&mut machine, &[]);

    // The owner who took over goes on with the very same watch.
    machine.handle_synced(at(600));
    expect(&mut machine, &["ask after Some(\"one\")"]);
    machine.handle_watched(prolonged("one", 1_600), at(600), &Zero);
    expect(&mut machine, &["save Push"]);
    machine.handle_saved(Saved::Lost, at(600));
    expect(&mut machine, &[]);
}

#[test]
fn no_more_old_watches_are_kept_than_may_be() {
    let mut machine = machine();
    for number in 0..12i64 {
        let now = number * 1_000;
        machine.handle_ring(Ring::WatchToRenew, at(now));
        machine.handle_synced(at(now));
        while let Some(effect) = machine.poll_effect() {
            match effect {
                WatchEffect::Ask { .. } => {
                    machine.handle_watched(granted(&number.to_string(), 100_000), at(now), &Zero);
                }
                WatchEffect::Save(_) => machine.handle_saved(Saved::Done, at(now)),
                WatchEffect::End(_) => machine.handle_ended(Err(away()), at(now)),
                WatchEffect::Abandon(_) => unreachable!("nothing was lost"),
            }
        }
    }
    let names: Vec<_> = outdated(&machine).into_iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["3", "4", "5", "6", "7", "8", "9", "10"]);
}
