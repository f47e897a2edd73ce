//! Calendars that change by themselves: with every period a meeting appears, and one that appeared long ago goes.
//!
//! Which ones there are is a pure function of the period's number, so a cursor only has to name that number.

use std::time::Duration;

use agentcal_engine::time::{DAY_US, HOUR_US, MINUTE_US, TimeRange, Timestamp};

use crate::dice::Dice;

/// Periods a meeting stays.
const LIFE: i64 = 24;
/// Prefix of their names.
const PREFIX: &str = "popup-";

/// The period an instant lies in.
pub(crate) fn period_of(now: Timestamp, period: Duration) -> i64 {
    let micros = i64::try_from(period.as_micros()).unwrap_or(i64::MAX).max(1);
    now.as_micros().div_euclid(micros)
}

/// The meetings present in a period: name and time.
pub(crate) fn present(seed: u64, calendar: &str, number: i64, period: Duration) -> Vec<(String, TimeRange)> {
    (number - LIFE + 1..=number).map(|born| meeting(seed, calendar, born, period)).collect()
}

/// Names of the meetings whose presence differs between two periods.
pub(crate) fn changed(from: i64, to: i64) -> Vec<String> {
    let was = from - LIFE + 1..=from;
    let is = to - LIFE + 1..=to;
    let gone = was.clone().filter(|born| !is.contains(born));
    let came = is.clone().filter(|born| !was.contains(born));
    gone.chain(came).map(name).collect()
}

fn name(born: i64) -> String {
    format!("{PREFIX}{born}")
}

/// Somewhere in the five days after it appears, on a quarter of an hour.
fn meeting(seed: u64, calendar: &str, born: i64, period: Duration) -> (String, TimeRange) {
    let dice = Dice::new(seed).about(calendar).about("popup").nth(born);
    let micros = i64::try_from(period.as_micros()).unwrap_or(i64::MAX).max(1);
    let quarter = 15 * MINUTE_US;
    let appeared = born.saturating_mul(micros).clamp(0, Timestamp::LATEST.as_micros());
    let offset = i64::try_from(dice.nth(1).below(5 * DAY_US.cast_unsigned())).expect("five days fit");
    let start = Timestamp::from_micros((appeared + HOUR_US + offset) / quarter * quarter);
    let minutes = dice.nth(2).pick(&[30, 45, 60]);
    (name(born), TimeRange { start, end: start.plus_micros(minutes * MINUTE_US) })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_changed_is_what_differs() {
        let period = Duration::from_secs(600);
        let names = |number| present(7, "work", number, period).into_iter().collect::<BTreeSet<_>>();
        let check = |from: i64, to: i64| {
            let difference: BTreeSet<String> =
                names(from).symmetric_difference(&names(to)).map(|(name, _)| name.clone()).collect();
            assert_eq!(changed(from, to).into_iter().collect::<BTreeSet<_>>(), difference, "{from} to {to}");
        };
        check(1_000, 1_000);
        check(1_000, 1_001);
        check(1_000, 1_023);
        check(1_000, 1_024);
        check(1_000, 9_000);
        check(9_000, 1_000);
    }
}
