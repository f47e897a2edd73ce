//! Whether everything that was sent with a key until it was answered has been answered.

use std::collections::BTreeMap;

use crate::report::Report;
use crate::{Allowances, Event, Violation};

pub(crate) fn check(events: &[Event], allowances: &Allowances, report: &mut Report) {
    let mut last: BTreeMap<&str, (usize, bool)> = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        let Some(key) = event.idempotency_key.as_deref() else { continue };
        let (latest, was_in_doubt) = last.entry(key).or_insert((index, false));
        if events[*latest].invoked_at <= event.invoked_at {
            *latest = index;
        }
        *was_in_doubt |= event.is_in_doubt();
    }
    for (key, (event, _)) in last.into_iter().filter(|(_, (_, was_in_doubt))| *was_in_doubt) {
        if !events[event].is_in_doubt() {
            report.counts.healed += 1;
        } else if allowances.retries_are_through {
            report.violations.push(Violation::NotHealed { event, key: key.to_owned() });
        }
    }
}
