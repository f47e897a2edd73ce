//! When to try again.

use std::time::Duration;

use crate::transport::{Outcome, Trouble};

/// Waits after the first failed attempt, the second and so on, in minutes: within the hour for who greylists, and two days
/// in all for a server that is away.
const WAITS_MINUTES: [u64; 11] = [1, 5, 10, 20, 30, 60, 120, 240, 480, 720, 1_200];
/// The least wait where a mail may have been taken: servers that took it late are through with it then.
const IN_DOUBT_MINUTES: u64 = 15;
/// The wait while the server cannot be used. The operator is told at the first; what is repaired is noticed soon.
const UNUSABLE_MINUTES: u64 = 15;
/// The first attempts while it cannot, after which the mail is given up: two days.
const UNUSABLE_ATTEMPTS_MAX: u32 = 192;

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextAttempt {
    /// Nothing: the mail is with the server.
    Done,
    /// Nothing: the mail will not be delivered.
    GivenUp,
    /// Another attempt, after so long.
    After(Duration),
}

/// What follows from the `attempts`-th attempt (1 is the first). `chance` spreads what failed together over a fifth of the
/// wait: any number, drawn anew for each attempt.
pub fn next_attempt(outcome: &Outcome, attempts: u32, chance: u16) -> NextAttempt {
    let minutes = match outcome {
        Outcome::Delivered(_) => return NextAttempt::Done,
        Outcome::Refused(_) => return NextAttempt::GivenUp,
        Outcome::Later(Trouble::InDoubt) => wait_of(attempts).map(|minutes| minutes.max(IN_DOUBT_MINUTES)),
        Outcome::Later(_) => wait_of(attempts),
        Outcome::Unusable(_) => (attempts < UNUSABLE_ATTEMPTS_MAX).then_some(UNUSABLE_MINUTES),
    };
    minutes.map_or(NextAttempt::GivenUp, |minutes| NextAttempt::After(spread(minutes, chance)))
}

fn wait_of(attempts: u32) -> Option<u64> {
    let index = usize::try_from(attempts.max(1) - 1).unwrap_or(usize::MAX);
    WAITS_MINUTES.get(index).copied()
}

fn spread(minutes: u64, chance: u16) -> Duration {
    let wait = Duration::from_secs(minutes * 60);
    wait + wait.mul_f64(0.2 * f64::from(chance) / f64::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Answer, Moment};

    #[test]
    fn who_may_take_it_later_is_asked_again_for_two_days() {
        let later = Outcome::Later(Trouble::Answered(Answer::new(451, "4.7.1 Greylisted")));
        let mut waited = Duration::ZERO;
        for attempt in 1..=11 {
            let NextAttempt::After(wait) = next_attempt(&later, attempt, 0) else { panic!("attempt {attempt}") };
            waited += wait;
        }
        assert_eq!(next_attempt(&later, 12, 0), NextAttempt::GivenUp);
        assert_eq!(waited.as_secs() / 3_600, 48);
    }

    #[test]
    fn what_follows_depends_on_what_became_of_it() {
        let check = |outcome: Outcome, attempts, expected| {
            assert_eq!(next_attempt(&outcome, attempts, 0), expected, "{outcome:?}");
        };
        let minutes = |minutes: u64| NextAttempt::After(Duration::from_secs(60 * minutes));
        check(Outcome::Delivered(Answer::new(250, "ok")), 1, NextAttempt::Done);
        check(Outcome::Refused(Answer::new(550, "no")), 1, NextAttempt::GivenUp);
        check(Outcome::Later(Trouble::Lost(Moment::Envelope)), 0, minutes(1));
        check(Outcome::Later(Trouble::Lost(Moment::Envelope)), 1, minutes(1));
        check(Outcome::Later(Trouble::Unreachable), 3, minutes(10));
        check(Outcome::Later(Trouble::InDoubt), 1, minutes(15));
        check(Outcome::Later(Trouble::InDoubt), 6, minutes(60));
        check(Outcome::Later(Trouble::InDoubt), u32::MAX, NextAttempt::GivenUp);
        check(Outcome::Unusable(Trouble::NoLogin), 1, minutes(15));
        check(Outcome::Unusable(Trouble::NoLogin), 192, NextAttempt::GivenUp);
    }

    #[test]
    fn chance_only_ever_waits_longer_and_a_fifth_at_most() {
        let later = Outcome::Later(Trouble::Unreachable);
        assert_eq!(next_attempt(&later, 1, u16::MAX), NextAttempt::After(Duration::from_secs(72)));
    }
}
